package lightning

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/internal/simtest"
)

// testConfig is a day of trade time.
var testConfig = EscrowConfig{TradeTime: 24 * time.Hour, HoldCLTV: 215}

// testEscrow is an escrow on a fake node with one hold plugin; its waits are short.
func testEscrow(t *testing.T, kind HoldKind) (*Escrow, *fakeNode) {
	t.Helper()
	f := newFakeNode(t)
	f.plugin = kind
	e := NewEscrow(f.node(), slog.New(slog.DiscardHandler), testConfig, time.Now)
	e.wait, e.pause = 2*time.Second, time.Millisecond
	return e, f
}

var bothPlugins = []HoldKind{HoldOurs, HoldRust}

func create(t *testing.T, e *Escrow, h orders.Hold) string {
	t.Helper()
	bolt11, err := e.Create(t.Context(), h, "mostro/"+h.Order.String(), "escrow", 900)
	if err != nil {
		t.Fatal(err)
	}
	return bolt11
}

func TestCreateTwiceIsOneInvoice(t *testing.T) {
	for _, kind := range bothPlugins {
		t.Run(kind.String(), func(t *testing.T) {
			e, f := testEscrow(t, kind)
			h := testHold(1)
			first := create(t, e, h)
			if second := create(t, e, h); second != first || len(f.holds) != 1 {
				t.Errorf("got %q, then %q, %d invoices", first, second, len(f.holds))
			}
			h.Amount++
			if _, err := e.Create(t.Context(), h, "mostro/"+h.Order.String(), "escrow", 900); err == nil {
				t.Error("another amount under the same hash is accepted")
			}
		})
	}
}

func TestCreateWhoseReplyIsLostCanBeRepeated(t *testing.T) {
	for _, kind := range bothPlugins {
		t.Run(kind.String(), func(t *testing.T) {
			e, f := testEscrow(t, kind)
			f.set(func() { f.cut = "holdinvoice" })
			h := testHold(1)
			_, err := e.Create(t.Context(), h, "mostro/"+h.Order.String(), "escrow", 900)
			if !errors.Is(err, clnio.ErrUnknownOutcome) {
				t.Fatalf("got %v, want an unknown outcome", err)
			}
			if create(t, e, h) == "" || len(f.holds) != 1 {
				t.Errorf("%d invoices", len(f.holds))
			}
		})
	}
}

// The Rust plugin settles or drops a hold at the invoice's expiry, so its invoices must outlive the trade.
func TestExpiryFitsThePlugin(t *testing.T) {
	for kind, want := range map[HoldKind]int64{HoldOurs: 900, HoldRust: 2*86_400 + 900} {
		e, f := testEscrow(t, kind)
		h := testHold(1)
		create(t, e, h)
		if got := f.holds[h.Hash.String()].expiry; got != want {
			t.Errorf("%v: got %d s, want %d", kind, got, want)
		}
		if got := str(f.last["holdinvoice"]["cltv"]); got != "215" {
			t.Errorf("cltv: got %s", got)
		}
	}
}

func TestSettleIsSaidOnProofAlone(t *testing.T) {
	for _, kind := range bothPlugins {
		t.Run(kind.String(), func(t *testing.T) {
			e, f := testEscrow(t, kind)
			e.wait = 50 * time.Millisecond
			h := testHold(1)
			create(t, e, h)
			f.pays(h, 1215, 10_000_000, 60_000)

			if err := e.Settle(t.Context(), h); err == nil || !strings.Contains(err.Error(), "no proof yet") {
				t.Fatalf("without proof: got %v", err)
			}
			f.set(func() {
				x := f.holds[h.Hash.String()]
				x.state, x.proof, x.row, x.missing = stateSettled, 0, "paid", 1
			})
			if err := e.Settle(t.Context(), h); err == nil {
				t.Fatal("settled without proof")
			}
			f.set(func() {
				x := f.holds[h.Hash.String()]
				x.proof, x.missing = 1, 0
				f.drop(h.Hash.String())
			})
			for range 2 {
				if err := e.Settle(t.Context(), h); err != nil {
					t.Errorf("with proof: %v", err)
				}
			}
			if n := f.count("holdinvoicesettle"); n != 1 {
				t.Errorf("settle was asked %d times, want once", n)
			}
		})
	}
}

