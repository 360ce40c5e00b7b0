//go:build !failpoints

package failpoint

// Hit does nothing in a release.
func Hit(_, _, _ string) {}
