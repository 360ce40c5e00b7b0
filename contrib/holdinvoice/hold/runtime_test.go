package hold

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// testRole is a role with commands that misbehave.
type testRole struct {
	hooked  chan string
	block   chan struct{}
	panicky bool
}

func (r *testRole) manifest() manifest {
	return manifest{Options: []option{}, Methods: calls(r.methods())}
}
func (r *testRole) methods() []method {
	return []method{
		{name: "panics", run: func(context.Context, args) (any, error) { panic("on purpose") }},
		{name: "blocks", run: func(context.Context, args) (any, error) { <-r.block; return struct{}{}, nil }},
		{name: "odd", run: func(context.Context, args) (any, error) { return make(chan int), nil }},
		{name: "quick", run: func(context.Context, args) (any, error) { return map[string]int{"ok": 1}, nil }},
	}
}
func (r *testRole) init(context.Context, initParams) error { return nil }
func (r *testRole) begin(context.Context)                  {}
func (r *testRole) note(string, json.RawMessage) {
	if r.panicky {
		panic("on purpose")
	}
}
func (r *testRole) end() {}
func (r *testRole) hook(id, _ json.RawMessage) {
	if r.panicky {
		panic("on purpose")
	}
	r.hooked <- string(id)
}

// converse starts a runtime on pipes; the returned functions say a line and end it.
func converse(t *testing.T, r *testRole) (n *fakeNode, say func(string), end func()) {
	t.Helper()
	n = newFakeNode(t)
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- newRuntime(pr, n, newLog(n), r).run(context.Background()) }()
	say = func(s string) { io.WriteString(pw, s+"\n\n") }
	end = func() {
		pw.Close()
		if err := <-done; err != nil {
			t.Errorf("ended with %v", err)
		}
	}
	return n, say, end
}

func (n *fakeNode) answer(id string) (m clnio.Message) {
	n.t.Helper()
	n.until("answer to "+id, func() (ok bool) {
		m, ok = n.answers[id]
		return ok
	})
	return m
}

func TestRuntimeSurvivesWhatItsCommandsDo(t *testing.T) {
	r := &testRole{hooked: make(chan string, 10), block: make(chan struct{})}
	n, say, end := converse(t, r)
	say(`{"jsonrpc":"2.0","id":"h1","method":"htlc_accepted","params":{}}`)
	say(`{"jsonrpc":"2.0","id":"m","method":"quick","params":[]}`)
	if m := n.answer(`"m"`); m.Error == nil || m.Error.Code != codeNotYet {
		t.Errorf("before init: %+v", m)
	}
	say(`{"jsonrpc":"2.0","id":"i","method":"init","params":{"options":{},"configuration":{"lightning-dir":"/x","rpc-file":"y"}}}`)
	if got := <-r.hooked; got != `"h1"` {
		t.Errorf("hook from before init: %s", got)
	}
	say(`{"jsonrpc":"2.0","id":"p","method":"panics","params":[]}`)
	if m := n.answer(`"p"`); m.Error == nil || m.Error.Code != clnio.CodeInternal || !strings.Contains(m.Error.Message, "incident") || strings.Contains(m.Error.Message, "purpose") {
		t.Errorf("panic: %+v", m.Error)
	}
	say(`{"jsonrpc":"2.0","id":"o","method":"odd","params":[]}`)
	if m := n.answer(`"o"`); m.Error == nil || m.Error.Code != clnio.CodeInternal {
		t.Errorf("result that is not json: %+v", m)
	}
	say(`{"jsonrpc":"2.0","id":"b<&>","method":"quick","params":{}}`)
	if m := n.answer(`"b<&>"`); string(m.Result) != `{"ok":1}` {
		t.Errorf("quick: %+v", m)
	}
	say(`{"jsonrpc":"2.0","id":"u","method":"quick","params":["x"]}`)
	if m := n.answer(`"u"`); m.Error == nil || m.Error.Code != clnio.CodeInvalidParams {
		t.Errorf("too many parameters: %+v", m)
	}
	r.panicky = true
	say(`{"jsonrpc":"2.0","method":"block_added","params":{}}`)
	say(`{"jsonrpc":"2.0","id":"h2","method":"htlc_accepted","params":{}}`)
	n.until("both panics", func() bool { return n.logged("panic", "in=block_added") && n.logged("panic", "in=hook") })
	end()
}

