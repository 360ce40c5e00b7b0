package orders

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// flaky is a courier that fails a number of times before it takes a letter.
type flaky struct {
	mu    sync.Mutex
	fails int
	got   []Letter
}

func (f *flaky) Deliver(_ context.Context, l Letter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails > 0 {
		f.fails--
		return errors.New("no relay")
	}
	if !slices.ContainsFunc(f.got, func(old Letter) bool { return old.Seed == l.Seed }) { // relays drop what they have
		f.got = append(f.got, l)
	}
	return nil
}

func (f *flaky) Rate(context.Context, RatingNote) error { return nil }

func (f *flaky) Announce(context.Context, Announcement) error { return nil }

func (f *flaky) Dispute(context.Context, DisputeNote) error { return nil }

func TestDispatchCarriesATradeThroughOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		mail := &flaky{fails: 7}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		p := w.ports()
		p.Now, p.Courier = time.Now, mail
		dispatch := func() {
			go func() { ended <- w.e.Dispatch(ctx, p) }()
		}
		dispatch()
		w.now = time.Now().Unix()
		seller, buyer := w.trader("seller"), w.trader("buyer")
		send := func(by *trader, id OrderID, a Act) OrderID {
			w.now = time.Now().Unix()
			out := w.do(by.message(id, a))
			if out.Reason != "" {
				t.Fatalf("%s: %s", a.On(), out.Reason)
			}
			return out.Order
		}
		until := func(id OrderID, s Status) {
			t.Helper()
			for range 600 {
				if w.order(id).Status == s {
					return
				}
				time.Sleep(time.Second) // the bubble's clock
			}
			t.Fatalf("order stays %s, want %s", w.order(id).Status, s)
		}
		id := send(seller, OrderID{}, NewOrder{Terms: sellTerms(10_000)})
		w.node.mu.Lock()
		w.node.down = true
		w.node.mu.Unlock()
		inv := w.invoice(10_000, errLost)
		send(buyer, id, TakeSell{Invoice: inv})
		time.Sleep(20 * time.Second)
		w.node.mu.Lock()
		w.node.down = false
		w.node.mu.Unlock()
		hash := w.order(id).Hold
		for range 100 {
			if h, _, _ := w.e.Hold(hash); h.State == HoldOpen {
				break
			}
			time.Sleep(time.Second)
		}
		w.node.mu.Lock()
		w.node.holds[hash].state = HoldAccepted
		w.node.mu.Unlock()
		w.do(Input{ID: NodeID(OnHoldAccepted, hash[:]), At: w.now, Seed: w.seed(), Act: HoldIsAccepted{hash, 10_060_000, 1000}})
		send(buyer, id, SendFiat{})
		stop() // the process ends and another one goes on
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		w.restart()
		ctx, stop = context.WithCancel(t.Context())
		p.Payer, p.Escrow = w.node, w.node
		dispatch()
		send(seller, id, Release{})
		until(id, SettledHoldInvoice)
		for range 300 { // the lost call is waited for, then counted as failed, then tried again
			time.Sleep(time.Second)
			if err := w.e.Tick(t.Context(), time.Now().Unix(), w.seed); err != nil {
				t.Fatal(err)
			}
		}
		until(id, Success)
		stop()
		<-ended
		checkLetters(t, mail, seller, buyer)
	})
}

// checkLetters: nothing was lost, and what one trader heard came in order.
func checkLetters(t *testing.T, f *flaky, seller, buyer *trader) {
	t.Helper()
	heard := map[PubKey][]Action{}
	seen := map[Seed]bool{}
	for _, l := range f.got {
		if seen[l.Seed] { // delivered, and the process ended before it was crossed off: the same event once more
			continue
		}
		seen[l.Seed] = true
		heard[l.To] = append(heard[l.To], l.Action)
	}
	want := map[*trader][]Action{
		seller: {SayNewOrder, SayPayInvoice, SayPayInvoice, SayBuyerTookOrder, SayFiatSentOk, SayHoldSettled, SayRate},
		buyer:  {SayWaitingSellerToPay, SayHoldAccepted, SayFiatSentOk, SayReleased, SayPaymentFailed, SayPurchaseCompleted, SayRate},
	}
	for p, actions := range want {
		got := heard[p.trade]
		if len(got) != len(actions) {
			t.Errorf("%s heard %v, want %v", p.name, got, actions)
			continue
		}
		for i := range got {
			if got[i] != actions[i] {
				t.Errorf("%s heard %v, want %v", p.name, got, actions)
				break
			}
		}
	}
}
