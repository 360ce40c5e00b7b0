package nostrio

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"

	relaytest "github.com/mostro-cln/mostro/contrib/relay"
)

// shop is what we have said last: the other side of Keep.
type shop struct {
	t     testing.TB
	k     *Key
	mu    sync.Mutex
	last  map[string]nostr.Event // by address
	list  []Kept
	made  int // calls of Event
	newer chan nostr.Event
}

func newShop(t testing.TB) *shop {
	return &shop{t: t, k: mustKey(t, someSecret), last: map[string]nostr.Event{}, newer: make(chan nostr.Event, 100)}
}

// says makes an order event, which stays on the list while it is live.
func (s *shop) says(d, status string, at int64) nostr.Event {
	e := note(s.t, s.k, KindOrder, at, "", nostr.Tag{"d", d}, nostr.Tag{"s", status})
	s.put(e)
	return e
}

func (s *shop) put(e nostr.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[fmt.Sprint(e.Kind, address(e))] = e
	s.list = slices.DeleteFunc(s.list, func(k Kept) bool { return k.Kind == e.Kind && k.D == address(e) })
	if e.Kind != KindOrder || live(e) {
		s.list = append(s.list, Kept{e.Kind, address(e), int64(e.CreatedAt)})
	}
}

func (s *shop) keep() *Keep {
	return &Keep{
		List: func() []Kept {
			s.mu.Lock()
			defer s.mu.Unlock()
			return slices.Clone(s.list)
		},
		Event: func(kind int, d string) (nostr.Event, bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.made++
			e, ok := s.last[fmt.Sprint(kind, d)]
			return e, ok
		},
		Newer: func(_ string, e nostr.Event) { s.newer <- e },
	}
}

// pool runs a pool that looks at a relay at each connect, without a pause.
func (s *shop) pool(cfg PoolConfig, servers ...*relaytest.Server) *Pool {
	cfg.Key, cfg.Keep, cfg.space = s.k, s.keep(), time.Nanosecond
	return startPool(s.t, cfg, servers...)
}

// visitors counts what clients send to a relay, whether it is new there or not.
func visitors(srv *relaytest.Server) (sent func() []string) {
	var mu sync.Mutex
	var ids []string
	srv.SetFaults(relaytest.Faults{Refuse: func(e nostr.Event) string {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, e.ID)
		return ""
	}})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(slices.Values(ids))
	}
}

// looked waits until the relay has been looked at since then, and all that it lacked has been sent.
func looked(t testing.TB, ctx context.Context, p *Pool, relay int, then time.Time) RelayStatus {
	t.Helper()
	for {
		if s := p.Status()[relay]; s.Checked.After(then) && s.Connected {
			return s
		}
		if !sleep(ctx, time.Millisecond) {
			t.Fatalf("the relay is never looked at: %+v", p.Status()[relay])
		}
	}
}

func idsOf(events ...nostr.Event) (list []string) {
	for _, e := range events {
		list = append(list, e.ID)
	}
	slices.Sort(list)
	return list
}

