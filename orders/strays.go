package orders

import "fmt"

// noteHold records what the node says of the current hold, before the row's functions run.
func (s *step) noteHold() { s.note(s.hold) }

func (s *step) note(h *Hold) {
	switch a := s.in.Act.(type) {
	case HoldCreated:
		h.Bolt11 = a.Bolt11
		s.setHold(h, HoldOpen)
	case HoldIsAccepted:
		h.Held, h.MinExpiry = a.Held, a.MinExpiry
		s.setHold(h, HoldAccepted)
		s.book(Locked, a.Held, h.Hash)
	case HoldIsCanceled:
		s.setHold(h, HoldCanceled)
		if h.Held > 0 && h.Refunded == 0 {
			h.Refunded = h.Held
			s.book(Refunded, h.Held, h.Hash)
		}
	}
}

// unrefund takes a refund out of the books that was believed too early: the hold turns out to be settled.
func (s *step) unrefund(h *Hold) {
	if h.Refunded != 0 {
		s.book(Refunded, -h.Refunded, h.Hash)
		h.Refunded = 0
	}
}

// straggler deals with a hold that is not the order's any more: a take that was abandoned, or an order that has ended.
// Such a hold is canceled, whatever it does.
func (s *step) straggler() {
	h := s.stray
	switch s.in.Act.(type) {
	case HoldCreated:
		h.Bolt11 = s.in.Act.(HoldCreated).Bolt11
		s.abandon(h)
	case HoldIsAccepted:
		if h.State.Ended() || h.Held > 0 {
			return
		}
		h.Held, h.MinExpiry = s.in.Act.(HoldIsAccepted).Held, s.in.Act.(HoldIsAccepted).MinExpiry
		s.book(Locked, h.Held, h.Hash)
		s.abandon(h)
	case HoldIsCanceled:
		if !h.State.Ended() {
			s.note(h)
		}
	case HoldIsSettled:
		s.settledByNode(h)
	}
}

// settledByNode: the money came without a release. It is not ours, and only a person can give it back.
func (s *step) settledByNode(h *Hold) {
	switch h.State {
	case HoldSettled:
		return
	case HoldCanceled:
		s.owe(&Alert{Text: fmt.Sprintf("order %s: hold %s was canceled, and now the node says that it is settled", s.o.ID, h.Hash)})
		return
	}
	if h.Held == 0 {
		h.Held = h.Amount
		s.book(Locked, h.Held, h.Hash)
	}
	s.setHold(h, HoldSettled)
	s.unrefund(h)
	s.book(Settled, h.Held, h.Hash)
	s.book(Owed, h.Held, h.Hash)
	s.owe(&Alert{Text: fmt.Sprintf("order %s: hold %s was settled though the order is %s; its %d msat are owed to the seller",
		s.o.ID, h.Hash, s.o.Status, int64(h.Held))})
}

// abandon cancels a hold unless that was decided already.
func (s *step) abandon(h *Hold) {
	if h.State.Ended() {
		return
	}
	decided := h.State == HoldCanceling
	s.setHold(h, HoldCanceling)
	if !decided {
		s.owe(&CancelHold{Hash: h.Hash})
	}
}

// unexpected is a report of the node for which the order's status has no row.
func (s *step) unexpected() {
	switch s.in.Act.(type) {
	case HoldIsSettled:
		if s.hold.State != HoldSettled {
			s.owe(&Alert{Text: fmt.Sprintf("order %s: hold %s was settled without a release while %s", s.o.ID, s.hold.Hash, s.o.Status)})
		}
	case HoldIsCanceled:
		if !s.hold.State.Ended() {
			s.note(s.hold)
		}
	}
}

// outdated is a report about something that the order has moved on from. Only money makes that worth a word.
func (s *step) outdated() {
	if a, ok := s.in.Act.(PayoutPaid); ok {
		s.owe(&Alert{Text: fmt.Sprintf("order %s: the payout %s was paid, but the order's payout is %s", s.o.ID, a.Hash, s.o.Payout.Hash)})
	}
}
