package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
)

// start runs the command and returns the socket that its ready line names, and its exit code to come.
func start(t *testing.T, args ...string) (socket string, code <-chan int) {
	t.Helper()
	r, w := io.Pipe()
	exit := make(chan int, 1)
	var errOut bytes.Buffer
	go func() {
		exit <- run(args, w, &errOut)
		w.Close()
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("no ready line, exit code %d: %s", <-exit, errOut.String())
	}
	for _, word := range strings.Fields(line) {
		if path, ok := strings.CutPrefix(word, "rpc="); ok && strings.HasPrefix(line, "ready ") {
			return path, exit
		}
	}
	t.Fatalf("ready line %q", line)
	return "", nil
}

func dir(t *testing.T) string {
	d, err := os.MkdirTemp("", "simln")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(d) })
	return d
}

func TestWalletsAreMadeOnceAndStopEndsTheProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	args := []string{"--dir", dir(t), "--wallet", "seller=1000", "--wallet", "buyer=0", "--log-file", filepath.Join(t.TempDir(), "log")}
	for range 2 {
		socket, code := start(t, args...)
		var b struct {
			Available int `json:"available_msat"`
		}
		if err := simln.Call(ctx, socket, "sim-wallet-balance", []any{"seller"}, &b); err != nil || b.Available != 1_000_000 {
			t.Fatalf("balance %+v, %v", b, err)
		}
		if err := simln.Call(ctx, socket, "stop", nil, nil); err != nil {
			t.Fatal(err)
		}
		if c := <-code; c != 0 {
			t.Errorf("exit code %d", c)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for name, args := range map[string][]string{
		"no directory":        {},
		"a wallet without =":  {"--dir", dir(t), "--wallet", "x"},
		"a secret too short":  {"--dir", dir(t), "--secret", "00"},
		"a flag nobody knows": {"--nobody"},
	} {
		var errOut bytes.Buffer
		if code := run(args, io.Discard, &errOut); code != 2 || errOut.Len() == 0 {
			t.Errorf("%s: exit code %d, %s", name, code, errOut.String())
		}
	}
}

func TestOptionsAreCollected(t *testing.T) {
	s, err := parse([]string{"--dir", "d", "--plugin", "/a:important", "--plugin", "/b", "--option", "x=1", "--option", "x=2", "--option", "flag"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if p := s.cfg.Plugins; len(p) != 2 || !p[0].Important || p[0].Path != "/a" || p[1].Important {
		t.Errorf("plugins %+v", p)
	}
	if x, _ := s.cfg.Options["x"].([]string); len(x) != 2 || s.cfg.Options["flag"] != true {
		t.Errorf("options %+v", s.cfg.Options)
	}
}

func TestAnUnknownOptionIsExitCode1(t *testing.T) {
	var errOut bytes.Buffer
	code := run([]string{"--dir", dir(t), "--option", "nobody=1"}, io.Discard, &errOut)
	if code != 1 || !strings.Contains(errOut.String(), "--nobody: unrecognized option") {
		t.Errorf("exit code %d, %s", code, errOut.String())
	}
}
