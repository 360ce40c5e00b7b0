package orders

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Check looks at the whole store and reports everything that must never be. Nil means sound. It reads only; it is for
// tests, the simulator and the operator's self-examination.
func (s *Store) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	// bbolt's own check of pages works in a goroutine of its own, where nothing can catch what a damaged page does.
	if err := s.checkPages(); err != nil {
		return err
	}
	err := s.view(func(t *tx) (err error) {
		defer func() {
			if f, ok := recover().(fault); ok {
				err = f.err
			}
		}()
		live := t.liveOrders()
		t.each(ordersBucket, nil, func(k, v []byte) bool {
			o := &Order{}
			if err := json.Unmarshal(v, o); err != nil || o.ID != OrderID(k) {
				bad("order %x does not read as itself: %w", k, err)
				return true
			}
			t.checkOrder(o, bad)
			if o.Status.Final() && !live[o.ID] {
				t.checkNothingLocked(o, bad)
			}
			return true
		})
		t.checkIndexes(bad)
		t.checkHolds(bad)
		t.checkRows(bad)
		t.checkOwed(bad)
		t.checkAudit(bad)
		return nil
	})
	return errors.Join(append(errs, err)...)
}

// checkPages begins again where commits were faster than the look at the meta page, which takes microseconds.
func (s *Store) checkPages() (err error) {
	for range 100 {
		err = s.view(func(t *tx) error { return inspectAt(s.path, uint64(t.b.ID())) })
		if !errors.Is(err, errNoMeta) {
			break
		}
	}
	return err
}

type badFunc func(format string, args ...any)

func (t *tx) checkOrder(o *Order, bad badFunc) {
	if !slices.Contains(Statuses, o.Status) {
		bad("order %s: status %q is unknown", o.ID, o.Status)
	}
	has := func(bucket, key []byte) bool { return t.b.Bucket(bucket).Get(key) != nil }
	if has(openBucket, o.ID[:]) == o.Status.Final() {
		bad("order %s: %s and the index of open orders disagree", o.ID, o.Status)
	}
	if o.Deadline != 0 && !has(deadlinesBucket, timeKey(o.Deadline, o.ID[:])) {
		bad("order %s: its deadline is not in the index", o.ID)
	}
	if o.Status.Final() && o.Deadline != 0 {
		bad("order %s: ended and has a deadline", o.ID)
	}
	if o.takerOwes() != (o.Taker.Here() && has(dutiesBucket, join(o.Taker.Identity[:], o.ID[:]))) {
		bad("order %s: the index of duties is wrong", o.ID)
	}
	if !o.Hold.IsZero() && !has(holdsBucket, o.Hold[:]) {
		bad("order %s: its hold %s does not exist", o.ID, o.Hold)
	}
	if !has(timelineBucket, timeKey(o.CreatedAt, o.ID[:])) {
		bad("order %s: not in the timeline", o.ID)
	}
	for _, p := range []*Payout{&o.Payout, &o.MakerPayout} {
		if !p.Hash.IsZero() && !has(invoicesBucket, p.Hash[:]) {
			bad("order %s: its payout invoice is not in the index", o.ID)
		}
	}
	for _, p := range []*Party{&o.Maker, &o.Taker} {
		if p.Here() && !p.Private() && !has(usersBucket, p.Identity[:]) {
			bad("order %s: one of its parties is not known", o.ID)
		}
		if p.Here() && !has(partiesBucket, join(p.Identity[:], timeKey(o.CreatedAt, o.ID[:]))) {
			bad("order %s: not in the index of its parties", o.ID)
		}
	}
	if (o.Status == Pending || o.Status == Expired) && (o.Taker.Here() || !o.Hold.IsZero()) {
		bad("order %s: %s with a taker or a hold", o.ID, o.Status)
	}
	if o.Status.Final() != has(endedBucket, timeKey(o.UpdatedAt, o.ID[:])) {
		bad("order %s: %s and the index of ended orders disagree", o.ID, o.Status)
	}
	if f := o.Tariff; f != nil && o.Amount != 0 && o.Fees != NewFees(o.Amount, f.Rate, f.Payer) {
		bad("order %s: fees %+v on %s, not those of %+v", o.ID, o.Fees, o.Amount, *f)
	}
	t.checkDispute(o, bad)
	t.checkHistory(o, bad)
	t.checkMoney(o, bad)
}

