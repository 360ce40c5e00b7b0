package orders

import "github.com/mostro-cln/mostro/orders/failpoint"

// hitEach marks the two sides of a commit, by what is in it.
func hitEach(when string, batch []*job) {
	for _, j := range batch {
		failpoint.Hit(when, "commit", j.what)
	}
}
