package nostrio

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

var vectorNow = time.Unix(vectorTime, 0)

func sealed(t testing.TB, r Request) Received {
	t.Helper()
	e, err := SealRequest(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return Received{Event: e, Relay: "ws://one", Size: len(appendEvent(nil, e))}
}

func request(t testing.TB, way orders.Way, change func(*Request)) Request {
	node, trade, identity := vectorKeys(t)
	r := Request{Way: way, Node: node.PubKey(), Trade: trade, Identity: identity,
		Message: mustDecode(t, vectorMessage), At: vectorTime, Seed: named(t.Name())}
	if change != nil {
		change(&r)
	}
	return r
}

func byHand(t testing.TB, way orders.Way, plain string) Received {
	node, trade, identity := vectorKeys(t)
	return Received{Event: sealTuple(t, way, identity, trade, node.PubKey(), plain), Relay: "ws://one"}
}

func TestGateLetsRequestsIn(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	for _, way := range ways {
		g := NewGate(GateConfig{Key: node})
		in, drop := g.Check(sealed(t, request(t, way, nil)), vectorNow)
		if drop != "" || in.Sender != trade.PubKey() || in.Identity != identity.PubKey() || in.Way != way {
			t.Errorf("way %d: %q, %+v", way, drop, in)
		}
		if n, _ := g.Counts(); n != 1 {
			t.Errorf("%d passed", n)
		}
	}
}

func TestGateDrops(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	all := GateConfig{Key: node}
	direct := func(change func(*Request)) func() Received {
		return func() Received { return sealed(t, request(t, orders.Direct, change)) }
	}
	wrapped := func(change func(*Request)) func() Received {
		return func() Received { return sealed(t, request(t, orders.GiftWrap, change)) }
	}
	changed := func(change func(*Received)) func() Received {
		return func() Received {
			r := direct(nil)()
			change(&r)
			return r
		}
	}
	at := func(d time.Duration) func(*Request) {
		return func(r *Request) { r.At += int64(d / time.Second) }
	}
	for _, c := range []struct {
		name string
		cfg  GateConfig
		in   func() Received
		want Drop
	}{
		{"an event of 65 KiB", all, changed(func(r *Received) { r.Size = 65 << 10 }), DropSize},
		{"a content of 65 KiB", all, changed(func(r *Received) { r.Event.Content = strings.Repeat("x", 65<<10) }), DropSize},
		{"a note", all, changed(func(r *Received) { r.Event.Kind = 1 }), DropKind},
		{"a gift wrap where only direct messages are served", GateConfig{Key: node, Ways: []orders.Way{orders.Direct}}, wrapped(nil), DropKind},
		{"a direct message where only gift wraps are served", GateConfig{Key: node, Ways: []orders.Way{orders.GiftWrap}}, direct(nil), DropKind},
		{"an event to another server", all, direct(func(r *Request) { r.Node = identity.PubKey() }), DropReceiver},
		{"an event to nobody", all, changed(func(r *Received) { r.Event.Tags = nostr.Tags{{}, {"p"}} }), DropReceiver},
		{"a direct message of yesterday", all, direct(at(-24*time.Hour - time.Second)), DropAge},
		{"a direct message of this evening", all, direct(at(15*time.Minute + time.Second)), DropAge},
		{"a gift wrap with a rumor of yesterday", all, wrapped(at(-24*time.Hour - time.Second)), DropAge},
		{"a gift wrap of last week", all, wrapped(at(-7 * 24 * time.Hour)), DropAge},
		{"a gift wrap with a rumor of next week", all, wrapped(at(7 * 24 * time.Hour)), DropAge},
		{"an id that is not the event's", all, changed(func(r *Received) { r.Event.ID = strings.Repeat("0", 64) }), DropID},
		{"an id that is too short", all, changed(func(r *Received) { r.Event.ID = "" }), DropID},
		{"an author that is no key", all, changed(func(r *Received) { r.Event.PubKey = "x" }), DropID},
		{"too little work", GateConfig{Key: node, Work: 12}, direct(func(r *Request) { r.Work = 6 }), DropWork},
		{"too little work for a stranger", GateConfig{Key: node, FirstWork: 12, Known: func(k orders.PubKey) bool { return k != trade.PubKey() }}, direct(nil), DropFirst},
		{"an event that was dealt with", GateConfig{Key: node, Seen: func(orders.EventID) bool { return true }}, direct(nil), DropSeen},
		{"a wrong signature", all, changed(func(r *Received) { r.Event.Sig = strings.Repeat("1", 128) }), DropSignature},
		{"no signature", all, changed(func(r *Received) { r.Event.Sig = "" }), DropSignature},
		{"what is encrypted for somebody else", all, func() Received {
			r := request(t, orders.Direct, func(r *Request) { r.Node = identity.PubKey() })
			e := sealed(t, r).Event
			e.Tags = nostr.Tags{{"p", node.PubKey().String()}}
			signEvent(trade, &e)
			return Received{Event: e}
		}, DropForeign},
		{"what is no message", all, func() Received { return byHand(t, orders.Direct, `hello`) }, DropMessage},
		{"what is no message in a gift wrap", all, func() Received { return byHand(t, orders.GiftWrap, `hello`) }, DropMessage},
		{"a forged trade signature", all, func() Received {
			return byHand(t, orders.GiftWrap, `[`+vectorMessage+`,"`+strings.Repeat("1", 128)+`"]`)
		}, DropForged},
		{"a forged identity", all, func() Received {
			return byHand(t, orders.Direct, `[`+vectorMessage+`,null,["`+identity.PubKey().String()+`","`+strings.Repeat("1", 128)+`"]]`)
		}, DropForged},
		{"a gift wrap in another's name", all, func() Received { return byHand(t, orders.GiftWrap, `[`+vectorMessage+`,null]`) }, DropUnproven},
		{"a release without an id", all, direct(func(r *Request) { r.Message.Body.ID, r.Message.Body.Action = nil, ActRelease }), DropShape},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := NewGate(c.cfg)
			if in, got := g.Check(c.in(), vectorNow); got != c.want {
				t.Errorf("got %q, %+v", got, in)
			}
			if passed, drops := g.Counts(); passed != 0 || drops[c.want] != 1 {
				t.Errorf("counted %d, %v", passed, drops)
			}
		})
	}
}

