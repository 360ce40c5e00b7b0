package hold

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Proof levels of a settle: what shows that the money is ours.
const (
	proofNone    = 0 // it was asked for
	proofTaken   = 1 // every part was answered by us and then seen in removal: the node has the preimage on disk
	proofBooked  = 2 // the node's books show the whole amount received
	proofOnChain = 3 // the same, some of it claimed on chain
)

const (
	firstLook = 20 * time.Millisecond
	slowLook  = 15 * time.Second
)

// confirm looks for the proofs that are outstanding: soon after something happened, and
// ever more rarely while nothing does.
func (h *Holder) confirm(ctx context.Context, woken bool) time.Duration {
	if woken || h.pause == 0 {
		h.pause = firstLook
	} else {
		h.pause = min(2*h.pause, slowLook)
	}
	h.confirmOnce(ctx)
	return h.pause
}

// outstanding says that something about this invoice is still to be proved.
func outstanding(inv *Invoice) bool {
	switch inv.State {
	case Settling, Canceling:
		return true
	case Settled:
		return inv.Proof < proofBooked
	}
	return false
}

// round is one look at the node; what it read is read once.
type round struct {
	h       *Holder
	held    channels
	history map[string][]htlcRow // channel → its HTLCs, from listhtlcs
	moves   bool                 // the channel moves were read
	chain   map[Hash]Msat        // claimed on chain; nil: not read
}

// confirmOnce takes what is quickly said first: the ends of cancels, then of settles, and
// the books last.
func (h *Holder) confirmOnce(ctx context.Context) {
	todo := h.all(func(inv *Invoice) bool {
		return outstanding(inv) && (inv.State != Settled || !h.moved.unavailable())
	})
	if len(todo) == 0 {
		return
	}
	held, err := h.listHeld(ctx)
	if err != nil {
		h.log.Warn("held payments cannot be listed", "err", err)
		return
	}
	r := &round{h: h, held: held, history: map[string][]htlcRow{}}
	for _, step := range []func(context.Context, *contract) error{r.proveCancel, r.proveTaken, r.proveBooked} {
		for _, c := range todo {
			if err := step(ctx, c); err != nil {
				h.log.Warn("proof is outstanding", "hash", c.hash, "err", err)
			}
		}
	}
}

// proveCancel ends CANCELING when the node holds no part of the payment any more.
func (r *round) proveCancel(_ context.Context, c *contract) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inv.State != Canceling || len(c.calls) > 0 || r.held.holds(c.hash) {
		return nil
	}
	next := c.inv.clone()
	next.State, next.Gone = Canceled, true
	return r.h.save(c, next)
}

// proveTaken ends SETTLING when each part of the set was answered with the preimage in this
// run and is now in removal. A part that is merely gone proves nothing: it may have been
// given back.
func (r *round) proveTaken(ctx context.Context, c *contract) error {
	c.mu.Lock()
	inv := c.inv.clone()
	ours := inv.Settle && inv.Proof < proofTaken && len(inv.HTLCs) > 0
	for _, part := range inv.HTLCs {
		ours = ours && c.paid[part.Key]
	}
	c.mu.Unlock()
	if !ours {
		return nil
	}
	for _, part := range inv.HTLCs {
		if taken, err := r.taken(ctx, inv.Hash, part); err != nil || !taken {
			return err
		}
	}
	return r.h.prove(c, proofTaken)
}

// taken says whether a part is seen in removal: in its channel, or in the node's history. On a channel that is closing
// that is no proof: our claim races with the payer's on the chain, and only the books say who has won.
func (r *round) taken(ctx context.Context, hash Hash, part HTLC) (bool, error) {
	if state, agreed, ok := r.held.find(hash, part); ok {
		return agreed && removing(state), nil
	}
	if !r.held.agrees(part.Scid) {
		return false, nil
	}
	rows, read := r.history[part.Scid]
	if !read {
		var err error
		if rows, err = r.h.listHTLCs(ctx, part.Scid); err != nil {
			return false, err
		}
		r.history[part.Scid] = rows
	}
	return slices.ContainsFunc(rows, func(row htlcRow) bool {
		return row.is(hash, part) && removing(row.State)
	}), nil
}

// removing says that the node has stored what becomes of an incoming HTLC.
func removing(state string) bool {
	return strings.HasPrefix(state, "SENT_REMOVE_") || strings.HasPrefix(state, "RCVD_REMOVE_")
}

// prove stores a higher proof level; the first one ends SETTLING.
func (h *Holder) prove(c *contract, level int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inv.Proof >= level || !c.inv.Settle || c.inv.State == Lost {
		return nil
	}
	next := c.inv.clone()
	next.State, next.Proof = Settled, level
	if err := h.save(c, next); err != nil {
		return err
	}
	h.log.Info("settle proved", "hash", c.hash, "level", level)
	return nil
}

// proveBooked compares what the node booked for the hash. Parts that left the channels
// without any money coming in were lost before the settle reached them; those that a closed
// channel still shows may yet be claimed on chain.
func (r *round) proveBooked(ctx context.Context, c *contract) error {
	c.mu.Lock()
	inv := c.inv.clone()
	c.mu.Unlock()
	if !inv.Settle || r.held.works(inv.Hash) {
		return nil // the books are written when the parts have left the channels
	}
	got, known, err := r.booked(ctx, &inv)
	if err != nil || !known {
		return err
	}
	if got.offChain+got.onChain >= inv.Amount {
		if got.onChain > 0 {
			return r.h.prove(c, proofOnChain)
		}
		return r.h.prove(c, proofBooked)
	}
	if r.held.shows(inv.Hash) {
		return nil
	}
	return r.h.judgeUnbooked(c, got)
}

// judgeUnbooked gives a settle up whose parts are nowhere and brought nothing, after some
// time: what the node says of one moment is not enough to call money lost.
func (h *Holder) judgeUnbooked(c *contract, got income) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inv.State != Settling || len(c.calls) > 0 || h.clock.Elapsed()-h.since < recoverTime {
		return nil
	}
	if c.missing == 0 {
		c.missing = h.clock.Elapsed()
	}
	if h.clock.Elapsed()-c.missing < recoverTime {
		return nil
	}
	next := c.inv.clone()
	next.State = Lost
	next.Reason = fmt.Sprintf("%s: %d of %d msat came in", reasonLost, got.offChain+got.onChain, c.inv.Amount)
	return h.save(c, next)
}
