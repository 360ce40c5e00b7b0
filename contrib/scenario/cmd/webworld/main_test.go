package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

const deadly = 2 * time.Minute // no test waits longer for what must happen

var programs struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// binaries builds the plugins and this program as a user would, once.
func binaries(t *testing.T) (dir string) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs binaries")
	}
	programs.once.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "webworld-bin"); programs.err != nil {
			return
		}
		const root = "../../../../"
		for name, pkg := range map[string]string{
			"mostro": root + "plugin", "holdinvoice": root + "contrib/holdinvoice", "holdinvoice-guard": root + "contrib/holdinvoice", "webworld": ".",
		} {
			if out, err := exec.Command("go", "build", "-o", filepath.Join(programs.dir, name), pkg).CombinedOutput(); err != nil {
				programs.err = fmt.Errorf("build %s: %w\n%s", pkg, err, out)
			}
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.dir
}

// remote is a world as a test of a client sees it: the line that it printed.
type remote struct {
	t *testing.T
	about
}

// start runs the program in this process until the test ends.
func start(t *testing.T, args ...string) remote {
	t.Helper()
	bin := binaries(t)
	out, in := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, append([]string{"-bin", bin}, args...), nil, in, &stderr)
		in.Close()
		ended <- code
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case code := <-ended:
			if code != 0 || stderr.Len() > 0 {
				t.Errorf("exit code %d: %s", code, stderr.String())
			}
		case <-time.After(deadly):
			t.Error("it does not end")
		}
	})
	return read(t, out)
}

func read(t *testing.T, out io.Reader) remote {
	t.Helper()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("no line: %v", err)
	}
	w := remote{t: t}
	if err := json.Unmarshal(line, &w.about); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return w
}