func TestGateWorkIsForStrangersOnly(t *testing.T) {
	node, trade, _ := vectorKeys(t)
	g := NewGate(GateConfig{Key: node, FirstWork: 12, Known: func(k orders.PubKey) bool { return k == trade.PubKey() }})
	if _, drop := g.Check(sealed(t, request(t, orders.Direct, nil)), vectorNow); drop != "" {
		t.Errorf("a known author: %s", drop)
	}
	g = NewGate(GateConfig{Key: node, FirstWork: 8, Known: func(orders.PubKey) bool { return false }})
	if _, drop := g.Check(sealed(t, request(t, orders.Direct, func(r *Request) { r.Work = 8 })), vectorNow); drop != "" {
		t.Errorf("a stranger who worked: %s", drop)
	}
	if _, drop := g.Check(sealed(t, request(t, orders.GiftWrap, nil)), vectorNow); drop != "" {
		t.Errorf("a gift wrap, whose author is always a stranger: %s", drop)
	}
}

func TestGateDropsWhatComesAgainInAnotherEnvelope(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	g := NewGate(GateConfig{Key: node})
	plain, err := stampedTuple(orders.GiftWrap, mustDecode(t, vectorMessage), trade, identity)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Drop{"", DropSeen} {
		e, signer, err := seal(orders.GiftWrap, trade, identity, node.PubKey(), plain, vectorTime, 0, named(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		signEvent(signer, &e)
		if _, got := g.Check(Received{Event: e}, vectorNow); got != want {
			t.Errorf("wrap %d: %q", i, got)
		}
	}
}

func TestGateSlowsAuthorsAndRelays(t *testing.T) {
	node, _, _ := vectorKeys(t)
	for _, way := range ways {
		g := NewGate(GateConfig{Key: node, PerAuthor: Rate{Burst: 2, PerSecond: 0.1}})
		n := 0
		try := func(relay string, now time.Time) Drop {
			n++
			r := sealed(t, request(t, way, func(r *Request) { r.Seed = named(fmt.Sprint(n)); r.At += int64(n) }))
			r.Relay = relay
			_, drop := g.Check(r, now)
			return drop
		}
		equal(t, "first", try("a", vectorNow), "")
		equal(t, "second", try("a", vectorNow), "")
		equal(t, "third", try("a", vectorNow), DropRate)
		if way == orders.Direct {
			equal(t, "by another relay", try("b", vectorNow), "")
		}
		equal(t, "after ten seconds", try("a", vectorNow.Add(10*time.Second)), "")
	}
	g := NewGate(GateConfig{Key: node, PerRelay: Rate{Burst: 1}})
	r := sealed(t, request(t, orders.Direct, nil))
	r.Event.Sig = strings.Repeat("1", 128)
	g.Check(r, vectorNow)
	if _, drop := g.Check(r, vectorNow); drop != DropFlood {
		t.Errorf("a relay that sends too much: %q", drop)
	}
}

func TestGateRunKeepsTheOrderOfEachAuthor(t *testing.T) {
	node, _, _ := vectorKeys(t)
	g := NewGate(GateConfig{Key: node, Workers: 4, Queue: 2})
	in := make(chan Received)
	const authors, each = 8, 10
	now := time.Now().Unix()
	go func() {
		defer close(in)
		for i := range each {
			for a := range authors {
				k := namedKey(t, fmt.Sprint("author ", a))
				m := mustDecode(t, vectorMessage)
				request := uint64(i)
				m.Body.RequestID = &request
				in <- sealed(t, Request{Way: orders.Direct, Node: node.PubKey(), Trade: k, Message: m, At: now, Seed: named("x")})
			}
			bad := sealed(t, Request{Way: orders.Direct, Node: node.PubKey(), Trade: node, Message: mustDecode(t, vectorMessage), At: now})
			bad.Event.Sig = strings.Repeat("1", 128)
			in <- bad
		}
	}()
	var mu sync.Mutex
	got := map[orders.PubKey][]uint64{}
	g.Run(t.Context(), in, func(_ context.Context, in Incoming) {
		mu.Lock()
		defer mu.Unlock()
		got[in.Sender] = append(got[in.Sender], *in.Message.Body.RequestID)
		if *in.Message.Body.RequestID == 3 {
			panic("the handler's fault") // must harm no other message
		}
	})
	if len(got) != authors {
		t.Errorf("%d authors came through", len(got))
	}
	for k, seq := range got {
		equal(t, k.String(), seq, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	}
	passed, drops := g.Counts()
	if passed != authors*each || drops[DropSignature] != each || drops[DropPanic] != authors {
		t.Errorf("counted %d, %v", passed, drops)
	}
}

func TestGateRunEndsWithItsContext(t *testing.T) {
	node, _, _ := vectorKeys(t)
	ctx, cancel := context.WithCancel(t.Context())
	in, done := make(chan Received), make(chan struct{})
	go func() {
		defer close(done)
		NewGate(GateConfig{Key: node}).Run(ctx, in, func(context.Context, Incoming) {})
	}()
	cancel()
	<-done
}
