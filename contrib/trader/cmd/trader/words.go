package main

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// sentences say what a message means to us, and what to do next. %[1]s is the short order id.
var sentences = map[nostrio.Action]string{
	nostrio.ActNewOrder:                   "The order is published and waits for a taker.",
	nostrio.ActWaitingSellerToPay:         "Waiting for the seller to lock the sats.",
	nostrio.ActWaitingBuyerInvoice:        "Waiting for the buyer's invoice.",
	nostrio.ActBuyerTookOrder:             "The sats are locked. The buyer will send the fiat; wait for word.",
	nostrio.ActHoldInvoicePaymentAccepted: "The sats are locked. Send the fiat, then: trader fiat-sent %[1]s",
	nostrio.ActHoldInvoicePaymentSettled:  "Released: the sats go to the buyer.",
	nostrio.ActHoldInvoicePaymentCanceled: "The escrow is gone: the locked sats went back to the seller.",
	nostrio.ActReleased:                   "The seller has released the sats; the payment to you is on its way.",
	nostrio.ActPurchaseCompleted:          "The sats have been paid to you.",
	nostrio.ActRate:                       "You may rate the other side: trader rate %[1]s 1..5",
	nostrio.ActRateReceived:               "Your rating was received. The trade is over.",
	nostrio.ActCanceled:                   "The order is canceled for you.",
	nostrio.ActCooperativeCancelByYou:     "You asked to cancel together; the other side has to agree.",
	nostrio.ActCooperativeCancelByPeer:    "The other side asks to cancel together. To agree: trader cancel %[1]s",
	nostrio.ActCooperativeCancelAccepted:  "Canceled together: the locked sats went back to the seller.",
	nostrio.ActDisputeByYou:               "You have opened a dispute; a solver will come.",
	nostrio.ActDisputeByPeer:              "The other side has opened a dispute; a solver will come.",
	nostrio.ActAdminTookDispute:           "A solver has taken the dispute.",
	nostrio.ActAdminSettled:               "A solver has decided: the sats go to the buyer.",
	nostrio.ActAdminCanceled:              "A solver has decided: the sats went back to the seller.",
	nostrio.ActInvoiceUpdated:             "The new invoice is noted; the payment is tried again.",
	nostrio.ActBondInvoiceAccepted:        "The invoice for the bond's share is accepted.",
	nostrio.ActBondPayoutCompleted:        "Your share of the bond has been paid to you.",
	nostrio.ActBondSlashed:                "Your bond is lost.",
}

// describe puts a message into words for one side of the trade.
func describe(id orders.OrderID, side orders.Side, m trader.Message) string {
	short := id.String()[:8]
	switch p := m.Payload.(type) {
	case nostrio.Peer:
		if m.Notice() && p.Reputation != nil {
			r := p.Reputation
			return fmt.Sprintf("The other side has %.1f stars of %d reviews in %d days.", r.Rating, r.Reviews, r.OperatingDays)
		}
	case nostrio.PaymentFailed:
		return fmt.Sprintf("Your invoice could not be paid yet; %d more tries, each after %d s.", p.Attempts, p.RetriesInterval)
	}
	switch m.Action {
	case nostrio.ActSendDM:
		return "The Mostro says: " + clean(m.Text())
	case nostrio.ActCantDo:
		return "Refused: " + clean((&trader.CantDo{Reason: m.Reason}).Error())
	case nostrio.ActPayInvoice:
		return fmt.Sprintf("Pay this hold invoice%s to lock the sats:\n    %s", sats(m), clean(m.Invoice()))
	case nostrio.ActPayBondInvoice:
		return fmt.Sprintf("Pay this bond%s, which comes back when you keep to the rules:\n    %s", sats(m), clean(m.Invoice()))
	case nostrio.ActAddInvoice:
		return fmt.Sprintf("Give an invoice%s: trader invoice %s BOLT11", sats(m), short)
	case nostrio.ActFiatSentOk:
		if side == orders.Seller {
			return fmt.Sprintf("The buyer says that the fiat is sent. Once it has come: trader release %s", short)
		}
		return "The seller knows that the fiat is sent."
	}
	if s := sentences[m.Action]; s != "" {
		if strings.Contains(s, "%") {
			return fmt.Sprintf(s, short)
		}
		return s
	}
	return fmt.Sprintf("A message that this program does not know: %s", clean(string(m.Action)))
}

func sats(m trader.Message) string {
	if o := m.Order(); o != nil && o.Amount > 0 {
		return fmt.Sprintf(" of %d sat", o.Amount)
	}
	return ""
}

// clean drops what could move the cursor or forge a line: the text of others ends up on a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}
