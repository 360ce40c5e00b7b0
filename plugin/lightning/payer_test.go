package lightning

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

const payoutNow = 1_700_000_000

// payout is a payment of 10 000 sat to an invoice that the fake node can read.
func payout(f *fakeNode, change ...func(map[string]any)) orders.Pay {
	p := orders.Preimage{7}
	d := map[string]any{
		"type": "bolt11 invoice", "valid": true, "currency": "bcrt", "created_at": payoutNow - 100, "expiry": 3600,
		"payee": "02cc", "amount_msat": 10_000_000, "payment_hash": p.Hash(), "min_final_cltv_expiry": 18,
	}
	for _, c := range change {
		c(d)
	}
	f.set(func() { f.invoices["lnbcrt1payout"] = d })
	return orders.Pay{Invoice: "lnbcrt1payout", Hash: p.Hash(), Amount: 10_000_000, MaxFee: 20_000, Attempt: 1}
}

func testPayer(t *testing.T, version string) (*Payer, *fakeNode) {
	f := newFakeNode(t)
	f.version = version
	f.pay = func(map[string]json.RawMessage) (any, *clnio.Error) {
		return map[string]any{"payment_preimage": "07"}, nil
	}
	now := func() time.Time { return time.Unix(payoutNow, 0) }
	return NewPayer(f.node(), slog.New(slog.DiscardHandler), ParseVersion(version), "run 1", now), f
}

func TestPaymentCommandFitsTheVersion(t *testing.T) {
	for version, want := range map[string]string{
		"v26.06.6":              `{"invstring":"lnbcrt1payout","label":"mostro/1","maxfee":20000,"retry_for":60}`,
		"v25.12-180-gabcd":      `{"invstring":"lnbcrt1payout","maxfee":20000,"retry_for":60}`,
		"v24.11":                `{"invstring":"lnbcrt1payout","maxfee":20000,"retry_for":60}`,
		"v24.08.2":              `{"bolt11":"lnbcrt1payout","label":"mostro/1","maxfee":20000,"retry_for":60}`,
		"basedon-something-odd": `{"invstring":"lnbcrt1payout","maxfee":20000,"retry_for":60}`,
	} {
		p, f := testPayer(t, version)
		if err := p.Send(t.Context(), payout(f), "mostro/1"); err != nil {
			t.Errorf("%s: %v", version, err)
		}
		method := "xpay"
		if version == "v24.08.2" {
			method = "pay"
		}
		if got, _ := json.Marshal(f.last[method]); string(got) != want {
			t.Errorf("%s: %s got %s, want %s", version, method, got, want)
		}
	}
}

func TestAmountIsGivenOnlyToAnInvoiceWithoutOne(t *testing.T) {
	p, f := testPayer(t, "v26.06")
	if err := p.Send(t.Context(), payout(f, func(d map[string]any) { delete(d, "amount_msat") }), "l"); err != nil {
		t.Fatal(err)
	}
	if got := string(f.last["xpay"]["amount_msat"]); got != "10000000" {
		t.Errorf("got %q", got)
	}
}

func TestInvoiceIsJudgedBeforeMoneyMoves(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"another amount": func(d map[string]any) { d["amount_msat"] = 10_000_001 },
		"another hash":   func(d map[string]any) { d["payment_hash"] = orders.Hash{1} },
		"expired":        func(d map[string]any) { d["expiry"] = 100 },
		"invalid":        func(d map[string]any) { d["valid"] = false },
		"an offer":       func(d map[string]any) { d["type"] = "bolt12 offer" },
	} {
		p, f := testPayer(t, "v26.06")
		err := p.Send(t.Context(), payout(f, change), "l")
		var over *orders.PayError
		if !errors.As(err, &over) || !over.Fatal {
			t.Errorf("%s: got %v, want a fatal PayError", name, err)
		}
		if f.count("xpay") != 0 {
			t.Errorf("%s: paid", name)
		}
	}
	p, f := testPayer(t, "v26.06")
	o := payout(f)
	o.Invoice = "nonsense"
	var over *orders.PayError
	if err := p.Send(t.Context(), o, "l"); !errors.As(err, &over) || !over.Fatal {
		t.Errorf("nonsense: got %v", err)
	}
}

func TestWhatAFailedCallMeans(t *testing.T) {
	for _, c := range []struct {
		code, attempt int
		over, fatal   bool
	}{
		{203, 1, true, false}, {203, 2, true, true}, // the payee may have been a block behind, once
		{205, 1, true, false}, {209, 3, true, false}, {220, 1, true, false}, {-1, 1, true, false},
		{-3, 1, true, false}, // the hash is pending or paid in another group: the record tells
		{213, 1, true, false},
		{207, 1, true, true}, {clnio.CodeInvalidParams, 1, true, true},
		{clnio.CodePluginTerminated, 1, false, false}, {clnio.CodeShuttingDown, 1, false, false},
	} {
		p, f := testPayer(t, "v26.06")
		f.pay = func(map[string]json.RawMessage) (any, *clnio.Error) { return nil, clnio.Errorf(c.code, "no\nroute") }
		o := payout(f)
		o.Attempt = c.attempt
		err := p.Send(t.Context(), o, "l")
		var over *orders.PayError
		if err == nil || errors.As(err, &over) != c.over || c.over && over.Fatal != c.fatal {
			t.Errorf("code %d, attempt %d: got %#v", c.code, c.attempt, err)
		}
		if over != nil && strings.Contains(over.Why, "\n") {
			t.Errorf("code %d: %q", c.code, over.Why)
		}
	}
}

