package simln_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
)

func (w *world) buyerInvoice(msat int) invoice {
	w.t.Helper()
	var i invoice
	w.call("sim-wallet-invoice", []any{"buyer", msat, "payout"}, &i)
	return i
}

type sendpay struct {
	Status      string      `json:"status"`
	Preimage    string      `json:"payment_preimage"`
	Group       json.Number `json:"groupid"`
	Part        int         `json:"partid"`
	Amount      int         `json:"amount_msat"`
	Sent        int         `json:"amount_sent_msat"`
	Label       string      `json:"label"`
	Destination string      `json:"destination"`
}

func (w *world) sendpays(i invoice) []sendpay {
	w.t.Helper()
	var l struct{ Payments []sendpay }
	w.call("listsendpays", map[string]any{"payment_hash": i.Hash}, &l)
	return l.Payments
}

// waitRow waits until the only row of the hash is no longer pending.
func (w *world) waitRow(i invoice) sendpay {
	w.t.Helper()
	w.Call(testContext(w.t), "waitsendpay", map[string]any{"payment_hash": i.Hash, "timeout": 10}, nil)
	rows := w.sendpays(i)
	return rows[len(rows)-1]
}

func (w *world) script(i invoice, more map[string]any) {
	w.t.Helper()
	params := map[string]any{"match": i.Hash}
	for k, v := range more {
		params[k] = v
	}
	w.call("sim-pay-script", params, nil)
}

func TestXpayPaysAWalletAndBooksTheFee(t *testing.T) {
	w := start(t)
	i := w.buyerInvoice(90_000_000)
	var r struct {
		Preimage string `json:"payment_preimage"`
		Amount   int    `json:"amount_msat"`
		Sent     int    `json:"amount_sent_msat"`
		Parts    int    `json:"successful_parts"`
	}
	w.script(i, map[string]any{"mode": "ok", "parts": 3})
	w.call("xpay", map[string]any{"invstring": i.Bolt11, "label": "order/1"}, &r)
	if r.Amount != 90_000_000 || r.Sent != 90_010_000 || r.Parts != 3 {
		t.Fatalf("xpay: %+v", r)
	}
	rows := w.sendpays(i)
	if len(rows) != 3 || rows[0].Part != 1 || rows[0].Preimage != r.Preimage || rows[2].Label != "order/1" {
		t.Fatalf("rows: %+v", rows)
	}
	if len(rows[0].Group) < 17 || rows[0].Group != rows[2].Group {
		t.Errorf("group %s: want one random number above 2^53", rows[0].Group)
	}
	a := w.audit()
	if a.Wallets["buyer"].Available != 90_000_000 || a.Routing != 10_000 || a.Node != 10_000_000_000-90_010_000 {
		t.Errorf("money: %+v", a)
	}
	w.refused(219, "xpay", []any{i.Bolt11})
	if len(w.sendpays(i)) != 3 {
		t.Error("the refused call wrote a row")
	}
}

func TestXpayRefusals(t *testing.T) {
	w := start(t)
	i := w.buyerInvoice(1_000_000)
	amountless := w.buyerInvoice(0)
	var own invoice
	w.call("invoice", []any{1000, "own", "d"}, &own)
	var expired invoice
	w.call("sim-wallet-invoice", []any{"buyer", 1000, "old", 10}, &expired)
	w.call("sim-advance-clock", []any{11}, nil)
	for _, c := range []struct {
		name   string
		params map[string]any
		script map[string]any
		code   int
	}{
		{"no route", nil, map[string]any{"mode": "fail", "code": 205, "times": 1}, 205},
		{"no liquidity", nil, map[string]any{"mode": "fail", "code": 220, "times": 1}, 220},
		{"a fee above maxfee", map[string]any{"maxfee": 1}, nil, 205},
		{"an amount for an invoice that has one", map[string]any{"amount_msat": 5}, nil, -32602},
		{"no amount for an invoice without", map[string]any{"invstring": amountless.Bolt11}, nil, -32602},
		{"garbage", map[string]any{"invstring": "lnbcrt1"}, nil, -32602},
		{"an expired invoice", map[string]any{"invstring": expired.Bolt11}, nil, 207},
		{"more than the node has", map[string]any{"invstring": amountless.Bolt11, "amount_msat": "1btc"}, nil, 220},
		{"an unknown parameter", map[string]any{"maxfeepercent": 1}, nil, -32602},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			if c.script != nil {
				w.script(i, c.script)
			}
			params := map[string]any{"invstring": i.Bolt11}
			for k, v := range c.params {
				params[k] = v
			}
			w.refused(c.code, "xpay", params)
			if rows := w.sendpays(i); len(rows) != 0 {
				t.Errorf("rows: %+v", rows)
			}
		})
	}
	w.t = t
	w.call("xpay", []any{own.Bolt11}, nil) // a row of our own is paid at once, without a hook
	var l struct{ Invoices []struct{ Status string } }
	w.call("listinvoices", map[string]any{"label": "own"}, &l)
	if l.Invoices[0].Status != "paid" {
		t.Errorf("own invoice: %+v", l)
	}
	w.audit()
}

