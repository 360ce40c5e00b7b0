package orders

// DisputeID names a dispute: a UUID in lower case with hyphens (RFC 9562).
type DisputeID [16]byte

// IsZero reports whether no dispute is named.
func (id DisputeID) IsZero() bool { return id == DisputeID{} }

func (id DisputeID) String() string                { return OrderID(id).String() }
func (id DisputeID) MarshalText() ([]byte, error)  { return OrderID(id).MarshalText() }
func (id *DisputeID) UnmarshalText(b []byte) error { return (*OrderID)(id).UnmarshalText(b) }

// ParseDisputeID reads a dispute's id as a person or a client writes it.
func ParseDisputeID(s string) (DisputeID, error) {
	id, err := ParseOrderID(s)
	return DisputeID(id), err
}

// newDisputeID makes a version 4 UUID of the seed, another one than that of an order of the same seed.
func newDisputeID(s Seed) DisputeID { return DisputeID(newOrderID(s.Derive("dispute id"))) }

// DisputeState says how far a dispute is. The values are those of the wire (Mostro protocol, kind 38386, tag "s").
type DisputeState string

// The states of a dispute.
const (
	DisputeInitiated  DisputeState = "initiated"
	DisputeInProgress DisputeState = "in-progress" // a solver has taken it
	DisputeSettled    DisputeState = "settled"     // the buyer got the sats: a solver said so, or the seller
	DisputeRefunded   DisputeState = "seller-refunded"
)

// Ended reports whether nothing will happen to the dispute any more.
func (s DisputeState) Ended() bool { return s == DisputeSettled || s == DisputeRefunded }

// Dispute is what a solver deals with. An order has one at most. Times are unix seconds.
type Dispute struct {
	ID     DisputeID    `json:"id"`
	By     Side         `json:"by"` // who opened it; the buyer where the end of the escrow did
	State  DisputeState `json:"state"`
	Before Status       `json:"before"` // of the order
	// Solver is the identity key of who has taken it: a solver's or an admin's; the server's own for the operator. Zero
	// as long as nobody has.
	Solver    PubKey   `json:"solver"`
	Way       Way      `json:"way,omitempty"`     // of the solver's last message
	Request   *uint64  `json:"request,omitempty"` // request_id of it
	Index     *int64   `json:"index,omitempty"`   // trade_index of it
	Verdict   *Verdict `json:"verdict,omitempty"`
	OpenedAt  int64    `json:"opened_at"`
	TakenAt   int64    `json:"taken_at,omitempty"`
	EndedAt   int64    `json:"ended_at,omitempty"`
	RemindAt  int64    `json:"remind_at,omitempty"` // when the next reminder is due
	Reminders int      `json:"reminders,omitempty"` // sent since it was opened or taken
	Published int64    `json:"published,omitempty"` // created_at of the last event
}

// Verdict is what a solver, an admin or the operator decided.
type Verdict struct {
	By     Actor `json:"by"`
	Settle bool  `json:"settle"` // for the buyer; else for the seller
	At     int64 `json:"at"`
}

// FreedBy says on whose word the escrow goes to the buyer.
type FreedBy string

// Who can free an escrow.
const (
	FreedBySeller FreedBy = "seller"
	FreedBySolver FreedBy = "solver" // or an admin, or the operator
)

// openDispute opens the order's only dispute, on a party's word or, near the end of the escrow or when it was lost, for
// the buyer, who says that he has paid. Where there is one already, its solver hears what has happened.
func openDispute(s *step) {
	if d := s.o.Dispute; d != nil {
		d.RemindAt = s.in.At + s.rules.DisputeReminder
		s.tellHolder("the escrow was lost; the order is frozen, and nothing was paid out")
		return
	}
	by, known := s.senderSide()
	if !known {
		by = Buyer
	}
	d := &Dispute{
		ID: newDisputeID(s.in.Seed), By: by, State: DisputeInitiated, Before: s.from, OpenedAt: s.in.At,
		RemindAt: s.in.At + s.rules.DisputeReminder,
	}
	s.o.Dispute = d
	s.say(by.Other(), SayDisputeByPeer, withDispute(d.ID))
	s.say(by, SayDisputeByYou, withDispute(d.ID), s.requestIfSender)
	publishDispute(s)
	s.tellSolvers("a dispute was opened by the %s and waits for a solver", by)
	if len(s.facts.solvers) == 0 {
		s.alert("dispute %s was opened, and there are no solvers: name one, or take it (mostro-takedispute)", d.ID)
	}
}

func withDispute(id DisputeID) func(*Letter, *Party) {
	return func(l *Letter, _ *Party) { l.Dispute = &id }
}

