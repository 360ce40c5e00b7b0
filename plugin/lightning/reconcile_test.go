package lightning

import (
	"slices"
	"testing"

	"github.com/mostro-cln/mostro/orders"
)

// remedyNames are for the words of a failing test.
var remedyNames = [...]string{"leave", "look", "owe again", "tell the engine", "cancel", "settle"}

func (r remedy) String() string { return remedyNames[r] }

// The whole table: each state of a hold in the store with each that the holder can say.
func TestJudgeHold(t *testing.T) {
	const held, less = 1000, 999
	creating, open, accepted := orders.HoldCreating, orders.HoldOpen, orders.HoldAccepted
	settling, settled, canceling, canceled := orders.HoldSettling, orders.HoldSettled, orders.HoldCanceling, orders.HoldCanceled
	type want struct {
		do    remedy
		alarm bool
		waits bool // nothing is done at first
	}
	none := &want{}
	covered := map[orders.HoldState]map[string]bool{}
	for _, c := range []struct {
		name           string
		ours           orders.HoldState
		theirs         []string
		want           *want // none: there is nothing to find
		frozen, unowed bool  // the row of the state is missing in the outbox
		astray         bool  // the order has moved on
		proof          bool
		held           orders.Msats // 0: all
	}{
		{name: "being created, whatever the holder has", ours: creating, theirs: holderStates, want: none},
		{name: "to be created, and nobody does it", ours: creating, theirs: holderStates, unowed: true, want: &want{do: oweAgain}},

		{name: "open on both sides", ours: open, theirs: []string{stateOpen, stateCreating}, want: none},
		{name: "paid, and we have not heard of it", ours: open, theirs: []string{stateAccepted}, want: &want{do: lookNow}},
		{name: "open, and ended at the holder", ours: open, theirs: []string{stateCanceling, stateCanceled, stateLost, stateUnknown}, want: &want{do: lookNow}},
		{name: "open, and being settled", ours: open, theirs: []string{stateSettling}, want: &want{alarm: true}},
		{name: "open, and settled without us", ours: open, theirs: []string{stateSettled}, want: &want{do: lookNow, alarm: true}},

		{name: "held on both sides", ours: accepted, theirs: []string{stateAccepted}, want: none},
		{name: "held, but not all of it", ours: accepted, theirs: []string{stateAccepted}, held: less, want: &want{alarm: true, waits: true}},
		{name: "held, and open at the holder", ours: accepted, theirs: []string{stateOpen, stateCreating}, want: &want{do: lookNow}},
		{name: "held, and gone", ours: accepted, theirs: []string{stateCanceling, stateCanceled, stateLost, stateUnknown}, want: &want{do: lookNow, alarm: true}},
		{name: "held, and being settled", ours: accepted, theirs: []string{stateSettling}, want: &want{alarm: true}},
		{name: "held, and settled without us", ours: accepted, theirs: []string{stateSettled}, want: &want{do: lookNow, alarm: true}},

		{name: "released and still held", ours: settling, theirs: []string{stateAccepted, stateSettling}, want: &want{alarm: true, waits: true}},
		{name: "released and settled with proof", ours: settling, theirs: []string{stateSettled}, proof: true, want: none},
		{name: "released and settled without proof", ours: settling, theirs: []string{stateSettled}, want: &want{alarm: true, waits: true}},
		{name: "released, and nothing is held", ours: settling, theirs: []string{stateOpen, stateCreating}, want: &want{do: cancelAgain, alarm: true, waits: true}},
		{name: "released, and the money went away", ours: settling, theirs: []string{stateCanceling, stateCanceled, stateLost}, want: &want{alarm: true, waits: true}},
		{name: "released and unknown to the holder", ours: settling, theirs: []string{stateUnknown}, want: &want{do: tellEngine, alarm: true, waits: true}},
		{name: "released, and nobody settles it", ours: settling, theirs: []string{stateAccepted, stateSettling, stateSettled}, unowed: true, want: &want{do: oweAgain}},
		{name: "released, and nobody finds out that it failed", ours: settling, unowed: true, want: &want{do: oweAgain, alarm: true},
			theirs: []string{stateOpen, stateCreating, stateCanceling, stateCanceled, stateLost, stateUnknown}},

		{name: "to be canceled, and not yet", ours: canceling, theirs: []string{stateOpen, stateAccepted, stateCreating, stateCanceling}, want: &want{alarm: true, waits: true}},
		{name: "to be canceled and gone", ours: canceling, theirs: []string{stateCanceled, stateLost, stateUnknown}, want: none},
		{name: "to be canceled, and settled", ours: canceling, theirs: []string{stateSettling, stateSettled}, want: &want{alarm: true}},
		{name: "to be canceled, and nobody does it", ours: canceling, unowed: true, want: &want{do: oweAgain},
			theirs: []string{stateOpen, stateAccepted, stateCreating, stateCanceling, stateCanceled, stateLost, stateUnknown}},
		{name: "to be canceled, settled, and nobody finds out", ours: canceling, theirs: []string{stateSettling, stateSettled}, unowed: true, want: &want{do: oweAgain, alarm: true}},

		{name: "settled on both sides, or forgotten by the holder", ours: settled, theirs: []string{stateSettled, stateSettling, stateUnknown}, want: none},
		{name: "settled, and held again", ours: settled, theirs: []string{stateAccepted}, want: &want{do: settleAgain, alarm: true}},
		{name: "settled, and the holder never did it", ours: settled, theirs: []string{stateOpen, stateCreating, stateCanceling, stateCanceled, stateLost}, want: &want{alarm: true, waits: true}},

		{name: "canceled on both sides, or forgotten by the holder", ours: canceled, theirs: []string{stateCanceling, stateCanceled, stateLost, stateUnknown}, want: none},
		{name: "canceled, and can be paid", ours: canceled, theirs: []string{stateOpen, stateCreating}, want: &want{do: cancelAgain}},
		{name: "canceled, and held again", ours: canceled, theirs: []string{stateAccepted}, want: &want{do: cancelAgain, alarm: true}},
		{name: "lost and frozen, and held all the same", ours: canceled, frozen: true, theirs: []string{stateAccepted}, want: &want{alarm: true}},
		{name: "canceled, and being settled", ours: canceled, theirs: []string{stateSettling}, want: &want{alarm: true}},
		{name: "canceled, and settled without proof", ours: canceled, theirs: []string{stateSettled}, want: &want{alarm: true}},
		{name: "canceled, and settled", ours: canceled, theirs: []string{stateSettled}, proof: true, want: &want{do: tellEngine, alarm: true}},

		{name: "being created, and its order has moved on", ours: creating, theirs: holderStates, astray: true, want: &want{do: oweAgain}},
		{name: "open, and its order has moved on", ours: open, theirs: holderStates, astray: true, want: &want{do: oweAgain}},
		{name: "held, and its order has moved on", ours: accepted, theirs: holderStates, astray: true, want: &want{do: oweAgain}},
		{name: "canceled, held, and its order has moved on", ours: canceled, theirs: []string{stateAccepted}, astray: true, want: &want{do: cancelAgain, alarm: true}},
	} {
		for _, theirs := range c.theirs {
			if covered[c.ours] == nil {
				covered[c.ours] = map[string]bool{}
			}
			covered[c.ours][theirs] = true
			t.Run(c.name+": "+theirs, func(t *testing.T) {
				h := orders.Hold{Hash: orders.Hash{1}, State: c.ours, Amount: held}
				a := orders.Affair{Hold: h, Order: orders.Order{Hold: h.Hash, Status: orders.Active}, HoldOwed: !c.unowed}
				if c.frozen {
					a.Order.Status = orders.Frozen
				}
				if c.astray {
					a.Order.Hold = orders.Hash{2}
				}
				s := holdStatus{State: theirs, Held: held, Proved: c.proof}
				if c.held != 0 {
					s.Held = c.held
				}
				f := judgeHold(a, s)
				if (f.What == "") != (c.want == none) || (f.What == "") != (f.Action == "") {
					t.Fatalf("found %q, %q", f.What, f.Action)
				}
				if f.Do != c.want.do || f.Alarm != c.want.alarm || (f.After > 0) != c.want.waits {
					t.Errorf("%s: %s, alarm %v, after %v", f.What, f.Do, f.Alarm, f.After)
				}
				act := orders.Act(orders.HoldIsSettled{Hash: h.Hash})
				if theirs == stateUnknown {
					act = orders.HoldIsCanceled{Hash: h.Hash, Why: "the hold plugin does not know it"}
				}
				if f.Do == tellEngine && f.Act != act {
					t.Errorf("the engine hears %#v", f.Act)
				}
			})
		}
	}
	for _, ours := range []orders.HoldState{creating, open, accepted, settling, settled, canceling, canceled} {
		for _, theirs := range holderStates {
			if !covered[ours][theirs] {
				t.Errorf("no row for %s and %s", ours, theirs)
			}
		}
	}
}