func TestRetryOfTheSameInvoiceCannotPayTwice(t *testing.T) {
	w := start(t)
	i := w.buyerInvoice(1_000_000)
	w.script(i, map[string]any{"mode": "hold"})
	first := make(chan error, 1)
	go func() {
		first <- w.Call(testContext(t), "xpay", map[string]any{"invstring": i.Bolt11, "label": "a"}, nil)
	}()
	w.call("wait", []any{"sendpays", "created", 1}, nil)
	for _, label := range []string{"a", "b"} {
		m := w.refused(-3, "xpay", map[string]any{"invstring": i.Bolt11, "label": label})
		if !strings.Contains(m, "Unexpected injectpaymentonion error 200") || !strings.Contains(m, "still in progress, cannot retry") {
			t.Errorf("message %q", m)
		}
	}
	w.call("sim-pay-release", []any{i.Hash, "fail"}, nil)
	if err := <-first; err == nil || !strings.Contains(err.Error(), "code 203") {
		t.Errorf("first call: %v", err)
	}
	w.script(i, map[string]any{"mode": "ok"})
	w.call("xpay", map[string]any{"invstring": i.Bolt11, "label": "a"}, nil)
	rows := w.sendpays(i)
	if len(rows) != 2 || rows[0].Status != "failed" || rows[1].Status != "complete" || rows[0].Group == rows[1].Group {
		t.Errorf("rows: %+v", rows)
	}
	var l struct {
		Pays []struct {
			Status string
			Sent   int `json:"amount_sent_msat"`
		}
	}
	w.call("listpays", map[string]any{"bolt11": i.Bolt11}, &l)
	if len(l.Pays) != 2 || l.Pays[0].Status != "failed" || l.Pays[0].Sent != 0 || l.Pays[1].Sent == 0 {
		t.Errorf("listpays: %+v", l)
	}
	w.script(i, map[string]any{"mode": "ok", "parts": 2}) // another split: not the part that is paid
	if m := w.refused(-3, "xpay", []any{i.Bolt11}); !strings.Contains(m, "error 201") {
		t.Errorf("message %q", m)
	}
	w.audit()
}

func TestPayScriptsThatLeaveTheOutcomeOpen(t *testing.T) {
	for _, c := range []struct {
		name   string
		script map[string]any
		code   int // of the early answer
		final  string
	}{
		{"xpay fails early, the part completes", map[string]any{"mode": "fail-early", "code": 209, "delay_ms": 300}, 209, "complete"},
		{"xpay fails early, the part fails", map[string]any{"mode": "fail-early-fail", "code": 209, "delay_ms": 300}, 209, "failed"},
		{"xpay dies, the part completes", map[string]any{"mode": "terminated", "delay_ms": 300}, -4, "complete"},
		{"the payee refuses", map[string]any{"mode": "fail", "code": 203}, 203, "failed"},
		{"the payee cannot be reached in time", map[string]any{"mode": "fail", "code": 209}, 209, "failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t)
			i := w.buyerInvoice(1_000_000)
			w.script(i, c.script)
			w.refused(c.code, "xpay", []any{i.Bolt11})
			if c.script["delay_ms"] != nil {
				if rows := w.sendpays(i); rows[0].Status != "pending" {
					t.Fatalf("rows after the early answer: %+v", rows)
				}
				w.refused(-3, "xpay", []any{i.Bolt11})
			}
			if row := w.waitRow(i); row.Status != c.final {
				t.Errorf("row: %+v", row)
			}
			w.audit()
		})
	}
}

func TestLostReplyStillPays(t *testing.T) {
	w := start(t)
	i := w.buyerInvoice(1_000_000)
	w.script(i, map[string]any{"mode": "reply-lost"})
	err := w.Call(testContext(t), "xpay", []any{i.Bolt11}, nil)
	var told *simln.RPCError
	if err == nil || errors.As(err, &told) {
		t.Fatalf("got %v, want a broken connection", err)
	}
	if row := w.waitRow(i); row.Status != "complete" {
		t.Errorf("row: %+v", row)
	}
}

