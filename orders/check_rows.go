package orders

import (
	"encoding/json"
)

// checkRows: what hangs on an order, a user or an input has one, and what is counted is as many.
func (t *tx) checkRows(bad badFunc) {
	known := func(bucket []byte, what string, idOf func(k, v []byte) []byte) {
		t.each(bucket, nil, func(k, v []byte) bool {
			if id := idOf(k, v); len(id) != len(OrderID{}) || t.b.Bucket(ordersBucket).Get(id) == nil {
				bad("%s %x is of no order", what, k)
			}
			return true
		})
	}
	known(timelineBucket, "a place in the timeline", func(k, _ []byte) []byte { return k[min(8, len(k)):] })
	known(historyBucket, "history", func(k, _ []byte) []byte { return k[:min(len(OrderID{}), len(k))] })
	known(ledgerBucket, "a ledger row", func(k, _ []byte) []byte { return k[:min(len(OrderID{}), len(k))] })
	known(invoicesBucket, "a payout invoice", func(_, v []byte) []byte { return v })
	known(disputesBucket, "a dispute", func(_, v []byte) []byte { return v })
	t.each(liveBucket, nil, func(k, _ []byte) bool {
		if t.b.Bucket(holdsBucket).Get(k) == nil {
			bad("live hold %x does not exist", k)
		}
		return true
	})
	if n, have := t.b.Bucket(timelineBucket).Sequence(), uint64(t.b.Bucket(ordersBucket).Stats().KeyN); n != have {
		bad("%d orders are counted, there are %d", n, have)
	}
	t.checkUsers(bad)
	t.checkSeen(bad)
	t.checkNumbers(bad)
}

func (t *tx) checkUsers(bad badFunc) {
	t.each(usersBucket, nil, func(k, v []byte) bool {
		var u User
		if err := json.Unmarshal(v, &u); err != nil || string(u.Identity[:]) != string(k) {
			bad("user %x does not read as itself: %v", k, err)
		}
		return true
	})
}

// checkSeen: each input that was done is known by its id and by its time.
func (t *tx) checkSeen(bad badFunc) {
	n := 0
	t.each(seenBucket, nil, func(k, v []byte) bool {
		n++
		var d verdict
		if err := json.Unmarshal(v, &d); err != nil || t.b.Bucket(seenAgeBucket).Get(timeKey(d.At, k)) == nil {
			bad("input %x will never be forgotten: %v", k, err)
		}
		return true
	})
	if aged := t.b.Bucket(seenAgeBucket).Stats().KeyN; aged != n {
		bad("%d inputs are known by their time, %d by their id", aged, n)
	}
}

// checkNumbers: no number will be given a second time.
func (t *tx) checkNumbers(bad badFunc) {
	if k, _ := t.b.Bucket(outboxBucket).Cursor().Last(); k != nil && uint64(timeOf(k)) > t.b.Bucket(outboxBucket).Sequence() {
		bad("outbox row %d has a number that was not given yet", timeOf(k))
	}
	for _, name := range [][]byte{historyBucket, ledgerBucket} {
		last := t.b.Bucket(name).Sequence()
		t.each(name, nil, func(k, _ []byte) bool {
			if len(k) != len(OrderID{})+8 || uint64(timeOf(k[len(OrderID{}):])) > last {
				bad("%s %x has a number that was not given yet", name, k)
			}
			return true
		})
	}
}

// checkOwed: what was decided and is not done is owed. A row that is lost leaves its order waiting for ever.
func (t *tx) checkOwed(bad badFunc) {
	owing := t.owing()
	t.each(liveBucket, nil, func(k, _ []byte) bool {
		if h, ok := t.hold(Hash(k)); ok && (h.State == HoldCreating || h.State == HoldSettling || h.State == HoldCanceling) && !owing.holds[h.Hash][h.State] {
			bad("hold %s is %s, and the outbox does not say so", h.Hash, h.State)
		}
		return true
	})
	t.each(openBucket, nil, func(k, _ []byte) bool {
		if o, ok := t.order(OrderID(k)); ok && o.Payout.InFlight && !owing.payouts[o.ID] {
			bad("order %s: its payout is under way, and the outbox does not say so", o.ID)
		}
		return true
	})
}
