package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/mostro-cln/mostro/contrib/simln"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/lightning"
	"github.com/mostro-cln/mostro/plugin/safehttp"
)

// payAmount is what the tests pay: 9 990 sat.
const payAmount orders.Msats = 9_990_000

const serviceMetadata = `[["text/plain","pay \"alice\" ₿"],["text/identifier","alice@pay.example.com"]]`

// payService is an LNURL-pay service at pay.example.com, over TLS on a port of this machine.
type payService struct {
	t      *testing.T
	server *httptest.Server
	sim    sim

	mu    sync.Mutex
	first map[string]any                    // changes to the first answer; nil takes a field out
	mint  func(simln.Invoice) simln.Invoice // changes to the invoice
	reply any                               // instead of the second answer
	serve http.HandlerFunc                  // instead of everything
	asked []url.Values                      // queries of callbacks
	key   *secp256k1.PrivateKey             // whose invoices; nil: the wallet "alice" of the simulated node
}

func newPayService(t *testing.T, s sim) *payService {
	p := &payService{t: t, sim: s, key: secp256k1.PrivKeyFromBytes([]byte{7})}
	p.server = httptest.NewTLSServer(http.HandlerFunc(p.handle))
	t.Cleanup(p.server.Close)
	return p
}

// getter asks as the exchange does, but finds every *.example.com here, and its port.
func (p *payService) getter() jsonGetter {
	return viaPort{p.server.Listener.Addr().(*net.TCPAddr).Port, safehttp.New(safehttp.Config{
		Roots: p.server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs,
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			if !strings.HasSuffix(host, ".example.com") {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		},
	})}
}

// viaPort puts a test server's port into every URL.
type viaPort struct {
	port   int
	client *safehttp.Client
}

func (v viaPort) GetJSON(ctx context.Context, text string, out any, header ...safehttp.Header) error {
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(v.port))
	return v.client.GetJSON(ctx, u.String(), out, header...)
}

func (p *payService) handle(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.serve != nil:
		p.serve(w, r)
	case r.URL.Path == "/.well-known/lnurlp/alice" || r.URL.Path == "/link" && r.URL.Query().Get("id") == "s3cret":
		first := map[string]any{
			"tag": "payRequest", "callback": "https://pay.example.com/cb?id=7&amount=1", "minSendable": 1000, "maxSendable": 1e10,
			"metadata": serviceMetadata, "commentAllowed": 20,
		}
		for k, v := range p.first {
			first[k] = v
		}
		json.NewEncoder(w).Encode(first)
	case r.URL.Path == "/cb":
		p.asked = append(p.asked, r.URL.Query())
		if p.reply != nil {
			json.NewEncoder(w).Encode(p.reply)
			return
		}
		amount, err := strconv.ParseUint(r.URL.Query().Get("amount"), 10, 63)
		if err != nil {
			p.t.Errorf("callback with %q", r.URL.RawQuery)
		}
		json.NewEncoder(w).Encode(map[string]any{"pr": p.invoice(simln.Msat(amount)), "routes": []any{}})
	default:
		http.NotFound(w, r)
	}
}

func (p *payService) invoice(amount simln.Msat) string {
	if p.key == nil {
		var made struct{ Bolt11 string }
		p.sim.Must("sim-wallet-invoice", map[string]any{"wallet": "alice", "amount_msat": uint64(amount), "label": fmt.Sprint(len(p.asked))}, &made)
		return made.Bolt11
	}
	described, secret := sha256.Sum256([]byte(serviceMetadata)), [32]byte{9}
	inv := simln.Invoice{
		Prefix: "bcrt", Amount: amount, CreatedAt: uint64(time.Now().Unix()), PaymentHash: sha256.Sum256([]byte{byte(len(p.asked))}),
		PaymentSecret: &secret, DescriptionHash: &described, Expiry: 3600, MinFinalCLTV: 40, Features: []byte{2, 0x41, 0},
	}
	if p.mint != nil {
		inv = p.mint(inv)
	}
	s, err := inv.Encode(p.key)
	if err != nil {
		p.t.Error(err)
	}
	return s
}

// set changes the service under its lock.
func (p *payService) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// queries are the callbacks' queries since the last call.
func (p *payService) queries() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}

// resolver looks destinations up with the simulated node and this service.
func (p *payService) resolver() *resolver { return p.sim.resolver(p.getter()) }

