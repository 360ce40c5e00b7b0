package hold

import (
	"testing"
	"time"
)

// lazyVault says that a state is on disk before it is: the write comes with the next one.
type lazyVault struct {
	*Store
	state State
	owed  *Invoice
}

func (v *lazyVault) Put(inv Invoice) (Invoice, error) {
	if v.owed != nil {
		if _, err := v.Store.Put(*v.owed); err != nil {
			return Invoice{}, err
		}
		v.owed = nil
	}
	if inv.State == v.state {
		late := inv.clone()
		v.owed = &late
		return inv, nil
	}
	return v.Store.Put(inv)
}

func lazy(state State) func(*sim, *Store) Vault {
	return func(_ *sim, s *Store) Vault { return &lazyVault{Store: s, state: state} }
}

// rows changes what listpeerchannels shows.
func rows(change func(r *htlcRow)) func(string, any) {
	return func(_ string, result any) {
		cs, ok := result.(*channels)
		if !ok {
			return
		}
		for i := range cs.Channels {
			for j := range cs.Channels[i].HTLCs {
				change(&cs.Channels[i].HTLCs[j])
			}
		}
	}
}

// plants are mistakes that somebody could make.
var plants = []plant{
	{name: "a part may last one block less", decide: func(inv Invoice, o offer, s situation) verdict {
		inv.CLTV--
		v := decide(inv, o, s)
		if v.Next != nil {
			v.Next.CLTV++
		}
		return v
	}},
	{name: "a payment goes back one block late", limits: Limits{SettleMin: 24, CancelAt: 19}},
	{name: "a settle may begin one block late", limits: Limits{SettleMin: 23, CancelAt: 20}},
	{name: "ACCEPTED is said before it is on disk", vault: lazy(Accepted)},
	{name: "the preimage leaves before SETTLING is on disk", vault: lazy(Settling)},
	{name: "a refusal leaves before CANCELING is on disk", vault: lazy(Canceling)},
	{name: "a replayed part counts twice", decide: func(inv Invoice, o offer, s situation) verdict {
		v := decide(inv, o, s)
		if i := replayed(&inv, o, s.Live); i >= 0 && v.Do == hold && inv.State == Open {
			next := inv.clone()
			next.HTLCs = append(next.HTLCs, o.HTLC)
			if next.Held() >= next.Total {
				next.State = Accepted
			}
			v.Next = &next
		}
		return v
	}},
	{name: "the secret is not looked at", decide: func(inv Invoice, o offer, s situation) verdict {
		o.Secret = &inv.Secret
		return decide(inv, o, s)
	}},
	{name: "the onion's amount counts, not what is locked", decide: func(inv Invoice, o offer, s situation) verdict {
		if o.Forward != nil {
			o.Amount = max(o.Amount, *o.Forward)
		}
		return decide(inv, o, s)
	}},
	{name: "half of a payment is enough", decide: func(inv Invoice, o offer, s situation) verdict {
		v := decide(inv, o, s)
		if v.Next != nil && v.Next.State == Open && v.Next.Held() >= v.Next.Total/2 {
			v.Next.State = Accepted
		}
		return v
	}},
	{name: "what was answered counts as taken", node: rows(func(r *htlcRow) { r.State = "SENT_REMOVE_HTLC" })},
}

// The simulation finds each of these mistakes: it would be worth nothing if it did not.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, p := range plants {
		t.Run(p.name, func(t *testing.T) {
			s := newSim(t, 1, 3)
			s.plant = p
			walkScript(s)
			s.shutdown()
			if len(s.broken) > 0 {
				t.Logf("found by the script of the crash walk: %s", s.broken[0])
				return
			}
			for seed := uint64(1); seed <= 100; seed++ {
				s := runRandom(t, seed, 25, 12*time.Hour, storm, p)
				s.shutdown()
				if len(s.broken) > 0 {
					t.Logf("found with seed %d, within %d holds: %s", seed, 25*seed, s.broken[0])
					return
				}
			}
			t.Errorf("not found with 100 seeds, 2500 holds")
		})
	}
}
