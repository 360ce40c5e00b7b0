package sim

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// Invariants names everything that is looked at, with what it means.
var Invariants = [][2]string{
	{"settle-after-release", "a hold is settled only on its seller's word, or by the operator's own hand"},
	{"canceled-never-settles", "a hold of an order that was canceled, or whose seller was refunded, is never settled"},
	{"makes-what-is-wanted", "a hold invoice is made only as long as its order waits for it"},
	{"settle-with-its-preimage", "an HTLC is resolved with the preimage of its invoice"},
	{"settle-in-time", "no settle begins with fewer than 24 blocks left"},
	{"chain-takes-nothing", "while the hold plugin works, no hold reaches its expiry unresolved"},
	{"deadline-is-kept", "an order whose escrow comes near to its expiry is resolved"},
	{"payout-after-proof", "a payout begins only when its settle is proved"},
	{"paid-once", "at most one payment of an order arrives, once"},
	{"one-payment-alive", "no second payment of an order begins while another may still arrive"},
	{"marked-before-paid", "the mark of a payment is on disk before the node is asked to pay"},
	{"noted-before-paid", "a payment is noted at the node before the node is asked to pay"},
	{"one-invoice-one-order", "an invoice is paid for one order only"},
	{"pays-a-buyer", "only what the buyer or his destination has given is paid"},
	{"pays-the-amount", "the payout is the order's amount less the buyer's fee"},
	{"asks-once", "a destination is not asked for another invoice while one that it gave can be paid"},
	{"refund-is-proved", "a refund is booked when the holder has given the sats back"},
	{"fees", "both fees are the documented share, rounded half away from zero"},
	{"reported-is-booked", "what the watch has told of a hold is in the store"},
	{"promise", "what a letter says is true in the store when it is owed"},
	{"letters-to-people", "a letter goes to the key of a party"},
	{"letters-are-told", "the parties of an order that has ended have heard of it"},
	{"letter-is-the-same", "a letter that is sent again is the same letter"},
	{"says-what-was-written", "a message comes out of its seal as it went in"},
	{"secrets-kept", "no letter tells an identity key, or the seller the buyer's invoice"},
	{"shows-real-invoices", "the invoice that a seller is shown exists at the node"},
	{"stamp-rises", "the order events of an order rise in created_at"},
	{"book-is-true", "relays have the last event of each order"},
	{"same-input-once", "the same input has one effect, and a repeat the recorded answer"},
	{"one-rest", "a range order leaves one rest, of no more than what is left"},
	{"final-stays", "an order that has ended does not change"},
	{"orders-stay", "no order is forgotten"},
	{"same-after-a-restart", "the store says the same after a crash as before it"},
	{"opens-after-a-crash", "the stores open after any crash"},
	{"store-check", "Store.Check finds nothing"},
	{"books-match-node", "what the ledger says of an order is what the node did"},
	{"conserved", "what came in at the node less what went out is what the exchange kept"},
	{"hold-has-owner", "every hold invoice at the node is in the store, and its order exists"},
	{"hold-ends", "no hold and no HTLC is left at the end"},
	{"nothing-to-mend", "what an order waits for is in the outbox: the comparison with the node finds nothing that is missing there"},
	{"outbox-drains", "nothing is owed at the end"},
	{"ends", "without further faults every order ends within its limits"},
	{"frozen-means-lost", "an order is frozen only where its escrow was lost"},
	{"holds-own-no-row", "no invoice of the node's own is paid in place of a hold"},
	{"no-surprise", "nothing else goes wrong"},
}

// checkSettle is asked at each HTLC that is resolved.
func (w *world) checkSettle(inv *holdInvoice, h *htlc) {
	f := w.facts[inv.order]
	switch {
	case f == nil:
		w.wrong("hold-has-owner", "hold %s of order %s, which nobody knows, was settled", inv.hash, inv.order)
	case f.rogue:
	case !f.words[f.seller] && !f.judged:
		w.wrong("settle-after-release", "hold %s of order %s was settled while it is %s; its seller has not released it", inv.hash, inv.order, f.last)
	case f.last == orders.Canceled, f.last == orders.CoopCanceled, f.last == orders.Expired, f.last == orders.Pending, f.last == orders.CanceledByAdmin:
		w.wrong("canceled-never-settles", "hold %s of order %s was settled while it is %s", inv.hash, inv.order, f.last)
	}
}

// checkWanted is asked when the exchange has the holder make an invoice.
func (w *world) checkWanted(preimage string) {
	var pre orders.Seed // 32 bytes of hex
	w.must("read a preimage", pre.UnmarshalText([]byte(preimage)))
	h, ok, err := w.house.engine.Hold(orders.Preimage(pre).Hash())
	w.must("read a hold", err)
	if !ok || h.State != orders.HoldCreating {
		w.wrong("makes-what-is-wanted", "a hold invoice of order %s is made, and the store says %s", h.Order, h.State)
	}
}

