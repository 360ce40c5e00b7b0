package simln_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
)

var (
	walkSeed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random walk")
	walkSteps = flag.Int("steps", 150, "steps of the random walk")
)

// TestRandomWalkConservesMoney does anything at any time, deaths included, and counts all the sats after each step.
func TestRandomWalkConservesMoney(t *testing.T) {
	t.Logf("go test -run RandomWalk -seed %d -steps %d", *walkSeed, *walkSteps)
	r := rand.New(rand.NewPCG(*walkSeed, 0))
	holder := newFake(t, "holder", "htlc_accepted")
	w := startWith(t, simln.Config{Plugins: []simln.Plugin{holder.spec()}, SyncDelay: time.Millisecond, PayDelay: time.Millisecond})
	i := w.holdInvoice(10_000_000)
	ctx := testContext(t)
	var held []message
	steps := []struct {
		name string
		do   func()
	}{
		{"pay in", func() {
			w.Call(ctx, "sim-wallet-pay", map[string]any{"wallet": "seller", "bolt11": i.Bolt11, "parts": 1 + r.IntN(3), "cltv": 20 + r.IntN(60)}, nil)
		}},
		{"hear hooks", func() {
			holder.sync(w)
			for len(holder.calls) > 0 {
				if m := <-holder.calls; m.Method == "htlc_accepted" {
					held = append(held, m)
				}
			}
		}},
		{"answer", func() {
			if len(held) == 0 {
				return
			}
			k := r.IntN(len(held))
			holder.answer(held[k], []any{fail400f, resolve(testPreimage), goOn}[r.IntN(3)])
			held = append(held[:k], held[k+1:]...)
			holder.sync(w)
		}},
		{"pay out", func() {
			o := w.buyerInvoice(1000 + r.IntN(5_000_000))
			mode := []string{"ok", "fail", "fail-early", "hold", "terminated", "complete-after-restart"}[r.IntN(6)]
			w.script(o, map[string]any{"mode": mode, "parts": 1 + r.IntN(2)})
			go w.Node.Call(ctx, "xpay", []any{o.Bolt11}, nil)
		}},
		{"mine", func() { w.Mine(uint32(1 + r.IntN(15))) }},
		{"peer goes or comes", func() { w.call("sim-wallet-connect", []any{"seller", r.IntN(2) == 0}, nil) }},
		{"restart", func() {
			if r.IntN(2) == 0 {
				w.Kill()
			} else {
				w.Stop()
			}
			held = nil
			for len(holder.calls) > 0 {
				<-holder.calls
			}
			w = w.again(nil)
		}},
	}
	for n := range *walkSteps {
		s := steps[r.IntN(len(steps))]
		s.do()
		if w.isDead() {
			// The only way to die here is an answer for a channel that is long gone.
			if !w.log.has("channel that is forgotten") {
				t.Fatalf("step %d, %s: died of %+v", n, s.name, w.Death())
			}
			held = nil
			w.Kill()
			w = w.again(nil)
		}
		w.audit()
	}
}

func (w *world) isDead() bool {
	select {
	case <-w.Died():
		return true
	default:
		return false
	}
}

// BenchmarkTrade is one sale: invoice, hold, resolve, payout.
func BenchmarkTrade(b *testing.B) {
	dir := b.TempDir()
	n, err := simln.Start(b.Context(), simln.Config{Dir: dir, PayDelay: time.Microsecond})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Kill()
	call := func(method string, params, out any) {
		if err := n.Call(b.Context(), method, params, out); err != nil {
			b.Fatal(err)
		}
	}
	call("sim-wallet-new", []any{"seller", "100btc"}, nil)
	call("sim-wallet-new", []any{"buyer", 0}, nil)
	for k := 0; b.Loop(); k++ {
		var i, o invoice
		call("invoice", []any{1000, fmt.Sprint("label ", k), "d"}, &i)
		call("sim-wallet-pay", []any{"seller", i.Bolt11}, nil)
		call("sim-wallet-wait", []any{"seller", i.Hash}, nil)
		call("sim-wallet-invoice", []any{"buyer", 900, "p"}, &o)
		call("xpay", map[string]any{"invstring": o.Bolt11, "maxfee": 2000}, nil)
	}
}
