package simln

import (
	"slices"
	"strings"
	"time"
)

func sendpayObject(p *sendpay) *object {
	o := obj("created_index", p.CreatedIndex, "id", p.CreatedIndex, "payment_hash", p.Hash, "groupid", p.Group)
	o.addIf(p.UpdatedIndex > 0, "updated_index", p.UpdatedIndex).addIf(p.Part > 0, "partid", p.Part)
	o.add("destination", p.Destination).add("amount_msat", p.Amount).add("amount_sent_msat", p.Sent).add("created_at", p.CreatedAt)
	o.addIf(p.CompletedAt > 0, "completed_at", p.CompletedAt).add("status", p.Status)
	o.addIf(p.Preimage != "", "payment_preimage", p.Preimage).addIf(p.Label != "", "label", p.Label)
	return o.addIf(true, invstringName(p.Invstring), p.Invstring)
}

func invstringName(s string) string {
	if strings.HasPrefix(s, "lni") {
		return "bolt12"
	}
	return "bolt11"
}

func sendpayWait(p *sendpay) *object {
	return obj("status", p.Status, "partid", p.Part, "groupid", p.Group, "payment_hash", p.Hash)
}

// paymentsFor filters by hash or invoice, status and page.
func (n *Node) paymentsFor(c *command) ([]*sendpay, error) {
	hash := strings.ToLower(c.str("payment_hash"))
	if c.has("bolt11") {
		if c.has("payment_hash") {
			return nil, failf(codeInvalidParams, "Can only specify one of {bolt11} or {payment_hash}")
		}
		a, ok := n.hashOf(c.str("bolt11"))
		if !ok {
			return nil, failf(codeInvalidParams, "Invalid invstring: '%s'", c.str("bolt11"))
		}
		hash = a
	}
	if status := c.str("status"); c.has("status") && !slices.Contains([]string{"pending", "complete", "failed"}, status) {
		return nil, failf(codeInvalidParams, "status: should be an invoice status: invalid token '%s'", c.values["status"])
	}
	if err := checkPaging(c); err != nil {
		return nil, err
	}
	var out []*sendpay
	for _, p := range n.st.payments {
		if hash == "" || p.Hash == hash {
			out = append(out, p)
		}
	}
	return page(c, out, func(p *sendpay) (uint64, uint64) { return p.CreatedIndex, p.UpdatedIndex }), nil
}

func (n *Node) hashOf(invstring string) (string, bool) {
	s := strings.ToLower(strings.TrimPrefix(invstring, "lightning:"))
	if o := n.st.offers[s]; o != nil {
		return o.Hash, o.Hash != ""
	}
	b, err := DecodeInvoice(s)
	if err != nil {
		return "", false
	}
	return hexOf(b.PaymentHash[:]), true
}

func (n *Node) cmdListSendPays(c *command) (any, error) {
	rows, err := n.paymentsFor(c)
	if err != nil {
		return nil, err
	}
	out := []*object{}
	for _, p := range rows {
		if !c.has("status") || p.Status == c.str("status") {
			out = append(out, sendpayObject(p))
		}
	}
	return obj("payments", out), nil
}

// cmdListPays shows one entry per hash and group.
func (n *Node) cmdListPays(c *command) (any, error) {
	rows, err := n.paymentsFor(c)
	if err != nil {
		return nil, err
	}
	type group struct {
		hash string
		id   uint64
	}
	groups := map[group][]*sendpay{}
	var order []group
	for _, p := range rows {
		g := group{p.Hash, p.Group}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], p)
	}
	out := []*object{}
	for _, g := range order {
		o, status := paysObject(groups[g])
		if !c.has("status") || status == c.str("status") {
			out = append(out, o)
		}
	}
	return obj("pays", out), nil
}

func paysObject(parts []*sendpay) (o *object, status string) {
	first := parts[0]
	var amount, sent Msat
	var pending, complete int
	var completedAt uint64
	for _, p := range parts {
		switch p.Status {
		case "pending":
			pending++
		case "complete":
			complete++
			amount, sent = amount+p.Amount, sent+p.Sent
			completedAt = max(completedAt, p.CompletedAt)
		}
	}
	switch {
	case complete > 0:
		status = "complete"
	case pending > 0:
		status = "pending"
		for _, p := range parts {
			if p.Status == "pending" {
				amount, sent = amount+p.Amount, sent+p.Sent
			}
		}
	default:
		status = "failed"
	}
	o = obj("payment_hash", first.Hash, "status", status, "destination", first.Destination, "created_at", first.CreatedAt,
		"created_index", first.CreatedIndex)
	o.addIf(first.UpdatedIndex > 0, "updated_index", first.UpdatedIndex)
	o.addIf(completedAt > 0, "completed_at", completedAt).addIf(first.Label != "", "label", first.Label)
	o.add(invstringName(first.Invstring), first.Invstring).addIf(amount > 0, "amount_msat", amount).add("amount_sent_msat", sent)
	if status == "complete" {
		o.add("preimage", parts[slices.IndexFunc(parts, func(p *sendpay) bool { return p.Preimage != "" })].Preimage)
		o.addIf(complete > 1, "number_of_parts", complete)
	}
	return o, status
}

func (n *Node) cmdWaitSendPay(c *command) (any, error) {
	var row *sendpay
	for _, p := range n.st.payments {
		if p.Hash == strings.ToLower(c.str("payment_hash")) && (!c.has("partid") || p.Part == c.uintOr("partid", 0)) &&
			(!c.has("groupid") || p.Group == c.uintOr("groupid", 0)) {
			row = p
		}
	}
	if row == nil {
		return nil, failf(208, "Never attempted payment part %s for '%s'", c.strOr("partid", "0"), c.str("payment_hash"))
	}
	end := func() bool {
		switch row.Status {
		case "complete":
			c.reply(sendpayObject(row))
		case "failed":
			c.fail(203, "failed: WIRE_INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS (reply from remote)", sendpayObject(row))
		}
		return row.Status != "pending"
	}
	if end() {
		return nil, errLater
	}
	n.waiters = append(n.waiters, &waiter{c: c, ready: func() *object { end(); return nil }})
	if c.has("timeout") {
		n.clock.after(time.Duration(c.uintOr("timeout", 0))*time.Second, func() {
			n.do(func() { c.fail(200, "Timed out while waiting", nil) })
		})
	}
	return nil, errLater
}

func (n *Node) cmdDelPay(c *command) (any, error) {
	status := c.str("status")
	if status != "complete" && status != "failed" {
		return nil, failf(codeInvalidParams, "Cannot delete payment with status '%s'", status)
	}
	var deleted []*object
	for _, p := range slices.Clone(n.st.payments) {
		if p.Hash != strings.ToLower(c.str("payment_hash")) || c.has("partid") && p.Part != c.uintOr("partid", 0) ||
			c.has("groupid") && p.Group != c.uintOr("groupid", 0) {
			continue
		}
		if p.Status != status {
			return nil, failf(211, "Payment with hash %s has %s status but it should be %s", p.Hash, p.Status, status)
		}
		deleted = append(deleted, sendpayObject(p))
		n.st.payments = slices.DeleteFunc(n.st.payments, func(q *sendpay) bool { return q == p })
		n.st.remove(p)
		n.indexes("sendpays").Deleted++
		n.indexMoved("sendpays", "deleted", sendpayWait(p))
	}
	if deleted == nil {
		return nil, failf(208, "Unknown payment with payment_hash %s", c.str("payment_hash"))
	}
	return obj("payments", deleted), nil
}
