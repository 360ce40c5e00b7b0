package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// market is the running exchange, as far as the RPC methods use it.
type market interface {
	// Overview says how the exchange is doing.
	Overview(ctx context.Context) (overview, error)
	// Orders and Story are those of orders.Engine.
	Orders(q orders.Query) (page []orders.Order, next []byte, err error)
	Story(id orders.OrderID) (s orders.Story, ok bool, err error)
	// Exchange is the engine, for all that it answers and does by itself.
	Exchange() *orders.Engine
	// Height is the node's block height.
	Height(ctx context.Context) (uint32, error)
	// Relays says how each relay does.
	Relays() []nostrio.RelayStatus
	// Renew publishes anew what the exchange says of itself. It does not wait.
	Renew()
	// Reconcile compares the store with the node and, if repair is set, mends what differs.
	Reconcile(ctx context.Context, repair bool) (reconciled, error)
	// Backup writes the store to a new file, of our own naming if path is empty; os.ErrExist if it is there already.
	Backup(ctx context.Context, path string) (backup, error)
	// CheckStore looks at the whole store.
	CheckStore(ctx context.Context) (storeCheck, error)
	// Doctor looks for everything that is not as it should be.
	Doctor(ctx context.Context) (diagnosis, error)
}

// methods is the table of RPC methods. Those that read stand first: a name that begins with mostro-list or mostro-show
// only ever reads, so that a rune can tell them from the others.
var methods []*method

func init() { // mostro-help reads the table that it stands in
	methods = slices.Concat(readMethods(), actMethods(), moneyMethods())
}

// Parameters that several methods have.
var (
	limitOpt  = param{"limit", true, limitParam, "rows at most, 100 if not given"}
	beforeOpt = param{"before", true, cursorParam, "`next_before` of the page before"}
	sinceOpt  = param{"since", true, timeParam, "from then on"}
	untilOpt  = param{"until", true, timeParam, "before that"}
	byOpt     = param{"by", true, lineParam(64), "who you are, for the audit; a rune can fix it"}
	orderArg  = param{"order_id", false, orderParam, "the order"}
	confirmed = param{"confirm", true, confirmParam, "so that a wrong line of the shell's history moves nobody's sats; without it nothing is done, and the error says what would be"}
	noteOpt   = param{"note", true, lineParam(500), "why, for the audit"}
)