func TestRuntimeRefusesCommandsWithoutEnd(t *testing.T) {
	r := &testRole{block: make(chan struct{})}
	n, say, end := converse(t, r)
	say(`{"jsonrpc":"2.0","id":"i","method":"init","params":{}}`)
	for i := range maxCommands + 1 {
		say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"blocks","params":[]}`, i))
	}
	if m := n.answer(fmt.Sprint(maxCommands)); m.Error == nil || m.Error.Code != -1 {
		t.Errorf("one too many: %+v", m)
	}
	close(r.block)
	for i := range maxCommands {
		if m := n.answer(fmt.Sprint(i)); m.Error != nil {
			t.Errorf("command %d: %v", i, m.Error)
		}
	}
	end()
}

// Commands may come while init runs; nothing of the role may be read half made.
func TestCommandsDuringInitAreToldToWait(t *testing.T) {
	dir, n := t.TempDir(), newFakeNode(t)
	n.serve(dir)
	p := spawn(t, n, filepath.Join(dir, "holdinvoice"))
	p.call("getmanifest", `{}`, nil)
	for i := range 20 {
		p.in.Write(clnio.Message{ID: marshaled(fmt.Sprint("early ", i)), Method: "holdinvoicelist", Params: json.RawMessage(`{}`)})
	}
	p.init(dir, true)
	for i := range 20 {
		if m := n.answer(fmt.Sprintf(`"early %d"`, i)); m.Error == nil || m.Error.Code != codeNotYet {
			t.Errorf("command %d: %+v", i, m)
		}
	}
	p.call("holdinvoicelist", `{}`, nil)
	p.stop()
}

// A panic while a payment is judged must not give it away: it is held and judged again.
func TestPanicWhileJudgingHoldsThePayment(t *testing.T) {
	l := newLab(t)
	l.start(false)
	defer l.end()
	pre := Preimage{1}
	if err := l.make(pre, "a"); err != nil {
		t.Fatal(err)
	}
	good := l.h.vault
	l.h.vault = nil // the next write panics
	l.h.chain.caughtUp(1000)
	h := l.n.pay(pre, 50_000_000, 50_000_000, 60)
	l.give(h)
	if h.Result != "" || l.state(pre) != Open {
		t.Fatalf("%q %s", h.Result, l.state(pre))
	}
	l.h.vault = good
	l.h.tick()
	if h.Result != "" || l.state(pre) != Accepted {
		t.Fatalf("judged again: %q %s", h.Result, l.state(pre))
	}
}

// Everyone's payments pass the hook, so a hash that is not ours must cost next to nothing.
func BenchmarkHookOfAStranger(b *testing.B) {
	l := &lab{t: &testing.T{}, n: newFakeNode(&testing.T{})}
	r := &holdRole{log: newLog(l.n), out: clnio.NewWriter(io.Discard), h: newHolder(Config{Log: newLog(l.n)})}
	for i := range 10_000 {
		inv := Invoice{Hash: Hash{byte(i), byte(i >> 8), 1}, State: Open}
		r.h.add(newContract(inv))
	}
	params := []byte(`{"peer_id":"03ddf6","onion":{"payload":"2f02","type":"tlv","forward_msat":50000000,"outgoing_cltv_value":173,"next_onion":"` + strings.Repeat("ab", 1366) + `","shared_secret":"152bc2"},"htlc":{"short_channel_id":"125x1x0","id":0,"amount_msat":50000000,"cltv_expiry":173,"cltv_expiry_relative":41,"payment_hash":"` + Hash{0xff}.String() + `"}}`)
	id := json.RawMessage(`"cln:htlc_accepted#9405"`)
	b.ReportAllocs()
	for b.Loop() {
		r.hook(id, params)
	}
}
