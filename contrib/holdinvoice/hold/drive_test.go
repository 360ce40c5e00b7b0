package hold

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// handClock is moved by the test; nobody waits on it.
type handClock struct {
	wall    time.Time
	elapsed time.Duration
}

func (c *handClock) Now() time.Time                                            { return c.wall }
func (c *handClock) Elapsed() time.Duration                                    { return c.elapsed }
func (c *handClock) Wait(context.Context, <-chan struct{}, time.Duration) bool { return false }
func (c *handClock) Limit(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	return ctx, func() {}
}

func (c *handClock) pass(d time.Duration) {
	c.wall, c.elapsed = c.wall.Add(d), c.elapsed+d
}

var silent = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1}))

// A driver in one goroutine sees a whole trade, the holder's death, and the guard's turn.
func TestDriverMovesEverythingByItself(t *testing.T) {
	ctx, n := context.Background(), newFakeNode(t)
	clock := &handClock{wall: time.Now()}
	path := filepath.Join(t.TempDir(), databaseName)
	commits := 0
	open := func() (*Store, error) {
		return OpenStore(path, StoreOptions{NoSync: true, Commit: func(commit func() error) error {
			commits++
			return commit()
		}})
	}
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(ctx, Config{Log: silent, Node: n, Out: n, Vault: s, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	g := NewGuard(ctx, GuardConfig{Log: silent, Node: n, Out: n, Clock: clock, Open: open})
	pre := Preimage{1}
	if _, err := h.Call(ctx, "holdinvoice", json.RawMessage(`{"amount_msat":50000000,"label":"a","description":"","cltv":40,"preimage":"`+pre.Hex()+`"}`)); err != nil {
		t.Fatal(err)
	}
	stranger, ours := n.pay(Preimage{2}, 1000, 1000, 60), n.pay(pre, 50_000_000, 50_000_000, 60)
	for _, p := range []*fakeHTLC{stranger, ours} {
		m := n.ask(p)
		h.HTLC(m.ID, m.Params)
	}
	if stranger.Result != "continue" || ours.Result != "" {
		t.Fatalf("stranger %q, ours %q", stranger.Result, ours.Result)
	}
	for _, note := range n.notes {
		g.Note(Topic, marshaled(map[string]any{Topic: note}))
	}

	s.Close() // the holder dies
	m := n.ask(ours)
	g.HTLC(m.ID, m.Params)
	hash, _ := json.Marshal([]Hash{pre.Hash()})
	if _, err := g.Call(ctx, "holdguard-settle", hash); err == nil {
		t.Fatal("settled before it took over")
	}
	if g.Due() > clock.Elapsed() {
		t.Fatalf("taking over is due at %s, now is %s", g.Due(), clock.Elapsed())
	}
	g.Step(ctx)
	if _, err := g.Call(ctx, "holdguard-settle", hash); err != nil {
		t.Fatal(err)
	}
	if ours.Result != "resolve" {
		t.Fatalf("got %q", ours.Result)
	}
	n.finish()
	for range 20 {
		clock.pass(max(0, g.Due()-clock.Elapsed()))
		g.Step(ctx)
	}
	raw, err := g.Call(ctx, "holdguard-list", nil)
	if err != nil || !strings.Contains(string(raw), `"state":"SETTLED"`) || !strings.Contains(string(raw), `"proof_level":2`) {
		t.Errorf("%s %v", raw, err)
	}
	if commits < 6 {
		t.Errorf("the commit hook saw %d commits", commits)
	}
}
