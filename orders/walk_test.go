package orders

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The walk goes through every status in every shape that it has, with every client's message by everybody who could
// write it and every report of the node. Each try is one transaction that is looked at and rolled back.
func TestEveryInputInEveryStatus(t *testing.T) {
	aloneInRace(t)
	hits := map[*row]int{}
	for _, kind := range []Kind{Sell, Buy} {
		for _, private := range []bool{false, true} {
			for _, part := range []string{"trades", "disputes"} { // a smaller store is walked faster
				t.Run(fmt.Sprintf("%s of %s orders, private %v", part, kind, private), func(t *testing.T) {
					newWalk(t, kind, private, part == "disputes", hits).all()
				})
			}
		}
	}
	reportCoverage(t, hits)
}

// reportCoverage fails unless every row of the life cycle was taken.
func reportCoverage(t *testing.T, hits map[*row]int) {
	var missed []string
	n, all := 0, 0
	for _, s := range append([]Status{newborn}, Statuses...) {
		for i := range lifecycle[s] {
			r := &lifecycle[s][i]
			all++
			if hits[r] > 0 {
				n++
				continue
			}
			missed = append(missed, fmt.Sprintf("%s: %s by %s when %s → %s", name(s), r.on, r.by, funcName(r.when), r.to))
		}
	}
	t.Logf("life cycle rows covered: %d of %d", n, all)
	if n != all {
		t.Errorf("rows that no input of the walk takes:\n%s", strings.Join(missed, "\n"))
	}
}

// walk is a world with one order in each situation.
type walk struct {
	*world
	officials map[string]*trader
	t         *testing.T
	kind      Kind
	hits      map[*row]int
	where     map[string]*trade
	names     []string
	before    uint64 // fingerprint of what a refusal must leave alone
	queue     int    // rows owed
	tries     int
}

func newWalk(t *testing.T, k Kind, private, disputes bool, hits map[*row]int) *walk {
	w := &walk{world: newWorld(t), t: t, kind: k, hits: hits, where: map[string]*trade{}}
	w.quote = euro
	w.nameOfficials()
	stand := func(name string, build func(*trade)) {
		tr := w.newTrade(k)
		tr.maker.private, tr.taker.private = private, private
		build(tr)
		w.where[name], w.names = tr, append(w.names, name)
	}
	if disputes {
		w.standDisputes(stand)
		w.standing()
		return w
	}
	for _, s := range Statuses {
		if s != Settling {
			stand(string(s), func(tr *trade) { tr.to(s) })
		}
	}
	w.standMore(stand)
	stand(string(Settling), func(tr *trade) { w.node.stuck[w.order(tr.to(Settling).id).Hold] = true })
	stand("settling, of a range", func(tr *trade) {
		w.node.down = false
		tr.openWith(NewOrder{Terms: rangeTerms(k, 10, 50)})
		tr.takeRange(20)
		tr.toward(FiatSent)
		w.node.down = true
		if k == Buy {
			o := w.order(tr.id)
			o.Next = &NextKey{Trade: w.freshKey(), Index: 7} // as fiat-sent would have kept it
			must(t, w.store.update(func(x *tx) error { x.putOrder(&o); return nil }))
			tr.seller.must(tr.id, Release{})
			return
		}
		tr.seller.must(tr.id, Release{Next: &NextKey{Trade: w.freshKey(), Index: 7}})
	})
	w.standing()
	return w
}

// standing ends the preparations.
func (w *walk) standing() {
	must(w.t, w.e.read(func(x *tx) { w.before, w.queue = fingerprint(x, answersGoTo...), len(x.rows()) }))
}

// answersGoTo are the buckets that a refusal writes to.
var answersGoTo = [][]byte{auditBucket, outboxBucket, seenBucket, seenAgeBucket}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// standMore are the shapes of a status that differ in what they let happen.
func (w *walk) standMore(stand func(string, func(*trade))) {
	stand("pending, a range", func(tr *trade) { tr.openWith(NewOrder{Terms: rangeTerms(w.kind, 10, 50)}) })
	stand("pending, after an abandoned take", func(tr *trade) {
		tr.to(WaitingPayment)
		tr.taker.must(tr.id, Cancel{})
	})
	stand("waiting for an invoice instead of one that grew too old", func(tr *trade) {
		tr.to(WaitingPayment)
		o := w.order(tr.id)
		o.Payout.Invoice, o.Payout.Expires = "lnold", w.now
		must(w.t, w.store.update(func(x *tx) error { x.putOrder(&o); return nil }))
		tr.lock()
		w.want(tr.id, WaitingBuyerInvoice)
	})
	for _, side := range []string{"maker", "taker"} {
		for _, s := range []Status{Active, FiatSent} {
			stand(fmt.Sprintf("%s, the %s wants to cancel", s, side), func(tr *trade) {
				by := tr.to(s).maker
				if side == "taker" {
					by = tr.taker
				}
				by.must(tr.id, Cancel{})
			})
		}
	}
	stand("settled, a payout under way", func(tr *trade) { tr.script = []error{errLost}; tr.to(SettledHoldInvoice) })
	stand("settled, an address is being asked", func(tr *trade) {
		tr.to(WaitingBuyerInvoice)
		tr.buyer.must(tr.id, AddInvoice{&Invoice{Destination: "alice@example.com"}})
		tr.toward(SettledHoldInvoice)
	})
	stand("success, both have voted", func(tr *trade) {
		tr.to(Success)
		tr.maker.must(tr.id, RateUser{5})
		tr.taker.must(tr.id, RateUser{5})
	})
}

