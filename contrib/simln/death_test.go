package simln_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/contrib/simln"
)

func rawReply(m message, body string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s%s}`, m.ID, body)
}

func TestHookReplyThatKillsTheNode(t *testing.T) {
	for name, body := range map[string]string{
		"an error":                           `,"error":{"code":-32603,"message":"oops"}`,
		"neither result nor error":           ``,
		"an empty result":                    `,"result":{}`,
		"a bare string":                      `,"result":"continue"`,
		"an unknown result":                  `,"result":{"result":"banana"}`,
		"fail without a message":             `,"result":{"result":"fail"}`,
		"fail with the removed failure_code": `,"result":{"result":"fail","failure_code":8194}`,
		"fail with bad hex":                  `,"result":{"result":"fail","failure_message":"40f"}`,
		"resolve without a key":              `,"result":{"result":"resolve"}`,
		"resolve with a malformed key":       `,"result":{"result":"resolve","payment_key":"zz"}`,
		"continue with a bad payload":        `,"result":{"result":"continue","payload":"xyz"}`,
	} {
		t.Run(name, func(t *testing.T) {
			holder := newFake(t, "holder", "htlc_accepted")
			w := start(t, holder.spec())
			i := w.holdInvoice(1_000_000)
			w.pay(i, nil)
			holder.write(rawReply(holder.next("htlc_accepted"), body))
			if d := w.waitDeath(); !strings.HasPrefix(d.Reason, "FATAL SIGNAL 6") || d.Code != 134 {
				t.Fatalf("death: %+v", d)
			}
			w.Kill()
			w = w.again(nil)
			if w.paymentStatus(i) != "pending" {
				t.Error("the payment did not survive the death as pending")
			}
			holder.answer(holder.next("htlc_accepted"), fail400f)
			if p := w.outcome(i); p.Code != 203 {
				t.Errorf("after the replay: %+v", p)
			}
		})
	}
}

func TestHookReplyThatTheNodeSurvives(t *testing.T) {
	for name, c := range map[string]struct {
		body       string
		code       int
		preimage   string
		log        string
		pluginGone bool
	}{
		"error -4 acts as continue":       {body: `,"error":{"code":-4,"message":"x"}`, code: 203},
		"a wrong preimage":                {body: `,"result":{"result":"resolve","payment_key":"` + strings.Repeat("02", 32) + `"}`, code: 203, log: "doesn't match the HTLC hash"},
		"an empty failure message":        {body: `,"result":{"result":"fail","failure_message":""}`, code: 202},
		"a failure onion":                 {body: `,"result":{"result":"fail","failure_onion":"0011"}`, code: 202},
		"a temporary failure":             {body: `,"result":{"result":"fail","failure_message":"2002"}`, code: 209},
		"extra fields":                    {body: `,"result":{"result":"resolve","payment_key":"` + testPreimage + `","x":1},"y":2`, preimage: testPreimage},
		"a null error beside the result":  {body: `,"result":{"result":"resolve","payment_key":"` + testPreimage + `"},"error":null`, preimage: testPreimage},
		"continue without an invoice row": {body: `,"result":{"result":"continue"}`, code: 203},
	} {
		t.Run(name, func(t *testing.T) {
			holder := newFake(t, "holder", "htlc_accepted")
			w := start(t, holder.spec())
			i := w.holdInvoice(1_000_000)
			w.pay(i, nil)
			holder.write(rawReply(holder.next("htlc_accepted"), c.body))
			if p := w.outcome(i); p.Code != c.code || p.Preimage != c.preimage {
				t.Errorf("payer: %+v", p)
			}
			if c.log != "" && !w.log.has(c.log) {
				t.Errorf("log lacks %q", c.log)
			}
			w.audit()
		})
	}
}

func TestStrangeAnswersAreIgnored(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	w := start(t, holder.spec())
	i := w.holdInvoice(1_000_000)
	w.pay(i, nil)
	m := holder.next("htlc_accepted")
	holder.write(`{"jsonrpc":"2.0","id":"cln:nobody#1","error":{"code":1,"message":"x"}}`)
	holder.write(strings.Replace(rawReply(m, `,"result":{}`), "#", `\u0023`, 1)) // ids are compared as raw bytes
	holder.silent(w, "htlc_accepted")
	if w.paymentStatus(i) != "pending" {
		t.Fatal("an answer with an unknown id moved the HTLC")
	}
	holder.answer(m, resolve(testPreimage))
	holder.write(rawReply(m, `,"error":{"code":1,"message":"the second answer"}`))
	if p := w.outcome(i); p.Status != "complete" {
		t.Fatalf("payer: %+v", p)
	}
}

func TestPluginThatTalksNonsenseIsKilledAndItsHoldsAreReleased(t *testing.T) {
	for name, output := range map[string]string{
		"no JSON":                       "panic: oops",
		"a message without jsonrpc":     `{"method":"log","params":{}}`,
		"an unknown log level":          `{"jsonrpc":"2.0","method":"log","params":{"level":"loud","message":"x"}}`,
		"a log without a message":       `{"jsonrpc":"2.0","method":"log","params":{"level":"info"}}`,
		"a notification without a name": `{"jsonrpc":"2.0","params":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			holder := newFake(t, "holder", "htlc_accepted")
			w := start(t, holder.spec())
			i := w.holdInvoice(1_000_000)
			w.pay(i, nil)
			holder.next("htlc_accepted")
			holder.write(output)
			if p := w.outcome(i); p.Code != 203 {
				t.Errorf("payer: %+v", p)
			}
			if !w.log.has("Killing plugin: ") {
				t.Error("the log does not tell of the kill")
			}
		})
	}
}

