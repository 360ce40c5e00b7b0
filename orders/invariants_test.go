package orders

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the reference server learned the hard way, one test for each invariant that can be stated at the exchange. Left
// out: I19, I20 (bonds), which are later work; I25 is in roster_test.go; I27, I28 and I35 (signatures, the inbox), which are
// Nostr's; I33 (fetches from strangers' hosts), which is the plugin's.

func TestI01_APaymentIsMarkedOnDiskBeforeTheNodeIsAsked(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(FiatSent)
	seen := 0
	w.node.onSend = func(p Pay) {
		seen++
		for _, r := range w.rows() {
			if onDisk, ok := r.Effect.(*Pay); ok && (onDisk.Began == 0 || onDisk.Session != w.node.session || onDisk.Hash != p.Hash) {
				t.Errorf("on disk is %+v", onDisk)
			}
		}
		if !w.order(tr.id).Payout.InFlight {
			t.Error("the order does not know of its payment")
		}
	}
	tr.release()
	if seen != 1 {
		t.Errorf("%d payments", seen)
	}
}

func TestI02_AnUnknownOutcomeKeepsTheMark(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell)
	tr.script = []error{errLost}
	tr.to(SettledHoldInvoice)
	w.node.paid[w.order(tr.id).Payout.Hash].state = PayUnknown
	w.pass(7 * 86_400)
	if p := w.order(tr.id).Payout; !p.InFlight || p.Attempts != 0 || w.node.sends != 1 {
		t.Errorf("after a week: %+v, %d sends", p, w.node.sends)
	}
	w.node.paid[w.order(tr.id).Payout.Hash].state = PayDone
	w.pump()
	w.want(tr.id, Success)
}

func TestI03_TheInvoiceStaysWhileAPaymentMayArrive(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell)
	tr.script = []error{errLost}
	tr.to(SettledHoldInvoice)
	before := w.order(tr.id).Payout
	if out := tr.buyer.does(tr.id, AddInvoice{tr.invoice()}); out.Reason != NotAllowedByStatus {
		t.Errorf("got %q", out.Reason)
	}
	if w.order(tr.id).Payout != before {
		t.Error("the payout has changed")
	}
}

func TestI04_TheEndIsToldOnceAndAfterTheEnd(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell)
	tr.script = nil
	tr.to(FiatSent)
	w.heeds = func(l Letter) {
		if l.Action == SayPurchaseCompleted && w.order(tr.id).Status != Success {
			t.Error("told before it was so")
		}
	}
	tr.release()
	hash := w.order(tr.id).Payout.Hash
	for n := range byte(3) {
		w.do(Input{ID: NodeID(OnPayoutPaid, []byte{n}), At: w.now, Seed: w.seed(), Order: tr.id, Act: PayoutPaid{Hash: hash}})
	}
	w.pump()
	told := 0
	for _, a := range w.heard(tr.buyer) {
		if a == SayPurchaseCompleted {
			told++
		}
	}
	if told != 1 || w.booked(tr.id, Paid) != 10_000_000 {
		t.Errorf("told %d times, %d msat paid", told, w.booked(tr.id, Paid))
	}
}

func TestI05_WhatTheNodeKnowsOfAHashDecidesNotThatItKnowsIt(t *testing.T) {
	tests := []struct {
		name  string
		state PayState
		sends int
		want  Status
	}{
		{"paid before, by whatever", PayDone, 0, Success},
		{"failed before", PayNever, 1, Success},
		{"pending", PayUnknown, 0, SettledHoldInvoice},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tr := w.newTrade(Sell)
			tr.script = nil
			tr.to(FiatSent)
			w.node.paid[w.order(tr.id).Payout.Hash].state = tt.state
			tr.release()
			w.want(tr.id, tt.want)
			if w.node.sends != tt.sends {
				t.Errorf("%d sends, want %d", w.node.sends, tt.sends)
			}
		})
	}
}

func TestI06_APayoutThatWaitedIsStillOneWhenItsTurnComes(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell)
	tr.script = nil
	tr.to(Settling)
	w.node.down = false
	for _, r := range w.rows() {
		if _, ok := r.Effect.(*SettleHold); ok {
			w.carry(r)
		}
	}
	w.node.down = true
	for range 10 { // the timer finds nothing to repeat
		w.pass(3600)
	}
	pays := 0
	for _, r := range w.rows() {
		if _, ok := r.Effect.(*Pay); ok {
			pays++
		}
	}
	if pays != 1 {
		t.Errorf("%d payments are owed", pays)
	}
	w.node.down = false
	w.pump()
	w.want(tr.id, Success)
}

