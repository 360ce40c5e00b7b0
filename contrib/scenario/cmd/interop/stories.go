package main

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// person is one of the two who trade in a story, or of those who settle disputes.
type person string

const (
	alice person = "alice" // has bitcoin to sell
	bob   person = "bob"   // wants some

	admin  person = "admin"
	solver person = "solver" // if the admin names him one
)

// officials have keys of their own, which are no secrets.
var officials = map[person]struct{ secret, pubkey, npub string }{
	admin:  officialKey("interop admin"),
	solver: officialKey("interop solver"),
}

func officialKey(name string) (o struct{ secret, pubkey, npub string }) {
	sum := sha256.Sum256([]byte(name))
	key, err := nostrio.NewKey(sum)
	if err != nil {
		panic(err) // one in 2¹²⁸, and always the same
	}
	o.secret, o.pubkey, o.npub = hex.EncodeToString(sum[:]), key.PubKey().String(), nostrio.Npub(key.PubKey())
	return o
}

// ending says how a command ends.
type ending int

const (
	well     ending = iota // exit code 0
	denied                 // the exchange says no, as it should, and the client tells why
	stumbles               // the exchange does what was asked, but mostro-cli fails over its answer
	unsent                 // nothing was sent: the client wants its currency list from nobody but the real host. The story ends
)

func (e ending) String() string {
	return [...]string{"ok", "ok: denied", "ok, but the client stumbles over the answer", "not sent: the client wants " + ratesHost}[e]
}

// step is one command and what must come of it.
type step struct {
	who    person
	types  string        // the command; see fill for what stands in braces
	sees   string        // part of what the client prints
	status orders.Status // where the order is afterwards; empty: not looked at
	pays   bool          // the person then pays the invoice on the screen
	ends   ending
}

// story is a dialogue of two new users with the exchange.
type story struct {
	name       string
	steps      []step
	alice, bob orders.Sats // what they have won in the end
	free       bool        // what they win depends on a price and is not looked at
}

const (
	answered = "Order saved successfully!"
	funded   = "HoldInvoicePaymentAccepted"
	paid     = "PurchaseCompleted"
)

