package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/internal/simtest"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

// startMainnetSim is a simulated node on bitcoin, where its offers, which name no chain, belong (BOLT 12).
func startMainnetSim(t *testing.T) sim {
	t.Helper()
	s := sim{simtest.New(t)}
	s.Cfg.Network = "bitcoin"
	s.Start()
	t.Cleanup(func() { s.Kill() })
	s.Must("sim-wallet-new", []any{"alice", "0msat"}, nil)
	return s
}

func (s sim) offer(params map[string]any) string {
	s.T.Helper()
	var made struct{ Offer string }
	s.Must("sim-wallet-offer", params, &made)
	return made.Offer
}

func (s sim) balance(wallet string) orders.Msats {
	s.T.Helper()
	var w struct {
		Available orders.Msats `json:"available_msat"`
	}
	s.Must("sim-wallet-balance", []any{wallet}, &w)
	return w.Available
}

func TestPayoutToAnOffer(t *testing.T) {
	s := startMainnetSim(t)
	r := s.resolver(nil)
	anyAmount := s.offer(map[string]any{"wallet": "alice", "bip353": "alice@pay.example.com"})
	fixed := s.offer(map[string]any{"wallet": "alice", "amount_msat": uint64(payAmount)})
	paid := orders.Msats(0)
	for _, c := range []struct {
		name, text string
		takes      takes
	}{
		{"for any amount", anyAmount, takes{Min: 1, Max: orders.MaxSats.Msats()}},
		{"for this amount", strings.ToUpper(fixed), takes{Min: payAmount, Max: payAmount}},
		{"behind a name", "₿Alice@pay.example.com", takes{Min: 1, Max: orders.MaxSats.Msats()}},
		{"behind an address that is a name too", "alice@pay.example.com", takes{Min: 1, Max: orders.MaxSats.Msats()}},
	} {
		d := parseDestination(c.text)
		if got, err := r.Check(t.Context(), d); err != nil || got != c.takes {
			t.Errorf("%s: check: %+v, %v", c.name, got, err)
		}
		got, err := r.Resolve(t.Context(), d, payAmount, "order 12345")
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !strings.HasPrefix(got.Invoice, "lni1") || got.Hash.IsZero() || got.Expires < time.Now().Unix()+7000 {
			t.Errorf("%s: got %+v", c.name, got)
		}
		s.Must("xpay", map[string]any{"invstring": got.Invoice, "maxfee": 100_000}, nil)
		if parts, err := r.node.ListSendPays(t.Context(), got.Hash); err != nil || len(parts) != 1 || parts[0].Status != "complete" {
			t.Errorf("%s: paid %+v, %v under the hash that was resolved", c.name, parts, err)
		}
		if paid += payAmount; s.balance("alice") != paid {
			t.Errorf("%s: alice has %s, want %s", c.name, s.balance("alice"), paid)
		}
	}
	s.Must("sim-audit", nil, nil)
}

