package simln_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/contrib/simln"
)

func TestInvoiceErrors(t *testing.T) {
	w := start(t)
	i := w.invoice(1000)
	other := strings.Repeat("02", 32)
	for _, c := range []struct {
		name   string
		code   int
		method string
		params map[string]any
	}{
		{"label exists", 900, "invoice", map[string]any{"amount_msat": 1, "label": "hold", "description": "", "preimage": other}},
		{"preimage exists", 901, "invoice", map[string]any{"amount_msat": 1, "label": "new", "description": "", "preimage": testPreimage}},
		{"preimage exists comes before label exists", 901, "invoice", map[string]any{"amount_msat": 1, "label": "hold", "description": "", "preimage": testPreimage}},
		{"amount zero", -32602, "invoice", map[string]any{"amount_msat": 0, "label": "new", "description": ""}},
		{"amount with a fraction", -32602, "invoice", map[string]any{"amount_msat": "0.1msat", "label": "new", "description": ""}},
		{"short preimage", -32602, "invoice", map[string]any{"amount_msat": 1, "label": "new", "description": "", "preimage": "00"}},
		{"label of an object", -32602, "invoice", map[string]any{"amount_msat": 1, "label": map[string]any{}, "description": ""}},
		{"description too long", -32602, "invoice", map[string]any{"amount_msat": 1, "label": "new", "description": strings.Repeat("x", 640)}},
		{"delete what is not there", 905, "delinvoice", map[string]any{"label": "nobody", "status": "unpaid"}},
		{"delete with another status", 906, "delinvoice", map[string]any{"label": "hold", "status": "paid"}},
		{"two filters", -32602, "listinvoices", map[string]any{"label": "hold", "payment_hash": i.Hash}},
		{"start without index", -32602, "listinvoices", map[string]any{"start": 1}},
		{"wait too long", 904, "waitanyinvoice", map[string]any{"timeout": 0}},
		{"decode garbage", -32602, "decode", map[string]any{"string": "hello"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.refused(c.code, c.method, c.params)
		})
	}
}

func TestInvoiceFollowsTheNodesRules(t *testing.T) {
	w := start(t)
	i := w.invoice(50_000_000)
	preimage, _ := hex.DecodeString(testPreimage)
	hash := sha256.Sum256(preimage)
	preimage[0] ^= 1
	secret := sha256.Sum256(preimage)
	if i.Hash != hex.EncodeToString(hash[:]) || i.Secret != hex.EncodeToString(secret[:]) {
		t.Errorf("hash %s, secret %s", i.Hash, i.Secret)
	}
	inv, err := simln.DecodeInvoice(i.Bolt11)
	check(t, err)
	if hex.EncodeToString(inv.Payee) != w.ID() || inv.Amount != 50_000_000 || inv.MinFinalCLTV != 40 || inv.Expiry != 604800 {
		t.Errorf("bolt11 %+v", inv)
	}
	var l struct {
		Invoices []struct {
			Status  string
			Created int `json:"created_index"`
			Expires int `json:"expires_at"`
		}
	}
	w.call("sim-advance-clock", []any{604801}, nil)
	w.call("listinvoices", map[string]any{"invstring": i.Bolt11}, &l)
	if len(l.Invoices) != 1 || l.Invoices[0].Status != "expired" || l.Invoices[0].Created != 1 {
		t.Errorf("after a week: %+v", l)
	}
	w.call("delinvoice", []any{"hold", "expired"}, nil)
	w.call("listinvoices", map[string]any{"payment_hash": i.Hash}, &l)
	if len(l.Invoices) != 0 {
		t.Errorf("after the deletion: %+v", l)
	}
	var signed struct{ Bolt11 string }
	w.call("signinvoice", []any{i.Bolt11}, &signed)
	if signed.Bolt11 != i.Bolt11 {
		t.Error("signing the node's own invoice anew changed it")
	}
	w.call("createinvoice", []any{i.Bolt11, "again", testPreimage}, nil)
	w.call("listinvoices", []any{"again"}, &l)
	if len(l.Invoices) != 1 {
		t.Errorf("after createinvoice: %+v", l)
	}
}

