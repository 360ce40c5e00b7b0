//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

var (
	dir     = os.Getenv(Variable)
	program = filepath.Base(os.Args[0])
)

// Hit is called where the process may be killed: when is "before" or "after", what and which name the deed.
func Hit(when, what, which string) {
	if dir == "" {
		return
	}
	todo, err := reached(strings.Join([]string{program, when, what, which}, " "))
	if err != nil { // a walk that goes on without its points would prove nothing
		fmt.Fprintln(os.Stderr, "failpoint:", err)
		os.Exit(3)
	}
	switch todo {
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "stop":
		select {}
	}
}

// reached notes the point, and returns what was ordered for it. One process at a time.
func reached(point string) (todo string, err error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if err := add("trace", point); err != nil {
		return "", err
	}
	armed, err := lines("armed")
	if err != nil {
		return "", err
	}
	for i, order := range armed {
		nth, rest, _ := strings.Cut(order, " ")
		todo, where, _ := strings.Cut(rest, " ")
		if where != point {
			continue
		}
		n, err := strconv.Atoi(nth)
		if err != nil {
			return "", fmt.Errorf("order %q: %w", order, err)
		}
		trace, err := lines("trace")
		if err != nil {
			return "", err
		}
		if count(trace, point) != n {
			continue
		}
		armed = slices.Delete(armed, i, i+1)
		if err := os.WriteFile(filepath.Join(dir, "armed"), []byte(join(armed)), 0o600); err != nil {
			return "", err
		}
		return todo, add("done", order)
	}
	return "", nil
}

func count(list []string, s string) (n int) {
	for _, x := range list {
		if x == s {
			n++
		}
	}
	return n
}

func join(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return strings.Join(list, "\n") + "\n"
}

// lines of a file that may not be there.
func lines(name string) ([]string, error) {
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return slices.DeleteFunc(strings.Split(string(raw), "\n"), func(l string) bool { return l == "" }), nil
}

func add(name, line string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(line + "\n")
	return err
}
