package hold

import (
	"context"
	"fmt"
	"time"
)

// recoverHeld finds the end of each accepted payment whose parts have not come back after a
// start. The node replays what it still holds as soon as every plugin is ready; in a node
// that was running already, nothing comes: a predecessor that died lost all its holds.
func (h *Holder) recoverHeld(ctx context.Context, _ bool) time.Duration {
	if h.recoverOnce(ctx) == 0 {
		return over
	}
	return slowLook
}

// recoverOnce judges what is missing by what the node shows, and returns how many payments
// it must look at again.
func (h *Holder) recoverOnce(ctx context.Context) (left int) {
	missing := h.all(func(inv *Invoice) bool { return inv.State == Accepted })
	if len(missing) == 0 {
		return 0
	}
	held, err := h.listHeld(ctx)
	if err != nil {
		h.log.Warn("held payments cannot be listed", "err", err)
		return len(missing)
	}
	for _, c := range missing {
		c.mu.Lock()
		if c.recovering() && !h.judgeMissing(c, held) {
			left++
		}
		c.mu.Unlock()
	}
	return left
}

// judgeMissing says whether nothing more is to be awaited for c. A part that the node still
// holds is with another plugin and may yet come; one that it does not hold is gone. What is
// left of the payment stays accepted only if it covers the invoice. The caller holds c.mu.
func (h *Holder) judgeMissing(c *contract, held channels) (done bool) {
	next := c.inv.clone()
	next.HTLCs = nil
	var sum Msat
	for _, part := range c.inv.HTLCs {
		switch {
		case c.live[part.Key]:
		case held.holdsPart(c.hash, part):
			h.log.Error("part is held by the node but was not given to us", "hash", c.hash, "channel", part.Scid, "htlc", part.ID)
			return false
		default:
			continue
		}
		next.HTLCs = append(next.HTLCs, part)
		sum += part.Amount
	}
	if sum < c.inv.Amount {
		h.log.Error("accepted payment is lost", "hash", c.hash, "left_msat", sum, "amount_msat", c.inv.Amount)
		next = c.inv.clone()
		next.State, next.Reason = Lost, reasonLost
		if h.late {
			next.Reason = "plugin_died"
		}
	} else {
		h.log.Error("accepted payment lost parts but still covers the amount", "hash", c.hash, "left_msat", sum)
	}
	if err := h.save(c, next); err != nil {
		return false
	}
	if err := h.obey(c); err != nil {
		h.log.Error("decision cannot be carried out yet", "hash", c.hash, "err", err)
	}
	return true
}

// dropUnfinished ends invoices that a crash left half made. They were never handed out, so
// nobody can have paid them; the node must not keep a row that it would settle by itself.
func (h *Holder) dropUnfinished() func(context.Context, bool) time.Duration {
	pause := 100 * time.Millisecond
	return func(ctx context.Context, _ bool) time.Duration {
		if h.dropHalfMade(ctx) == 0 {
			return over
		}
		pause = min(2*pause, slowLook)
		return pause
	}
}

// dropHalfMade tries once and returns how many are left.
func (h *Holder) dropHalfMade(ctx context.Context) (left int) {
	for _, c := range h.all(func(inv *Invoice) bool { return inv.State == Creating && inv.CreatedAt < h.begun.Unix() }) {
		if err := h.dropOne(ctx, c); err != nil {
			h.log.Warn("half-made invoice cannot be removed yet", "hash", c.hash, "err", err)
			left++
		}
	}
	return left
}

func (h *Holder) dropOne(ctx context.Context, c *contract) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inv.State != Creating || c.making {
		return nil
	}
	if err := h.deleteRow(ctx, &c.inv); err != nil {
		return fmt.Errorf("remove the node's row: %w", err)
	}
	// In this order: what the datastore calls alive and the store does not know would look
	// like a loss.
	if err := h.mirrorNow(ctx, c.hash, Canceled); err != nil {
		return fmt.Errorf("tell the guard: %w", err)
	}
	if err := h.vault.Drop(c.hash); err != nil {
		return err
	}
	h.remove(c)
	return nil
}

// dropStrangers ends what the datastore says is alive and the store does not know, as after
// the loss of the store: we cannot serve it, and the guard must not hold it for ever.
func (h *Holder) dropStrangers(ctx context.Context, _ bool) time.Duration {
	alive, err := readMirror(ctx, h.clock, h.node)
	if err != nil {
		h.log.Warn("datastore cannot be compared with the store", "err", err)
		return slowLook
	}
	for _, hash := range sortedHashes(alive) {
		if err := h.compare(hash, alive[hash]); err != nil {
			h.log.Warn("datastore cannot be compared with the store", "hash", hash, "err", err)
			return slowLook
		}
	}
	return over
}

// compare mends what the datastore says of one hash.
func (h *Holder) compare(hash Hash, state State) error {
	if c := h.find(hash); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		h.told.set(hash, c.inv.State)
		return nil
	}
	ended, err := h.past(hash)
	if err != nil {
		return err
	}
	if ended != nil {
		h.told.set(hash, ended.State)
		return nil
	}
	h.reserving.Lock() // what is made just now is not lost
	defer h.reserving.Unlock()
	if h.find(hash) != nil {
		return nil
	}
	h.log.Error("store does not know an invoice that was alive", "hash", hash, "state", state)
	h.notify(StateNote{Hash: hash, State: Lost, From: state, Reason: "store_lost"})
	h.told.set(hash, Lost)
	return nil
}
