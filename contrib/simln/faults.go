package simln

import (
	"slices"
	"strings"
	"time"
)

// fault is what happens to calls of one method on the socket instead of, or besides, being answered.
type fault struct {
	mode  string
	delay time.Duration
	code  int
	times int // 0: until it is taken back
}

// faultModes are the values of sim-fault's mode.
var faultModes = []string{
	"delay", // run after delay_ms
	"error", // answer with code, nothing is done
	"cut",   // the connection breaks before anything is done
	"lost",  // done, but the connection breaks in place of the answer
	"off",
}

func (n *Node) cmdFault(c *command) (any, error) {
	mode, method := c.str("mode"), c.str("method")
	if !slices.Contains(faultModes, mode) {
		return nil, failf(codeInvalidParams, "mode: should be one of %s: invalid token '%s'", strings.Join(faultModes, ", "), mode)
	}
	if mode == "off" {
		delete(n.faults, method)
		return obj("method", method, "mode", mode), nil
	}
	n.faults[method] = &fault{mode: mode, delay: time.Duration(c.uintOr("delay_ms", 100)) * time.Millisecond,
		code: int(c.intOr("code", codeOther)), times: int(c.uintOr("times", 0))}
	return obj("method", method, "mode", mode), nil
}

// faulty does what the fault of the method says; false means that the request goes on as usual.
func (n *Node) faulty(c *command) bool {
	f := n.faults[c.method]
	if f == nil {
		return false
	}
	if f.times > 0 {
		if f.times--; f.times == 0 {
			delete(n.faults, c.method)
		}
	}
	switch f.mode {
	case "delay":
		n.clock.after(f.delay, func() { n.do(func() { n.execute(c) }) })
	case "error":
		c.fail(f.code, "simulated failure of "+c.method, nil)
	case "cut":
		c.cut()
	case "lost":
		c.lose = true
		return false
	}
	return true
}
