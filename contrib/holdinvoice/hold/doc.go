// Package hold is a Core Lightning plugin that makes hold invoices: a payment to
// one is locked on its way, and settled or given back on command.
//
// Its RPC is that of the Rust plugin of the same name, so one caller serves both:
// holdinvoice, holdinvoicelookup, holdinvoicesettle, holdinvoicecancel, and more of its
// own. What it adds: every check of a payment that an honest payee makes (amount, secret,
// total, expiry, onion) happens before ACCEPTED is said; a settle is proved, not assumed;
// no row of the invoice stays in the node, so a dead plugin never settles by itself.
//
// The same binary under a file name that holds "guard" plays the second role: it stands
// behind the holder in the hook chain and takes over, with the holder's own database,
// when the holder dies. Load both at the start of lightningd, never later:
//
//	important-plugin=/path/holdinvoice
//	plugin=/path/holdinvoice-guard
//
// # Promises
//
//  1. A hook is only ever answered in one of the four shapes in reply.go, none of which
//     can stop the node.
//  2. What was decided is on disk before it is said: ACCEPTED before it is announced,
//     SETTLING before the first preimage leaves, CANCELING before the first refusal.
//  3. SETTLING never becomes a refusal, CANCELING never a settle. The store checks that
//     by itself (state.go), in the transaction that writes.
//  4. No answer is given late: a payment that nobody settled is given back some blocks
//     before the chain would take the channel, and at its expiry at the latest.
//  5. An invoice is pruned when it has ended, nothing of it is held, its proof is as good as
//     it gets, and the time to keep it is over. How it ended is kept for ever, and its
//     preimage is never taken again.
//
// # What stays, and how much
//
// An ended invoice leaves memory after an hour if it is CANCELED, or SETTLED with the books'
// proof, and after a day if it is LOST. Its record stays on disk for holdinvoice-keep-days (30), then a line of
// some 100 bytes says how it ended. Lookup, settle and cancel answer as before, with pruned
// set where amounts of parts, label and times are gone; only 3001 says that there never was
// such an invoice. holdinvoicelist leaves out what was pruned. A payment for what has left
// memory passes on to the node, which has no such invoice and refuses it.
//
// Bounds: 128 parts of a payment, 20000 invoices in memory, 5000 in one answer of the list,
// 64 commands at once, of which 16 may be holdinvoicewait. While the disk takes nothing, 128
// new parts of an invoice wait for it, further ones are refused for now; what was stored is
// held in any case.
//
// # What the commands say
//
// Errors are JSON-RPC errors. -32602 is a bad parameter; 900 and 901 mean that the label or
// the preimage belongs to another invoice, as in Core Lightning; 904 that a wait timed out;
// 3001 that there is no such invoice; 3002 that it is in another state and 3003 that too few
// blocks are left to settle, both with payment_hash and state as data; 3006 that the node has
// just started: ask again. Settle and cancel may be asked for any number of times.
//
// A state is what is on disk. holdinvoicesettle answers SETTLING, or SETTLED if its timeout
// was long enough for a proof. proof_level says what the proof is worth:
//
//	0  it was decided
//	1  each part was answered with the preimage and then seen in removal: the node has the
//	   preimage in its database and will claim the part, on chain if it must
//	2  the node's books show the whole amount received; confirmed is true from here on
//	3  the same, some of it claimed on chain
//
// After a crash between a settle and its first proof only the books count, so level 1 may be
// passed over. Nodes without listchannelmoves (before v25.09) end at level 1. For a cancel,
// confirmed says that the node holds no part any more.
//
// LOST means that the node gave parts of an accepted payment back without us. An invoice is
// idempotent: asked for again in the same words, it is the same invoice.
//
// # For a driver
//
// The plugin's process calls Run. A program that plays the node by itself, such as a
// simulation, makes a holder with New on a Store, and then is all that moves it: HTLC gives
// it a payment, Note a block, Call a command, Step the time that has passed on its Clock.
// Nothing runs beside these calls, and every answer comes out of one of them. While Node,
// Outlet or the store's Commit are called, the holder may hold a lock: what they want of the
// holder they do afterwards.
//
// # Rooms
//
// process.go and runtime.go are the process and its two streams, manifest.go what it tells
// the node, api.go the way in for others. hook.go takes payments in and decide.go judges
// them, without any I/O. invoice.go makes an invoice, settle.go ends one and proof.go proves
// it by what books.go reads, deadlines.go watches blocks and clocks, recover.go begins again
// after a restart, retire.go forgets what is over, guard.go is the second role. jobs.go says when each of these looks again,
// on the clock of clock.go. store.go and store_ended.go are the disk, migrate.go its earlier layouts, rpc.go and params.go the commands.
//
// # What it does not protect from
//
// A part of a payment that is below the dust limit cannot be claimed on chain; whoever
// escrows such amounts trusts the channel peer. The preimage passes through the node's
// own invoice notification when an invoice is made.
package hold
