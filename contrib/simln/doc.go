// Package simln is a stand-in for lightningd, for tests and demos without bitcoind. It starts plugin binaries
// unmodified, as Core Lightning v26.06 does, serves the lightning-rpc socket, and models what a plugin that takes
// and makes payments can see of a node: invoices, incoming HTLCs and their hooks, outgoing payments, blocks,
// restarts, and deaths. A reply to a hook that kills lightningd kills this node too.
//
// A test runs it in its own process:
//
//	n, err := simln.Start(ctx, simln.Config{Dir: t.TempDir(), Plugins: []simln.Plugin{{Path: binary, Important: true}}})
//	err = n.Call(ctx, "sim-wallet-new", []any{"seller", "1000000sat"}, nil)
//	err = n.Call(ctx, "sim-wallet-pay", map[string]any{"wallet": "seller", "bolt11": b, "parts": 2}, nil)
//	n.Kill() // SIGKILL; Start on the same Dir goes on where the journal ends, held HTLCs are replayed
//
// The command cmd/simln runs it as a process. Traders, chain and faults are played through RPC methods that begin
// with sim-; the file commands.go lists them with their parameters.
//
// # Files
//
//	node.go      one node's life: start, transactions, stop, death
//	host.go      plugin processes: pipes, framing, handshake, kill rules
//	manifest.go  options.go  hooks.go  plugincmd.go    what a plugin may ask for
//	rpc.go       params.go   commands.go  client.go    the socket; faults.go breaks it
//	htlcs.go     localpay.go  chain.go                 incoming HTLCs from hook to money, and blocks
//	invoices.go  payments.go  paylists.go  wait.go     the node's own tables
//	wallets.go   bolt12.go                             the traders' side
//	lists.go     datastore.go                          what else the node can be asked
//	state.go     clock.go                              disk and time
//	bolt11.go    keys.go                               encodings and signatures
//
// # What is not modelled
//
// Gossip and routes, forwards, on-chain wallet and fees, database hooks, and lightningd's own plugins: their commands
// (xpay, autoclean-status, …) are the node's here. BOLT 12 strings are opaque tokens that only this node understands.
package simln
