package hold

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
)

// world is a whole node of the simulator with our plugins on it, in processes of their own.
type world struct {
	*simln.Node
	t   *testing.T
	cfg simln.Config
	log *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newWorld starts a node with the holder, and the guard behind it unless alone is said.
// The binaries are real copies: the node takes a link for the same plugin.
func newWorld(t *testing.T, important bool, names ...string) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "hi") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, log: &syncBuffer{}}
	w.cfg = simln.Config{Dir: dir, Log: w.log, CLTVFinal: 10}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.Link(exe, path); err != nil {
			b, err := os.ReadFile(exe)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		w.cfg.Plugins = append(w.cfg.Plugins, simln.Plugin{
			Path: path, Important: important && name == "holdinvoice",
			Env: []string{"HOLDINVOICE_TEST_ROLE=" + path},
		})
	}
	w.again()
	w.must("sim-wallet-new", []any{"seller", "10000000sat"}, nil)
	return w
}

// again starts the node, or starts it again on the same directory.
func (w *world) again() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	n, err := simln.Start(ctx, w.cfg)
	if err != nil {
		w.t.Fatalf("%v\n%s", err, w.log)
	}
	w.Node = n
	w.t.Cleanup(n.Kill)
}

func (w *world) call(method string, params, out any) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	return w.Call(ctx, method, params, out)
}

func (w *world) must(method string, params, out any) {
	w.t.Helper()
	if err := w.call(method, params, out); err != nil {
		w.t.Fatalf("%s: %v\n%s", method, err, w.log)
	}
}

// escrow makes a hold invoice of 50000 sat and lets the seller pay it.
func (w *world) escrow(pre Preimage, label string, how map[string]any) {
	w.t.Helper()
	var made struct {
		Bolt11 string `json:"bolt11"`
	}
	w.must("holdinvoice", map[string]any{
		"amount_msat": 50_000_000, "label": label, "description": "d", "cltv": 40, "preimage": pre.Hex(),
	}, &made)
	pay := map[string]any{"wallet": "seller", "bolt11": made.Bolt11}
	for k, v := range how {
		pay[k] = v
	}
	w.must("sim-wallet-pay", pay, nil)
}

type outcome struct {
	Status   string `json:"status"`
	Preimage string `json:"preimage"`
	Code     int    `json:"code"`
}

// outcome waits for the end of the seller's payment.
func (w *world) outcome(pre Preimage) (o outcome) {
	w.t.Helper()
	w.must("sim-wallet-wait", map[string]any{"wallet": "seller", "payment_hash": pre.Hash(), "timeout": 20}, &o)
	return o
}

func (w *world) status(pre Preimage) (o outcome) {
	w.t.Helper()
	w.must("sim-wallet-status", map[string]any{"wallet": "seller", "payment_hash": pre.Hash()}, &o)
	return o
}

func (w *world) lookup(pre Preimage) (v view) {
	w.t.Helper()
	w.must("holdinvoicelookup", map[string]any{"payment_hash": pre.Hash()}, &v)
	return v
}

// until waits for an invoice to satisfy cond, woken by each change that the plugin knows of.
func (w *world) until(pre Preimage, what string, cond func(view) bool) view {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		v := w.lookup(pre)
		if cond(v) {
			return v
		}
		var next view
		w.call("holdinvoicewait", map[string]any{"nextvalue": v.Updated + 1, "timeout": 1}, &next)
	}
	w.t.Fatalf("never %s: %+v\n%s", what, w.lookup(pre), w.log)
	return view{}
}

func held(v view) bool { return v.State == Accepted && v.Held == v.Amount && !v.Recovering }

// sum checks that no sat was made or lost, and returns what the node has.
func (w *world) sum() (node, locked int64) {
	w.t.Helper()
	var a struct {
		Total  int64 `json:"total_msat"`
		Minted int64 `json:"minted_msat"`
		Node   int64 `json:"node_msat"`
		Locked int64 `json:"locked_msat"`
	}
	w.must("sim-audit", nil, &a)
	if a.Total != a.Minted || a.Total == 0 {
		w.t.Errorf("minted %d, found %d", a.Minted, a.Total)
	}
	return a.Node, a.Locked
}

