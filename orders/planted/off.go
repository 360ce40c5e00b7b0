//go:build !planted

package planted

// On is false: there are no bugs in this build, and the compiler leaves out what would be done with one.
func On(string) bool { return false }

// Count is 0.
func Count() uint64 { return 0 }