func TestI07_NothingStandsBetweenASettleAndThePayout(t *testing.T) {
	w := newWorld(t)
	w.quote = euro
	tr := w.newTrade(Sell)
	tr.script = nil
	tr.openWith(NewOrder{Terms: rangeTerms(Sell, 10, 50)})
	tr.takeRange(20)
	tr.toward(FiatSent)
	w.deaf = true
	var maker *User
	must(t, w.store.update(func(x *tx) error { // the maker is forgotten
		maker, _ = x.user(tr.maker.identity)
		x.drop(usersBucket, tr.maker.identity[:])
		return nil
	}))
	tr.seller.must(tr.id, Release{Next: &NextKey{Trade: tr.taker.trade, Index: 3}}) // a key that cannot be
	must(t, w.store.update(func(x *tx) error { x.putUser(maker); return nil }))
	w.want(tr.id, Success)
	if rest := restOf(t, w, tr.id); rest != nil {
		t.Errorf("a rest under the taker's key: %+v", rest)
	}
}

func TestI08_APaymentThatHangsHoldsNobodyUp(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell)
	tr.script = nil
	tr.to(Settling)
	w.node.down = false
	hangs, goes := make(chan Pay), make(chan struct{})
	w.node.onSend = func(p Pay) { hangs <- p; <-goes }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.e.Dispatch(ctx, w.portsOf(&flaky{})) }()
	<-hangs
	p := w.trader("p")
	if out := w.do(p.message(OrderID{}, NewOrder{Terms: sellTerms(10_000)})); out.Reason != "" {
		t.Errorf("a new order: %q", out.Reason)
	}
	close(goes)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// portsOf is the world with another courier, at a time that stands still.
func (w *world) portsOf(c Courier) Ports {
	p, now := w.ports(), time.Unix(w.now, 0)
	p.Courier, p.Now = c, func() time.Time { return now }
	return p
}

func TestI09_AnAddressIsNotAskedAgainWhileItsInvoiceMayBePaid(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).open()
	tr.taker.must(tr.id, TakeSell{Invoice: &Invoice{Destination: "alice@example.com"}})
	tr.toward(FiatSent)
	w.node.gives = []any{w.invoice(10_000, errLost), w.invoice(10_000)}
	tr.release()
	w.node.paid[w.order(tr.id).Payout.Hash].state = PayUnknown
	w.pass(3 * 86_400)
	if w.node.asked != 1 || w.node.sends != 1 {
		t.Errorf("asked %d times, paid %d times", w.node.asked, w.node.sends)
	}
	w.node.paid[w.order(tr.id).Payout.Hash].state = PayDone
	w.pump()
	w.want(tr.id, Success)
}

func TestI10_EveryInvoiceIsJudgedWhicheverWayItCame(t *testing.T) {
	bad := map[string]func(*world, *Invoice){
		"of another network":      func(_ *world, i *Invoice) { i.Problem = "wrong network" },
		"that expires too soon":   func(w *world, i *Invoice) { i.Expires = w.now + w.rules.InvoiceWindow - 1 },
		"with too many blocks":    func(w *world, i *Invoice) { i.CLTV = w.rules.MaxFinalCLTV + 1 },
		"over one msat too many":  func(_ *world, i *Invoice) { i.Amount++ },
		"over one msat too few":   func(_ *world, i *Invoice) { i.Amount-- },
		"that says nothing":       func(_ *world, i *Invoice) { i.Bolt11 = "" },
		"that is a hold of ours":  func(w *world, i *Invoice) { i.Hash = w.order(w.newTrade(Sell).to(WaitingPayment).id).Hold },
		"of somebody else's deal": func(w *world, i *Invoice) { i.Hash = w.order(w.newTrade(Sell).to(Active).id).Payout.Hash },
	}
	for name, spoil := range bad {
		t.Run("an invoice "+name, func(t *testing.T) {
			w := newWorld(t)
			tr := w.newTrade(Sell).open()
			inv := w.invoice(10_000)
			spoil(w, inv)
			if out := tr.taker.does(tr.id, TakeSell{Invoice: inv}); out.Reason != InvalidInvoice {
				t.Errorf("with the take: %q", out.Reason)
			}
			if out := w.trader("maker").does(OrderID{}, NewOrder{Terms: buyTerms(10_000), Invoice: inv}); out.Reason != InvalidInvoice {
				t.Errorf("with the order: %q", out.Reason)
			}
			tr.take()
			if out := tr.taker.does(tr.id, AddInvoice{inv}); out.Reason != InvalidInvoice {
				t.Errorf("after the take: %q", out.Reason)
			}
		})
	}
	t.Run("a hold of ours from an address", func(t *testing.T) {
		w := newWorld(t)
		tr := w.newTrade(Sell).open()
		tr.taker.must(tr.id, TakeSell{Invoice: &Invoice{Destination: "eve@example.com"}})
		tr.toward(FiatSent)
		inv := w.invoice(10_000)
		inv.Hash = w.order(tr.id).Hold
		w.node.gives = []any{inv}
		tr.release()
		if p := w.order(tr.id).Payout; p.Invoice != "" || p.Attempts != 1 || w.node.sends != 0 {
			t.Errorf("payout %+v, %d sends", p, w.node.sends)
		}
	})
}

