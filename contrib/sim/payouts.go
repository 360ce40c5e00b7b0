package sim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// bill is an invoice at a buyer's wallet.
type bill struct {
	hash    orders.Hash
	pre     orders.Preimage
	text    string
	amount  orders.Msats // 0: the payer chooses
	cltv    int64
	created int64
	expires int64
	network string
	owner   *person

	order orders.OrderID // known from the first payment call
	parts []*part
	calls bool          // a call whose answer was lost still starts parts,
	goes  time.Duration // at this time,
	goods bool          // and they arrive
	ends  time.Duration // when parts that are pending end
	fatal bool          // the node has said that it cannot be paid
	done  bool          // the buyer has named a place since then
	paid  int           // how often the payee was paid
	last  orders.Msats  // the amount of the last attempt
}

// part is a row of the node's payments.
type part struct {
	index, group, number uint64
	status               string // pending, failed, complete
	amount, fee          orders.Msats
}

func (n *node) newBill(owner *person, amount orders.Msats) *bill {
	pre := orders.Preimage(n.w.newSeed().Derive("bill"))
	b := &bill{
		hash: pre.Hash(), pre: pre, amount: amount, cltv: 18, created: n.w.now, expires: n.w.now + 3600 + n.w.rng.Int64N(90_000),
		network: "bcrt", owner: owner,
	}
	b.text = "lnbcrt1bill" + b.hash.String()
	n.bills[b.hash] = b
	n.billList = append(n.billList, b)
	return b
}

// billOf finds an invoice by its text.
func (n *node) billOf(text string) *bill {
	var h orders.Hash
	if err := h.UnmarshalText([]byte(strings.TrimPrefix(text, "lnbcrt1bill"))); err != nil {
		return nil
	}
	return n.bills[h]
}

func (n *node) decode(text string) (json.RawMessage, error) {
	if b := n.billOf(text); b != nil {
		amount := ""
		if b.amount != 0 {
			amount = fmt.Sprintf(`,"amount_msat":%d`, int64(b.amount))
		}
		return fmt.Appendf(nil, `{"type":"bolt11 invoice","valid":true,"currency":%q,"created_at":%d,"expiry":%d,"payee":"03cc","payment_hash":"%s","min_final_cltv_expiry":%d%s}`,
			b.network, b.created, b.expires-b.created, b.hash, b.cltv, amount), nil
	}
	for _, h := range n.madeList {
		if h.text == text {
			return fmt.Appendf(nil, `{"type":"bolt11 invoice","valid":true,"currency":"bcrt","created_at":%d,"expiry":%d,"payee":%q,"payment_hash":"%s","min_final_cltv_expiry":%d,"amount_msat":%d}`,
				n.w.now, h.expires-n.w.now, nodeID, h.hash, h.cltv, int64(h.amount)), nil
		}
	}
	return nil, clnio.Errorf(clnio.CodeInvalidParams, "not a valid invoice")
}

func (n *node) listSendPays(hash orders.Hash) json.RawMessage {
	out := []byte(`{"payments":[`)
	b := n.bills[hash]
	if b == nil {
		return append(out, "]}"...)
	}
	for i, p := range b.parts {
		if i > 0 {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, `{"created_index":%d,"groupid":%d,"partid":%d,"payment_hash":"%s","status":%q,"amount_msat":%d,"amount_sent_msat":%d`,
			p.index, p.group, p.number, hash, p.status, int64(p.amount), int64(p.amount+p.fee))
		if p.status == "complete" {
			out = fmt.Appendf(out, `,"payment_preimage":%q`, b.pre.Reveal())
		}
		out = append(out, '}')
	}
	return append(out, "]}"...)
}

// alive says that a payment of the bill may still arrive, or has.
func (b *bill) alive() bool { return b.calls || b.paid > 0 || b.pending() }

func (b *bill) pending() bool {
	for _, p := range b.parts {
		if p.status == "pending" {
			return true
		}
	}
	return false
}

