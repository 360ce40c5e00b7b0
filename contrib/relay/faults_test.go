package relay

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"
)

func TestRefusedEventsAreNotStored(t *testing.T) {
	srv := listen(t, Config{})
	c := dial(t, srv)
	e := sign(t, alice, 1, 0, "x")
	srv.SetFaults(Faults{Refuse: RefuseAll("blocked: not today")})
	c.send("EVENT", e)
	c.want(okFrame(e, false, "blocked: not today"))
	srv.SetFaults(Faults{Refuse: func(e nostr.Event) string {
		if e.Kind == 38383 {
			return "error: disk full"
		}
		return ""
	}})
	c.send("EVENT", e)
	c.want(okFrame(e, true, ""))
}

func TestALostEventIsAnsweredButNotKept(t *testing.T) {
	srv := listen(t, Config{})
	c := dial(t, srv)
	srv.SetFaults(Faults{Lose: true})
	e := sign(t, alice, 1, 0, "x")
	c.send("EVENT", e)
	c.want(okFrame(e, true, ""))
	if got := srv.Events(nostr.Filter{}); len(got) != 0 {
		t.Errorf("kept %v", got)
	}
}

func TestAnAlteredEventIsKeptInPlaceOfTheOneThatCame(t *testing.T) {
	srv := listen(t, Config{})
	c := dial(t, srv)
	other := sign(t, alice, 1, 0, "another")
	srv.SetFaults(Faults{Alter: func(nostr.Event) nostr.Event { return other }})
	e := sign(t, alice, 1, 0, "x")
	c.send("EVENT", e)
	c.want(okFrame(e, true, ""))
	c.send("REQ", "s", map[string]any{})
	c.want(`EVENT "s" another`, `["EOSE","s"]`)
}

func TestADroppedOKStillStoresTheEvent(t *testing.T) {
	srv := listen(t, Config{})
	c := dial(t, srv)
	srv.SetFaults(Faults{DropOK: true})
	e := sign(t, alice, 1, 0, "x")
	c.send("EVENT", e)
	if _, err := srv.Await(within(t), nostr.Filter{IDs: []string{e.ID}}, 1); err != nil {
		t.Fatal(err)
	}
	c.send("REQ", "s", map[string]any{})
	c.want(`EVENT "s" x`, `["EOSE","s"]`) // and no OK before it
}

func TestLiveEventsAreDoubledAndDelayedInOrder(t *testing.T) {
	srv := listen(t, Config{})
	c := dial(t, srv)
	c.send("REQ", "s", map[string]any{})
	c.want(`["EOSE","s"]`)
	const delay = 50 * time.Millisecond
	srv.SetFaults(Faults{Duplicate: true, Delay: delay})
	start := time.Now()
	srv.Publish(sign(t, alice, 1, 0, "a"))
	srv.Publish(sign(t, alice, 1, 1, "b"))
	c.want(`EVENT "s" a`, `EVENT "s" a`, `EVENT "s" b`, `EVENT "s" b`)
	if got := time.Since(start); got < delay {
		t.Errorf("delivered after %s, want %s or more", got, delay)
	}
}

func TestForgetEmptiesTheStoreAndKeepsSubscriptions(t *testing.T) {
	srv := listen(t, Config{})
	c := dial(t, srv)
	e := sign(t, alice, 1, 0, "x")
	srv.Publish(e)
	srv.Forget()
	c.send("REQ", "s", map[string]any{})
	c.want(`["EOSE","s"]`)
	srv.Publish(e)
	c.want(`EVENT "s" x`)
}

func TestClosedSubscriptionsGetNothingMore(t *testing.T) {
	srv := listen(t, Config{})
	c := dial(t, srv)
	c.send("REQ", "s", map[string]any{})
	c.want(`["EOSE","s"]`)
	srv.CloseSubscriptions("error: shutting down idle subscription")
	c.want(`["CLOSED","s","error: shutting down idle subscription"]`)
	srv.Publish(sign(t, alice, 1, 0, "x"))
	c.send("REQ", "t", map[string]any{"limit": 0})
	c.want(`["EOSE","t"]`)
}

func TestAnOutageCutsClientsAndKeepsEventsAndPort(t *testing.T) {
	srv := listen(t, Config{})
	before := srv.URL
	c := dial(t, srv)
	c.send("REQ", "s", map[string]any{})
	c.want(`["EOSE","s"]`)
	srv.Publish(sign(t, alice, 1, 0, "kept"))
	c.want(`EVENT "s" kept`)
	srv.Stop()
	c.wantClosed()
	if ws, _, err := websocket.Dial(within(t), before, nil); err == nil {
		ws.CloseNow()
		t.Fatal("the stopped relay takes connections")
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	if srv.URL != before {
		t.Errorf("back at %s, was at %s", srv.URL, before)
	}
	c = dial(t, srv)
	c.send("REQ", "s", map[string]any{})
	c.want(`EVENT "s" kept`, `["EOSE","s"]`)
	srv.DisconnectAll()
	c.wantClosed()
	dial(t, srv)
}

func TestAwaitCountsStoredAndNewEvents(t *testing.T) {
	srv := listen(t, Config{})
	srv.Publish(sign(t, alice, 1, 0, "a"))
	srv.Publish(sign(t, bob, 1, 0, "other author"))
	type result struct {
		events []nostr.Event
		err    error
	}
	done := make(chan result)
	go func() {
		events, err := srv.Await(within(t), nostr.Filter{Authors: []string{pub(alice)}}, 3)
		done <- result{events, err}
	}()
	srv.Publish(sign(t, alice, 20000, 1, "b"))
	srv.Publish(sign(t, alice, 1, 2, "c"))
	// The ephemeral one may have come before the wait began: then one more makes three.
	srv.Publish(sign(t, alice, 1, 3, "d"))
	got := <-done
	if got.err != nil || len(got.events) != 3 || got.events[0].Content != "a" {
		t.Errorf("got %v %v", got.events, got.err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := srv.Await(ctx, nostr.Filter{Kinds: []int{7}}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	if err := srv.AwaitSubscribers(ctx, nostr.Event{Kind: 7}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestTheRelayEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	c := dial(t, srv)
	cancel()
	c.wantClosed()
}
