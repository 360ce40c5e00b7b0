package lightning

import (
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// remedy is what the reconciliation does about a finding. None of them decides anything: the first three make those
// look again whose work it is, the others repeat a decision that the store has recorded.
type remedy int

const (
	leave       remedy = iota // nothing: somebody is at work on it, or only a person can
	lookNow                   // the watch looks at the hold at once
	oweAgain                  // what is missing in the outbox goes back into it
	tellEngine                // the engine hears Act
	cancelAgain               // the holder cancels
	settleAgain               // the holder settles
)

// Finding is a difference between the store and the node. The zero finding is none.
type Finding struct {
	What   string // the difference, in words
	Action string // what is done about it, in words
	Do     remedy
	Act    orders.Act // of tellEngine
	Once   int64      // of tellEngine: what tells it from an earlier one about the same hold; unix seconds, or 0
	Alarm  bool       // a person should look
	// After is how long the difference must have stood before it counts: others may be about to end it.
	After time.Duration
}

// stateUnknown is a hold that the plugin does not know.
const stateUnknown = "unknown"

// overdue is how long work that somebody owes may take before it is worth a word.
const overdue = 10 * time.Minute

// judgeHold compares a hold invoice in the store with what the hold plugin says of it. What the watch and the
// dispatcher do by themselves is left to them, as long as they know of it.
func judgeHold(a orders.Affair, s holdStatus) Finding {
	switch a.Hold.State {
	case orders.HoldCreating, orders.HoldOpen, orders.HoldAccepted:
		if a.Astray() {
			return Finding{What: "nobody waits for this hold, and its cancel is not owed", Action: "cancel it", Do: oweAgain}
		}
	}
	switch a.Hold.State {
	case orders.HoldCreating:
		if !a.HoldOwed {
			return Finding{What: "its creation is not owed", Action: "owe it again: the same invoice is made, or found", Do: oweAgain}
		}
	case orders.HoldOpen:
		return judgeOpen(s)
	case orders.HoldAccepted:
		return judgeAccepted(a, s)
	case orders.HoldSettling:
		return judgeSettling(a, s)
	case orders.HoldCanceling:
		return judgeCanceling(a, s)
	case orders.HoldSettled:
		return judgeSettled(s)
	case orders.HoldCanceled:
		return judgeCanceled(a, s)
	}
	return Finding{}
}

// judgeOpen: the seller has not paid, as far as we know.
func judgeOpen(s holdStatus) Finding {
	switch s.State {
	case stateAccepted:
		return Finding{What: "the seller has paid, and the exchange has not heard of it", Action: "look at it now", Do: lookNow}
	case stateSettling:
		return Finding{What: "the holder settles a hold that the exchange has not released", Action: "wait for its end", Alarm: true}
	case stateSettled:
		return Finding{What: "it was settled without the exchange", Action: "look at it now; its money is owed to the seller", Do: lookNow, Alarm: true}
	case stateCanceling, stateCanceled, stateLost, stateUnknown:
		return Finding{What: "it ended at the holder (" + s.State + ")", Action: "look at it now", Do: lookNow}
	}
	return Finding{}
}

// judgeAccepted: the money is held, as far as we know.
func judgeAccepted(a orders.Affair, s holdStatus) Finding {
	switch s.State {
	case stateAccepted:
		if s.Held < a.Hold.Amount {
			return Finding{What: "less is held than was locked", Action: "none: look at the node's channels", Alarm: true, After: replayTime}
		}
	case stateOpen, stateCreating:
		return Finding{What: "nothing is held any more, unless it is coming back after a start of the node", Action: "look at it now; it is given up after a minute", Do: lookNow}
	case stateSettling:
		return Finding{What: "the holder settles a hold that the exchange has not released", Action: "wait for its end", Alarm: true}
	case stateSettled:
		return Finding{What: "it was settled without a release", Action: "look at it now; the money is with the node, the trade goes on", Do: lookNow, Alarm: true}
	default:
		return Finding{What: "the escrow is gone (" + s.State + ")", Action: "look at it now; both parties hear of it, nothing is paid out", Do: lookNow, Alarm: true}
	}
	return Finding{}
}

// judgeSettling: the seller released, the proof is awaited.
func judgeSettling(a orders.Affair, s holdStatus) Finding {
	if !a.HoldOwed {
		return Finding{What: "its settle is not owed, the holder says " + s.State, Action: "owe it again", Do: oweAgain, Alarm: !underway(s.State)}
	}
	switch s.State {
	case stateAccepted, stateSettling:
		return Finding{What: "a release is not carried out", Action: "none: the settle is tried again and again, the log says why it fails", Alarm: true, After: overdue}
	case stateSettled:
		if !s.Proved {
			return Finding{What: "a settle has no proof", Action: "none: nothing is paid out without one", Alarm: true, After: overdue}
		}
	case stateOpen, stateCreating:
		return Finding{What: "nothing is held any more, though the seller released", Action: "cancel it, so that nothing can be paid to it; the trade is frozen", Do: cancelAgain, Alarm: true, After: overdue}
	case stateUnknown:
		// Tried for ever, it would keep the trade from everybody. Frozen, nothing is paid out either, and a person can end it.
		return Finding{
			What: "the holder does not know a hold that is to be settled", Action: "freeze the trade: nobody can say where the money is",
			Do: tellEngine, Act: orders.HoldIsCanceled{Hash: a.Hold.Hash, Why: "the hold plugin does not know it"}, Once: a.Hold.UpdatedAt,
			Alarm: true, After: overdue,
		}
	default:
		return Finding{What: "the settle failed (" + s.State + ")", Action: "none: the outbox hears of it, the trade is frozen", Alarm: true, After: replayTime}
	}
	return Finding{}
}

// underway are the states in which a settle is what it should be.
func underway(state string) bool {
	return state == stateAccepted || state == stateSettling || state == stateSettled
}

// judgeCanceling: it was decided that the money goes back.
func judgeCanceling(a orders.Affair, s holdStatus) Finding {
	settled := s.State == stateSettled || s.State == stateSettling
	switch {
	case !a.HoldOwed && settled:
		return Finding{What: "it was settled and should have been canceled, and nothing is owed", Action: "owe the cancel again: it finds that the money is owed to the seller", Do: oweAgain, Alarm: true}
	case !a.HoldOwed:
		return Finding{What: "its cancel is not owed, the holder says " + s.State, Action: "owe it again", Do: oweAgain}
	case settled:
		return Finding{What: "it was settled and should have been canceled", Action: "none: the outbox hears of it; the money is owed to the seller", Alarm: true}
	case s.State == stateOpen, s.State == stateAccepted, s.State == stateCreating, s.State == stateCanceling:
		return Finding{What: "a cancel is not carried out", Action: "none: it is tried again and again, the log says why it fails", Alarm: true, After: overdue}
	}
	return Finding{}
}

// judgeSettled: the money was proved to be ours.
func judgeSettled(s holdStatus) Finding {
	switch s.State {
	case stateAccepted:
		return Finding{What: "it was settled, and is held again", Action: "settle it again", Do: settleAgain, Alarm: true}
	case stateOpen, stateCreating, stateCanceling, stateCanceled, stateLost:
		return Finding{What: "it was settled, and the holder says " + s.State, Action: "none: compare the node's books", Alarm: true, After: replayTime}
	}
	return Finding{}
}

// judgeCanceled: the money went back, or never came.
func judgeCanceled(a orders.Affair, s holdStatus) Finding {
	switch s.State {
	case stateOpen, stateCreating:
		return Finding{What: "it was canceled, and can be paid", Action: "cancel it again", Do: cancelAgain}
	case stateAccepted:
		if a.Order.Status == orders.Frozen && !a.Astray() {
			return Finding{What: "it was taken for lost, and is held", Action: "none: the trade is frozen, and a person decides", Alarm: true}
		}
		return Finding{What: "it was canceled, and is held again", Action: "cancel it again", Do: cancelAgain, Alarm: true}
	case stateSettling:
		return Finding{What: "it was canceled, and is being settled", Action: "wait for its end", Alarm: true}
	case stateSettled:
		f := Finding{What: "it was canceled, and the holder says that it is settled", Action: "none: wait for the proof", Alarm: true}
		if s.Proved {
			f.Action, f.Do = "raise the alarm: its money is owed to the seller", tellEngine
			f.Act = orders.HoldIsSettled{Hash: a.Hold.Hash}
		}
		return f
	}
	return Finding{}
}

// judgeStranger is about a hold with our label of which the store knows nothing: a store was lost, or somebody made it
// by hand.
func judgeStranger(s holdStatus) Finding {
	switch s.State {
	case stateOpen, stateCreating:
		return Finding{What: "the exchange does not know this hold (" + s.State + ")", Action: "cancel it", Do: cancelAgain, Alarm: true}
	case stateAccepted: // the operator who put the wrong store in place has time to notice
		return Finding{What: "the exchange does not know this hold (" + s.State + ")", Action: "cancel it", Do: cancelAgain, Alarm: true, After: overdue}
	case stateSettling, stateSettled:
		return Finding{What: "the exchange does not know this hold (" + s.State + ")", Action: "none: the money is with the node, find out whose it is", Alarm: true}
	}
	return Finding{}
}

// judgePayout compares an order's payout with the node's record of its payment. While the outbox has a row for it, that
// row finds out by itself.
func judgePayout(a orders.Affair, r orders.PayReport, now int64) Finding {
	p := &a.Order.Payout
	switch {
	case a.Order.Status != orders.SettledHoldInvoice || a.PayoutOwed:
		return Finding{}
	case r.State == orders.PayDone && !r.Preimage.Matches(p.Hash):
		return Finding{What: "the node shows a payout as paid with another preimage", Action: "none: look at the node", Alarm: true}
	case r.State == orders.PayDone:
		return Finding{What: "the payout is paid, and the exchange has not heard of it", Action: "complete the trade", Do: tellEngine,
			Act: orders.PayoutPaid{Hash: p.Hash, Preimage: r.Preimage, Fee: r.Fee}}
	case p.InFlight:
		return Finding{What: "a payout is in flight and nothing is owed", Action: "owe the same invoice again; the node's record is asked first", Do: oweAgain}
	case r.State == orders.PayUnknown && p.Invoice != "":
		return Finding{What: "a payout that had failed is pending at the node", Action: "none: the next attempt waits for its end", Alarm: true}
	case !p.Given():
		return Finding{What: "a payout has nowhere to go", Action: "none: ask the buyer for an invoice", Alarm: true}
	case p.NextAt == 0 && p.Attempts > 0: // it failed for good, and the buyer was asked for another invoice
	case p.NextAt == 0:
		return Finding{What: "a payout waits for nothing", Action: "begin it", Do: oweAgain}
	case now > p.NextAt+int64(overdue/time.Second):
		return Finding{What: "a payout's next attempt is overdue", Action: "none: the timer does it", Alarm: true}
	}
	return Finding{}
}
