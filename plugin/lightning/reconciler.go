package lightning

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mostro-cln/mostro/orders"
)

// reconcileEvery is how often the exchange compares its store with the node by itself.
const reconcileEvery = 10 * time.Minute

// Reconciler compares the store with the hold plugin and with the node's payments. Trades go on without it; it is for
// what nobody foresaw: a store or a holder that somebody has changed by hand, a backup, a bug.
type Reconciler struct {
	engine *orders.Engine
	escrow *Escrow
	payer  orders.Payer
	log    *slog.Logger
	now    func() time.Time
	seed   func() orders.Seed

	mu    sync.Mutex // one pass at a time; guards stood
	stood map[standing]*stood
}

// standing names a finding from pass to pass.
type standing struct {
	hash orders.Hash
	what string
}

// stood is since when a finding is known, and whether the log has it.
type stood struct {
	since  time.Time
	logged bool
}

// Found is a finding with its subject, and what came of it.
type Found struct {
	Finding
	Order orders.OrderID // zero: the store knows nothing of it
	Hash  orders.Hash    // of the hold
	Waits bool           // it has not stood for long enough
	Done  bool           // the remedy was carried out
	Err   error          // why it was not
}

// NewReconciler returns a reconciler of e's store with x's holds and p's payments. seed gives fresh random bytes.
func NewReconciler(e *orders.Engine, x *Escrow, p orders.Payer, log *slog.Logger, now func() time.Time, seed func() orders.Seed) *Reconciler {
	return &Reconciler{engine: e, escrow: x, payer: p, log: log, now: now, seed: seed, stood: map[standing]*stood{}}
}

// Pass compares everything once and, if repair is set, carries the remedies out. looked is how many hold invoices were
// compared. An error means that the comparison could not be made; what could not be asked for is a finding.
func (r *Reconciler) Pass(ctx context.Context, repair bool) (all []Found, looked int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	listed, err := r.escrow.plugin.list(ctx) // before the store: a hold is in the store before it can be in the list
	if err != nil {
		return nil, 0, fmt.Errorf("list the holder's invoices: %w", err)
	}
	affairs, err := r.engine.Affairs()
	if err != nil {
		return nil, 0, fmt.Errorf("read what goes on: %w", err)
	}
	if all, err = r.compare(ctx, affairs); err != nil {
		return nil, 0, err
	}
	others, err := r.others(ctx, listed, affairs)
	if err != nil {
		return nil, 0, err
	}
	all = append(all, others...)
	r.alarm(ctx, r.remember(all))
	// Work that somebody owes and that is not late is no finding.
	all = slices.DeleteFunc(all, func(f Found) bool { return f.Waits && f.Do == leave })
	for i := range all {
		if f := &all[i]; repair && !f.Waits && f.Do != leave {
			f.Err = r.carryOut(ctx, f)
			f.Done = f.Err == nil
		}
	}
	return all, len(affairs) + len(listed), nil
}

