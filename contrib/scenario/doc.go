// Package scenario tells stories of trades and checks how they end: with real plugin binaries, a real relay and real
// clients, on a node of either kind.
//
//	World  = relay + Node + people; made once, used by many stories
//	Node   = a Lightning node that runs our plugins, with wallets of other people around it
//	         sim.go: the simulated lightningd; real.go: lightningd and bitcoind from PATH
//	Story  = one scenario (stories.go); the same list runs on both kinds of node
//
// `make test` runs the stories on the simulated node, `make regtest` on the real one, and `make demo` shows the first.
package scenario