func TestSettleWaitsForProofWithinOneCall(t *testing.T) {
	e, f := testEscrow(t, HoldOurs)
	h := testHold(1)
	create(t, e, h)
	f.pays(h, 1215, h.Amount)
	done := make(chan error, 1)
	go func() { done <- e.Settle(t.Context(), h) }()
	for f.count("holdinvoicesettle") == 0 {
		time.Sleep(time.Millisecond)
	}
	f.set(func() {
		x := f.holds[h.Hash.String()]
		x.state, x.proof = stateSettled, 1
	})
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSettleOfWhatIsGoneIsFinal(t *testing.T) {
	for _, state := range []string{stateCanceled, stateCanceling, stateLost} {
		e, f := testEscrow(t, HoldOurs)
		h := testHold(1)
		create(t, e, h)
		f.set(func() { f.holds[h.Hash.String()].state = state })
		if err := e.Settle(t.Context(), h); !errors.Is(err, orders.ErrHoldCanceled) {
			t.Errorf("%s: got %v", state, err)
		}
	}
}

// Nobody can say where the money is, so nothing may follow from it.
func TestSettleOfAnUnknownHoldStaysOpen(t *testing.T) {
	for _, kind := range bothPlugins {
		e, f := testEscrow(t, kind)
		h := testHold(1)
		if err := e.Settle(t.Context(), h); err == nil || errors.Is(err, orders.ErrHoldCanceled) {
			t.Errorf("%v: got %v", kind, err)
		}
		create(t, e, h)
		f.pays(h, 1215, h.Amount)
		done := make(chan error, 1)
		go func() { done <- e.Settle(t.Context(), h) }()
		for f.count("holdinvoicesettle") == 0 {
			time.Sleep(time.Millisecond)
		}
		f.set(func() { delete(f.holds, h.Hash.String()) })
		if err := <-done; err == nil || errors.Is(err, orders.ErrHoldCanceled) {
			t.Errorf("%v, forgotten meanwhile: got %v", kind, err)
		}
	}
}

func TestSettleIsNotBegun(t *testing.T) {
	for name, change := range map[string]func(*fakeNode, *fakeHold){
		"with too few blocks left":              func(f *fakeNode, _ *fakeHold) { f.height = 1215 - settleMin + 1 },
		"while the node is behind":              func(f *fakeNode, _ *fakeHold) { f.sync = "Still loading" },
		"while the parts come back":             func(_ *fakeNode, h *fakeHold) { h.state = stateOpen },
		"when the plugin has gone away by then": func(f *fakeNode, _ *fakeHold) { f.plugin = HoldNone },
	} {
		t.Run(name, func(t *testing.T) {
			e, f := testEscrow(t, HoldOurs)
			h := testHold(1)
			create(t, e, h)
			f.pays(h, 1215, h.Amount)
			f.set(func() { change(f, f.holds[h.Hash.String()]) })
			err := e.Settle(t.Context(), h)
			if err == nil || errors.Is(err, orders.ErrHoldCanceled) {
				t.Errorf("got %v, want an open outcome", err)
			}
			if f.count("holdinvoicesettle") != 0 {
				t.Error("settle was asked")
			}
		})
	}
}

// A payer cheats the Rust plugin with a wrong secret: it says SETTLED and the node refuses the payment.
func TestPaymentThatTheNodeRefusedIsFoundOut(t *testing.T) {
	e, f := testEscrow(t, HoldRust)
	e.wait = -1 // one look a call: the clock stands
	clock := time.Unix(1_700_000_000, 0)
	e.now = func() time.Time { return clock }
	h := testHold(1)
	create(t, e, h)
	f.pays(h, 1215, h.Amount)
	if err := e.Settle(t.Context(), h); err == nil || errors.Is(err, orders.ErrHoldCanceled) {
		t.Fatalf("while the payment hangs: got %v", err)
	}
	f.set(func() { f.drop(h.Hash.String()) })
	if err := e.Settle(t.Context(), h); err == nil || errors.Is(err, orders.ErrHoldCanceled) {
		t.Fatalf("at once: got %v, want to wait", err)
	}
	clock = clock.Add(refusedAfter)
	if err := e.Settle(t.Context(), h); !errors.Is(err, orders.ErrHoldCanceled) {
		t.Fatalf("in the end: got %v", err)
	}
	if f.holds[h.Hash.String()].row != "" {
		t.Error("the invoice can still be paid to the node")
	}
}

func TestCancel(t *testing.T) {
	for _, kind := range bothPlugins {
		t.Run(kind.String(), func(t *testing.T) {
			e, f := testEscrow(t, kind)
			unknown, open, paid := testHold(1), testHold(2), testHold(3)
			create(t, e, open)
			create(t, e, paid)
			f.pays(paid, 1215, paid.Amount)
			for _, h := range []orders.Hold{unknown, open, paid, open} {
				if err := e.Cancel(t.Context(), h.Hash); err != nil {
					t.Errorf("%x: %v", h.Order[0], err)
				}
			}
			if n := f.count("holdinvoicecancel"); n != 2 {
				t.Errorf("cancel was asked %d times, want 2", n)
			}
			if f.holds[open.Hash.String()].row != "" {
				t.Error("the invoice can still be paid to the node")
			}
		})
	}
}

func TestCancelOfASettledHoldIsFinal(t *testing.T) {
	for _, kind := range bothPlugins {
		e, f := testEscrow(t, kind)
		h := testHold(1)
		create(t, e, h)
		f.set(func() { f.holds[h.Hash.String()].state = stateSettled })
		if err := e.Cancel(t.Context(), h.Hash); !errors.Is(err, orders.ErrHoldSettled) {
			t.Errorf("%v: got %v", kind, err)
		}
	}
}

func TestCancelWaitsUntilTheRustPluginHasLetGo(t *testing.T) {
	e, f := testEscrow(t, HoldRust)
	e.wait = 20 * time.Millisecond
	h := testHold(1)
	create(t, e, h)
	f.pays(h, 1215, h.Amount)
	f.set(func() { f.holds[h.Hash.String()].state = stateCanceled }) // said, not yet done
	if err := e.Cancel(t.Context(), h.Hash); err == nil {
		t.Error("canceled while a part is held")
	}
	f.set(func() { f.drop(h.Hash.String()) })
	if err := e.Cancel(t.Context(), h.Hash); err != nil {
		t.Error(err)
	}
}

func TestReadyFollowsThePluginAndTheChain(t *testing.T) {
	e, f := testEscrow(t, HoldNone)
	if e.Ready() == nil {
		t.Error("ready before the node was asked")
	}
	steps := []struct {
		change func()
		want   string // part of the error; empty: ready
	}{
		{func() {}, "no holdinvoice plugin"},
		{func() { f.plugin = HoldOurs }, ""},
		{func() { f.sync = "Still loading latest blocks" }, "Still loading"},
		{func() { f.sync = "" }, ""},
	}
	for i, s := range steps {
		f.set(s.change)
		e.Check(t.Context())
		err := e.Ready()
		if (err == nil) != (s.want == "") || err != nil && !strings.Contains(err.Error(), s.want) {
			t.Errorf("step %d: got %v, want %q", i, err, s.want)
		}
	}
}

// book is the exchange's side of Watch: it believes what it was told.
type book struct {
	mu   sync.Mutex
	live []orders.Hold
	acts chan orders.Act
}

func newBook(live ...orders.Hold) *book { return &book{live: live, acts: make(chan orders.Act, 100)} }

func (b *book) LiveHolds() ([]orders.Hold, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]orders.Hold(nil), b.live...), nil
}

