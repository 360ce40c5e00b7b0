package trader

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

const (
	mostroSecret  = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d"
	otherMnemonic = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
)

// mostro is the other side, played by the test: it sees each request, and says what the test tells it to.
type mostro struct {
	t      *testing.T
	key    *nostrio.Key
	secret string
	relays *relays
	inbox  chan request
}

type request struct {
	nostrio.Incoming
	event nostr.Event
}

func newMostro(t *testing.T, urls ...string) *mostro {
	t.Helper()
	k, err := nostrio.ParseKey(mostroSecret)
	if err != nil {
		t.Fatal(err)
	}
	m := &mostro{t: t, key: k, secret: mostroSecret, inbox: make(chan request, 100)}
	m.relays = newRelays(urls, slog.New(slog.DiscardHandler), func(_ string, events []nostr.Event) {
		for _, e := range events {
			in, err := nostrio.Open(k, e)
			if err != nil {
				t.Errorf("the Mostro can't read a request: %v", err)
				continue
			}
			m.inbox <- request{in, e}
		}
	})
	t.Cleanup(m.relays.close)
	m.relays.subscribe("in", nostr.Filter{
		Kinds: []int{nostrio.KindDirect, nostrio.KindGiftWrap}, Tags: nostr.TagMap{"p": {k.PubKey().String()}}, LimitZero: true,
	})
	if err := m.relays.awaitStored(within(t), "in"); err != nil {
		t.Fatal(err)
	}
	return m
}

// next waits for a request and checks what it asks for.
func (m *mostro) next(want nostrio.Action) request {
	m.t.Helper()
	select {
	case r := <-m.inbox:
		if r.Message.Body.Action != want {
			m.t.Errorf("the Mostro was asked for %s, want %s", r.Message.Body.Action, want)
		}
		return r
	case <-within(m.t).Done():
		m.t.Fatalf("the Mostro was not asked for %s", want)
		panic("unreachable")
	}
}

func (m *mostro) event(to orders.PubKey, way orders.Way, msg nostrio.Message) nostr.Event {
	m.t.Helper()
	var seed orders.Seed
	if _, err := rand.Read(seed[:]); err != nil {
		m.t.Fatal(err)
	}
	e, err := m.key.Seal(way, to, msg, time.Now().Unix(), seed)
	if err != nil {
		m.t.Fatal(err)
	}
	return e
}

func (m *mostro) publish(e nostr.Event) {
	m.t.Helper()
	if err := m.relays.publish(within(m.t), e); err != nil {
		m.t.Fatal(err)
	}
}

// reply answers a request.
func (m *mostro) reply(r request, a nostrio.Action, p nostrio.Payload) {
	m.t.Helper()
	wrap := nostrio.WrapOrder
	if a == nostrio.ActCantDo {
		wrap = nostrio.WrapCantDo
	}
	m.publish(m.event(r.Sender, r.Way, r.Message.Reply(wrap, a, p)))
}

// tell sends a message out of the blue.
func (m *mostro) tell(to orders.PubKey, way orders.Way, id orders.OrderID, a nostrio.Action, p nostrio.Payload) {
	m.t.Helper()
	m.publish(m.event(to, way, message(id, a, p)))
}

func message(id orders.OrderID, a nostrio.Action, p nostrio.Payload) nostrio.Message {
	return nostrio.Message{Wrapper: nostrio.WrapOrder, Body: nostrio.Body{ID: (*nostrio.UUID)(&id), Action: a, Payload: p}}
}

func (m *mostro) signed(kind int, at int64, tags ...nostr.Tag) nostr.Event {
	m.t.Helper()
	e := nostr.Event{Kind: kind, CreatedAt: nostr.Timestamp(at), Tags: tags}
	if err := e.Sign(m.secret); err != nil {
		m.t.Fatal(err)
	}
	return e
}

func (m *mostro) publishInfo(tags ...nostr.Tag) {
	m.t.Helper()
	m.publish(m.signed(nostrio.KindInfo, time.Now().Unix(), append(tags, nostr.Tag{"d", m.key.PubKey().String()})...))
}

func (m *mostro) speak(way orders.Way) {
	m.t.Helper()
	m.publishInfo(nostr.Tag{"protocol_version", strconv.Itoa(int(way))}, nostr.Tag{"fee", "0.006"}, nostr.Tag{"pow", "0"})
}

func (m *mostro) publishOrder(id orders.OrderID, at int64, kind orders.Kind, status string) {
	m.t.Helper()
	m.publish(m.signed(nostrio.KindOrder, at, nostr.Tag{"d", id.String()}, nostr.Tag{"k", string(kind)}, nostr.Tag{"s", status},
		nostr.Tag{"f", "EUR"}, nostr.Tag{"amt", "10000"}, nostr.Tag{"fa", "10"}, nostr.Tag{"pm", "SEPA"}, nostr.Tag{"premium", "0"}))
}

// accept answers a new order with the order that it has become.
func (m *mostro) accept(id orders.OrderID) request {
	m.t.Helper()
	r := m.next(nostrio.ActNewOrder)
	o, ok := r.Message.Body.Payload.(nostrio.SmallOrder)
	if !ok {
		m.t.Fatalf("new-order carries %T", r.Message.Body.Payload)
	}
	o.ID = (*nostrio.UUID)(&id)
	msg := r.Message
	msg.Body.ID = o.ID
	m.publish(m.event(r.Sender, r.Way, msg.Reply(nostrio.WrapOrder, nostrio.ActNewOrder, o)))
	return r
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func listen(t *testing.T) *relay.Server {
	t.Helper()
	srv, err := relay.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

func open1(t *testing.T, m *mostro, change func(*Config), urls ...string) *Trader {
	t.Helper()
	cfg := Config{
		Mnemonic: testMnemonic, Relays: urls, Mostro: m.key.PubKey().String(), StateFile: filepath.Join(t.TempDir(), "state.json"),
		Patience: 10 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	tr, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

var (
	order1 = orders.OrderID{0x5c, 0x6f, 0x8a, 0x52, 0x3d, 0x1e, 0x4b, 0x77, 0x9a, 0x40, 0x2f, 0x6d, 0x1c, 0x0b, 0x9e, 0x11}
	order2 = orders.OrderID{0xb0, 0xd4, 0xe7, 0xc9, 0x81, 0xf2, 0x4c, 0x35, 0x8e, 0x6a, 0x77, 0xa1, 0xc2, 0xd3, 0xe4, 0xf5}
)

var sale = OrderSpec{Kind: orders.Sell, Amount: 10_000, Fiat: "EUR", FiatAmount: 10, Method: "SEPA"}

// during runs a client's call while the test plays the Mostro, and returns the call's error.
func during(t *testing.T, call func() error, play func()) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	play()
	select {
	case err := <-done:
		return err
	case <-within(t).Done():
		return errors.New("the call did not return")
	}
}

// newSale publishes an order and returns the trade.
func newSale(t *testing.T, tr *Trader, m *mostro, id orders.OrderID, spec OrderSpec) *Trade {
	t.Helper()
	var trade *Trade
	err := during(t, func() (err error) {
		trade, err = tr.NewOrder(within(t), spec)
		return err
	}, func() { m.accept(id) })
	if err != nil {
		t.Fatal(err)
	}
	return trade
}