func TestPayingAnExpiredInvoiceIsRefused(t *testing.T) {
	w := start(t)
	i := w.invoice(1000)
	w.call("sim-advance-clock", []any{604801}, nil)
	w.pay(i, nil)
	if p := w.outcome(i); p.Code != 203 {
		t.Errorf("payer: %+v", p)
	}
}

func TestWaitTellsOfTheStepThatItWaitedFor(t *testing.T) {
	w := start(t)
	var got struct {
		Created, Updated int
		Invoices         struct{ Label, Status string }
	}
	done := make(chan error, 1)
	go func() { done <- w.Call(testContext(t), "wait", []any{"invoices", "updated", 1}, &got) }()
	i := w.invoice(1000)
	w.pay(i, nil)
	check(t, <-done)
	if got.Updated != 1 || got.Invoices.Status != "paid" && got.Invoices.Label != "" {
		t.Errorf("got %+v", got)
	}
	w.call("wait", []any{"invoices", "created", 1}, &got)
	if got.Created != 1 {
		t.Errorf("an index that is there: %+v", got)
	}
	var paid struct{ Label string }
	w.call("waitanyinvoice", []any{0, 5}, &paid)
	if paid.Label != "hold" {
		t.Errorf("waitanyinvoice: %+v", paid)
	}
	w.refused(-32602, "wait", []any{"nonsense", "created", 1})
}

func TestDatastore(t *testing.T) {
	w := start(t)
	w.call("datastore", map[string]any{"key": []string{"a", "b"}, "string": "one"}, nil)
	w.refused(1202, "datastore", map[string]any{"key": []string{"a", "b"}, "string": "two"})
	w.refused(1203, "datastore", map[string]any{"key": "x", "string": "two", "mode": "must-replace"})
	w.refused(1204, "datastore", map[string]any{"key": []string{"a", "b"}, "string": "two", "mode": "must-replace", "generation": 7})
	w.refused(1205, "datastore", map[string]any{"key": "a", "string": "two"})
	w.refused(1206, "datastore", map[string]any{"key": []string{"a", "b", "c"}, "string": "two"})
	var d struct {
		Generation  int
		Hex, String string
	}
	w.call("datastore", map[string]any{"key": []string{"a", "b"}, "hex": "00ff", "mode": "must-append", "generation": 0}, &d)
	if d.Generation != 1 || d.Hex != "6f6e6500ff" || d.String != "" {
		t.Errorf("got %+v", d)
	}
	w.Kill()
	w = w.again(nil)
	var l struct {
		Datastore []struct {
			Key []string
			Hex string
		}
	}
	w.call("listdatastore", nil, &l)
	if len(l.Datastore) != 1 || len(l.Datastore[0].Key) != 1 || l.Datastore[0].Hex != "" {
		t.Errorf("top level %+v", l)
	}
	w.call("listdatastore", []any{"a"}, &l)
	if len(l.Datastore) != 1 || l.Datastore[0].Hex != "6f6e6500ff" {
		t.Errorf("below a: %+v", l)
	}
	w.refused(1201, "deldatastore", map[string]any{"key": []string{"a", "b"}, "generation": 0})
	w.call("deldatastore", map[string]any{"key": []string{"a", "b"}, "generation": 1}, nil)
	w.refused(1200, "deldatastore", map[string]any{"key": []string{"a", "b"}})
}

