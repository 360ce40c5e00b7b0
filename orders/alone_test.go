package orders

import "testing"

// aloneInRace leaves out under the race detector what has one goroutine and much to do; make test runs it without.
func aloneInRace(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("one goroutine: run it without the race detector")
	}
}
