package simln

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"time"
)

// invoice is a row of the node's invoices table. Status expired is never stored: it follows from the clock.
type invoice struct {
	Label         string
	Description   *string
	PaymentHash   string
	Preimage      string
	PaymentSecret string
	Amount        Msat // 0: any
	Bolt11        string
	Expiry        uint64 // unix seconds
	CreatedIndex  uint64
	UpdatedIndex  uint64
	Paid          bool
	PayIndex      uint64
	Received      Msat
	PaidAt        uint64
}

func (i *invoice) rowKey() string { return "invoice/" + i.Label }

const (
	codeLabelExists    = 900
	codePreimageExists = 901
	codeWaitTimeout    = 904
	codeNoInvoice      = 905
	codeWrongStatus    = 906
	codeNoDescription  = 908
	maxLabel           = 128
	maxDescription     = 639
)

func (n *Node) status(i *invoice) string {
	switch {
	case i.Paid:
		return "paid"
	case n.unixNow() >= i.Expiry:
		return "expired"
	}
	return "unpaid"
}

// rowObject is the invoice as listinvoices, delinvoice and the wait commands show it.
func (n *Node) invoiceObject(i *invoice) *object {
	o := obj("label", i.Label, "bolt11", i.Bolt11, "payment_hash", i.PaymentHash)
	o.addIf(i.Amount > 0, "amount_msat", i.Amount)
	o.add("status", n.status(i))
	if i.Paid {
		o.add("pay_index", i.PayIndex).add("amount_received_msat", i.Received).
			add("paid_at", i.PaidAt).add("payment_preimage", i.Preimage)
	}
	o.addIf(i.Description != nil, "description", i.Description)
	o.add("expires_at", i.Expiry).add("created_index", i.CreatedIndex)
	return o.addIf(i.UpdatedIndex > 0, "updated_index", i.UpdatedIndex)
}

func (n *Node) cmdInvoice(c *command) (any, error) {
	label, description := c.str("label"), c.str("description")
	if len(label) > maxLabel {
		return nil, failf(codeInvalidParams, "Label '%s' over %d bytes", label, maxLabel)
	}
	if len(description) > maxDescription && !c.bool("deschashonly") {
		return nil, failf(codeInvalidParams, "Description greater than %d bytes invalid (description length %d)", maxDescription, len(description))
	}
	var preimage [32]byte
	if c.has("preimage") {
		preimage = c.hex32("preimage")
	} else if _, err := rand.Read(preimage[:]); err != nil {
		return nil, err
	}
	secret := paymentSecret(preimage)
	b := &Invoice{
		Prefix: bolt11Prefix(n.cfg.Network), Amount: c.msat("amount_msat"), CreatedAt: n.unixNow(),
		PaymentHash: sha256.Sum256(preimage[:]), PaymentSecret: &secret, Description: &description,
		Expiry: c.uintOr("expiry", 7*24*3600), MinFinalCLTV: uint32(c.uintOr("cltv", uint64(n.cfg.CLTVFinal))),
		Features: invoiceFeatures,
	}
	if c.bool("deschashonly") {
		h := sha256.Sum256([]byte(description))
		b.DescriptionHash = &h
	}
	row, err := n.storeInvoice(b, label, &description, preimage)
	if err != nil {
		return nil, err
	}
	return obj("bolt11", row.Bolt11, "payment_hash", row.PaymentHash, "payment_secret", row.PaymentSecret,
		"expires_at", row.Expiry, "created_index", row.CreatedIndex), nil
}

// invoiceFeatures: TLV onion and payment secret required, multi-part payments and blinded paths known (BOLT 9).
var invoiceFeatures = []byte{0x02, 0x02, 0x41, 0x00}

