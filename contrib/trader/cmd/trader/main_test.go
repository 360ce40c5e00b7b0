package main

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

const (
	mostroSecret = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d"
	orderID      = "5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11"
)

// stage is a relay, a Mostro that the test plays on it, and a home directory.
type stage struct {
	t    *testing.T
	srv  *relay.Server
	key  *nostrio.Key
	home string
	seen int // requests that the Mostro has answered
}

func newStage(t *testing.T) *stage {
	t.Helper()
	srv, err := relay.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	key, err := nostrio.ParseKey(mostroSecret)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, srv: srv, key: key, home: filepath.Join(t.TempDir(), "home")}
	s.publish(nostrio.KindInfo, nostr.Tag{"d", key.PubKey().String()}, nostr.Tag{"protocol_version", "2"},
		nostr.Tag{"fee", "0.006"}, nostr.Tag{"min_order_amount", "100"}, nostr.Tag{"max_order_amount", "1000000"},
		nostr.Tag{"mostro_version", "1.2\x1b[31m"})
	return s
}

func (s *stage) publish(kind int, tags ...nostr.Tag) {
	s.t.Helper()
	e := nostr.Event{Kind: kind, CreatedAt: nostr.Now(), Tags: tags}
	if err := e.Sign(mostroSecret); err != nil {
		s.t.Fatal(err)
	}
	if err := s.srv.Publish(e); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) offer(kind string) {
	s.t.Helper()
	s.publish(nostrio.KindOrder, nostr.Tag{"d", orderID}, nostr.Tag{"k", kind}, nostr.Tag{"f", "EUR"}, nostr.Tag{"s", "pending"},
		nostr.Tag{"amt", "0"}, nostr.Tag{"fa", "10", "50"}, nostr.Tag{"pm", "SEPA", "cash\n"}, nostr.Tag{"premium", "3"},
		nostr.Tag{"rating", `["rating",{"days":3,"total_rating":4.5,"total_reviews":2}]`})
}

// answer waits for the next request, as the Mostro, and answers it.
func (s *stage) answer(ctx context.Context, want, reply nostrio.Action, p nostrio.Payload) {
	s.seen++
	events, err := s.srv.Await(ctx, nostr.Filter{Kinds: []int{nostrio.KindDirect}, Tags: nostr.TagMap{"p": {s.key.PubKey().String()}}}, s.seen)
	if err != nil {
		s.t.Error(err)
		return
	}
	in, err := nostrio.Open(s.key, events[s.seen-1])
	if err != nil || in.Message.Body.Action != want {
		s.t.Errorf("the Mostro was asked for %s (%v), want %s", in.Message.Body.Action, err, want)
		return
	}
	id, err := nostrio.ParseUUID(orderID)
	if err != nil {
		s.t.Error(err)
		return
	}
	msg := in.Message.Reply(nostrio.WrapOrder, reply, p)
	msg.Body.ID = &id
	var seed orders.Seed
	if _, err := rand.Read(seed[:]); err != nil {
		s.t.Error(err)
	}
	e, err := s.key.Seal(in.Way, in.Sender, msg, time.Now().Unix(), seed)
	if err == nil {
		err = s.srv.Publish(e)
	}
	if err != nil {
		s.t.Error(err)
	}
}

