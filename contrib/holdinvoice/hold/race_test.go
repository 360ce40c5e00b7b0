//go:build race

package hold

// A simulation has one goroutine: the race detector finds nothing in it, and takes ten times
// as long.
const simShare = 8
