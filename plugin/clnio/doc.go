// Package clnio speaks JSON-RPC 2.0 as Core Lightning does, on both of its doors:
// the standard streams of a plugin, and the node's Unix socket.
//
// The node frames a message by two newlines, yet reads whatever white space it finds;
// [Reader] and [Writer] do the same. Ids are compared by the node as raw bytes, so they
// are kept as raw bytes here and go back exactly as they came.
//
// A [Client] tells two kinds of failure apart, because money hangs on it: [ErrNotSent]
// means that the command never reached the node; [ErrUnknownOutcome] means that it may
// have run, may be running, or may still run. A reply that says "error" is an [*Error]
// and is an answer like any other.
package clnio
