package trader

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// offline is a link that is never dialed, and the relays around it.
func offline(deliver func(string, []nostr.Event)) *link {
	p := newRelays(nil, slog.New(slog.DiscardHandler), deliver)
	l := &link{relays: p, url: "ws://test", pending: make(map[string]chan answer),
		backlog: make(map[string][]nostr.Event), stored: make(map[string]bool)}
	p.links = []*link{l}
	return l
}

func note(t testing.TB, content string) nostr.Event {
	t.Helper()
	e := nostr.Event{Kind: 1, CreatedAt: 1_700_000_000, Content: content}
	if err := e.Sign(mostroSecret); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestStoredEventsComeInOnePieceAndForgedOnesNotAtAll(t *testing.T) {
	var got []string
	l := offline(func(name string, events []nostr.Event) {
		var contents []string
		for _, e := range events {
			contents = append(contents, e.Content)
		}
		got = append(got, name+": "+strings.Join(contents, " "))
	})
	l.relays.subscribe("s", nostr.Filter{})
	send := func(sub string, e nostr.Event) { l.handle([]byte(`["EVENT","` + sub + `",` + e.String() + `]`)) }
	forged := note(t, "forged")
	forged.Content = "changed"
	wrong := note(t, "wrong")
	wrong.Sig = note(t, "other").Sig
	a, b, c := note(t, "a"), note(t, "b"), note(t, "c")
	send("s-1", a)
	send("s-1", forged)
	send("s-1", b)
	send("s-1", a)
	send("other-1", c) // a subscription that we don't have
	send("s-0", c)     // one that was replaced
	if len(got) != 0 {
		t.Errorf("before EOSE: %v", got)
	}
	l.handle([]byte(`["EOSE","s-1"]`))
	send("s-1", b)
	send("s-1", wrong)
	send("s-1", c)
	if want := "s: a b|s: c"; strings.Join(got, "|") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestAForgedCopyDoesNotHideTheEvent(t *testing.T) {
	var got int
	l := offline(func(_ string, events []nostr.Event) { got += len(events) })
	l.relays.subscribe("s", nostr.Filter{})
	l.handle([]byte(`["EOSE","s-1"]`))
	e := note(t, "x")
	copied := e
	copied.Sig = note(t, "other").Sig
	for _, e := range []nostr.Event{copied, e, e} {
		l.handle([]byte(`["EVENT","s-1",` + e.String() + `]`))
	}
	if got != 1 {
		t.Errorf("delivered %d times, want 1", got)
	}
}

func FuzzRelayMessage(f *testing.F) {
	e := note(f, "x")
	f.Add([]byte(`["EVENT","s-1",` + e.String() + `]`))
	f.Add([]byte(`["OK","` + e.ID + `",true,""]`))
	f.Add([]byte(`["OK","a",1,2]`))
	f.Add([]byte(`["EOSE","s-1"]`))
	f.Add([]byte(`["CLOSED","s-1",null]`))
	f.Add([]byte(`["EVENT","s-1",{"id":null,"tags":[null,[]],"sig":""}]`))
	l := offline(func(_ string, events []nostr.Event) {
		for _, e := range events {
			if err := verifyEvent(e); err != nil {
				f.Errorf("delivered %s: %v", e, err)
			}
		}
	})
	failed := make(map[string]bool)
	l.relays.log = slog.New(&panics{slog.DiscardHandler, failed})
	l.relays.subscribe("s", nostr.Filter{})
	f.Fuzz(func(t *testing.T, data []byte) {
		l.handle(data)
		if len(failed) > 0 {
			t.Fatalf("%s: %v", data, failed)
		}
	})
}

// panics is a log that remembers errors.
type panics struct {
	slog.Handler
	seen map[string]bool
}

func (p *panics) Enabled(context.Context, slog.Level) bool { return true }

func (p *panics) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		r.Attrs(func(a slog.Attr) bool {
			p.seen[r.Message+" "+a.String()] = true
			return true
		})
	}
	return nil
}

func FuzzPublished(f *testing.F) {
	f.Add("d", "5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11", "fa", "10", "50", "rating", `["rating",{"days":1}]`)
	f.Add("s", "pending", "amt", "x", "", "protocol_version", "2")
	f.Fuzz(func(t *testing.T, a, b, c, d, e, g, h string) {
		event := nostr.Event{Tags: nostr.Tags{{a, b}, {c, d, e}, {g, h}, {a}, {}}}
		if o, err := parseOrder(event); err == nil && o.ID.IsZero() {
			t.Error("an order without id")
		}
		if i := parseInfo(event); i.Way != orders.GiftWrap && i.Way != orders.Direct {
			t.Errorf("transport %d", i.Way)
		}
	})
}

func TestInfoIsReadWithWhateverIsMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		tags nostr.Tags
		way  orders.Way
		work int
	}{
		"no tag at all is protocol 1":            {nil, orders.GiftWrap, 0},
		"protocol 2":                             {nostr.Tags{{"protocol_version", "2"}, {"pow", "5"}}, orders.Direct, 5},
		"a protocol that we don't know":          {nostr.Tags{{"protocol_version", "3"}}, orders.GiftWrap, 0},
		"the harder of both works is done":       {nostr.Tags{{"pow", "5"}, {"pow_first_contact", "7"}}, orders.GiftWrap, 7},
		"a number that is none counts as absent": {nostr.Tags{{"pow", "many"}, {"fee", "x"}}, orders.GiftWrap, 0},
	} {
		t.Run(name, func(t *testing.T) {
			i := parseInfo(nostr.Event{Kind: nostrio.KindInfo, Tags: tc.tags})
			if i.Way != tc.way || i.Work() != tc.work || i.Fee != 0 {
				t.Errorf("got %+v", i)
			}
		})
	}
}
