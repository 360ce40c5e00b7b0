// Command mostro makes a Core Lightning node a Mostro: a peer-to-peer exchange of bitcoin over Nostr.
//
// lightningd runs it as a plugin (plugin=/path/to/mostro). It takes its settings from lightningd's options, keeps its
// orders in a database of its own, and reaches the node through lightningd's RPC socket. See README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(mainCode(startExchange))
}

// mainCode is the process with its real streams. A test gives a starter of its own.
func mainCode(start starter) int {
	out, err := takeStdout()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mostro:", err)
		return 1
	}
	// lightningd ends us through stdin; a signal is an operator's, and ends us in the same clean way.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], streams{os.Stdin, out, os.Stderr}, start)
}
