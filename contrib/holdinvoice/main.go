// Command holdinvoice is a Core Lightning plugin that makes hold invoices, and under a file
// name that holds "guard" the standby that takes over when the first one dies. Package hold
// says how; here is only the start of the process.
package main

import (
	"context"
	"io"
	"os"

	"github.com/mostro-cln/mostro/contrib/holdinvoice/hold"
)

// version is set when the plugins are built.
var version = "dev"

func main() {
	out := marked(takeStdout())
	os.Exit(hold.Run(context.Background(), hold.Process{
		Name: os.Args[0], Version: version, In: os.Stdin, Out: out, Err: os.Stderr,
	}))
}

// takeStdout keeps the node's pipe for ourselves. Whatever else prints goes to stderr: one
// stray line on stdout and the node kills the plugin, with all that it holds.
func takeStdout() io.Writer {
	out := os.Stdout
	os.Stdout = os.Stderr
	return out
}
