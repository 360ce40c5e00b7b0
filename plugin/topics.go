package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/mostro-cln/mostro/orders"
)

// topic is one of our own notifications, which other plugins can subscribe to.
type topic struct {
	name, about string
	shape       reflect.Type
}

// The topics.
const (
	topicOrder   = "mostro_order"
	topicDispute = "mostro_dispute"
	topicAlert   = "mostro_alert"
)

var topics = []topic{
	{topicOrder, "An order has got another status", reflect.TypeFor[orderNews]()},
	{topicDispute, "A dispute was opened, taken or ended", reflect.TypeFor[disputeNews]()},
	{topicAlert, "The operator should look at something", reflect.TypeFor[alertNews]()},
}

// orderNews is the payload of mostro_order. No key is in it.
type orderNews struct {
	Order      string       `json:"order_id" about:"the order's id"`
	Kind       string       `json:"kind" about:"buy or sell: what the maker wants to do with sats"`
	Status     string       `json:"status" about:"now"`
	Before     string       `json:"old_status,omitempty" about:"before; absent for a new order"`
	On         string       `json:"on" about:"what happened"`
	Amount     orders.Msats `json:"amount_msat" about:"without fee; 0: at the market price, not yet known"`
	Fee        orders.Msats `json:"fee_msat" about:"of both sides"`
	FiatCode   string       `json:"fiat_code" about:"currency"`
	FiatAmount int64        `json:"fiat_amount" about:"in whole units of it"`
	At         int64        `json:"at" about:"when"`
}

// disputeNews is the payload of mostro_dispute.
type disputeNews struct {
	Dispute string       `json:"dispute_id" about:"the dispute's id"`
	Order   string       `json:"order_id" about:"its order's"`
	State   string       `json:"state" about:"initiated, in-progress, settled or seller-refunded"`
	Before  string       `json:"old_state,omitempty" about:"before; absent for a new dispute"`
	By      string       `json:"opened_by" about:"buyer or seller"`
	Solver  string       `json:"solver,omitempty" about:"key of who has taken it"`
	Status  string       `json:"order_status" about:"of the order"`
	Amount  orders.Msats `json:"amount_msat" about:"of the order"`
	At      int64        `json:"at" about:"when"`
}

// alertNews is the payload of mostro_alert.
type alertNews struct {
	Number uint64 `json:"number" about:"the same alert has the same number, should it come twice"`
	Order  string `json:"order_id,omitempty" about:"absent: it is about no order"`
	Text   string `json:"text" about:"in words, as in the log"`
	At     int64  `json:"at" about:"when it was sent"`
}

const topicsIntro = `
## Notifications

Other plugins can subscribe to these topics. They are hints: nobody is waited for, what lightningd does not read in time
is dropped with a line in the log, and nothing that happened while the exchange was down is told later. No secret and no
identity key is in them. lightningd sends ` + "`{\"origin\": …, \"payload\": …}`, or the payload alone" + `, by its version.

The same alerts, and word of each new dispute, go as Nostr messages to the keys of the option ` + "`mostro-admins`" + `; those are
kept until a relay has taken them.
`

func topicsMarkdown(b *strings.Builder) {
	b.WriteString(topicsIntro)
	for _, t := range topics {
		fmt.Fprintf(b, "\n### %s\n\n%s.\n\n| field | is | |\n|---|---|---|\n", t.name, t.about)
		for _, f := range resultFields(t.shape, "") {
			fmt.Fprintf(b, "| %s | %s | %s |\n", f.path, f.typeWords(), f.about)
		}
	}
}
