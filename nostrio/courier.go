package nostrio

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// ErrNoRelay: no relay has taken the event.
var ErrNoRelay = errors.New("no relay took the event")

// Publisher hands an event to the relays and says how many have taken it. Pool is one.
type Publisher interface {
	Publish(ctx context.Context, e nostr.Event) (accepted int, err error)
}

// Courier carries the exchange's letters and announcements to relays. It is an orders.Courier.
type Courier struct {
	Key   *Key
	Relay Publisher
	// What every order event says alike: our relays, the Lightning networks, and the instance's name.
	Relays, Networks []string
	Name             string
	RatingLife       time.Duration // how long relays keep a rating
}

// Deliver seals a letter and publishes it. Sealing is a pure function of the letter, so a repeat is the same event.
func (c *Courier) Deliver(ctx context.Context, l orders.Letter) error {
	e, err := c.Key.Seal(l.Way, l.To, message(l), l.At, l.Seed)
	if err != nil {
		return fmt.Errorf("seal %s: %w", l.Action, err)
	}
	return c.publish(ctx, e)
}

// Announce signs and publishes an order event.
func (c *Courier) Announce(ctx context.Context, a orders.Announcement) error {
	return c.publish(ctx, c.OrderEvent(a))
}

// OrderEvent makes the signed event of an announcement: always the same one.
func (c *Courier) OrderEvent(a orders.Announcement) nostr.Event { return c.orderEvent(a).Event(c.Key) }

// BookEvents names the events of announcements, as Keep lists them. Nothing is signed: a book may be long.
func BookEvents(book []orders.Announcement) []Kept {
	list := make([]Kept, len(book))
	for i, a := range book {
		list[i] = Kept{Kind: KindOrder, D: a.Order.String(), CreatedAt: a.Stamp}
	}
	return list
}

// Rate signs and publishes a rating event.
func (c *Courier) Rate(ctx context.Context, r orders.RatingNote) error {
	s := orders.Standing{Reviews: r.Reviews, Sum: r.Sum}
	e := RatingEvent{
		Rated: r.Trade, Reviews: r.Reviews, Rating: s.Rating(), Last: r.Last, Min: r.Min, Max: r.Max, Days: r.Days,
		Expiration: r.Stamp + int64(c.RatingLife/time.Second), CreatedAt: r.Stamp,
	}
	return c.publish(ctx, e.Event(c.Key))
}

// Dispute signs and publishes a dispute event.
func (c *Courier) Dispute(ctx context.Context, n orders.DisputeNote) error {
	return c.publish(ctx, c.DisputeEvent(n))
}

// DisputeEvent makes the signed event of a dispute: always the same one.
func (c *Courier) DisputeEvent(n orders.DisputeNote) nostr.Event {
	e := DisputeEvent{
		ID: n.Dispute, Status: n.State, Initiator: n.By, OpenedAt: n.OpenedAt, Expiration: n.Expiration, Name: c.Name,
		CreatedAt: n.Stamp,
	}
	return e.Event(c.Key)
}

// DisputeEvents names the events of disputes, as Keep lists them.
func DisputeEvents(open []orders.DisputeNote) []Kept {
	list := make([]Kept, len(open))
	for i, n := range open {
		list[i] = Kept{Kind: KindDispute, D: n.Dispute.String(), CreatedAt: n.Stamp}
	}
	return list
}

func (c *Courier) orderEvent(a orders.Announcement) OrderEvent {
	o := OrderEvent{
		ID: a.Order, Kind: a.Kind, Status: a.Status, Amount: a.Amount, Fiat: a.Fiat, PaymentMethod: a.PaymentMethod,
		Premium: a.Premium, Relays: c.Relays, Networks: c.Networks, Name: c.Name, ExpiresAt: a.ExpiresAt,
		Expiration: a.Expiration, CreatedAt: a.Stamp,
	}
	if s := a.Standing; s != nil {
		o.Maker = MakerRating{Days: s.Days, Total: s.Rating(), Reviews: s.Reviews}
	}
	return o
}

func (c *Courier) publish(ctx context.Context, e nostr.Event) error {
	n, err := c.Relay.Publish(ctx, e)
	switch {
	case n > 0:
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNoRelay, err)
	}
	return ErrNoRelay
}