func TestPendingPartsEndAfterARestart(t *testing.T) {
	for mode, final := range map[string]string{"complete-after-restart": "complete", "fail-after-restart": "failed", "hold": "pending", "orphan": "pending"} {
		t.Run(mode, func(t *testing.T) {
			w := start(t)
			i := w.buyerInvoice(1_000_000)
			w.script(i, map[string]any{"mode": mode})
			go w.Call(testContext(t), "xpay", []any{i.Bolt11}, nil)
			w.call("wait", []any{"sendpays", "created", 1}, nil)
			w.Kill()
			w = w.again(nil)
			if final == "pending" {
				w.call("waitblockheight", []any{200}, nil) // caught up: peers are there
				w.refused(-3, "xpay", []any{i.Bolt11})
				return
			}
			if row := w.waitRow(i); row.Status != final {
				t.Errorf("row: %+v", row)
			}
			w.audit()
		})
	}
}

func TestHeldPaymentFailsAtItsBlock(t *testing.T) {
	w := start(t)
	i := w.buyerInvoice(1_000_000)
	w.script(i, map[string]any{"mode": "hold", "until_block": 210})
	first := make(chan error, 1)
	go func() { first <- w.Call(testContext(t), "xpay", []any{i.Bolt11}, nil) }()
	w.call("wait", []any{"sendpays", "created", 1}, nil)
	w.Mine(9)
	if row := w.sendpays(i)[0]; row.Status != "pending" {
		t.Errorf("one block before: %+v", row)
	}
	w.Mine(1)
	if row := w.sendpays(i)[0]; row.Status != "failed" {
		t.Errorf("at the block: %+v", row)
	}
	if err := <-first; err == nil {
		t.Error("xpay succeeded")
	}
	w.audit()
}

func TestForgedPaymentsAsTheHookSeesThem(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault map[string]any
		path  []string
		want  any // as text; nil: absent
		code  int // with the invoice row there and "continue"
	}{
		{"wrong secret", map[string]any{"wrong_secret": true}, []string{"onion", "payment_secret"}, "", 203},
		{"inflated total", map[string]any{"total_msat": 15_000_000}, []string{"onion", "total_msat"}, "15000000", 204},
		{"bogus next hop", map[string]any{"next_scid": "999x1x1"}, []string{"onion", "short_channel_id"}, "999x1x1", 203},
		{"bogus next hop has no secret", map[string]any{"next_scid": "999x1x1"}, []string{"onion", "payment_secret"}, nil, 203},
		{"bogus next hop has no total", map[string]any{"next_scid": "999x1x1"}, []string{"onion", "total_msat"}, nil, 203},
		{"no forward_to", map[string]any{"next_scid": "999x1x1"}, []string{"forward_to"}, nil, 203},
		{"short CLTV", map[string]any{"cltv": 4, "shadow": 0}, []string{"htlc", "cltv_expiry_relative"}, "5", 203},
		{"shadow blocks are in the HTLC", map[string]any{"shadow": 12}, []string{"htlc", "cltv_expiry"}, "253", 0},
		{"shadow blocks are not in the onion", map[string]any{"shadow": 12}, []string{"onion", "outgoing_cltv_value"}, "241", 0},
		{"overpaid by half", map[string]any{"pay_msat": 15_000_000}, []string{"htlc", "amount_msat"}, "15000000", 0},
		{"overpaid three times", map[string]any{"pay_msat": 30_000_000}, []string{"htlc", "amount_msat"}, "30000000", 203},
		{"onion claims more than is locked", map[string]any{"underlock_msat": 5_000_000}, []string{"htlc", "amount_msat"}, "5000000", 203},
		{"payment metadata", map[string]any{"metadata": "01fafa"}, []string{"onion", "payment_metadata"}, "01fafa", 0},
		{"a payload that does not parse", map[string]any{"garbled": true}, []string{"onion", "type"}, nil, 203},
		{"plain payment", nil, []string{"onion", "type"}, "tlv", 0},
		{"plain payment has no metadata", nil, []string{"onion", "payment_metadata"}, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			holder := newFake(t, "holder", "htlc_accepted")
			w := start(t, holder.spec())
			i := w.invoice(10_000_000)
			w.pay(i, c.fault)
			m := holder.next("htlc_accepted")
			got := field(m, c.path...)
			switch {
			case c.want == nil && got != nil, c.want != nil && got == nil:
				t.Errorf("%v is %v", c.path, got)
			case c.want == "" && got == i.Secret:
				t.Error("the secret is right")
			case c.want != nil && c.want != "" && c.want != textOf(got):
				t.Errorf("%v is %v, want %v", c.path, got, c.want)
			}
			holder.answer(m, goOn)
			if c.code == 204 {
				holder.sync(w)
				w.AdvanceClock(71 * time.Second) // the node waits for the missing part
			}
			if p := w.outcome(i); p.Code != c.code {
				t.Errorf("payer: %+v, want code %d", p, c.code)
			}
			w.audit()
		})
	}
}