func TestLostAnswerOfAPaymentIsNoFailure(t *testing.T) {
	p, f := testPayer(t, "v26.06")
	f.cut = "xpay"
	err := p.Send(t.Context(), payout(f), "l")
	var over *orders.PayError
	if err == nil || errors.As(err, &over) || !errors.Is(err, clnio.ErrUnknownOutcome) {
		t.Errorf("got %v, want an unknown outcome", err)
	}
}

func TestPaymentThatNeverLeftIsOver(t *testing.T) {
	p := NewPayer(NewNode(filepath.Join(t.TempDir(), "nobody")), slog.New(slog.DiscardHandler), Version{26, 6}, "s", time.Now)
	var over *orders.PayError
	if err := p.Send(t.Context(), orders.Pay{}, "l"); !errors.As(err, &over) || over.Fatal {
		t.Errorf("got %v, want a PayError that is not fatal", err)
	}
}

func TestAskReadsTheNodesRecord(t *testing.T) {
	preimage := orders.Preimage{7}
	row := func(status string, more ...any) map[string]any {
		r := map[string]any{"created_index": 1, "groupid": uint64(9007199254740993), "partid": 1, "payment_hash": preimage.Hash(), "status": status, "amount_msat": 5_000_000, "amount_sent_msat": 5_001_000}
		if status == "complete" {
			r["payment_preimage"] = hex.EncodeToString(preimage[:])
		}
		for i := 0; i < len(more); i += 2 {
			r[more[i].(string)] = more[i+1]
		}
		return r
	}
	for _, c := range []struct {
		name  string
		rows  []map[string]any
		state orders.PayState
		fee   orders.Msats
	}{
		{"nothing was ever sent", nil, orders.PayNever, 0},
		{"all parts failed", []map[string]any{row("failed"), row("failed")}, orders.PayNever, 0},
		{"a part is under way", []map[string]any{row("failed"), row("pending")}, orders.PayUnknown, 0},
		{"a state that nobody knows", []map[string]any{row("resting")}, orders.PayUnknown, 0},
		{"paid in two parts", []map[string]any{row("complete"), row("complete", "partid", 2, "amount_sent_msat", 5_000_007)}, orders.PayDone, 1007},
		{"paid, an older try failed", []map[string]any{row("failed", "groupid", 1, "amount_sent_msat", 9_000_000), row("complete")}, orders.PayDone, 1000},
		{"one part complete, one still pending", []map[string]any{row("pending", "partid", 2), row("complete")}, orders.PayDone, 1000},
		{"groups that differ beyond 2^53", []map[string]any{row("complete"), row("complete", "groupid", uint64(9007199254740992))}, orders.PayDone, 1000},
		{"a part without its amount", []map[string]any{row("complete", "amount_msat", 0)}, orders.PayDone, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, f := testPayer(t, "v26.06")
			f.set(func() { f.rows = c.rows })
			got, err := p.Ask(t.Context(), preimage.Hash())
			if err != nil || got.State != c.state || got.Fee != c.fee {
				t.Errorf("got %v fee %d, %v; want %v fee %d", got.State, got.Fee, err, c.state, c.fee)
			}
			if c.state == orders.PayDone && got.Preimage != preimage {
				t.Error("another preimage")
			}
			if f.count("xpay") != 0 {
				t.Error("asking has paid")
			}
		})
	}
}

func TestAskThatFailsKnowsNothing(t *testing.T) {
	p, f := testPayer(t, "v26.06")
	f.set(func() { f.cut = "listsendpays" })
	if got, err := p.Ask(t.Context(), orders.Hash{1}); err == nil || got.State != orders.PayUnknown {
		t.Errorf("got %v, %v", got, err)
	}
	f.set(func() {
		f.rows = []map[string]any{{"status": "complete", "payment_preimage": "zz", "payment_hash": orders.Hash{1}}}
	})
	if got, err := p.Ask(t.Context(), orders.Hash{1}); err == nil || got.State != orders.PayUnknown {
		t.Errorf("complete without a preimage: got %v, %v", got, err)
	}
}

// 219 means paid. If the row has been deleted, another invoice must not be asked for.
func TestAlreadyPaidWithoutARecordIsNotFailed(t *testing.T) {
	p, f := testPayer(t, "v26.06")
	f.pay = func(map[string]json.RawMessage) (any, *clnio.Error) { return nil, clnio.Errorf(219, "already paid") }
	o := payout(f)
	if err := p.Send(t.Context(), o, "l"); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Ask(t.Context(), o.Hash); err != nil || got.State != orders.PayUnknown {
		t.Errorf("got %v, %v, want unknown", got.State, err)
	}
}
