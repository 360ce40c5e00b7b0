package scenario

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/contrib/trader"
)

// built are the plugins as a user would build them, and those with failpoints.
var built, builtForCrashes build

func TestMain(m *testing.M) {
	if IsListener() {
		_ = Listener(os.Stdin, os.Stdout) // until the node has enough of it
		return
	}
	code := m.Run()
	for _, b := range []*build{&built, &builtForCrashes} {
		if b.dir != "" {
			os.RemoveAll(b.dir)
		}
	}
	os.Exit(code)
}

func binaries(t *testing.T) Binaries {
	t.Helper()
	if raceDetector() {
		return built.once(t, "-race")
	}
	return built.once(t)
}

// crashBinaries are without the race detector: they are started hundreds of times.
func crashBinaries(t *testing.T) Binaries {
	t.Helper()
	return builtForCrashes.once(t, "-tags=failpoints")
}

// build is one set of binaries, made by the first test that needs it.
type build struct {
	made sync.Once
	bin  Binaries
	dir  string
	err  error
}

func (b *build) once(t *testing.T, flags ...string) Binaries {
	t.Helper()
	b.made.Do(func() {
		b.dir, b.err = os.MkdirTemp("", "mostro-bin")
		if b.err != nil {
			return
		}
		b.bin = BinariesIn(b.dir)
		for path, pkg := range map[string]string{b.bin.Mostro: "../../plugin", b.bin.Holdinvoice: "../holdinvoice", b.bin.Guard: "../holdinvoice"} {
			args := slices.Concat([]string{"build", "-o", path}, flags, []string{pkg})
			if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
				b.err = fmt.Errorf("build %s: %w\n%s", pkg, err, out)
			}
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.bin
}

// raceDetector reports whether this test was built with it; the plugins then are, too.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}

// newWorld is a relay and a simulated node with the real plugins.
func newWorld(t *testing.T) (*World, *Sim) {
	t.Helper()
	w, sim, _ := newWorldWith(t)
	return w, sim
}

// newWorldOf has other options.
func newWorldOf(t *testing.T, options map[string]any) (*World, *Sim) {
	t.Helper()
	w, sim, _ := newWorldSet(t, options)
	return w, sim
}

// newWorldWith has more relays beside the first, which it returns.
func newWorldWith(t *testing.T, more ...string) (*World, *Sim, *relay.Server) {
	t.Helper()
	return newWorldSet(t, nil, more...)
}

// newWorldSet also sets options of the exchange.
func newWorldSet(t *testing.T, options map[string]any, more ...string) (*World, *Sim, *relay.Server) {
	t.Helper()
	bin := binaries(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	srv, err := relay.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "sim") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	market, err := NewPriceServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(market.Close)
	all := map[string]any{
		"mostro-relays": strings.Join(append(more, srv.URL), ","), "mostro-expiration-seconds": fmt.Sprint(WaitingSeconds),
		"mostro-price-sources": market.Option(), "mostro-admins": AdminKey,
	}
	maps.Copy(all, options)
	sim, err := NewSim(ctx, SimConfig{Dir: dir, Bin: bin, Log: log, Options: all})
	t.Cleanup(func() {
		if sim != nil {
			sim.Close()
		}
		srv.Close()
		log.Close()
		if t.Failed() {
			if tail, err := os.ReadFile(log.Name()); err == nil {
				t.Logf("the node's log ends with:\n%s", tail[max(0, len(tail)-6000):])
			}
		}
		os.RemoveAll(dir)
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &World{Node: sim, Relays: append(more, srv.URL), Say: testWriter{t}}
	if err := w.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return w, sim, srv
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Helper()
	w.t.Log(string(b[:len(b)-1]))
	return len(b), nil
}

func TestStoriesOnTheSimulatedNode(t *testing.T) {
	w, sim := newWorld(t)
	for _, s := range slices.Concat(Stories, Disputes, Operator) {
		t.Run(s.Name, func(t *testing.T) {
			w.Say = testWriter{t}
			defer w.Leave()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			if err := s.Tell(ctx, w); err != nil {
				t.Fatal(err)
			}
			if err := sim.Audit(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheAdminsKeyIsThatOfHisWords(t *testing.T) {
	c, err := trader.New(trader.Config{Mnemonic: adminWords, Relays: []string{"ws://127.0.0.1:1"}, Mostro: AdminKey})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.Identity().String(); got != AdminKey {
		t.Errorf("the admin is %s", got)
	}
}

// Each victim is killed at each of ten points of a trade.
func TestKilledAtAnyPoint(t *testing.T) {
	for _, victim := range Victims {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			w, sim := newWorld(t)
			for point := range Points {
				t.Run(fmt.Sprintf("point %d", point), func(t *testing.T) {
					w.Say = testWriter{t}
					defer w.Leave()
					ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute) // a payment call that was lost is waited for
					defer cancel()
					if err := Disturbed(ctx, w, victim, point); err != nil {
						t.Fatal(err)
					}
					if err := sim.Audit(ctx); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