func TestI11_TwoInputsAtOnceKeepEachOthersWork(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		tr := w.newTrade(Sell).to(Success)
		var both sync.WaitGroup
		for _, in := range []Input{tr.buyer.message(tr.id, RateUser{5}), tr.seller.message(tr.id, RateUser{4})} {
			both.Go(func() {
				if out, err := w.e.Do(t.Context(), in); err != nil || out.Reason != "" {
					t.Error(out, err)
				}
			})
		}
		both.Wait()
		if o := w.order(tr.id); !o.Maker.Rated || !o.Taker.Rated {
			t.Fatalf("a vote was overwritten: %+v", o)
		}
	}
	w.pump()
}

func TestI13_AWaitingStatusAlwaysHasItsEnd(t *testing.T) {
	for _, kind := range []Kind{Sell, Buy} {
		for _, s := range []Status{Pending, WaitingBuyerInvoice, WaitingPayment} {
			w := newWorld(t)
			o := w.order(w.newTrade(kind).to(s).id)
			want := o.TakenAt + w.rules.WaitingSeconds
			if s == Pending {
				want = o.ExpiresAt
			}
			if o.Deadline != want || o.Deadline <= w.now {
				t.Errorf("%s %s ends at %d, want %d", kind, s, o.Deadline, want)
			}
		}
	}
}

func TestI14_EachDutyHasItsFullTime(t *testing.T) {
	t.Run("the invoice, then the payment", func(t *testing.T) {
		w := newWorld(t)
		tr := w.newTrade(Sell).to(WaitingBuyerInvoice)
		w.pass(899)
		tr.addInvoice()
		w.pass(899)
		w.want(tr.id, WaitingPayment)
		w.pass(1)
		w.want(tr.id, Canceled)
	})
	t.Run("the payment, then the invoice", func(t *testing.T) {
		w := newWorld(t)
		tr := w.newTrade(Buy).to(WaitingPayment)
		w.pass(899)
		tr.lock()
		w.pass(899)
		w.want(tr.id, WaitingBuyerInvoice)
		w.pass(1)
		w.want(tr.id, Canceled)
	})
	t.Run("the payment of an invoice that the node could not make at once", func(t *testing.T) {
		w := newWorld(t)
		tr := w.newTrade(Sell).to(WaitingBuyerInvoice)
		w.node.down = true
		tr.addInvoice()
		w.pass(800)
		w.node.down = false
		w.pump()
		w.last(tr.seller, SayPayInvoice)
		w.pass(899)
		w.want(tr.id, WaitingPayment)
		tr.lock()
		w.want(tr.id, Active)
	})
}

func TestI15_AnAcceptedHoldIsTakenOnceAndOnlyWhereItIsAwaited(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(Active)
	before := asJSON(t, w.order(tr.id))
	hash := w.order(tr.id).Hold
	for n := range byte(3) {
		w.do(Input{ID: NodeID(OnHoldAccepted, []byte{n}), At: w.now + 5, Seed: w.seed(), Act: HoldIsAccepted{hash, 10_060_000, 1000}})
	}
	if after := asJSON(t, w.order(tr.id)); after != before || w.booked(tr.id, Locked) != 10_060_000 {
		t.Errorf("locked %d msat; order\n%s\n%s", w.booked(tr.id, Locked), before, after)
	}
}

func TestI16_AfterARestartEveryHoldIsWatchedAgain(t *testing.T) {
	for _, s := range []Status{WaitingPayment, Active, FiatSent, Settling} {
		w := newWorld(t)
		tr := w.newTrade(Sell).to(s)
		w.restart()
		live, err := w.e.LiveHolds()
		if err != nil || len(live) != 1 || live[0].Order != tr.id || !live[0].Preimage.Matches(live[0].Hash) {
			t.Errorf("%s: %v %v", s, live, err)
		}
	}
}