func readMethods() []*method {
	return []*method{
		{
			name: "mostro-info", nature: reads, about: "Show the exchange's key, state and settings",
			examples: []string{"mostro-info"}, run: does(info),
		},
		{
			name: "mostro-listorders", nature: reads, about: "List orders, newest first",
			more: "All filters must hold. A page may have fewer rows than `limit`, or none, before the last one; " +
				"there are more as long as there is a `next_before`.",
			params: []param{
				{"status", true, statusParam, "orders in that status; `open`: all that have not ended"}, limitOpt, beforeOpt,
				{"kind", true, choice("buy", "sell"), "what the maker wants to do with sats"},
				{"currency", true, currencyParam, "code as the maker wrote it"},
				{"party", true, keyParam, "identity key, or trade key, of maker or taker"}, sinceOpt, untilOpt,
			},
			examples: []string{"mostro-listorders open", "mostro-listorders status=success currency=EUR since=30d"},
			run:      does(listOrders),
		},
		{
			name: "mostro-showorder", nature: reads, about: "Show one order with its escrow, payout, dispute, history, ledger and what is still owed",
			params: []param{orderArg}, errors: []int{codeOrderNotFound},
			examples: []string{"mostro-showorder 3fa85f64-5717-4562-b3fc-2c963f66afa6"}, run: does(showOrder),
		},
		{
			name: "mostro-listdisputes", nature: reads, about: "List disputes, newest first",
			params: []param{
				{"state", true, choice(statusOpen, "all", "initiated", "in-progress", "settled", "seller-refunded"), "`open` if not given: what is initiated or in progress; `all` is every state"},
				limitOpt, beforeOpt, {"solver", true, keyParam, "only those that he has taken"},
			},
			examples: []string{"mostro-listdisputes", "mostro-listdisputes state=settled limit=10"}, run: does(listDisputes),
		},
		{
			name: "mostro-listsolvers", nature: reads, about: "List who may settle disputes over Nostr",
			examples: []string{"mostro-listsolvers"}, run: does(listSolvers),
		},
		{
			name: "mostro-listusers", nature: reads, about: "List users by identity key, with their ratings and bans",
			params: []param{
				{"user", true, userParam, "that one only"},
				{"banned", true, boolParam, "true: only those with a ban, also one that is over"},
				limitOpt, {"after", true, keyParam, "`next_after` of the page before"},
			},
			errors:   []int{codeOrderNotFound, codeNotFound},
			examples: []string{"mostro-listusers banned=true", "mostro-listusers user=3fa85f64-5717-4562-b3fc-2c963f66afa6:seller"},
			run:      does(listUsers),
		},
		{
			name: "mostro-listpayouts", nature: reads, about: "List payouts to buyers: those that are owed, or those that were paid, newest first",
			params: []param{
				{"status", true, choice("owed", "paid"), "`owed` if not given"}, limitOpt, beforeOpt, sinceOpt, untilOpt,
			},
			more:     "`since` and `until` are about the time of a payment, and so only about paid ones.",
			examples: []string{"mostro-listpayouts", "mostro-listpayouts paid since=7d"}, run: does(listPayouts),
		},
		{
			name: "mostro-relays", nature: reads, about: "Show each relay with its health",
			examples: []string{"mostro-relays"}, run: does(relaysNow),
		},
		{
			name: "mostro-stats", nature: reads, about: "Show trades, volume, fees, disputes and delays of a period",
			more:   "The last 30 days if nothing is given. A short period is read quickly, however many orders there are. Orders that ended more than mostro-keep-orders-days ago are forgotten, and in no figure.",
			params: []param{sinceOpt, untilOpt}, examples: []string{"mostro-stats 7d", "mostro-stats 2026-01-01 2026-02-01"},
			run: does(stats),
		},
		{
			name: "mostro-ledger", nature: reads, about: "Show all movements of money by time, oldest first, as JSON or CSV",
			more: "For the books: locked, refunded, settled, paid, routed, kept, owed. Of each order that ended well, settled = paid + kept, to the msat, " +
				"and routed comes out of kept. A page ends with `next_after` as long as there is more. " +
				"Orders that ended more than mostro-keep-orders-days ago are forgotten: fetch them for your books before.",
			params: []param{
				sinceOpt, untilOpt, {"format", true, choice("json", "csv"), "`json` if not given"},
				limitOpt, {"after", true, cursorParam, "`next_after` of the page before"},
			},
			examples: []string{"mostro-ledger since=2026-01-01 until=2026-02-01 limit=1000", "mostro-ledger format=csv since=30d | jq -r .csv"},
			run:      does(ledger),
		},
		{
			name: "mostro-audit", nature: reads, about: "Show what solvers, admins and operators did, newest first",
			more: "Rows are never changed. What was refused stands there too. Acts are admin-take-dispute, admin-settle, admin-cancel, admin-add-solver, " +
				"remove-solver, ban-user, unban-user, set-fee, set-limits, pause, resume, reconcile and backup.",
			params: []param{
				limitOpt, {"before", true, countParam, "`next_before` of the page before"}, {"order_id", true, orderParam, "about that order only"},
				{"key", true, keyParam, "about that user or solver, or by him"}, {"what", true, lineParam(40), "only such acts, for example admin-settle"},
			},
			examples: []string{"mostro-audit limit=20", "mostro-audit what=admin-settle"}, run: does(audit),
		},
		{
			name: "mostro-doctor", nature: reads, about: "Say what is not as it should be, and how to mend it",
			examples: []string{"mostro-doctor"}, run: does(doctor),
		},
		{
			name: "mostro-check", nature: reads, about: "Look at every page and record of the database while trades go on, and say whether it is sound",
			examples: []string{"mostro-check"}, run: does(checkStore),
		},
		{
			name: "mostro-help", nature: reads, about: "Show the commands of mostro, or the manual of one",
			params:   []param{{"command", true, lineParam(40), "a command, with or without `mostro-`"}},
			errors:   []int{codeNotFound},
			examples: []string{"mostro-help", "mostro-help settleorder"}, run: does(help),
		},
	}
}

