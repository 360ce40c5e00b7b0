package orders

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/orders/planted"
)

// carryOut does one row. gone: it has left the outbox. Else it is tried again after wait, or after a growing pause if
// there is an error.
func (d *dispatcher) carryOut(ctx context.Context, r *Row, more bool) (gone bool, wait time.Duration, err error) {
	if owed, err := d.e.owes(r.Number); err != nil || !owed { // a commit that seemed to fail may have taken it out
		return err == nil, 0, err
	}
	switch e := r.Effect.(type) {
	case *Letter:
		return d.letter(ctx, r, e)
	case *Announcement:
		if !more && d.p.Now().Unix() < e.Expiration { // a newer one of the same order makes this one void, and so does its end
			if err := d.p.Courier.Announce(ctx, *e); err != nil && !planted.On("order-event-lost") {
				return false, 0, fmt.Errorf("announce: %w", err)
			}
		}
	case *RatingNote:
		if !more && d.p.Now().Sub(time.Unix(e.Stamp, 0)) < maxLetterAge {
			if err := d.p.Courier.Rate(ctx, *e); err != nil {
				return false, 0, fmt.Errorf("publish a rating: %w", err)
			}
		}
	case *DisputeNote:
		if !more && d.p.Now().Unix() < e.Expiration {
			if err := d.p.Courier.Dispute(ctx, *e); err != nil {
				return false, 0, fmt.Errorf("publish a dispute: %w", err)
			}
		}
	case *ResolvePayout:
		return d.resolve(ctx, r, e)
	case *Alert:
		d.alert(r, e)
	case *CreateHold:
		return d.createHold(ctx, r, e)
	case *SettleHold:
		return d.settleHold(ctx, r, e)
	case *CancelHold:
		return d.cancelHold(ctx, r, e)
	case *Pay:
		return d.pay(ctx, r, e)
	}
	return d.finish(ctx, r)
}

// owes reports whether a row is in the outbox.
func (e *Engine) owes(row uint64) (ok bool, err error) {
	err = e.read(func(t *tx) { ok = t.hasRow(row) })
	return ok, err
}

// maxLetterAge is how long a message, or a rating, is tried; a message's NIP-40 expiration is no later.
const maxLetterAge = 30 * 24 * time.Hour

func (d *dispatcher) letter(ctx context.Context, r *Row, l *Letter) (bool, time.Duration, error) {
	if d.p.Now().Sub(time.Unix(l.At, 0)) > maxLetterAge {
		d.e.log.Warn("message given up: no relay took it in 30 days", "order", r.Order.String(), "action", string(l.Action))
		return d.finish(ctx, r)
	}
	if err := d.p.Courier.Deliver(ctx, *l); err != nil && !planted.On("letter-lost") {
		return false, 0, fmt.Errorf("deliver %s: %w", l.Action, err)
	}
	return d.finish(ctx, r)
}

// finish takes a row out that needs no report.
func (d *dispatcher) finish(ctx context.Context, r *Row) (bool, time.Duration, error) {
	err := d.e.submit(ctx, effectKind(r.Effect), func(t *tx) (after, error) {
		t.dropRow(r.Number)
		return after{}, nil
	})
	return err == nil, 0, err
}

// report does the input that the row has led to, and takes the row out in the same commit. Its id is the row's: what
// somebody else has reported of the same hash before, perhaps too early for the order, does not make it a repeat.
func (d *dispatcher) report(ctx context.Context, r *Row, act Act) (bool, time.Duration, error) {
	if planted.On("report-after-row") {
		if gone, _, err := d.finish(ctx, r); !gone {
			return false, 0, err
		}
	}
	in := Input{ID: NodeID(act.On(), number(r.Number)), At: d.p.Now().Unix(), Seed: d.p.NewSeed(), Order: r.Order, Act: act}
	_, err := d.e.do(ctx, in, r.Number)
	if err == nil {
		d.e.calls.forget(r.Number)
	}
	return err == nil, 0, err
}

func (d *dispatcher) hold(hash Hash) (Hold, error) {
	h, ok, err := d.e.Hold(hash)
	if err == nil && !ok {
		err = fmt.Errorf("hold %s is not in the store", hash)
	}
	return h, err
}

