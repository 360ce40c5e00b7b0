package orders

// row is one line of the life cycle: in a status, this input, from him, under that condition, leads to a status, and
// then these things are done and owed.
type row struct {
	on   On
	by   who
	when cond
	to   Status
	do   []act
}

// newborn is the status of an order that does not exist yet.
const newborn Status = ""

// lifecycle is everything that can happen to an order. Within a status the first row that fits wins. No row: a client
// hears the documented reason (guards.go), a report of the node changes nothing. A final status has no row that
// leaves it.
var lifecycle = map[Status][]row{
	newborn: {
		// on, by, when → to | what is done and owed then
		{OnNewOrder, anyone, always, Pending, do(publish, tellMakerOpened)},
		{OnHoldSettled, node, always, Pending, do(publish, tellMakerOpened)}, // the rest of a range order
	},
	Pending: {
		{OnTakeSell, anyone, invoiceGiven, WaitingPayment, do(assignTaker, storePayout, makeHold, publish)},
		{OnTakeSell, anyone, always, WaitingBuyerInvoice, do(assignTaker, askPayoutInvoice, tellSellerToWait, publish)},
		{OnTakeBuy, anyone, always, WaitingPayment, do(assignTaker, useMakerPayout, makeHold, publish)},
		{OnTradeKey, anyone, always, Pending, do(moveTradeKey)},
		{OnCancel, maker, always, Canceled, do(tellMakerCanceled, publish)},
		{OnAdminCancel, operator, always, CanceledByAdmin, do(tellMakerCanceled, publish)},
		{OnDeadline, node, always, Expired, do(tellMakerCanceled, publish)},
	},
	// The buyer owes an invoice. On a sell order he is the taker and nothing is held, unless his first invoice grew too
	// old; on a buy order he is the maker and the seller's money is held.
	WaitingBuyerInvoice: {
		{OnAddInvoice, buyer, nothingHeld, WaitingPayment, do(storePayout, makeHold)},
		{OnAddInvoice, buyer, always, Active, do(storePayout, introduce)},
		{OnCancel, maker, always, Canceled, do(cancelHold, tellBothCanceled, publish)},
		{OnCancel, taker, always, Pending, do(cancelHold, reopen, publish)},
		{OnDeadline, node, orderSells, Pending, do(cancelHold, reopen, publish)},
		{OnDeadline, node, always, Canceled, do(cancelHold, tellBothCanceled, publish)},
		{OnHoldCanceled, node, orderSells, Canceled, do(tellBothCanceled, publish)},
		{OnHoldCanceled, node, always, Pending, do(reopen, publish)},
		{OnEscrowDeadline, node, always, Canceled, do(cancelHold, tellBothCanceled, publish)},
	},
	// The seller owes the payment of the hold invoice.
	WaitingPayment: {
		{OnHoldCreated, node, always, WaitingPayment, do(showHold)},
		{OnHoldAccepted, node, payoutKnown, Active, do(lockEscrow, introduce)},
		{OnHoldAccepted, node, always, WaitingBuyerInvoice, do(lockEscrow, askPayoutInvoice, tellSellerToWait, tellMakerOfTaker)},
		{OnCancel, maker, always, Canceled, do(cancelHold, tellBothCanceled, publish)},
		{OnCancel, taker, always, Pending, do(cancelHold, reopen, publish)},
		{OnDeadline, node, orderSells, Canceled, do(cancelHold, tellBothCanceled, publish)},
		{OnDeadline, node, always, Pending, do(cancelHold, reopen, publish)},
		{OnHoldCanceled, node, orderSells, Canceled, do(tellBothCanceled, publish)},
		{OnHoldCanceled, node, always, Pending, do(reopen, publish)},
	},
	// The escrow is locked, the buyer pays the fiat.
	Active: {
		{OnFiatSent, buyer, always, FiatSent, do(keepNextKey, tellFiatSent)},
		{OnCancel, party, confirmsCancel, CoopCanceled, do(cancelHold, tellCoopCanceled, publish)},
		{OnCancel, party, always, Active, do(askCoopCancel)},
		{OnDispute, party, always, InDispute, do(openDispute)},
		{OnEscrowNearing, node, warningDue, Active, do(tellBlocksLeft)},
		{OnEscrowDeadline, node, always, Canceled, do(cancelHold, tellEscrowLost, tellBothCanceled, publish)},
		{OnHoldCanceled, node, always, Canceled, do(alertEscrowLost, tellEscrowLost, tellBothCanceled, publish)},
	},
	// The buyer says that he has paid.
	FiatSent: {
		{OnRelease, seller, always, Settling, do(freeEscrow, keepNextKey, settleHold)},
		{OnCancel, party, confirmsCancel, CoopCanceled, do(cancelHold, tellCoopCanceled, publish)},
		{OnCancel, party, always, FiatSent, do(askCoopCancel)},
		{OnDispute, party, always, InDispute, do(openDispute)},
		{OnEscrowNearing, node, always, InDispute, do(openDispute, tellBlocksLeft)}, // filed for the buyer
		{OnEscrowDeadline, node, always, Canceled, do(cancelHold, alertEscrowEnded, tellEscrowLost, tellBothCanceled, publish)},
		{OnHoldCanceled, node, always, Frozen, do(alertEscrowLost, tellEscrowLost, tellFrozen, openDispute)},
	},
	// A solver decides. Until then the seller may release, and both may agree to cancel.
	InDispute: {
		{OnRelease, seller, always, Settling, do(freeEscrow, keepNextKey, settleHold)},
		{OnCancel, party, confirmsCancel, CoopCanceled, do(cancelHold, endRefunded, tellCoopCanceled, publish)},
		{OnCancel, party, always, InDispute, do(askCoopCancel)},
		{OnAdminTake, official, holdsAlready, InDispute, do(tellSolverTook)},
		{OnAdminTake, official, always, InDispute, do(takeDispute, tellTook, publishDispute)},
		{OnAdminSettle, official, always, Settling, do(judgeForBuyer, settleHold)},
		{OnAdminCancel, official, always, CanceledByAdmin, do(judgeForSeller, cancelHold, endRefunded, tellAdminCanceled, publish)},
		{OnDeadline, node, untaken, InDispute, do(remindSolvers)},
		{OnDeadline, node, always, InDispute, do(remindHolder)},
		{OnEscrowNearing, node, warningDue, InDispute, do(tellBlocksLeft)},
		{OnEscrowDeadline, node, always, Canceled, do(cancelHold, alertDisputeRanOut, endRefunded, tellEscrowLost, tellBothCanceled, publish)},
		{OnHoldCanceled, node, always, Frozen, do(alertEscrowLost, tellEscrowLost, tellFrozen, openDispute)},
	},
	// The seller released, or a solver decided for the buyer; the node has been given the preimage.
	Settling: {
		{OnHoldSettled, node, freedBySolver, SettledHoldInvoice, do(bookSettled, endSettled, tellAdminSettled, startPayout)},
		{OnHoldSettled, node, always, SettledHoldInvoice, do(bookSettled, endSettled, tellBuyerReleased, openRest, tellSellerReleased, startPayout)},
		{OnHoldCanceled, node, always, Frozen, do(alertEscrowLost, tellEscrowLost, tellFrozen, openDispute)},
	},
	// The money is ours to pay out. Nothing un-settles.
	SettledHoldInvoice: {
		{OnPayoutResolved, node, unusedInvoice, SettledHoldInvoice, do(storeResolved, payInvoice)},
		{OnPayoutResolved, node, always, SettledHoldInvoice, do(countFailure)},
		{OnPayoutPaid, node, always, Success, do(bookPaid, tellCompleted, publish)},
		{OnPayoutFailed, node, always, SettledHoldInvoice, do(countFailure)},
		{OnDeadline, node, always, SettledHoldInvoice, do(startPayout)},
		{OnAddInvoice, buyer, always, SettledHoldInvoice, do(storePayout, tellInvoiceUpdated, startPayout)},
		{OnRateUser, seller, always, SettledHoldInvoice, do(rate)},
	},
	Success: {
		{OnRateUser, party, always, Success, do(rate)},
	},
	Canceled:        {},
	CanceledByAdmin: {},
	CoopCanceled: {
		{OnAdminSettle, official, always, CoopCanceled, do(tellSolverCoopCanceled)},
		{OnAdminCancel, official, always, CoopCanceled, do(tellSolverCoopCanceled)},
	},
	Expired: {},
	// The escrow is gone, as the node said. A settle is tried before anything is paid out, and a cancel before anything
	// is believed to be refunded: the node's proof counts, and not what it said before.
	Frozen: {
		{OnHoldSettled, node, freedBySolver, SettledHoldInvoice, do(bookSettled, endSettled, tellAdminSettled, startPayout)},
		{OnHoldSettled, node, freed, SettledHoldInvoice, do(bookSettled, endSettled, tellBuyerReleased, openRest, tellSellerReleased, startPayout)},
		{OnCancel, party, confirmsCancel, CoopCanceled, do(cancelAgain, endRefunded, tellCoopCanceled, publish)},
		{OnCancel, party, always, Frozen, do(askCoopCancel)},
		{OnDispute, party, always, Frozen, do(openDispute)},
		{OnAdminTake, official, holdsAlready, Frozen, do(tellSolverTook)},
		{OnAdminTake, official, always, Frozen, do(takeDispute, tellTook, publishDispute)},
		{OnAdminSettle, official, always, Settling, do(judgeForBuyer, settleHold)},
		{OnAdminCancel, official, always, CanceledByAdmin, do(judgeForSeller, cancelAgain, endRefunded, tellAdminCanceled, publish)},
		{OnDeadline, node, always, Frozen, do(remindFrozen)},
	},
}

