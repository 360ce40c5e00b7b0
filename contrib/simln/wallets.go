package simln

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// wallet is a trader's Lightning node on the other side of a channel with ours.
type wallet struct {
	Name      string
	Available Msat
	Locked    Msat // in HTLCs that our node has not removed
	Offline   bool // its peer is not connected to our node
}

// walletInvoice is a request for payment to a wallet.
type walletInvoice struct {
	Wallet, Label, Bolt11, Hash, Preimage string
	Amount                                Msat
	Expiry                                uint64 // unix seconds
	Paid                                  Msat
}

// walletPay is a wallet's attempt to pay one of our node's invoices.
type walletPay struct {
	ID         uint64
	Wallet     string
	Hash       string
	Amount     Msat
	Status     string // pending, complete, failed
	Preimage   string
	Code       int
	Message    string
	FailMsg    string // the failure message as it came, hex
	Parts      []*walletPart
	RetryUntil uint64 // unix seconds
	CreatedAt  uint64
}

type walletPart struct {
	Onion   onion
	Amount  Msat
	Shadow  uint32 // blocks added to the HTLC's expiry only
	CLTV    uint32 // blocks from the height at which it is sent
	DelayMS int64
	Scid    string // empty: not sent yet
	HTLC    uint64
	Done    bool
	Missing bool // never sent
}

func (w *wallet) rowKey() string        { return "wallet/" + w.Name }
func (i *walletInvoice) rowKey() string { return "walletinvoice/" + i.Hash }
func (p *walletPay) rowKey() string     { return fmt.Sprintf("walletpay/%d", p.ID) }

func (n *Node) walletKey(name string) *secp256k1.PrivateKey {
	return deriveKey(n.secret, "wallet "+name)
}

func (n *Node) wallet(c *command) (*wallet, error) {
	if w := n.st.wallets[c.str("wallet")]; w != nil {
		return w, nil
	}
	return nil, failf(codeOther, "unknown wallet '%s'", c.str("wallet"))
}

func (n *Node) cmdWalletNew(c *command) (any, error) {
	name := c.str("name")
	if n.st.wallets[name] != nil || name == "hub" {
		return nil, failf(codeOther, "wallet '%s' is there already", name)
	}
	w := &wallet{Name: name, Available: c.msat("msat")}
	n.st.wallets[name] = w
	n.st.meta.Minted += w.Available
	n.st.put(n.st.meta)
	n.st.put(w)
	n.openChannel(name)
	return n.walletObject(w), nil
}

func (n *Node) walletObject(w *wallet) *object {
	return obj("wallet", w.Name, "node_id", pubHex(n.walletKey(w.Name)), "available_msat", w.Available,
		"locked_msat", w.Locked, "connected", !w.Offline)
}

func (n *Node) cmdWalletBalance(c *command) (any, error) {
	w, err := n.wallet(c)
	if err != nil {
		return nil, err
	}
	return n.walletObject(w), nil
}