func TestI17_RefundedIsWrittenWhenTheNodeHasSaidSo(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(Active)
	w.node.down = true
	tr.maker.must(tr.id, Cancel{})
	tr.taker.must(tr.id, Cancel{})
	w.want(tr.id, CoopCanceled)
	if got := w.booked(tr.id, Refunded); got != 0 {
		t.Errorf("%d msat refunded while the node is down", got)
	}
	if n, _ := w.e.Count(); n.Holds != 1 {
		t.Errorf("%d holds are watched", n.Holds)
	}
	w.node.down = false
	w.pump()
	if got := w.booked(tr.id, Refunded); got != 10_060_000 {
		t.Errorf("%d msat refunded", got)
	}
}

func TestI18_AnEscrowNeverGoesUnseen(t *testing.T) {
	for _, s := range []Status{WaitingBuyerInvoice, Active, FiatSent} {
		w := newWorld(t)
		tr := w.newTrade(Buy).to(s)
		hash := w.order(tr.id).Hold
		w.said = nil
		w.do(tr.ending())
		w.pump()
		if st := w.node.holds[hash].state; st != HoldCanceled {
			t.Errorf("%s: the hold is %s", s, st)
		}
		w.last(tr.maker, SayCanceled)
		w.last(tr.taker, SayCanceled)
	}
}

func TestI21_AVoteAndItsSumAreOneThing(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(Success)
	out := map[Reason]int{}
	for range 3 {
		out[tr.buyer.does(tr.id, RateUser{4}).Reason]++
	}
	must(t, w.e.read(func(x *tx) {
		if u, ok := x.user(tr.seller.identity); !ok || u.Reviews != 1 || u.Sum != 4 || !reflect.DeepEqual(out, map[Reason]int{"": 1, InvalidOrderStatus: 2}) {
			t.Errorf("votes %v, user %+v", out, u)
		}
	}))
	if o := w.order(tr.id); o.Maker.Rated {
		t.Error("the other party's vote was used up")
	}
}

func TestI22_AnOrderIsStoredBeforeAnybodyHearsOfIt(t *testing.T) {
	w := newWorld(t)
	w.quote = euro
	heard := 0
	w.heeds = func(l Letter) {
		heard++
		if _, ok, err := w.e.Order(l.Order); !ok || err != nil {
			t.Errorf("%s about an order that is not there: %v", l.Action, err)
		}
	}
	tr := w.newTrade(Sell).openWith(NewOrder{Terms: rangeTerms(Sell, 10, 50)})
	tr.takeRange(20)
	tr.toward(FiatSent)
	tr.seller.must(tr.id, Release{Next: &NextKey{Trade: w.freshKey(), Index: 7}})
	if restOf(t, w, tr.id) == nil || heard < 10 {
		t.Errorf("%d letters", heard)
	}
}

func TestI23_ACooperativeCancelTakesBothParties(t *testing.T) {
	for _, s := range []Status{Active, FiatSent} {
		w := newWorld(t)
		tr := w.newTrade(Sell).to(s)
		if out := w.trader("stranger").does(tr.id, Cancel{}); out.Reason != InvalidPubkey {
			t.Errorf("a stranger: %q", out.Reason)
		}
		tr.taker.must(tr.id, Cancel{})
		if out := tr.taker.does(tr.id, Cancel{}); out.Reason != InvalidPubkey {
			t.Errorf("the same party again: %q", out.Reason)
		}
		w.want(tr.id, s)
		tr.maker.must(tr.id, Cancel{})
		w.want(tr.id, CoopCanceled)
	}
}

func TestI24_AnOrderMovesToANewKeyWhole(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).open()
	old := *tr.maker
	tr.maker.trade = w.freshKey()
	tr.maker.must(tr.id, TradeKey{})
	if out := old.does(tr.id, Cancel{}); out.Reason != IsNotYourOrder {
		t.Errorf("the old key cancels: %q", out.Reason)
	}
	tr.maker.must(tr.id, Cancel{})
	w.want(tr.id, Canceled)
}