// do makes a call that must succeed.
func (w remote) do(path string, params, result any) {
	w.t.Helper()
	status, body := w.post(path, params)
	if status != http.StatusOK {
		w.t.Fatalf("/%s: status %d: %s", path, status, body)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(body, result); err != nil {
		w.t.Fatalf("/%s: %v in %s", path, err, body)
	}
}

func (w remote) post(path string, params any) (status int, body []byte) {
	w.t.Helper()
	data, ok := params.(string)
	if !ok {
		raw, err := json.Marshal(params)
		if err != nil {
			w.t.Fatal(err)
		}
		data = string(raw)
	}
	r, err := http.Post(w.Control+"/"+path, "application/json", strings.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	if body, err = io.ReadAll(r.Body); err != nil {
		w.t.Fatal(err)
	}
	return r.StatusCode, body
}

type m = map[string]any

func (w remote) trader(exchange int, way orders.Way) *trader.Trader {
	w.t.Helper()
	words, err := trader.NewMnemonic()
	if err != nil {
		w.t.Fatal(err)
	}
	tr, err := trader.New(trader.Config{Mnemonic: words, Relays: w.Relays, Mostro: w.Exchanges[exchange].PubKey, Way: way, Patience: 45 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(tr.Close)
	return tr
}

// sums are a wallet's at one exchange.
func (w remote) sums(exchange int, wallet string) (free, locked orders.Msats) {
	w.t.Helper()
	var r struct {
		Wallets []struct {
			Exchange  int
			Wallet    string
			Available orders.Msats `json:"available_msat"`
			Locked    orders.Msats `json:"locked_msat"`
		}
	}
	w.do("wallets", m{"wallet": wallet}, &r)
	for _, v := range r.Wallets {
		if v.Exchange == exchange && v.Wallet == wallet {
			return v.Available, v.Locked
		}
	}
	w.t.Fatalf("no wallet %s in %+v", wallet, r)
	return 0, 0
}

func (w remote) audit() {
	w.t.Helper()
	var r struct {
		OK    bool
		Nodes []any
	}
	if w.do("audit", m{}, &r); !r.OK || len(r.Nodes) != len(w.Exchanges) {
		w.t.Errorf("audit: %+v", r)
	}
}

// sale is one trade, driven from outside: clients that know the relays, wallets of the control API.
type sale struct {
	w        remote
	exchange int
	sell     *trader.Trade
	buy      *trader.Trade
	hold     string
}

func (w remote) sale(ctx context.Context, exchange int) *sale {
	w.t.Helper()
	s := &sale{w: w, exchange: exchange}
	seller, buyer := w.trader(exchange, 0), w.trader(exchange, 0)
	var err error
	if s.sell, err = seller.NewOrder(ctx, trader.OrderSpec{Kind: orders.Sell, Amount: 10_000, Fiat: "EUR", FiatAmount: 5, Method: "SEPA"}); err != nil {
		w.t.Fatal(err)
	}
	if s.buy, err = buyer.Take(ctx, s.sell.ID(), trader.TakeOpts{Kind: orders.Sell}); err != nil {
		w.t.Fatal(err)
	}
	ask := s.expect(ctx, s.buy, nostrio.ActAddInvoice)
	var inv struct{ Bolt11 string }
	w.do("invoice", m{"wallet": "bob", "exchange": exchange, "sats": ask.Order().Amount}, &inv)
	s.must(s.buy.AddInvoice(ctx, inv.Bolt11))
	s.hold = s.expect(ctx, s.sell, nostrio.ActPayInvoice).Invoice()
	return s
}

func (s *sale) must(err error) {
	s.w.t.Helper()
	if err != nil {
		s.w.t.Fatal(err)
	}
}

func (s *sale) expect(ctx context.Context, t *trader.Trade, actions ...nostrio.Action) trader.Message {
	s.w.t.Helper()
	got, err := t.Expect(ctx, actions...)
	s.must(err)
	return got
}

// finish plays on from the moment when the hold invoice is being paid.
func (s *sale) finish(ctx context.Context) {
	s.w.t.Helper()
	s.expect(ctx, s.buy, nostrio.ActHoldInvoicePaymentAccepted)
	s.must(s.buy.FiatSent(ctx))
	s.expect(ctx, s.sell, nostrio.ActFiatSentOk)
	s.must(s.sell.Release(ctx))
	s.expect(ctx, s.buy, nostrio.ActPurchaseCompleted)
}

func status(w remote, path string, params m) string {
	w.t.Helper()
	var r struct{ Status string }
	w.do(path, params, &r)
	return r.Status
}

// A whole trade at each of two exchanges, which take different fees in different ways and ask for different transports.
func TestAWholeTradeThroughTheControlAPI(t *testing.T) {
	w := start(t, "-exchanges", "2", "-relays", "2")
	ctx, cancel := context.WithTimeout(t.Context(), deadly)
	defer cancel()
	for i, want := range []struct {
		name     string
		way      orders.Way
		locked   orders.Msats
		received orders.Msats
	}{
		{"Alpha", orders.Direct, 10_060_000, 10_000_000},
		{"Beta", orders.GiftWrap, 10_050_000, 9_950_000},
	} {
		if x := w.Exchanges[i]; x.Name != want.name || x.Transport != want.way {
			t.Fatalf("got %+v", x)
		}
		info, err := w.trader(i, 0).Info(ctx)
		if err != nil || info.Way != want.way {
			t.Fatalf("its info event asks for transport %d, %v", info.Way, err)
		}
		before, _ := w.sums(i, "alice")
		bobBefore, _ := w.sums(i, "bob")
		s := w.sale(ctx, i)
		if got := status(w, "pay", m{"wallet": "alice", "bolt11": s.hold, "parts": 2}); got != "pending" {
			t.Errorf("the payment is %s", got)
		}
		s.expect(ctx, s.sell, nostrio.ActBuyerTookOrder)
		if free, locked := w.sums(i, "alice"); locked != want.locked || free != before-locked {
			t.Errorf("alice has %d and %d locked, of %d", free, locked, before)
		}
		s.finish(ctx)
		if got := status(w, "payment", m{"wallet": "alice", "bolt11": s.hold, "wait_ms": 20_000}); got != "complete" {
			t.Errorf("the payment is %s", got)
		}
		if free, locked := w.sums(i, "alice"); locked != 0 || free != before-want.locked {
			t.Errorf("alice has %d and %d locked, of %d", free, locked, before)
		}
		if free, _ := w.sums(i, "bob"); free != bobBefore+want.received {
			t.Errorf("bob has %d, of %d", free, bobBefore)
		}
		if got := status(w, "order", m{"order_id": s.sell.ID(), "exchange": i}); got != "success" {
			t.Errorf("the order is %s", got)
		}
	}
	w.audit()
}

// The exchange and the relay go away in the middle of a trade, and it ends well.
func TestATradeGoesOnAfterDisturbances(t *testing.T) {
	w := start(t, "-transport", "1")
	ctx, cancel := context.WithTimeout(t.Context(), deadly)
	defer cancel()
	page := w.Exchanges[0].Web
	s := w.sale(ctx, 0)
	w.do("exchange", m{"do": "restart"}, nil)
	if got := status(w, "pay", m{"wallet": "late", "bolt11": s.hold, "never": true}); got != "waiting" {
		t.Errorf("a payment that never comes is %s", got)
	}
	if got := status(w, "pay", m{"wallet": "alice", "bolt11": s.hold, "after_ms": 50, "wait_ms": 1}); got != "waiting" && got != "pending" {
		t.Errorf("a late payment is %s", got)
	}
	s.expect(ctx, s.buy, nostrio.ActHoldInvoicePaymentAccepted)
	w.do("relay", m{"do": "stop"}, nil)
	w.do("relay", m{"do": "start"}, nil)
	w.do("faults", m{"delay_ms": 20, "duplicate": true}, nil)
	s.must(s.buy.FiatSent(ctx))
	w.do("faults", m{}, nil)
	w.do("relay", m{"do": "disconnect"}, nil)
	s.expect(ctx, s.sell, nostrio.ActFiatSentOk)
	w.do("exchange", m{"do": "kill-node"}, nil)
	w.do("exchange", m{"do": "start-node"}, nil)
	s.must(s.sell.Release(ctx))
	s.expect(ctx, s.buy, nostrio.ActPurchaseCompleted)
	w.audit()
	var first about
	r, err := http.Get(w.Control)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&first); err != nil || first.Exchanges[0].Web != page {
		t.Errorf("the page is at %s, then at %s, %v", page, first.Exchanges[0].Web, err)
	}
	if p, err := http.Get(page + "/server.json"); err != nil || p.StatusCode != 200 {
		t.Errorf("the page: %v, %v", p, err)
	} else {
		p.Body.Close()
	}
}

func TestPaymentsThatGoWrong(t *testing.T) {
	w := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadly)
	defer cancel()
	s := w.sale(ctx, 0)
	for _, c := range []m{
		{"pay_sats": 9_000},
		{"pay_sats": 9_000, "parts": 3},
		{"wrong_secret": true},
	} {
		params := m{"wallet": "alice", "bolt11": s.hold, "wait_ms": 20_000}
		for k, v := range c {
			params[k] = v
		}
		if got := status(w, "pay", params); got != "failed" {
			t.Errorf("%v: the payment is %s", c, got)
		}
	}
	if got := status(w, "pay", m{"wallet": "carol", "bolt11": s.hold, "parts": 3, "missing_part": 2}); got != "pending" {
		t.Errorf("two of three parts: the payment is %s", got)
	}
	if _, locked := w.sums(0, "carol"); locked == 0 || locked > 7_000_000 {
		t.Errorf("two of three parts: carol has %d locked", locked)
	}
	if free, locked := w.sums(0, "alice"); free != 1_000_000_000 || locked != 0 {
		t.Errorf("alice has %d and %d locked", free, locked)
	}
	var mined struct {
		Nodes []struct{ Blockheight int }
	}
	if w.do("mine", m{"blocks": 0}, &mined); len(mined.Nodes) != 1 {
		t.Fatalf("mined %+v", mined)
	}
	height := mined.Nodes[0].Blockheight
	if w.do("mine", m{"blocks": 3}, &mined); mined.Nodes[0].Blockheight != height+3 {
		t.Errorf("three blocks after %d: %+v", height, mined)
	}
	var moved struct{ Nodes []struct{ Time int64 } }
	if w.do("clock", m{"seconds": 86_400}, &moved); moved.Nodes[0].Time < time.Now().Unix()+86_000 {
		t.Errorf("a day later: %+v", moved)
	}
	w.audit()
}

func TestOrdersAreSeeded(t *testing.T) {
	w := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadly)
	defer cancel()
	const count, real = 1500, 25
	var made struct {
		IDs []orders.OrderID `json:"order_ids"`
	}
	w.do("seed", m{"count": count}, &made)
	if len(made.IDs) != count {
		t.Fatalf("%d ids", len(made.IDs))
	}
	w.do("seed", m{"count": real, "real": true}, &made)
	book, err := w.trader(0, 0).Book(ctx)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, id := range made.IDs {
		if _, err := book.Await(ctx, id, "pending"); err != nil {
			t.Fatal(err)
		}
	}
	list := book.Orders()
	for _, o := range list {
		kinds[fmt.Sprintf("%s, range %v, market %v", o.Kind, o.Range(), o.Amount == 0)]++
	}
	if len(list) != count+real || len(kinds) != 6 {
		t.Errorf("%d orders: %v", len(list), kinds)
	}
	var known struct{ Orders []any }
	w.do("orders", m{"status": "open", "limit": 1000}, &known)
	if len(known.Orders) != real {
		t.Errorf("the exchange has %d orders", len(known.Orders))
	}
	var seen struct{ Events []any }
	if w.do("events", m{"filter": m{"kinds": []int{38383}, "limit": 10}}, &seen); len(seen.Events) != 10 {
		t.Errorf("%d events", len(seen.Events))
	}
}

// Somebody with nothing but a client trades with partners, on either side, as maker and as taker.
func TestPartnersPlayTheOtherSide(t *testing.T) {
	w := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadly)
	defer cancel()
	var p partnerState
	w.do("partner", m{"do": "make", "kind": "buy", "sats": 7000, "transport": 1}, &p)
	id, err := orders.ParseOrderID(p.Order)
	if err != nil {
		t.Fatal(err)
	}
	me := w.trader(0, 0)
	sell, err := me.Take(ctx, id, trader.TakeOpts{Kind: orders.Buy})
	if err != nil {
		t.Fatal(err)
	}
	s := &sale{w: w, sell: sell}
	w.do("pay", m{"wallet": "me", "bolt11": s.expect(ctx, sell, nostrio.ActPayInvoice).Invoice()}, nil)
	s.expect(ctx, sell, nostrio.ActFiatSentOk)
	s.must(sell.Release(ctx))

	buy, err := me.NewOrder(ctx, trader.OrderSpec{Kind: orders.Buy, Fiat: "EUR", Min: 5, Max: 20, Method: "SEPA"})
	s.must(err)
	w.do("partner", m{"do": "take", "kind": "buy", "order_id": buy.ID(), "fiat_amount": 20}, &p)
	var offer struct{ Offer string }
	s.expect(ctx, buy, nostrio.ActAddInvoice)
	w.do("offer", m{"wallet": "me"}, &offer)
	s.must(buy.AddInvoice(ctx, offer.Offer))
	s.expect(ctx, buy, nostrio.ActHoldInvoicePaymentAccepted)
	s.must(buy.FiatSent(ctx))
	s.expect(ctx, buy, nostrio.ActPurchaseCompleted)

	for end := time.Now().Add(deadly); ; time.Sleep(20 * time.Millisecond) {
		var r struct{ Partners []partnerState }
		w.do("partners", m{}, &r)
		if len(r.Partners) == 2 && r.Partners[0].State == stateDone && r.Partners[1].State == stateDone {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("got %+v", r)
		}
	}
	var got struct {
		Invoices []struct {
			Paid orders.Msats `json:"paid_msat"`
		}
	}
	if w.do("received", m{"wallet": "me"}, &got); len(got.Invoices) != 1 || got.Invoices[0].Paid != 40_000_000 {
		t.Errorf("received %+v", got)
	}
	w.audit()
}