func (w *walk) all() {
	for _, name := range w.names {
		tr := w.where[name]
		for who, by := range w.authors(tr) {
			for _, act := range w.messages(tr) {
				w.client(fmt.Sprintf("%s, %s by %s", name, act.On(), who), tr, by, act)
			}
		}
		for who, by := range w.authors(tr) {
			for _, act := range w.verdicts(tr) {
				w.client(fmt.Sprintf("%s, %s by %s", name, act.On(), who), tr, by, act)
			}
		}
		for who, by := range w.officials {
			for _, act := range append(w.verdicts(tr), Cancel{}, Release{}, OpenDispute{}) {
				w.client(fmt.Sprintf("%s, %s by %s", name, act.On(), who), tr, by, act)
			}
		}
		for _, act := range w.verdicts(tr) {
			w.reported(fmt.Sprintf("%s, %s by the operator", name, act.On()), tr, act)
		}
		for _, act := range w.reports(tr) {
			w.reported(fmt.Sprintf("%s, %s", name, act.On()), tr, act)
		}
	}
	w.t.Logf("%d tries in %d situations", w.tries, len(w.names))
}

// authors are all who could write: a wrong key has the identity of a party and another trade key.
func (w *walk) authors(tr *trade) map[string]*trader {
	wrongMaker, wrongTaker := *tr.maker, *tr.taker
	wrongMaker.trade, wrongTaker.trade = w.freshKey(), w.freshKey()
	return map[string]*trader{
		"the maker": tr.maker, "the taker": tr.taker, "a stranger": w.trader("stranger"),
		"the maker's other key": &wrongMaker, "the taker's other key": &wrongTaker,
	}
}

func (w *walk) messages(tr *trade) []Act {
	o := w.order(tr.id)
	good := func() *Invoice { return w.invoice(o.PaidOut()) }
	address := &Invoice{Destination: "bob@example.com"}
	next := &NextKey{Trade: w.freshKey(), Index: 9}
	return []Act{
		NewOrder{Terms: sellTerms(20_000)}, NewOrder{Terms: buyTerms(0), Invoice: address}, NewOrder{Terms: sellTerms(1)},
		TakeSell{}, TakeSell{Invoice: good()}, TakeSell{Invoice: address, Fiat: i64(20)}, TakeSell{Fiat: i64(51)},
		TakeBuy{}, TakeBuy{Fiat: i64(20)},
		AddInvoice{good()}, AddInvoice{address}, AddInvoice{nil}, AddInvoice{&Invoice{Problem: "not an invoice"}},
		SendFiat{}, SendFiat{next}, Release{}, Release{next}, Cancel{}, RateUser{4}, RateUser{0}, TradeKey{},
		AskOrders{}, AskOrders{IDs: []OrderID{tr.id}}, AskRestore{}, AskLastIndex{},
		OpenDispute{}, Other{Action: "add-bond-invoice", Reason: InvalidAction},
	}
}

// reports are what the node could say, true or not, of the order's hold or of one that it has left behind.
func (w *walk) reports(tr *trade) []Act {
	o := w.order(tr.id)
	strange := w.invoice(o.PaidOut())
	acts := []Act{
		DeadlineReached{o.Deadline}, DeadlineReached{o.Deadline + 1},
		PayoutFailed{Hash: o.Payout.Hash, Why: "no route"}, PayoutFailed{Hash: o.Payout.Hash, Why: "expired", Fatal: true},
		PayoutFailed{Hash: strange.Hash}, PayoutPaid{Hash: o.Payout.Hash}, PayoutPaid{Hash: strange.Hash},
		PayoutResolved{o.Payout.Destination, strange.Bolt11, strange.Hash, strange.Expires},
		PayoutResolved{"eve@example.com", strange.Bolt11, strange.Hash, strange.Expires},
	}
	must(w.t, w.e.read(func(x *tx) {
		x.each(holdsBucket, nil, func(k, _ []byte) bool {
			h, _ := x.hold(Hash(k))
			if h.Order == tr.id {
				acts = append(acts, HoldCreated{h.Hash, "lnagain"}, HoldIsAccepted{h.Hash, h.Amount, 1000}, HoldIsSettled{h.Hash},
					HoldIsCanceled{h.Hash, "gone"}, EscrowNearing{h.Hash, 960, 40}, EscrowEnding{h.Hash, 970},
					PayoutResolved{o.Payout.Destination, "lnhold", h.Hash, strange.Expires})
			}
			return true
		})
	}))
	return acts
}

