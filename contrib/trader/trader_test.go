package trader

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

func TestASaleRunsFromOfferToRating(t *testing.T) {
	for _, way := range []orders.Way{orders.GiftWrap, orders.Direct} {
		for _, private := range []bool{false, true} {
			t.Run(fmt.Sprintf("protocol %d, full privacy %t", way, private), func(t *testing.T) { wholeSale(t, way, private) })
		}
	}
}

func wholeSale(t *testing.T, way orders.Way, private bool) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	m.speak(way)
	seller := open1(t, m, func(c *Config) { c.FullPrivacy = private }, srv.URL)
	buyer := open1(t, m, func(c *Config) { c.Mnemonic, c.FullPrivacy = otherMnemonic, private }, srv.URL)
	ctx := within(t)

	check := func(tr *Trader, r request, first bool) {
		t.Helper()
		if r.Way != way {
			t.Errorf("%s came by transport %d, want %d", r.Message.Body.Action, r.Way, way)
		}
		if id := r.Message.Body.RequestID; id == nil || *id >= 1<<53 {
			t.Errorf("request id %v, want one below 2^53", id)
		}
		if private && r.Identity != r.Sender || !private && (r.Identity != tr.Identity() || !r.Proven) {
			t.Errorf("%s came with identity %s", r.Message.Body.Action, r.Identity)
		}
		if index := r.Message.Body.TradeIndex; (index != nil) != (first && !private) || index != nil && *index != 1 {
			t.Errorf("%s came with trade index %v", r.Message.Body.Action, index)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(tr *Trade, a nostrio.Action) Message {
		t.Helper()
		got, err := tr.Expect(ctx, a)
		must(err)
		return got
	}

	sell := newSale(t, seller, m, order1, sale)
	if sell.ID() != order1 || sell.Side() != orders.Seller || !sell.Maker() {
		t.Errorf("the seller's trade: %s %s maker %t", sell.ID(), sell.Side(), sell.Maker())
	}
	m.publishOrder(order1, time.Now().Unix(), orders.Sell, "pending")

	var buy *Trade
	must(during(t, func() (err error) {
		buy, err = buyer.Take(ctx, order1, TakeOpts{})
		return err
	}, func() {
		r := m.next(nostrio.ActTakeSell)
		check(buyer, r, true)
		m.reply(r, nostrio.ActAddInvoice, nostrio.SmallOrder{Kind: nostrio.Sell, Status: "waiting-buyer-invoice", Amount: 9970, FiatCode: "EUR", FiatAmount: 10, PaymentMethod: "SEPA"})
		m.tell(sell.PubKey(), way, order1, nostrio.ActWaitingBuyerInvoice, nil)
	}))
	if got := expect(buy, nostrio.ActAddInvoice); got.Order() == nil || got.Order().Amount != 9970 {
		t.Errorf("add-invoice carries %+v", got.Payload)
	}
	expect(sell, nostrio.ActWaitingBuyerInvoice)

	must(during(t, func() error { return buy.AddInvoice(ctx, "lnbcrt1buyer") }, func() {
		r := m.next(nostrio.ActAddInvoice)
		check(buyer, r, false)
		if p, ok := r.Message.Body.Payload.(nostrio.PaymentRequest); !ok || p.Invoice != "lnbcrt1buyer" {
			t.Errorf("add-invoice carries %+v", r.Message.Body.Payload)
		}
		m.tell(sell.PubKey(), way, order1, nostrio.ActPayInvoice, nostrio.Peer{Reputation: &nostrio.UserInfo{Rating: 4}})
		m.tell(sell.PubKey(), way, order1, nostrio.ActPayInvoice, nostrio.PaymentRequest{Invoice: "lnbcrt1hold"})
		m.reply(r, nostrio.ActWaitingSellerToPay, nil)
	}))
	if got := expect(sell, nostrio.ActPayInvoice); got.Invoice() != "lnbcrt1hold" {
		t.Errorf("pay-invoice asks for %q; a reputation notice is not to be taken for it", got.Invoice())
	}
	m.tell(sell.PubKey(), way, order1, nostrio.ActBuyerTookOrder, nil)
	m.tell(buy.PubKey(), way, order1, nostrio.ActHoldInvoicePaymentAccepted, nil)
	expect(buy, nostrio.ActHoldInvoicePaymentAccepted)

	must(during(t, func() error { return buy.FiatSent(ctx) }, func() {
		r := m.next(nostrio.ActFiatSent)
		m.reply(r, nostrio.ActFiatSentOk, nostrio.Peer{PubKey: sell.PubKey().String()})
		m.tell(sell.PubKey(), way, order1, nostrio.ActFiatSentOk, nostrio.Peer{PubKey: buy.PubKey().String()})
	}))
	expect(sell, nostrio.ActFiatSentOk)
	must(during(t, func() error { return sell.Release(ctx) }, func() {
		r := m.next(nostrio.ActRelease)
		check(seller, r, false)
		if r.Message.Body.Payload != nil {
			t.Errorf("release of a plain order carries %+v", r.Message.Body.Payload)
		}
		m.reply(r, nostrio.ActHoldInvoicePaymentSettled, nil)
		m.reply(r, nostrio.ActRate, nil)
		m.tell(buy.PubKey(), way, order1, nostrio.ActPurchaseCompleted, nil)
	}))
	expect(sell, nostrio.ActRate)
	expect(buy, nostrio.ActPurchaseCompleted)
	must(during(t, func() error { return sell.Rate(ctx, 5) }, func() {
		r := m.next(nostrio.ActRateUser)
		m.reply(r, nostrio.ActRateReceived, r.Message.Body.Payload)
	}))
}

func TestARefusalIsATypedErrorAndTheIndexStaysBurnt(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	m.speak(orders.Direct)
	tr := open1(t, m, nil, srv.URL)
	err := during(t, func() error {
		_, err := tr.NewOrder(within(t), sale)
		return err
	}, func() {
		m.reply(m.next(nostrio.ActNewOrder), nostrio.ActCantDo, nostrio.CantDo{Reason: "invalid_fiat_currency"})
	})
	var refused *CantDo
	if !errors.As(err, &refused) || refused.Asked != nostrio.ActNewOrder || !errors.Is(err, orders.InvalidFiatCurrency) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), "does not take that currency") {
		t.Errorf("the error does not explain: %v", err)
	}
	if len(tr.trades) != 0 {
		t.Errorf("the refused trade is kept: %v", tr.trades)
	}
	if trade := newSale(t, tr, m, order1, sale); trade.Index() != 2 {
		t.Errorf("the next trade has index %d, want 2", trade.Index())
	}
	err = during(t, func() error {
		_, err := tr.trades[0].Expect(within(t), nostrio.ActPayInvoice)
		return err
	}, func() {
		msg := message(order1, nostrio.ActCantDo, nostrio.CantDo{Reason: "brand_new_reason"})
		m.publish(m.event(tr.trades[0].PubKey(), orders.Direct, msg))
	})
	if !errors.As(err, &refused) || refused.Reason != "brand_new_reason" {
		t.Errorf("Expect gave %v, want the refusal with its unknown reason", err)
	}
}

