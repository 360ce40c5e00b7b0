package lightning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// Blocks left until the lowest expiry of a hold invoice's parts, and what they mean. Below settleMin a settle may end
// in a closed channel and a race on the chain, so none is begun; at forceAt the exchange decides; at warnAt it tells
// people. The hold plugin's own last resort comes after all of these.
const (
	settleMin = 24
	forceAt   = 30
	warnAt    = 48
)

const (
	// proofWait is the usual EscrowConfig.ProofWait. proofPause is the time between two looks.
	proofWait  = 30 * time.Second
	proofPause = 250 * time.Millisecond
	// refusedAfter is how long a settle of the Rust plugin must have left no trace before it counts as refused by the
	// node: longer than the 70 seconds in which the node waits for further parts.
	refusedAfter = 90 * time.Second
)

// EscrowConfig says how long a hold invoice lives.
type EscrowConfig struct {
	TradeTime time.Duration // how long the sats can stay locked
	HoldCLTV  uint32        // min_final_cltv_expiry of a hold invoice, blocks
	// ProofWait is how long one call waits for the proof of a settle or cancel, which the dispatcher then calls again;
	// negative: one look. 0 is 30 seconds.
	ProofWait time.Duration
	// Lookups is how many invoices are looked up at once; 0 is 8.
	Lookups int
}

// Escrow is orders.Escrow over the node's hold plugin.
type Escrow struct {
	plugin *holdPlugin
	node   *Node
	log    *slog.Logger
	config EscrowConfig
	now    func() time.Time
	wait   time.Duration // proofWait
	pause  time.Duration // proofPause

	mu     sync.Mutex
	ready  error                     // why no new escrow can be made; nil when it can
	height uint32                    // highest block that we heard of
	gone   map[orders.Hash]time.Time // settled at the plugin, without trace at the node since
	lapsed map[orders.Hash]time.Time // accepted before, open now, since
	warned map[orders.Hash]uint32    // the height at which the deadline's last warning was given
	pokes  chan orders.Hash
	looked chan struct{} // closed after the first look at all holds
	first  sync.Once
}

func NewEscrow(n *Node, log *slog.Logger, c EscrowConfig, now func() time.Time) *Escrow {
	return &Escrow{
		plugin: &holdPlugin{node: n, log: log}, node: n, log: log, config: c, now: now, wait: cmp.Or(c.ProofWait, proofWait), pause: proofPause,
		ready: errors.New("the node was not asked yet"), gone: map[orders.Hash]time.Time{}, lapsed: map[orders.Hash]time.Time{},
		warned: map[orders.Hash]uint32{}, pokes: make(chan orders.Hash, 256),
		looked: make(chan struct{}),
	}
}

// Ready says why no new escrow can be made: no hold plugin, or a node that is behind the chain. New orders and takes
// are refused then, trades under way go on.
func (e *Escrow) Ready() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ready
}

// Look compares the node's hold invoices with the book once, as Watch does again and again.
func (e *Escrow) Look(ctx context.Context, book Book) (HoldKind, error) {
	kind, height, err := e.Check(ctx)
	if err == nil {
		e.pass(ctx, book, kind, height)
		e.first.Do(func() { close(e.looked) })
	}
	return kind, err
}

// Kind returns the hold plugin that the node has, or an error without one.
func (e *Escrow) Kind(ctx context.Context) (HoldKind, error) { return e.plugin.Kind(ctx) }