func TestOffersThatGiveNothing(t *testing.T) {
	s := startMainnetSim(t)
	r := s.resolver(nil)
	offer := s.offer(map[string]any{"wallet": "alice"})
	fixed := s.offer(map[string]any{"wallet": "alice", "amount_msat": uint64(payAmount) + 1, "bip353": "fixed@pay.example.com"})

	got, err := r.Check(t.Context(), parseDestination(fixed))
	if err != nil || got.covers(payAmount) == "" || got.covers(payAmount+1) != "" {
		t.Errorf("another amount: %+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		text, why string
		fatal     bool
	}{
		"another amount":          {fixed, "another amount", true},
		"another amount, by name": {"₿fixed@pay.example.com", "takes 9990001", true},
		"an unknown string":       {"lno1qqqqqqqq", "cannot read", true},
		"no such name":            {"₿bob@pay.example.com", "not be resolved", false},
	} {
		_, err := r.Resolve(t.Context(), parseDestination(c.text), payAmount, "")
		if wantPayError(t, err, c.why, c.fatal); t.Failed() {
			t.Fatal(name)
		}
	}
	s.Must("sim-wallet-connect", map[string]any{"wallet": "alice", "connected": false}, nil)
	_, err = r.Resolve(t.Context(), parseDestination(offer), payAmount, "")
	wantPayError(t, err, "no way to the offer's node", false)
}

// An address is asked as a BIP 353 name first, and as LNURL where that gives nothing.
func TestAddressesHaveTwoWays(t *testing.T) {
	s := startMainnetSim(t)
	p := newPayService(t, s)
	p.mint = func(inv simln.Invoice) simln.Invoice { inv.Prefix = "bc"; return inv }
	r := p.resolver()
	d := parseDestination("alice@pay.example.com")
	way := func(want string) {
		t.Helper()
		got, err := r.Resolve(t.Context(), d, payAmount, "")
		if err != nil || !strings.HasPrefix(got.Invoice, want) {
			t.Errorf("got %.8s, %v; want %s", got.Invoice, err, want)
		}
	}
	way("lnbc")
	s.offer(map[string]any{"wallet": "alice", "bip353": "alice@pay.example.com"})
	way("lni1")
	s.Must("sim-wallet-connect", map[string]any{"wallet": "alice", "connected": false}, nil)
	way("lnbc")

	p.set(func() { p.serve = http.NotFound })
	_, err := r.Resolve(t.Context(), d, payAmount, "")
	wantPayError(t, err, "status 404", false)
	if got, err := r.Check(t.Context(), d); err != nil || got.Problem != "" {
		t.Errorf("check: %+v, %v", got, err)
	}
	p.set(func() { p.serve, p.first = nil, map[string]any{"tag": "login"} })
	_, err = r.Resolve(t.Context(), d, payAmount, "") // LNURL is hopeless, the offer's node may come back
	wantPayError(t, err, "no way to the offer's node", false)

	// A name whose offer has another amount: the service counts.
	p.set(func() { p.first = nil })
	s.offer(map[string]any{"wallet": "alice", "bip353": "bob@pay.example.com", "amount_msat": 5})
	if got, err := r.Check(t.Context(), parseDestination("bob@pay.example.com")); err != nil || got.Min != 5 || got.Max != 5 {
		t.Errorf("check: %+v, %v", got, err) // there is no bob at the service
	}
}

// wireNode is lightningd's socket with answers of the test's own for the four commands of a look-up. It refuses
// parameters that a command does not have.
type wireNode struct {
	t  *testing.T
	mu sync.Mutex
	// The answers, as JSON fields or a *clnio.Error; decode's by the string that is read.
	decode         map[string]any
	fetch, resolve any
	own            []any  // listinvoices
	cut            string // a command whose connection is lost before its answer
	asked          map[string]map[string]any
}

var wireParams = map[string][]string{
	"decode": {"string"}, "listinvoices": {"payment_hash"}, "fetchbip353": {"address"},
	"fetchinvoice": {"offer", "amount_msat", "quantity", "timeout", "payer_note", "bip353"},
}

func newWireNode(t *testing.T) (*wireNode, *lightning.Node) {
	t.Helper()
	path := filepath.Join(simtest.ShortDir(t), "rpc")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	w := &wireNode{t: t, decode: map[string]any{}, asked: map[string]map[string]any{}}
	n := lightning.NewNode(path)
	t.Cleanup(func() { n.Close(); l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.serve(c)
		}
	}()
	return w, n
}

func (w *wireNode) serve(c net.Conn) {
	defer c.Close()
	r, out := clnio.NewReader(c, 1<<20), clnio.NewWriter(c)
	for {
		raw, err := r.Next()
		if err != nil {
			return
		}
		var m clnio.Message
		var params map[string]any
		if json.Unmarshal(raw, &m) != nil || json.Unmarshal(m.Params, &params) != nil {
			w.t.Errorf("lightningd refuses %s", raw)
			return
		}
		w.mu.Lock()
		cut := w.cut == m.Method
		w.mu.Unlock()
		if cut {
			return
		}
		reply := clnio.Message{ID: m.ID}
		switch answer := w.answer(m.Method, params).(type) {
		case *clnio.Error:
			reply.Error = answer
		default:
			reply.Result, _ = json.Marshal(answer)
		}
		out.Write(reply)
	}
}

func (w *wireNode) answer(method string, params map[string]any) any {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range params {
		if !slices.Contains(wireParams[method], name) {
			return clnio.Errorf(clnio.CodeInvalidParams, "unknown parameter: %s", name)
		}
	}
	w.asked[method] = params
	switch method {
	case "decode":
		if d, ok := w.decode[params["string"].(string)]; ok {
			return d
		}
		return clnio.Errorf(clnio.CodeInvalidParams, "Unparsable string")
	case "fetchinvoice":
		return w.fetch
	case "fetchbip353":
		return w.resolve
	case "listinvoices":
		return map[string]any{"invoices": w.own}
	}
	return clnio.Errorf(clnio.CodeMethodNotFound, "Unknown command '%s'", method)
}

// Fields of decode as Core Lightning prints them on regtest.
const (
	wireOffer   = "lno1qqqq"
	wireInvoice = "lni1pppp"
	wireNow     = 1_800_000_000
	wireSelf    = "02aa"
)

func wireOfferFields() map[string]any {
	return map[string]any{
		"type": "bolt12 offer", "valid": true, "offer_id": strings.Repeat("ab", 32), "offer_chains": []any{chainHashes["regtest"]},
		"offer_description": "x", "offer_issuer_id": "03bb",
	}
}

func wireInvoiceFields() map[string]any {
	return map[string]any{
		"type": "bolt12 invoice", "valid": true, "offer_chains": []any{chainHashes["regtest"]}, "invreq_chain": chainHashes["regtest"],
		"invoice_paths":      []any{map[string]any{"blinding": "02cc", "payinfo": map[string]any{"cltv_expiry_delta": 224}}},
		"invoice_created_at": wireNow - 10, "invoice_relative_expiry": 7200, "invoice_payment_hash": strings.Repeat("cd", 32),
		"invoice_amount_msat": payAmount, "invoice_node_id": "03bb",
	}
}

// wireResolver is a resolver over a wire node on which everything is well.
func wireResolver(t *testing.T) (*wireNode, *resolver) {
	w, n := newWireNode(t)
	w.decode[wireOffer], w.decode[wireInvoice] = wireOfferFields(), wireInvoiceFields()
	w.fetch = map[string]any{"invoice": wireInvoice, "changes": map[string]any{"amount_msat": payAmount}}
	w.resolve = map[string]any{"proof": "00", "instructions": []any{map[string]any{"onchain": "bcrt1q"}, map[string]any{"offer": wireOffer}}}
	return w, newResolver(n, nil, lightning.Info{ID: wireSelf, Network: "regtest"}, 432, func() time.Time { return time.Unix(wireNow, 0) })
}

// set changes one field of a decoded string; nil takes it out.
func (w *wireNode) set(text, field string, v any) {
	d := maps.Clone(w.decode[text].(map[string]any))
	if d[field] = v; v == nil {
		delete(d, field)
	}
	w.decode[text] = d
}

// Everything that an offer, its node or its invoice can do wrong, and whether it is worth another try.
func TestOffersThatDoWrong(t *testing.T) {
	offer := func(field string, v any) func(*wireNode) {
		return func(w *wireNode) { w.set(wireOffer, field, v) }
	}
	invoice := func(field string, v any) func(*wireNode) {
		return func(w *wireNode) { w.set(wireInvoice, field, v) }
	}
	code := func(n int) func(*wireNode) {
		return func(w *wireNode) { w.fetch = clnio.Errorf(n, "alice says no") }
	}
	change := func(name string, v any) func(*wireNode) {
		return func(w *wireNode) {
			w.fetch = map[string]any{"invoice": wireInvoice, "changes": map[string]any{name: v}}
		}
	}
	for _, c := range []struct {
		name  string
		do    func(*wireNode)
		why   string
		fatal bool
		early bool // Check sees it too
	}{
		{"not valid", offer("valid", false), "not a valid", true, true},
		{"an invoice request", offer("type", "bolt12 invoice_request"), "not a valid", true, true},
		{"for bitcoin, by its silence", offer("offer_chains", nil), "another network", true, true},
		{"for another chain", offer("offer_chains", []any{chainHashes["testnet"]}), "another network", true, true},
		{"in euros", offer("offer_currency", "EUR"), "another currency", true, true},
		{"recurring", offer("offer_recurrence", map[string]any{"period": 1, "time_unit": 1}), "recurring", true, true},
		{"expired", offer("offer_absolute_expiry", wireNow), "expired", true, true},
		{"our own", offer("offer_issuer_id", wireSelf), "own node", true, true},
		{"for another amount", offer("offer_amount_msat", payAmount-1), "another amount", true, true},
		{"for more than there is", offer("offer_amount_msat", uint64(math.MaxUint64)), "cannot read", true, true},
		{"expired meanwhile", code(1002), "expired", true, false},
		{"no way there", code(1003), "no way", false, false},
		{"refused", code(1004), "refused", false, false},
		{"no answer", code(1005), "did not answer", false, false},
		{"not understood", code(-32602), "cannot use", true, false},
		{"a node without offers", code(-32601), "fetches no invoices", true, false},
		{"some other code", code(-1), "code -1", false, false},
		{"an invoice that costs more", change("amount_msat", payAmount+1), "another amount", true, false},
		{"an amount that is none", change("amount_msat", "all"), "another amount", true, false},
		{"of another vendor", change("vendor", "bob"), "not what was offered", true, false},
		{"without its vendor", change("vendor_removed", "bob"), "not what was offered", true, false},
		{"with a change that we don't know", change("offer_paths", []any{}), "not what was offered", true, false},
		{"an invoice that nobody can read", func(w *wireNode) { delete(w.decode, wireInvoice) }, "cannot read", true, false},
		{"an invoice that is not valid", invoice("valid", false), "not valid", true, false},
		{"another thing than an invoice", invoice("type", "bolt12 offer"), "not valid", true, false},
		{"an invoice without a hash", invoice("invoice_payment_hash", nil), "not valid", true, false},
		{"an invoice for bitcoin, by its silence", invoice("invreq_chain", nil), "another network", true, false},
		{"an invoice for another chain", invoice("invreq_chain", chainHashes["signet"]), "another network", true, false},
		{"more than the amount", invoice("invoice_amount_msat", payAmount+1), "another amount", true, false},
		{"no amount", invoice("invoice_amount_msat", nil), "another amount", true, false},
		{"an invoice of our own node", invoice("invoice_node_id", wireSelf), "own node", true, false},
		{"an invoice of our own behind a path", func(w *wireNode) { w.own = []any{map[string]any{"label": "x", "status": "unpaid"}} }, "own node", true, false},
		{"an invoice of a time that there is not", invoice("invoice_created_at", uint64(math.MaxUint64)), "cannot read", true, false},
		{"no time left", invoice("invoice_relative_expiry", leastLife+9), "expires too soon", true, false},
		{"an old invoice without an expiry", func(w *wireNode) {
			w.set(wireInvoice, "invoice_relative_expiry", nil)
			w.set(wireInvoice, "invoice_created_at", wireNow-7200) // BOLT 12
		}, "expires too soon", true, false},
		{"too long a lock", invoice("invoice_paths", []any{map[string]any{"payinfo": map[string]any{"cltv_expiry_delta": maxPathCLTV + 1}}}), "too long a lock", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, r := wireResolver(t)
			c.do(w)
			d := destination{Kind: bolt12Offer, Text: wireOffer}
			got, err := r.Resolve(t.Context(), d, payAmount, "")
			wantPayError(t, err, c.why, c.fatal)
			if got != (resolved{}) {
				t.Errorf("got %+v beside the error", got)
			}
			ok, err := r.Check(t.Context(), d)
			if err != nil || (ok.covers(payAmount) != "") != c.early {
				t.Errorf("check: %+v, %v; want a problem: %v", ok, err, c.early)
			}
		})
	}
}