// checkMayEnd is asked when the exchange has the holder settle.
func (w *world) checkMayEnd(hash orders.Hash) {
	_, expiry := w.plugin.at(hash)
	if left := int64(expiry) - int64(w.node.height); expiry != 0 && !w.node.behind && left < 24 {
		w.wrong("settle-in-time", "hold %s is settled with %d blocks left", hash, left)
	}
}

// checkTaken is asked when a channel closes for an HTLC.
func (w *world) checkTaken(h *htlc) {
	p := w.plugin
	if h.state == heldState && p.alive() && p.ill+22 < h.expiry && w.node.made[h.hash] != nil {
		w.wrong("chain-takes-nothing", "an HTLC of %s was not answered up to its expiry at %d, though the plugin was well since %d", h.hash, h.expiry, p.ill)
	}
}

// checkPayout is asked when the exchange asks the node to pay.
func (w *world) checkPayout(b *bill, amount orders.Msats, p params) {
	words := strings.Split(p.text("label"), "/")
	id, err := orders.ParseOrderID(words[min(1, len(words)-1)])
	if err != nil {
		w.wrong("no-surprise", "a payment with the label %q", p.text("label"))
		return
	}
	f := w.factOf(id)
	if !b.order.IsZero() && b.order != id {
		w.wrong("one-invoice-one-order", "the invoice %s of order %s is paid for %s", b.hash, b.order, id)
	}
	for _, q := range f.bills {
		if q != b && q.alive() {
			w.wrong("one-payment-alive", "order %s: %s is paid while %s may still arrive, or has", id, b.hash, q.hash)
		}
	}
	b.order = id
	if !slices.Contains(f.bills, b) {
		f.bills = append(f.bills, b)
	}
	if !strings.Contains(w.node.data["mostro/payouts/"+id.String()], b.hash.String()) {
		w.wrong("noted-before-paid", "order %s: the node has no note of the payment %s", id, b.hash)
	}
	st, ok, err := w.house.engine.Story(id)
	if err != nil || !ok {
		w.wrong("orders-stay", "order %s, which is paid: %v", id, err)
		return
	}
	w.checkPayoutRow(&st, b)
	o := &st.Order
	if k := w.keys[o.Party(orders.Buyer).Trade]; k == nil || !k.who.gave[b.text] && !k.who.gave[w.gives[b.hash]] {
		w.wrong("pays-a-buyer", "order %s is paid to %s, which its buyer has not given", id, b.text)
	}
	if amount != o.PaidOut().Msats() {
		w.wrong("pays-the-amount", "order %s: %s are paid, the payout is %s", id, amount, o.PaidOut())
	}
	if o.Status != orders.SettledHoldInvoice || !w.provedSettle(f) {
		w.wrong("payout-after-proof", "order %s is paid while it is %s, its settle is not proved", id, o.Status)
	}
}

func (w *world) checkPayoutRow(st *orders.Story, b *bill) {
	for _, r := range st.Owed {
		if p, ok := r.Effect.(*orders.Pay); ok && p.Hash == b.hash && p.Began != 0 && p.Session != "" {
			return
		}
	}
	w.wrong("marked-before-paid", "order %s: the store has no mark of the payment %s", st.Order.ID, b.hash)
}

// provedSettle says that some hold of the order is settled, and the holder has the proof.
func (w *world) provedSettle(f *fact) bool {
	for _, h := range w.node.madeList {
		if w.facts[h.order] != f || !h.resolve {
			continue
		}
		if h.proved || !w.plugin.alive() {
			return true
		}
		if state, _ := w.plugin.at(h.hash); state == "SETTLED" {
			h.proved = true
			return true
		}
	}
	return false
}

// paid is a payment that has arrived.
func (w *world) paid(b *bill, got orders.Msats) {
	w.settled++
	f := w.facts[b.order]
	for _, q := range f.bills {
		if q.paid > 1 || q != b && q.paid > 0 {
			w.wrong("paid-once", "order %s was paid by %s and again by %s", b.order, q.hash, b.hash)
		}
	}
	w.say("the buyer of %s has %d msat by %s", short(b.order), int64(got), b.hash.String()[:8])
}

