// Package simtest lets a test run real plugin binaries under the simulated lightningd.
package simtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
)

// Deadline bounds every wait of these tests; nothing here should take a tenth of it.
const Deadline = 20 * time.Second

// Sim is a simulated node with its plugins, which a test can stop and start again.
type Sim struct {
	T   *testing.T
	Cfg simln.Config
	*simln.Node
}

// New is a node that is not started.
func New(t *testing.T, plugins ...simln.Plugin) *Sim {
	return &Sim{T: t, Cfg: simln.Config{Dir: ShortDir(t), Height: 500, Plugins: plugins}}
}

// Run starts a node; it is killed when the test ends. A data race or a panic in the node's log fails the test.
func Run(t *testing.T, plugins ...simln.Plugin) *Sim {
	t.Helper()
	s := New(t, plugins...)
	var log Buffer
	s.Cfg.Log = &log
	s.Start()
	t.Cleanup(func() {
		s.Kill()
		for _, bad := range []string{"DATA RACE", "panic:"} {
			if strings.Contains(log.String(), bad) {
				t.Errorf("%s in the node's log:\n%s", bad, log.String())
			}
		}
	})
	return s
}

// Start starts the node, for the first time or again.
func (s *Sim) Start() {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), Deadline)
	defer cancel()
	n, err := simln.Start(ctx, s.Cfg)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Node = n
}

// Must makes a call that has to succeed.
func (s *Sim) Must(method string, params, out any) {
	s.T.Helper()
	if err := s.Call(s.T.Context(), method, params, out); err != nil {
		s.T.Fatalf("%s: %v", method, err)
	}
}

// Pay has a wallet pay an invoice in so many parts.
func (s *Sim) Pay(wallet, bolt11 string, parts int) {
	s.T.Helper()
	s.Must("sim-wallet-pay", map[string]any{"wallet": wallet, "bolt11": bolt11, "parts": parts}, nil)
}

// Holder is the hold plugin with its guard, as an operator loads them.
func Holder(t *testing.T) []simln.Plugin {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs binaries")
	}
	binary, err := holder()
	if err != nil {
		t.Fatal(err)
	}
	return []simln.Plugin{{Path: CopyOf(t, binary, "holdinvoice"), Important: true}, {Path: CopyOf(t, binary, "holdinvoice-guard")}}
}

var holderDir string

// holder builds contrib/holdinvoice once for all tests of the process.
var holder = sync.OnceValues(func() (string, error) {
	var err error
	if holderDir, err = os.MkdirTemp("", "mostro-holder"); err != nil {
		return "", err
	}
	path := filepath.Join(holderDir, "holdinvoice")
	out, err := exec.Command("go", "build", "-o", path, "github.com/mostro-cln/mostro/contrib/holdinvoice").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the holder: %w\n%s", err, out)
	}
	return path, nil
})

// Main runs the tests of a package and removes what was built for them; the result is the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if holderDir != "" {
		os.RemoveAll(holderDir)
	}
	return code
}

// CopyOf puts a binary under another name: lightningd takes a link for the same plugin.
func CopyOf(t *testing.T, path, name string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// ShortDir is a directory whose path leaves room for a Unix socket's name (107 bytes).
func ShortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Eventually asks again until ok or the deadline.
func Eventually(t *testing.T, ok func() bool) bool {
	t.Helper()
	for until := time.Now().Add(Deadline); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}

// Buffer is a log that is written and read at once.
type Buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