// publishDispute owes the dispute event. created_at rises with every one, as with order events.
func publishDispute(s *step) {
	d := s.o.Dispute
	d.Published = max(s.in.At, d.Published+1)
	s.owe(d.note(s.rules))
}

func (d *Dispute) note(r *Rules) *DisputeNote {
	return &DisputeNote{
		Dispute: d.ID, State: d.State, By: d.By, OpenedAt: d.OpenedAt, Stamp: d.Published,
		Expiration: d.Published + r.DisputeRetention,
	}
}

// takeDispute gives the dispute to the sender. Who had it before hears that.
func takeDispute(s *step) {
	d := s.o.Dispute
	if d.State == DisputeInProgress {
		s.tellHolder("the dispute was taken over by another solver")
	}
	d.State, d.Solver, d.TakenAt, d.Reminders = DisputeInProgress, s.actorKey(), s.in.At, 0
	d.RemindAt = s.in.At + s.rules.DisputePatience
}

// tellTook shows the solver the dispute, and both parties the solver, whose key they can write to from now on.
func tellTook(s *step) {
	tellSolverTook(s)
	if k := s.o.Dispute.Solver; !k.IsZero() {
		s.say(Buyer, SayTookDispute, withPeer(PeerView{Trade: k}))
		s.say(Seller, SayTookDispute, withPeer(PeerView{Trade: k}))
	}
}

// tellSolverTook answers the solver alone: he has asked for what he has already.
func tellSolverTook(s *step) {
	s.noteSolver()
	if s.in.From.Identity.IsZero() {
		return
	}
	l := s.toSolver(SayTookDispute)
	l.Dispute, l.About, l.Info = &s.o.Dispute.ID, &s.o.Dispute.ID, s.disputeInfo()
}

// noteSolver remembers how the solver spoke last.
func (s *step) noteSolver() {
	if d := s.o.Dispute; d != nil && d.Solver == s.in.From.Identity && !s.in.From.Identity.IsZero() {
		d.Way, d.Request, d.Index = s.in.From.Way, s.in.Request, s.in.Index
	}
}

// disputeInfo is what a solver may know: everything about the trade, and of its people the trade keys and the
// reputation, never an identity. The preimage is not told to anybody: with it somebody on the payment's route could take
// the escrow before any decision.
func (s *step) disputeInfo() *DisputeInfo {
	o, d := s.o, s.o.Dispute
	first, other := o.Party(d.By), o.Party(d.By.Other())
	return &DisputeInfo{
		Order: o.ID, Kind: o.Kind, Status: InDispute.Wire(), Before: d.Before.Wire(), Hash: o.Hold,
		Initiator: first.Trade, Buyer: o.Party(Buyer).Trade, Seller: o.Party(Seller).Trade,
		InitiatorPrivate: first.Private(), OtherPrivate: other.Private(),
		InitiatorStanding: s.standingOf(first), OtherStanding: s.standingOf(other),
		Premium: o.Premium, PaymentMethod: o.PaymentMethod, Amount: o.Amount, FiatAmount: o.Fiat.Amount,
		Fee: o.Fees.Seller, BuyerInvoice: o.Payout.Text(),
		HeldAt: o.HeldAt, TakenAt: o.TakenAt, CreatedAt: o.CreatedAt,
	}
}

// standingOf is a party's reputation, nil in full-privacy mode.
func (s *step) standingOf(p *Party) *Standing {
	switch {
	case p.Private():
		return nil
	case p == &s.o.Maker:
		return s.standing(s.facts.maker)
	}
	return s.standing(s.facts.taker)
}

// judgeForBuyer and judgeForSeller note the verdict. What becomes of it is the row's.
func judgeForBuyer(s *step) {
	s.judge(true)
	s.o.FreedBy = FreedBySolver
}

func judgeForSeller(s *step) { s.judge(false) }

func (s *step) judge(settle bool) {
	s.noteSolver()
	if d := s.o.Dispute; d != nil {
		d.Verdict = &Verdict{By: s.actor, Settle: settle, At: s.in.At}
	}
}

// endSettled and endRefunded close the order's dispute, if there is one.
func endSettled(s *step)  { s.endDispute(DisputeSettled) }
func endRefunded(s *step) { s.endDispute(DisputeRefunded) }

func (s *step) endDispute(as DisputeState) {
	d := s.o.Dispute
	if d == nil || d.State.Ended() {
		return
	}
	if d.Verdict == nil || d.Verdict.Settle != (as == DisputeSettled) {
		s.tellHolder("the dispute has ended without a verdict: %s", endWords[s.in.Act.On()])
	}
	d.State, d.EndedAt, d.RemindAt = as, s.in.At, 0
	publishDispute(s)
}

