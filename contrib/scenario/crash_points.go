package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/mostro-cln/mostro/orders/failpoint"
)

// Failpoints is our side of package failpoint: what plugins of such a build have reached, and what they are to do there.
type Failpoints struct{ dir string }

// NewFailpoints keeps its files in a directory, which it makes.
func NewFailpoints(dir string) (*Failpoints, error) {
	return &Failpoints{dir}, os.MkdirAll(dir, 0o700)
}

// Env is the environment of the plugins.
func (f *Failpoints) Env() []string { return []string{failpoint.Variable + "=" + f.dir} }

// Deed is what happens at a point.
type Deed string

// The deeds. KillNode needs somebody to do it: the plugin waits at the point.
const (
	KillPlugin Deed = "kill"
	KillNode   Deed = "stop"
)

// Visit is an order for one point: at the n-th time since the trace began that it is reached, the deed is done.
type Visit struct {
	Nth   int
	Deed  Deed
	Point string // "mostro before commit take-sell"
}

// String is the order as failpoint reads it.
func (v Visit) String() string { return fmt.Sprintf("%d %s %s", v.Nth, v.Deed, v.Point) }

func parseVisit(line string) (Visit, error) {
	words := strings.SplitN(line, " ", 3)
	if len(words) < 3 {
		return Visit{}, fmt.Errorf("%q is no order for a failpoint", line)
	}
	nth, err := strconv.Atoi(words[0])
	if err != nil {
		return Visit{}, fmt.Errorf("%q is no order for a failpoint: %w", line, err)
	}
	return Visit{nth, Deed(words[1]), words[2]}, nil
}

// Program is the file name of the plugin to which the point belongs.
func (v Visit) Program() string {
	name, _, _ := strings.Cut(v.Point, " ")
	return name
}

// Begin starts a new trace with new orders. Orders that were not obeyed are forgotten.
func (f *Failpoints) Begin(visits ...Visit) error {
	return f.locked(func() error {
		var armed strings.Builder
		for _, v := range visits {
			fmt.Fprintln(&armed, v)
		}
		for name, text := range map[string]string{"trace": "", "done": "", "armed": armed.String()} {
			if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
				return err
			}
		}
		return nil
	})
}

// Disarm forgets the orders that were not obeyed.
func (f *Failpoints) Disarm() error {
	return f.locked(func() error { return os.WriteFile(f.path("armed"), nil, 0o600) })
}

// Trace is what was reached since Begin, in that order.
func (f *Failpoints) Trace() (points []string, err error) {
	err = f.locked(func() error {
		points, err = f.lines("trace")
		return err
	})
	return points, err
}

// Done are the orders that were obeyed since Begin, in that order.
func (f *Failpoints) Done() (done []Visit, err error) {
	var rows []string
	err = f.locked(func() error {
		rows, err = f.lines("done")
		return err
	})
	for _, row := range rows {
		v, err := parseVisit(row)
		if err != nil {
			return nil, err
		}
		done = append(done, v)
	}
	return done, err
}

func (f *Failpoints) path(name string) string { return filepath.Join(f.dir, name) }

func (f *Failpoints) lines(name string) ([]string, error) {
	raw, err := os.ReadFile(f.path(name))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(string(raw), "\n"), func(s string) bool { return s == "" }), nil
}

// locked keeps plugins from a point meanwhile.
func (f *Failpoints) locked(do func() error) error {
	lock, err := os.OpenFile(f.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return do()
}