// holderStates are all words of a holder.
var holderStates = []string{
	stateCreating, stateOpen, stateAccepted, stateSettling, stateSettled, stateCanceling, stateCanceled, stateLost, stateUnknown,
}

func TestJudgeHoldOfAnOrderThatHasEnded(t *testing.T) {
	for _, s := range orders.Statuses {
		h := orders.Hold{Hash: orders.Hash{1}, State: orders.HoldAccepted, Amount: 1}
		f := judgeHold(orders.Affair{Hold: h, Order: orders.Order{Hold: h.Hash, Status: s}}, holdStatus{State: stateAccepted, Held: 1})
		if got := f.Do == oweAgain; got != s.Final() {
			t.Errorf("%s: %+v", s, f)
		}
	}
}

func TestJudgeStranger(t *testing.T) {
	for _, state := range holderStates {
		f := judgeStranger(holdStatus{State: state})
		alive := slices.Contains([]string{stateOpen, stateCreating, stateAccepted}, state)
		ours := state == stateSettling || state == stateSettled
		if (f.Do == cancelAgain) != alive || f.Alarm != (alive || ours) || (f.What == "") == (alive || ours) {
			t.Errorf("%s: %+v", state, f)
		}
		if (f.After > 0) != (state == stateAccepted) {
			t.Errorf("%s waits %v", state, f.After)
		}
	}
}