// stories are told in this order. Each command of mostro-cli that a trader needs is in one of them.
var stories = []story{
	{name: "a sell order", alice: -50_300, bob: 50_000, steps: []step{
		{who: bob, types: "listorders", sees: "No Offers"},
		{who: alice, types: "neworder -k sell -a 50000 -c EUR -f 50 -m SEPA", sees: answered, status: orders.Pending},
		{who: bob, types: "listorders", sees: "{order}"},
		{who: bob, types: "listorders -k sell -c eur", sees: "{order}"},
		{who: bob, types: "takesell -o {order}", sees: answered, status: orders.WaitingBuyerInvoice},
		{who: alice, types: "getdm", sees: "WaitingBuyerInvoice"},
		{who: bob, types: "addinvoice -o {order} -i {invoice}", sees: "Waiting for Seller Payment", status: orders.WaitingPayment},
		{who: alice, types: "getdm", sees: "PayInvoice", pays: true, status: orders.Active},
		{who: alice, types: "getdm", sees: "BuyerTookOrder"},
		{who: bob, types: "getdm", sees: funded},
		{who: bob, types: "fiatsent -o {order}", sees: "Fiat Payment Confirmed", status: orders.FiatSent},
		{who: alice, types: "getdm", sees: "FiatSentOk"},
		{who: alice, types: "dmtouser -p {peer} -o {order} -m thanks", sees: ""},
		{who: bob, types: "getdm", sees: ""},
		{who: bob, types: "getdmuser -p {peer} -o {order}", sees: "thanks"},
		{who: alice, types: "release -o {order}", sees: "Payment Settled & Released", status: orders.Success},
		{who: bob, types: "getdm", sees: paid},
		{who: alice, types: "rate -o {order} -r 5", sees: "Rating processed successfully!"},
		{who: bob, types: "rate -o {order} -r 4", sees: "Rating processed successfully!"},
		{who: bob, types: "listorders -s success", sees: "{order}"},
		{who: alice, types: "neworder -k sell -a 20000 -c EUR -f 20 -m SEPA", sees: answered, status: orders.Pending},
	}},
	{name: "a buy order", alice: -30_180, bob: 30_000, steps: []step{
		{who: bob, types: "neworder -k buy -a 30000 -c USD -f 33 -m Revolut", sees: answered, status: orders.Pending},
		{who: alice, types: "takebuy -o {order}", sees: answered, pays: true, status: orders.WaitingBuyerInvoice},
		{who: bob, types: "getdm", sees: "AddInvoice"},
		{who: bob, types: "addinvoice -o {order} -i {invoice}", sees: "Hold Invoice Payment Accepted", status: orders.Active},
		{who: bob, types: "fiatsent -o {order}", sees: "Fiat Payment Confirmed", status: orders.FiatSent},
		{who: alice, types: "release -o {order}", sees: "Payment Settled & Released", status: orders.Success},
		{who: bob, types: "getdm", sees: paid},
		{who: bob, types: "rate -o {order} -r 5", sees: "Rating processed successfully!"},
	}},
	{name: "a buy order with an invoice", alice: -10_060, bob: 10_000, steps: []step{
		{who: bob, types: "neworder -k buy -a 10000 -c EUR -f 10 -m SEPA,Bizum -i {invoice:10000} -e 3", sees: answered, status: orders.Pending},
		{who: alice, types: "takebuy -o {order}", sees: answered, pays: true, status: orders.Active},
		{who: alice, types: "getdm", sees: "BuyerTookOrder"},
		{who: bob, types: "fiatsent -o {order}", sees: "Fiat Payment Confirmed", status: orders.FiatSent},
		{who: alice, types: "release -o {order}", sees: "Payment Settled & Released", status: orders.Success},
	}},
	{name: "a sell order taken with an invoice", steps: []step{
		{who: alice, types: "neworder -k sell -a 10000 -c EUR -f 10 -m SEPA", sees: answered, status: orders.Pending},
		// mostro-cli looks for the order in its database before it has put it there, and forgets that it has used its key.
		{who: bob, types: "takesell -o {order} -i {invoice:10000}", sees: "Waiting for Seller Payment", status: orders.WaitingPayment, ends: stumbles},
		{who: bob, types: "neworder -k buy -a 10000 -c EUR -f 10 -m SEPA", sees: "InvalidTradeIndex", ends: denied},
		{who: bob, types: "getlasttradeindex", sees: "Trade index synchronized successfully!"},
		{who: bob, types: "neworder -k buy -a 10000 -c EUR -f 10 -m SEPA", sees: answered, status: orders.Pending},
	}},
	{name: "refusals", steps: []step{
		{who: alice, types: "neworder -k sell -a 10000 -c EUR -f 10 -m SEPA -p 3", sees: "InvalidParameters", ends: denied},
		{who: alice, types: "neworder -k sell -a 9000000 -c EUR -f 10 -m SEPA", sees: "OutOfRangeSatsAmount", ends: denied},
		{who: alice, types: "neworder -k sell -a 10000 -c EUR -f 10 -m SEPA", sees: answered, status: orders.Pending},
		{who: alice, types: "takesell -o {order}", sees: "InvalidPubkey", status: orders.Pending, ends: denied},
		{who: bob, types: "takebuy -o {order}", sees: "InvalidOrderKind", status: orders.Pending, ends: denied},
		{who: bob, types: "takesell -o {order}", sees: answered, status: orders.WaitingBuyerInvoice},
		{who: bob, types: "addinvoice -o {order} -i {invoice:9999}", sees: "InvalidInvoice", status: orders.WaitingBuyerInvoice, ends: denied},
		{who: bob, types: "fiatsent -o {order}", sees: "InvalidOrderStatus", status: orders.WaitingBuyerInvoice, ends: denied},
		{who: alice, types: "release -o {order}", sees: "NotAllowedByStatus", status: orders.WaitingBuyerInvoice, ends: denied},
		{who: alice, types: "rate -o {order} -r 5", sees: "InvalidOrderStatus", status: orders.WaitingBuyerInvoice, ends: denied},
	}},
	{name: "cancellations", steps: []step{
		{who: alice, types: "neworder -k sell -a 10000 -c EUR -f 10 -m SEPA", sees: answered, status: orders.Pending},
		{who: alice, types: "cancel -o {order}", sees: "canceled successfully!", status: orders.Canceled},
		{who: bob, types: "takesell -o {order}", sees: "InvalidOrderStatus", ends: denied},
		{who: alice, types: "neworder -k sell -a 11000 -c EUR -f 10 -m SEPA", sees: answered, status: orders.Pending},
		{who: bob, types: "takesell -o {order}", sees: answered, status: orders.WaitingBuyerInvoice},
		{who: bob, types: "cancel -o {order}", sees: "canceled successfully!", status: orders.Pending},
		{who: bob, types: "takesell -o {order}", sees: answered, status: orders.WaitingBuyerInvoice},
		{who: alice, types: "cancel -o {order}", sees: "canceled successfully!", status: orders.Canceled},
		{who: bob, types: "neworder -k buy -a 12000 -c EUR -f 10 -m SEPA -i {invoice:12000}", sees: answered, status: orders.Pending},
		{who: alice, types: "takebuy -o {order}", sees: answered, pays: true, status: orders.Active},
		{who: alice, types: "cancel -o {order}", sees: "CooperativeCancelInitiatedByYou", status: orders.Active, ends: stumbles},
		{who: bob, types: "getdm", sees: "CooperativeCancelInitiatedByPeer"},
		{who: bob, types: "cancel -o {order}", sees: "CooperativeCancelAccepted", status: orders.CoopCanceled, ends: stumbles},
		{who: alice, types: "getdm", sees: "CooperativeCancelAccepted"},
	}},
	{name: "a sell order at market price", free: true, steps: []step{
		{who: alice, types: "neworder -k sell -c EUR -f 20 -m SEPA -p 2", sees: answered, status: orders.Pending},
		{who: bob, types: "takesell -o {order}", sees: answered, status: orders.WaitingBuyerInvoice},
		{who: bob, types: "addinvoice -o {order} -i {invoice}", sees: "Waiting for Seller Payment", status: orders.WaitingPayment},
		{who: alice, types: "getdm", sees: "PayInvoice", pays: true, status: orders.Active},
		{who: bob, types: "fiatsent -o {order}", sees: "Fiat Payment Confirmed", status: orders.FiatSent},
		{who: alice, types: "release -o {order}", sees: "Payment Settled & Released", status: orders.Success},
	}},
	{name: "a range", free: true, steps: []step{
		{who: alice, types: "neworder -k sell -c EUR -f 10-50 -m SEPA", sees: answered, status: orders.Pending},
		{who: bob, types: "listorders", sees: "10-50"},
		{who: bob, types: "takesell -o {order} -a 20", sees: answered, status: orders.WaitingBuyerInvoice},
		{who: bob, types: "addinvoice -o {order} -i {invoice}", sees: "Waiting for Seller Payment", status: orders.WaitingPayment},
		{who: alice, types: "getdm", sees: "PayInvoice", pays: true, status: orders.Active},
		{who: bob, types: "fiatsent -o {order}", sees: "Fiat Payment Confirmed", status: orders.FiatSent},
		{who: alice, types: "release -o {order}", sees: "New Order Created", status: orders.Success},
		{who: bob, types: "listorders", sees: "10-30"},
	}},
	{name: "a lightning address", alice: -10_060, bob: 10_000, steps: []step{
		{who: alice, types: "neworder -k sell -a 10000 -c EUR -f 10 -m SEPA", sees: answered, status: orders.Pending},
		{who: bob, types: "takesell -o {order}", sees: answered, status: orders.WaitingBuyerInvoice},
		{who: bob, types: "addinvoice -o {order} -i {address}", sees: "Waiting for Seller Payment", status: orders.WaitingPayment},
		{who: alice, types: "getdm", sees: "PayInvoice", pays: true, status: orders.Active},
		{who: bob, types: "fiatsent -o {order}", sees: "Fiat Payment Confirmed", status: orders.FiatSent},
		{who: alice, types: "release -o {order}", sees: "Payment Settled & Released", status: orders.Success},
	}},
	{name: "orders by their ids", steps: []step{
		{who: alice, types: "neworder -k sell -a 10000 -c EUR -f 10 -m SEPA", sees: answered, status: orders.Pending},
		{who: alice, types: "ordersinfo -o {order}", sees: "{order}"},
	}},
	{name: "the last trade index", steps: []step{
		{who: alice, types: "neworder -k sell -a 10000 -c EUR -f 10 -m SEPA", sees: answered, status: orders.Pending},
		{who: alice, types: "getlasttradeindex", sees: "Trade index synchronized successfully!"},
	}},
	{name: "restore", steps: []step{
		{who: alice, types: "neworder -k sell -a 10000 -c EUR -f 10 -m SEPA", sees: answered, status: orders.Pending},
		{who: alice, types: "restore", sees: "{order}"},
	}},
	{name: "a dispute settled for the buyer", alice: -10_060, bob: 10_000, steps: []step{
		{who: admin, types: "admaddsolver -n {solver}", sees: "Solver added successfully!"},
		{who: bob, types: "neworder -k buy -a 10000 -c EUR -f 10 -m SEPA -i {invoice:10000}", sees: answered, status: orders.Pending},
		{who: alice, types: "takebuy -o {order}", sees: answered, pays: true, status: orders.Active},
		{who: bob, types: "fiatsent -o {order}", sees: "Fiat Payment Confirmed", status: orders.FiatSent},
		{who: bob, types: "dispute -o {order}", sees: "Dispute created successfully!", status: orders.InDispute},
		{who: alice, types: "getdm", sees: "DisputeInitiatedByPeer"},
		{who: alice, types: "dispute -o {order}", sees: "DisputeCreationError", status: orders.InDispute, ends: denied},
		{who: solver, types: "listdisputes", sees: "{dispute}"},
		{who: solver, types: "admsettle -o {order}", sees: "IsNotYourDispute", status: orders.InDispute, ends: denied},
		{who: solver, types: "admtakedispute -d {dispute}", sees: "Dispute taken successfully!", status: orders.InDispute},
		{who: bob, types: "getdm", sees: "AdminTookDispute"},
		{who: bob, types: "restore", sees: "{dispute}"},
		{who: solver, types: "admsettle -o {order}", sees: "Dispute settled successfully!", status: orders.Success},
		{who: bob, types: "getdm", sees: paid},
		{who: alice, types: "getdm", sees: "AdminSettled"},
		{who: solver, types: "admcancel -o {order}", sees: "NotAllowedByStatus", status: orders.Success, ends: denied},
	}},
	{name: "a dispute refunded to the seller", steps: []step{
		{who: admin, types: "admaddsolver -n {solver}:read", sees: "Solver added successfully!"},
		{who: bob, types: "neworder -k buy -a 10000 -c EUR -f 10 -m SEPA -i {invoice:10000}", sees: answered, status: orders.Pending},
		{who: alice, types: "takebuy -o {order}", sees: answered, pays: true, status: orders.Active},
		{who: alice, types: "dispute -o {order}", sees: "Dispute created successfully!", status: orders.InDispute},
		{who: solver, types: "admtakedispute -d {dispute}", sees: "Dispute taken successfully!", status: orders.InDispute},
		{who: solver, types: "admcancel -o {order}", sees: "NotAuthorized", status: orders.InDispute, ends: denied},
		{who: admin, types: "admtakedispute -d {dispute}", sees: "Dispute taken successfully!", status: orders.InDispute},
		{who: solver, types: "admcancel -o {order}", sees: "DisputeTakenByAdmin", status: orders.InDispute, ends: denied},
		{who: admin, types: "admcancel -o {order}", sees: "Dispute canceled successfully!", status: orders.CanceledByAdmin},
		{who: alice, types: "getdm", sees: "AdminCanceled"},
		{who: admin, types: "listdisputes", sees: "seller-refunded"},
	}},
	{name: "a dispute that ends with a release", alice: -10_060, bob: 10_000, steps: []step{
		{who: bob, types: "neworder -k buy -a 10000 -c EUR -f 10 -m SEPA -i {invoice:10000}", sees: answered, status: orders.Pending},
		{who: alice, types: "takebuy -o {order}", sees: answered, pays: true, status: orders.Active},
		{who: alice, types: "dispute -o {order}", sees: "Dispute created successfully!", status: orders.InDispute},
		{who: alice, types: "release -o {order}", sees: "Payment Settled & Released", status: orders.Success},
	}},
}