func (d *dispatcher) createHold(ctx context.Context, r *Row, c *CreateHold) (bool, time.Duration, error) {
	h, err := d.hold(c.Hash)
	if err != nil {
		return false, 0, err
	}
	if h.State != HoldCreating && !planted.On("create-after-cancel") { // it was canceled before it could be made
		return d.finish(ctx, r)
	}
	label := fmt.Sprintf("mostro/%s/%x", h.Order, h.Hash[:4])
	bolt11, err := d.p.Escrow.Create(ctx, h, label, c.Description, c.Expiry)
	if err != nil {
		return false, 0, fmt.Errorf("create hold %s: %w", c.Hash, err)
	}
	return d.report(ctx, r, HoldCreated{Hash: c.Hash, Bolt11: bolt11})
}

func (d *dispatcher) settleHold(ctx context.Context, r *Row, s *SettleHold) (bool, time.Duration, error) {
	h, err := d.hold(s.Hash)
	if err != nil {
		return false, 0, err
	}
	if h.State != HoldSettling { // it was given up before it could be settled: frozen, and perhaps decided otherwise
		return d.finish(ctx, r)
	}
	switch err = d.p.Escrow.Settle(ctx, h); {
	case err == nil, planted.On("payout-before-settle"):
		return d.report(ctx, r, HoldIsSettled{Hash: s.Hash})
	case errors.Is(err, ErrHoldCanceled):
		return d.report(ctx, r, HoldIsCanceled{Hash: s.Hash, Why: err.Error()})
	}
	return false, 0, fmt.Errorf("settle hold %s: %w", s.Hash, err)
}

func (d *dispatcher) cancelHold(ctx context.Context, r *Row, c *CancelHold) (bool, time.Duration, error) {
	switch err := d.p.Escrow.Cancel(ctx, c.Hash); {
	case err == nil, planted.On("cancel-unconfirmed"):
		return d.report(ctx, r, HoldIsCanceled{Hash: c.Hash, Why: "canceled by us"})
	case errors.Is(err, ErrHoldSettled):
		return d.report(ctx, r, HoldIsSettled{Hash: c.Hash})
	default:
		return false, 0, fmt.Errorf("cancel hold %s: %w", c.Hash, err)
	}
}

// resolve asks the buyer's destination for an invoice. Nothing is paid here: the invoice and its hash are committed
// first, so that a repeat of the payment is a repeat of the same one.
func (d *dispatcher) resolve(ctx context.Context, r *Row, p *ResolvePayout) (bool, time.Duration, error) {
	invoice, hash, expires, err := d.p.Resolver.Resolve(ctx, p.Destination, p.Amount)
	var no *ResolveError
	switch {
	case errors.As(err, &no):
		d.e.log.Warn("no invoice from the buyer's destination", "order", r.Order.String(), "err", no.Why)
		return d.report(ctx, r, PayoutFailed{Why: no.Why, Fatal: no.Fatal})
	case err != nil:
		return false, 0, fmt.Errorf("ask the buyer's destination: %w", err)
	}
	return d.report(ctx, r, PayoutResolved{Destination: p.Destination, Invoice: invoice, Hash: hash, Expires: expires})
}

// pendingPoll is how often a payment under way is asked for; notifications make it sooner.
const pendingPoll = 15 * time.Second

// pay finds out first and pays last. The node's own record decides; what a call returned never does.
//
//	record says paid               → report it
//	record says pending or unknown → wait
//	record says nothing is alive   → not begun: look for other invoices of the order, mark, pay, look again
//	                                 begun, and the call may still be running: wait
//	                                 begun, and the call is over: this attempt has failed
func (d *dispatcher) pay(ctx context.Context, r *Row, p *Pay) (bool, time.Duration, error) {
	rep, err := d.p.Payer.Ask(ctx, p.Hash)
	if err != nil {
		return false, 0, fmt.Errorf("ask for payout %s: %w", p.Hash, err)
	}
	switch {
	case rep.State == PayDone && !rep.Preimage.Matches(p.Hash):
		return false, 0, fmt.Errorf("payout %s: the node's preimage does not match", p.Hash)
	case rep.State == PayDone:
		return d.report(ctx, r, PayoutPaid{Hash: p.Hash, Preimage: rep.Preimage, Fee: rep.Fee})
	case rep.State != PayNever && !planted.On("unknown-is-failed"):
		return false, pendingPoll, nil
	case p.Over || p.Began != 0 && !d.mayRun(r, p):
		return d.report(ctx, r, PayoutFailed{Hash: p.Hash, Why: p.Why, Fatal: p.Fatal})
	case p.Began != 0:
		return false, min(pendingPoll, time.Duration(d.p.Payer.Patience())*time.Second), nil
	}
	if gone, wait, err := d.elsewhere(ctx, r, p); gone || wait > 0 || err != nil {
		return gone, wait, err
	}
	return d.send(ctx, r, p)
}

