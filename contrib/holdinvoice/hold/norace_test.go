//go:build !race

package hold

// simShare is which share of a simulation is run: one in so many.
const simShare = 1
