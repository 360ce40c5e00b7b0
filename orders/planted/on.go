//go:build planted

package planted

import "sync/atomic"

var active atomic.Pointer[string]

// On reports whether that bug is active.
func On(name string) bool {
	p := active.Load()
	return p != nil && *p == name
}

// Set makes one bug active, and no other; none if the name is empty.
func Set(name string) {
	if name == "" {
		active.Store(nil)
		return
	}
	active.Store(&name)
}

var counted atomic.Uint64

// Count is another number at each call.
func Count() uint64 { return counted.Add(1) }