// checkDispute: who is in dispute has one, and it ends with the decision on the money.
func (t *tx) checkDispute(o *Order, bad badFunc) {
	d := o.Dispute
	if d == nil {
		if o.Status == InDispute {
			bad("order %s: in dispute without one", o.ID)
		}
		return
	}
	if of, ok := t.disputed(d.ID); !ok || of != o.ID || t.b.Bucket(casesBucket).Get(timeKey(d.OpenedAt, d.ID[:])) == nil {
		bad("order %s: its dispute is not in the index", o.ID)
	}
	decided := o.Status.Final() || o.Status == SettledHoldInvoice
	won := map[bool]DisputeState{true: DisputeSettled, false: DisputeRefunded}[o.Status == Success || o.Status == SettledHoldInvoice]
	if d.State.Ended() != decided || decided && d.State != won || (d.EndedAt != 0) != decided {
		bad("order %s: %s, and its dispute is %s", o.ID, o.Status, d.State)
	}
	if d.State == DisputeInProgress && d.TakenAt == 0 || d.State == DisputeInitiated && !d.Solver.IsZero() {
		bad("order %s: its dispute is %s and taken at %d", o.ID, d.State, d.TakenAt)
	}
}

// checkHistory follows the recorded transitions: each begins where the one before ended, and the table allows it.
func (t *tx) checkHistory(o *Order, bad badFunc) {
	at := newborn
	for _, h := range list[Transition](t, historyBucket, o.ID[:]) {
		allowed := slices.ContainsFunc(lifecycle[h.From], func(r row) bool { return r.on == h.On && r.to == h.To })
		if h.From != at || !allowed {
			bad("order %s: history has %s → %s on %s", o.ID, h.From, h.To, h.On)
		}
		at = h.To
	}
	if at != o.Status {
		bad("order %s: history ends at %s, the order is %s", o.ID, at, o.Status)
	}
}

// sums adds up an order's ledger by kind.
func (t *tx) sums(id OrderID) (sum map[EntryKind]Msats, count map[EntryKind]int) {
	sum, count = make(map[EntryKind]Msats), make(map[EntryKind]int)
	for _, e := range list[Entry](t, ledgerBucket, id[:]) {
		sum[e.What] = addMsats(sum[e.What], e.Msats)
		count[e.What]++
	}
	return sum, count
}

// checkMoney: settled only after a release, paid only what was settled, at most once, and the sum is right.
func (t *tx) checkMoney(o *Order, bad badFunc) {
	sum, count := t.sums(o.ID)
	settledStatus := o.Status == SettledHoldInvoice || o.Status == Success
	settled, ours := sum[Settled]-sum[Owed], count[Settled]-count[Owed] // without what the node settled by itself
	switch {
	case settledStatus != (ours > 0):
		bad("order %s: %s with %d settled holds", o.ID, o.Status, ours)
	case count[Paid] > 1 || ours > 1:
		bad("order %s: %d payouts, %d settled holds", o.ID, count[Paid], ours)
	case (o.Status == Success) != (count[Paid] == 1):
		bad("order %s: %s with %d payouts", o.ID, o.Status, count[Paid])
	case o.Status == Success && settled != sum[Paid]+sum[Kept]:
		bad("order %s: settled %d, paid %d, kept %d msat", o.ID, settled, sum[Paid], sum[Kept])
	case sum[Settled]+sum[Refunded] > sum[Locked]:
		bad("order %s: locked %d, settled %d, refunded %d msat", o.ID, sum[Locked], sum[Settled], sum[Refunded])
	case sum[Paid] > settled:
		bad("order %s: paid %d of %d msat settled", o.ID, sum[Paid], settled)
	}
}

// liveOrders are those with a hold that has not ended.
func (t *tx) liveOrders() map[OrderID]bool {
	live := map[OrderID]bool{}
	t.each(liveBucket, nil, func(k, _ []byte) bool {
		if h, ok := t.hold(Hash(k)); ok {
			live[h.Order] = true
		}
		return true
	})
	return live
}

// checkNothingLocked: where all holds have ended, what was locked went one way or the other, and a payout names its price.
func (t *tx) checkNothingLocked(o *Order, bad badFunc) {
	sum, count := t.sums(o.ID)
	if sum[Locked] != sum[Settled]+sum[Refunded] {
		bad("order %s: ended with %d msat locked, %d settled, %d refunded", o.ID, sum[Locked], sum[Settled], sum[Refunded])
	}
	if count[Paid] != count[Routed] {
		bad("order %s: %d payouts, and the price of %d", o.ID, count[Paid], count[Routed])
	}
}

