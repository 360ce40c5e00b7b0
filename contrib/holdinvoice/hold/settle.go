package hold

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// Own error codes, in the range that Core Lightning leaves free.
const (
	codeNotFound   = 3001 // no such invoice
	codeWrongState = 3002 // the invoice is in another state
	codeTooLate    = 3003 // too few blocks left to settle
	codeNotYet     = 3006 // the node, or the payment, is not back yet after a start: try again
)

// settle decides that the money is ours: on disk first, then with each held part. The
// preimage may be nil if it is known. It returns once the node was told; proof follows.
// Calling again is safe, after any error too.
func (h *Holder) settle(ctx context.Context, c *contract, given *Preimage) error {
	if given != nil && given.Hash() != c.hash {
		return clnio.Errorf(clnio.CodeInvalidParams, "preimage: does not belong to the payment_hash")
	}
	if _, err := h.seal.Ready(ctx); err != nil {
		return err
	}
	h.awaitStart(ctx, c)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := h.reread(c); err != nil {
		return err
	}
	if c.inv.State == Settling || c.inv.State == Settled {
		return h.obey(c)
	}
	if err := h.maySettle(ctx, c); err != nil {
		return err
	}
	next := c.inv.clone()
	next.State, next.Settle = Settling, true
	// Crash before this: ACCEPTED, and the parts are replayed. After it: whoever reads the
	// store next resolves each part that comes back.
	if err := h.save(c, next); err != nil {
		return err
	}
	return h.obey(c)
}

// maySettle says why a settle must not begin. The caller holds c.mu.
func (h *Holder) maySettle(ctx context.Context, c *contract) error {
	if c.inv.State != Accepted {
		return wrongState(c.hash, c.inv.State)
	}
	if c.back() < c.inv.Amount {
		return refusalFor(c.hash, c.inv.State, codeNotYet, "only %d of %d msat came back after the start", c.back(), c.inv.Amount)
	}
	if !h.chain.synced() {
		return refusalFor(c.hash, c.inv.State, codeNotYet, "node is not synced, blocks left are not known")
	}
	if left := int64(c.inv.MinExpiry()) - int64(h.chain.highest()); left < int64(h.limits.SettleMin) {
		return refusalFor(c.hash, c.inv.State, codeTooLate, "%d blocks left, a settle needs %d", left, h.limits.SettleMin)
	}
	if _, err := h.seal.Open(ctx, c.hash, c.inv.Sealed); err != nil {
		return err
	}
	return nil
}

// awaitStart gives a node that has just started some seconds: to replay the parts, and to
// learn of the blocks that it missed.
func (h *Holder) awaitStart(ctx context.Context, c *contract) {
	h.until(ctx, 10*time.Second, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return (!c.recovering() || h.late) && h.chain.synced()
	})
	// Otherwise maySettle judges what is here.
}

// until waits for a condition, up to a limit, and says whether it has come.
func (h *Holder) until(ctx context.Context, limit time.Duration, so func() bool) bool {
	end := never
	if limit != never {
		end = h.clock.Elapsed() + limit
	}
	for {
		changed := h.change()
		if so() {
			return true
		}
		if !h.clock.Wait(ctx, changed, end-h.clock.Elapsed()) {
			return false
		}
	}
}

// cancel decides that the money goes back. Calling again is safe.
func (h *Holder) cancel(c *contract, reason string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := h.reread(c); err != nil {
		return err
	}
	switch c.inv.State {
	case Canceling, Canceled:
		return h.obey(c)
	case Open, Accepted:
		return h.giveBack(c, reason)
	}
	return wrongState(c.hash, c.inv.State)
}

// giveBack stores the decision to cancel and carries it out. The caller holds c.mu, and
// the state is OPEN or ACCEPTED.
func (h *Holder) giveBack(c *contract, reason string) error {
	next := c.inv.clone()
	next.State, next.Reason = Canceling, reason
	if c.inv.State == Open && len(c.inv.HTLCs) == 0 {
		next.State, next.Gone = Canceled, true
	}
	if err := h.save(c, next); err != nil {
		return err
	}
	return h.obey(c)
}

// obey gives every waiting call the answer that the stored state stands for; for a part of
// an OPEN or ACCEPTED payment that is none. It is the only place that answers a held call, in a normal run
// as after a crash. The caller holds c.mu.
func (h *Holder) obey(c *contract) error {
	switch {
	case c.doubt:
		return errors.New("what is on disk is not known")
	case c.inv.Settle:
		return h.resolveAll(c)
	case c.inv.State == Canceling || c.inv.State == Canceled || c.inv.State == Lost:
		h.refuseAll(c)
	default:
		h.refuseStrays(c)
	}
	return nil
}

// refuseStrays gives back what is held but is no part of the stored payment any more: a
// write that gave it back looked failed and was done.
func (h *Holder) refuseStrays(c *contract) {
	for _, key := range c.keys() {
		if c.inv.find(key) >= 0 {
			continue
		}
		for _, k := range c.calls[key] {
			answer(h.out, k.ID, replyTryLater(mppTimeout))
		}
		delete(c.calls, key)
	}
}

// resolveAll hands the preimage to each part. One part gives it away, so none is left out.
func (h *Holder) resolveAll(c *contract) error {
	if len(c.calls) == 0 {
		return nil
	}
	p, err := h.seal.Open(context.Background(), c.hash, c.inv.Sealed)
	if err != nil {
		return err
	}
	reply := replyResolve(p)
	for _, key := range c.keys() {
		for _, k := range c.calls[key] {
			answer(h.out, k.ID, reply)
		}
		delete(c.calls, key)
		c.paid[key] = true
	}
	h.kick()
	return nil
}

// refuseAll gives each part back, for good.
func (h *Holder) refuseAll(c *contract) {
	if len(c.calls) == 0 {
		return
	}
	for _, key := range c.keys() {
		for _, k := range c.calls[key] {
			answer(h.out, k.ID, replyUnknownDetails(k.Offer.Amount, h.chain.highest()))
		}
		delete(c.calls, key)
	}
	h.kick()
}

// keys are the parts that wait for an answer, in the same order every time.
func (c *contract) keys() []Key {
	return slices.SortedFunc(maps.Keys(c.calls), func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Scid, b.Scid), cmp.Compare(a.ID, b.ID))
	})
}

func wrongState(hash Hash, s State) error {
	return refusalFor(hash, s, codeWrongState, "Holdinvoice is in wrong state: '%s'", s)
}

// refusalFor is an error that tells the caller where the invoice stands.
func refusalFor(hash Hash, s State, code int, format string, args ...any) error {
	e := clnio.Errorf(code, format, args...)
	e.Data, _ = json.Marshal(struct {
		Hash  Hash  `json:"payment_hash"`
		State State `json:"state"`
	}{hash, s})
	return e
}
