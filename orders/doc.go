// Package orders is the exchange: the life of an order from the book to the payout, in one table, over one store.
//
// An order is an offer to buy or sell sats for fiat, and the trade that comes of it. Its maker publishes it, a taker
// takes it; one of them is the seller, who locks sats in a hold invoice on our node (the escrow), the other one the
// buyer, who pays the fiat outside of our sight. When the seller releases, the hold invoice is settled and the buyer is
// paid (the payout). When they disagree, a solver decides (the dispute). The node is the third who takes part: it reports what becomes of hold invoices and payments. Time
// is the fourth.
//
// Everything that happens is an Input, and Engine.Do decides on it in one transaction:
//
//	Input → seen before? → guards → a row of the life cycle → the order, its history, its ledger, the outbox → commit
//
// Only then does Engine.Dispatch carry out what is owed, through the ports in ports.go. A row leaves the outbox in the
// same commit as the input that reports its result, so a process that dies anywhere goes on where it was.
//
// # Invariants
//
// Store.Check looks at those that a store can show.
//
//  1. Only a row of the table in lifecycle.go changes a status. A final status is never left.
//  2. A refusal changes nothing: its sender hears a reason, and that is all.
//  3. The same input has one effect, however often it is done.
//  4. A hold invoice has one order and ends. It is settled only on the word of the seller or of a solver; whatever ends
//     without it owes the cancel, until the node has proved it. Nothing un-settles. What the node called canceled and
//     then proves to be settled is settled.
//  5. A payout begins only when the settle is proved. At most one payment can be alive for an order, and while it may
//     be, its invoice stays. What a payment call answers proves nothing: the node's record decides, and "unknown" waits.
//  6. Of a trade that ended well, settled = paid + kept, to the msat.
//  7. The buyer's invoice is shown to nobody else, and an identity key to nobody at all.
//  8. The exchange reads no clock, no random source and no network: the same inputs give the same bytes.
//
// # Duties of the caller
//
//  1. Open one Store a file, and one Engine a store. Keep the key: with it the preimages are lost.
//  2. Give each Input an id that is the same whenever the same thing is reported again (the event id, NodeID), a fresh
//     random Seed, the time, and for new orders and takes the Quote. From must be proved.
//  3. Before the first message and the first Tick, report what the node says of every hold in Engine.LiveHolds, so that
//     a payment which came while we were away counts before a time limit does. Go on reporting: what was reported
//     already does no harm.
//  4. Run Engine.Dispatch, once, as long as the engine runs; call Engine.Tick every second.
//  5. Implement the ports to the letter of their comments. Above all: nil from Settle is a proof, nil from Cancel is a
//     proof, and Ask never says PayNever while a part of the payment can still succeed.
//  6. An error of Do means "not done, or not known": do the same Input again. Close the engine before the store.
//
// # Files
//
//	lifecycle.go guards.go acts.go      the table; who is refused and why; what a row does
//	order.go money.go fees.go range.go  what an order is; sats, msats, shares of the fee; the rest of a range
//	prices.go deadlines.go rules.go     the market price; how long a status may last; the settings
//	input.go effect.go cantdo.go        what can happen; what we owe the world; the reasons of a refusal
//	engine.go step.go strays.go         one input, one transaction; reports on holds that are no order's any more
//	dispute.go official.go              disputes; who may decide them, and what they hear
//	roster.go audit.go                  solvers, users and bans, lists of disputes; who did what
//	session.go queries.go known.go      answers to clients; reads for everybody else; the keys that the spam gate lets in
//	outbox.go carry.go ports.go         the dispatcher, and what it needs of the world
//	timer.go                            deadlines that pass, inputs that are forgotten
//	settings.go moves.go alert.go       what the operator changes while it runs; what he is told
//	books.go stats.go                   the ledger, payouts and figures over a period
//	store.go migrate*.go check.go       buckets and indexes; schemas; everything that must never be
//	ids.go                              keys, hashes, seeds and ids
package orders
