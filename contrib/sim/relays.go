package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

var errRelay = errors.New("no relay answers")

// relays are the network between the people and the exchange. What they have taken is delivered at some time, perhaps
// twice and in another order, or never.
type relays struct {
	w     *world
	queue []*mail
	book  map[orders.OrderID]orders.Announcement // as relays show it
	cases map[orders.DisputeID]orders.DisputeNote
}

// mail is a message of somebody on its way to the exchange.
type mail struct {
	from *tradeKey
	text string
	due  time.Duration
	in   nostrio.Incoming // of a message that is not sealed: what opening it would give
	raw  []byte           // its message on the wire
	seal *nostr.Event
	did  orders.Action
}

func newRelays(w *world) *relays {
	return &relays{w: w, book: map[orders.OrderID]orders.Announcement{}, cases: map[orders.DisputeID]orders.DisputeNote{}}
}

// post takes a message of somebody.
func (r *relays) post(m *mail) {
	w := r.w
	m.due = w.elapsed
	if w.of(w.plan.relay / 2) {
		w.fault("relays: a message is lost")
		return
	}
	if w.of(w.plan.relay) {
		w.fault("relays: a message is late")
		m.due += time.Duration(w.rng.Int64N(int64(30 * time.Minute)))
	}
	r.queue = append(r.queue, m)
	if w.of(4) {
		w.fault("relays: a message comes twice")
		again := *m
		again.due += time.Duration(w.rng.Int64N(int64(3 * time.Hour)))
		r.queue = append(r.queue, &again)
	}
}

// deliver brings one message to the exchange; false if none is due.
func (r *relays) deliver() bool {
	w := r.w
	if w.house.dead() {
		return false
	}
	for i, m := range r.queue {
		if m.due <= w.elapsed {
			if w.of(10) && i+1 < len(r.queue) && r.queue[i+1].due <= w.elapsed {
				w.fault("relays: two messages change places")
				i, m = i+1, r.queue[i+1]
			}
			r.queue = slices.Delete(r.queue, i, i+1)
			w.receive(m)
			return true
		}
	}
	return false
}

// receive is what the exchange does with an event, as plugin/house.go does it.
func (w *world) receive(m *mail) {
	in, drop := m.in, nostrio.Drop("")
	if m.seal != nil {
		in, drop = w.house.gate.Check(nostrio.Received{Event: *m.seal, Relay: "wss://a", Size: len(m.seal.Content)}, w.time())
		if drop == "" && !bytes.Equal(in.Message.Encode(), m.raw) {
			w.wrong("says-what-was-written", "%s came out of its seal as another message", m.text)
		}
	} else {
		msg, err := nostrio.Decode(m.raw)
		w.must("decode a message", err)
		in.Message = msg
		drop = w.house.gate.CheckOpened(in, "wss://a", w.time())
	}
	if drop != "" {
		w.say("%s is dropped: %s", m.text, drop)
		return
	}
	input, ok := nostrio.Translate(in, w.now, w.newSeed(), func(_ orders.OrderID, text string) orders.Invoice { return w.readInvoice(text) })
	if !ok {
		w.say("%s asks for nothing", m.text)
		return
	}
	input.Closed = w.house.escrow.Ready() != nil
	input.Quote = w.quoted
	if w.input(input, m.text) == nil && !w.house.dead() {
		return
	}
	// It was not done, or nobody knows: the gate forgets it, and it comes again, as it does after a start.
	if !w.house.dead() {
		w.house.gate.Forget(in)
	}
	again := *m
	again.due = w.elapsed + time.Duration(w.rng.Int64N(int64(time.Minute)))
	w.relays.queue = append(w.relays.queue, &again)
}

// readInvoice is what the exchange makes of the place where a buyer wants his sats.
func (w *world) readInvoice(text string) orders.Invoice {
	if !bytes.HasPrefix([]byte(text), []byte("lnbcrt1")) {
		if text == "" || bytes.IndexByte([]byte(text), '@') < 0 && text[:2] != "ln" {
			return orders.Invoice{Problem: "neither an invoice nor an address"}
		}
		return orders.Invoice{Destination: text}
	}
	for range 3 {
		if inv, err := w.house.node.DecodePayout(w.ctx, lightning0, text); err == nil {
			return inv
		}
	}
	return orders.Invoice{Bolt11: text, Problem: "the node does not answer"}
}

// courier carries the exchange's letters and events to the relays.
type courier struct{ w *world }