func TestAWipedRelayGetsWhatItLacksOnce(t *testing.T) {
	ctx, s := testContext(t), newShop(t)
	wiped, healthy := startRelay(t, relaytest.Config{}), startRelay(t, relaytest.Config{})
	now := time.Now().Unix()
	a, b := s.says("A", "pending", now-90000), s.says("B", "in-progress", now)
	c := note(t, s.k, KindRelayList, now-500000, "", nostr.Tag{"r", "ws://x"})
	d := note(t, s.k, KindInfo, now, "", nostr.Tag{"d", s.k.PubKey().String()})
	s.put(c)
	s.put(d)
	for _, e := range []nostr.Event{a, b, c, d} {
		for _, srv := range []*relaytest.Server{wiped, healthy} {
			if err := srv.Publish(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	toWiped, toHealthy := visitors(wiped), visitors(healthy)
	p := s.pool(PoolConfig{}, wiped, healthy)
	p.Subscribe("direct", Filter{Kinds: []int{KindDirect}})
	for i := range 2 {
		looked(t, ctx, p, i, time.Time{})
	}
	if got := append(toWiped(), toHealthy()...); len(got) != 0 || s.made != 0 {
		t.Fatalf("healthy relays were sent %v; %d events were made", got, s.made)
	}
	for range 2 { // the second time it has them
		then := time.Now()
		if len(toWiped()) == 0 {
			wiped.Forget()
		}
		wiped.DisconnectAll()
		healthy.DisconnectAll()
		looked(t, ctx, p, 0, then)
		looked(t, ctx, p, 1, then)
		equal(t, "sent to the wiped one", toWiped(), idsOf(a, b, c, d))
	}
	equal(t, "sent to the healthy one", len(toHealthy()), 0)
	equal(t, "mended", p.Status()[0].Mended, uint64(4))
	select {
	case e := <-p.Events():
		t.Errorf("our own event %v goes to the gate", e.Event)
	default:
	}
}

func TestARelayWithAnOlderRevisionGetsTheNewer(t *testing.T) {
	ctx, s := testContext(t), newShop(t)
	srv := startRelay(t, relaytest.Config{})
	now := time.Now().Unix()
	for _, e := range []nostr.Event{
		s.says("taken", "pending", now-200000), // so old that it is not even asked for
		s.says("ended", "pending", now-100), s.says("unheard", "canceled", now-100), s.says("same", "pending", now),
	} {
		if err := srv.Publish(e); err != nil {
			t.Fatal(err)
		}
	}
	want := idsOf(s.says("taken", "in-progress", now-5), s.says("ended", "success", now-5))
	s.says("unheard", "canceled", now-50) // nobody is misled by the older one
	s.says("same", "pending", now)
	sent := visitors(srv)
	p := s.pool(PoolConfig{}, srv)
	looked(t, ctx, p, 0, time.Time{})
	equal(t, "sent", sent(), want)
}

func TestANewerEventAtARelayIsReported(t *testing.T) {
	ctx, s := testContext(t), newShop(t)
	srv := startRelay(t, relaytest.Config{})
	now := time.Now().Unix()
	later := s.says("A", "success", now+100)
	s.says("A", "pending", now)
	unknown := note(t, s.k, KindOrder, now, "", nostr.Tag{"d", "B"}, nostr.Tag{"s", "pending"})
	foreign := note(t, mustKey(t, strings.Repeat("09", 32)), KindOrder, now+100, "", nostr.Tag{"d", "A"}, nostr.Tag{"s", "pending"})
	for _, e := range []nostr.Event{later, unknown, foreign} {
		if err := srv.Publish(e); err != nil {
			t.Fatal(err)
		}
	}
	sent := visitors(srv)
	p := s.pool(PoolConfig{}, srv)
	looked(t, ctx, p, 0, time.Time{})
	equal(t, "reported", idsOf(<-s.newer, <-s.newer), idsOf(later, unknown))
	equal(t, "sent", len(sent()), 0)
	if len(s.newer) > 0 {
		t.Errorf("reported as well: %v", <-s.newer)
	}
}

func TestARelayWithALimitIsAskedInPages(t *testing.T) {
	ctx, s := testContext(t), newShop(t)
	srv := startRelay(t, relaytest.Config{MaxLimit: 60})
	now := time.Now().Unix()
	var lost []nostr.Event
	for i := range 400 {
		at := now - int64(i/7)
		if i >= 200 && i < 300 {
			at = now - 1000 // more than a page in one second: those that do not show are given the benefit of the doubt
		}
		e := s.says(fmt.Sprint(i), "pending", at)
		if i%50 == 7 && i != 207 && i != 257 {
			lost = append(lost, e)
		} else if err := srv.Publish(e); err != nil {
			t.Fatal(err)
		}
	}
	sent := visitors(srv)
	p := s.pool(PoolConfig{}, srv)
	looked(t, ctx, p, 0, time.Time{})
	equal(t, "sent", sent(), idsOf(lost...))
}

func TestAQuestionThatIsClosedIsAskedAgain(t *testing.T) {
	ctx, s := testContext(t), newShop(t)
	e := s.says("A", "pending", time.Now().Unix())
	for _, c := range []struct {
		name    string
		answers func(n int, id string) []string // to the nth REQ
		gets    bool
	}{
		{"once", func(n int, id string) []string {
			if n == 0 {
				return []string{`["CLOSED","` + id + `","error: shutting down"]`}
			}
			return []string{`["EOSE","` + id + `"]`}
		}, true},
		{"always", func(_ int, id string) []string { return []string{`["CLOSED","` + id + `","restricted: no"]`} }, false},
		{"no answer", func(int, string) []string { return nil }, false},
		{"after a part of the answer", func(n int, id string) []string {
			if n == 0 {
				return []string{string(append(appendEvent([]byte(`["EVENT","`+id+`",`), e), ']')), `["CLOSED","` + id + `",""]`}
			}
			return []string{`["EOSE","` + id + `"]`}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			said, asked := make(chan string, 100), make(chan string, 100)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				ws, err := websocket.Accept(w, req, nil)
				if err != nil {
					return
				}
				defer ws.CloseNow()
				for n := 0; ; {
					_, data, err := ws.Read(req.Context())
					if err != nil {
						return
					}
					switch text := string(data); {
					case strings.HasPrefix(text, `["REQ","`):
						id, _, _ := strings.Cut(text[len(`["REQ","`):], `"`)
						asked <- id
						for _, a := range c.answers(n, id) {
							_ = ws.Write(req.Context(), websocket.MessageText, []byte(a))
						}
						n++
					case strings.HasPrefix(text, `["EVENT"`):
						said <- text
						_ = ws.Write(req.Context(), websocket.MessageText, []byte(`["OK","`+e.ID+`",true,""]`))
					case strings.HasPrefix(text, `["CLOSE"`):
						said <- "CLOSE"
					}
				}
			}))
			defer srv.Close()
			s.pool(PoolConfig{Relays: []string{"ws" + strings.TrimPrefix(srv.URL, "http")}, query: 100 * time.Millisecond, keep: 20 * time.Millisecond})
			// A question is over when we close it. What is lacking is sent next, else comes the next question.
			want := []string{"CLOSE", "CLOSE"}
			if c.gets {
				want[1] = string(eventFrame("EVENT", e))
			}
			for i := range want {
				select {
				case got := <-said:
					equal(t, "said", got, want[i])
				case <-ctx.Done():
					t.Fatal("nothing is said")
				}
			}
			if n := len(asked); n == 0 || n > 30 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestARelayThatRefusesIsLeftAlone(t *testing.T) {
	ctx, s := testContext(t), newShop(t)
	srv := startRelay(t, relaytest.Config{})
	var mu sync.Mutex
	tries := 0
	srv.SetFaults(relaytest.Faults{Refuse: func(nostr.Event) string {
		mu.Lock()
		defer mu.Unlock()
		tries++
		return "blocked: not here"
	}})
	for i := range 500 {
		s.says(fmt.Sprint(i), "pending", time.Now().Unix())
	}
	p := s.pool(PoolConfig{}, srv)
	looked(t, ctx, p, 0, time.Time{})
	mu.Lock()
	defer mu.Unlock()
	if tries < refusedMost || tries > refusedMost+giveWindow {
		t.Errorf("%d tries", tries)
	}
}

func TestALookComesAgainWithoutAReconnect(t *testing.T) {
	ctx, s := testContext(t), newShop(t)
	srv := startRelay(t, relaytest.Config{RequireAuth: true})
	e := s.says("A", "pending", time.Now().Unix())
	s.pool(PoolConfig{keep: 20 * time.Millisecond}, srv)
	for range 3 {
		stored(t, ctx, srv, e)
		srv.Forget()
	}
}

func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}

// A book of 5,000 orders is whole again within seconds, while what is published meanwhile does not wait for it.
func TestAWholeBookIsRebuilt(t *testing.T) {
	ctx, s := testContext(t), newShop(t)
	srv := startRelay(t, relaytest.Config{MaxLimit: 500})
	n := 5000
	if raceDetector() { // its signatures take a dozen times as long
		n = 500
	}
	for i := range n {
		s.list = append(s.list, Kept{KindOrder, fmt.Sprint(i), time.Now().Unix() - int64(i)})
	}
	k := s.keep()
	k.Event = func(kind int, d string) (nostr.Event, bool) {
		var i int64
		fmt.Sscan(d, &i)
		return note(t, s.k, kind, s.list[i].CreatedAt, "", nostr.Tag{"d", d}, nostr.Tag{"s", "pending"}), true
	}
	start := time.Now()
	p := startPool(t, PoolConfig{Key: s.k, Keep: k, space: time.Nanosecond}, srv)
	if _, err := srv.Await(ctx, nostr.Filter{}, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Publish(ctx, note(t, s.k, KindDirect, time.Now().Unix(), "letter")); err != nil {
		t.Fatal(err)
	}
	if got := len(srv.Events(nostr.Filter{Kinds: []int{KindOrder}})); got >= n {
		t.Error("the letter waited for the book")
	}
	looked(t, ctx, p, 0, time.Time{})
	t.Logf("rebuilt in %v", time.Since(start))
	equal(t, "events", len(srv.Events(nostr.Filter{Kinds: []int{KindOrder}})), n)
	sent := visitors(srv)
	then := time.Now()
	srv.DisconnectAll()
	looked(t, ctx, p, 0, then)
	t.Logf("looked through in %v", time.Since(then))
	equal(t, "sent to the healthy relay", len(sent()), 0)
}