// One dispute is decided for each side.
func TestAnAdminDecidesDisputes(t *testing.T) {
	w := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadly)
	defer cancel()
	for _, c := range []struct {
		do     string
		status string
		heard  nostrio.Action
	}{{"settle", "success", nostrio.ActAdminSettled}, {"cancel", "canceled-by-admin", nostrio.ActAdminCanceled}} {
		s := w.sale(ctx, 0)
		w.do("pay", m{"wallet": "alice", "bolt11": s.hold}, nil)
		s.expect(ctx, s.buy, nostrio.ActHoldInvoicePaymentAccepted)
		s.must(s.buy.Dispute(ctx))
		id := s.expect(ctx, s.buy, nostrio.ActDisputeByYou).Dispute()
		var taken struct {
			Dispute orders.DisputeID `json:"dispute_id"`
			Order   orders.OrderID   `json:"order_id"`
		}
		if w.do("dispute", m{"do": "take", "dispute_id": id}, &taken); taken.Dispute != id || taken.Order != s.buy.ID() {
			t.Errorf("took %+v", taken)
		}
		s.expect(ctx, s.sell, nostrio.ActAdminTookDispute)
		w.do("dispute", m{"do": c.do, "order_id": s.buy.ID()}, nil)
		s.expect(ctx, s.buy, c.heard)
		s.expect(ctx, s.sell, c.heard)
		for end := time.Now().Add(deadly); status(w, "order", m{"order_id": s.buy.ID()}) != c.status; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: the order is not %s", c.do, c.status)
			}
		}
	}
	w.do("solver", m{"pubkey": w.Solvers[0].Npub}, nil)
	if code, body := w.post("dispute", m{"do": "take"}); code != 400 || !strings.Contains(string(body), "0 are open") {
		t.Errorf("status %d, %s", code, body)
	}
	w.audit()
}

