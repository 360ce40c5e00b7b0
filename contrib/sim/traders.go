package sim

import (
	"strings"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// act is somebody who does something: more often than not what he should do next.
func (w *world) act() {
	w.quoted = nil
	if !w.of(8) {
		w.quoted = &orders.Quote{PerBTC: 30_000_000_000 + w.rng.Int64N(40_000_000_000), AsOf: w.now}
	} else {
		w.fault("prices: none")
	}
	o, ok := w.someOrder()
	if !ok || w.rng.IntN(9) == 0 {
		w.offer()
		return
	}
	switch {
	case o.Status == orders.WaitingPayment && w.rng.IntN(10) > 0:
		w.paysHold(&o)
		return
	case o.Status == orders.Pending && w.rng.IntN(10) > 0:
		w.take(&o)
		return
	}
	k := w.keys[w.party(&o)]
	if k == nil {
		return
	}
	if w.of(w.plan.misbehav) {
		w.anything(k, &o)
		return
	}
	w.next(k, &o)
}

// someOrder is one of the newest, rather one that goes on.
func (w *world) someOrder() (o orders.Order, ok bool) {
	if len(w.orders) == 0 || w.house.dead() {
		return o, false
	}
	for range 4 {
		id := w.orders[max(0, len(w.orders)-1-w.rng.IntN(min(len(w.orders), 9)))]
		if f := w.facts[id]; f != nil && f.last.Final() && w.rng.IntN(8) > 0 {
			continue
		}
		return w.order(id)
	}
	return o, false
}

// order reads an order; the store must have it.
func (w *world) order(id orders.OrderID) (orders.Order, bool) {
	if at := w.house.disk.uses; at != w.readAt || w.read == nil {
		w.read, w.readAt = map[orders.OrderID]orders.Order{}, at
	}
	if o, ok := w.read[id]; ok {
		return o, true
	}
	o, ok, err := w.house.engine.Order(id)
	w.must("read an order", err)
	if !ok {
		w.wrong("orders-stay", "order %s is gone", id)
		return o, false
	}
	w.read[id] = o
	return o, true
}

// party picks the maker or the taker, rarely anybody.
func (w *world) party(o *orders.Order) orders.PubKey {
	switch n := w.rng.IntN(12); {
	case n == 0 && w.of(100) && len(w.used) > 0:
		return w.used[w.rng.IntN(len(w.used))].pub
	case n < 3 || !o.Taker.Here():
		return o.Maker.Trade
	case n < 6:
		return o.Taker.Trade
	case o.Status == orders.FiatSent:
		return o.Party(orders.Seller).Trade
	}
	return o.Party(orders.Buyer).Trade
}

// offer puts an order on the book.
func (w *world) offer() {
	t := nostrio.SmallOrder{
		Kind: []nostrio.Kind{nostrio.Buy, nostrio.Sell}[w.rng.IntN(2)], Status: "pending", FiatCode: "EUR", FiatAmount: 5 + w.rng.Int64N(40), PaymentMethod: "SEPA",
	}
	switch w.rng.IntN(5) {
	case 0, 1:
		t.Amount = 1000 + w.rng.Int64N(50_000)
	case 2:
		t.Premium = w.rng.Int64N(30) - 15
	case 3:
		low, high := 5+w.rng.Int64N(20), 26+w.rng.Int64N(60)
		t.FiatAmount, t.MinAmount, t.MaxAmount = 0, &low, &high
	case 4:
		t.Amount = 1000 + w.rng.Int64N(50_000)
		if w.of(50) {
			t.Amount = w.rng.Int64N(3_000_000) - 1_000_000
		}
	}
	if w.of(15) {
		at := w.now + w.rng.Int64N(8000) - 500
		t.ExpiresAt = &at
	}
	k := w.newKey()
	if text := w.payTo(k, orders.Sats(t.Amount).Msats()); text != "" && t.Kind == nostrio.Buy {
		t.BuyerInvoice = &text
	}
	w.write(k, orders.OrderID{}, nostrio.ActNewOrder, t)
}

// take takes an order, mostly as it wants to be taken.
func (w *world) take(o *orders.Order) {
	k := w.newKey()
	var slice *int64
	if o.Range() {
		n := *o.Fiat.Min + w.rng.Int64N(*o.Fiat.Max-*o.Fiat.Min+1)
		if w.of(5) {
			n += 100
		}
		slice = &n
	}
	if (o.Kind == orders.Sell) == w.of(4) {
		var p nostrio.Payload
		if slice != nil {
			p = nostrio.Amount(*slice)
		}
		w.write(k, o.ID, nostrio.ActTakeBuy, p)
		return
	}
	p := nostrio.PaymentRequest{Amount: slice}
	if w.rng.IntN(2) == 0 {
		p.Invoice = w.payTo(k, o.PaidOut().Msats())
	}
	switch {
	case p.Invoice != "":
		w.write(k, o.ID, nostrio.ActTakeSell, p)
	case slice != nil:
		w.write(k, o.ID, nostrio.ActTakeSell, nostrio.Amount(*slice))
	default:
		w.write(k, o.ID, nostrio.ActTakeSell, nil)
	}
}

// payTo is where k wants that many msat, empty where he does not say. 0 is as many as it will be.
func (w *world) payTo(k *tradeKey, amount orders.Msats) string {
	switch n := w.rng.IntN(8); {
	case n < 2:
		return w.address(k.who)
	case n == 2:
		return ""
	case n == 3 || amount <= 0:
		return w.node.newBill(k.who, 0).text
	case n == 4 && w.of(100): // useless in one way or another
		return w.uselessBill(k, amount)
	}
	return w.node.newBill(k.who, amount).text
}

func (w *world) uselessBill(k *tradeKey, amount orders.Msats) string {
	w.fault("people: an invoice that cannot be used")
	b := w.node.newBill(k.who, amount)
	switch w.rng.IntN(7) {
	case 0:
		b.expires = w.now + 60
	case 1:
		b.amount++
	case 2:
		b.network = "tb"
	case 3:
		b.cltv = 2016
	case 4:
		old := w.node.billList[w.rng.IntN(len(w.node.billList))]
		return old.text
	case 5:
		if n := len(w.node.madeList); n > 0 {
			return w.node.madeList[w.rng.IntN(n)].text
		}
	case 6:
		return "lnbcrt1nonsense"
	}
	return b.text
}

// next is what that person should do now.
func (w *world) next(k *tradeKey, o *orders.Order) {
	buys := o.Party(orders.Buyer).Trade == k.pub
	switch {
	case o.Status == orders.WaitingBuyerInvoice && buys, o.Status == orders.SettledHoldInvoice && buys && (!o.Payout.InFlight || w.of(20)):
		text := w.payTo(k, o.PaidOut().Msats())
		if text == "" {
			return
		}
		w.write(k, o.ID, nostrio.ActAddInvoice, nostrio.PaymentRequest{Invoice: text})
	case o.Status == orders.Active && buys && w.rng.IntN(30) == 0, o.Status == orders.FiatSent && w.rng.IntN(25) == 0:
		w.write(k, o.ID, nostrio.ActDispute, nil)
	case o.Status == orders.Active && buys:
		w.write(k, o.ID, nostrio.ActFiatSent, w.nextTrade(k, o))
	case o.Status == orders.FiatSent && !buys:
		w.write(k, o.ID, nostrio.ActRelease, w.nextTrade(k, o))
	case o.Status == orders.Success, o.Status == orders.SettledHoldInvoice:
		if w.rng.IntN(3) == 0 {
			w.write(k, o.ID, nostrio.ActRateUser, nostrio.RatingUser(1+w.rng.IntN(5)))
		}
	case o.Status == orders.Active && w.rng.IntN(20) == 0, o.Status == orders.FiatSent && w.rng.IntN(20) == 0, o.Status == orders.Frozen, o.Status == orders.InDispute && w.rng.IntN(6) == 0:
		w.write(k, o.ID, nostrio.ActCancel, nil)
	case o.Status == orders.InDispute && !buys && w.rng.IntN(6) == 0:
		w.write(k, o.ID, nostrio.ActRelease, w.nextTrade(k, o))
	case o.Status == orders.FiatSent && buys && w.rng.IntN(4) == 0:
		w.write(k, o.ID, nostrio.ActDispute, nil)
	}
}

// nextTrade announces a trade key for the rest of a range, or none.
func (w *world) nextTrade(k *tradeKey, o *orders.Order) nostrio.Payload {
	if !o.Range() || w.rng.IntN(4) == 0 {
		return nil
	}
	n := w.newKey()
	n.who = k.who
	k.who.index++
	n.index = k.who.index
	return nostrio.NextTrade{PubKey: n.pub.String(), Index: uint32(n.index)}
}

// anything is what nobody should say now, or what anybody may.
func (w *world) anything(k *tradeKey, o *orders.Order) {
	w.fault("people: somebody says anything")
	id := o.ID
	switch w.rng.IntN(13) {
	case 0, 1, 2:
		w.write(k, id, nostrio.ActCancel, nil)
	case 3:
		if text := w.payTo(k, o.PaidOut().Msats()); text != "" {
			w.write(k, id, nostrio.ActAddInvoice, nostrio.PaymentRequest{Invoice: text})
		}
	case 4:
		w.write(k, id, nostrio.ActFiatSent, w.nextTrade(k, o))
	case 5:
		w.write(k, id, nostrio.ActRelease, w.nextTrade(k, o))
	case 6:
		w.write(k, id, nostrio.ActRateUser, nostrio.RatingUser(w.rng.IntN(8)))
	case 7:
		n := w.newKey()
		n.who = k.who
		w.write(n, id, nostrio.ActTradePubKey, nil)
	case 8:
		w.write(k, orders.OrderID{}, nostrio.ActOrders, nostrio.IDs{nostrio.UUID(id), {1}})
	case 9:
		w.write(k, orders.OrderID{}, nostrio.ActRestoreSession, nil)
	case 10:
		w.write(k, orders.OrderID{}, nostrio.ActLastTradeIndex, nil)
	case 11:
		w.write(k, id, nostrio.ActDispute, nil)
	case 12:
		w.write(k, id, nostrio.ActTakeSell, nil)
	}
}

// paysHold is a seller who pays the invoice that he was shown, now and then in a way that no honest wallet does.
func (w *world) paysHold(o *orders.Order) {
	k := w.keys[o.Party(orders.Seller).Trade]
	if k == nil || len(k.bolt) == 0 {
		return
	}
	text := k.bolt[len(k.bolt)-1]
	if w.of(5) {
		text = k.bolt[w.rng.IntN(len(k.bolt))]
	}
	for _, h := range w.node.madeList {
		if h.text == text {
			w.payHold(k.who, h)
			return
		}
	}
	w.wrong("shows-real-invoices", "order %s: the seller was shown %s, which the node never made", o.ID, text)
}

func (w *world) payHold(who *person, h *holdInvoice) {
	total, expiry := h.amount, w.node.height+h.cltv+uint32(w.rng.IntN(20))
	var odd func(map[string]any)
	if w.of(6) {
		w.fault("people: a forged payment of a hold invoice")
		switch w.rng.IntN(6) {
		case 0:
			odd = func(o map[string]any) { o["payment_secret"] = strings.Repeat("ab", 32) }
		case 1:
			total = h.amount - 1000
		case 2:
			expiry = w.node.height + 18
		case 3:
			odd = func(o map[string]any) { o["forward_msat"] = total * 2 }
		case 4:
			total = h.amount*2 + 1
		case 5:
			odd = func(o map[string]any) { o["short_channel_id"] = "1x1x1" }
		}
	} else if w.rng.IntN(10) == 0 {
		total += orders.Msats(w.rng.Int64N(2000))
	}
	var parts []orders.Msats
	left := total
	for n := w.rng.IntN(3); n > 0 && left > 4; n-- {
		p := left/2 + 1
		parts = append(parts, p)
		left -= p
	}
	parts = append(parts, left)
	if w.of(5) {
		w.fault("people: a part of a payment never comes")
		parts = parts[1:]
	}
	w.say("p%d pays hold %s in %d parts, expiry %d", who.number, h.hash.String()[:8], len(parts), expiry)
	w.node.offers(who, h, parts, total, expiry, odd)
}