func (b *book) Report(_ context.Context, act orders.Act) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acts <- act
	for i := range b.live {
		switch a := act.(type) {
		case orders.HoldIsAccepted:
			if b.live[i].Hash == a.Hash {
				b.live[i].State, b.live[i].Held, b.live[i].MinExpiry = orders.HoldAccepted, a.Held, a.MinExpiry
			}
		case orders.HoldIsCanceled:
			if b.live[i].Hash == a.Hash {
				b.live[i].State = orders.HoldCanceled
			}
		}
	}
	return nil
}

func (b *book) next(t *testing.T) orders.Act {
	t.Helper()
	select {
	case a := <-b.acts:
		return a
	case <-time.After(simtest.Deadline):
		t.Fatal("nothing is reported")
	}
	return nil
}

// look does one round of Watch.
func look(t *testing.T, e *Escrow, b *book) {
	t.Helper()
	kind, height, err := e.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e.pass(t.Context(), b, kind, height)
}

func TestWatchReportsWhatChanged(t *testing.T) {
	for _, kind := range bothPlugins {
		t.Run(kind.String(), func(t *testing.T) {
			e, f := testEscrow(t, kind)
			h := testHold(1)
			create(t, e, h)
			b := newBook(h)
			look(t, e, b)
			if len(b.acts) != 0 {
				t.Fatalf("open: got %#v", <-b.acts)
			}
			f.pays(h, 1220, 10_000_000, 60_000)
			look(t, e, b)
			if got, want := b.next(t), (orders.HoldIsAccepted{Hash: h.Hash, Held: h.Amount, MinExpiry: 1220}); got != want {
				t.Errorf("got %#v, want %#v", got, want)
			}
			look(t, e, b)
			if len(b.acts) != 0 {
				t.Errorf("told twice: %#v", <-b.acts)
			}
			f.set(func() { f.height = 1220 - warnAt - 1 })
			look(t, e, b)
			if len(b.acts) != 0 {
				t.Errorf("too early: %#v", <-b.acts)
			}
			for _, left := range []uint32{warnAt, warnAt - 1} { // once at each block
				f.set(func() { f.height = 1220 - left })
				look(t, e, b)
				look(t, e, b)
				if got, want := b.next(t), (orders.EscrowNearing{Hash: h.Hash, Height: 1220 - left, Left: left}); got != want || len(b.acts) != 0 {
					t.Errorf("got %#v and %d more, want %#v", got, len(b.acts), want)
				}
			}
			f.set(func() { f.height = 1220 - forceAt })
			look(t, e, b)
			if got, want := b.next(t), (orders.EscrowEnding{Hash: h.Hash, Height: 1190}); got != want {
				t.Errorf("got %#v, want %#v", got, want)
			}
			f.set(func() { f.holds[h.Hash.String()].state = stateCanceled; f.drop(h.Hash.String()) })
			look(t, e, b)
			if _, ok := b.next(t).(orders.HoldIsCanceled); !ok {
				t.Error("cancel is not told")
			}
		})
	}
}