func TestWordsUnknownHereLoseNoMessage(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	for _, way := range []orders.Way{orders.GiftWrap, orders.Direct} {
		tr := open1(t, m, func(c *Config) { c.Way = way }, srv.URL)
		m.speak(way)
		trade := newSale(t, tr, m, order1, sale)
		m.tell(trade.PubKey(), way, order1, "moon-landed", nil)
		m.tell(trade.PubKey(), way, order1, nostrio.ActBuyerTookOrder, nostrio.SmallOrder{Kind: nostrio.Sell, Status: "half-done", FiatCode: "EUR", PaymentMethod: "x"})
		if _, err := trade.Expect(within(t), "moon-landed"); err != nil {
			t.Error(err)
		}
		got, err := trade.Expect(within(t), nostrio.ActBuyerTookOrder)
		if err != nil || got.Payload != nil || !strings.Contains(string(got.Raw), "half-done") {
			t.Errorf("got %+v %v", got, err)
		}
	}
}

func TestDuplicatesAreDropped(t *testing.T) {
	one, two := listen(t), listen(t)
	one.SetFaults(relay.Faults{Duplicate: true})
	m := newMostro(t, one.URL, two.URL)
	m.speak(orders.Direct)
	tr := open1(t, m, nil, one.URL, two.URL, one.URL)
	trade := newSale(t, tr, m, order1, sale)
	m.tell(trade.PubKey(), orders.Direct, order1, nostrio.ActPayInvoice, nil)
	m.tell(trade.PubKey(), orders.Direct, order1, nostrio.ActCanceled, nil)
	m.tell(trade.PubKey(), orders.Direct, order1, nostrio.ActRate, nil) // by then the copies of the others have come
	for _, a := range []nostrio.Action{nostrio.ActPayInvoice, nostrio.ActCanceled, nostrio.ActRate} {
		if _, err := trade.Expect(within(t), a); err != nil {
			t.Fatal(err)
		}
	}
	var got []nostrio.Action
	for _, m := range trade.Messages() {
		got = append(got, m.Action)
	}
	slices.Sort(got)
	if want := []nostrio.Action{"canceled", "new-order", "pay-invoice", "rate"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWhatWasSentDuringAnOutageIsReadAfterIt(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	m.speak(orders.GiftWrap)
	tr := open1(t, m, nil, srv.URL)
	trade := newSale(t, tr, m, order1, sale)
	srv.Stop()
	if err := srv.Publish(m.event(trade.PubKey(), orders.GiftWrap, message(order1, nostrio.ActCanceled, nil))); err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := trade.Expect(within(t), nostrio.ActCanceled); err != nil {
		t.Error(err)
	}
	srv.CloseSubscriptions("error: tired")
	like := nostr.Event{Kind: nostrio.KindDirect, PubKey: m.key.PubKey().String(), CreatedAt: nostr.Now(), Tags: nostr.Tags{{"p", trade.PubKey().String()}}}
	if err := srv.AwaitSubscribers(within(t), like, 1); err != nil {
		t.Errorf("a closed subscription is not asked for again: %v", err)
	}
}

func TestOneOfTwoRelaysIsEnough(t *testing.T) {
	good, bad := listen(t), listen(t)
	bad.Stop()
	m := newMostro(t, good.URL)
	m.speak(orders.Direct)
	tr := open1(t, m, nil, bad.URL, good.URL)
	newSale(t, tr, m, order1, sale)
	good.SetFaults(relay.Faults{DropOK: true})
	newSale(t, tr, m, order2, sale) // no relay says OK, but the Mostro answers
}

func TestAPublishThatNoRelayTakesNamesTheReason(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	m.speak(orders.Direct)
	tr := open1(t, m, nil, srv.URL)
	srv.SetFaults(relay.Faults{Refuse: relay.RefuseAll("blocked: no kind 14 here")})
	_, err := tr.NewOrder(within(t), sale)
	if err == nil || !strings.Contains(err.Error(), "blocked: no kind 14 here") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAnInfoEventTheTransportIsNotGuessed(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	tr := open1(t, m, func(c *Config) { c.Patience = 100 * time.Millisecond }, srv.URL)
	_, err := tr.NewOrder(within(t), sale)
	if err == nil || errors.Is(err, ErrNoReply) || !strings.Contains(err.Error(), "info event") {
		t.Errorf("got %v", err)
	}
	if len(tr.trades) != 0 {
		t.Error("a trade that nobody heard of is kept")
	}
}

func TestSilenceEndsWithErrNoReply(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	m.speak(orders.Direct)
	tr := open1(t, m, nil, srv.URL)
	trade := newSale(t, tr, m, order1, sale)
	ctx, cancel := context.WithCancel(within(t))
	err := during(t, func() error { return trade.Rate(ctx, 5) }, func() {
		m.next(nostrio.ActRateUser)
		cancel()
	})
	if !errors.Is(err, ErrNoReply) {
		t.Errorf("got %v, want ErrNoReply", err)
	}
	if err := trade.Rate(within(t), 6); err == nil || errors.Is(err, ErrNoReply) {
		t.Errorf("six stars: %v", err)
	}
}

func TestWorkIsDoneWhenTheInfoEventAsksForIt(t *testing.T) {
	for _, way := range []string{"1", "2"} {
		srv := listen(t)
		m := newMostro(t, srv.URL)
		m.publishInfo(nostr.Tag{"protocol_version", way}, nostr.Tag{"pow", "3"}, nostr.Tag{"pow_first_contact", "9"})
		tr := open1(t, m, nil, srv.URL)
		var r request
		during(t, func() error {
			_, err := tr.NewOrder(within(t), sale)
			return err
		}, func() { r = m.accept(order1) })
		if got := bits.LeadingZeros16(uint16(r.EventID[0])<<8 | uint16(r.EventID[1])); got < 9 {
			t.Errorf("transport %s: %d bits of work, want 9", way, got)
		}
	}
}

func TestATraderGoesOnAfterARestart(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	m.speak(orders.Direct)
	file := filepath.Join(t.TempDir(), "state.json")
	with := func(c *Config) { c.StateFile = file }
	first := open1(t, m, with, srv.URL)
	key := newSale(t, first, m, order1, sale).PubKey()
	first.Close()
	m.tell(key, orders.Direct, order1, nostrio.ActWaitingBuyerInvoice, nil)

	again := open1(t, m, with, srv.URL)
	trade, ok := again.Trade(order1)
	if !ok || trade.PubKey() != key || trade.Side() != orders.Seller || !trade.Maker() {
		t.Fatalf("the trade is not there: %v", trade)
	}
	if err := again.Sync(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := trade.Messages(); len(got) != 2 {
		t.Errorf("%d messages, want the saved one and the one missed", len(got))
	}
	if got, err := trade.Expect(within(t)); err != nil || got.Action != nostrio.ActWaitingBuyerInvoice {
		t.Errorf("Expect returned %s %v, want what came since", got.Action, err)
	}
	if next := newSale(t, again, m, order2, sale); next.Index() != 2 {
		t.Errorf("index %d, want 2", next.Index())
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state file: %v %v, want mode 0600", info.Mode(), err)
	}
}

func TestTradersThatShareAStateFileUseNoKeyTwice(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	file := filepath.Join(t.TempDir(), "state.json")
	var traders [3]*Trader
	for i := range traders {
		traders[i] = open1(t, m, func(c *Config) { c.StateFile = file }, srv.URL)
	}
	var mu sync.Mutex
	used := make(map[uint32]int)
	var wg sync.WaitGroup
	for _, tr := range traders {
		for range 10 {
			wg.Go(func() {
				trade, err := tr.begin(record{Side: orders.Seller, Kind: orders.Sell, Order: order1})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				used[trade.Index()]++
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	for i := uint32(1); i <= 30; i++ {
		if used[i] != 1 {
			t.Errorf("index %d was used %d times", i, used[i])
		}
	}
	if err := traders[0].reload(); err != nil || len(traders[0].Trades()) != 30 {
		t.Errorf("after reload %d trades, want 30 (%v)", len(traders[0].Trades()), err)
	}
}

func TestTheRestOfARangeOrderGetsAnAnnouncedKey(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	m.speak(orders.Direct)
	tr := open1(t, m, nil, srv.URL)
	trade := newSale(t, tr, m, order1, OrderSpec{Kind: orders.Sell, Fiat: "EUR", Min: 10, Max: 50, Method: "SEPA"})
	err := during(t, func() error { return trade.Release(within(t)) }, func() {
		r := m.next(nostrio.ActRelease)
		next, ok := r.Message.Body.Payload.(nostrio.NextTrade)
		if !ok || next.Index != 2 {
			t.Fatalf("release carries %+v, want next_trade with index 2", r.Message.Body.Payload)
		}
		to, err := orders.ParsePubKey(next.PubKey)
		if err != nil {
			t.Fatal(err)
		}
		m.tell(to, orders.Direct, order2, nostrio.ActNewOrder, nil)
		m.reply(r, nostrio.ActHoldInvoicePaymentSettled, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	rest, ok := trade.Rest()
	if !ok {
		t.Fatal("there is no rest")
	}
	if _, err := rest.Expect(within(t), nostrio.ActNewOrder); err != nil || rest.ID() != order2 || !rest.Maker() {
		t.Errorf("the rest is order %s: %v", rest.ID(), err)
	}
}

func TestTheBookFollowsTheOrderEvents(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	now := time.Now().Unix()
	m.publishOrder(order1, now, orders.Sell, "pending")
	m.publishOrder(order2, now, orders.Buy, "success")
	tr := open1(t, m, nil, srv.URL)
	book, err := tr.Book(within(t))
	if err != nil {
		t.Fatal(err)
	}
	list := book.Orders()
	if len(list) != 1 || list[0].ID != order1 || list[0].Amount != 10_000 || list[0].FiatAmount != 10 || list[0].Fiat != "EUR" {
		t.Errorf("got %+v", list)
	}
	m.publishOrder(order1, now+1, orders.Sell, "in-progress")
	if _, err := book.Await(within(t), order1, "in-progress"); err != nil {
		t.Error(err)
	}
	if got := book.Orders(); len(got) != 0 {
		t.Errorf("got %+v, want none", got)
	}
	tr.mu.Lock()
	tr.takeOrder(m.signed(nostrio.KindOrder, now, nostr.Tag{"d", order1.String()}, nostr.Tag{"s", "pending"}))
	tr.mu.Unlock()
	if o, _ := book.Order(order1); o.Status != "in-progress" {
		t.Errorf("an older version came back: %+v", o)
	}
}

func TestFollowTellsOfEachMessageOnce(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	m.speak(orders.Direct)
	tr := open1(t, m, nil, srv.URL)
	trade := newSale(t, tr, m, order1, sale)
	ctx, cancel := context.WithCancel(within(t))
	var got []nostrio.Action
	tell := func(a nostrio.Action) { m.tell(trade.PubKey(), orders.Direct, order1, a, nil) }
	started := make(chan struct{})
	done := make(chan error)
	go func() {
		close(started)
		done <- tr.Follow(ctx, func(_ *Trade, m Message) {
			if got = append(got, m.Action); len(got) == 2 {
				cancel()
			}
		})
	}()
	<-started
	// Follow may not have looked yet at what is there: the first message is sent until it has been told.
	for i := 0; ctx.Err() == nil && i < 1000; i++ {
		tell(nostrio.Action(fmt.Sprint("step-", i)))
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow ended with %v", err)
	}
	if len(got) != 2 || got[0] == got[1] {
		t.Errorf("got %v", got)
	}
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	good := Config{Mnemonic: testMnemonic, Relays: []string{"ws://127.0.0.1:1"}, Mostro: strings.Repeat("ab", 32)}
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`{"version":9,"next_index":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no relay":              {func(c *Config) { c.Relays = nil }, "no relay"},
		"a Mostro that is none": {func(c *Config) { c.Mostro = "npub1x" }, "not a public key"},
		"no mnemonic":           {func(c *Config) { c.Mnemonic = "" }, "not a mnemonic"},
		"a third transport":     {func(c *Config) { c.Way = 3 }, "transport 3"},
		"a newer state":         {func(c *Config) { c.StateFile = bad }, "version 9"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			c.Mostro = "91e7171d9df01d58ca195427b1194c2ba7c1ca7b7b95deeed7b2695f5352fee3"
			tc.change(&c)
			tr, err := New(c)
			if err == nil {
				tr.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}
