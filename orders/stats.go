package orders

import "slices"

// Stats are figures over a period. They cost what happened in it, however old the exchange is.
type Stats struct {
	Period
	Made     int            // orders that were put on the book
	Ended    map[Status]int // orders that came to their end
	Locked   int            // escrows that were locked
	Disputes int            // opened
	Trades   map[string]Volume
	Money    map[EntryKind]Msats
	Payouts  Delays // from the release to the payment, of trades that ended well
}

// Volume is what was traded in one currency, in trades that ended well.
type Volume struct {
	Trades int
	Fiat   int64 // whole units of the currency
	Amount Sats
}

// Delays are how long something took, seconds.
type Delays struct {
	Count                int
	Median, P90, Longest int64
}

// newDelays sorts the list.
func newDelays(list []int64) Delays {
	if len(list) == 0 {
		return Delays{}
	}
	slices.Sort(list)
	at := func(percent int) int64 { return list[(len(list)-1)*percent/100] }
	return Delays{len(list), at(50), at(90), list[len(list)-1]}
}

// Stats computes the figures of a period.
func (e *Engine) Stats(p Period) (s Stats, err error) {
	s = Stats{Period: p, Ended: map[Status]int{}, Trades: map[string]Volume{}, Money: map[EntryKind]Msats{}}
	err = e.read(func(t *tx) {
		t.span(timelineBucket, p, nil, func([]byte) bool { s.Made++; return true })
		var delays []int64
		t.span(endedBucket, p, nil, func(k []byte) bool {
			o, ok := t.order(OrderID(k[8:]))
			if !ok {
				return true
			}
			s.Ended[o.Status]++
			if o.Status != Success {
				return true
			}
			v := s.Trades[o.Fiat.Code]
			s.Trades[o.Fiat.Code] = Volume{v.Trades + 1, v.Fiat + o.Fiat.Amount, v.Amount + o.Amount}
			if d, ok := t.releaseToPayout(o); ok {
				delays = append(delays, d)
			}
			return true
		})
		s.Payouts = newDelays(delays)
		t.span(moneyBucket, p, nil, func(k []byte) bool {
			var r Entry
			t.get(ledgerBucket, k[8:], &r)
			s.Money[r.What] = addMsats(s.Money[r.What], r.Msats)
			if r.What == Locked {
				s.Locked++
			}
			return true
		})
		s.Disputes = t.disputesOpened(p)
	})
	return s, err
}

// releaseToPayout is how long the buyer waited for his sats after the release, seconds.
func (t *tx) releaseToPayout(o *Order) (seconds int64, ok bool) {
	released, paid := int64(0), int64(0)
	for _, h := range list[Transition](t, historyBucket, o.ID[:]) {
		switch h.To {
		case Settling:
			released = h.At
		case Success:
			paid = h.At
		}
	}
	return max(paid-released, 0), released != 0 && paid != 0 // a clock may be put back
}

func (t *tx) disputesOpened(p Period) (n int) {
	t.span(casesBucket, p, nil, func([]byte) bool { n++; return true })
	return n
}