// message writes a letter as the protocol does: which wrapper, which payload.
func message(l orders.Letter) Message {
	m := Message{Wrapper: WrapOrder, Body: Body{
		RequestID: l.Request, TradeIndex: l.Index, Action: Action(l.Action), Payload: payload(l),
	}}
	switch {
	case l.Action == orders.SayCantDo:
		m.Wrapper = WrapCantDo
	case l.Action == orders.SayRestore, l.Action == orders.SayLastIndex:
		m.Wrapper = WrapRestore
	case l.Action == orders.SayAddSolver, l.Info != nil:
		m.Wrapper = WrapDispute
	case l.Action == orders.SayText:
		m.Wrapper = WrapDM
	}
	if l.About != nil {
		m.Body.ID = (*UUID)(l.About)
	} else if !l.Order.IsZero() {
		m.Body.ID = (*UUID)(&l.Order)
	}
	return m
}

func payload(l orders.Letter) Payload {
	switch {
	case l.Action == orders.SayCantDo:
		return CantDo{Reason(l.Reason)}
	case l.View != nil && l.Bolt11 != "":
		o := smallOrder(l.View)
		return PaymentRequest{Order: &o, Invoice: l.Bolt11}
	case l.View != nil:
		return smallOrder(l.View)
	case l.Peer != nil:
		return peer(l.Peer)
	case l.Failure != nil:
		return PaymentFailed{Attempts: uint32(l.Failure.Attempts), RetriesInterval: uint32(l.Failure.Interval)}
	case l.Points != 0:
		return RatingUser(l.Points)
	case l.Views != nil:
		list := make(Orders, len(l.Views))
		for i := range l.Views {
			list[i] = smallOrder(&l.Views[i])
		}
		return list
	case l.Restore != nil:
		return restored(l.Restore)
	case l.Dispute != nil && l.Info != nil:
		return Dispute{ID: UUID(*l.Dispute), Info: disputeInfo(l.Info)}
	case l.Dispute != nil:
		return Dispute{ID: UUID(*l.Dispute)}
	case l.Text != "":
		return TextMessage(l.Text)
	}
	return nil
}

func restored(s *orders.Session) RestoreData {
	var d RestoreData
	for _, t := range s.Trades {
		d.Orders = append(d.Orders, RestoredOrder{OrderID: UUID(t.Order), TradeIndex: t.Index, Status: t.Status})
	}
	for _, r := range s.Disputes {
		e := RestoredDispute{
			DisputeID: UUID(r.Dispute), OrderID: UUID(r.Order), TradeIndex: r.Index, Status: string(r.State), Initiator: string(r.By),
		}
		if !r.Solver.IsZero() {
			e.SolverPubKey = keyText(&r.Solver)
		}
		d.Disputes = append(d.Disputes, e)
	}
	return d
}

func smallOrder(v *orders.OrderView) SmallOrder {
	id := UUID(v.ID)
	o := SmallOrder{
		ID: &id, Kind: Kind(v.Kind), Status: Status(v.Status), Amount: int64(v.Amount), FiatCode: v.Fiat.Code,
		MinAmount: v.Fiat.Min, MaxAmount: v.Fiat.Max, FiatAmount: v.Fiat.Amount, PaymentMethod: v.PaymentMethod,
		Premium: v.Premium, BuyerTradePubKey: keyText(v.BuyerTrade), SellerTradePubKey: keyText(v.SellerTrade),
		CreatedAt: v.CreatedAt, ExpiresAt: v.ExpiresAt,
	}
	if v.BuyerInvoice != "" {
		o.BuyerInvoice = &v.BuyerInvoice
	}
	return o
}

func keyText(k *orders.PubKey) *string {
	if k == nil {
		return nil
	}
	s := k.String()
	return &s
}

// peer tells the other side's key, or with a zero key only its reputation.
func peer(p *orders.PeerView) Peer {
	out := Peer{}
	if !p.Trade.IsZero() {
		out.PubKey = p.Trade.String()
	}
	out.Reputation = userInfo(p.Standing)
	return out
}