// Check asks the node anew whether escrows can be made, keeps the answer for Ready, and returns the height.
func (e *Escrow) Check(ctx context.Context) (kind HoldKind, height uint32, err error) {
	info, err := e.node.GetInfo(ctx)
	if err == nil && !info.Synced() {
		err = errors.New("the node is not in step with the chain: " + info.BitcoindSync + info.LightningdSync)
	}
	if err == nil {
		kind, err = e.plugin.Kind(ctx)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if (e.ready == nil) != (err == nil) {
		if err != nil {
			e.log.Warn("new orders are refused", "err", err)
		} else {
			e.log.Info("escrows can be made")
		}
	}
	e.ready = err
	e.height = max(e.height, info.BlockHeight)
	return kind, e.height, err
}

// Create implements orders.Escrow.
func (e *Escrow) Create(ctx context.Context, h orders.Hold, label, description string, expiry int64) (string, error) {
	if !h.Preimage.Matches(h.Hash) {
		return "", fmt.Errorf("create hold %s: preimage of another hash", h.Hash)
	}
	kind, err := e.plugin.Kind(ctx)
	if err != nil {
		return "", fmt.Errorf("create hold %s: %w", h.Hash, err)
	}
	if kind == HoldRust {
		// This plugin settles or drops a hold when the invoice expires, so it must outlive the trade.
		expiry = max(expiry, int64(2*e.config.TradeTime/time.Second)+expiry)
	}
	bolt11, err := e.plugin.create(ctx, holdRequest{h, label, description, expiry, e.config.HoldCLTV})
	if err != nil {
		return "", fmt.Errorf("create hold %s: %w", h.Hash, err)
	}
	return bolt11, nil
}

// Settle implements orders.Escrow. Nil is said on proof alone: every part was claimed and the node's database has the
// preimage (our plugin), or the node's invoice is paid in full (the Rust one).
func (e *Escrow) Settle(ctx context.Context, h orders.Hold) error {
	ctx, cancel := context.WithTimeout(ctx, e.wait+slowWait)
	defer cancel()
	err := e.settle(ctx, h)
	if errors.Is(err, errHoldUnknown) {
		// Nobody can say whether the money came or went back, so nothing follows from it but that somebody must look.
		e.log.Error("the hold plugin does not know an escrow that is to be settled", "hash", h.Hash.String(), "order", h.Order.String())
	}
	if err != nil {
		return fmt.Errorf("settle hold %s: %w", h.Hash, err)
	}
	return nil
}

func (e *Escrow) settle(ctx context.Context, h orders.Hold) error {
	s, err := e.plugin.lookup(ctx, h.Hash)
	if err != nil {
		return err
	}
	switch s.State {
	case stateAccepted:
		if err := e.mayEnd(ctx, s); err != nil {
			return err
		}
		if err := e.plugin.settle(ctx, h); err != nil {
			return err
		}
	case stateOpen, stateCreating: // after a start the parts come back one by one
		return errors.New("nothing is held yet")
	}
	return e.until(ctx, h.Hash, e.settled)
}

// mayEnd refuses to begin a settle when too few blocks are left, or when nobody knows how many.
func (e *Escrow) mayEnd(ctx context.Context, s holdStatus) error {
	info, err := e.node.GetInfo(ctx)
	if err != nil {
		return err
	}
	if !info.Synced() {
		return errors.New("the node is not in step with the chain")
	}
	if s.MinExpiry > 0 && s.MinExpiry < info.BlockHeight+settleMin {
		return fmt.Errorf("%d blocks are left, a settle needs %d", int64(s.MinExpiry)-int64(info.BlockHeight), settleMin)
	}
	return nil
}

// settled judges one look at an invoice that is to be settled.
func (e *Escrow) settled(ctx context.Context, hash orders.Hash, s holdStatus) (done bool, err error) {
	switch s.State {
	case stateSettled:
		if s.Proved {
			e.trace(hash)
			return true, nil
		}
		return false, e.refused(ctx, hash)
	case stateCanceled, stateCanceling:
		return false, orders.ErrHoldCanceled
	case stateLost:
		e.log.Error("escrow lost while it was being settled", "hash", hash.String(), "reason", s.Reason)
		return false, fmt.Errorf("%w: its payment went away: %s", orders.ErrHoldCanceled, s.Reason)
	}
	return false, nil
}

// refused finds out whether the node refused a settle that the Rust plugin had promised: nothing is held any more, and
// the invoice stays unpaid. The invoice is then taken out of the node, so that the answer is final.
func (e *Escrow) refused(ctx context.Context, hash orders.Hash) error {
	if kind, err := e.plugin.Kind(ctx); err != nil || kind != HoldRust {
		return err
	}
	channels, err := e.node.ListPeerChannels(ctx)
	if err != nil {
		return err
	}
	for _, c := range channels {
		for _, x := range c.HTLCs {
			if x.PaymentHash == hash && x.Direction == "in" {
				e.trace(hash)
				return nil
			}
		}
	}
	if e.gonefor(hash) < refusedAfter {
		return nil
	}
	if err := e.plugin.forget(ctx, hash); err != nil {
		return err
	}
	e.log.Error("the node refused a payment that the hold plugin had accepted: the payer has cheated", "hash", hash.String())
	return fmt.Errorf("%w: the node refused the payment", orders.ErrHoldCanceled)
}

func (e *Escrow) trace(hash orders.Hash) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.gone, hash)
}

func (e *Escrow) gonefor(hash orders.Hash) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	since, ok := e.gone[hash]
	if !ok {
		since = e.now()
		e.gone[hash] = since
	}
	return e.now().Sub(since)
}

// Cancel implements orders.Escrow.
func (e *Escrow) Cancel(ctx context.Context, hash orders.Hash) error {
	ctx, cancel := context.WithTimeout(ctx, e.wait+slowWait)
	defer cancel()
	if err := e.cancel(ctx, hash); err != nil && !errors.Is(err, errHoldUnknown) {
		return fmt.Errorf("cancel hold %s: %w", hash, err)
	}
	return nil
}

// cancel returns errHoldUnknown for an invoice that the plugin does not know, which is as good as canceled.
func (e *Escrow) cancel(ctx context.Context, hash orders.Hash) error {
	s, err := e.plugin.lookup(ctx, hash)
	if err != nil {
		return err
	}
	switch s.State {
	case stateOpen, stateAccepted, stateCreating:
		if err := e.plugin.cancel(ctx, hash); err != nil {
			return err
		}
	case stateSettling:
		return errors.New("it is being settled")
	}
	return e.until(ctx, hash, e.canceled)
}

// canceled judges one look at an invoice that is to be canceled.
func (e *Escrow) canceled(ctx context.Context, hash orders.Hash, s holdStatus) (done bool, err error) {
	switch s.State {
	case stateSettled, stateSettling:
		return false, orders.ErrHoldSettled
	case stateLost:
		return true, nil
	case stateCanceled:
		kind, err := e.plugin.Kind(ctx)
		if err != nil || kind == HoldOurs {
			return err == nil, err
		}
		channels, err := e.node.ListPeerChannels(ctx)
		if err != nil || held(channels, hash).Count > 0 {
			return false, err
		}
		return true, e.plugin.forget(ctx, hash)
	}
	return false, nil
}

// until looks again and again until done is said, an error comes, or proofWait is over. It looks once at least.
func (e *Escrow) until(ctx context.Context, hash orders.Hash, judge func(context.Context, orders.Hash, holdStatus) (bool, error)) error {
	for begun := e.now(); ; {
		s, err := e.plugin.lookup(ctx, hash)
		if err != nil {
			return err
		}
		if done, err := judge(ctx, hash, s); done || err != nil {
			return err
		}
		if e.now().Sub(begun) >= e.wait {
			return fmt.Errorf("no proof yet, the plugin says %s", s.State)
		}
		pause := time.NewTimer(e.pause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}
