package orders

import (
	"fmt"

	"github.com/mostro-cln/mostro/orders/planted"
)

// step is one input being worked on: what came in, the order as it will be, and what we shall owe. Guards only read
// it; the functions of the life cycle's last column write it. Nothing in it reaches out of the process.
type step struct {
	in      *Input
	rules   *Rules
	o       *Order // a copy; saved if the step succeeds
	from    Status
	dispute DisputeState // of the order, before
	solver  PubKey       // who had it
	hold    *Hold        // the order's current hold, if any
	stray   *Hold        // the hold that the input is about, if it is not the current one
	facts   facts
	moved   bool  // a row was found; the order is saved
	row     *row  // the one that was found
	actor   Actor // who acts for the server, if the input is such an act and he may

	effects    []owed
	entries    []Entry
	letters    int
	children   []*step // orders that this input has made beside the step's own
	saveHold   []*Hold
	saveUser   []*User
	saveSolver []*Solver
	records    []Record
}

// facts are what the guards need to know beside the order itself.
type facts struct {
	sender        *User // nil: unknown identity
	maker, taker  *User
	rated         *User    // the user whom a rate-user message is about
	busy          bool     // the sender's identity already owes something on an order that it took
	openOrders    int      // of the sender's identity, as their maker
	mine          []*Order // the orders that the sender asks for
	invoiceUsedBy OrderID
	invoiceIsHold bool
	banned        bool     // the sender is shut out
	named         *Solver  // whom add-solver is about, if he is one
	solver        *Solver  // the sender, if he is one
	holder        *Solver  // who has taken the order's dispute, if he is still a solver
	solvers       []Solver // all, where they may have to hear of it
}

type owed struct {
	effect    Effect
	notBefore int64
}

func (s *step) owe(e Effect) { s.effects = append(s.effects, owed{effect: e}) }

// sender returns the party that wrote the message, nil for a stranger.
func (s *step) sender() *Party {
	switch k := s.in.From.Trade; {
	case k.IsZero():
		return nil
	case k == s.o.Maker.Trade:
		return &s.o.Maker
	case k == s.o.Taker.Trade:
		return &s.o.Taker
	}
	return nil
}

// senderSide returns the side of the party that wrote the message.
func (s *step) senderSide() (Side, bool) {
	p := s.sender()
	if p == nil {
		return "", false
	}
	return s.o.SideOf(p == &s.o.Maker), true
}

// say owes a message to the party on that side. Parts add what it carries.
func (s *step) say(to Side, a Action, parts ...func(*Letter, *Party)) {
	p := s.o.Party(to)
	l := s.letter(Sender{Trade: p.Trade, Way: p.Way}, a)
	l.Order = s.o.ID
	for _, part := range parts {
		part(l, p)
	}
	s.owe(l)
}

// letter begins a message with a seed of its own.
func (s *step) letter(to Sender, a Action) *Letter {
	s.letters++
	seed := s.in.Seed.Derive("letter", s.o.ID[:], []byte(fmt.Sprint(s.letters)))
	return &Letter{To: to.Trade, Way: to.Way, Action: a, At: s.in.At, Seed: seed}
}

// The parts of a message.

func withRequest(l *Letter, p *Party) { l.Request = p.Request }
func withIndex(l *Letter, p *Party)   { l.Index = p.Index }

func withView(v *OrderView) func(*Letter, *Party) {
	return func(l *Letter, _ *Party) { l.View = v }
}

func withInvoice(bolt11 string) func(*Letter, *Party) {
	return func(l *Letter, _ *Party) { l.Bolt11 = bolt11 }
}

func withPeer(p PeerView) func(*Letter, *Party) {
	return func(l *Letter, _ *Party) { l.Peer = &p }
}

// view shows the order with the amount that concerns the receiver.
func (s *step) view(amount Sats) *OrderView {
	o := s.o
	created, expires := o.CreatedAt, o.ExpiresAt
	return &OrderView{
		ID: o.ID, Kind: o.Kind, Status: o.Status.Wire(), Amount: amount, Fiat: o.Fiat,
		PaymentMethod: o.PaymentMethod, Premium: o.Premium, CreatedAt: &created, ExpiresAt: &expires,
	}
}

// viewOfTrade shows the order with both trade keys, so that the parties can talk.
func (s *step) viewOfTrade(amount Sats) *OrderView {
	v := s.view(amount)
	buyer, seller := s.o.Party(Buyer).Trade, s.o.Party(Seller).Trade
	if planted.On("wrong-key-told") {
		buyer, seller = s.o.Maker.Trade, s.o.Taker.Trade
	}
	v.BuyerTrade, v.SellerTrade = &buyer, &seller
	return v
}

// standing is a user's reputation at the time of the input; a private user has none.
func (s *step) standing(u *User) *Standing {
	if u == nil {
		return &Standing{}
	}
	return &Standing{Reviews: u.Reviews, Sum: u.Sum, Days: max(0, (s.in.At-u.CreatedAt)/86400)}
}

func (s *step) book(what EntryKind, amount Msats, h Hash) {
	s.entries = append(s.entries, Entry{At: s.in.At, What: what, Msats: amount, Hash: h})
}
