package relay

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

func TestAnEventReachesStoredAndLiveSubscribers(t *testing.T) {
	srv := listen(t, Config{})
	reader, writer := dial(t, srv), dial(t, srv)
	first, second := sign(t, alice, 1, 0, "first"), sign(t, alice, 1, 1, "second")
	writer.send("EVENT", first)
	writer.want(okFrame(first, true, ""))
	reader.send("REQ", "s", map[string]any{"authors": []string{pub(alice)}})
	reader.want(`EVENT "s" first`, `["EOSE","s"]`)
	writer.send("EVENT", second)
	writer.want(okFrame(second, true, ""))
	reader.want(`EVENT "s" second`)
	writer.send("EVENT", second)
	writer.want(okFrame(second, true, "duplicate: already have this event"))
	reader.send("CLOSE", "s")
	reader.send("REQ", "again", map[string]any{"limit": 1})
	reader.want(`EVENT "again" second`, `["EOSE","again"]`)
}

func TestStoredEventsComeNewestFirstAndLimitDoesNotCapLiveOnes(t *testing.T) {
	srv := listen(t, Config{})
	c := dial(t, srv)
	tie1, tie2 := sign(t, alice, 1, 5, "tie"), sign(t, bob, 1, 5, "tie")
	low, high := tie1, tie2
	if low.ID > high.ID {
		low, high = high, low
	}
	for _, e := range []nostr.Event{sign(t, alice, 1, 1, "old"), high, low, sign(t, alice, 1, 9, "new")} {
		if err := srv.Publish(e); err != nil {
			t.Fatal(err)
		}
	}
	got := srv.Events(nostr.Filter{Limit: 3})
	if got[0].Content != "new" || got[1].ID != low.ID || got[2].ID != high.ID || len(got) != 3 {
		t.Errorf("got %v, want new, then the tie by lowest id", got)
	}
	c.send("REQ", "s", map[string]any{"kinds": []int{1}, "limit": 0})
	c.want(`["EOSE","s"]`)
	for i := range int64(3) {
		if err := srv.Publish(sign(t, bob, 1, 20+i, "live")); err != nil {
			t.Fatal(err)
		}
	}
	c.want(`EVENT "s" live`, `EVENT "s" live`, `EVENT "s" live`)
}

func TestEachFilterOfASubscriptionHasItsOwnLimit(t *testing.T) {
	srv := listen(t, Config{})
	for i := range int64(4) {
		srv.Publish(sign(t, alice, 1, i, "note "+strconv.FormatInt(i, 10)))
		srv.Publish(sign(t, bob, 14, i, "dm "+strconv.FormatInt(i, 10)))
	}
	c := dial(t, srv)
	c.send("REQ", "s", map[string]any{"kinds": []int{1}, "limit": 1}, map[string]any{"kinds": []int{14}, "limit": 2},
		map[string]any{"authors": []string{pub(bob)}, "limit": 1})
	c.want(`EVENT "s" dm 3`, `EVENT "s" note 3`, `EVENT "s" dm 2`, `["EOSE","s"]`)
}

func TestBadEventsAreRefusedWithAReason(t *testing.T) {
	good := sign(t, alice, 1, 0, "hi")
	change := func(f func(m map[string]any)) map[string]any {
		var m map[string]any
		if err := json.Unmarshal([]byte(good.String()), &m); err != nil {
			t.Fatal(err)
		}
		f(m)
		return m
	}
	expired := sign(t, alice, 1, 0, "late", nostr.Tag{"expiration", "1700000001"})
	odd := sign(t, alice, 1, 0, "odd", nostr.Tag{"expiration", "soon"})
	auth := sign(t, alice, nostr.KindClientAuthentication, 0, "")
	srv := listen(t, Config{})
	c := dial(t, srv)
	for name, tc := range map[string]struct {
		in     any
		id     string
		reason string
	}{
		"a changed content":            {change(func(m map[string]any) { m["content"] = "ho" }), good.ID, "invalid: the id is not the hash of the event"},
		"another signature":            {change(func(m map[string]any) { m["sig"] = auth.Sig }), good.ID, "invalid: the signature is wrong"},
		"a short id":                   {change(func(m map[string]any) { m["id"] = "ab" }), "ab", "invalid: the id is not 64 characters of lower-case hex"},
		"an upper-case pubkey":         {change(func(m map[string]any) { m["pubkey"] = strings.ToUpper(good.PubKey) }), good.ID, "invalid: the pubkey is not 64 characters of lower-case hex"},
		"no signature":                 {change(func(m map[string]any) { delete(m, "sig") }), good.ID, "invalid: the sig is not 128 characters of lower-case hex"},
		"no tags":                      {change(func(m map[string]any) { delete(m, "tags") }), good.ID, "invalid: created_at, kind, tags and content are needed"},
		"a kind out of range":          {change(func(m map[string]any) { m["kind"] = 65536 }), good.ID, "invalid: the kind is not in 0–65535"},
		"tags of the wrong type":       {change(func(m map[string]any) { m["tags"] = "x" }), good.ID, "invalid: the event does not have the form of NIP-01"},
		"not an object":                {"hello", "", "invalid: the event does not have the form of NIP-01"},
		"an expired event":             {expired, expired.ID, "invalid: the event has expired"},
		"an expiration that is none":   {odd, odd.ID, "invalid: the expiration is not a time in unix seconds"},
		"an AUTH event sent as EVENT":  {auth, auth.ID, "invalid: send this kind with AUTH"},
		"the event itself is accepted": {good, good.ID, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.send("EVENT", tc.in)
			c.want(string(frame("OK", tc.id, tc.reason == "", tc.reason)))
		})
	}
}