// What we ask of the offer's node, and what does not matter in what it gives.
func TestInvoicesOfOffers(t *testing.T) {
	for _, c := range []struct {
		name string
		text string
		do   func(*wireNode)
		ask  map[string]any
	}{
		{"for any amount", wireOffer, func(*wireNode) {}, map[string]any{"amount_msat": 9_990_000.0}},
		{"for this amount", wireOffer, func(w *wireNode) { w.set(wireOffer, "offer_amount_msat", payAmount) }, map[string]any{}},
		{"by the piece", wireOffer, func(w *wireNode) { w.set(wireOffer, "offer_quantity_max", 0) }, map[string]any{"amount_msat": 9_990_000.0, "quantity": 1.0}},
		{"by a name, the second of whose instructions is an offer", "₿alice@pay.example.com", func(*wireNode) {}, map[string]any{"amount_msat": 9_990_000.0, "bip353": "alice@pay.example.com"}},
		{"no changes", wireOffer, func(w *wireNode) {
			w.fetch = map[string]any{"invoice": strings.ToUpper(wireInvoice), "changes": map[string]any{}}
		}, map[string]any{"amount_msat": 9_990_000.0}},
		{"another description", wireOffer, func(w *wireNode) {
			w.fetch = map[string]any{"invoice": wireInvoice, "changes": map[string]any{"description": "y", "description_appended": "z"}}
		}, map[string]any{"amount_msat": 9_990_000.0}},
		{"an offer for ever", wireOffer, func(w *wireNode) { w.set(wireOffer, "offer_absolute_expiry", uint64(math.MaxUint64)) }, map[string]any{"amount_msat": 9_990_000.0}},
		{"no expiry", wireOffer, func(w *wireNode) { w.set(wireInvoice, "invoice_relative_expiry", nil) }, map[string]any{"amount_msat": 9_990_000.0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, r := wireResolver(t)
			c.do(w)
			got, err := r.Resolve(t.Context(), parseDestination(c.text), payAmount, "order 12345")
			if err != nil || got.Invoice != wireInvoice || got.Hash.String() != strings.Repeat("cd", 32) || got.Expires != wireNow-10+7200 {
				t.Errorf("got %+v, %v", got, err)
			}
			c.ask["offer"], c.ask["payer_note"], c.ask["timeout"] = wireOffer, "order 12345", 40.0
			if asked := w.asked["fetchinvoice"]; fmt.Sprint(asked) != fmt.Sprint(c.ask) {
				t.Errorf("asked %v, want %v", asked, c.ask)
			}
		})
	}
}