// chain starts check, holder and guard in another order than the hooks ask for.
func chain(t *testing.T, importantHolder bool) (w *world, checker, holder, guard *fake) {
	checker = newFake(t, "check.py", map[string]any{"name": "htlc_accepted", "before": []string{"holder.py"}})
	holder = newFake(t, "holder.py", map[string]any{"name": "htlc_accepted", "before": []string{"offers", "keysend"}})
	guard = newFake(t, "guard.py", map[string]any{"name": "htlc_accepted", "after": []string{"holder.py"}})
	spec := holder.spec()
	spec.Important = importantHolder
	return start(t, guard.spec(), spec, checker.spec()), checker, holder, guard
}

func waitingFor(w *world) string {
	var l struct {
		Channels []struct {
			HTLCs []struct{ State, Status string }
		}
	}
	w.call("listpeerchannels", nil, &l)
	for _, c := range l.Channels {
		for _, h := range c.HTLCs {
			if h.State == "RCVD_ADD_ACK_REVOCATION" {
				return strings.TrimPrefix(h.Status, "Waiting for the htlc_accepted hook of plugin ")
			}
		}
	}
	return ""
}

var goOn = map[string]any{"result": "continue"}

func TestChainFollowsBeforeAndAfter(t *testing.T) {
	w, checker, holder, guard := chain(t, false)
	i := w.holdInvoice(1_000_000)
	w.pay(i, nil)
	m := checker.next("htlc_accepted")
	holder.silent(w, "htlc_accepted")
	if got := waitingFor(w); got != "check.py" {
		t.Errorf("status names %q", got)
	}
	checker.answer(m, goOn)
	h := holder.next("htlc_accepted")
	if string(h.Params) != string(m.Params) || string(h.ID) == string(m.ID) {
		t.Errorf("holder sees %s, check saw %s", h.Params, m.Params)
	}
	guard.silent(w, "htlc_accepted")
	holder.answer(h, goOn)
	guard.answer(guard.next("htlc_accepted"), resolve(testPreimage))
	if p := w.outcome(i); p.Status != "complete" {
		t.Errorf("payer: %+v", p)
	}
}