func TestBadMessagesAreAnsweredAndTheConnectionLives(t *testing.T) {
	srv := listen(t, Config{MaxSubscriptions: 1, MaxFilters: 2})
	c := dial(t, srv)
	long := strings.Repeat("x", 65)
	for _, tc := range []struct{ name, in, want string }{
		{"not JSON", `hello`, `["NOTICE","invalid: a message is a JSON array"]`},
		{"an empty array", `[]`, `["NOTICE","invalid: a message begins with its type"]`},
		{"a verb we don't speak", `["COUNT","a",{}]`, `["NOTICE","invalid: no message \"COUNT\" with 2 arguments"]`},
		{"REQ without filters", `["REQ","a"]`, `["NOTICE","invalid: no message \"REQ\" with 1 arguments"]`},
		{"a long subscription id", `["REQ","` + long + `",{}]`, `["NOTICE","invalid: a subscription id is a string of 1 to 64 characters"]`},
		{"a filter that is a list", `["REQ","a",[]]`, `["CLOSED","a","invalid: a filter is a JSON object"]`},
		{"a filter of null", `["REQ","a",null]`, `["CLOSED","a","invalid: a filter is a JSON object"]`},
		{"a short author", `["REQ","a",{"authors":["ab"]}]`, `["CLOSED","a","invalid: filter \"authors\": want 64 characters of lower-case hex"]`},
		{"a kind of text", `["REQ","a",{"kinds":["1"]}]`, `["CLOSED","a","invalid: filter \"kinds\": wrong type of value"]`},
		{"a limit below zero", `["REQ","a",{"limit":-1}]`, `["CLOSED","a","invalid: filter \"limit\": less than 0"]`},
		{"too many filters", `["REQ","a",{},{},{}]`, `["CLOSED","a","invalid: more than 2 filters"]`},
		{"one subscription", `["REQ","a",{}]`, `["EOSE","a"]`},
		{"one subscription too many", `["REQ","b",{}]`, `["CLOSED","b","rate-limited: more than 1 subscriptions"]`},
		{"the same name replaces", `["REQ","a",{"kinds":[1]}]`, `["EOSE","a"]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c.sendRaw(tc.in)
			c.want(tc.want)
		})
	}
}

func TestAMessageOverTheSizeLimitEndsTheConnection(t *testing.T) {
	srv := listen(t, Config{MaxMessage: 1000})
	c := dial(t, srv)
	c.sendRaw(`["REQ","` + strings.Repeat("x", 1000) + `",{}]`)
	c.wantClosed()
}

func TestEphemeralEventsAreServedLiveAndNotStored(t *testing.T) {
	srv := listen(t, Config{})
	c := dial(t, srv)
	c.send("REQ", "s", map[string]any{"kinds": []int{20001}})
	c.want(`["EOSE","s"]`)
	if err := srv.Publish(sign(t, alice, 20001, 0, "gone")); err != nil {
		t.Fatal(err)
	}
	c.want(`EVENT "s" gone`)
	if got := srv.Events(nostr.Filter{}); len(got) != 0 {
		t.Errorf("stored: %v", got)
	}
}

func TestEventsOverTheRateAreRefused(t *testing.T) {
	srv := listen(t, Config{EventsPerMinute: 2})
	c := dial(t, srv)
	for i := range int64(3) {
		e := sign(t, alice, 1, i, "n")
		c.send("EVENT", e)
		if i < 2 {
			c.want(okFrame(e, true, ""))
		} else {
			c.want(okFrame(e, false, "rate-limited: slow down"))
		}
	}
}

func TestASlowReaderIsDroppedAndOthersAreServed(t *testing.T) {
	srv := listen(t, Config{MaxQueue: 8})
	slow, good := dial(t, srv), dial(t, srv)
	slow.send("REQ", "s", map[string]any{"kinds": []int{1}})
	if err := srv.AwaitSubscribers(within(t), nostr.Event{Kind: 1}, 1); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 256<<10)
	for i := int64(0); ; i++ {
		if i == 1000 {
			t.Fatal("a reader that reads nothing was kept through 256 MB")
		}
		if err := srv.Publish(sign(t, alice, 1, i, big)); err != nil {
			t.Fatal(err)
		}
		srv.Forget()
		srv.mu.Lock()
		conns := len(srv.conns)
		srv.mu.Unlock()
		if conns == 1 {
			break
		}
	}
	good.send("REQ", "s", map[string]any{"limit": 0})
	good.want(`["EOSE","s"]`)
}

func TestAuthIsAskedForWhenRequired(t *testing.T) {
	srv := listen(t, Config{RequireAuth: true})
	c := dial(t, srv)
	var hello [2]string
	if err := json.Unmarshal([]byte(c.next()), &hello); err != nil || hello[0] != "AUTH" {
		t.Fatalf("got %v %v, want AUTH and a challenge", hello, err)
	}
	e := sign(t, alice, 1, 0, "hi")
	c.send("EVENT", e)
	c.want(okFrame(e, false, "auth-required: this relay takes events after AUTH"))
	c.send("REQ", "s", map[string]any{})
	c.want(`["CLOSED","s","auth-required: this relay serves events after AUTH"]`)
	answer := func(challenge, relay string, at time.Time) nostr.Event {
		e := nostr.Event{Kind: 22242, CreatedAt: nostr.Timestamp(at.Unix()),
			Tags: nostr.Tags{{"relay", relay}, {"challenge", challenge}}}
		if err := e.Sign(alice); err != nil {
			t.Fatal(err)
		}
		return e
	}
	for _, tc := range []struct {
		e      nostr.Event
		reason string
	}{
		{answer("x", srv.URL, time.Now()), "invalid: the challenge is another"},
		{answer(hello[1], "ws://elsewhere.example", time.Now()), "invalid: the relay is another"},
		{answer(hello[1], srv.URL, time.Now().Add(-time.Hour)), "invalid: the time of the event is not now"},
		{e, "invalid: AUTH wants an event of kind 22242"},
		{answer(hello[1], srv.URL, time.Now()), ""},
	} {
		c.send("AUTH", tc.e)
		c.want(okFrame(tc.e, tc.reason == "", tc.reason))
	}
	c.send("EVENT", e)
	c.want(okFrame(e, true, ""))
	c.send("REQ", "s", map[string]any{})
	c.want(`EVENT "s" hi`, `["EOSE","s"]`)
}

func TestTheInformationDocumentIsServedOverHTTP(t *testing.T) {
	srv := listen(t, Config{Name: "test relay"})
	url := "http" + strings.TrimPrefix(srv.URL, "ws")
	get := func(accept string) string {
		req, err := http.NewRequestWithContext(within(t), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if got := res.Header.Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("CORS header %q, want *", got)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	var doc info
	if err := json.Unmarshal([]byte(get("application/nostr+json")), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Name != "test relay" || doc.Limitation.MaxSubscriptions != 64 || len(doc.SupportedNIPs) != 4 {
		t.Errorf("got %+v", doc)
	}
	if got := get("text/html"); !strings.Contains(got, "Nostr relay") {
		t.Errorf("got %q", got)
	}
}

func TestAnExpiredEventIsNoLongerServedAndThenPurged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{})
		defer r.Close()
		in := func(d time.Duration) nostr.Tag {
			return nostr.Tag{"expiration", strconv.FormatInt(time.Now().Add(d).Unix(), 10)}
		}
		for _, e := range []nostr.Event{
			sign(t, alice, 1, 0, "long", in(time.Hour)), sign(t, alice, 1, 0, "short", in(time.Minute)), sign(t, alice, 1, 0, "ever"),
		} {
			if err := r.Publish(e); err != nil {
				t.Fatal(err)
			}
		}
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{59 * time.Second, 3}, {2 * time.Second, 2}, {time.Hour, 1}} {
			time.Sleep(step.after)
			synctest.Wait()
			r.mu.Lock()
			if got := len(r.store.events); got != step.want || len(r.store.byID) != step.want {
				t.Errorf("at %s: %d events kept, want %d", time.Now(), got, step.want)
			}
			r.mu.Unlock()
		}
		if got := r.Events(nostr.Filter{}); len(got) != 1 || got[0].Content != "ever" {
			t.Errorf("got %v", got)
		}
	})
}

func TestAnEventAtItsExpirationIsNotServedThoughNotYetPurged(t *testing.T) {
	s := newStore(10)
	e, err := newStored(sign(t, alice, 1, 0, "x", nostr.Tag{"expiration", "1700000100"}))
	if err != nil {
		t.Fatal(err)
	}
	s.put(e, 1_700_000_000)
	if got := s.query([]filter{{}}, 1_700_000_099, 9); len(got) != 1 {
		t.Errorf("before: %d served, want 1", len(got))
	}
	if got := s.query([]filter{{}}, 1_700_000_100, 9); len(got) != 0 {
		t.Errorf("after: %d served, want 0", len(got))
	}
}
