package orders

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// Ended orders are kept for a time and then forgotten, with all that hangs on them: the store of an exchange that runs
// for years stays as large as that time is long. What is money's business stays until it is over: an order whose hold is
// not, for which a row is owed, whose payout invoice could still be paid, or whose seller is owed money, is kept.

const (
	maxPruned  = 500  // orders in one transaction
	pruneEvery = 3600 // seconds between two looks that found few
)

// prune forgets some of what ended more than the rules' time ago, if it is time for that.
func (e *Engine) prune(ctx context.Context, now int64) error {
	keep := e.Rules().KeepSeconds
	if keep == 0 || now < e.pruneAt.Load() && now > e.pruneAt.Load()-2*pruneEvery { // a clock that was ahead is no reason to wait
		return nil
	}
	var old oldOrders
	if err := e.read(func(t *tx) { old = t.oldOrders(now-keep, now) }); err != nil {
		return err
	}
	if len(old) > 0 {
		err := e.submit(ctx, "prune", func(t *tx) (after, error) {
			owed := t.owedOrders()
			for id, rows := range old {
				if o, ok := t.order(id); ok && t.forgettable(o, owed, now-keep, now) {
					t.dropOrder(o, rows)
				}
			}
			return after{}, nil
		})
		if err != nil {
			return fmt.Errorf("forget old orders: %w", err)
		}
		e.keys.forget(old)
		e.log.Info("ended orders forgotten", "orders", len(old))
	}
	if len(old) < maxPruned {
		e.pruneAt.Store(now + pruneEvery)
	}
	return nil
}

// oldOrders are orders to be forgotten, and those of their rows that no key of theirs leads to.
type oldOrders map[OrderID]*looseRows

type looseRows struct{ invoices, holds []Hash }

// oldOrders finds the oldest orders that can be forgotten. It reads the keys of all payout invoices and holds, outside
// the writer.
func (t *tx) oldOrders(before, now int64) oldOrders {
	old := oldOrders{}
	owed := t.owedOrders()
	t.each(timelineBucket, nil, func(k, _ []byte) bool {
		if timeOf(k) >= before || len(old) == maxPruned {
			return false
		}
		if o, ok := t.order(OrderID(k[8:])); ok && t.forgettable(o, owed, before, now) {
			old[o.ID] = &looseRows{}
		}
		return true
	})
	if len(old) == 0 {
		return nil
	}
	t.each(invoicesBucket, nil, func(k, v []byte) bool {
		if rows := old[OrderID(v)]; rows != nil {
			rows.invoices = append(rows.invoices, Hash(k))
		}
		return true
	})
	t.each(holdsBucket, nil, func(k, v []byte) bool {
		var h struct {
			Order OrderID `json:"order"`
		}
		if err := json.Unmarshal(v, &h); err != nil {
			panic(fault{fmt.Errorf("read hold %x: %w", k, err)})
		}
		if rows := old[h.Order]; rows != nil {
			rows.holds = append(rows.holds, Hash(k))
		}
		return true
	})
	return old
}

// owedOrders are those with a row in the outbox or a hold that has not ended.
func (t *tx) owedOrders() map[OrderID]bool {
	owed := t.liveOrders()
	for _, r := range t.rows() {
		owed[r.Order] = true
	}
	return owed
}

// forgettable: the order ended before that time, and nothing can come of it any more. An invoice that is paid a second
// time looks as if we had paid it, so that its hash is remembered as long as anybody could give it to us again.
func (t *tx) forgettable(o *Order, owed map[OrderID]bool, before, now int64) bool {
	return o.Status.Final() && o.UpdatedAt < before && !owed[o.ID] && o.Payout.Expires < now && o.MakerPayout.Expires < now && !t.owesBack(o.ID)
}

// owesBack: the books say that the seller has money to get back, which a person must see to.
func (t *tx) owesBack(id OrderID) bool {
	return slices.ContainsFunc(list[Entry](t, ledgerBucket, id[:]), func(e Entry) bool { return e.What == Owed })
}

// dropOrder deletes an order and everything that hangs on it. Its users stay if they have a reputation or other orders.
func (t *tx) dropOrder(o *Order, rows *looseRows) {
	t.reindex(o, false)
	t.drop(ordersBucket, o.ID[:])
	t.drop(timelineBucket, timeKey(o.CreatedAt, o.ID[:]))
	b := t.b.Bucket(timelineBucket)
	if err := b.SetSequence(b.Sequence() - 1); err != nil {
		panic(fault{fmt.Errorf("store timeline: %w", err)})
	}
	t.each(ledgerBucket, o.ID[:], func(k, _ []byte) bool {
		var en Entry
		t.get(ledgerBucket, k, &en)
		t.drop(moneyBucket, timeKey(en.At, k))
		return true
	})
	for _, bucket := range [][]byte{historyBucket, ledgerBucket} {
		var keys [][]byte
		t.each(bucket, o.ID[:], func(k, _ []byte) bool { keys = append(keys, bytes.Clone(k)); return true })
		for _, k := range keys {
			t.drop(bucket, k)
		}
	}
	if o.Dispute != nil {
		t.drop(disputesBucket, o.Dispute.ID[:])
	}
	for _, h := range rows.invoices {
		t.drop(invoicesBucket, h[:])
	}
	for _, h := range rows.holds {
		t.drop(holdsBucket, h[:])
	}
	for _, p := range []*Party{&o.Maker, &o.Taker} {
		if !p.Here() || p.Private() {
			continue
		}
		others := false
		t.each(partiesBucket, p.Identity[:], func(_, _ []byte) bool { others = true; return false })
		if u, ok := t.user(p.Identity); ok && u.Reviews == 0 && !others {
			t.drop(usersBucket, p.Identity[:])
		}
	}
}

// forget drops orders whose keys are no longer known to anybody.
func (k *knownKeys) forget(old oldOrders) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range old {
		k.drop(id)
	}
}