// checkReported is asked after the watch has told something without an error.
func (w *world) checkReported(act orders.Act) {
	e := w.house.engine
	hold := func(hash orders.Hash) (orders.Hold, orders.Order) {
		h, _, err := e.Hold(hash)
		w.must("read a hold", err)
		o, _, err := e.Order(h.Order)
		w.must("read an order", err)
		return h, o
	}
	switch a := act.(type) {
	case orders.HoldIsAccepted:
		if h, o := hold(a.Hash); h.Held == 0 && !h.State.Ended() {
			w.wrong("reported-is-booked", "order %s, %s: hold %s is accepted, and the store says %s", o.ID, o.Status, a.Hash, h.State)
		}
	case orders.HoldIsCanceled:
		// One that a person has decided on since has a row in the outbox, which finds out.
		if h, o := hold(a.Hash); !h.State.Ended() && h.State != orders.HoldCanceling && h.State != orders.HoldSettling {
			w.wrong("reported-is-booked", "order %s, %s: hold %s is canceled, and the store says %s", o.ID, o.Status, a.Hash, h.State)
		}
	case orders.EscrowEnding:
		if h, o := hold(a.Hash); o.Hold == a.Hash && (o.Status == orders.Active || o.Status == orders.FiatSent || o.Status == orders.InDispute) && h.State == orders.HoldAccepted {
			w.wrong("deadline-is-kept", "order %s is %s though its hold ends", o.ID, o.Status)
		}
	}
}

// checkDeadlines is asked when the watch has looked at everything without any trouble.
func (w *world) checkDeadlines() {
	for _, id := range w.orders {
		f := w.facts[id]
		if f.last != orders.Active && f.last != orders.FiatSent && f.last != orders.InDispute || f.rogue {
			continue
		}
		o, ok := w.order(id)
		if !ok || o.Status != f.last {
			continue
		}
		h, _, err := w.house.engine.Hold(o.Hold)
		w.must("read a hold", err)
		state, expiry := w.plugin.at(o.Hold)
		if left := int64(expiry) - int64(w.node.height); state == "ACCEPTED" && left <= 30 && h.State == orders.HoldAccepted {
			w.wrong("deadline-is-kept", "order %s is %s with %d blocks left", id, o.Status, left)
		}
	}
}

// checkRefund is asked when a cancel has left the outbox.
func (w *world) checkRefund(hash orders.Hash) {
	s, ok, err := w.house.engine.Hold(hash)
	w.must("read a hold", err)
	if !ok || s.State != orders.HoldCanceled || s.Held == 0 || w.factOf(s.Order).rogue {
		return
	}
	for _, h := range w.node.htlcs {
		if h.hash == hash && h.state == heldState && h.ch.state == normal && h.call != "" && w.plugin.alive() {
			w.wrong("refund-is-proved", "order %s: hold %s is booked as refunded, and %d msat are held", s.Order, hash, int64(h.amount))
		}
	}
}

// checkAsked: a destination is not asked again while an invoice that it gave for the order can be paid.
func (w *world) checkAsked(destination string, amount orders.Msats) {
	var asks []orders.Order
	for _, id := range w.orders {
		if w.facts[id].last != orders.SettledHoldInvoice {
			continue
		}
		if o, ok := w.order(id); ok && o.Status == orders.SettledHoldInvoice && o.Payout.Destination == destination && o.PaidOut().Msats() == amount {
			asks = append(asks, o)
		}
	}
	if len(asks) != 1 {
		return // nobody knows for whom
	}
	for _, b := range w.facts[asks[0].ID].bills {
		if w.gives[b.hash] == destination && !b.fatal && !b.done && b.expires >= w.now+200 {
			w.wrong("asks-once", "order %s: %s is asked again though its invoice %s can be paid", asks[0].ID, destination, b.hash)
		}
	}
}

// checkFees computes both fees once more, with whole numbers of any size.
func (w *world) checkFees(o *orders.Order) {
	r := w.rules()
	share := func(per int64) orders.Sats {
		n := new(big.Int).Mul(big.NewInt(int64(o.Amount)), big.NewInt(int64(r.FeeRate)))
		n.Add(n.Mul(n, big.NewInt(2)), big.NewInt(per))
		return orders.Sats(n.Div(n, big.NewInt(2*per)).Int64())
	}
	seller, buyer := share(1_000_000), orders.Sats(0)
	if r.FeePayer == orders.FeeSplit {
		seller = share(2_000_000)
		buyer = seller
	}
	if o.Fees.Seller != seller || o.Fees.Buyer != buyer {
		w.wrong("fees", "order %s over %s: fees of %s and %s, want %s and %s", o.ID, o.Amount, o.Fees.Seller, o.Fees.Buyer, seller, buyer)
	}
}

// checkPromise holds a letter against the store as it was owed.
func (w *world) checkPromise(l *orders.Letter) {
	if l.Order.IsZero() || l.Action == orders.SayCantDo {
		return
	}
	o, ok := w.order(l.Order)
	if !ok {
		return
	}
	var h orders.Hold
	if !o.Hold.IsZero() {
		var err error
		h, _, err = w.house.engine.Hold(o.Hold)
		w.must("read a hold", err)
	}
	if why := untrue(l, &o, &h); why != "" {
		w.wrong("promise", "order %s is %s, hold %s; a letter says %s: %s", o.ID, o.Status, h.State, l.Action, why)
	}
}

