package nostrio

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// shelf is a publisher that keeps what it gets.
type shelf struct {
	accepted int
	err      error
	got      []nostr.Event
}

func (s *shelf) Publish(_ context.Context, e nostr.Event) (int, error) {
	s.got = append(s.got, e)
	return s.accepted, s.err
}

func u64(n uint64) *uint64 { return &n }
func i64(n int64) *int64   { return &n }

func TestLettersReadAsTheProtocolSays(t *testing.T) {
	id, err := orders.ParseOrderID("5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11")
	if err != nil {
		t.Fatal(err)
	}
	view := &orders.OrderView{
		ID: id, Kind: orders.Sell, Status: "waiting-payment", Amount: 26512, Fiat: orders.Fiat{Code: "EUR", Amount: 250},
		PaymentMethod: "SEPA,Revolut", Premium: 3, CreatedAt: i64(1767225600), ExpiresAt: i64(1767312000),
	}
	peerKey := orders.PubKey{1: 2}
	tests := []struct {
		name string
		l    orders.Letter
		want string
	}{
		{"pay-invoice, golden case G12", orders.Letter{Action: orders.SayPayInvoice, Order: id, Request: u64(7010), Index: i64(1), View: view, Bolt11: "lnbcrt1example"},
			`{"order":{"version":2,"request_id":7010,"trade_index":1,"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","action":"pay-invoice","payload":{"payment_request":[{"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","kind":"sell","status":"waiting-payment","amount":26512,"fiat_code":"EUR","min_amount":null,"max_amount":null,"fiat_amount":250,"payment_method":"SEPA,Revolut","premium":3,"created_at":1767225600,"expires_at":1767312000},"lnbcrt1example",null]}}}`},
		{"a reputation notice, G13", orders.Letter{Action: orders.SayPayInvoice, Order: id, Peer: &orders.PeerView{Standing: &orders.Standing{Reviews: 12, Sum: 51, Days: 87}}},
			`{"order":{"version":2,"request_id":null,"trade_index":null,"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","action":"pay-invoice","payload":{"peer":{"pubkey":"","reputation":{"rating":4.25,"reviews":12,"operating_days":87}}}}}`},
		{"a peer, G26", orders.Letter{Action: orders.SayFiatSentOk, Order: id, Peer: &orders.PeerView{Trade: peerKey}},
			`{"order":{"version":2,"request_id":null,"trade_index":null,"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","action":"fiat-sent-ok","payload":{"peer":{"pubkey":"` + peerKey.String() + `","reputation":null}}}}`},
		{"payment-failed, G30", orders.Letter{Action: orders.SayPaymentFailed, Order: id, Failure: &orders.PayoutFailure{Attempts: 2, Interval: 60}},
			`{"order":{"version":2,"request_id":null,"trade_index":null,"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","action":"payment-failed","payload":{"payment_failed":{"payment_attempts":2,"payment_retries_interval":60}}}}`},
		{"rate-received, G32", orders.Letter{Action: orders.SayRateReceived, Order: id, Request: u64(7018), Points: 5},
			`{"order":{"version":2,"request_id":7018,"trade_index":null,"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","action":"rate-received","payload":{"rating_user":5}}}`},
		{"cant-do without an order, G42", orders.Letter{Action: orders.SayCantDo, Request: u64(7001), Reason: orders.InvalidTradeIndex},
			`{"cant-do":{"version":2,"request_id":7001,"trade_index":null,"action":"cant-do","payload":{"cant_do":"invalid_trade_index"}}}`},
		{"last-trade-index, G48", orders.Letter{Action: orders.SayLastIndex, Index: i64(5)},
			`{"restore":{"version":2,"request_id":null,"trade_index":5,"action":"last-trade-index","payload":null}}`},
		{"an empty session, G46", orders.Letter{Action: orders.SayRestore, Restore: &orders.Session{}},
			`{"restore":{"version":2,"request_id":null,"trade_index":null,"action":"restore-session","payload":{"restore_data":{"orders":[],"disputes":[]}}}}`},
		{"a session", orders.Letter{Action: orders.SayRestore, Restore: &orders.Session{Trades: []orders.Restored{{Order: id, Index: 4, Status: "fiat-sent"}}}},
			`{"restore":{"version":2,"request_id":null,"trade_index":null,"action":"restore-session","payload":{"restore_data":{"orders":[{"order_id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","trade_index":4,"status":"fiat-sent"}],"disputes":[]}}}}`},
		{"orders by id, like G50", orders.Letter{Action: orders.SayOrders, Request: u64(7022), Views: []orders.OrderView{{
			ID: id, Kind: orders.Sell, Status: "fiat-sent", Amount: 26433, Fiat: orders.Fiat{Code: "EUR", Amount: 250}, PaymentMethod: "SEPA,Revolut", Premium: 3,
			CreatedAt: i64(1767225600), ExpiresAt: i64(1767312000)}}},
			`{"order":{"version":2,"request_id":7022,"trade_index":null,"action":"orders","payload":{"orders":[{"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","kind":"sell","status":"fiat-sent","amount":26433,"fiat_code":"EUR","min_amount":null,"max_amount":null,"fiat_amount":250,"payment_method":"SEPA,Revolut","premium":3,"created_at":1767225600,"expires_at":1767312000}]}}}`},
		{"released", orders.Letter{Action: orders.SayReleased, Order: id},
			`{"order":{"version":2,"request_id":null,"trade_index":null,"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","action":"released","payload":null}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := message(tt.l)
			m.Body.Version = 2
			if got := string(m.Encode()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestDeliveringTwiceIsTheSameEvent(t *testing.T) {
	key, err := NewKey([32]byte{31: 7})
	if err != nil {
		t.Fatal(err)
	}
	trader, err := NewKey([32]byte{31: 9})
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []orders.Way{orders.Direct, orders.GiftWrap} {
		s := &shelf{accepted: 1}
		c := &Courier{Key: key, Relay: s}
		l := orders.Letter{To: trader.PubKey(), Way: way, Action: orders.SayReleased, Order: orders.OrderID{1}, At: 1767225600, Seed: orders.Seed{3}}
		for range 2 {
			if err := c.Deliver(t.Context(), l); err != nil {
				t.Fatal(err)
			}
		}
		if s.got[0].ID != s.got[1].ID || s.got[0].Sig != s.got[1].Sig {
			t.Errorf("way %d: %s and %s", way, s.got[0].ID, s.got[1].ID)
		}
		in, err := OpenReply(trader, key.PubKey(), s.got[0])
		if err != nil || in.Message.Body.Action != ActReleased {
			t.Errorf("way %d: %v %v", way, in.Message.Body.Action, err)
		}
	}
}

func TestNothingIsDoneUntilARelayHasTakenIt(t *testing.T) {
	key, err := NewKey([32]byte{31: 7})
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("blocked")
	c := &Courier{Key: key, Relay: &shelf{err: refused}}
	err = c.Announce(t.Context(), orders.Announcement{Order: orders.OrderID{1}, Status: "pending", Stamp: 1})
	if !errors.Is(err, ErrNoRelay) || !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}

func TestTranslate(t *testing.T) {
	decode := func(_ orders.OrderID, s string) orders.Invoice { return orders.Invoice{Bolt11: s} }
	now := int64(1767225600)
	id := UUID{1}
	body := func(a Action, p Payload) Incoming {
		return Incoming{At: now, Way: orders.Direct, Message: Message{Wrapper: WrapOrder, Body: Body{Action: a, ID: &id, Payload: p}}}
	}
	inv := "satoshi@example.com"
	tests := []struct {
		name string
		in   Incoming
		ok   bool
		want orders.On
	}{
		{"new-order", body(ActNewOrder, SmallOrder{Kind: Buy, Amount: 5, FiatCode: "EUR", FiatAmount: 1, BuyerInvoice: &inv}), true, orders.OnNewOrder},
		{"take-sell with nothing", body(ActTakeSell, nil), true, orders.OnTakeSell},
		{"take-sell with amount 0, as clients send it", body(ActTakeSell, Amount(0)), true, orders.OnTakeSell},
		{"take-sell with an invoice", body(ActTakeSell, PaymentRequest{Invoice: inv}), true, orders.OnTakeSell},
		{"take-buy", body(ActTakeBuy, nil), true, orders.OnTakeBuy},
		{"add-invoice", body(ActAddInvoice, PaymentRequest{Invoice: inv}), true, orders.OnAddInvoice},
		{"add-invoice with another payload", body(ActAddInvoice, TextMessage("x")), true, orders.OnOther},
		{"fiat-sent with the next key", body(ActFiatSent, NextTrade{PubKey: orders.PubKey{1}.String(), Index: 3}), true, orders.OnFiatSent},
		{"fiat-sent with a next key that is none", body(ActFiatSent, NextTrade{PubKey: "npub"}), true, orders.OnFiatSent},
		{"trade-pubkey", body(ActTradePubKey, nil), true, orders.OnTradeKey},
		{"orders", body(ActOrders, IDs{id}), true, orders.OnOrders},
		{"restore-session", body(ActRestoreSession, nil), true, orders.OnRestore},
		{"last-trade-index", body(ActLastTradeIndex, nil), true, orders.OnLastIndex},
		{"dispute", body(ActDispute, nil), true, orders.OnDispute},
		{"a bond invoice, not served", body(ActAddBondInvoice, PaymentRequest{}), true, orders.OnOther},
		{"release", body(ActRelease, nil), true, orders.OnRelease},
		{"release with another payload", body(ActRelease, Amount(1)), true, orders.OnOther},
		{"cancel", body(ActCancel, nil), true, orders.OnCancel},
		{"rate-user", body(ActRateUser, RatingUser(5)), true, orders.OnRateUser},
		{"what only a server says", body(ActReleased, nil), false, ""},
		{"what clients say to each other", body(ActSendDM, TextMessage("hi")), false, ""},
		{"pay-invoice", body(ActPayInvoice, PaymentRequest{}), true, orders.OnOther},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := Translate(tt.in, now, orders.Seed{}, decode)
			if ok != tt.ok || ok && got.Act.On() != tt.want {
				t.Errorf("got %v %v", got.Act, ok)
			}
		})
	}
	for _, key := range []string{"npub", strings.Repeat("ff", 32), strings.Repeat("00", 32)} {
		got, _ := Translate(body(ActRelease, NextTrade{PubKey: key}), now, orders.Seed{}, decode)
		if r, ok := got.Act.(orders.Release); !ok || r.Next != nil {
			t.Errorf("next key %s: %+v", key, got.Act)
		}
	}
	late := body(ActTakeSell, nil)
	if _, ok := Translate(late, now+OpeningWindow+1, orders.Seed{}, decode); ok {
		t.Error("a take that came too late was taken")
	}
	late = body(ActRelease, nil)
	if _, ok := Translate(late, now+OpeningWindow+1, orders.Seed{}, decode); !ok {
		t.Error("a late release was dropped")
	}
}