// compare looks at each hold that matters, and at its order's payout.
func (r *Reconciler) compare(ctx context.Context, affairs []orders.Affair) ([]Found, error) {
	each := make([][]Found, len(affairs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cmp.Or(r.escrow.config.Lookups, maxLookups))
	for i, a := range affairs {
		g.Go(func() (err error) {
			each[i], err = r.judge(ctx, a)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var all []Found
	for _, some := range each {
		all = append(all, some...)
	}
	return all, nil
}

// others looks at the holder's invoices that the comparison has left out: those of trades that have ended, and those
// that the store does not know.
func (r *Reconciler) others(ctx context.Context, listed []listedHold, affairs []orders.Affair) (all []Found, err error) {
	compared := map[orders.Hash]bool{}
	for i := range affairs {
		compared[affairs[i].Hold.Hash] = true
	}
	for _, l := range listed {
		if compared[l.Hash] {
			continue
		}
		h, known, err := r.engine.Hold(l.Hash)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read a hold: %w", err)
		case !known && l.State == stateSettled && r.forgotten(l):
			continue
		case !known:
			if f := judgeStranger(l.status()); f.What != "" {
				all = append(all, Found{Finding: f, Hash: l.Hash})
			}
			continue
		case judgeHold(orders.Affair{Hold: h, Order: orders.Order{Hold: h.Hash}}, l.status()).What == "":
			continue // without reading the outbox
		}
		a, _, err := r.engine.Affair(l.Hash)
		if err != nil {
			return nil, fmt.Errorf("read what goes on: %w", err)
		}
		some, err := r.judge(ctx, a)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// forgotten reports whether the store would not know the hold any more, had its trade ended well.
func (r *Reconciler) forgotten(l listedHold) bool {
	keep := r.engine.Rules().KeepSeconds
	return keep > 0 && l.CreatedAt != 0 && l.CreatedAt < r.now().Unix()-keep
}

// judge compares one hold and its order's payout. The store may have moved on while the node was asked, so a finding
// counts only if the store says the same before and after.
func (r *Reconciler) judge(ctx context.Context, before orders.Affair) ([]Found, error) {
	hash := before.Hold.Hash
	f := r.ask(ctx, before)
	if len(f) == 0 {
		return nil, nil
	}
	after, ok, err := r.engine.Affair(hash)
	if err != nil {
		return nil, fmt.Errorf("read what goes on: %w", err)
	}
	if !ok || !sameAffair(before, after) {
		return nil, nil
	}
	return f, nil
}

func sameAffair(a, b orders.Affair) bool {
	return a.Hold == b.Hold && a.HoldOwed == b.HoldOwed && a.PayoutOwed == b.PayoutOwed &&
		a.Order.Status == b.Order.Status && a.Order.Hold == b.Order.Hold && a.Order.Payout == b.Order.Payout
}

func (r *Reconciler) ask(ctx context.Context, a orders.Affair) (all []Found) {
	add := func(f Finding) {
		if f.What != "" {
			all = append(all, Found{Finding: f, Order: a.Order.ID, Hash: a.Hold.Hash})
		}
	}
	s, err := r.escrow.plugin.lookup(ctx, a.Hold.Hash)
	switch {
	case errors.Is(err, errHoldUnknown):
		add(judgeHold(a, holdStatus{State: stateUnknown}))
	case err != nil:
		add(Finding{What: "the holder could not be asked: " + err.Error(), Action: "none: it is asked again"})
	default:
		add(judgeHold(a, s))
	}
	if a.Order.Status != orders.SettledHoldInvoice || a.PayoutOwed || a.Astray() {
		return all
	}
	var report orders.PayReport
	if !a.Order.Payout.Hash.IsZero() {
		if report, err = r.payer.Ask(ctx, a.Order.Payout.Hash); err != nil {
			add(Finding{What: "the node could not be asked about a payout: " + err.Error(), Action: "none: it is asked again"})
			return all
		}
	}
	add(judgePayout(a, report, r.now().Unix()))
	return all
}

// alarm tells the operator of what a person should look at.
func (r *Reconciler) alarm(ctx context.Context, fresh []Found) {
	for _, f := range fresh {
		text := fmt.Sprintf("the store and the node differ about hold %s: %s. What is done: %s", f.Hash, f.What, f.Action)
		if err := r.engine.Alert(ctx, f.Order, text, r.now().Unix(), r.seed()); err != nil && ctx.Err() == nil {
			r.log.Error("owe an alert", "hash", f.Hash.String(), "err", err)
		}
	}
}

// remember notes since when each finding stands, forgets those that stand no more, and writes the new ones into the
// log. It returns those of the new ones that a person should look at.
func (r *Reconciler) remember(all []Found) (alarms []Found) {
	now, still := r.now(), map[standing]*stood{}
	for i := range all {
		f := &all[i]
		k := standing{f.Hash, f.What}
		s := r.stood[k]
		if s == nil {
			s = &stood{since: now}
		}
		still[k] = s
		f.Waits = now.Sub(s.since) < f.After
		if f.Waits || s.logged {
			continue
		}
		s.logged = true
		level := slog.LevelWarn
		if f.Alarm {
			level = slog.LevelError
			alarms = append(alarms, *f)
		}
		r.log.Log(context.Background(), level, "the store and the node differ", "hash", f.Hash.String(), "order", f.Order.String(),
			"what", f.What, "action", f.Action)
	}
	r.stood = still
	return alarms
}

func (r *Reconciler) carryOut(ctx context.Context, f *Found) error {
	switch f.Do {
	case lookNow:
		r.escrow.Poke(f.Hash)
		return nil
	case oweAgain:
		added, err := r.engine.Reowe(ctx, f.Hash, r.now().Unix(), r.payer.Patience())
		if err == nil && len(added) > 0 {
			r.log.Warn("owed again", "hash", f.Hash.String(), "order", f.Order.String(), "rows", added)
		}
		return err
	case tellEngine:
		_, err := r.engine.Do(ctx, orders.Input{
			ID: orders.NodeID(f.Act.On(), f.Hash[:], once(f.Once)), At: r.now().Unix(), Seed: r.seed(), Order: f.Order, Act: f.Act,
		})
		return err
	case cancelAgain:
		return r.escrow.Cancel(ctx, f.Hash)
	case settleAgain:
		h, ok, err := r.engine.Hold(f.Hash)
		if err != nil || !ok {
			return errors.Join(err, fmt.Errorf("settle hold %s again: it is not in the store", f.Hash))
		}
		return r.escrow.Settle(ctx, h)
	}
	return nil
}

func once(at int64) []byte {
	if at == 0 {
		return nil
	}
	return binary.BigEndian.AppendUint64(nil, uint64(at))
}

// Run compares and repairs until ctx ends, first when the node's holds have been looked at once.
func (r *Reconciler) Run(ctx context.Context) error {
	select {
	case <-r.escrow.Looked():
	case <-ctx.Done():
		return nil
	}
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	for {
		all, looked, err := r.Pass(ctx, true)
		if err != nil && ctx.Err() == nil {
			r.log.Warn("the store could not be compared with the node", "err", err)
		}
		for _, f := range all {
			if f.Err != nil && ctx.Err() == nil {
				r.log.Error("mend a difference", "hash", f.Hash.String(), "order", f.Order.String(), "what", f.What, "err", f.Err)
			}
		}
		r.log.Debug("the store was compared with the node", "holds", looked, "findings", len(all))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