func TestJudgePayout(t *testing.T) {
	const now = 1_000_000
	pre := orders.Preimage{1}
	invoice := orders.Payout{Invoice: "lnbc1", Hash: pre.Hash()}
	with := func(f func(*orders.Payout)) orders.Payout { p := invoice; f(&p); return p }
	inFlight := with(func(p *orders.Payout) { p.InFlight = true })
	resting := with(func(p *orders.Payout) { p.NextAt = now + 60 })
	late := with(func(p *orders.Payout) { p.NextAt = now - 3600 })
	never, pending := orders.PayReport{State: orders.PayNever}, orders.PayReport{State: orders.PayUnknown}
	paid := orders.PayReport{State: orders.PayDone, Preimage: pre, Fee: 3}
	for _, c := range []struct {
		name   string
		status orders.Status // empty: the money is ours to pay out
		payout orders.Payout
		owed   bool
		node   orders.PayReport
		none   bool
		do     remedy
		alarm  bool
	}{
		{name: "no attempt yet", payout: invoice, node: never, do: oweAgain},
		{name: "no attempt yet, to a destination", payout: orders.Payout{Destination: "a@b.c"}, node: pending, do: oweAgain},
		{name: "an attempt is owed", payout: inFlight, owed: true, node: never, none: true},
		{name: "an attempt is owed and pending", payout: inFlight, owed: true, node: pending, none: true},
		{name: "an attempt is owed and complete: it finds out itself", payout: inFlight, owed: true, node: paid, none: true},
		{name: "in flight, nothing owed, never sent", payout: inFlight, node: never, do: oweAgain},
		{name: "in flight, nothing owed, pending", payout: inFlight, node: pending, do: oweAgain},
		{name: "in flight, nothing owed, complete", payout: inFlight, node: paid, do: tellEngine},
		{name: "in flight without an invoice, nothing owed", payout: orders.Payout{Destination: "a@b.c", InFlight: true}, node: pending, do: oweAgain},
		{name: "failed for good, waits for the buyer", payout: with(func(p *orders.Payout) { p.Attempts = 3 }), node: never, none: true},
		{name: "failed, rests, no pending part", payout: resting, node: never, none: true},
		{name: "failed, rests, and is pending", payout: resting, node: pending, alarm: true},
		{name: "failed, rests, and is complete", payout: resting, node: paid, do: tellEngine},
		{name: "complete with another preimage", payout: resting, node: orders.PayReport{State: orders.PayDone, Preimage: orders.Preimage{2}}, alarm: true},
		{name: "the next attempt is overdue", payout: late, node: never, alarm: true},
		{name: "nowhere to go", payout: orders.Payout{}, node: pending, alarm: true},
		{name: "paid, and the row is there", status: orders.Success, payout: invoice, node: paid, none: true},
		{name: "paid, and the row is missing", status: orders.Success, payout: invoice, node: never, none: true},
		{name: "not settled yet", status: orders.Settling, payout: invoice, node: never, none: true},
		{name: "frozen", status: orders.Frozen, payout: invoice, node: never, none: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.status == "" {
				c.status = orders.SettledHoldInvoice
			}
			f := judgePayout(orders.Affair{Order: orders.Order{Status: c.status, Payout: c.payout}, PayoutOwed: c.owed}, c.node, now)
			if (f.What == "") != c.none || f.Do != c.do || f.Alarm != c.alarm || f.After != 0 {
				t.Errorf("got %+v", f)
			}
			want := orders.PayoutPaid{Hash: pre.Hash(), Preimage: pre, Fee: 3}
			if f.Do == tellEngine && f.Act != orders.Act(want) {
				t.Errorf("the engine hears %#v", f.Act)
			}
		})
	}
}