// untrue says what is wrong with a letter, empty if nothing is.
func untrue(l *orders.Letter, o *orders.Order, h *orders.Hold) string {
	in := func(s ...orders.Status) bool { return slices.Contains(s, o.Status) }
	ours := h.State == orders.HoldSettled
	switch v := l.View; {
	case v == nil:
	case v.BuyerTrade != nil && *v.BuyerTrade != o.Party(orders.Buyer).Trade, v.SellerTrade != nil && *v.SellerTrade != o.Party(orders.Seller).Trade:
		return "it names another party"
	case l.To == o.Party(orders.Seller).Trade && v.BuyerInvoice != "":
		return "the seller hears the invoice"
	}
	switch l.Action {
	case orders.SayHoldAccepted, orders.SayBuyerTookOrder:
		if !in(orders.Active) || h.State != orders.HoldAccepted || h.Held < o.Escrow().Msats() {
			return "the sats are locked"
		}
		if want := map[bool]orders.Sats{true: o.Escrow(), false: o.PaidOut()}[l.To == o.Party(orders.Seller).Trade]; l.View.Amount != want {
			return fmt.Sprintf("the amount is %s", l.View.Amount)
		}
	case orders.SayFiatSentOk:
		if l.Peer == nil || l.Peer.Trade == l.To || !in(orders.FiatSent) {
			return "the fiat was sent"
		}
	case orders.SayReleased, orders.SayHoldSettled:
		if !ours || !in(orders.SettledHoldInvoice, orders.Success) {
			return "the sats are released"
		}
	case orders.SayAdminSettled:
		if !ours || !in(orders.SettledHoldInvoice, orders.Success) {
			return "the sats are the buyer's"
		}
	case orders.SayAdminCanceled:
		if !in(orders.CanceledByAdmin) {
			return "it is canceled"
		}
	case orders.SayPurchaseCompleted:
		if !in(orders.Success) {
			return "the sats were paid"
		}
	case orders.SayCanceled:
		if !in(orders.Canceled, orders.CoopCanceled, orders.Expired, orders.Pending, orders.CanceledByAdmin) || ours {
			return "it is canceled"
		}
	case orders.SayCoopAccepted:
		if !in(orders.CoopCanceled) {
			return "both have agreed"
		}
	case orders.SayPayInvoice:
		if l.Bolt11 != "" && (!in(orders.WaitingPayment) || l.Bolt11 != h.Bolt11 || l.View.Amount != o.Escrow() || h.Amount != o.Escrow().Msats()) {
			return "this is to be paid"
		}
	case orders.SayAddInvoice:
		if l.View != nil && l.View.Amount != o.PaidOut() {
			return fmt.Sprintf("an invoice over %s is wanted", l.View.Amount)
		}
	case orders.SayHoldCanceled:
		if ours {
			return "the escrow is gone"
		}
	}
	return ""
}

// hears is a letter that a relay has taken, as its receiver reads it. id is the same for the same letter.
func (w *world) hears(k *tradeKey, l orders.Letter, m nostrio.Message, id string) {
	if old, ok := w.letter[l.Seed]; ok && old != id {
		w.wrong("letter-is-the-same", "%s about %s was another letter before\n%s\n%s", l.Action, l.Order, old, id)
	}
	w.letter[l.Seed] = id
	k.heard[hearing{l.Order, l.Action}]++
	w.checkSecrets(k, l, string(m.Encode()))
	if p, ok := m.Body.Payload.(nostrio.PaymentRequest); ok && l.Action == orders.SayPayInvoice && p.Invoice != "" {
		k.bolt = append(k.bolt, p.Invoice)
	}
}

func (w *world) checkSecrets(k *tradeKey, l orders.Letter, text string) {
	for _, p := range w.people {
		if !p.private && strings.Contains(text, p.key.PubKey().String()) {
			w.wrong("secrets-kept", "%s about %s tells an identity key", l.Action, l.Order)
		}
	}
	if f := w.facts[l.Order]; f != nil && f.seller == k.pub && l.Action != orders.SayOrders && (strings.Contains(text, "lnbcrt1bill") || strings.Contains(text, "@example")) {
		w.wrong("secrets-kept", "%s tells the seller of %s where the buyer is paid: %s", l.Action, l.Order, text)
	}
}

// checkAnnounced is asked at each order event that a relay has taken.
func (w *world) checkAnnounced(a orders.Announcement) {
	old, ok := w.relays.book[a.Order]
	if ok && (a.Stamp < old.Stamp || a.Stamp == old.Stamp && asText(a) != asText(old)) {
		w.wrong("stamp-rises", "order event\n%s\nafter\n%s", asText(a), asText(old))
	}
	w.relays.book[a.Order] = a
}

func asText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
