package hold

import (
	"context"
	"time"
)

const (
	// KeepRecords is how long the record of an ended invoice stays, by default.
	KeepRecords = 30 * 24 * time.Hour
	// retireAge is how long an ended invoice stays in memory: until everyone who may still
	// ask the hook for it, and the guard, has heard of its end.
	retireAge = time.Hour
	// lostAge is the same for what was lost: should a part of it turn up again, the decision is
	// carried out.
	lostAge = 24 * time.Hour
	// retirePause is how often we look for what can go.
	retirePause = time.Minute
	// retireAtOnce bounds one transaction.
	retireAtOnce = 500
)

// retire takes what ended some time ago out of memory, and prunes what ended long ago.
func (h *Holder) retire(context.Context, bool) time.Duration {
	now := h.clock.Now()
	for {
		list := h.retirable(now)
		if len(list) == 0 {
			break
		}
		hashes := make([]Hash, len(list))
		for i, c := range list {
			hashes[i] = c.hash
		}
		if err := h.vault.Retire(hashes); err != nil {
			h.log.Error("ended invoices cannot be retired yet", "err", err)
			return retirePause
		}
		h.remove(list...)
		h.moved.forget(hashes)
	}
	for h.keepFor >= 0 {
		n, err := h.vault.Prune(now.Add(-h.keepFor).Unix(), retireAtOnce)
		if err != nil {
			h.log.Error("old invoices cannot be pruned yet", "err", err)
		}
		if n < retireAtOnce {
			break
		}
	}
	return retirePause
}

// retirable returns some contracts of which nothing can follow any more.
func (h *Holder) retirable(now time.Time) []*contract {
	young, youngLost := now.Add(-retireAge).Unix(), now.Add(-lostAge).Unix()
	blind := h.moved.unavailable()
	list := h.all(func(inv *Invoice) bool {
		proved := !outstanding(inv) || inv.State == Settled && blind
		old := inv.EndedAt <= young && (inv.State != Lost || inv.EndedAt <= youngLost)
		return inv.State.Final() && proved && old
	})
	chosen := list[:0]
	for _, c := range list {
		c.mu.Lock()
		idle := !c.doubt && len(c.calls) == 0 && len(c.undecided) == 0
		c.mu.Unlock()
		if idle && !h.told.has(c.hash) && len(chosen) < retireAtOnce {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// past finds an invoice that is not in memory any more, by its record or by its tomb.
// Nothing of it is held, and nothing can be.
func (h *Holder) past(hash Hash) (*view, error) {
	inv, err := h.vault.Get(hash)
	if err != nil {
		return nil, err
	}
	if inv != nil && inv.State != Creating {
		v := h.show(inv)
		return &v, nil
	}
	t, err := h.vault.Tomb(hash)
	if err != nil || t == nil {
		return nil, err
	}
	return &view{
		Hash: hash, State: t.State, Amount: t.Amount, Proof: t.Proof, HTLCs: []htlcView{},
		Confirmed: t.State == Canceled || t.Proof >= proofBooked, EndedAt: t.EndedAt, Pruned: true,
	}, nil
}