// xpay pays an invoice, or does not. What it answers and what becomes of the payment are two things.
func (n *node) xpay(p params) (json.RawMessage, error) {
	b := n.billOf(p.text("invstring"))
	if b == nil {
		n.w.wrong("pays-a-buyer", "a payment to %s, which is nobody's invoice", p.text("invstring"))
		return nil, clnio.Errorf(clnio.CodeInvalidParams, "not a valid invoice")
	}
	amount := b.amount
	if amount == 0 {
		amount = orders.Msats(p.number("amount_msat"))
	}
	n.w.checkPayout(b, amount, p)
	switch {
	case b.paid > 0:
		return nil, clnio.Errorf(219, "Already paid")
	case b.calls || b.pending():
		return nil, clnio.Errorf(-32700, "Unexpected injectpaymentonion error 200: still in progress")
	case n.w.now >= b.expires:
		b.fatal = true
		return nil, clnio.Errorf(207, "Invoice expired")
	}
	b.last = amount
	return n.tryToPay(b, orders.Msats(p.number("maxfee")))
}

func (n *node) tryToPay(b *bill, maxFee orders.Msats) (json.RawMessage, error) {
	w := n.w
	if w.calm {
		n.start1(b, maxFee)
		n.arrive(b)
		return nil, nil
	}
	b.ends, b.goods = w.elapsed+time.Duration(w.rng.Int64N(int64(3*24*time.Hour))), w.rng.IntN(2) == 0
	if w.rng.IntN(2) == 0 {
		b.ends = w.elapsed + time.Duration(w.rng.Int64N(int64(time.Hour)))
	}
	switch w.rng.IntN(13) {
	case 0: // no way to the payee
		w.fault("payment: no route")
		return nil, clnio.Errorf(205, "Failed: We could not find a usable set of paths.")
	case 1:
		w.fault("payment: failed after parts were tried")
		n.start1(b, maxFee)
		n.give(b, false)
		code := []int{203, 209, 210}[w.rng.IntN(3)]
		b.fatal = b.fatal || code == 203
		return nil, clnio.Errorf(code, "Failed after some attempts")
	case 2: // the payee holds it
		w.fault("payment: failed, it says, and a part is pending")
		n.start1(b, maxFee)
		return nil, clnio.Errorf(209, "Timed out after 60 seconds")
	case 3:
		w.fault("payment: pending, and xpay died")
		n.start1(b, maxFee)
		return nil, clnio.Errorf(clnio.CodePluginTerminated, "Plugin terminated before replying to RPC call.")
	case 4, 12: // the answer is lost, and the call runs on
		w.fault("payment: no answer, and the call starts parts later")
		if w.rng.IntN(3) == 0 {
			w.jumpAt = w.steps + 1 + w.rng.IntN(4)
		}
		b.calls, b.goes = true, w.elapsed+time.Duration(w.rng.Int64N(int64(100*time.Second)))
		return nil, clnio.Errorf(clnio.CodePluginTerminated, "Plugin terminated before replying to RPC call.")
	case 5:
		w.fault("payment: no liquidity")
		return nil, clnio.Errorf(220, "Failed: not enough capacity.")
	}
	n.start1(b, maxFee)
	n.arrive(b)
	return nil, nil
}

// start1 begins a group of parts.
func (n *node) start1(b *bill, maxFee orders.Msats) {
	n.groups++
	count := 1 + n.w.rng.IntN(3)
	if b.last < 3000 {
		count = 1
	}
	left, fee := b.last, min(maxFee, orders.Msats(n.w.rng.Int64N(3000)))
	for i := range count {
		amount := b.last / orders.Msats(count)
		if i == count-1 {
			amount = left
		}
		left -= amount
		n.serial++
		b.parts = append(b.parts, &part{index: n.serial, group: n.groups, number: uint64(i + 1), status: "pending", amount: amount, fee: fee / orders.Msats(count)})
	}
}

// arrive completes what is pending: the payee has shown the preimage.
func (n *node) arrive(b *bill) { n.give(b, true) }

func (n *node) give(b *bill, good bool) {
	got := orders.Msats(0)
	for _, p := range b.parts {
		switch {
		case p.status != "pending":
		case good:
			p.status = "complete"
			n.sent += p.amount + p.fee
			got += p.amount
		default:
			p.status = "failed"
		}
	}
	if good && got > 0 {
		b.paid++
		n.w.paid(b, got)
	}
}

// passPayouts lets payments go on.
func (n *node) passPayouts() {
	for _, b := range n.billList {
		if b.calls && n.w.elapsed >= b.goes {
			b.calls = false
			n.start1(b, 1000)
		}
		if len(b.parts) > 0 && b.pending() && n.w.elapsed >= b.ends {
			n.give(b, b.goods)
			n.w.say("the node: payment %s ends, %v", b.hash.String()[:8], b.goods)
		}
	}
}