// storeInvoice signs and stores; the preimage is looked at before the label, as lightningd does.
func (n *Node) storeInvoice(b *Invoice, label string, description *string, preimage [32]byte) (*invoice, error) {
	hash := hex.EncodeToString(b.PaymentHash[:])
	if n.invoiceByHash(hash) != nil {
		return nil, failf(codePreimageExists, "preimage already used")
	}
	if n.st.invoices[label] != nil {
		return nil, failf(codeLabelExists, "Duplicate label '%s'", label)
	}
	bolt11, err := b.Encode(n.key)
	if err != nil {
		return nil, err
	}
	row := &invoice{
		Label: label, Description: description, PaymentHash: hash, Preimage: hex.EncodeToString(preimage[:]),
		PaymentSecret: hex.EncodeToString(b.PaymentSecret[:]), Amount: b.Amount, Bolt11: bolt11,
		Expiry: b.CreatedAt + b.Expiry, CreatedIndex: n.indexes("invoices").created(),
	}
	n.st.addInvoice(row)
	n.st.put(row)
	n.broadcast("invoice_creation", obj().addIf(row.Amount > 0, "msat", row.Amount).
		add("preimage", row.Preimage).add("label", label))
	n.indexMoved("invoices", "created", n.waitInvoice(row))
	return row, nil
}

func (n *Node) waitInvoice(i *invoice) *object {
	return obj("status", n.status(i), "label", i.Label, "bolt11", i.Bolt11)
}

func (n *Node) invoiceByHash(hash string) *invoice {
	return n.st.byHash[hash]
}

func (n *Node) cmdListInvoices(c *command) (any, error) {
	given := 0
	for _, name := range []string{"label", "invstring", "payment_hash", "offer_id"} {
		if c.has(name) {
			given++
		}
	}
	if given > 1 {
		return nil, failf(codeInvalidParams, "Can only specify one of {label}, {invstring}, {payment_hash} or {offer_id}")
	}
	if err := checkPaging(c); err != nil {
		return nil, err
	}
	bolt11 := strings.ToLower(strings.TrimPrefix(c.str("invstring"), "lightning:"))
	if c.has("invstring") {
		if _, err := DecodeInvoice(bolt11); err != nil {
			return nil, failf(codeInvalidParams, "Invalid invstring")
		}
	}
	rows := page(c, sortedInvoices(n.st.invoices), func(i *invoice) (uint64, uint64) { return i.CreatedIndex, i.UpdatedIndex })
	out := []*object{}
	for _, i := range rows {
		if c.has("label") && i.Label != c.str("label") || c.has("payment_hash") && i.PaymentHash != strings.ToLower(c.str("payment_hash")) ||
			c.has("invstring") && i.Bolt11 != bolt11 || c.has("offer_id") {
			continue
		}
		out = append(out, n.invoiceObject(i))
	}
	return obj("invoices", out), nil
}

func sortedInvoices(m map[string]*invoice) []*invoice {
	var rows []*invoice
	for _, i := range m {
		rows = append(rows, i)
	}
	sort.Slice(rows, func(a, b int) bool { return rows[a].CreatedIndex < rows[b].CreatedIndex })
	return rows
}

func (n *Node) cmdDelInvoice(c *command) (any, error) {
	i := n.st.invoices[c.str("label")]
	if i == nil {
		return nil, failf(codeNoInvoice, "Unknown invoice")
	}
	if status := n.status(i); status != c.str("status") {
		return nil, &rpcError{codeWrongStatus, fmt.Sprintf("Invoice status is %s not %s", status, c.str("status")),
			obj("current_status", status, "expected_status", c.str("status"))}
	}
	if c.bool("desconly") {
		if i.Description == nil {
			return nil, failf(codeNoDescription, "Invoice description already removed")
		}
		i.Description = nil
		i.UpdatedIndex = n.indexes("invoices").updated()
		n.st.put(i)
		n.indexMoved("invoices", "updated", n.waitInvoice(i))
		return n.invoiceObject(i), nil
	}
	delete(n.st.invoices, i.Label)
	delete(n.st.byHash, i.PaymentHash)
	n.st.remove(i)
	n.indexes("invoices").Deleted++
	n.indexMoved("invoices", "deleted", n.waitInvoice(i))
	return n.invoiceObject(i), nil
}