// A node that cannot be asked says nothing about the destination, and nobody is asked for another one.
func TestLookUpsThatTheNodeBreaksOff(t *testing.T) {
	const name = "₿alice@pay.example.com"
	for _, c := range []struct {
		name, text string
		do         func(*wireNode)
		checkToo   bool
	}{
		{"decode", wireOffer, func(w *wireNode) { w.cut = "decode" }, true},
		{"fetchinvoice", wireOffer, func(w *wireNode) { w.cut = "fetchinvoice" }, false},
		{"listinvoices", wireOffer, func(w *wireNode) { w.cut = "listinvoices" }, false},
		{"fetchbip353", name, func(w *wireNode) { w.cut = "fetchbip353" }, true},
		{"decode behind a name", name, func(w *wireNode) { w.cut = "decode" }, true},
		{"the offers plugin stops", wireOffer, func(w *wireNode) { w.fetch = clnio.Errorf(clnio.CodePluginTerminated, "gone") }, false},
		{"the node stops", name, func(w *wireNode) { w.resolve = clnio.Errorf(clnio.CodeShuttingDown, "gone") }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, r := wireResolver(t)
			c.do(w)
			var about *orders.PayError
			if got, err := r.Resolve(t.Context(), parseDestination(c.text), payAmount, ""); err == nil || errors.As(err, &about) {
				t.Errorf("got %+v, %v", got, err)
			}
			if got, err := r.Check(t.Context(), parseDestination(c.text)); (err != nil) != c.checkToo || got.Problem != "" {
				t.Errorf("check: %+v, %v", got, err)
			}
		})
	}
}