func (n *Node) cmdWallets(*command) (any, error) {
	out := []*object{}
	for _, name := range sortedKeys(n.st.wallets) {
		out = append(out, n.walletObject(n.st.wallets[name]))
	}
	return obj("wallets", out), nil
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// cmdWalletConnect takes a wallet's peer off line or brings it back; then decisions that waited reach it.
func (n *Node) cmdWalletConnect(c *command) (any, error) {
	w, err := n.wallet(c)
	if err != nil {
		return nil, err
	}
	was := w.Offline
	w.Offline = !c.bool("connected")
	n.st.put(w)
	peer := pubHex(deriveKey(n.secret, "peer of "+w.Name))
	switch {
	case was && !w.Offline:
		n.broadcast("connect", obj("id", peer, "direction", "in", "address", obj("type", "ipv4", "address", "127.0.0.1", "port", 9735)))
	case !was && w.Offline:
		n.broadcast("disconnect", obj("id", peer))
	}
	for _, h := range n.liveHTLCs() {
		n.finishRemove(h)
	}
	return n.walletObject(w), nil
}

func (n *Node) cmdWalletInvoice(c *command) (any, error) {
	w, err := n.wallet(c)
	if err != nil {
		return nil, err
	}
	i, err := n.newWalletInvoice(w, c.msat("amount_msat"), c.str("label"), c.strOr("description", c.str("label")), c.uintOr("expiry", 3600))
	if err != nil {
		return nil, err
	}
	return obj("bolt11", i.Bolt11, "payment_hash", i.Hash, "expires_at", i.Expiry), nil
}

func (n *Node) newWalletInvoice(w *wallet, amount Msat, label, description string, expiry uint64) (*walletInvoice, error) {
	var preimage, secret [32]byte
	rand.Read(preimage[:])
	secret = paymentSecret(preimage)
	b := &Invoice{
		Prefix: bolt11Prefix(n.cfg.Network), Amount: amount, CreatedAt: n.unixNow(), PaymentHash: sha256.Sum256(preimage[:]),
		PaymentSecret: &secret, Description: &description, Expiry: expiry, MinFinalCLTV: 18, Features: invoiceFeatures,
	}
	s, err := b.Encode(n.walletKey(w.Name))
	if err != nil {
		return nil, err
	}
	i := &walletInvoice{
		Wallet: w.Name, Label: label, Bolt11: s, Hash: hex.EncodeToString(b.PaymentHash[:]), Preimage: hex.EncodeToString(preimage[:]),
		Amount: amount, Expiry: b.CreatedAt + expiry,
	}
	n.st.walletInvoices[i.Hash] = i
	n.st.put(i)
	return i, nil
}

// cmdWalletPay sends HTLCs for an invoice of our node and returns at once.
func (n *Node) cmdWalletPay(c *command) (any, error) {
	w, err := n.wallet(c)
	if err != nil {
		return nil, err
	}
	b, err := DecodeInvoice(c.str("bolt11"))
	if err != nil {
		return nil, failf(codeInvalidParams, "bolt11: %v", err)
	}
	if hex.EncodeToString(b.Payee) != n.id || b.PaymentSecret == nil {
		return nil, failf(205, "the invoice is not by the node that this wallet has a channel with")
	}
	parts, perr := n.planParts(c, b)
	if perr != nil {
		return nil, perr
	}
	var sum Msat
	for _, p := range parts {
		if !p.Missing {
			sum += p.Amount
		}
	}
	if sum > w.Available {
		return nil, failf(220, "wallet has %dmsat available, the payment needs %dmsat", w.Available, sum)
	}
	n.st.meta.PaymentID++
	n.st.put(n.st.meta)
	pay := &walletPay{
		ID: n.st.meta.PaymentID, Wallet: w.Name, Hash: hex.EncodeToString(b.PaymentHash[:]), Amount: sum,
		Status: "pending", Parts: parts, CreatedAt: n.unixNow(), RetryUntil: n.unixNow() + c.uintOr("retry_for", 0),
	}
	n.st.walletPays[pay.ID] = pay
	n.st.put(pay)
	n.launch(pay)
	return obj("payment_id", pay.ID, "payment_hash", pay.Hash, "parts", len(parts)), nil
}

// planParts makes the parts of a payment with the faults that were asked for.
func (n *Node) planParts(c *command, b *Invoice) ([]*walletPart, error) {
	count := Msat(c.uintOr("parts", 1))
	pay := b.Amount
	if c.has("pay_msat") {
		pay = c.msat("pay_msat")
	}
	if count == 0 || count > 100 || pay < count {
		return nil, failf(codeInvalidParams, "cannot pay %dmsat in %d parts", pay, count)
	}
	secret := *b.PaymentSecret
	if c.bool("wrong_secret") {
		secret[0] ^= 0xff
	}
	total := pay
	if c.has("total_msat") {
		total = c.msat("total_msat")
	}
	var parts []*walletPart
	for i := range count {
		amount := pay / count
		if i == 0 {
			amount += pay % count
		}
		if c.msat("underlock_msat") >= amount {
			return nil, failf(codeInvalidParams, "underlock_msat leaves nothing of a part of %dmsat", amount)
		}
		p := &walletPart{
			Onion: onion{
				Forward: amount, Total: total, Secret: hex.EncodeToString(secret[:]), Metadata: c.str("metadata"),
				NextScid: c.str("next_scid"), Garbled: c.bool("garbled"),
			},
			Amount:  amount - c.msat("underlock_msat"),
			CLTV:    uint32(c.uintOr("cltv", uint64(b.MinFinalCLTV))) + 1,
			Shadow:  uint32(c.uintOr("shadow", 6) * uint64(i+1)),
			DelayMS: c.intOr("delay_ms", 0) * int64(i),
			Missing: uint64(i+1) == c.uintOr("missing_part", 0),
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// launch sends what is due of a payment, now or after its delay.
func (n *Node) launch(pay *walletPay) {
	w := n.st.wallets[pay.Wallet]
	for i, part := range pay.Parts {
		if part.Missing || part.Scid != "" {
			continue
		}
		if part.DelayMS == 0 {
			n.sendPart(w, pay, i)
			continue
		}
		n.clock.after(time.Duration(part.DelayMS)*time.Millisecond, func() {
			n.do(func() { n.sendPart(w, pay, i) })
		})
	}
}

// sendPart adds one HTLC to a channel of the wallet and asks the hooks. While the node is off line it waits for resumeWallets.
func (n *Node) sendPart(w *wallet, pay *walletPay, i int) {
	part := pay.Parts[i]
	if pay.Status != "pending" || part.Scid != "" || n.stopping || !n.online || w.Offline || w.Available < part.Amount {
		return
	}
	ch := n.walletChannel(w, i)
	w.Available -= part.Amount
	w.Locked += part.Amount
	n.st.put(w)
	part.Onion.CLTV = n.st.meta.ChainHeight + part.CLTV
	part.Scid, part.HTLC = ch.Scid, ch.NextHTLC
	h := &htlc{
		Direction: "in", Channel: ch.Scid, ID: ch.NextHTLC, Amount: part.Amount, Expiry: part.Onion.CLTV + part.Shadow,
		Hash: pay.Hash, State: stateHeld, Onion: part.Onion, Wallet: w.Name, PayID: pay.ID, Part: i,
	}
	ch.NextHTLC++
	n.st.put(ch)
	n.st.put(pay)
	n.addHTLC(h)
	n.askHook(h)
}

// walletChannel picks the channel of part i: parts go over two channels by turns.
func (n *Node) walletChannel(w *wallet, i int) *channel {
	var open []*channel
	for _, ch := range n.st.channels {
		if ch.Owner == w.Name && ch.State == channelNormal {
			open = append(open, ch)
		}
	}
	for len(open) <= i%2 {
		open = append(open, n.openChannel(w.Name))
	}
	return open[i%2]
}

func (n *Node) settleMoney(h *htlc) {
	w := n.st.wallets[h.Wallet]
	w.Locked -= h.Amount
	n.st.meta.NodeBalance += h.Amount
	h.Removed = true
	n.st.put(w)
	n.st.put(h)
	n.st.put(n.st.meta)
}

func (n *Node) refundMoney(h *htlc) {
	w := n.st.wallets[h.Wallet]
	w.Locked -= h.Amount
	w.Available += h.Amount
	h.Removed = true
	n.st.put(w)
	n.st.put(h)
}

// walletHeard ends a part at the payer, and his payment with its last part.
func (n *Node) walletHeard(h *htlc) {
	pay := n.st.walletPays[h.PayID]
	if pay == nil || pay.Status != "pending" {
		return
	}
	pay.Parts[h.Part].Done = true
	if h.Preimage != "" {
		pay.Preimage = h.Preimage
	} else if !h.Lost {
		pay.FailMsg = h.FailMsg
		pay.Code, pay.Message = payerError(h)
	} else {
		pay.Code, pay.Message = 204, "permanent_channel_failure"
	}
	n.st.put(pay)
	if slices.ContainsFunc(pay.Parts, func(p *walletPart) bool { return p.Scid != "" && !p.Done }) {
		return
	}
	switch {
	case pay.Preimage != "":
		pay.Status, pay.Code, pay.Message, pay.FailMsg = "complete", 0, "", ""
	case pay.FailMsg == "0017" && n.unixNow() < pay.RetryUntil:
		for _, p := range pay.Parts {
			p.Scid, p.HTLC, p.Done = "", 0, false
		}
		n.launch(pay)
	default:
		pay.Status = "failed"
	}
	n.st.put(pay)
}

// payerError is what a Core Lightning payer makes of a failure message: xpay's code and text.
func payerError(h *htlc) (int, string) {
	switch {
	case h.FailedBy == "onion" || len(h.FailMsg) < 4:
		return 202, "Invalid onionreply"
	case strings.HasPrefix(strings.ToLower(h.FailMsg), "400f"):
		return 203, "Destination said it doesn't know invoice: incorrect_or_unknown_payment_details"
	case h.FailMsg == "0017":
		return 204, "mpp_timeout"
	case h.FailMsg[:4] == "2002":
		return 209, "temporary_node_failure"
	}
	return 203, "failed with code 0x" + h.FailMsg[:4]
}

// resumeWallets sends the parts that waited for the node to be on line.
func (n *Node) resumeWallets() {
	var ids []uint64
	for id := range n.st.walletPays {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if pay := n.st.walletPays[id]; pay.Status == "pending" {
			for _, part := range pay.Parts {
				part.DelayMS = 0
			}
			n.launch(pay)
		}
	}
}

func (n *Node) walletPayObject(p *walletPay) *object {
	o := obj("payment_id", p.ID, "wallet", p.Wallet, "payment_hash", p.Hash, "amount_msat", p.Amount, "status", p.Status)
	o.addIf(p.Status == "complete", "preimage", p.Preimage)
	if p.Status == "failed" {
		o.add("code", p.Code).add("message", p.Message).add("failure_message", p.FailMsg)
	}
	var parts []*object
	for _, part := range p.Parts {
		parts = append(parts, obj("amount_msat", part.Amount, "sent", part.Scid != "", "done", part.Done))
	}
	return o.add("parts", parts)
}

// cmdWalletStatus shows a wallet's payments of one hash, the latest as the result's own fields.
func (n *Node) cmdWalletStatus(c *command) (any, error) {
	o := n.walletStatus(c, false)
	if o == nil {
		return nil, failf(208, "wallet '%s' never paid that", c.str("wallet"))
	}
	return o, nil
}

// cmdWalletWait answers when the latest payment of a hash is complete or failed.
func (n *Node) cmdWalletWait(c *command) (any, error) {
	return n.waitFor(c, func() *object { return n.walletStatus(c, true) }, "timeout", 200, "still pending")
}

func (n *Node) walletStatus(c *command, final bool) *object {
	var all []*walletPay
	for _, p := range n.st.walletPays {
		if p.Wallet == c.str("wallet") && p.Hash == strings.ToLower(c.str("payment_hash")) && (!c.has("payment_id") || p.ID == c.uintOr("payment_id", 0)) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return nil
	}
	sort.Slice(all, func(i, k int) bool { return all[i].ID < all[k].ID })
	last := all[len(all)-1]
	if final && last.Status == "pending" {
		return nil
	}
	o := n.walletPayObject(last)
	var earlier []*object
	for _, p := range all[:len(all)-1] {
		earlier = append(earlier, n.walletPayObject(p))
	}
	return o.addIf(earlier != nil, "earlier", earlier)
}

// cmdWalletInvoices shows what a wallet asked for and what it got.
func (n *Node) cmdWalletInvoices(c *command) (any, error) {
	w, err := n.wallet(c)
	if err != nil {
		return nil, err
	}
	out := []*object{}
	for _, hash := range sortedKeys(n.st.walletInvoices) {
		i := n.st.walletInvoices[hash]
		if i.Wallet != w.Name {
			continue
		}
		out = append(out, obj("label", i.Label, "payment_hash", i.Hash, "bolt11", i.Bolt11, "amount_msat", i.Amount,
			"paid_msat", i.Paid, "expires_at", i.Expiry))
	}
	return obj("invoices", out), nil
}

// cmdAudit adds up every msat there is; total never differs from minted.
func (n *Node) cmdAudit(*command) (any, error) {
	m := n.st.meta
	wallets, locked := obj(), Msat(0)
	total := m.NodeBalance + m.PendingOut + m.RoutingSink + m.Elsewhere
	for _, name := range sortedKeys(n.st.wallets) {
		w := n.st.wallets[name]
		wallets.add(name, obj("available_msat", w.Available, "locked_msat", w.Locked))
		locked += w.Locked
		total += w.Available + w.Locked
	}
	return obj("total_msat", total, "minted_msat", m.Minted, "node_msat", m.NodeBalance, "node_pending_out_msat", m.PendingOut,
		"routing_msat", m.RoutingSink, "elsewhere_msat", m.Elsewhere, "locked_msat", locked, "wallets", wallets), nil
}
