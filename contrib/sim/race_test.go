//go:build race

package sim

// trades is less with the race detector, which makes everything many times slower and finds what it can in a few.
const trades = 100
