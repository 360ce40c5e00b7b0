//go:build planted

package sim

import (
	"fmt"
	"time"

	"github.com/mostro-cln/mostro/orders/planted"
)

// Found is how a planted bug was found.
type Found struct {
	Bug       Bug
	Violation *Violation // nil: it was not
	Seed      uint64
	Trades    int
	Took      time.Duration
}

func (f Found) String() string {
	if f.Violation == nil {
		return fmt.Sprintf("%-22s NOT FOUND in %d trades, %.1f s", f.Bug.Name, f.Trades, f.Took.Seconds())
	}
	return fmt.Sprintf("%-22s seed %-4d %5d trades  %s", f.Bug.Name, f.Seed, f.Trades, f.Violation.Invariant)
}

// Hunt plants one bug and simulates until it is found, or trades have been lived through.
func Hunt(b Bug, o Options) (Found, error) {
	planted.Set(b.Name)
	defer planted.Set("")
	o.quiet = true
	r, err := Run(o)
	return Found{b, r.Violation, r.Seed, r.Trades, r.Took}, err
}