// An invoice that the node has signed and not stored, as hold invoices are, shows by its payee alone.
func TestServicesThatGiveOurOwnHoldInvoices(t *testing.T) {
	w, r := wireResolver(t)
	fields := map[string]any{
		"type": "bolt11 invoice", "valid": true, "currency": "bcrt", "created_at": wireNow, "expiry": 3600, "payee": "03bb",
		"amount_msat": payAmount, "payment_hash": strings.Repeat("cd", 32), "min_final_cltv_expiry": 18, "description": "x",
	}
	w.decode["lnbcrt1q"] = fields
	if got, err := r.judgeBolt11(t.Context(), "lnbcrt1q", payAmount, orders.Hash{}); err != nil || got.Expires != wireNow+3600 {
		t.Fatalf("got %+v, %v", got, err)
	}
	w.set("lnbcrt1q", "payee", wireSelf)
	_, err := r.judgeBolt11(t.Context(), "lnbcrt1q", payAmount, orders.Hash{})
	wantPayError(t, err, "own node", true)
}

func TestNamesThatLeadNowhere(t *testing.T) {
	instructions := func(list ...any) map[string]any { return map[string]any{"proof": "00", "instructions": list} }
	one := map[string]any{"offer": wireOffer}
	for _, c := range []struct {
		name    string
		resolve any
		why     string
		fatal   bool
	}{
		{"an old node", clnio.Errorf(-32601, "Unknown command 'fetchbip353'"), "resolves no BIP 353 names", true},
		{"no record", clnio.Errorf(-32700, "no record"), "could not be resolved", false},
		{"no instructions", instructions(), "no offer", true},
		{"only an address on the chain", instructions(map[string]any{"onchain": "bcrt1q"}), "no offer", true},
		{"an offer that is none", instructions(map[string]any{"offer": "lnbc1q"}), "no offer", true},
		{"an offer that cannot be read", instructions(map[string]any{"offer": "lno1zzzz"}), "cannot read", true},
		{"an amount of its own", instructions(map[string]any{"offer": wireOffer, "offchain_amount_msat": 7}), "takes 7 to 7 msat", true},
		{"too many that are no use", instructions(map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}, one), "no offer", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, r := wireResolver(t)
			w.resolve = c.resolve
			d := parseDestination("₿alice@pay.example.com")
			_, err := r.Resolve(t.Context(), d, payAmount, "")
			wantPayError(t, err, c.why, c.fatal)
			if got, err := r.Check(t.Context(), d); err != nil || got.covers(payAmount) == "" {
				t.Errorf("check: %+v, %v", got, err)
			}
		})
	}
}