// checkIndexes: no index row without what it indexes.
func (t *tx) checkIndexes(bad badFunc) {
	t.each(openBucket, nil, func(k, _ []byte) bool {
		if _, ok := t.order(OrderID(k)); !ok {
			bad("open order %x does not exist", k)
		}
		return true
	})
	t.each(deadlinesBucket, nil, func(k, _ []byte) bool {
		if o, ok := t.order(OrderID(k[8:])); !ok || o.Deadline != timeOf(k) {
			bad("deadline %x is not its order's", k)
		}
		return true
	})
	t.checkTimes(bad)
	t.each(partiesBucket, nil, func(k, _ []byte) bool {
		o, ok := t.order(OrderID(k[40:]))
		if who := PubKey(k[:32]); !ok || o.Maker.Identity != who && o.Taker.Identity != who {
			bad("party %x is not its order's", k)
		}
		return true
	})
	t.each(casesBucket, nil, func(k, _ []byte) bool {
		id, ok := t.disputed(DisputeID(k[8:]))
		o, known := t.order(id)
		if !ok || !known || o.Dispute == nil || o.Dispute.ID != DisputeID(k[8:]) {
			bad("dispute %x is not its order's", k)
		}
		return true
	})
	t.each(dutiesBucket, nil, func(k, _ []byte) bool {
		if o, ok := t.order(OrderID(k[32:])); !ok || !o.takerOwes() {
			bad("duty %x is not its order's", k)
		}
		return true
	})
}

// checkTimes: every ledger row is in the index by time, and nothing else.
func (t *tx) checkTimes(bad badFunc) {
	if a, b := t.b.Bucket(ledgerBucket).Stats().KeyN, t.b.Bucket(moneyBucket).Stats().KeyN; a != b {
		bad("the ledger has %d rows, its index by time %d", a, b)
	}
	t.each(moneyBucket, nil, func(k, _ []byte) bool {
		var e Entry
		if !t.get(ledgerBucket, k[8:], &e) || e.At != timeOf(k) {
			bad("ledger row %x is not in its place by time", k[8:])
		}
		return true
	})
	t.each(endedBucket, nil, func(k, _ []byte) bool {
		if o, ok := t.order(OrderID(k[8:])); !ok || !o.Status.Final() || o.UpdatedAt != timeOf(k) {
			bad("ended order %x is not in its place by time", k[8:])
		}
		return true
	})
}

// checkHolds: every hold has an owner, and its state goes with the order's.
func (t *tx) checkHolds(bad badFunc) {
	t.each(holdsBucket, nil, func(k, _ []byte) bool {
		h, _ := t.hold(Hash(k))
		if !h.Preimage.Matches(h.Hash) {
			bad("hold %s: its preimage does not match", h.Hash)
		}
		if (t.b.Bucket(liveBucket).Get(k) != nil) == h.State.Ended() {
			bad("hold %s: %s and the index of live holds disagree", h.Hash, h.State)
		}
		o, ok := t.order(h.Order)
		if !ok {
			bad("hold %s has no order", h.Hash)
			return true
		}
		if h.Held > 0 && !t.booked(h, Locked) {
			bad("hold %s: holds %d msat, and the ledger does not say so", h.Hash, h.Held)
		}
		if h.State == HoldSettled && t.booked(h, Owed) { // the node settled it by itself
			return true
		}
		current := o.Hold == h.Hash
		switch settles := h.State == HoldSettling || h.State == HoldSettled; {
		case settles && !(current && slices.Contains([]Status{Settling, SettledHoldInvoice, Success, Frozen}, o.Status)):
			bad("hold %s: %s, its order is %s", h.Hash, h.State, o.Status)
		case !current && !h.State.Ended() && h.State != HoldCanceling:
			bad("hold %s: %s, abandoned and not canceled", h.Hash, h.State)
		case current && o.Status.Final() && o.Status != Success && !h.State.Ended() && h.State != HoldCanceling:
			bad("hold %s: %s, its order is %s", h.Hash, h.State, o.Status)
		}
		return true
	})
}

// booked reports whether the ledger of the hold's order has such a row about the hold.
func (t *tx) booked(h *Hold, what EntryKind) bool {
	return slices.ContainsFunc(list[Entry](t, ledgerBucket, h.Order[:]), func(e Entry) bool { return e.What == what && e.Hash == h.Hash })
}

// checkAudit: the audit has every number that was given, and each row reads.
func (t *tx) checkAudit(bad badFunc) {
	next := uint64(1)
	t.each(auditBucket, nil, func(k, v []byte) bool {
		if !bytes.Equal(k, number(next)) {
			bad("audit: after row %d comes %x", next-1, k)
			return false
		}
		next++
		if err := json.Unmarshal(v, &Record{}); err != nil {
			bad("audit row %d: %w", next-1, err)
		}
		return true
	})
	if given := t.b.Bucket(auditBucket).Sequence(); given != next-1 {
		bad("audit: %d rows were written, the last one is %d", given, next-1)
	}
}