var errRollback = errors.New("rolled back")

// try does an input and hands over what it came to, in a transaction that never ends well.
func (w *walk) try(in Input, look func(*tx, *row, Outcome)) {
	w.t.Helper()
	w.tries++
	err := w.store.update(func(x *tx) error {
		r := w.e.rowFor(x, in)
		out, _, err := w.e.decide(x, &in)
		if err != nil {
			return err
		}
		if r != nil {
			w.hits[r]++
		}
		look(x, r, out)
		return errRollback
	})
	if !errors.Is(err, errRollback) {
		w.t.Errorf("%s: %v", in.Act.On(), err)
	}
}

// rowFor foresees the row that an input will take, nil for none. That it was this one shows in the status after it.
func (e *Engine) rowFor(x *tx, in Input) *row {
	s, err := e.begin(x, &in)
	if err != nil || s.stray != nil {
		return nil
	}
	for _, g := range doors[in.Act.On()] {
		if g(s) != nil {
			return nil
		}
	}
	if in.Act.On() == OnNewOrder {
		s.o = s.newOrder()
	}
	if answers[in.Act.On()] != nil || !s.current() {
		return nil
	}
	return s.find()
}

func (w *walk) client(name string, tr *trade, by *trader, act Act) {
	w.t.Helper()
	by.index = 1000 + int64(w.tries) // never used before
	in := by.message(tr.id, act)
	w.try(in, func(x *tx, r *row, out Outcome) {
		w.t.Helper()
		said := newLetters(x, w.queue)
		switch answers := answers[act.On()] != nil; {
		case out.Reason != "" || answers:
			if fingerprint(x, answersGoTo...) != w.before {
				w.t.Errorf("%s: %q, and the store has changed", name, out.Reason)
			}
			if len(said) != 1 || said[0].To != by.trade || said[0].Reason != out.Reason || (said[0].Action == SayCantDo) != (out.Reason != "") {
				w.t.Errorf("%s: %q, and owed is %+v", name, out.Reason, said)
			}
		case r == nil:
			w.t.Errorf("%s: neither a row nor a reason", name)
		default:
			w.moved(name, x, r, out.Order)
		}
		w.repeat(name, x, in, out)
	})
}

// newLetters returns the letters behind the first n rows of the outbox, nil if anything else is there.
func newLetters(x *tx, n int) (said []*Letter) {
	for _, r := range x.rows()[n:] {
		l, ok := r.Effect.(*Letter)
		if !ok {
			return nil
		}
		said = append(said, l)
	}
	return said
}

// moved: the order is where the row says, everything that must be is, and a child was born by the table.
func (w *walk) moved(name string, x *tx, r *row, id OrderID) {
	w.t.Helper()
	o, ok := x.order(id)
	if !ok || o.Status != r.to {
		w.t.Errorf("%s: order is %s, the row leads to %s", name, o.Status, r.to)
	}
	w.sound(name, x, id)
	x.each(ordersBucket, nil, func(k, _ []byte) bool {
		child, _ := x.order(OrderID(k))
		if child.Parent != id || id.IsZero() {
			return true
		}
		born := list[Transition](x, historyBucket, k)[0]
		i := slices.IndexFunc(lifecycle[born.From], func(r row) bool { return r.on == born.On })
		w.hits[&lifecycle[born.From][i]]++
		return true
	})
}

// sound runs the checks over the order, and now and then over all.
func (w *walk) sound(name string, x *tx, id OrderID) {
	w.t.Helper()
	bad := func(format string, args ...any) { w.t.Errorf("%s: %s", name, fmt.Sprintf(format, args...)) }
	if o, ok := x.order(id); ok {
		x.checkOrder(o, bad)
	}
	if w.tries%16 == 0 {
		x.checkAll(bad)
	}
}

// repeat: the same message once more is answered from the record.
func (w *walk) repeat(name string, x *tx, in Input, first Outcome) {
	w.t.Helper()
	again, _, err := w.e.decide(x, &in)
	if err != nil || !again.Repeat || again.Reason != first.Reason || again.Order != first.Order {
		w.t.Errorf("%s, once more: %+v %v, the first time %+v", name, again, err, first)
	}
}

func (w *walk) reported(name string, tr *trade, act Act) {
	w.t.Helper()
	s := w.seed()
	in := Input{ID: s.Derive("report"), At: w.now, Seed: s, Order: tr.id, Act: act}
	before := w.order(tr.id)
	w.try(in, func(x *tx, r *row, out Outcome) {
		w.t.Helper()
		if r != nil {
			w.moved(name, x, r, out.Order)
		} else if o, _ := x.order(tr.id); o.Status != before.Status || o.Payout != before.Payout || o.Hold != before.Hold {
			w.t.Errorf("%s: no row, and the order has changed: %+v", name, o)
		}
		if _, _, err := w.e.decide(x, &in); err != nil {
			w.t.Errorf("%s, once more: %v", name, err)
		}
		w.sound(name+", once more", x, tr.id)
	})
}