func actMethods() []*method {
	return []*method{
		{
			name: "mostro-takedispute", nature: acts, about: "Take a dispute under the exchange's own key",
			more: "Both parties hear that a solver has come, and can write to the exchange's key. A solver who had it hears that it is not his any more. " +
				"You need not take a dispute to decide it here. Taking it again changes nothing.",
			params: []param{{"dispute", false, orderParam, "the dispute's id, or its order's"}, byOpt},
			errors: []int{codeNotFound, codeWrongState}, examples: []string{"mostro-takedispute 9c1f0f4e-8d43-4a53-9d6e-0a4be0a1f9d2"},
			run: does(takeDispute),
		},
		{
			name: "mostro-addsolver", nature: acts, about: "Let somebody settle disputes over Nostr, or change what he may do",
			params: []param{
				{"key", false, keyParam, "his identity key"},
				{"level", true, choice("read", "read-write"), "`read-write` if not given; `read` takes disputes and talks to the parties, and decides nothing"}, byOpt,
			},
			errors: []int{codeWrongState}, examples: []string{"mostro-addsolver npub1… read-write"}, run: does(addSolver),
		},
		{
			name: "mostro-removesolver", nature: acts, about: "Take a solver's rights away",
			more:   "A dispute that he has taken can be taken over by anybody else who settles disputes.",
			params: []param{{"key", false, keyParam, "his identity key"}, byOpt}, errors: []int{codeNotFound},
			examples: []string{"mostro-removesolver npub1…"}, run: does(removeSolver),
		},
		{
			name: "mostro-banuser", nature: acts, about: "Shut a user out: no new orders and takes; his running trades go on",
			more: "A ban is on an identity key. Who trades in full privacy has a key per trade and nothing else, so that only that key can be banned. " +
				"The user hears `cant-do` with `invalid_pubkey`. A second ban replaces the first.",
			params: []param{
				{"user", false, userParam, "whom"}, {"reason", true, lineParam(500), "why, for the audit"},
				{"until", true, timeParam, "when it ends; never if not given"}, byOpt,
			},
			errors: []int{codeOrderNotFound, codeNotFound}, examples: []string{"mostro-banuser 3fa85f64-5717-4562-b3fc-2c963f66afa6:buyer \"never paid\" 2026-12-31"},
			run: does(banUser),
		},
		{
			name: "mostro-unbanuser", nature: acts, about: "End a ban",
			params: []param{{"user", false, userParam, "whose"}, byOpt}, errors: []int{codeOrderNotFound, codeNotFound},
			examples: []string{"mostro-unbanuser npub1…"}, run: does(unbanUser),
		},
		{
			name: "mostro-setfee", nature: acts, about: "Change the fee, for orders that are made from now on",
			more:   "Kept over restarts, and shown in the info event. Orders that are on the book keep the fee under which they were made.",
			params: []param{{"fee", false, rateParam, "0.006 is 0.6 %; `default` goes back to the option mostro-fee"}, byOpt},
			errors: []int{codeWrongState}, examples: []string{"mostro-setfee 0.004", "mostro-setfee default"}, run: does(setFee),
		},
		{
			name: "mostro-setlimits", nature: acts, about: "Change the least and the largest amount, for orders that are made from now on",
			more: "Kept over restarts, and shown in the info event. What is not given stays.",
			params: []param{
				{"min_order", true, satsParam, "`default` goes back to the option"}, {"max_order", true, satsParam, "`default` goes back to the option"}, byOpt,
			},
			errors: []int{codeWrongState}, examples: []string{"mostro-setlimits max_order=250000sat", "mostro-setlimits default default"}, run: does(setLimits),
		},
		{
			name: "mostro-pause", nature: acts, about: "Take no new orders and takes; trades under way go on",
			more:   "Kept over restarts. Orders stay on the book; who takes one hears `cant-do` with `not_allowed_by_status`.",
			params: []param{{"reason", true, lineParam(500), "why, for the audit"}, byOpt},
			errors: nil, examples: []string{"mostro-pause \"new disk tonight\""}, run: does(pause),
		},
		{
			name: "mostro-resume", nature: acts, about: "Take orders again after a pause",
			params: []param{byOpt}, examples: []string{"mostro-resume"}, run: does(resume),
		},
		{
			name: "mostro-drain", nature: acts, about: "Pause, and say when the node can be stopped with no trade under way",
			more: "With `wait` the call comes back when it is safe, or when the time is over, and tells of its progress. " +
				"The exchange itself can be stopped at any time: escrows stay held by the hold plugin. It is the node that should not be away for long while sats are locked.",
			params: []param{{"wait", true, secondsParam, "seconds to wait until it is safe; at once if not given"}, byOpt},
			errors: nil, examples: []string{"mostro-drain", "-N info mostro-drain wait=3600"}, run: does(drain),
		},
		{
			name: "mostro-reconcile", nature: acts, about: "Compare the trades with the node's hold invoices and payments, as every ten minutes",
			more:     "Nothing is decided here: what the store has recorded is carried out where it was not.",
			params:   []param{{"repair", true, boolParam, "true mends what differs; else it is only shown"}, byOpt},
			examples: []string{"mostro-reconcile", "mostro-reconcile repair=true"}, run: does(reconcileNow),
		},
		{
			name: "mostro-backup", nature: acts, about: "Write a consistent copy of the database while trades go on",
			params:   []param{{"path", true, pathParam, "a new file; one of our own naming in the directory `backups` beside the database if not given"}, byOpt},
			errors:   []int{codeFileExists, codeNoRoom},
			examples: []string{"mostro-backup", "mostro-backup /mnt/safe/today.db"}, run: does(backupNow),
		},
	}
}