var endWords = map[On]string{
	OnHoldSettled:    "the seller released",
	OnCancel:         "both parties agreed to cancel",
	OnEscrowDeadline: "the escrow ran out of blocks, and the seller was refunded",
}

// tellAdminSettled tells the solver and both parties of a settle that is proved, tellAdminCanceled of a cancel.
func tellAdminSettled(s *step)  { s.tellVerdict(SayAdminSettled) }
func tellAdminCanceled(s *step) { s.tellVerdict(SayAdminCanceled) }

func (s *step) tellVerdict(a Action) {
	d := s.o.Dispute
	var index func(*Letter, *Party)
	if d != nil {
		index = func(l *Letter, _ *Party) { l.Index = d.Index }
		if v := d.Verdict; v == nil || v.By.Role != RoleOperator || s.foreign(d.Solver) {
			s.toHolder(a)
		}
	} else {
		index = func(*Letter, *Party) {}
	}
	s.say(Seller, a, index)
	s.say(Buyer, a, index)
}

// tellSolverCoopCanceled answers a verdict that comes after the parties have agreed.
func tellSolverCoopCanceled(s *step) {
	s.noteSolver()
	if !s.in.From.Identity.IsZero() {
		s.toSolver(SayCoopAccepted)
	}
}

// Reminders.

// untaken: nobody has the dispute, or one who is no solver any more.
func untaken(s *step) bool {
	d := s.o.Dispute
	return d != nil && (d.State == DisputeInitiated || s.holderGone())
}

// remindSolvers asks all solvers again and, when that has been in vain some times, the operator.
func remindSolvers(s *step) {
	d := s.o.Dispute
	d.Reminders++
	d.RemindAt = s.in.At + s.rules.DisputeReminder
	hours := (s.in.At - d.OpenedAt) / 3600
	s.tellSolvers("the dispute waits for a solver since %d h", hours)
	if d.Reminders >= s.rules.DisputeEscalate || len(s.facts.solvers) == 0 {
		s.alert("dispute %s waits for a solver since %d h: take it (mostro-takedispute), or ask a solver to", d.ID, hours)
	}
}

// remindHolder asks the solver who has the dispute, and tells the operator.
func remindHolder(s *step) {
	d := s.o.Dispute
	d.Reminders++
	d.RemindAt = s.in.At + s.rules.DisputePatience
	hours := (s.in.At - d.TakenAt) / 3600
	s.tellHolder("the dispute waits for your decision since %d h", hours)
	s.alert("dispute %s is with solver %s since %d h, and undecided", d.ID, d.Solver, hours)
}

// remindFrozen: only a person can end it.
func remindFrozen(s *step) {
	d := s.o.Dispute
	d.RemindAt = s.in.At + s.rules.DisputePatience
	s.alert("the order is frozen since its escrow was lost; look at the node, then decide (mostro-settleorder, mostro-cancelorder)")
	if untaken(s) {
		s.tellSolvers("the order is frozen and waits for a solver")
	} else {
		s.tellHolder("the order is frozen and waits for your decision")
	}
}

// warningDue: the blocks that are left are told about every hour.
func warningDue(s *step) bool { return s.in.At >= s.o.WarnedAt+warnEvery }

const warnEvery = 3600 // seconds

// tellBlocksLeft tells everybody concerned that the escrow comes near to its end.
func tellBlocksLeft(s *step) {
	a, _ := s.in.Act.(EscrowNearing)
	s.o.WarnedAt = s.in.At
	left := int64(a.Left)
	what := "Release or cancel in time, or open a dispute."
	if s.o.Status == InDispute {
		what = "A solver must decide before."
	}
	for _, side := range []Side{Buyer, Seller} {
		s.tell(side, "Order %s: the sats are locked for %d blocks more (about %d h). Some blocks before that they go back to the seller. %s",
			s.o.ID, left, left/6, what)
	}
	if s.o.Status != InDispute {
		return
	}
	if untaken(s) {
		s.tellSolvers("%d blocks are left of the escrow, and nobody has taken the dispute", left)
	} else {
		s.tellHolder("%d blocks are left of the escrow: decide before the seller is refunded", left)
	}
	s.alert("%d blocks are left of the escrow, and the order is in dispute", left)
}

// tellFrozen says plainly what a frozen trade means.
func tellFrozen(s *step) {
	s.tell(Buyer, "Order %s is frozen: the sats that the seller had locked are gone from this server's node. Nothing was paid out. Don't send fiat; a solver will look into it.", s.o.ID)
	s.tell(Seller, "Order %s is frozen: the sats that you had locked are gone from this server's node. Look whether your wallet has them back. A solver will look into it.", s.o.ID)
}

func alertDisputeRanOut(s *step) {
	s.alert("the escrow ran out of blocks while in dispute, undecided; the seller was refunded")
}