func TestSecretsAndSignatures(t *testing.T) {
	w := start(t)
	var a, b, c struct{ Secret string }
	w.call("makesecret", map[string]any{"string": "nostr"}, &a)
	w.call("makesecret", map[string]any{"hex": hex.EncodeToString([]byte("nostr"))}, &b)
	w.refused(-32602, "makesecret", nil)
	w.refused(-32602, "makesecret", map[string]any{"string": "x", "hex": "00"})
	var s struct{ Zbase, Signature, Recid string }
	w.call("signmessage", []any{"hello"}, &s)
	var v struct {
		Verified bool
		Pubkey   string
	}
	w.call("checkmessage", []any{"hello", s.Zbase, w.ID()}, &v)
	if !v.Verified || v.Pubkey != w.ID() {
		t.Errorf("check %+v", v)
	}
	w.call("checkmessage", []any{"hullo", s.Zbase, w.ID()}, &v)
	if v.Verified || v.Pubkey == w.ID() {
		t.Errorf("check of another text %+v", v)
	}
	w.Stop()
	w = w.again(nil)
	w.call("makesecret", map[string]any{"string": "nostr"}, &c)
	if a.Secret != b.Secret || a.Secret != c.Secret || len(a.Secret) != 64 {
		t.Errorf("secrets %s %s %s", a.Secret, b.Secret, c.Secret)
	}
}

// testdata/fields.txt has, for each command, the members that Core Lightning v26.06 always gives and their kinds.
func TestRepliesHaveTheFieldsOfCoreLightning(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	w := start(t, holder.spec())
	held := w.holdInvoice(1_000_000)
	w.pay(held, nil)
	holder.next("htlc_accepted")
	paid := w.buyerInvoice(1000)
	w.call("xpay", []any{paid.Bolt11}, nil)
	failed := w.buyerInvoice(1000)
	w.script(failed, map[string]any{"mode": "fail"})
	w.refused(203, "xpay", []any{failed.Bolt11})
	open := w.buyerInvoice(1000)
	var signed struct{ Zbase string }
	w.call("signmessage", []any{"m"}, &signed)
	w.call("datastore", []any{[]string{"k"}, "v"}, nil)
	params := map[string]any{
		"decode": []any{held.Bolt11}, "invoice": []any{1000, "label", "d"}, "xpay": []any{open.Bolt11}, "makesecret": []any{nil, "x"},
		"signmessage": []any{"m"}, "checkmessage": []any{"m", signed.Zbase}, "datastore": []any{[]string{"d"}, "v"}, "plugin": []any{"list"},
		"check": []any{"getinfo"}, "waitblockheight": []any{1}, "delinvoice": []any{"label", "unpaid"}, "help": []any{"getinfo"},
	}
	b, err := os.ReadFile("testdata/fields.txt")
	check(t, err)
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		var got map[string]any
		w.call(words[0], params[words[0]], &got)
		for _, field := range words[1:] {
			path, kind, _ := strings.Cut(field, ":")
			if complaint := hasField(got, strings.Split(path, "."), kind); complaint != "" {
				t.Errorf("%s: %s %s", words[0], field, complaint)
			}
		}
	}
}

// hasField walks a path; a name with [] at its end is an array whose every element is looked at.
func hasField(v any, path []string, kind string) string {
	if len(path) == 0 {
		return kindComplaint(v, kind)
	}
	name, isArray := strings.CutSuffix(path[0], "[]")
	o, _ := v.(map[string]any)
	child, ok := o[name]
	if !ok {
		return "is missing"
	}
	if !isArray {
		return hasField(child, path[1:], kind)
	}
	items, _ := child.([]any)
	if len(items) == 0 {
		return "has no element to look at"
	}
	for _, item := range items {
		if complaint := hasField(item, path[1:], kind); complaint != "" {
			return complaint
		}
	}
	return ""
}

func kindComplaint(v any, kind string) string {
	s, isString := v.(string)
	f, isNumber := v.(float64)
	ok := map[string]bool{
		"s": isString, "n": isNumber && f >= 0, "b": v == true || v == false, "hash": isString && len(s) == 64,
		"key": isString && len(s) == 66, "hex": isString && len(s)%2 == 0, "scid": strings.Count(s, "x") == 2,
	}[kind]
	switch kind {
	case "a":
		_, ok = v.([]any)
	case "o":
		_, ok = v.(map[string]any)
	}
	if !ok {
		b, _ := json.Marshal(v)
		return "is " + string(b)
	}
	return ""
}