func TestI26_NobodyLearnsWhatIsNotForHim(t *testing.T) {
	for _, kind := range []Kind{Sell, Buy} {
		w := newWorld(t)
		tr := w.newTrade(kind)
		var invoices []string
		secret := func(l Letter) {
			text := asText(t, l)
			for _, p := range []*trader{tr.maker, tr.taker} {
				if strings.Contains(text, p.identity.String()) {
					t.Errorf("%s tells an identity", l.Action)
				}
			}
			for _, i := range invoices {
				if l.To == tr.seller.trade && strings.Contains(text, i) {
					t.Errorf("%s tells the seller the buyer's invoice", l.Action)
				}
			}
			if l.Action == SayOrders && strings.Contains(text, "lnpayout") {
				t.Errorf("orders: %s", text)
			}
		}
		w.heeds = secret
		way := []Status{WaitingBuyerInvoice, WaitingPayment, Active, FiatSent, SettledHoldInvoice, Success}
		if kind == Buy {
			way[0], way[1] = way[1], way[0]
		}
		for _, s := range way {
			tr.to(s)
			o := w.order(tr.id)
			if o.Payout.Invoice != "" {
				invoices = append(invoices, o.Payout.Invoice)
			}
			for _, p := range []*trader{tr.maker, tr.taker} {
				p.must(OrderID{}, AskOrders{IDs: []OrderID{tr.id}})
			}
		}
		for _, a := range w.book {
			if text := asText(t, a); strings.Contains(text, tr.maker.identity.String()) || strings.Contains(text, tr.maker.trade.String()) {
				t.Errorf("the book tells a key: %s", text)
			}
		}
	}
}

func asText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestI29_OrderEventsRiseWhateverTheClockDoes(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(Pending)
	last := w.order(tr.id).Published
	for _, by := range []int64{0, -5000, 0, 1, -1} {
		w.now += by
		tr.taker.index++
		tr.taker.must(tr.id, TakeSell{})
		tr.taker.must(tr.id, Cancel{})
		if now := w.order(tr.id).Published; now != last+2 {
			t.Errorf("published at %d, before at %d", now, last)
		} else {
			last = now
		}
	}
}

func TestI30_TheBookIsWhatTheStoreSays(t *testing.T) {
	w := newWorld(t)
	w.deaf = true
	var ids []OrderID
	for _, s := range []Status{Pending, Active, Canceled, Success} {
		ids = append(ids, w.newTrade(Sell).to(s).id)
	}
	w.deaf = false
	w.pump()
	for _, id := range ids {
		want, ok, err := w.e.Announced(id)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		var got Announcement
		for _, a := range w.book {
			if a.Order == id {
				got = a
			}
		}
		if asText(t, got) != asText(t, want) {
			t.Errorf("relays have\n%+v, want\n%+v", got, want)
		}
		if o := w.order(id); o.Status == Pending && got.Expiration != o.ExpiresAt {
			t.Errorf("a pending order's event expires at %d, the order at %d", got.Expiration, o.ExpiresAt)
		}
	}
}

func TestI31_TheBookClosesToTheSecond(t *testing.T) {
	for _, kind := range []Kind{Sell, Buy} {
		w := newWorld(t)
		tr := w.newTrade(kind).open()
		w.now = w.order(tr.id).ExpiresAt
		if out := tr.taker.does(tr.id, tr.takeAct()); out.Reason != InvalidOrderStatus {
			t.Errorf("in the second of its end: %q", out.Reason)
		}
		w.now--
		tr.take()
	}
}

func TestI32_ADamagedRecordFailsOneThing(t *testing.T) {
	w := newWorld(t)
	broken, good := w.newTrade(Sell).open(), w.newTrade(Sell).open()
	var whole []byte
	write := func(bytes []byte) {
		must(t, w.store.update(func(x *tx) error { x.set(ordersBucket, broken.id[:], bytes); return nil }))
	}
	must(t, w.e.read(func(x *tx) { whole = bytes.Clone(x.b.Bucket(ordersBucket).Get(broken.id[:])) }))
	write(whole[:len(whole)/2])
	if _, err := w.e.Do(t.Context(), broken.taker.message(broken.id, TakeSell{})); err == nil {
		t.Error("a take of an order that cannot be read")
	}
	good.take()
	w.want(good.id, WaitingBuyerInvoice)
	if w.store.Check() == nil {
		t.Error("nobody notices")
	}
	w.now += 901
	if err := w.e.Tick(t.Context(), w.now, w.seed); err != nil {
		t.Errorf("the timer: %v", err)
	}
	w.want(good.id, Pending)
	write(whole)
}

func TestI34_NoOrderIsPricedWithoutAFreshPrice(t *testing.T) {
	w := newWorld(t)
	w.quote = euro
	tr := w.newTrade(Sell).openWith(NewOrder{Terms: marketTerms(Sell, 10, 0)})
	w.quote = nil
	if out := tr.taker.does(tr.id, TakeSell{}); out.Reason != PriceTooStale {
		t.Errorf("got %q", out.Reason)
	}
	if o := w.order(tr.id); o.Amount != 0 || o.Taker.Here() {
		t.Errorf("order is %+v", o)
	}
}
