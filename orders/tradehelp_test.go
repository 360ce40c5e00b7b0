package orders

import (
	"encoding/json"
	"testing"
)

// trade is one order and its people. Steps of a trade that goes well are methods; to walks as far as a status.
type trade struct {
	w             *world
	id            OrderID
	kind          Kind
	maker, taker  *trader
	seller, buyer *trader
	script        []error // answers of the node to the calls that pay the buyer
}

// noRoute is a payment call that fails and may be made again.
var noRoute = &PayError{Why: "no route"}

func (w *world) newTrade(k Kind) *trade {
	tr := &trade{w: w, kind: k, maker: w.trader("maker"), taker: w.trader("taker"), script: []error{noRoute, noRoute}}
	tr.seller, tr.buyer = tr.maker, tr.taker
	if k == Buy {
		tr.seller, tr.buyer = tr.taker, tr.maker
	}
	return tr
}

func (tr *trade) open() *trade {
	t := sellTerms(10_000)
	t.Kind = tr.kind
	return tr.openWith(NewOrder{Terms: t})
}

func (tr *trade) openWith(a NewOrder) *trade {
	tr.w.t.Helper()
	tr.id = tr.maker.must(OrderID{}, a)
	return tr
}

func (tr *trade) take() {
	tr.w.t.Helper()
	tr.taker.must(tr.id, tr.takeAct())
}

func (tr *trade) takeAct() Act {
	if tr.kind == Sell {
		return TakeSell{}
	}
	return TakeBuy{}
}

func (tr *trade) invoice() *Invoice {
	o := tr.w.order(tr.id)
	return tr.w.invoice(o.PaidOut(), tr.script...)
}

func (tr *trade) addInvoice() {
	tr.w.t.Helper()
	tr.buyer.must(tr.id, AddInvoice{tr.invoice()})
}

func (tr *trade) lock()     { tr.w.t.Helper(); tr.w.lock(tr.id) }
func (tr *trade) sendFiat() { tr.w.t.Helper(); tr.buyer.must(tr.id, SendFiat{}) }
func (tr *trade) release()  { tr.w.t.Helper(); tr.seller.must(tr.id, Release{}) }

// deadline lets the time of the present status end.
func (tr *trade) deadline() Outcome {
	tr.w.t.Helper()
	d := tr.w.order(tr.id).Deadline
	return tr.w.do(tr.w.deadline(tr.id, d))
}

func (w *world) deadline(id OrderID, d int64) Input {
	return Input{
		ID: NodeID(OnDeadline, id[:], timeKey(d, nil)), At: max(w.now, d), Seed: w.seed(), Order: id, Act: DeadlineReached{d},
	}
}

// lose is the node giving the escrow back by itself.
func (tr *trade) lose() {
	tr.w.t.Helper()
	hash := tr.w.order(tr.id).Hold
	tr.w.node.holds[hash].state = HoldCanceled
	tr.w.report(HoldIsCanceled{Hash: hash, Why: "gone"})
}

// to brings a new order as far as that status. On its way to Settling the node goes down and stays so.
func (tr *trade) to(s Status) *trade {
	w := tr.w
	w.t.Helper()
	if tr.id.IsZero() {
		tr.open()
	}
	switch s {
	case Pending:
		return tr
	case Canceled:
		tr.maker.must(tr.id, Cancel{})
		return tr
	case Expired:
		tr.deadline()
		w.pump()
		return tr
	case CoopCanceled:
		tr.to(Active).maker.must(tr.id, Cancel{})
		tr.taker.must(tr.id, Cancel{})
		return tr
	case Frozen:
		tr.to(FiatSent).lose()
		return tr
	case InDispute:
		tr.to(FiatSent).taker.must(tr.id, OpenDispute{})
		return tr
	case CanceledByAdmin:
		tr.to(InDispute)
		w.operator(tr.id, AdminCancel{Operator: "test"})
		return tr
	}
	if w.order(tr.id).Status == Pending {
		tr.take()
	}
	return tr.toward(s)
}

// operator does something by the node's RPC.
func (w *world) operator(id OrderID, a Act) Outcome {
	w.t.Helper()
	s := w.seed()
	out := w.do(Input{ID: s.Derive("rpc"), At: w.now, Seed: s, Order: id, Act: a})
	w.pump()
	return out
}

// takeRange takes a slice of a range, in euros.
func (tr *trade) takeRange(slice int64) {
	tr.w.t.Helper()
	if tr.kind == Sell {
		tr.taker.must(tr.id, TakeSell{Fiat: &slice})
	} else {
		tr.taker.must(tr.id, TakeBuy{Fiat: &slice})
	}
}

// toward brings an order that was taken as far as that status.
func (tr *trade) toward(s Status) *trade {
	w := tr.w
	w.t.Helper()
	for range 20 {
		switch w.order(tr.id).Status {
		case s:
			return tr
		case WaitingBuyerInvoice:
			tr.addInvoice()
		case WaitingPayment:
			tr.lock()
		case Active:
			tr.sendFiat()
		case FiatSent:
			w.node.down = s == Settling
			tr.release()
		case SettledHoldInvoice:
			tr.deadline()
			w.pump()
		default:
			w.t.Fatalf("no way to %s: order is %s", s, w.order(tr.id).Status)
		}
	}
	w.t.Fatalf("order stays %s on its way to %s", w.order(tr.id).Status, s)
	return nil
}

// tradeIn makes a world with a sell order in that status.
func tradeIn(t *testing.T, s Status) (*world, OrderID, map[string]*trader) {
	t.Helper()
	w := newWorld(t)
	tr := w.newTrade(Sell).to(s)
	return w, tr.id, map[string]*trader{"maker": tr.maker, "taker": tr.taker, "stranger": w.trader("stranger")}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
