package hold

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// Process is what the plugin's process was started with.
type Process struct {
	Name    string // of the binary's file; chooses the role, since the node has no other way to load one binary twice
	Version string
	In      io.Reader // from the node
	Out     io.Writer // to the node, which kills the plugin for one stray line
	Err     io.Writer
}

// Run serves the node until In ends, and returns the exit code.
func Run(ctx context.Context, p Process) int {
	debug.SetMemoryLimit(512 << 20)
	w := clnio.NewWriter(p.Out)
	log := newLog(w)
	var r role = newHoldRole(log, w, p.Version)
	if isGuard(p.Name) {
		r = newGuard(GuardConfig{Log: log, Out: w, Version: p.Version})
	}
	if err := newRuntime(p.In, w, log, r).run(ctx); err != nil {
		fmt.Fprintln(p.Err, err)
		return 1
	}
	return 0
}