// who is the author of an input.
type who string

const (
	anyone who = "anyone" // a client that need not be a party yet
	maker  who = "maker"
	taker  who = "taker"
	buyer  who = "buyer"
	seller who = "seller"
	party  who = "party" // maker or taker
	node   who = "node"  // the Lightning node, a timer

	official who = "official" // a solver, an admin or the operator, as the guards allow
	operator who = "operator"
)

// wrote reports whether w is the author of the step's input.
func (w who) wrote(s *step) bool {
	side, known := s.senderSide()
	switch w {
	case anyone:
		return !s.in.From.Trade.IsZero()
	case maker:
		return known && s.sender() == &s.o.Maker
	case taker:
		return known && s.sender() == &s.o.Taker
	case buyer:
		return known && side == Buyer
	case seller:
		return known && side == Seller
	case party:
		return known
	case official:
		return s.actor.Role != ""
	case operator:
		return s.actor.Role == RoleOperator
	}
	return s.in.From.Trade.IsZero()
}

// find returns the first row that fits, nil without one.
func (s *step) find() *row {
	rows := lifecycle[s.o.Status]
	for i := range rows {
		if r := &rows[i]; r.on == s.in.Act.On() && r.by.wrote(s) && r.when.holds(s) {
			return r
		}
	}
	return nil
}

// statusTakes reports whether the order's status has any row for the input, whoever wrote it.
func (s *step) statusTakes() bool {
	for _, r := range lifecycle[s.o.Status] {
		if r.on == s.in.Act.On() {
			return true
		}
	}
	return false
}

func do(acts ...act) []act { return acts }
