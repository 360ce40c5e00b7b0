package orders

// deadlineOf says when the present status of an order ends by itself, unix seconds; 0 means never by the clock.
//
// A held escrow has a deadline in blocks as well: whoever watches the chain reports it as EscrowEnding.
func (r *Rules) deadlineOf(o *Order) int64 {
	switch o.Status {
	case Pending:
		return o.ExpiresAt
	case WaitingBuyerInvoice, WaitingPayment:
		return o.TakenAt + r.WaitingSeconds
	case SettledHoldInvoice:
		return o.Payout.NextAt
	case InDispute, Frozen:
		if o.Dispute != nil {
			return o.Dispute.RemindAt
		}
	}
	return 0
}