func (s sim) resolver(http jsonGetter) *resolver {
	s.T.Helper()
	n := s.client()
	info, err := n.GetInfo(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	return newResolver(n, http, info, orders.DefaultRules().MaxFinalCLTV, time.Now)
}

// wantPayError asserts an error about the destination, in words that hold this and give nothing away.
func wantPayError(t *testing.T, err error, why string, fatal bool) {
	t.Helper()
	var about *orders.PayError
	switch {
	case !errors.As(err, &about):
		t.Errorf("got %v, want %q about the destination", err, why)
	case !strings.Contains(about.Why, why) || about.Fatal != fatal:
		t.Errorf("got %q, fatal %v; want %q, fatal %v", about.Why, about.Fatal, why, fatal)
	}
	if err != nil {
		for _, private := range []string{"alice", "example", "s3cret", "127.0.0.1", "lnurl1", "lno1"} {
			if strings.Contains(strings.ToLower(err.Error()), private) {
				t.Errorf("%q tells of %q", err, private)
			}
		}
	}
}

func TestPayoutToALightningAddress(t *testing.T) {
	s := startBareSim(t)
	s.Must("sim-wallet-new", []any{"alice", "0msat"}, nil)
	p := newPayService(t, s)
	p.key = nil
	r := p.resolver()
	for _, text := range []string{"Alice@pay.example.com", "lightning:" + asLNURL(t, "https://pay.example.com/link?id=s3cret")} {
		d := parseDestination(text)
		ok, err := r.Check(t.Context(), d)
		if err != nil || ok != (takes{Min: 1000, Max: 10_000_000_000}) || ok.covers(payAmount) != "" {
			t.Fatalf("%s: check: %+v, %v", text, ok, err)
		}
		if n := len(p.queries()); n != 0 {
			t.Errorf("%s: a check asked for %d invoices", text, n)
		}
		got, err := r.Resolve(t.Context(), d, payAmount, "order 12345")
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want := []url.Values{{"id": {"7"}, "amount": {"9990000"}, "comment": {"order 12345"}}}
		if asked := p.queries(); len(asked) != 1 || asked[0].Encode() != want[0].Encode() {
			t.Errorf("%s: asked %v, want %v", text, asked, want)
		}
		if got.Expires < time.Now().Unix()+3500 {
			t.Errorf("%s: expires %d", text, got.Expires)
		}
		pay := lightning.NewPayer(r.node, slog.New(slog.DiscardHandler), lightning.ParseVersion("v26.06"), "s", time.Now)
		o := orders.Pay{Invoice: got.Invoice, Hash: got.Hash, Amount: payAmount, MaxFee: 100_000, Attempt: 1}
		if err := pay.Send(t.Context(), o, "mostro/x/1"); err != nil {
			t.Fatalf("%s: pay: %v", text, err)
		}
		if r, err := pay.Ask(t.Context(), got.Hash); err != nil || r.State != orders.PayDone || !r.Preimage.Matches(got.Hash) {
			t.Errorf("ask: %v, %v", r.State, err)
		}
	}
	var balance struct {
		Available orders.Msats `json:"available_msat"`
	}
	s.Must("sim-wallet-balance", []any{"alice"}, &balance)
	if balance.Available != 2*payAmount {
		t.Errorf("alice has %s, want twice %s", balance.Available, payAmount)
	}
	s.Must("sim-audit", nil, nil)
}

// Everything that a service can do wrong, and whether it is worth another try.
func TestServicesThatDoWrong(t *testing.T) {
	s := startBareSim(t)
	s.Must("sim-wallet-new", []any{"alice", "0msat"}, nil)
	var own struct{ Bolt11 string }
	s.Must("invoice", map[string]any{"amount_msat": uint64(payAmount), "label": "own", "description": "x"}, &own)
	d := parseDestination("alice@pay.example.com")
	link := parseDestination(asLNURL(t, "https://pay.example.com/link?id=s3cret"))
	mint := func(change func(*simln.Invoice)) func(*payService) {
		return func(p *payService) {
			p.mint = func(inv simln.Invoice) simln.Invoice { change(&inv); return inv }
		}
	}
	first := func(key string, v any) func(*payService) {
		return func(p *payService) { p.first = map[string]any{key: v} }
	}
	reply := func(v any) func(*payService) { return func(p *payService) { p.reply = v } }
	status := func(code int) func(*payService) {
		return func(p *payService) { p.serve = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) } }
	}
	body := func(text string) func(*payService) {
		return func(p *payService) { p.serve = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) } }
	}
	for _, c := range []struct {
		name  string
		do    func(*payService)
		to    destination // zero: d
		why   string
		fatal bool
		early bool // Check sees it too
	}{
		{name: "a 404", do: status(404), why: "status 404", early: true},
		{name: "a redirect", do: func(p *payService) {
			p.serve = http.RedirectHandler("https://other.example.com/", http.StatusFound).ServeHTTP
		}, why: "redirects", fatal: true, early: true},
		{name: "no JSON", do: body("<html>"), why: "something else", early: true},
		{name: "another JSON", do: body(`["payRequest"]`), why: "something else", early: true},
		{name: "null", do: body(`null`), why: "takes no payments", fatal: true, early: true},
		{name: "an amount that is a word", do: first("minSendable", "1000"), why: "something else", early: true},
		{name: "too much", do: body(`"` + strings.Repeat("x", 1<<17) + `"`), why: "too much", fatal: true, early: true},
		{name: "no such host", to: parseDestination("alice@pay.example.net"), why: "could not be resolved", early: true},
		{name: "an onion without a proxy", to: parseDestination("alice@" + strings.Repeat("a", 56) + ".onion"), why: "onion", fatal: true, early: true},
		{name: "an error with a reason", do: body(`{"status":"ERROR","reason":"closed\nfor today"}`), why: "refused: closed for today", early: true},
		{name: "a reason that quotes the address", do: body(`{"status":"error","reason":"no user Alice here"}`), why: "refused", early: true},
		{name: "a reason that quotes the link", do: body(`{"status":"error","reason":"no id=s3cret"}`), to: link, why: "refused", early: true},
		{name: "another tag", do: first("tag", "withdrawRequest"), why: "takes no payments", fatal: true, early: true},
		{name: "no callback", do: first("callback", nil), why: "gives a URL", fatal: true, early: true},
		{name: "a callback in the clear", do: first("callback", "http://pay.example.com/cb"), why: "not https", fatal: true, early: true},
		{name: "a callback with a password", do: first("callback", "https://a:b@pay.example.com/cb"), why: "no plain host", fatal: true, early: true},
		{name: "a callback into the operator's network", do: first("callback", "https://10.0.0.1/cb"), why: "not public", fatal: true},
		{name: "a callback to a name of that network", do: first("callback", "https://router.lan/cb"), why: "no host of the internet", fatal: true},
		{name: "bounds that no amount meets", do: first("minSendable", 1e11), why: "names no amount", fatal: true, early: true},
		{name: "no upper bound", do: first("maxSendable", nil), why: "names no amount", fatal: true, early: true},
		{name: "less than the amount at most", do: first("maxSendable", int64(payAmount)-1), why: "takes 1000 to 9989999 msat", early: true},
		{name: "more than the amount at least", do: first("minSendable", int64(payAmount)+1), why: "takes 9990001 to", early: true},
		{name: "a refusal at the callback", do: reply(map[string]any{"status": "ERROR", "reason": "try later"}), why: "refused: try later"},
		{name: "an empty invoice", do: reply(map[string]any{"pr": " "}), why: "gave no invoice"},
		{name: "an offer for an invoice", do: reply(map[string]any{"pr": "lno1qqqq"}), why: "no invoice", fatal: true},
		{name: "an invoice with a wrong checksum", do: reply(map[string]any{"pr": "lnbcrt10u1qqqqqqqqqqqqqqqq"}), why: "cannot read", fatal: true},
		{name: "more than the amount", do: mint(func(inv *simln.Invoice) { inv.Amount++ }), why: "another amount", fatal: true},
		{name: "less than the amount", do: mint(func(inv *simln.Invoice) { inv.Amount -= 1000 }), why: "another amount", fatal: true},
		{name: "any amount", do: mint(func(inv *simln.Invoice) { inv.Amount = 0 }), why: "another amount", fatal: true},
		{name: "another network", do: mint(func(inv *simln.Invoice) { inv.Prefix = "bc" }), why: "another network", fatal: true},
		{name: "another description", do: mint(func(inv *simln.Invoice) { inv.DescriptionHash[0] ^= 1 }), why: "something else", fatal: true},
		{name: "too long a lock", do: mint(func(inv *simln.Invoice) { inv.MinFinalCLTV = 433 }), why: "too long a lock", fatal: true},
		{name: "no time left", do: mint(func(inv *simln.Invoice) { inv.Expiry = leastLife - 1 }), why: "expires too soon", fatal: true},
		{name: "an old invoice", do: mint(func(inv *simln.Invoice) { inv.CreatedAt -= 3600 }), why: "expires too soon", fatal: true},
		{name: "an invoice of our own node", do: reply(map[string]any{"pr": own.Bolt11}), why: "own node", fatal: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPayService(t, s)
			if c.do != nil {
				c.do(p)
			}
			r := p.resolver()
			to := c.to
			if to.Kind == unknownDestination {
				to = d
			}
			got, err := r.Resolve(t.Context(), to, payAmount, "")
			wantPayError(t, err, c.why, c.fatal)
			if got != (resolved{}) {
				t.Errorf("got %+v beside the error", got)
			}
			ok, err := r.Check(t.Context(), to)
			if err != nil || (ok.covers(payAmount) != "") != c.early {
				t.Errorf("check: %+v, %v; want a problem: %v", ok, err, c.early)
			}
		})
	}
}

