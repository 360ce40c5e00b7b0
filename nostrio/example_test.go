package nostrio_test

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

func secret(name string) *nostrio.Key {
	k, err := nostrio.NewKey(sha256.Sum256([]byte(name)))
	if err != nil {
		panic(err)
	}
	return k
}

// A message is decoded from any spelling and encoded in one.
func ExampleDecode() {
	m, err := nostrio.Decode([]byte(`{"order": {"action": "take-sell", "version": 2, "id": "5C6F8A523D1E4B779A402F6D1C0B9E11", "payload": {"amount": 120}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Body.Action, m.Body.Payload, m.CheckShape())
	fmt.Println(string(m.Encode()))
	// Output:
	// take-sell 120 <nil>
	// {"order":{"version":2,"request_id":null,"trade_index":null,"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","action":"take-sell","payload":{"amount":120}}}
}

// A mistake is named, the values are not.
func ExampleDecode_refused() {
	_, err := nostrio.Decode([]byte(`{"order":{"version":2,"action":"add-invoice","payload":{"payment_request":[null,"lnbc1"]}}}`))
	fmt.Println(err)
	// Output:
	// not a Mostro message: payload: payment_request: 2 elements, not 3
}

// A client asks, a server opens and answers, the client opens the answer.
func ExampleSealRequest() {
	node, trade, identity := secret("node"), secret("trade key 1"), secret("identity")
	request := nostrio.Message{Wrapper: nostrio.WrapRestore, Body: nostrio.Body{Action: nostrio.ActRestoreSession}}
	event, err := nostrio.SealRequest(context.Background(), nostrio.Request{
		Way: orders.Direct, Node: node.PubKey(), Trade: trade, Identity: identity,
		Message: request, At: 1767225600, Seed: sha256.Sum256([]byte("32 random bytes")),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	in, err := nostrio.Open(node, event)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(in.Message.Body.Action, in.Sender == trade.PubKey(), in.Identity == identity.PubKey())

	answer := in.Message.Reply(nostrio.WrapRestore, nostrio.ActRestoreSession, nostrio.RestoreData{})
	event, err = node.Seal(in.Way, in.Sender, answer, 1767225601, sha256.Sum256([]byte("32 others")))
	if err != nil {
		fmt.Println(err)
		return
	}
	reply, err := nostrio.OpenReply(trade, node.PubKey(), event)
	fmt.Println(reply.Message.Body.Payload, err)
	// Output:
	// restore-session true true
	// {[] []} <nil>
}

// An order's public event is a function of the order alone.
func ExampleOrderEvent_Event() {
	e := nostrio.OrderEvent{
		ID: orders.OrderID{1}, Kind: orders.Sell, Status: "pending",
		Fiat: orders.Fiat{Code: "EUR", Amount: 250}, PaymentMethod: "SEPA,Revolut",
		Networks: []string{"mainnet"}, ExpiresAt: 1767312000, Expiration: 1767312000, CreatedAt: 1767225600,
	}.Event(secret("node"))
	fmt.Println(e.Kind, e.Tags.GetD(), e.Tags.GetFirst([]string{"pm"}))
	// Output:
	// 38383 01000000-0000-0000-0000-000000000000 &[pm SEPA Revolut]
}