func TestNodeSettlesAndCancelsHeldPayments(t *testing.T) {
	w := newWorld(t, true, "holdinvoice", "holdinvoice-guard")
	before, _ := w.sum()
	for i, parts := range []int{1, 3} {
		pre := Preimage{byte(i + 1)}
		w.escrow(pre, fmt.Sprint("settled ", i), map[string]any{"parts": parts})
		v := w.until(pre, "held", held)
		if len(v.HTLCs) != parts || w.status(pre).Status != "pending" {
			t.Fatalf("%+v", v)
		}
		w.must("holdinvoicesettle", map[string]any{"payment_hash": pre.Hash(), "timeout": 10}, &v)
		if v.State != Settled || v.Proof < proofTaken {
			t.Fatalf("%+v", v)
		}
		if o := w.outcome(pre); o.Status != "complete" || o.Preimage != pre.Hex() {
			t.Fatalf("payer: %+v", o)
		}
		w.until(pre, "booked", func(v view) bool { return v.Confirmed && v.Proof == proofBooked })
	}
	pre := Preimage{9}
	w.escrow(pre, "canceled", map[string]any{"parts": 2})
	w.until(pre, "held", held)
	var v view
	w.must("holdinvoicecancel", []any{pre.Hash()}, &v)
	if v.State != Canceled || !v.Confirmed {
		t.Fatalf("%+v", v)
	}
	if o := w.outcome(pre); o.Status != "failed" || o.Code != 203 {
		t.Fatalf("payer: %+v", o)
	}
	if after, locked := w.sum(); after != before+100_000_000 || locked != 0 {
		t.Fatalf("node had %d, has %d, locked %d", before, after, locked)
	}
}

func TestNodeRefusesForgedPayments(t *testing.T) {
	w := newWorld(t, true, "holdinvoice", "holdinvoice-guard")
	for i, forged := range []map[string]any{
		{"wrong_secret": true},
		{"total_msat": 150_000_000},
		{"next_scid": "999x1x1"},
		{"underlock_msat": 1},
		{"metadata": "01fafaf0"},
		{"garbled": true},
		{"cltv": 20},
		{"pay_msat": 49_999_999},
		{"pay_msat": 150_000_000},
	} {
		t.Run(fmt.Sprint(forged), func(t *testing.T) {
			pre := Preimage{byte(i + 1)}
			w.escrow(pre, fmt.Sprint("forged ", i), forged)
			if o := w.outcome(pre); o.Status != "failed" {
				t.Errorf("payer: %+v", o)
			}
			if v := w.lookup(pre); v.State != Open || v.Held != 0 {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestNodeGivesAPaymentBackBeforeTheChainWould(t *testing.T) {
	w := newWorld(t, true, "holdinvoice", "holdinvoice-guard")
	pre := Preimage{1}
	w.escrow(pre, "late", nil)
	v := w.until(pre, "held", held)
	w.SetHeight(uint32(v.Expiry) - 21)
	if v := w.lookup(pre); v.State != Accepted {
		t.Fatalf("%+v", v)
	}
	w.Mine(1)
	if o := w.outcome(pre); o.Status != "failed" || o.Code != 203 {
		t.Fatalf("payer: %+v", o)
	}
	if v := w.until(pre, "canceled", func(v view) bool { return v.State == Canceled }); v.Reason != reasonDeadline {
		t.Fatalf("%+v", v)
	}
}

func TestHeldPaymentsSurviveTheNode(t *testing.T) {
	for how, end := range map[string]func(*world){
		"killed":              func(w *world) { w.Kill() },
		"stopped":             func(w *world) { w.Stop() },
		"holder killed first": func(w *world) { w.kill("holdinvoice"); <-w.Died() },
	} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t, true, "holdinvoice", "holdinvoice-guard")
			kept, settled := Preimage{1}, Preimage{2}
			w.escrow(kept, "kept", map[string]any{"parts": 2})
			w.escrow(settled, "settled", map[string]any{"parts": 2})
			w.until(kept, "held", held)
			w.until(settled, "held", held)
			end(w)
			w.cfg.OfflineBlocks = 3
			w.again()
			w.until(kept, "held again", held)
			w.must("holdinvoicesettle", map[string]any{"payment_hash": settled.Hash(), "timeout": 10}, nil)
			if o := w.outcome(settled); o.Status != "complete" {
				t.Fatalf("payer: %+v", o)
			}
			if o := w.status(kept); o.Status != "pending" {
				t.Fatalf("payer: %+v", o)
			}
			w.must("holdinvoicecancel", []any{kept.Hash()}, nil)
			if o := w.outcome(kept); o.Code != 203 {
				t.Fatalf("payer: %+v", o)
			}
			w.sum()
		})
	}
}

func (w *world) kill(name string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	if err := w.KillPlugin(ctx, name); err != nil {
		w.t.Logf("kill %s: %v", name, err)
	}
}

func TestGuardKeepsWhatADeadHolderHeld(t *testing.T) {
	w := newWorld(t, false, "holdinvoice-guard", "holdinvoice") // the wrong way round: the hook's order must mend it
	pre, other := Preimage{1}, Preimage{2}
	w.escrow(pre, "kept", map[string]any{"parts": 3})
	w.escrow(other, "other", nil)
	w.until(pre, "held", held)
	w.until(other, "held", held)
	w.kill("holdinvoice")
	type views struct {
		Invoices []view `json:"holdinvoices"`
	}
	for end := time.Now().Add(20 * time.Second); ; {
		var list views
		if err := w.call("holdguard-list", map[string]any{"state": "ACCEPTED"}, &list); err == nil && len(list.Invoices) == 2 && held(list.Invoices[0]) && held(list.Invoices[1]) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("guard did not take over: %+v\n%s", list, w.log)
		}
		w.must("getinfo", nil, nil)
	}
	if a, b := w.status(pre), w.status(other); a.Status != "pending" || b.Status != "pending" {
		t.Fatalf("payers: %+v %+v", a, b)
	}
	var v view
	w.must("holdguard-settle", map[string]any{"payment_hash": pre.Hash(), "timeout": 10}, &v)
	if v.State != Settled || w.outcome(pre).Status != "complete" {
		t.Fatalf("%+v", v)
	}
	w.Kill()
	w.again()
	if v := w.lookup(pre); v.State != Settled {
		t.Fatalf("after the restart: %+v", v)
	}
	w.until(other, "held again", held)
	w.must("holdinvoicecancel", []any{other.Hash()}, nil)
	if o := w.outcome(other); o.Code != 203 {
		t.Fatalf("payer: %+v", o)
	}
}