func TestWatchTellsALossFromACancel(t *testing.T) {
	e, f := testEscrow(t, HoldOurs)
	lost, forgotten := testHold(1), testHold(2)
	create(t, e, lost)
	f.set(func() { x := f.holds[lost.Hash.String()]; x.state, x.reason = stateLost, "plugin_died" })
	lost.State = orders.HoldAccepted
	b := newBook(lost, forgotten)
	look(t, e, b)
	whys := map[orders.Hash]string{}
	for range 2 {
		a := b.next(t).(orders.HoldIsCanceled)
		whys[a.Hash] = a.Why
	}
	if !strings.Contains(whys[lost.Hash], "plugin_died") || !strings.Contains(whys[forgotten.Hash], "does not know") {
		t.Errorf("got %q", whys)
	}
}

// After a start of the node the parts come back one by one: an accepted escrow may look open for a minute.
func TestAcceptedThatLooksOpenIsGivenAMinute(t *testing.T) {
	e, f := testEscrow(t, HoldOurs)
	clock := time.Unix(1_700_000_000, 0)
	e.now = func() time.Time { return clock }
	h := testHold(1)
	create(t, e, h)
	h.State, h.MinExpiry = orders.HoldAccepted, 1215
	b := newBook(h)
	look(t, e, b)
	clock = clock.Add(replayTime - time.Second)
	look(t, e, b)
	f.pays(h, 1215, h.Amount)
	look(t, e, b)
	if len(b.acts) != 0 {
		t.Fatalf("came back in time: got %#v", <-b.acts)
	}
	f.set(func() { f.holds[h.Hash.String()].state = stateOpen; f.drop(h.Hash.String()) })
	look(t, e, b)
	clock = clock.Add(replayTime)
	look(t, e, b)
	if _, ok := b.next(t).(orders.HoldIsCanceled); !ok || f.holds[h.Hash.String()].state != stateCanceled {
		t.Errorf("did not come back: the invoice is %s", f.holds[h.Hash.String()].state)
	}
}