// fares says whether relays take an event, and whether the exchange hears of it.
func (c *courier) fares() (taken bool, err error) {
	w := c.w
	switch {
	case w.house.dead():
		return false, errDead
	case !w.of(w.plan.relay):
	default:
		kind := w.rng.IntN(8)
		w.fault("relays: publishing " + []string{"fails", "fails", "fails", "works, the answer is lost", "works, the answer is lost", "is the last act", "is not done any more", "fails"}[kind])
		switch kind {
		case 3, 4:
			return true, errRelay
		case 5:
			w.house.die()
			return true, errDead
		case 6:
			w.house.die()
			return false, errDead
		}
		return false, errRelay
	}
	return true, nil
}

// Deliver implements orders.Courier.
func (c *courier) Deliver(ctx context.Context, l orders.Letter) error {
	w := c.w
	k := w.keys[l.To]
	if k == nil {
		w.wrong("letters-to-people", "a letter %s to %s, which is nobody's key", l.Action, l.To)
		return nil
	}
	if k.real {
		real := nostrio.Courier{Key: serverKey(), Relay: publisher{c, k, l}}
		return real.Deliver(ctx, l)
	}
	taken, err := c.fares()
	if taken {
		raw := nostrio.MessageOf(l).Encode()
		m, derr := nostrio.Decode(raw)
		w.must("decode a letter", derr)
		w.hears(k, l, m, string(raw))
	}
	return err
}

// publisher is the relays for one letter under its seal.
type publisher struct {
	c *courier
	k *tradeKey
	l orders.Letter
}

// Publish implements nostrio.Publisher.
func (p publisher) Publish(_ context.Context, e nostr.Event) (int, error) {
	taken, err := p.c.fares()
	if taken {
		in, oerr := nostrio.OpenReply(p.k.key, serverKey().PubKey(), e)
		if oerr != nil {
			p.c.w.wrong("says-what-was-written", "a letter %s cannot be opened: %v", p.l.Action, oerr)
			return 1, nil
		}
		p.c.w.hears(p.k, p.l, in.Message, e.ID)
	}
	if err != nil {
		return 0, err
	}
	return 1, nil
}

// Announce implements orders.Courier.
func (c *courier) Announce(_ context.Context, a orders.Announcement) error {
	taken, err := c.fares()
	if taken {
		c.w.checkAnnounced(a)
	}
	return err
}

// Rate implements orders.Courier.
func (c *courier) Rate(context.Context, orders.RatingNote) error {
	_, err := c.fares()
	return err
}

// resolver is the buyers' addresses, offers and names, behind the resolver's port.
type resolver struct{ w *world }

// Resolve implements orders.Resolver.
func (r *resolver) Resolve(_ context.Context, destination string, amount orders.Msats) (string, orders.Hash, int64, error) {
	w, no := r.w, func(fatal bool, why string) (string, orders.Hash, int64, error) {
		w := r.w
		w.fault("destination: " + why)
		return "", orders.Hash{}, 0, &orders.ResolveError{Why: why, Fatal: fatal}
	}
	owner := w.people[ownerOf(destination)]
	if !w.calm {
		switch w.fares("destination") {
		case notSent, lostCall, lostWord:
			return "", orders.Hash{}, 0, errRelay
		case lastWish, lastWord:
			w.house.die()
			return "", orders.Hash{}, 0, errDead
		}
		switch w.rng.IntN(14) {
		case 0:
			return no(false, "it says 503")
		case 1:
			return no(true, "the amount is too small for it")
		case 2: // an invoice that it gave before, to somebody else perhaps
			if len(w.node.billList) > 0 {
				b := w.node.billList[w.rng.IntN(len(w.node.billList))]
				if b.amount == amount && b.network == "bcrt" && b.expires > w.now+600 {
					w.fault("destination: it gives an invoice of somebody else")
					w.gives[b.hash] = destination
					return b.text, b.hash, b.expires, nil
				}
			}
		case 3: // a hold invoice of ours, so that we pay with the seller's money
			if n := len(w.node.madeList); n > 0 {
				w.fault("destination: it gives a hold invoice of ours")
				h := w.node.madeList[w.rng.IntN(n)]
				return h.text, h.hash, w.now + 4000, nil
			}
		}
	}
	w.checkAsked(destination, amount)
	b := w.node.newBill(owner, amount)
	if w.of(30) {
		b.expires = w.now + 200 + w.rng.Int64N(300)
	}
	w.gives[b.hash] = destination
	return b.text, b.hash, b.expires, nil
}

func describe(act orders.Act) string { return fmt.Sprintf("%s %+v", act.On(), act) }