func TestCallsThatMakeNoSenseAreTold(t *testing.T) {
	w := start(t)
	for _, c := range []struct {
		path   string
		params any
		status int
		says   string
	}{
		{"nothing", m{}, 404, "no call /nothing"},
		{"pay", "{", 400, "unexpected EOF"},
		{"pay", `[]`, 400, "array"},
		{"pay", m{"wallet": "a", "bolt11": "lnbc1"}, 400, "bolt11"},
		{"pay", m{"walet": "a"}, 400, "walet"},
		{"pay", m{"wallet": 7}, 400, "wallet"},
		{"invoice", m{"sats": 1}, 400, "wallet: no name"},
		{"invoice", m{"wallet": "a", "sats": 1, "exchange": 1}, 400, "no number 1"},
		{"relay", m{"do": "dance"}, 400, "want stop"},
		{"relay", m{"do": "stop", "relay": -1}, 400, "no number -1"},
		{"exchange", m{"do": ""}, 400, "want kill"},
		{"exchange", m{"do": "start-node"}, 400, "the node runs"},
		{"seed", m{}, 400, "count"},
		{"seed", m{"count": 50_001}, 400, "count"},
		{"partner", m{"do": "take", "kind": "sell"}, 400, "order_id"},
		{"partner", m{"do": "make"}, 400, "kind"},
		{"dispute", m{"do": "settle"}, 400, "order_id"},
		{"solver", m{"pubkey": "npub1"}, 400, "pubkey"},
		{"rpc", m{}, 400, "method"},
		{"rpc", m{"method": "no-such-thing"}, 422, "no-such-thing"},
		{"order", m{"order_id": "x"}, 422, "order_id"},
		{"wallets", strings.Repeat(" ", maxParams+1), 400, "too large"},
	} {
		status, body := w.post(c.path, c.params)
		var f fault
		if err := json.Unmarshal(body, &f); err != nil || status != c.status || !strings.Contains(f.Error, c.says) {
			t.Errorf("/%s %.60v: status %d, %s", c.path, c.params, status, body)
		}
	}
	var info struct{ Pubkey string }
	if w.do("rpc", m{"method": "mostro-info"}, &info); info.Pubkey != w.Exchanges[0].PubKey {
		t.Errorf("got %+v", info)
	}
	base := w.Control[:strings.LastIndex(w.Control, "/")]
	for url, want := range map[string]int{base + "/": 404, base + "/guess/wallets": 404, w.Control + "/wallets": 405, w.Control: 200} {
		r, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("GET %s: status %d, want %d", url, r.StatusCode, want)
		}
	}
	ask, err := http.NewRequest(http.MethodOptions, w.Control+"/pay", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != 204 || r.Header.Get("Access-Control-Allow-Origin") != "*" || r.Header.Get("Access-Control-Allow-Headers") != "Content-Type" {
		t.Errorf("a page's question: status %d, %v", r.StatusCode, r.Header)
	}
}

