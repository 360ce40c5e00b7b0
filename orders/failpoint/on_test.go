//go:build failpoints

package failpoint

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const role = "FAILPOINT_TEST_ROLE"

// TestMain is also the process that gets killed: it comes by one point three times.
func TestMain(m *testing.M) {
	if os.Getenv(role) != "" {
		for range 3 {
			Hit("before", "commit", "take-sell")
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAProcessDiesWhereItWasTold(t *testing.T) {
	where := filepath.Base(os.Args[0]) + " before commit take-sell"
	for _, c := range []struct {
		name, armed string
		dies        []bool // one run after the other
		reached     int
		done, left  string
	}{
		{"nothing is ordered", "", []bool{false}, 3, "", ""},
		{"at the second time", "2 kill " + where + "\n", []bool{true, false}, 5, "2 kill " + where + "\n", ""},
		{"in a later run", "5 kill " + where + "\n", []bool{false, true}, 5, "5 kill " + where + "\n", ""},
		{"at a place that it does not reach", "1 kill x before commit take-sell\n", []bool{false}, 3, "", "1 kill x before commit take-sell\n"},
		{"one order of two", "1 kill " + where + "\n9 kill " + where + "\n", []bool{true, false}, 4, "1 kill " + where + "\n", "9 kill " + where + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := t.TempDir()
			if err := os.WriteFile(filepath.Join(d, "armed"), []byte(c.armed), 0o600); err != nil {
				t.Fatal(err)
			}
			for i, want := range c.dies {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), role+"=victim", Variable+"="+d)
				err := cmd.Run()
				var ended *exec.ExitError
				killed := errors.As(err, &ended) && ended.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
				if killed != want || err != nil && !killed {
					t.Fatalf("run %d: killed: %v (%v), want %v", i+1, killed, err, want)
				}
			}
			if got := read(t, d, "trace"); got != strings.Repeat(where+"\n", c.reached) {
				t.Errorf("trace:\n%s", got)
			}
			if done, left := read(t, d, "done"), read(t, d, "armed"); done != c.done || left != c.left {
				t.Errorf("done %q, want %q; left %q, want %q", done, c.done, left, c.left)
			}
		})
	}
}

// A process that is told to stop at a point goes no further, and ends only by somebody else's hand.
func TestAProcessStopsWhereItWasTold(t *testing.T) {
	d := t.TempDir()
	order := "2 stop " + filepath.Base(os.Args[0]) + " before commit take-sell\n"
	if err := os.WriteFile(filepath.Join(d, "armed"), []byte(order), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=victim", Variable+"="+d)
	// The runtime ends a process in which nothing can ever happen any more; one with more to do would stay.
	out, err := cmd.CombinedOutput()
	if err == nil || !slices.Contains(strings.Split(string(out), "\n"), "fatal error: all goroutines are asleep - deadlock!") {
		t.Errorf("it ended with %v:\n%s", err, out)
	}
	if got := read(t, d, "done"); got != order {
		t.Errorf("done %q, want %q", got, order)
	}
}

func TestWithoutADirectoryNothingHappens(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=victim", Variable+"=")
	if err := cmd.Run(); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, d, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(d, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(raw)
}