func TestGuardTakesOverWhenTheHolderDies(t *testing.T) {
	w, checker, holder, guard := chain(t, false)
	i := w.holdInvoice(1_000_000)
	w.pay(i, map[string]any{"parts": 2})
	for range 2 {
		checker.answer(checker.next("htlc_accepted"), goOn)
		holder.next("htlc_accepted")
	}
	check(t, w.KillPlugin(testContext(t), "holder.py"))
	first, second := guard.next("htlc_accepted"), guard.next("htlc_accepted")
	if w.paymentStatus(i) != "pending" {
		t.Fatal("something reached the payer")
	}
	guard.answer(first, resolve(testPreimage))
	guard.answer(second, resolve(testPreimage))
	if p := w.outcome(i); p.Status != "complete" {
		t.Errorf("payer: %+v", p)
	}
}

func TestDeadCheckerIsAContinue(t *testing.T) {
	w, checker, holder, _ := chain(t, false)
	i := w.holdInvoice(1_000_000)
	w.pay(i, nil)
	checker.next("htlc_accepted")
	check(t, w.KillPlugin(testContext(t), checker.path))
	holder.answer(holder.next("htlc_accepted"), resolve(testPreimage))
	if p := w.outcome(i); p.Status != "complete" {
		t.Errorf("payer: %+v", p)
	}
}

func TestImportantHolderWithGuardReleasesNothing(t *testing.T) {
	w, checker, holder, guard := chain(t, true)
	i := w.holdInvoice(1_000_000)
	w.pay(i, nil)
	checker.answer(checker.next("htlc_accepted"), goOn)
	holder.next("htlc_accepted")
	check(t, w.KillPlugin(testContext(t), "holder.py"))
	guard.next("htlc_accepted")
	if d := w.waitDeath(); d.Code != 1 {
		t.Fatalf("death: %+v", d)
	}
	if !w.log.has("Plugin marked as important, shutting down lightningd!") {
		t.Error("the log does not say why")
	}
	w.Kill()
	w = w.again(nil)
	checker.answer(checker.next("htlc_accepted"), goOn)
	holder.answer(holder.next("htlc_accepted"), resolve(testPreimage))
	if p := w.outcome(i); p.Status != "complete" {
		t.Errorf("payer after the restart: %+v", p)
	}
}

func TestImportantHolderAloneReleasesAndThenStopsTheNode(t *testing.T) {
	for _, row := range []bool{false, true} {
		t.Run(fmt.Sprintf("invoice row kept: %v", row), func(t *testing.T) {
			holder := newFake(t, "holder", "htlc_accepted")
			w := start(t, holder.important())
			i := w.invoice(1_000_000)
			if !row {
				w.call("delinvoice", []any{"hold", "unpaid"}, nil)
			}
			w.pay(i, nil)
			holder.next("htlc_accepted")
			check(t, w.KillPlugin(testContext(t), "holder"))
			if d := w.waitDeath(); d.Code != 1 {
				t.Fatalf("death: %+v", d)
			}
			w.Kill()
			w = w.again(nil)
			want := "failed"
			if row {
				want = "complete"
			}
			if p := w.outcome(i); p.Status != want {
				t.Errorf("payer: %+v, want %s", p, want)
			}
			holder.silent(w, "htlc_accepted")
			w.audit()
		})
	}
}

func TestPlainHolderDeathWithARowPaysTheNode(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	w := start(t, holder.spec())
	i := w.invoice(1_000_000)
	w.pay(i, nil)
	holder.next("htlc_accepted")
	holder.drop()
	if p := w.outcome(i); p.Preimage != testPreimage {
		t.Errorf("payer: %+v", p)
	}
	var l struct{ Invoices []struct{ Status string } }
	w.call("listinvoices", map[string]any{"payment_hash": i.Hash}, &l)
	if len(l.Invoices) != 1 || l.Invoices[0].Status != "paid" {
		t.Errorf("row: %+v", l)
	}
	if !w.log.has("Plugin died from htlc_accepted hook call") {
		t.Error("the log does not tell")
	}
}

