package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// TestMain lets this test binary play the plugin, so that the tests run the real thing in a
// process of its own without building it first.
func TestMain(m *testing.M) {
	if name := os.Getenv("HOLDINVOICE_TEST_ROLE"); name != "" {
		os.Args[0] = name
		main()
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
			if err == io.EOF {
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

// boot runs the handshake as the node does.
func (p *process) boot(dir string, startup bool) {
	p.t.Helper()
	p.call("getmanifest", `{"allow-deprecated-apis":false}`, nil)
	p.call("init", fmt.Sprintf(`{"options":{"holdinvoice-settle-min-blocks":24,"holdinvoice-cancel-blocks":20},"configuration":{"lightning-dir":%q,"rpc-file":"lightning-rpc","startup":%v,"network":"regtest","feature_set":{}}}`, dir, startup), nil)
}

// boot spawns a plugin at the start of its node.
func boot(t *testing.T, n *fakeNode, dir, name string) *process {
	t.Helper()
	p := spawn(t, n, filepath.Join(dir, name))
	p.boot(dir, true)
	return p
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