func (n *Node) cmdSignInvoice(c *command) (any, error) {
	b, err := DecodeInvoice(c.str("invstring"))
	if err != nil && b == nil {
		return nil, failf(codeInvalidParams, "Unparsable invoice '%s': %v", c.str("invstring"), err)
	}
	if b.Prefix != bolt11Prefix(n.cfg.Network) {
		return nil, failf(codeInvalidParams, "Unparsable invoice: for another network")
	}
	s, err := b.Encode(n.key)
	if err != nil {
		return nil, err
	}
	return obj("bolt11", s), nil
}

func (n *Node) cmdCreateInvoice(c *command) (any, error) {
	b, err := DecodeInvoice(c.str("invstring"))
	if err != nil {
		return nil, failf(codeInvalidParams, "Unparsable invoice '%s': %v", c.str("invstring"), err)
	}
	preimage := c.hex32("preimage")
	if sha256.Sum256(preimage[:]) != b.PaymentHash {
		return nil, failf(codeInvalidParams, "Incorrect preimage")
	}
	if b.PaymentSecret == nil {
		return nil, failf(codeInvalidParams, "Missing payment_secret in invoice")
	}
	row, err := n.storeInvoice(b, c.str("label"), b.Description, preimage)
	if err != nil {
		return nil, err
	}
	return n.invoiceObject(row), nil
}

// resolveInvoice marks an invoice as paid by msat and tells everyone who waits for that.
func (n *Node) resolveInvoice(i *invoice, msat Msat) {
	n.st.meta.PayIndex++
	i.Paid, i.PayIndex, i.Received, i.PaidAt = true, n.st.meta.PayIndex, msat, n.unixNow()
	i.UpdatedIndex = n.indexes("invoices").updated()
	n.st.put(n.st.meta)
	n.st.put(i)
	n.broadcast("invoice_payment", obj("msat", msat, "preimage", i.Preimage, "label", i.Label))
	n.indexMoved("invoices", "updated", n.waitInvoice(i))
}

func (n *Node) cmdWaitAnyInvoice(c *command) (any, error) {
	last := c.uintOr("lastpay_index", 0)
	ready := func() *object {
		var best *invoice
		for _, i := range n.st.invoices {
			if i.Paid && i.PayIndex > last && (best == nil || i.PayIndex < best.PayIndex) {
				best = i
			}
		}
		if best == nil {
			return nil
		}
		return n.invoiceObject(best)
	}
	return n.waitFor(c, ready, "timeout", codeWaitTimeout, "Timed out while waiting for invoice to be paid")
}

func (n *Node) cmdWaitInvoice(c *command) (any, error) {
	label := c.str("label")
	i := n.st.invoices[label]
	if i == nil {
		return nil, failf(codeOther, "Label not found")
	}
	return n.waitFor(c, func() *object {
		if !i.Paid {
			return nil
		}
		return n.invoiceObject(i)
	}, "", 0, "")
}

// waiter is a command that ends when ready gives its result; it is asked at the end of each transaction.
type waiter struct {
	c     *command
	ready func() *object
	stop  func()
}

// waitFor answers at once, later, or with the given error when the parameter named timeout has passed.
func (n *Node) waitFor(c *command, ready func() *object, timeout string, code int, message string) (any, error) {
	if o := ready(); o != nil {
		return o, nil
	}
	w := &waiter{c: c, ready: ready}
	if c.has(timeout) {
		expire := func() { c.fail(code, message, nil) }
		if c.uintOr(timeout, 0) == 0 {
			expire()
			return nil, errLater
		}
		w.stop = n.clock.after(time.Duration(c.uintOr(timeout, 0))*time.Second, func() { n.do(expire) })
	}
	n.waiters = append(n.waiters, w)
	return nil, errLater
}

func (n *Node) serveWaiters() {
	kept := n.waiters[:0]
	for _, w := range n.waiters {
		if w.c.done {
			continue
		}
		o := w.ready()
		if o == nil {
			kept = append(kept, w)
			continue
		}
		w.c.reply(o)
		if w.stop != nil {
			w.stop()
		}
	}
	clear(n.waiters[len(kept):])
	n.waiters = kept
}
