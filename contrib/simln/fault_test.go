package simln_test

import (
	"errors"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
)

func TestFaultsOfTheSocket(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault map[string]any
		code  int  // 0: the connection breaks
		done  bool // the invoice is there afterwards
	}{
		{"error", map[string]any{"mode": "error", "code": -5, "times": 1}, -5, false},
		{"cut", map[string]any{"mode": "cut", "times": 1}, 0, false},
		{"lost", map[string]any{"mode": "lost", "times": 1}, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t)
			c.fault["method"] = "invoice"
			w.call("sim-fault", c.fault, nil)
			err := w.Call(testContext(t), "invoice", []any{1000, "first", "d"}, nil)
			var re *simln.RPCError
			if got := errors.As(err, &re); err == nil || got != (c.code != 0) || got && re.Code != c.code {
				t.Errorf("got %v", err)
			}
			var l struct{ Invoices []any }
			w.call("listinvoices", nil, &l)
			if (len(l.Invoices) == 1) != c.done {
				t.Errorf("invoices: %v", l.Invoices)
			}
			w.call("invoice", []any{1000, "second", "d"}, nil) // the fault was for one call
		})
	}
}

func TestDelayedCallLetsOthersPass(t *testing.T) {
	w := start(t)
	w.call("sim-fault", map[string]any{"method": "decode", "mode": "delay", "delay_ms": 3_600_000}, nil)
	i := w.invoice(1000)
	c := dial(w)
	c.send(`{"jsonrpc":"2.0","id":"slow","method":"decode","params":["` + i.Bolt11 + `"]}{"jsonrpc":"2.0","id":"fast","method":"getinfo","params":[]}`)
	if got := c.read(); !strings.Contains(got, `"id":"fast"`) {
		t.Errorf("first came %s", got)
	}
	w.AdvanceClock(time.Hour)
	if got := c.read(); !strings.Contains(got, `"id":"slow","result"`) {
		t.Errorf("then came %s", got)
	}
	w.call("sim-fault", map[string]any{"method": "decode", "mode": "off"}, nil)
	w.call("decode", []any{i.Bolt11}, nil)
	w.refused(-32602, "sim-fault", []any{"decode", "explode"})
}

func TestSetConfigAsksThePlugin(t *testing.T) {
	p := newFake(t, "p")
	p.manifest["options"] = []any{option("p-fee", "int", "default", 1, "dynamic", true), option("p-fixed", "int", "default", 1)}
	w := start(t, p.spec())
	done := make(chan error, 1)
	go func() { done <- w.Call(testContext(t), "setconfig", []any{"p-fee", 5}, nil) }()
	m := p.next("setconfig")
	if textOf(field(m, "config")) != "p-fee" || textOf(field(m, "val")) != "5" {
		t.Errorf("asked %s", m.Params)
	}
	p.answer(m, map[string]any{})
	check(t, <-done)
	go func() { done <- w.Call(testContext(t), "setconfig", []any{"p-fee", 50}, nil) }()
	p.write(rawReply(p.next("setconfig"), `,"error":{"code":-32602,"message":"too dear"}`))
	if err := <-done; err == nil || !strings.Contains(err.Error(), "too dear") {
		t.Errorf("got %v", err)
	}
	var l struct {
		Configs map[string]struct {
			Int int `json:"value_int"`
		}
	}
	w.call("listconfigs", []any{"p-fee"}, &l)
	if l.Configs["p-fee"].Int != 5 {
		t.Errorf("listconfigs %+v", l)
	}
	w.refused(-32602, "setconfig", []any{"p-fixed", 2})
	w.refused(-32602, "setconfig", []any{"p-fee", "dear"})
}

func TestStopOfADynamicHolderReleasesItsHolds(t *testing.T) {
	for _, listens := range []bool{false, true} { // with and without a subscription to shutdown
		holder := newFake(t, "holder", "htlc_accepted")
		holder.manifest["dynamic"] = true
		if !listens {
			holder.manifest["subscriptions"] = []string{}
		}
		w := start(t, holder.spec())
		i := w.holdInvoice(1_000_000)
		w.pay(i, nil)
		holder.next("htlc_accepted")
		check(t, w.StopPlugin(testContext(t), "holder"))
		if p := w.outcome(i); p.Code != 203 {
			t.Errorf("shutdown %v: payer %+v", listens, p)
		}
	}
}

func TestChannelsHoldTheNodesBalance(t *testing.T) {
	w := startWith(t, simln.Config{NodeBalance: 10_000_000})
	w.pay(w.invoice(900_000_000), map[string]any{"parts": 2})
	w.outcome(invoice{Hash: hashOfTestPreimage})
	sum := func() (sum uint64) {
		var l struct {
			Channels []struct {
				Spendable uint64 `json:"spendable_msat"`
			}
		}
		w.call("listpeerchannels", nil, &l)
		for _, c := range l.Channels {
			sum += c.Spendable
		}
		return sum
	}
	if got, want := sum(), w.audit().Node; got != want || want != 910_000_000 {
		t.Errorf("channels hold %d, the node has %d", got, want)
	}
	w.call("xpay", []any{w.buyerInvoice(500_000_000).Bolt11}, nil) // more than the hub's channel has
	if got, want := sum(), w.audit().Node; got != want {
		t.Errorf("after the payment channels hold %d, the node has %d", got, want)
	}
}

const hashOfTestPreimage = "72cd6e8422c407fb6d098690f1130b7ded7ec2f7f5e1d30bd9d521f015363793"

// The stand-in must not be able to share a mistake with what it tests.
func TestNothingOfTheProjectIsImported(t *testing.T) {
	for _, dir := range []string{".", "cmd/simln", "cmd/simln-cli"} {
		entries, err := os.ReadDir(dir)
		check(t, err)
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), dir+"/"+e.Name(), nil, parser.ImportsOnly)
			check(t, err)
			for _, i := range f.Imports {
				if path := strings.Trim(i.Path.Value, `"`); strings.Contains(path, "mostro") && !strings.HasSuffix(path, "/contrib/simln") {
					t.Errorf("%s/%s imports %s", dir, e.Name(), path)
				}
			}
		}
	}
}