// A node without a guard loses the holds of a dead holder; it must not settle them.
func TestDeadHolderWithoutAGuardRefundsAndNeverSettles(t *testing.T) {
	w := newWorld(t, false, "holdinvoice")
	pre := Preimage{1}
	w.escrow(pre, "lost", nil)
	w.until(pre, "held", held)
	w.kill("holdinvoice")
	if o := w.outcome(pre); o.Status != "failed" || o.Code != 203 {
		t.Fatalf("payer: %+v", o)
	}
}

func TestManyTradesAtOnce(t *testing.T) {
	w := newWorld(t, true, "holdinvoice", "holdinvoice-guard")
	before, _ := w.sum()
	var settled atomic.Int64
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 8 {
				pre := Preimage{byte(g + 1), byte(i + 1)}
				w.escrow(pre, fmt.Sprint("trade ", g, " ", i), map[string]any{"parts": 1 + i%4})
				w.until(pre, "held", held)
				var v view
				if (g+i)%2 == 0 {
					w.must("holdinvoicesettle", map[string]any{"payment_hash": pre.Hash(), "timeout": 20}, &v)
					settled.Add(50_000_000)
				} else {
					w.must("holdinvoicecancel", []any{pre.Hash()}, &v)
				}
				w.until(pre, "at its end", func(v view) bool { return v.State.Final() })
			}
		})
	}
	wg.Wait()
	if after, locked := w.sum(); after != before+settled.Load() || locked != 0 {
		t.Errorf("node had %d, settled %d, has %d; locked %d", before, settled.Load(), after, locked)
	}
}

// The node dies at any moment of a trade, again and again. Whatever was promised holds: who
// was told SETTLED has the money, and everybody else has theirs back.
func TestNodeDiesAtAnyMoment(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, true, "holdinvoice", "holdinvoice-guard")
	before, _ := w.sum()
	want := before
	for round := range 6 {
		pre := Preimage{byte(round + 1), 7}
		w.escrow(pre, fmt.Sprint("round ", round), map[string]any{"parts": 1 + r.IntN(3)})
		w.until(pre, "held", held)
		settle := r.IntN(2) == 0
		command := "holdinvoicecancel"
		if settle {
			command = "holdinvoicesettle"
			want += 50_000_000
		}
		dies := time.AfterFunc(time.Duration(r.IntN(8000))*time.Microsecond, w.Kill)
		w.call(command, []any{pre.Hash()}, nil) // its outcome is not known
		<-w.Died()
		dies.Stop()
		w.again()
		w.until(pre, "at rest", func(v view) bool { return held(v) || v.State.Final() })
		if v := w.lookup(pre); !v.State.Final() {
			w.must(command, []any{pre.Hash()}, nil)
		}
		o := w.outcome(pre)
		v := w.until(pre, "at its end", func(v view) bool { return v.State.Final() })
		if settle && (v.State != Settled || o.Status != "complete") || !settle && (v.State != Canceled || o.Code != 203) {
			t.Fatalf("round %d, settle %v: %+v, payer %+v\n%s", round, settle, v, o, w.log)
		}
	}
	if after, locked := w.sum(); after != want || locked != 0 {
		t.Errorf("node has %d, want %d; locked %d", after, want, locked)
	}
	if strings.Contains(w.log.String(), "panic") {
		t.Error("a panic is in the log")
	}
}