func moneyMethods() []*method {
	return []*method{
		{
			name: "mostro-settleorder", nature: pays, about: "Decide a dispute, or a frozen trade, for the buyer: the escrow is settled and he is paid",
			more: "Cannot be undone. Safe to repeat: an order that was decided so answers with `changed` false. " +
				"A release, a cancel of both parties or another decision that comes first wins, and the answer says so.",
			params: []param{orderArg, confirmed, noteOpt, byOpt}, errors: []int{codeOrderNotFound, codeWrongState, codeConfirm},
			examples: []string{"mostro-settleorder 3fa85f64-5717-4562-b3fc-2c963f66afa6 3fa8 \"receipt seen\""}, run: does(settleOrder),
		},
		{
			name: "mostro-cancelorder", nature: pays, about: "Decide a dispute, or a frozen trade, for the seller: the escrow goes back to him. Or take a pending order off the book",
			more: "Cannot be undone. Safe to repeat: an order that was canceled so answers with `changed` false. " +
				"A release, a cancel of both parties or another decision that comes first wins, and the answer says so.",
			params: []param{orderArg, confirmed, noteOpt, byOpt}, errors: []int{codeOrderNotFound, codeWrongState, codeConfirm},
			examples: []string{"mostro-cancelorder 3fa85f64-5717-4562-b3fc-2c963f66afa6 3fa8"}, run: does(cancelOrder),
		},
	}
}

// wrongState turns a refusal of the engine into an error of the call.
func wrongState(o *orders.Order, reason orders.Reason, format string, a ...any) *clnio.Error {
	data := map[string]any{"reason": string(reason)}
	if o != nil && !o.ID.IsZero() {
		data["order_id"], data["status"] = o.ID.String(), string(o.Status)
	}
	return refusal(codeWrongState, data, format, a...)
}

// operator is who acts, for the audit.
func (r request) operator() orders.Actor {
	return orders.Actor{Role: orders.RoleOperator, Name: r.caller()}
}

// record writes an act into the audit that the engine knows nothing of.
func (r request) record(ctx context.Context, m market, what, detail string) error {
	err := m.Exchange().Record(ctx, orders.Record{At: r.now.Unix(), By: r.operator(), What: what, Detail: detail})
	if err != nil {
		return fmt.Errorf("write into the audit: %w", err)
	}
	return nil
}

func info(ctx context.Context, m market, _ request) (overview, error) { return m.Overview(ctx) }
