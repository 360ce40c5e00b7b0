// Package sim lives through trades on bad days: the whole exchange in one goroutine, on a simulated clock, disk, network
// and node, everything from one seed.
//
// What is real: the engine with its life cycle, the store on bbolt, the outbox and what the dispatcher does with it, the
// escrow, payer, watch and reconciliation of plugin/lightning, the hold plugin and its guard, the message codec, the gate
// with its memory, and, for one trade key in so many, the sealing and opening of both transports.
//
// What is simulated: the clock, relays, lightningd and the Lightning network behind it, the chain, the disks, people with
// their wallets, and the luck of all of these. See README.md for the faults, the invariants, and how to reproduce one.
//
// # Files
//
//	world.go storm.go drain.go audit.go   a world: its days, its end, its books
//	house.go disk.go plugin.go            the exchange's process; files that break; the hold plugin's processes
//	node.go htlcs.go payouts.go chain.go  the node: commands, incoming and outgoing payments, blocks
//	relays.go                             messages both ways; the resolver's port
//	people.go traders.go officials.go     who trades, cheats, settles disputes
//	facts.go checks.go                    what the world knows by itself, and what must never be
//	run.go bugs.go planted_on.go          many worlds; planted bugs
//
// A place that may break an invariant calls wrong with its name; the first one ends the world after the step. Nothing in a
// world depends on the machine: no map is walked for its order, no clock is read, and what bbolt decides by itself (which
// pages it uses) is never asked.
package sim
