package hold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// TestMain lets this test binary play the plugin, so that the tests run the real thing in a
// process of its own without building it first.
func TestMain(m *testing.M) {
	if name := os.Getenv("HOLDINVOICE_TEST_ROLE"); name != "" {
		os.Exit(Run(context.Background(), Process{Name: name, Version: "dev", In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(m.Run())
}

// process is a plugin under a fake node.
type process struct {
	t    *testing.T
	node *fakeNode
	cmd  *exec.Cmd
	in   *clnio.Writer
	pipe io.Closer
	done chan struct{} // its output has ended
	n    int
}

// spawn starts the plugin and reads what it says.
func spawn(t *testing.T, n *fakeNode, name string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "HOLDINVOICE_TEST_ROLE="+name, "LIGHTNINGD_PLUGIN=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, node: n, cmd: cmd, in: clnio.NewWriter(in), pipe: in, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		r := clnio.NewReader(out, 1<<20)
		for {
			raw, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil || !strings.HasPrefix(string(raw), `{"jsonrpc":"2.0"`) {
				n.t.Errorf("node would kill the plugin: %v, %s", err, raw)
				return
			}
			n.Write(raw)
		}
	}()
	t.Cleanup(p.kill)
	return p
}

// kill is SIGKILL; what the process said before is taken in.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
	p.cmd.Wait()
}

// stop is the orderly way: shutdown, then the end of its input.
func (p *process) stop() {
	p.t.Helper()
	p.in.Write(clnio.Message{Method: "shutdown", Params: json.RawMessage(`{}`)})
	<-p.done
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("plugin ended with %v", err)
	}
}

// request sends a request and returns the answer.
func (p *process) request(method, params string) clnio.Message {
	p.t.Helper()
	p.n++
	id := fmt.Sprintf(`"cli:x#%d/cln:%s#%d"`, p.cmd.Process.Pid, method, p.n)
	p.in.Write(clnio.Message{ID: json.RawMessage(id), Method: method, Params: json.RawMessage(params)})
	var m clnio.Message
	p.node.until("answer to "+method, func() (ok bool) {
		m, ok = p.node.answers[id]
		return ok
	})
	return m
}

// call is request for a command that must succeed.
func (p *process) call(method, params string, result any) {
	p.t.Helper()
	m := p.request(method, params)
	if m.Error != nil {
		p.t.Fatalf("%s %s: %v", method, params, m.Error)
	}
	if result != nil {
		if err := json.Unmarshal(m.Result, result); err != nil {
			p.t.Fatalf("%s: %v in %s", method, err, m.Result)
		}
	}
}

// init says what the node says, and returns the answer.
func (p *process) init(dir string, startup bool) clnio.Message {
	p.t.Helper()
	return p.request("init", fmt.Sprintf(`{"options":{"holdinvoice-settle-min-blocks":24,"holdinvoice-cancel-blocks":20},"configuration":{"lightning-dir":%q,"rpc-file":"lightning-rpc","startup":%v,"network":"regtest","feature_set":{}}}`, dir, startup))
}

// boot spawns a plugin at the start of its node.
func boot(t *testing.T, n *fakeNode, dir, name string) *process {
	t.Helper()
	p := spawn(t, n, filepath.Join(dir, name))
	p.call("getmanifest", `{"allow-deprecated-apis":false}`, nil)
	if m := p.init(dir, true); string(m.Result) != "{}" {
		t.Fatalf("init: %s %v", m.Result, m.Error)
	}
	return p
}

// changes returns a channel that closes when the plugin or the test does something.
func (p *process) changes() <-chan struct{} {
	p.node.mu.Lock()
	defer p.node.mu.Unlock()
	return p.node.changed
}

// hook calls the hook for an HTLC.
func (p *process) hook(h *fakeHTLC) { p.in.Write(p.node.ask(h)) }

func (p *process) lookup(hash Hash) (v view) {
	p.t.Helper()
	p.call("holdinvoicelookup", fmt.Sprintf(`{"payment_hash":"%s"}`, hash), &v)
	return v
}

// untilState waits for a notification of the state, then for the command to agree.
func (p *process) untilState(hash Hash, s State) view {
	p.t.Helper()
	p.node.until(string(s), func() bool {
		for _, n := range p.node.notes {
			if n.Hash == hash && n.State == s {
				return true
			}
		}
		return false
	})
	v := p.lookup(hash)
	if v.State != s && !v.State.Final() && s != Canceling {
		p.t.Fatalf("lookup says %s, notification said %s", v.State, s)
	}
	return v
}

// invoice makes a hold invoice of 50000 sat with 40 blocks.
func (p *process) invoice(pre Preimage, label string) {
	p.t.Helper()
	var out struct {
		Hash   Hash   `json:"payment_hash"`
		Bolt11 string `json:"bolt11"`
	}
	p.call("holdinvoice", fmt.Sprintf(`{"amount_msat":50000000,"label":%q,"description":"d","cltv":40,"preimage":"%s"}`, label, pre.Hex()), &out)
	if out.Hash != pre.Hash() || out.Bolt11 == "" {
		p.t.Fatalf("got %+v", out)
	}
}

func TestProcessHoldsAndSettles(t *testing.T) {
	dir, n := t.TempDir(), newFakeNode(t)
	n.serve(dir)
	p := boot(t, n, dir, "holdinvoice")
	pre := Preimage{1}
	p.invoice(pre, "order-1")
	if len(n.rows) != 0 {
		t.Fatalf("node kept a row: %v", n.rows)
	}
	if v := p.lookup(pre.Hash()); v.State != Open || v.Held != 0 || v.Confirmed {
		t.Fatalf("after it was made: %+v", v)
	}
	a, b := n.pay(pre, 20_000_000, 50_000_000, 41), n.pay(pre, 30_000_000, 50_000_000, 47)
	p.hook(a)
	p.hook(b)
	v := p.untilState(pre.Hash(), Accepted)
	if v.Held != 50_000_000 || v.Expiry != 1041 || v.Deadline != 1041-24 || len(v.HTLCs) != 2 {
		t.Fatalf("accepted: %+v", v)
	}
	if s := n.store[datastoreRoot+"/"+pre.Hash().String()]; s == "" {
		t.Error("guard was not told")
	}
	var out view
	p.call("holdinvoicesettle", fmt.Sprintf(`["%s",null,10]`, pre.Hash()), &out)
	if out.State != Settled || out.Proof != proofTaken || out.Confirmed {
		t.Fatalf("settled: %+v", out)
	}
	n.finish()
	n.until("both resolved", func() bool { return a.Result == "resolve" && b.Result == "resolve" })
	n.until("the books", func() bool { return n.logged("settle proved", "level=2") })
	if v := p.lookup(pre.Hash()); !v.Confirmed || v.State != Settled {
		t.Fatalf("booked: %+v", v)
	}
	p.stop()
}

func TestProcessKeepsWhatItHeldOverADeathOfTheNode(t *testing.T) {
	dir, n := t.TempDir(), newFakeNode(t)
	n.serve(dir)
	p := boot(t, n, dir, "holdinvoice")
	held, settling := Preimage{1}, Preimage{2}
	p.invoice(held, "a")
	p.invoice(settling, "b")
	h1, h2 := n.pay(held, 50_000_000, 50_000_000, 41), n.pay(settling, 50_000_000, 50_000_000, 41)
	p.hook(h1)
	p.hook(h2)
	p.untilState(held.Hash(), Accepted)
	p.untilState(settling.Hash(), Accepted)
	n.mu.Lock()
	n.broken["listpeerchannels"] = clnio.Errorf(-5, "shutting down") // no proof before the end
	n.mu.Unlock()
	p.call("holdinvoicesettle", fmt.Sprintf(`["%s"]`, settling.Hash()), nil)
	n.until("the answer", func() bool { return h2.Result == "resolve" })
	p.kill()
	n.mu.Lock()
	n.notes = nil
	delete(n.broken, "listpeerchannels")
	h2.State, h2.Result = stateHeld, "" // the node died before it stored the answer
	n.mu.Unlock()

	p = spawn(t, n, filepath.Join(dir, "holdinvoice"))
	p.call("getmanifest", `{}`, nil)
	p.hook(h2) // a hook call may come before init
	p.init(dir, true)
	p.hook(h1)
	n.until("the settle to go on", func() bool { return h2.Result == "resolve" })
	p.untilState(settling.Hash(), Settled)
	for {
		changed := p.changes()
		if v := p.lookup(held.Hash()); v.State == Accepted && v.Held == 50_000_000 && !v.Recovering {
			break
		}
		<-changed
	}
	p.call("holdinvoicesettle", fmt.Sprintf(`["%s"]`, held.Hash()), nil)
	n.until("the other settle", func() bool { return h1.Result == "resolve" })
	p.stop()
}

func TestProcessDisablesItselfWithAClearLine(t *testing.T) {
	tests := []struct {
		name string
		prep func(dir string, n *fakeNode)
		want string
	}{
		{"beside another hold-invoice plugin", func(_ string, n *fakeNode) {
			n.extra = []string{"holdinvoice-lookup payment_hash"}
		}, `another plugin has the command "holdinvoice-lookup"`},
		{"with a store that is no store", func(dir string, _ *fakeNode) {
			os.WriteFile(filepath.Join(dir, databaseName), []byte(strings.Repeat("not a database", 1000)), 0o600)
		}, "invalid database"},
		{"with a store of a newer version", func(dir string, _ *fakeNode) {
			s, err := OpenStore(filepath.Join(dir, databaseName), StoreOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s.db.Update(func(tx *bbolt.Tx) error { return setNumber(tx, schemaKey, schema+1) })
			s.Close()
		}, "newer version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, n := t.TempDir(), newFakeNode(t)
			n.serve(dir)
			tt.prep(dir, n)
			p := spawn(t, n, filepath.Join(dir, "holdinvoice"))
			p.call("getmanifest", `{}`, nil)
			m := p.init(dir, true)
			var out struct{ Disable string }
			if err := json.Unmarshal(m.Result, &out); err != nil || !strings.Contains(out.Disable, tt.want) {
				t.Fatalf("got %s %v", m.Result, m.Error)
			}
			p.stop()
		})
	}
}

func TestProcessStoreIsForItsOwnerAlone(t *testing.T) {
	dir, n := t.TempDir(), newFakeNode(t)
	n.serve(dir)
	p := boot(t, n, dir, "holdinvoice")
	pre := newPreimage()
	p.invoice(pre, "order-1")
	p.stop()
	st, err := os.Stat(filepath.Join(dir, databaseName))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil || containsPreimage(raw, pre) {
		t.Errorf("preimage lies in the clear, %v", err)
	}
}