// elsewhere finds a payment of the same order by another invoice, which an older store does not know of: the order was
// paid after the backup was taken. One that has arrived is the payout; one that may still arrive is waited for.
func (d *dispatcher) elsewhere(ctx context.Context, r *Row, p *Pay) (gone bool, wait time.Duration, err error) {
	others, err := d.p.Payer.Claim(ctx, r.Order, p.Hash)
	if err != nil {
		return false, 0, fmt.Errorf("note payout %s at the node: %w", p.Hash, err)
	}
	for _, hash := range others {
		rep, err := d.p.Payer.Ask(ctx, hash)
		switch {
		case err != nil:
			return false, 0, fmt.Errorf("ask for payout %s: %w", hash, err)
		case rep.State == PayDone && !rep.Preimage.Matches(hash):
			return false, 0, fmt.Errorf("payout %s: the node's preimage does not match", hash)
		case rep.State == PayDone:
			return d.report(ctx, r, PayoutPaid{Hash: hash, Preimage: rep.Preimage, Fee: rep.Fee, Instead: p.Hash})
		case rep.State != PayNever && !planted.On("unknown-is-failed"):
			wait = pendingPoll
		}
	}
	return false, wait, nil
}

// mayRun reports whether a call whose answer was lost may still send parts of the payment. Its time is counted from when
// this process has met it first, on a clock that does not jump: Began is of one that does.
func (d *dispatcher) mayRun(r *Row, p *Pay) bool {
	if p.Session != d.p.Payer.Session() || planted.On("patience-forgotten") {
		return false
	}
	if planted.On("clock-trusted") {
		return d.p.Now().Unix() < p.Began+d.p.Payer.Patience()
	}
	if planted.On("session-not-compared") && !d.e.calls.knows(r.Number) {
		return false
	}
	now := d.p.elapsed()
	return now-d.e.calls.since(r.Number, now) < time.Duration(d.p.Payer.Patience())*time.Second
}

// calls are the payment calls that this process knows to have begun, by the number of their row.
type calls struct {
	mu  sync.Mutex
	met map[uint64]time.Duration // when, by Ports.Elapsed
}

// begin notes that the call of that row is begun now, whatever was tried before.
func (c *calls) begin(row uint64, now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.met == nil {
		c.met = map[uint64]time.Duration{}
	}
	c.met[row] = now
}

// since is when the call of that row was met first: now, if it was not before.
func (c *calls) since(row uint64, now time.Duration) time.Duration {
	c.mu.Lock()
	at, ok := c.met[row]
	c.mu.Unlock()
	if !ok {
		c.begin(row, now)
		return now
	}
	return at
}

func (c *calls) knows(row uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.met[row]
	return ok
}

func (c *calls) forget(row uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.met, row)
}

// send marks the attempt as begun, on disk, and only then asks the node to pay.
func (d *dispatcher) send(ctx context.Context, r *Row, p *Pay) (bool, time.Duration, error) {
	p.Began, p.Session = d.p.Now().Unix(), d.p.Payer.Session()
	d.e.calls.begin(r.Number, d.p.elapsed())
	if err := d.keep(ctx, r); err != nil && !planted.On("mark-forgotten") {
		p.Began, p.Session = 0, ""
		return false, 0, err
	}
	err := d.p.Payer.Send(ctx, *p, fmt.Sprintf("mostro/%s/%d", r.Order, p.Attempt))
	var over *PayError
	if !errors.As(err, &over) {
		if err == nil || !planted.On("lost-answer-is-no") {
			return false, 0, err
		}
		over = &PayError{Why: err.Error()}
	}
	d.e.log.Warn("payout attempt came back", "order", r.Order.String(), "attempt", p.Attempt, "hash", p.Hash.String(), "err", over.Why)
	p.Over, p.Why, p.Fatal = true, over.Why, over.Fatal
	return false, 0, d.keep(ctx, r)
}

// keep saves a row that has changed, unless it is gone.
func (d *dispatcher) keep(ctx context.Context, r *Row) error {
	return d.e.submit(ctx, effectKind(r.Effect), func(t *tx) (after, error) {
		if !t.hasRow(r.Number) {
			return after{}, fmt.Errorf("outbox row %d is gone", r.Number)
		}
		t.putRow(r)
		return after{}, nil
	})
}
