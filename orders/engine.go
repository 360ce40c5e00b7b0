package orders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mostro-cln/mostro/orders/planted"
)

// ErrStopped is returned for an input that came after the engine had stopped. It was not done.
var ErrStopped = errors.New("the exchange has stopped")

// Outcome is what became of an input.
type Outcome struct {
	Order  OrderID
	Reason Reason // not empty: refused, and why
	Repeat bool   // the input had been done before; this is the recorded answer
}

// Engine runs the exchange: one input, one transaction. It is safe for concurrent use.
type Engine struct {
	store *Store
	base  Rules // as started with
	rules atomic.Pointer[Rules]
	log   *slog.Logger

	settings atomic.Pointer[Settings]

	jobs    chan *job
	stopped chan struct{}
	stop    context.CancelFunc
	once    sync.Once

	onRow func(name string) // nil: nobody counts
	keys  knownKeys
	calls calls
	owing chan struct{} // has a value when there are rows that the dispatcher has not taken
	hurry chan struct{} // has a value when waiting rows are to be tried at once
	mu    sync.Mutex
	fresh []*Row // committed rows that the dispatcher has not taken

	moves  chan Move // for Moves
	missed atomic.Int64

	doubt   bool                  // the store does not say what was written last; the writer's own
	trouble atomic.Pointer[error] // why the last commit failed
	pruneAt atomic.Int64          // when to look for old orders, unix seconds
}

// job is one piece of work for the writer. Its function may run twice, so it only computes and writes to the tx.
type job struct {
	what string // the kind of input, or of effect
	do   func(*tx) (after, error)
	then after
	err  error
	done chan struct{}
}

// after is what a job leaves to do once its transaction is on disk.
type after struct {
	rows    []*Row
	row     *row   // of the life cycle
	order   *Order // moved
	from    Status
	on      On
	more    []after  // of orders that were made on the way
	solvers []Solver // all, if they have changed; not nil then

	settings *Settings    // if they have changed
	dispute  DisputeState // of the order, before
	solver   PubKey       // who had it
}

// NewEngine starts the writer over a store. Close ends it.
func NewEngine(store *Store, rules Rules, log *slog.Logger) (*Engine, error) {
	if err := rules.Check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &Engine{
		store: store, base: rules, log: log, moves: make(chan Move, maxMoves), jobs: make(chan *job, 4*maxBatch), stopped: make(chan struct{}), stop: cancel,
		owing: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
	}
	e.rules.Store(&rules)
	if err := e.load(); err != nil {
		cancel()
		return nil, fmt.Errorf("load the exchange: %w", err)
	}
	go e.write(ctx)
	return e, nil
}

// Close waits for the writer to finish the batch at hand. Inputs after that get ErrStopped. The store stays open.
func (e *Engine) Close() {
	e.once.Do(e.stop)
	<-e.stopped
}

// Rules returns the settings in force.
func (e *Engine) Rules() Rules { return *e.rules.Load() }

// Do does one input in one transaction: a repeat gets the recorded answer; else the order is loaded, the guards and
// the life cycle decide, and the new state, its history, its ledger and everything owed are committed together. A
// refusal is an outcome like any other. An error means that nothing was done (ErrNotDone where the store could not be
// written), or that the result is not known: ErrInDoubt, or ctx ended before. Doing the same input again is always safe.
func (e *Engine) Do(ctx context.Context, in Input) (Outcome, error) {
	return e.do(ctx, in, 0)
}

// do also takes a row out of the outbox, in the same transaction: the input is the row's result.
func (e *Engine) do(ctx context.Context, in Input, row uint64) (Outcome, error) {
	var out Outcome
	err := e.submit(ctx, string(in.Act.On()), func(t *tx) (then after, err error) {
		out, then, err = e.decide(t, &in)
		if err == nil && row != 0 {
			t.dropRow(row)
		}
		return then, err
	})
	if err != nil {
		return Outcome{}, err
	}
	return out, nil
}