func TestCommandLinesThatMakeNoSense(t *testing.T) {
	for _, args := range [][]string{
		{"-exchanges", "3"}, {"-exchanges", "0"}, {"-relays", "6"}, {"-listen", "0.0.0.0:0"}, {"-listen", "x"}, {"-transport", "3"},
		{"-transport", ""}, {"-option", "fee=1"}, {"-option", "mostro-fee"}, {"more"}, {"-no-such-flag"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, nil, &out, &errs); code != 2 || out.Len() > 0 || errs.Len() == 0 {
			t.Errorf("%v: code %d, %q, %q", args, code, out.String(), errs.String())
		}
	}
}

// The process ends with its parent's pipe, and by a signal, and leaves neither a process nor a file behind.
func TestTheEndTakesEverythingWithIt(t *testing.T) {
	for name, end := range map[string]func(*exec.Cmd, io.Closer) error{
		"stdin closes": func(_ *exec.Cmd, in io.Closer) error { return in.Close() },
		"SIGTERM":      func(c *exec.Cmd, _ io.Closer) error { return c.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			bin := binaries(t)
			cmd := exec.Command(filepath.Join(bin, "webworld"), "-bin", bin)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			w := read(t, out)
			dir := filepath.Dir(w.Log)
			if n := running(t, dir); n < 3 {
				t.Fatalf("%d plugins run", n)
			}
			if err := end(cmd, in); err != nil {
				t.Fatal(err)
			}
			killer := time.AfterFunc(deadly, func() { cmd.Process.Kill() })
			defer killer.Stop()
			if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
				t.Errorf("it ends with %v: %s", err, stderr.String())
			}
			if n := running(t, dir); n != 0 {
				t.Errorf("%d processes are left", n)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("%s is left: %v", dir, err)
			}
			if _, err := http.Get(w.Exchanges[0].Web); err == nil {
				t.Error("the page is still served")
			}
		})
	}
}

// running counts the processes that work in a directory or below.
func running(t *testing.T, dir string) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil || len(links) == 0 {
		t.Skip("no /proc to look at")
	}
	for _, l := range links {
		if at, err := os.Readlink(l); err == nil && strings.HasPrefix(at, dir) {
			n++
		}
	}
	return n
}
