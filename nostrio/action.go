package nostrio

// Action says what a message asks for or tells, spelled as on the wire. An unknown action fails the whole message.
type Action string

// All actions, in the order of the protocol's own enumeration.
const (
	ActNewOrder                   Action = "new-order"
	ActTakeSell                   Action = "take-sell"
	ActTakeBuy                    Action = "take-buy"
	ActPayInvoice                 Action = "pay-invoice"
	ActPayBondInvoice             Action = "pay-bond-invoice"
	ActFiatSent                   Action = "fiat-sent"
	ActFiatSentOk                 Action = "fiat-sent-ok"
	ActRelease                    Action = "release"
	ActReleased                   Action = "released"
	ActCancel                     Action = "cancel"
	ActCanceled                   Action = "canceled"
	ActCooperativeCancelByYou     Action = "cooperative-cancel-initiated-by-you"
	ActCooperativeCancelByPeer    Action = "cooperative-cancel-initiated-by-peer"
	ActDisputeByYou               Action = "dispute-initiated-by-you"
	ActDisputeByPeer              Action = "dispute-initiated-by-peer"
	ActCooperativeCancelAccepted  Action = "cooperative-cancel-accepted"
	ActBuyerInvoiceAccepted       Action = "buyer-invoice-accepted"
	ActBondInvoiceAccepted        Action = "bond-invoice-accepted"
	ActPurchaseCompleted          Action = "purchase-completed"
	ActBondPayoutCompleted        Action = "bond-payout-completed"
	ActBondSlashed                Action = "bond-slashed"
	ActHoldInvoicePaymentAccepted Action = "hold-invoice-payment-accepted"
	ActHoldInvoicePaymentSettled  Action = "hold-invoice-payment-settled"
	ActHoldInvoicePaymentCanceled Action = "hold-invoice-payment-canceled"
	ActWaitingSellerToPay         Action = "waiting-seller-to-pay"
	ActWaitingBuyerInvoice        Action = "waiting-buyer-invoice"
	ActAddInvoice                 Action = "add-invoice"
	ActAddBondInvoice             Action = "add-bond-invoice"
	ActBuyerTookOrder             Action = "buyer-took-order"
	ActRate                       Action = "rate"
	ActRateUser                   Action = "rate-user"
	ActRateReceived               Action = "rate-received"
	ActCantDo                     Action = "cant-do"
	ActDispute                    Action = "dispute"
	ActAdminCancel                Action = "admin-cancel"
	ActAdminCanceled              Action = "admin-canceled"
	ActAdminSettle                Action = "admin-settle"
	ActAdminSettled               Action = "admin-settled"
	ActAdminAddSolver             Action = "admin-add-solver"
	ActAdminTakeDispute           Action = "admin-take-dispute"
	ActAdminTookDispute           Action = "admin-took-dispute"
	ActPaymentFailed              Action = "payment-failed"
	ActInvoiceUpdated             Action = "invoice-updated"
	ActSendDM                     Action = "send-dm"
	ActTradePubKey                Action = "trade-pubkey"
	ActRestoreSession             Action = "restore-session"
	ActLastTradeIndex             Action = "last-trade-index"
	ActOrders                     Action = "orders"
	ActAddCashuEscrow             Action = "add-cashu-escrow"
	ActCashuEscrowLocked          Action = "cashu-escrow-locked"
	ActCashuPMSignature           Action = "cashu-pm-signature"
)

var actions = setOf(
	ActNewOrder, ActTakeSell, ActTakeBuy, ActPayInvoice, ActPayBondInvoice, ActFiatSent, ActFiatSentOk, ActRelease,
	ActReleased, ActCancel, ActCanceled, ActCooperativeCancelByYou, ActCooperativeCancelByPeer, ActDisputeByYou,
	ActDisputeByPeer, ActCooperativeCancelAccepted, ActBuyerInvoiceAccepted, ActBondInvoiceAccepted,
	ActPurchaseCompleted, ActBondPayoutCompleted, ActBondSlashed, ActHoldInvoicePaymentAccepted,
	ActHoldInvoicePaymentSettled, ActHoldInvoicePaymentCanceled, ActWaitingSellerToPay, ActWaitingBuyerInvoice,
	ActAddInvoice, ActAddBondInvoice, ActBuyerTookOrder, ActRate, ActRateUser, ActRateReceived, ActCantDo, ActDispute,
	ActAdminCancel, ActAdminCanceled, ActAdminSettle, ActAdminSettled, ActAdminAddSolver, ActAdminTakeDispute,
	ActAdminTookDispute, ActPaymentFailed, ActInvoiceUpdated, ActSendDM, ActTradePubKey, ActRestoreSession,
	ActLastTradeIndex, ActOrders, ActAddCashuEscrow, ActCashuEscrowLocked, ActCashuPMSignature,
)

// Known reports whether a is one of the protocol's actions.
func (a Action) Known() bool { return actions[a] }
