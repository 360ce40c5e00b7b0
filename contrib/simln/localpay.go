package simln

import (
	"encoding/json"
	"fmt"
	"time"
)

// htlcSet is a multi-part payment of which parts are missing.
type htlcSet struct {
	total Msat
	sum   Msat
	parts []*htlc
	stop  func()
}

const setTimeout = 70 * time.Second

// acceptLocally is what the node does with an HTLC when all plugins said continue: BOLT 4's checks of the final
// hop, then the invoice of its own table.
func (n *Node) acceptLocally(h *htlc) {
	o := h.Onion
	switch {
	case o.Garbled:
		n.failHTLC(h, "4016020000")
	case o.NextScid != "":
		n.failHTLC(h, "400a") // unknown_next_peer
	case h.Amount < o.Forward:
		n.failHTLC(h, fmt.Sprintf("0013%016x", uint64(h.Amount))) // final_incorrect_htlc_amount
	case h.Expiry < o.CLTV:
		n.failHTLC(h, fmt.Sprintf("0012%08x", h.Expiry)) // final_incorrect_cltv_expiry
	case n.height+n.cfg.CLTVFinal > h.Expiry:
		n.logf(levelDebug, "lightningd", "Expiry cltv too soon %d < %d + %d", h.Expiry, n.height, n.cfg.CLTVFinal)
		n.failHTLC(h, n.incorrectDetails(h.Amount))
	default:
		n.addToSet(h)
	}
}

// payable finds the invoice that a payment of total with this secret may pay.
func (n *Node) payable(hash, secret string, total Msat) (*invoice, error) {
	i := n.invoiceByHash(hash)
	switch {
	case i == nil:
		return nil, fmt.Errorf("Unknown invoice %s", hash)
	case n.status(i) != "unpaid":
		return nil, fmt.Errorf("Already paid or expired invoice %s", hash)
	case secret != i.PaymentSecret:
		return nil, fmt.Errorf("Attempt to pay %s with wrong payment_secret", hash)
	case i.Amount > 0 && total < i.Amount:
		return nil, fmt.Errorf("Attempt to pay %s with amount %dmsat < %dmsat", hash, total, i.Amount)
	case i.Amount > 0 && total > 2*i.Amount:
		return nil, fmt.Errorf("Attempt to pay %s with amount %dmsat > %dmsat", hash, total, 2*i.Amount)
	}
	return i, nil
}

func (n *Node) addToSet(h *htlc) {
	i, err := n.payable(h.Hash, h.Onion.Secret, h.Onion.Total)
	if err != nil {
		n.logf(levelDebug, "lightningd", "payment failed: %v", err)
		n.failHTLC(h, n.incorrectDetails(h.Amount))
		return
	}
	set := n.sets[h.Hash]
	if set == nil {
		set = &htlcSet{total: h.Onion.Total}
		set.stop = n.clock.after(setTimeout, func() {
			n.do(func() {
				if n.sets[h.Hash] == set {
					n.failSet(h.Hash, set, "0017") // mpp_timeout
				}
			})
		})
		n.sets[h.Hash] = set
	}
	set.parts = append(set.parts, h)
	if h.Onion.Total != set.total {
		n.failSet(h.Hash, set, fmt.Sprintf("0013%016x", uint64(h.Amount)))
		return
	}
	if set.sum += h.Onion.Forward; set.sum >= set.total {
		set.stop()
		n.askInvoicePayment(i, set)
	}
}

// failSet refuses all parts; an empty message means incorrect details, each with its own amount.
func (n *Node) failSet(hash string, set *htlcSet, message string) {
	set.stop()
	delete(n.sets, hash)
	for _, h := range set.parts {
		m := message
		if m == "" {
			m = n.incorrectDetails(h.Amount)
		}
		n.failHTLC(h, m)
	}
}

func (n *Node) askInvoicePayment(i *invoice, set *htlcSet) {
	n.callHook("invoice_payment", &hookCall{
		params: func(*plugin) *object {
			return obj("payment", obj("label", i.Label, "preimage", i.Preimage, "msat", set.sum))
		},
		answer: func(result json.RawMessage) bool { return n.invoicePaymentAnswer(i, set, result) },
		final: func() {
			delete(n.sets, i.PaymentHash)
			if n.st.invoices[i.Label] != i || n.status(i) != "unpaid" {
				n.failSet(i.PaymentHash, set, "")
				return
			}
			n.logf(levelInfo, "lightningd", "Resolved invoice '%s' with amount %dmsat in %d htlcs", i.Label, set.sum, len(set.parts))
			for _, h := range set.parts {
				n.fulfillHTLC(h, i.Preimage)
			}
			n.resolveInvoice(i, set.sum)
		},
	})
}

func (n *Node) invoicePaymentAnswer(i *invoice, set *htlcSet, result json.RawMessage) (goOn bool) {
	m := members(result)
	if verdict, ok := m["result"]; ok {
		switch text(verdict) {
		case "continue":
			return true
		case "reject":
			n.failSet(i.PaymentHash, set, "")
			return false
		}
		n.fatal("Invalid invoice_payment hook result: %s", result)
	}
	message, ok := m["failure_message"]
	if !ok {
		n.fatal("Missing failure_message in invoice_payment hook result: %s", result)
	}
	if !hexText.MatchString(text(message)) {
		n.fatal("Invalid invoice_payment_hook failure_message: %s", result)
	}
	n.failSet(i.PaymentHash, set, text(message))
	return false
}