func (e *Engine) submit(ctx context.Context, what string, fn func(*tx) (after, error)) error {
	j := &job{what: what, do: fn, done: make(chan struct{})}
	select {
	case e.jobs <- j:
	case <-e.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-j.done:
		return j.err
	case <-e.stopped:
		select {
		case <-j.done:
			return j.err
		default:
			return ErrStopped
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxBatch bounds how many inputs share one commit. The commit's fsync is the price of an input, so what waits
// together pays once.
const maxBatch = 256

func (e *Engine) write(ctx context.Context) {
	defer close(e.stopped)
	tries := 0
	for {
		var again <-chan time.Time // while in doubt, the truth is looked for whether anything comes in or not
		if e.doubt {
			again = time.After(backoff(tries))
			tries++
		} else {
			tries = 0
		}
		select {
		case <-ctx.Done():
			return
		case j := <-e.jobs:
			e.commit(e.batch(j))
		case <-again:
			_ = e.certain() // else it is tried again
		}
	}
}

func (e *Engine) batch(first *job) []*job {
	batch := []*job{first}
	for len(batch) < maxBatch {
		select {
		case j := <-e.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// commit runs the batch in one transaction. If that cannot be written, perhaps a smaller one can: a full disk leaves the
// pages that the file has free.
func (e *Engine) commit(batch []*job) {
	left, err := e.attempt(batch)
	if len(left) > 1 && errors.Is(err, ErrNotDone) {
		for failures := 1; len(left) > 0 && failures < maxFailures; left = left[1:] {
			if one, err := e.attempt(left[:1:1]); err != nil {
				failures++
				finish(one, err)
			}
		}
	}
	finish(left, err)
}

// maxFailures bounds the commits that are tried for one batch.
const maxFailures = 4

func finish(batch []*job, err error) {
	for _, j := range batch {
		if err != nil {
			j.err = fmt.Errorf("commit: %w", err)
		}
		close(j.done)
	}
}

// attempt runs the batch once and returns the jobs that were not done and why. A job that faults is taken out and the
// others run again, so that one order's trouble never stops another's.
func (e *Engine) attempt(batch []*job) ([]*job, error) {
	if err := e.certain(); err != nil {
		return batch, err
	}
	for len(batch) > 0 {
		bad := -1
		err := e.store.update(func(t *tx) error {
			for i, j := range batch {
				if j.then, j.err = guarded(j.do, t); j.err != nil {
					bad = i
					return j.err
				}
			}
			hitEach("before", batch)
			return nil
		})
		if bad >= 0 {
			close(batch[bad].done)
			batch = append(batch[:bad:bad], batch[bad+1:]...)
			continue
		}
		e.note(err)
		if err != nil {
			return batch, err
		}
		hitEach("after", batch)
		for _, j := range batch {
			e.settle(j.then)
		}
		finish(batch, nil)
		return nil, nil
	}
	return nil, nil
}

// guarded turns a store fault or a bug in one job into an error of that job.
func guarded(do func(*tx) (after, error), t *tx) (then after, err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case fault:
			err = p.err
		default:
			err = fmt.Errorf("bug: %v\n%s", p, debug.Stack())
		}
	}()
	return do(t)
}

// decide is the whole of what the exchange does with one input.
func (e *Engine) decide(t *tx, in *Input) (Outcome, after, error) {
	if v, ok := t.seen(in.ID); ok && !planted.On("dedupe-forgotten") {
		return Outcome{Order: v.Order, Reason: v.Reason, Repeat: true}, after{}, nil
	}
	s, err := e.begin(t, in)
	if err != nil {
		return Outcome{}, after{}, err
	}
	reason := s.run()
	if s.counts() {
		t.markSeen(in.ID, verdict{At: in.At, Reason: reason, Order: s.o.ID})
	}
	return Outcome{Order: s.o.ID, Reason: reason}, s.save(t), nil
}

// counts reports whether the input is remembered. A report that changed nothing is not: when it comes again, it may
// mean something. A deadline is compared with the order's own, which may be the same a second time.
func (s *step) counts() bool {
	if !s.in.From.Trade.IsZero() || officialAct(s.in.Act) {
		return true
	}
	return s.in.Act.On() != OnDeadline && (s.moved || len(s.effects) > 0 || len(s.saveHold) > 0)
}

// begin makes the step: the order, the hold and the facts that the guards ask for.
func (e *Engine) begin(t *tx, in *Input) (*step, error) {
	s := &step{in: in, rules: e.rules.Load(), o: &Order{}}
	id := t.subject(in)
	if h, ok := hashOf(in.Act); ok {
		hold, known := t.hold(h)
		if !known {
			return nil, fmt.Errorf("%s: hold %s is not ours", in.Act.On(), h)
		}
		if a, ok := in.Act.(HoldIsAccepted); ok && a.Held < hold.Amount {
			return nil, fmt.Errorf("%s: hold %s holds %d of %d msat", in.Act.On(), h, int64(a.Held), int64(hold.Amount))
		}
		id, s.stray = hold.Order, hold
	}
	if o, ok := t.order(id); ok && in.Act.On() != OnNewOrder {
		s.o = o
	} else if in.From.Trade.IsZero() && !officialAct(in.Act) {
		return nil, fmt.Errorf("%s: there is no order %s", in.Act.On(), id)
	}
	s.from = s.o.Status
	s.dispute, s.solver = s.o.disputeState()
	s.loadHold(t)
	s.loadFacts(t)
	s.loadOfficials(t)
	s.loadInvoice(t)
	return s, nil
}

// subject is the order that a message is about. A dispute is taken by its own id.
func (t *tx) subject(in *Input) OrderID {
	a, ok := in.Act.(AdminTake)
	if !ok || a.Dispute.IsZero() {
		return in.Order
	}
	id, _ := t.disputed(a.Dispute)
	return id
}

// loadHold finds the order's current hold; an input about another one is a stray.
func (s *step) loadHold(t *tx) {
	if s.o.Hold.IsZero() {
		return
	}
	if s.stray != nil && s.stray.Hash == s.o.Hold {
		s.hold, s.stray = s.stray, nil
	} else if h, ok := t.hold(s.o.Hold); ok {
		s.hold = h
	}
	if s.hold != nil && s.from.Final() {
		if _, about := hashOf(s.in.Act); about && s.stray == nil {
			s.stray = s.hold
		}
	}
}

func (s *step) loadFacts(t *tx) {
	f := &s.facts
	lookup := func(p *Party) *User {
		if !p.Here() || p.Private() {
			return nil
		}
		u, ok := t.user(p.Identity)
		if !ok {
			return nil
		}
		return u
	}
	f.maker, f.taker = lookup(&s.o.Maker), lookup(&s.o.Taker)
	from := s.in.From
	if from.Trade.IsZero() {
		return
	}
	f.sender = lookup(&Party{Trade: from.Trade, Identity: from.Identity})
	f.busy = t.busy(from.Identity)
	s.loadAsked(t)
	if p := s.sender(); p == &s.o.Maker {
		f.rated = f.taker
	} else if p != nil {
		f.rated = f.maker
	}
}

// loadInvoice finds out whether a payout invoice was seen before.
func (s *step) loadInvoice(t *tx) {
	if h := invoiceHash(s.in.Act); !h.IsZero() {
		s.facts.invoiceUsedBy, _ = t.invoiceUsedBy(h)
		_, s.facts.invoiceIsHold = t.hold(h)
	}
}

func invoiceHash(a Act) (h Hash) {
	var inv *Invoice
	switch a := a.(type) {
	case NewOrder:
		inv = a.Invoice
	case TakeSell:
		inv = a.Invoice
	case AddInvoice:
		inv = a.Invoice
	case PayoutResolved:
		return a.Hash
	}
	if inv == nil || inv.Problem != "" {
		return h
	}
	return inv.Hash
}

// run decides: guards, then the life cycle. It returns the reason of a refusal, else empty.
func (s *step) run() Reason {
	reason := s.resolve()
	if reason == "" {
		s.noteWay()
	}
	s.recordAct(reason)
	return reason
}

func (s *step) resolve() Reason {
	if s.stray != nil {
		s.straggler()
		return ""
	}
	for _, g := range doors[s.in.Act.On()] {
		if err := g(s); err != nil {
			return s.refuse(err)
		}
	}
	if s.in.Act.On() == OnNewOrder {
		s.o = s.newOrder()
		s.facts.maker = s.facts.sender
	}
	if answer, ok := answers[s.in.Act.On()]; ok {
		answer(s)
		return ""
	}
	if !s.current() {
		s.outdated()
		return ""
	}
	r := s.find()
	switch {
	case r != nil:
		s.noteHold()
		s.meet()
		s.take(r)
	case !s.in.From.Trade.IsZero() || officialAct(s.in.Act):
		return s.refuse(lastly[s.in.Act.On()])
	default:
		s.unexpected()
	}
	return ""
}

// take does a row.
func (s *step) take(r *row) {
	s.moved, s.row = true, r
	s.o.Status = r.to
	for _, act := range r.do {
		act(s)
	}
	for _, c := range s.children { // born by the table like any order
		c.take(c.find())
		s.adopt(c)
	}
}

// current drops a report of the clock or of a payment that the order has moved on from.
func (s *step) current() bool {
	switch a := s.in.Act.(type) {
	case DeadlineReached:
		return s.o.Deadline != 0 && s.o.Deadline == a.Deadline
	case PayoutResolved:
		return a.Destination == s.o.Payout.Destination && s.o.Payout.InFlight && s.o.Payout.Invoice == ""
	case PayoutPaid:
		return a.Hash == s.o.Payout.Hash || !a.Instead.IsZero() && a.Instead == s.o.Payout.Hash
	case PayoutFailed:
		return a.Hash == s.o.Payout.Hash && s.o.Payout.InFlight
	}
	return true
}

// meet remembers by which way and with which request a party spoke last, and burns the trade index of a new one.
func (s *step) meet() {
	if p := s.sender(); p != nil {
		p.Way, p.Request = s.in.From.Way, s.in.Request
	}
	switch s.in.Act.On() {
	case OnNewOrder, OnTakeSell, OnTakeBuy:
	default:
		return
	}
	if s.in.From.Private() {
		return
	}
	u := s.facts.sender
	if u == nil {
		u = &User{Identity: s.in.From.Identity, CreatedAt: s.in.At}
		s.facts.sender = u
		if s.in.Act.On() == OnNewOrder {
			s.facts.maker = u
		}
	}
	u.LastIndex = *s.in.Index
	s.saveUser = append(s.saveUser, u)
}

// refuse owes the sender the reason. Detail stays in our log.
func (s *step) refuse(err error) Reason {
	reason, ok := ReasonOf(err)
	if !ok || reason == "" {
		reason = InvalidAction
	}
	if s.in.From.Trade.IsZero() { // the operator, who has the outcome
		return reason
	}
	l := s.letter(s.in.From, SayCantDo)
	l.Order, l.Request, l.Reason = s.in.Order, s.in.Request, reason
	if a, ok := s.in.Act.(AdminTake); ok {
		l.About = &a.Dispute
	}
	s.owe(l)
	return reason
}

// save writes everything that the step has come to. A refused step changes no order.
func (s *step) save(t *tx) after {
	for _, h := range s.saveHold {
		t.putHold(h)
	}
	for _, u := range s.saveUser {
		t.putUser(u)
	}
	then := after{from: s.from, on: s.in.Act.On(), dispute: s.dispute, solver: s.solver, row: s.row}
	for _, v := range s.saveSolver {
		t.putSolver(v)
		then.solvers = t.solvers()
	}
	for _, r := range s.records {
		t.addRecord(r)
	}
	for _, c := range s.children {
		then.more = append(then.more, c.save(t))
	}
	if s.moved {
		s.o.Deadline = s.rules.deadlineOf(s.o)
		if s.o.Status != s.from {
			s.o.UpdatedAt = s.in.At
			t.addHistory(s.o.ID, Transition{s.in.At, s.from, s.o.Status, s.in.Act.On(), hexID(s.in.ID)})
		}
		t.putOrder(s.o)
		then.order = s.o
	}
	for _, en := range s.entries {
		t.addEntry(s.o.ID, en)
	}
	then.rows = s.saveOwed(t)
	return then
}

func (s *step) saveOwed(t *tx) (rows []*Row) {
	s.copyAlerts()
	for _, w := range s.effects {
		if c, ok := w.effect.(*CancelHold); ok && planted.On("row-lost") && c.Hash[0] < 64 {
			continue
		}
		r := &Row{Order: s.o.ID, NotBefore: w.notBefore, Effect: w.effect}
		t.addRow(r)
		rows = append(rows, r)
	}
	return rows
}

func hexID(id [32]byte) string { return EventID(id).String() }

// settle does what had to wait for the commit: the log line, the known keys, the dispatcher.
func (e *Engine) settle(then after) {
	if o := then.order; o != nil {
		e.keys.note(o)
		if o.Status != then.from {
			e.log.Info("order moved", "order", o.ID.String(), "from", string(then.from), "to", string(o.Status), "input", string(then.on))
		}
		e.moved(Move{*o, then.from, then.on, then.dispute, then.solver})
	}
	if e.onRow != nil && then.row != nil {
		e.onRow(rowNames[then.row])
	}
	for _, m := range then.more {
		e.settle(m)
	}
	if then.settings != nil {
		e.adopt(then.settings)
	}
	if then.solvers != nil {
		e.keys.setSolvers(then.solvers)
	}
	if len(then.rows) == 0 {
		return
	}
	e.mu.Lock()
	e.fresh = append(e.fresh, then.rows...)
	e.mu.Unlock()
	select {
	case e.owing <- struct{}{}:
	default:
	}
}