func TestRustAcceptedIsLookedBehind(t *testing.T) {
	e, f := testEscrow(t, HoldRust)
	short, early := testHold(1), testHold(2)
	create(t, e, short)
	create(t, e, early)
	f.pays(short, 1215, short.Amount-1)
	f.pays(early, 1100, early.Amount)
	b := newBook(short, early)
	look(t, e, b)
	if a, ok := b.next(t).(orders.HoldIsCanceled); !ok || a.Hash != early.Hash || !strings.Contains(a.Why, "too early") {
		t.Errorf("got %#v", a)
	}
	if len(b.acts) != 0 {
		t.Errorf("too little is held, and it is told: %#v", <-b.acts)
	}
	// A channel that closes shows its HTLCs for ever; they are lost.
	f.pays(short, 1215, 1)
	f.set(func() { f.chanOpen = false })
	look(t, e, b)
	if len(b.acts) != 0 {
		t.Errorf("parts on a closing channel count: %#v", <-b.acts)
	}
}

func TestPokeMakesWatchLookAtOnce(t *testing.T) {
	e, f := testEscrow(t, HoldOurs) // polls every 30 s
	h := testHold(1)
	create(t, e, h)
	b := newBook(h)
	stop, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Watch(stop, b) }()
	for f.count("holdinvoicelookup") == 0 {
		time.Sleep(time.Millisecond)
	}
	f.pays(h, 1215, h.Amount)
	e.Poke(h.Hash)
	if _, ok := b.next(t).(orders.HoldIsAccepted); !ok {
		t.Error("accepted is not told")
	}
	f.set(func() { f.holds[h.Hash.String()].state = stateLost })
	e.Poke(orders.Hash{})
	if _, ok := b.next(t).(orders.HoldIsCanceled); !ok {
		t.Error("loss is not told")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestSecretsOfAHoldStayOutOfErrors(t *testing.T) {
	e, f := testEscrow(t, HoldRust)
	h := testHold(1)
	create(t, e, h)
	err := e.Settle(t.Context(), h)
	if err == nil || strings.Contains(err.Error(), hex.EncodeToString(h.Preimage[:])) {
		t.Errorf("got %v", err)
	}
	f.set(func() { f.cut = "holdinvoicelookup" })
	if err = e.Settle(t.Context(), h); err == nil || strings.Contains(err.Error(), h.Preimage.Reveal()) {
		t.Errorf("got %v", err)
	}
}

// What the plugins say is compared with what is held, and with the blocks that are left.
func TestAcceptedIsBelievedWhenItIsHeldLongEnough(t *testing.T) {
	e, f := testEscrow(t, HoldOurs)
	returning, late := testHold(1), testHold(2)
	create(t, e, returning)
	create(t, e, late)
	f.pays(returning, 1220, returning.Amount-1) // a part has not been replayed yet
	f.set(func() { f.holds[returning.Hash.String()].state = stateAccepted })
	f.pays(late, 1000+forceAt, late.Amount)
	b := newBook(returning, late)
	look(t, e, b)
	if a, ok := b.next(t).(orders.HoldIsCanceled); !ok || a.Hash != late.Hash {
		t.Errorf("got %#v", a)
	}
	if len(b.acts) != 0 {
		t.Errorf("too little is held, and it is told: %#v", <-b.acts)
	}
	f.pays(returning, 1220, 1)
	look(t, e, b)
	if a, ok := b.next(t).(orders.HoldIsAccepted); !ok || a.Held != returning.Amount {
		t.Errorf("got %#v", a)
	}
}

func TestSettledIsToldOnProofAlone(t *testing.T) {
	e, f := testEscrow(t, HoldRust)
	h := testHold(1)
	create(t, e, h)
	f.pays(h, 1220, h.Amount)
	f.set(func() { f.holds[h.Hash.String()].state = stateSettled }) // said, and the node's invoice is unpaid
	h.State = orders.HoldAccepted
	b := newBook(h)
	look(t, e, b)
	if len(b.acts) != 0 {
		t.Errorf("told without proof: %#v", <-b.acts)
	}
}