func TestInvoicesThatAreAsTheyShouldBe(t *testing.T) {
	s := startBareSim(t)
	d := parseDestination("alice@pay.example.com")
	for name, mint := range map[string]func(*simln.Invoice){
		"with the hash of the metadata": func(*simln.Invoice) {},
		"with a description of its own": func(inv *simln.Invoice) { text := "thanks"; inv.DescriptionHash, inv.Description = nil, &text },
		"with the longest lock":         func(inv *simln.Invoice) { inv.MinFinalCLTV = 432 },
		"with just enough time":         func(inv *simln.Invoice) { inv.Expiry = leastLife + 10 },
	} {
		p := newPayService(t, s)
		p.mint = func(inv simln.Invoice) simln.Invoice { mint(&inv); return inv }
		got, err := p.resolver().Resolve(t.Context(), d, payAmount, "")
		if err != nil || !strings.HasPrefix(got.Invoice, "lnbcrt") || got.Hash != sha256.Sum256([]byte{1}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestNotesGoAlongWhereTheyFitWhole(t *testing.T) {
	s := startBareSim(t)
	d := parseDestination("alice@pay.example.com")
	for _, c := range []struct {
		name    string
		allowed any
		note    string
		sent    bool
	}{
		{"as long as allowed, in characters", 4, "ab₿d", true},
		{"one too long", 3, "abcd", false},
		{"none allowed", nil, "a", false},
		{"no note", 20, "", false},
		{"no bound to speak of", 1e30, strings.Repeat("x", 200), true},
	} {
		p := newPayService(t, s)
		p.first = map[string]any{"commentAllowed": c.allowed}
		if _, err := p.resolver().Resolve(t.Context(), d, payAmount, c.note); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		asked := p.queries()
		if got := asked[0]["comment"]; c.sent != slices.Equal(got, []string{c.note}) || !c.sent && got != nil {
			t.Errorf("%s: sent %q", c.name, got)
		}
	}
}

// What our own side cannot do says nothing about the destination.
func TestOurOwnTroubleIsNoJudgement(t *testing.T) {
	s := startBareSim(t)
	p := newPayService(t, s)
	r := p.resolver()
	d := parseDestination("alice@pay.example.com")

	ended, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	p.serve = func(_ http.ResponseWriter, r *http.Request) { // the caller stops while the service thinks
		cancel()
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}
	defer close(release)
	var about *orders.PayError
	if _, err := r.Resolve(ended, d, payAmount, ""); !errors.Is(err, context.Canceled) || errors.As(err, &about) {
		t.Errorf("the caller stops: %v", err)
	}
	if got, err := r.Check(ended, d); !errors.Is(err, context.Canceled) || got != (takes{}) {
		t.Errorf("the caller stops: %+v, %v", got, err)
	}
	p.set(func() { p.serve = nil })

	for range maxChecks {
		r.checks <- struct{}{}
	}
	if got, err := r.Check(t.Context(), d); err == nil || errors.As(err, &about) {
		t.Errorf("too many checks: %+v, %v", got, err)
	}
	for range maxChecks {
		<-r.checks
	}

	s.Kill()
	if _, err := r.Resolve(t.Context(), d, payAmount, ""); err == nil || errors.As(err, &about) {
		t.Errorf("the node is gone: %v", err)
	}
	if got, err := r.Check(t.Context(), d); err != nil || got.Problem != "" {
		t.Errorf("the node is gone, the service is not: %+v, %v", got, err)
	}
}

func TestTextsThatCannotBeLookedUp(t *testing.T) {
	s := startBareSim(t)
	r := s.resolver(nil)
	for _, text := range []string{"hello", "lnbcrt10u1pvj"} {
		_, err := r.Resolve(t.Context(), parseDestination(text), payAmount, "")
		wantPayError(t, err, "", true)
		if got, err := r.Check(t.Context(), parseDestination(text)); err != nil || got.Problem == "" {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	_, err := r.Resolve(t.Context(), parseDestination("alice@pay.example.com"), 0, "")
	wantPayError(t, err, "nothing", true)
}
