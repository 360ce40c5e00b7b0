//go:build !race

package sim

// trades is how many trades the test lives through; the command lives through as many as it is told.
const trades = 2000