func textOf(v any) string {
	if n, ok := v.(json.Number); ok {
		return n.String()
	}
	s, _ := v.(string)
	return s
}

func TestPartsGoOverTwoChannelsWithTheirOwnExpiry(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	w := start(t, holder.spec())
	i := w.holdInvoice(10_000_001)
	w.pay(i, map[string]any{"parts": 2, "delay_ms": 20})
	a, b := holder.next("htlc_accepted"), holder.next("htlc_accepted")
	if field(a, "htlc", "short_channel_id") == field(b, "htlc", "short_channel_id") || field(a, "htlc", "cltv_expiry") == field(b, "htlc", "cltv_expiry") {
		t.Errorf("parts %s and %s", a.Params, b.Params)
	}
	if textOf(field(a, "onion", "total_msat")) != "10000001" || textOf(field(a, "onion", "forward_msat")) != "5000001" {
		t.Errorf("first part %s", a.Params)
	}
	holder.answer(a, map[string]any{"result": "fail", "failure_message": "0017"})
	holder.answer(b, map[string]any{"result": "fail", "failure_message": "0017"})
	if p := w.outcome(i); p.Code != 204 {
		t.Errorf("payer: %+v", p)
	}
	w.pay(i, map[string]any{"parts": 2, "retry_for": 60})
	for range 2 {
		holder.answer(holder.next("htlc_accepted"), map[string]any{"result": "fail", "failure_message": "0017"})
	}
	holder.answer(holder.next("htlc_accepted"), fail400f) // the payer tries the same parts again at once
	holder.answer(holder.next("htlc_accepted"), fail400f)
	if p := w.outcome(i); p.Code != 203 {
		t.Errorf("payer: %+v", p)
	}
	w.pay(i, map[string]any{"parts": 2, "missing_part": 2})
	holder.next("htlc_accepted")
	holder.silent(w, "htlc_accepted")
	w.audit()
}

func TestOffersAreFetchedAnewAtEachCall(t *testing.T) {
	w := start(t)
	var o struct{ Offer string }
	w.call("sim-wallet-offer", map[string]any{"wallet": "buyer", "bip353": "bob@example.com"}, &o)
	var d struct {
		Type  string
		Valid bool
		Hash  string `json:"invoice_payment_hash"`
		Msat  int    `json:"invoice_amount_msat"`
	}
	w.call("decode", []any{o.Offer}, &d)
	if d.Type != "bolt12 offer" || !d.Valid {
		t.Errorf("offer: %+v", d)
	}
	var b struct{ Instructions []struct{ Offer string } }
	w.call("fetchbip353", []any{"bob@example.com"}, &b)
	if b.Instructions[0].Offer != o.Offer {
		t.Errorf("bip353: %+v", b)
	}
	var first, second struct{ Invoice string }
	w.call("fetchinvoice", map[string]any{"offer": o.Offer, "amount_msat": 1000}, &first)
	w.call("fetchinvoice", map[string]any{"offer": o.Offer, "amount_msat": 1000}, &second)
	if first.Invoice == second.Invoice {
		t.Error("the same invoice twice")
	}
	w.call("decode", []any{first.Invoice}, &d)
	if d.Type != "bolt12 invoice" || d.Msat != 1000 {
		t.Errorf("invoice: %+v", d)
	}
	w.call("xpay", []any{first.Invoice}, nil)
	w.refused(219, "xpay", []any{first.Invoice})
	if rows := w.sendpays(invoice{Hash: d.Hash}); len(rows) != 1 || rows[0].Status != "complete" {
		t.Errorf("rows: %+v", rows)
	}
	w.call("xpay", map[string]any{"invstring": o.Offer, "amount_msat": 1000}, nil)
	w.call("xpay", map[string]any{"invstring": o.Offer, "amount_msat": 1000}, nil) // a second payment
	if a := w.audit(); a.Wallets["buyer"].Available != 3000 {
		t.Errorf("money: %+v", a)
	}
}
