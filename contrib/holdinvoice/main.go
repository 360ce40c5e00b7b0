package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

func main() {
	os.Exit(run(context.Background(), os.Args[0], os.Stdin, marked(takeStdout()), os.Stderr))
}

// takeStdout keeps the node's pipe for ourselves. Whatever else prints goes to stderr: one
// stray line on stdout and the node kills the plugin, with all that it holds.
func takeStdout() io.Writer {
	out := os.Stdout
	os.Stdout = os.Stderr
	return out
}

// run serves the node on in and out until in ends, and returns the exit code. The file name
// of the binary chooses its role, since the node has no other way to load one binary twice.
func run(ctx context.Context, name string, in io.Reader, out, errs io.Writer) int {
	debug.SetMemoryLimit(512 << 20)
	w := clnio.NewWriter(out)
	log := newLog(w)
	var r role = newHoldRole(log, w)
	if isGuard(name) {
		r = newGuard(log, w)
	}
	if err := newRuntime(in, w, log, r).run(ctx); err != nil {
		fmt.Fprintln(errs, err)
		return 1
	}
	return 0
}
