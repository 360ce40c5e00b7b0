package nostrio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"

	relaytest "github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/orders"
)

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func startRelay(t testing.TB, cfg relaytest.Config) *relaytest.Server {
	t.Helper()
	srv, err := relaytest.New(cfg).Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

// startPool runs a pool over the servers until the test ends.
func startPool(t testing.TB, cfg PoolConfig, servers ...*relaytest.Server) *Pool {
	t.Helper()
	for _, s := range servers {
		cfg.Relays = append(cfg.Relays, s.URL)
	}
	cfg.retry, cfg.resync = 5*time.Millisecond, 5*time.Millisecond
	p, err := NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return p
}

func note(t testing.TB, k *Key, kind int, at int64, content string, tags ...nostr.Tag) nostr.Event {
	t.Helper()
	e := nostr.Event{Kind: kind, CreatedAt: nostr.Timestamp(at), Content: content, Tags: tags}
	signEvent(k, &e)
	return e
}

func receive(t testing.TB, ctx context.Context, p *Pool) nostr.Event {
	t.Helper()
	select {
	case in := <-p.Events():
		return in.Event
	case <-ctx.Done():
		t.Fatal("no event came")
		return nostr.Event{}
	}
}

func subscribed(t testing.TB, ctx context.Context, like nostr.Event, servers ...*relaytest.Server) {
	t.Helper()
	for _, s := range servers {
		if err := s.AwaitSubscribers(ctx, like, 1); err != nil {
			t.Fatal(err)
		}
	}
}

func stored(t testing.TB, ctx context.Context, s *relaytest.Server, e nostr.Event) {
	t.Helper()
	if _, err := s.Await(ctx, nostr.Filter{IDs: []string{e.ID}}, 1); err != nil {
		t.Fatal(err)
	}
}

func TestPublishReachesEveryRelayAndCounts(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	a, b := startRelay(t, relaytest.Config{}), startRelay(t, relaytest.Config{})
	p := startPool(t, PoolConfig{}, a, b)
	e := note(t, k, KindDirect, time.Now().Unix(), "x")
	for range 2 { // the second time it is a duplicate, which counts
		if n, err := p.Publish(ctx, e); n < 1 || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	stored(t, ctx, a, e)
	stored(t, ctx, b, e)
}

func TestPublishTellsRefusedFromUnanswered(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	a, b := startRelay(t, relaytest.Config{}), startRelay(t, relaytest.Config{})
	p := startPool(t, PoolConfig{}, a, b)
	now := time.Now().Unix()
	a.SetFaults(relaytest.Faults{Refuse: relaytest.RefuseAll("blocked: not today")})
	if n, err := p.Publish(ctx, note(t, k, 1, now, "one takes it")); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	b.SetFaults(relaytest.Faults{Refuse: relaytest.RefuseAll("pow: 20 bits")})
	_, err := p.Publish(ctx, note(t, k, 1, now, "none takes it"))
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "not today") || !strings.Contains(err.Error(), "20 bits") {
		t.Errorf("got %v", err)
	}
	b.SetFaults(relaytest.Faults{DropOK: true})
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := p.Publish(short, note(t, k, 1, now, "one says nothing")); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("got %v", err)
	}
	if s := p.Status(); s[0].Refused != 3 || s[1].Refused != 1 || s[1].Queued != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestARelayThatWasDownGetsEventsLater(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	up, down := startRelay(t, relaytest.Config{}), startRelay(t, relaytest.Config{})
	down.Stop()
	p := startPool(t, PoolConfig{}, up, down)
	now := time.Now().Unix()
	order := func(id, status string, at int64) nostr.Event {
		return note(t, k, KindOrder, at, status, nostr.Tag{"d", id})
	}
	letter := note(t, k, KindDirect, now, "x")
	for _, e := range []nostr.Event{letter, order("A", "pending", now), order("B", "pending", now), order("A", "success", now+1), order("A", "late", now)} {
		if n, err := p.Publish(ctx, e); n != 1 || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	if s := p.Status()[1]; s.Connected || s.Queued != 3 || s.LastError == "" {
		t.Errorf("got %+v", s)
	}
	if err := down.Start(); err != nil {
		t.Fatal(err)
	}
	got, err := down.Await(ctx, nostr.Filter{}, 3)
	if err != nil {
		t.Fatal(err)
	}
	var contents []string
	for _, e := range got {
		contents = append(contents, e.Content)
	}
	equal(t, "contents", contents, []string{"x", "pending", "success"})
}

func TestAnUnansweredEventIsSentAgainAfterReconnect(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	srv := startRelay(t, relaytest.Config{})
	srv.SetFaults(relaytest.Faults{DropOK: true})
	p := startPool(t, PoolConfig{}, srv)
	e := note(t, k, KindDirect, time.Now().Unix(), "x")
	result := make(chan error, 1)
	go func() {
		_, err := p.Publish(ctx, e)
		result <- err
	}()
	stored(t, ctx, srv, e)
	srv.SetFaults(relaytest.Faults{})
	srv.DisconnectAll()
	if err := <-result; err != nil {
		t.Errorf("got %v", err)
	}
}

func TestEventsComeOnceFromManyRelays(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	a, b := startRelay(t, relaytest.Config{}), startRelay(t, relaytest.Config{})
	a.SetFaults(relaytest.Faults{Duplicate: true})
	p := startPool(t, PoolConfig{}, a, b)
	p.Subscribe("direct", Filter{Kinds: []int{KindDirect}, P: []orders.PubKey{k.PubKey()}})
	to := nostr.Tag{"p", k.PubKey().String()}
	first := note(t, k, KindDirect, time.Now().Unix(), "first", to)
	subscribed(t, ctx, first, a, b)
	last := note(t, k, KindDirect, time.Now().Unix(), "last", to)
	for _, e := range []nostr.Event{first, note(t, k, KindDirect, 1, "for nobody"), last} {
		for _, s := range []*relaytest.Server{a, b} {
			if err := s.Publish(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	// What one relay sends comes in its order, so that after both farewells nothing is on its way.
	for i, s := range []*relaytest.Server{a, b} {
		if err := s.Publish(note(t, k, KindDirect, time.Now().Unix(), fmt.Sprint("farewell ", i), to)); err != nil {
			t.Fatal(err)
		}
	}
	count := map[string]int{}
	for count["farewell 0"] == 0 || count["farewell 1"] == 0 {
		count[receive(t, ctx, p).Content]++
	}
	equal(t, "events", count, map[string]int{"first": 1, "last": 1, "farewell 0": 1, "farewell 1": 1})
}

func TestWhatWasMissedComesAfterReconnect(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	srv := startRelay(t, relaytest.Config{})
	p := startPool(t, PoolConfig{Window: time.Minute}, srv)
	p.Subscribe("all", Filter{Kinds: []int{KindDirect, KindGiftWrap}})
	now := time.Now().Unix()
	live := note(t, k, KindDirect, now, "live")
	subscribed(t, ctx, live, srv)
	if err := srv.Publish(live); err != nil {
		t.Fatal(err)
	}
	equal(t, "live", receive(t, ctx, p).Content, "live")
	srv.Stop()
	for _, e := range []nostr.Event{
		note(t, k, KindGiftWrap, now-maxTweak+60, "put back by two days"),
		note(t, k, KindDirect, now-300, "five minutes old"),
		note(t, k, KindDirect, now-maxTweak-3600, "too old"),
	} {
		if err := srv.Publish(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	equal(t, "newest first", receive(t, ctx, p).Content, "five minutes old")
	equal(t, "then", receive(t, ctx, p).Content, "put back by two days")
}

func TestAClosedSubscriptionIsOpenedAgain(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	srv := startRelay(t, relaytest.Config{})
	p := startPool(t, PoolConfig{}, srv)
	p.Subscribe("notes", Filter{Kinds: []int{1}, Authors: []orders.PubKey{k.PubKey()}})
	e := note(t, k, 1, time.Now().Unix(), "x")
	subscribed(t, ctx, e, srv)
	srv.CloseSubscriptions("error: shutting down")
	subscribed(t, ctx, e, srv)
	if err := srv.Publish(e); err != nil {
		t.Fatal(err)
	}
	equal(t, "event", receive(t, ctx, p).ID, e.ID)
}

func TestAuthIsAnswered(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	srv := startRelay(t, relaytest.Config{RequireAuth: true})
	p := startPool(t, PoolConfig{Key: k}, srv)
	p.Subscribe("notes", Filter{Kinds: []int{1}})
	e := note(t, k, 1, time.Now().Unix(), "x")
	if n, err := p.Publish(ctx, e); n != 1 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	equal(t, "event", receive(t, ctx, p).ID, e.ID)
}

func TestDroppedEventsComeBack(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	srv := startRelay(t, relaytest.Config{})
	p := startPool(t, PoolConfig{Buffer: 2}, srv)
	p.Subscribe("notes", Filter{Kinds: []int{1}})
	now, want := time.Now().Unix(), map[string]bool{}
	subscribed(t, ctx, nostr.Event{Kind: 1, CreatedAt: nostr.Timestamp(now)}, srv)
	for i := range 20 {
		e := note(t, k, 1, now, fmt.Sprint(i))
		want[e.ID] = true
		if err := srv.Publish(e); err != nil {
			t.Fatal(err)
		}
	}
	for p.Status()[0].Dropped == 0 { // nobody receives yet
		if !sleep(ctx, time.Millisecond) {
			t.Fatal("nothing was dropped")
		}
	}
	for len(want) > 0 {
		e := receive(t, ctx, p)
		if !want[e.ID] {
			t.Fatalf("%s came twice", e.Content)
		}
		delete(want, e.ID)
	}
}

func TestALongBacklogIsReadInPages(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	srv := startRelay(t, relaytest.Config{MaxLimit: 60})
	now, want := time.Now().Unix(), map[string]bool{}
	for i := range 250 {
		at := now - int64(i/7) // seven a second, so that a page ends within one
		e := note(t, k, 1, at, fmt.Sprint(i))
		want[e.ID] = true
		if err := srv.Publish(e); err != nil {
			t.Fatal(err)
		}
	}
	p := startPool(t, PoolConfig{}, srv)
	p.Subscribe("notes", Filter{Kinds: []int{1}})
	for len(want) > 0 {
		delete(want, receive(t, ctx, p).ID)
	}
	// Catching up ends, and the first subscription is the only one that stays.
	for {
		p.relays[0].mu.Lock()
		done := p.relays[0].subs["notes"].complete
		p.relays[0].mu.Unlock()
		if done {
			break
		}
		if !sleep(ctx, time.Millisecond) {
			t.Fatal("catching up never ends")
		}
	}
}

// A relay may send anything at all.
func TestAHostileRelayIsEndured(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	good := note(t, k, 1, time.Now().Unix(), "good")
	broken := good
	broken.Sig = strings.Repeat("0", 128)
	forged := good
	forged.Content = "forged"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, err := websocket.Accept(w, req, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for _, text := range []string{
			"", "x", "[]", "{}", `["EVENT"]`, `["EVENT","notes"]`, `["EVENT","notes",null]`, `["EVENT",1,{}]`,
			`["OK"]`, `["OK","",true]`, `["OK","ab",1,""]`, `["EOSE","other"]`, `["EOSE","notes-older"]`, `["CLOSED","other","x"]`,
			`["NOTICE",null]`, `["AUTH",""]`, `["AUTH","c"]`, `["WHAT"]`, strings.Repeat("[", 100000), strings.Repeat("x", 600<<10),
			string(append(appendEvent([]byte(`["EVENT","other",`), good), ']')), // a subscription that we don't have
			string(append(appendEvent([]byte(`["EVENT","notes",`), forged), ']')),
			string(append(appendEvent([]byte(`["EVENT","notes",`), broken), ']')),
			string(append(appendEvent([]byte(`["EVENT","notes",`), good), ']')),
		} {
			if err := c.Write(req.Context(), websocket.MessageText, []byte(text)); err != nil {
				return
			}
		}
		for {
			if _, _, err := c.Read(req.Context()); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	p := startPool(t, PoolConfig{Relays: []string{"ws" + strings.TrimPrefix(srv.URL, "http")}, Key: k})
	p.Subscribe("notes", Filter{Kinds: []int{1}})
	// The one with the broken signature has the right id and goes first; it must not take the place of the good one.
	equal(t, "first", receive(t, ctx, p).Sig, broken.Sig)
	equal(t, "second", receive(t, ctx, p).Sig, good.Sig)
}

// TestProxy dials through a SOCKS5 proxy (RFC 1928) that knows one command.
func TestProxy(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	srv := startRelay(t, relaytest.Config{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	asked := make(chan string, 8)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go socks5(c, strings.TrimPrefix(srv.URL, "ws://"), asked)
		}
	}()
	p := startPool(t, PoolConfig{Relays: []string{"ws://relay.invalid:7777"}, Proxy: "socks5h://" + ln.Addr().String()})
	if n, err := p.Publish(ctx, note(t, k, 1, time.Now().Unix(), "x")); n != 1 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	equal(t, "asked for", <-asked, "relay.invalid:7777")
}

func socks5(c net.Conn, target string, asked chan<- string) {
	defer c.Close()
	b := make([]byte, 300)
	if _, err := io.ReadFull(c, b[:2]); err != nil {
		return
	}
	if _, err := io.ReadFull(c, b[:b[1]]); err != nil {
		return
	}
	_, _ = c.Write([]byte{5, 0})
	if _, err := io.ReadFull(c, b[:5]); err != nil || b[3] != 3 {
		return
	}
	n := int(b[4])
	if _, err := io.ReadFull(c, b[:n+2]); err != nil {
		return
	}
	asked <- fmt.Sprintf("%s:%d", b[:n], int(b[n])<<8|int(b[n+1]))
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer out.Close()
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go io.Copy(out, c)
	_, _ = io.Copy(c, out)
}

func TestPoolConfigIsChecked(t *testing.T) {
	_, err := NewPool(PoolConfig{Relays: []string{"http://a", "relay", "ws://", "wss://user@b"}, Proxy: "http://c"})
	for _, bad := range []string{`"http://a"`, `"relay"`, `"ws://"`, `"wss://user@b"`, `"http://c"`} {
		if err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s passes: %v", bad, err)
		}
	}
	p, err := NewPool(PoolConfig{Relays: []string{"wss://A.example/", "wss://a.example", " ws://b/path "}})
	if err != nil || len(p.relays) != 2 || p.relays[1].url != "ws://b/path" {
		t.Errorf("got %v, %v", p.relays, err)
	}
	if _, err := new(Pool).Publish(t.Context(), nostr.Event{}); !errors.Is(err, ErrRefused) {
		t.Errorf("no relays at all: %v", err)
	}
}

func FuzzParseFrame(f *testing.F) {
	for _, s := range []string{`["OK","ab",true,"duplicate:"]`, `["EOSE","x"]`, `["CLOSED","x","error: y"]`, `["NOTICE","x"]`, `["AUTH","x"]`,
		`["EVENT","x",` + envelope(f, "wrap") + `]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if fr, err := parseFrame(data); err == nil && fr.label == "EVENT" {
			_ = hashEvent(fr.event)
		}
	})
}

// A relay that keeps the connection and says nothing, as after the loss of a route, is left.
func TestASilentRelayIsLeft(t *testing.T) {
	ctx := testContext(t)
	came := make(chan struct{}, 100)
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, err := websocket.Accept(w, req, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		came <- struct{}{}
		<-release // nobody reads, hence no ping is answered
	}))
	defer srv.Close()
	defer close(release)
	startPool(t, PoolConfig{Relays: []string{"ws" + strings.TrimPrefix(srv.URL, "http")}, ping: 5 * time.Millisecond, pong: 5 * time.Millisecond})
	for i := range 3 {
		select {
		case <-came:
		case <-ctx.Done():
			t.Fatalf("only %d connections", i)
		}
	}
}

func TestPublishDoesNotWaitLongForRelaysThatAreDown(t *testing.T) {
	ctx, k := testContext(t), mustKey(t, someSecret)
	refusing, down := startRelay(t, relaytest.Config{}), startRelay(t, relaytest.Config{})
	down.Stop()
	refusing.SetFaults(relaytest.Faults{Refuse: relaytest.RefuseAll("blocked: no")})
	p := startPool(t, PoolConfig{}, refusing, down)
	_, err := p.Publish(ctx, note(t, k, 1, time.Now().Unix(), "x"))
	if !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), "blocked: no") || ctx.Err() != nil {
		t.Errorf("got %v", err)
	}
}

// TestRequestAndAnswerOverRelays is the whole way: a client's request through a relay, the pool and the gate, and the answer back
// to a client that knows nothing but the node's key.
func TestRequestAndAnswerOverRelays(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	for _, way := range ways {
		t.Run(fmt.Sprint("way ", way), func(t *testing.T) {
			ctx := testContext(t)
			a, b := startRelay(t, relaytest.Config{}), startRelay(t, relaytest.Config{})
			server, client := startPool(t, PoolConfig{Key: node}, a, b), startPool(t, PoolConfig{}, b, a)
			server.Subscribe("direct", Filter{Kinds: []int{KindDirect}, P: []orders.PubKey{node.PubKey()}})
			server.Subscribe("wraps", Filter{Kinds: []int{KindGiftWrap}, P: []orders.PubKey{node.PubKey()}})
			client.Subscribe("replies", Filter{Kinds: []int{KindDirect, KindGiftWrap}, P: []orders.PubKey{trade.PubKey()}})
			gate := NewGate(GateConfig{Key: node})
			go gate.Run(ctx, server.Events(), func(ctx context.Context, in Incoming) {
				e, err := node.Seal(in.Way, in.Sender, in.Message.Reply(WrapOrder, ActWaitingBuyerInvoice, nil), in.At, named("answer"))
				if err != nil {
					t.Error(err)
				}
				if _, err := server.Publish(ctx, e); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			})
			e, err := SealRequest(ctx, Request{Way: way, Node: node.PubKey(), Trade: trade, Identity: identity,
				Message: mustDecode(t, vectorMessage), At: time.Now().Unix(), Seed: named("request")})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Publish(ctx, e); err != nil {
				t.Fatal(err)
			}
			in, err := OpenReply(trade, node.PubKey(), receive(t, ctx, client))
			if err != nil || in.Message.Body.Action != ActWaitingBuyerInvoice || *in.Message.Body.RequestID != 7005 {
				t.Errorf("got %+v, %v", in, err)
			}
			if passed, _ := gate.Counts(); passed != 1 {
				t.Errorf("%d requests passed the gate", passed)
			}
		})
	}
}

// A message that could not be dealt with is asked for again, once for each time that it is forgotten.
func TestAMessageThatWasNotDoneComesAgain(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	for _, way := range ways {
		t.Run(fmt.Sprint("way ", way), func(t *testing.T) {
			ctx := testContext(t)
			srv := startRelay(t, relaytest.Config{})
			p := startPool(t, PoolConfig{Key: node}, srv)
			p.Subscribe("direct", Filter{Kinds: []int{KindDirect}, P: []orders.PubKey{node.PubKey()}})
			p.Subscribe("wraps", Filter{Kinds: []int{KindGiftWrap}, P: []orders.PubKey{node.PubKey()}})
			e, err := SealRequest(ctx, Request{Way: way, Node: node.PubKey(), Trade: trade, Identity: identity,
				Message: mustDecode(t, vectorMessage), At: time.Now().Unix() - 3600, Seed: named("request")})
			if err != nil {
				t.Fatal(err)
			}
			subscribed(t, ctx, e, srv)
			if err := srv.Publish(e); err != nil {
				t.Fatal(err)
			}
			gate, tries := NewGate(GateConfig{Key: node, Workers: 1}), 0
			ctx, stop := context.WithCancel(ctx)
			gate.Run(ctx, p.Events(), func(_ context.Context, in Incoming) {
				switch tries++; tries {
				case 1, 2:
					gate.Forget(in)
					p.Forget(in)
				case 3:
					p.Forget(in) // what was done passes the gate no more, however often it comes
					for p.Status()[0].Received < 4 && sleep(ctx, time.Millisecond) {
					}
					stop()
				}
			})
			equal(t, "tries", tries, 3)
			equal(t, "received", p.Status()[0].Received, 4)
			if _, drop := gate.Check(Received{Event: e}, time.Now()); drop != DropSeen {
				t.Errorf("done, and then: %q", drop)
			}
		})
	}
}