// run is one command line, with the home's settings.
func (s *stage) run(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	var out, errs strings.Builder
	code = run(ctx, append([]string{"-home", s.home}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

// with runs a command while the Mostro answers one request.
func (s *stage) with(want, reply nostrio.Action, p nostrio.Payload, args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { s.answer(ctx, want, reply, p) })
	code, stdout, stderr = s.run(args...)
	if code != 0 {
		s.t.Log(stderr)
	}
	wg.Wait()
	return code, stdout, stderr
}

func (s *stage) init() {
	s.t.Helper()
	code, out, errs := s.run("-relay", s.srv.URL, "-mostro", nostrio.Npub(s.key.PubKey()), "init")
	if code != 0 || !strings.Contains(out, "new mnemonic") {
		s.t.Fatalf("init: %d %s%s", code, out, errs)
	}
}

func TestInitMakesAPrivateMnemonicOnce(t *testing.T) {
	s := newStage(t)
	s.init()
	path := filepath.Join(s.home, mnemonicFile)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || len(strings.Fields(string(before))) != 12 {
		t.Errorf("mode %v, %d words", info.Mode(), len(strings.Fields(string(before))))
	}
	if code, out, _ := s.run("-private", "init"); code != 0 || !strings.Contains(out, "stays as it is") {
		t.Errorf("a second init: %d %s", code, out)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Error("the second init changed the mnemonic")
	}
	kept, err := os.ReadFile(filepath.Join(s.home, settingsFile))
	if err != nil || !strings.Contains(string(kept), s.srv.URL) || !strings.Contains(string(kept), `"private": true`) {
		t.Errorf("settings: %s %v", kept, err)
	}
}

func TestABuyerTradesFromTheCommandLine(t *testing.T) {
	s := newStage(t)
	s.init()
	wants := func(code int, out, errs string, parts ...string) {
		t.Helper()
		if code != 0 {
			t.Errorf("exit code %d: %s", code, errs)
		}
		for _, p := range parts {
			if !strings.Contains(out, p) {
				t.Errorf("said\n%s\nwant %q in it", out, p)
			}
		}
	}
	code, out, errs := s.run("info")
	wants(code, out, errs, nostrio.Npub(s.key.PubKey()), "0.6 %", "100 to 1000000 sat", "2, direct")
	if strings.Contains(out, "\x1b") {
		t.Error("a control character of the Mostro reached the terminal")
	}
	code, out, errs = s.with(nostrio.ActLastTradeIndex, nostrio.ActCantDo, nostrio.CantDo{Reason: "not_found"}, "sync")
	wants(code, out, errs, "not seen")
	s.offer("sell")
	code, out, errs = s.run("list")
	wants(code, out, errs, orderID, "market", "10-50 EUR", "SEPA, cash", "3 %", "4.5 (2)")

	o := nostrio.SmallOrder{Kind: nostrio.Sell, Status: "waiting-buyer-invoice", Amount: 9970, FiatCode: "EUR", FiatAmount: 20, PaymentMethod: "SEPA"}
	code, out, errs = s.with(nostrio.ActTakeSell, nostrio.ActAddInvoice, o, "take", "5c6f", "-fiat", "20")
	wants(code, out, errs, orderID, "(buyer)", "Give an invoice of 9970 sat: trader invoice 5c6f8a52 BOLT11")
	code, out, errs = s.with(nostrio.ActAddInvoice, nostrio.ActWaitingSellerToPay, nil, "invoice", "5c6f8a52", "lnbcrt1x")
	wants(code, out, errs, "Waiting for the seller")
	code, out, errs = s.with(nostrio.ActFiatSent, nostrio.ActFiatSentOk, nostrio.Peer{}, "fiat-sent", orderID)
	wants(code, out, errs, "The seller knows")
	code, out, errs = s.with(nostrio.ActCancel, nostrio.ActCooperativeCancelByYou, nil, "cancel", "5c6f")
	wants(code, out, errs, "the other side has to agree")
	code, out, errs = s.with(nostrio.ActRateUser, nostrio.ActRateReceived, nostrio.RatingUser(5), "rate", "5c6f", "5")
	wants(code, out, errs, "The trade is over")
	code, out, errs = s.run("orders")
	wants(code, out, errs, orderID, "The trade is over")
}

func TestASellerTradesFromTheCommandLine(t *testing.T) {
	s := newStage(t)
	s.init()
	o := nostrio.SmallOrder{Kind: nostrio.Sell, Status: "pending", Amount: 10_000, FiatCode: "EUR", FiatAmount: 10, PaymentMethod: "SEPA"}
	if code, out, errs := s.with(nostrio.ActNewOrder, nostrio.ActNewOrder, o, "sell", "10000", "10", "eur", "SEPA", "-premium", "-2"); code != 0 || !strings.Contains(out, "waits for a taker") {
		t.Errorf("sell: %d %s%s", code, out, errs)
	}
	if code, out, errs := s.with(nostrio.ActRelease, nostrio.ActHoldInvoicePaymentSettled, nil, "release", "5c6f"); code != 0 || !strings.Contains(out, "the sats go to the buyer") {
		t.Errorf("release: %d %s%s", code, out, errs)
	}
	if code, out, errs := s.with(nostrio.ActDispute, nostrio.ActDisputeByYou, nil, "dispute", "5c6f"); code != 0 || !strings.Contains(out, "solver will come") {
		t.Errorf("dispute: %d %s%s", code, out, errs)
	}
}

func TestARefusalEndsWithTheReasonInWords(t *testing.T) {
	s := newStage(t)
	s.init()
	s.offer("sell")
	refusal := nostrio.CantDo{Reason: "pending_order_exists"}
	code, _, errs := s.with(nostrio.ActTakeSell, nostrio.ActCantDo, refusal, "take", "5c6f", "-fiat", "20")
	if code != 1 || !strings.Contains(errs, "can't do take-sell") || !strings.Contains(errs, "finish the other order") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestWatchShowsMessagesUntilItIsInterrupted(t *testing.T) {
	s := newStage(t)
	s.init()
	o := nostrio.SmallOrder{Kind: nostrio.Buy, Status: "pending", FiatCode: "EUR", FiatAmount: 10, PaymentMethod: "SEPA"}
	s.with(nostrio.ActNewOrder, nostrio.ActNewOrder, o, "buy", "0", "10", "EUR", "SEPA", "-invoice", "me@example.com")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	lines := make(chan string, 10)
	code := make(chan int)
	go func() { code <- run(ctx, []string{"-home", s.home, "watch"}, chanWriter(lines), chanWriter(lines)) }()
	in, err := nostrio.Open(s.key, s.srv.Events(nostr.Filter{Kinds: []int{nostrio.KindDirect}, Tags: nostr.TagMap{"p": {s.key.PubKey().String()}}})[0])
	if err != nil {
		t.Fatal(err)
	}
	msg := in.Message.Reply(nostrio.WrapOrder, nostrio.ActHoldInvoicePaymentAccepted, nil)
	e, err := s.key.Seal(in.Way, in.Sender, msg, time.Now().Unix(), orders.Seed{7})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.srv.Publish(e); err != nil {
		t.Fatal(err)
	}
	select {
	case line := <-lines:
		if !strings.Contains(line, "Send the fiat, then: trader fiat-sent 5c6f8a52") {
			t.Errorf("watch said %s", line)
		}
	case <-ctx.Done():
		t.Fatal("watch said nothing")
	}
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d, want 0", got)
	}
}

type chanWriter chan string

func (w chanWriter) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func TestSenselessCommandLinesExitWith2(t *testing.T) {
	s := newStage(t)
	if code, _, errs := s.run("-relay", s.srv.URL, "-mostro", s.key.PubKey().String(), "list"); code != 2 || !strings.Contains(errs, "no mnemonic") {
		t.Errorf("before init: %d %s", code, errs)
	}
	s.init()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no command":           {nil, "no command"},
		"an unknown command":   {[]string{"steal"}, `no command "steal"`},
		"an unknown option":    {[]string{"-x", "list"}, "not defined"},
		"too few arguments":    {[]string{"sell", "1", "2", "EUR"}, "trader sell SATS FIAT"},
		"too many arguments":   {[]string{"release", "a", "b"}, "trader release ID"},
		"six stars":            {[]string{"rate", "5c6f", "6"}, "1 to 5"},
		"half a satoshi":       {[]string{"sell", "0.5", "2", "EUR", "SEPA"}, "whole numbers"},
		"a negative amount":    {[]string{"sell", "--", "-5", "2", "EUR", "SEPA"}, "whole numbers"},
		"a seller's invoice":   {[]string{"sell", "1", "2", "EUR", "SEPA", "-invoice", "x"}, "needs no invoice"},
		"an option in the end": {[]string{"release", "5c6f", "-fiat", "3"}, "trader release ID"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, errs := s.run(tc.args...)
			if code != 2 || !strings.Contains(errs, tc.want) {
				t.Errorf("exit code %d: %s", code, errs)
			}
		})
	}
}

