package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestRunListensUntilItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	code := make(chan int)
	go func() {
		defer in.Close()
		code <- run(ctx, []string{"-listen", "127.0.0.1:0"}, in, io.Discard)
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimSpace(strings.TrimPrefix(line, "listening at "))
	ws, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatalf("dial %q: %v", url, err)
	}
	defer ws.CloseNow()
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d, want 0", got)
	}
}

func TestRunRefusesBadArguments(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an unknown flag":       {[]string{"-x"}, 2, "not defined"},
		"a stray word":          {[]string{"now"}, 2, `unexpected "now"`},
		"an address that fails": {[]string{"-listen", "256.0.0.1:0"}, 1, "listen at"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr strings.Builder
			if got := run(t.Context(), tc.args, io.Discard, &stderr); got != tc.code {
				t.Errorf("exit code %d, want %d", got, tc.code)
			}
			if !strings.Contains(stderr.String(), tc.want) {
				t.Errorf("said %q, want %q in it", stderr.String(), tc.want)
			}
		})
	}
}