func TestPluginCommandsRespectDynamic(t *testing.T) {
	holder := newFake(t, "holder.py", "htlc_accepted")
	w := start(t, holder.spec())
	if m := w.refused(-32602, "plugin", []any{"stop", "holder.py"}); m != "holder.py cannot be managed when lightningd is up" {
		t.Errorf("message %q", m)
	}
	if m := w.refused(-32602, "plugin", []any{"stop", "nobody"}); !strings.Contains(m, "Could not find plugin") {
		t.Errorf("message %q", m)
	}
	dyn := newFake(t, "dyn.py")
	dyn.manifest["dynamic"] = true
	check(t, w.StartPlugin(testContext(t), dyn.spec()))
	var stopped struct{ Result string }
	w.call("plugin", []any{"stop", "dyn.py"}, &stopped)
	if stopped.Result != "Successfully stopped dyn.py." {
		t.Errorf("result %q", stopped.Result)
	}
}

func TestLateHookPluginIsAskedLastOnceAHoldWasResolved(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	late := newFake(t, "late", map[string]any{"name": "htlc_accepted", "before": []string{"holder"}})
	late.manifest["dynamic"] = true
	w := start(t, holder.spec())
	i := w.holdInvoice(1_000_000)
	w.pay(i, nil)
	holder.answer(holder.next("htlc_accepted"), fail400f)
	w.outcome(i)
	check(t, w.StartPlugin(testContext(t), late.spec()))
	if !w.log.has("Deferring registration of hook htlc_accepted until it's not in use.") {
		t.Fatal("not deferred")
	}
	w.pay(i, nil)
	m := holder.next("htlc_accepted") // though late asked to be before it
	late.silent(w, "htlc_accepted")
	holder.answer(m, goOn)
	late.answer(late.next("htlc_accepted"), fail400f)
	w.outcome(i)

	refused := newFake(t, "refused", "htlc_accepted") // not dynamic
	if err := w.StartPlugin(testContext(t), refused.spec()); err == nil {
		t.Fatal("a plugin that is not dynamic was started")
	}
	if d := w.waitDeath(); !strings.Contains(d.Reason, "remove_hook_instance") || d.Code != 134 {
		t.Errorf("death: %+v", d)
	}
}

func TestLateHookPluginTakesItsPlaceIfOnlyContinueWasAnswered(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	late := newFake(t, "late", map[string]any{"name": "htlc_accepted", "before": []string{"holder"}})
	late.manifest["dynamic"] = true
	w := start(t, holder.spec())
	i := w.holdInvoice(1_000_000)
	w.pay(i, nil)
	m := holder.next("htlc_accepted")
	check(t, w.StartPlugin(testContext(t), late.spec()))
	holder.answer(m, goOn)
	late.answer(late.next("htlc_accepted"), goOn) // registered already, at the end of the order in use
	w.outcome(i)
	if !w.log.has("Updating hooks for htlc_accepted now usage is done.") {
		t.Fatal("the order was not taken over")
	}
	w.pay(i, nil)
	late.next("htlc_accepted")
	holder.silent(w, "htlc_accepted")
}

func TestPluginIsAskedBeforeItAnsweredInit(t *testing.T) {
	w := start(t)
	late := newFake(t, "late", "htlc_accepted")
	late.manifest["dynamic"] = true
	late.noInit = true
	started := make(chan error, 1)
	go func() { started <- w.StartPlugin(testContext(t), late.spec()) }()
	init := <-late.inits
	i := w.holdInvoice(1_000_000)
	w.pay(i, nil)
	m := late.next("htlc_accepted")
	late.answer(init, map[string]any{})
	check(t, <-started)
	late.answer(m, resolve(testPreimage))
	if p := w.outcome(i); p.Status != "complete" {
		t.Errorf("payer: %+v", p)
	}
}

func TestPluginThatIgnoresShutdownDelaysTheStopAndKeepsItsHold(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	holder.ignoreStop = true
	w := startWith(t, simln.Config{Plugins: []simln.Plugin{holder.spec()}, StopTimeout: 1, KillGrace: 1})
	i := w.holdInvoice(1_000_000)
	w.pay(i, nil)
	m := holder.next("htlc_accepted")
	w.Stop()
	holder.answer(m, fail400f) // to nobody
	w = w.again(nil)
	if w.paymentStatus(i) != "pending" {
		t.Error("the stop released the hold")
	}
	holder.next("htlc_accepted")
}