func TestAnOrderThatIsNotOursExitsWith1(t *testing.T) {
	s := newStage(t)
	s.init()
	if code, _, errs := s.run("release", "5c6f"); code != 1 || !strings.Contains(errs, `no order "5c6f"`) {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestEveryMessageOfTheMostroHasWords(t *testing.T) {
	id, err := orders.ParseOrderID(orderID)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []nostrio.Action{
		nostrio.ActNewOrder, nostrio.ActPayInvoice, nostrio.ActPayBondInvoice, nostrio.ActAddInvoice, nostrio.ActFiatSentOk,
		nostrio.ActReleased, nostrio.ActCanceled, nostrio.ActRate, nostrio.ActBuyerTookOrder, nostrio.ActWaitingSellerToPay,
		nostrio.ActAdminTookDispute, nostrio.ActPurchaseCompleted, nostrio.ActBondSlashed, nostrio.ActCantDo,
	} {
		for _, side := range []orders.Side{orders.Buyer, orders.Seller} {
			got := describe(id, side, trader.Message{Action: a})
			if strings.Contains(got, "does not know") || strings.Contains(got, "%") || strings.Contains(got, "EXTRA") {
				t.Errorf("%s to the %s: %s", a, side, got)
			}
		}
	}
	got := describe(id, orders.Buyer, trader.Message{Action: "warp\x1b[2J"})
	if want := "A message that this program does not know: warp[2J"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestASolverWorksFromTheCommandLine(t *testing.T) {
	s := newStage(t)
	s.init()
	s.publish(nostrio.KindDispute, nostr.Tag{"d", "e1a2b3c4-d5e6-4f70-8192-a3b4c5d6e7f8"}, nostr.Tag{"s", "initiated"}, nostr.Tag{"initiator", "buyer"},
		nostr.Tag{"created_at", "1767225600"})
	code, out, errs := s.run("disputes")
	if code != 0 || !strings.Contains(out, "e1a2b3c4-d5e6-4f70-8192-a3b4c5d6e7f8  initiated  buyer") {
		t.Errorf("disputes: %d %s%s", code, out, errs)
	}
	id, err := nostrio.ParseUUID(orderID)
	if err != nil {
		t.Fatal(err)
	}
	info := nostrio.SolverDisputeInfo{ID: id, Kind: "sell", OrderPreviousStatus: "fiat-sent", PaymentMethod: "SEPA\x1b", CounterpartFullPrivacy: true,
		InitiatorInfo: &nostrio.UserInfo{Rating: 4.5, Reviews: 2, OperatingDays: 9}}
	code, out, errs = s.with(nostrio.ActAdminTakeDispute, nostrio.ActAdminTookDispute, nostrio.Dispute{Info: &info}, "take-dispute", "e1a2")
	if code != 0 || !strings.Contains(out, orderID) || !strings.Contains(out, "4.5 stars") || !strings.Contains(out, "in full privacy") || strings.Contains(out, "\x1b") {
		t.Errorf("take-dispute: %d %q%s", code, out, errs)
	}
	code, out, errs = s.with(nostrio.ActAdminSettle, nostrio.ActAdminSettled, nil, "settle", orderID)
	if code != 0 || !strings.Contains(out, "to the buyer") {
		t.Errorf("settle: %d %s%s", code, out, errs)
	}
	code, _, errs = s.with(nostrio.ActAdminCancel, nostrio.ActCantDo, nostrio.CantDo{Reason: "is_not_your_dispute"}, "refund", orderID)
	if code != 1 || !strings.Contains(errs, "nobody has taken it") {
		t.Errorf("refund: %d %s", code, errs)
	}
	solver := nostrio.Npub(s.key.PubKey())
	code, out, errs = s.with(nostrio.ActAdminAddSolver, nostrio.ActAdminAddSolver, nil, "add-solver", solver, "read")
	if code != 0 || !strings.Contains(out, solver+": read") {
		t.Errorf("add-solver: %d %s%s", code, out, errs)
	}
	for _, line := range [][]string{{"settle", "5c6f"}, {"add-solver", "npub1x"}, {"add-solver", solver, "write"}, {"take-dispute"}} {
		if code, _, errs := s.run(line...); code != 2 {
			t.Errorf("%v: exit code %d, %s", line, code, errs)
		}
	}
}
