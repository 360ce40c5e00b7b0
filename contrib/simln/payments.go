package simln

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// sendpay is a row of the node's payments table: one part of one attempt.
type sendpay struct {
	CreatedIndex, UpdatedIndex uint64
	Group, Part                uint64
	Hash                       string
	Status                     string // pending, complete, failed
	Amount, Sent               Msat
	Destination                string
	CreatedAt, CompletedAt     uint64
	Label, Invstring           string
	Preimage                   string
	Outcome                    string // what the payee will do: complete, fail, hold, orphan
	AfterRestart               bool   // the payee acts only once the node has been started again
	FailCode                   int
	FailAt                     uint32 // height; 0: never
	HTLC                       uint64 // created index
}

func (p *sendpay) rowKey() string { return fmt.Sprintf("payment/%d", p.CreatedIndex) }

// payScript says how payments to a hash or a wallet go. Times counts it down; 0 is for ever.
type payScript struct {
	Match   string // payment hash, or "wallet:NAME"
	Mode    string
	Code    int
	DelayMS int64
	Parts   int
	Fee     *Msat
	Times   int
	Limited bool
	Until   uint32 // height at which a held payment fails
}

func (s *payScript) rowKey() string { return "script/" + s.Match }

// payModes are the values of sim-pay-script's mode.
var payModes = []string{
	"ok",                     // after delay_ms
	"fail",                   // with code: 203, 209: after delay_ms, row failed; 205, 220: at once, no row
	"fail-early",             // the error code at once, one part pending, that completes after delay_ms
	"fail-early-fail",        // the same, and the part fails
	"hold",                   // pending until sim-pay-release, or until_block, when it fails
	"complete-after-restart", // pending until the node was started again
	"fail-after-restart",     //
	"reply-lost",             // completes, but the caller's connection is cut
	"terminated",             // -4 at once as if xpay had died; completes after delay_ms
	"orphan",                 // -4, and a row that stays pending for ever
}

func (n *Node) cmdPayScript(c *command) (any, error) {
	s := &payScript{Match: c.str("match"), Mode: c.str("mode"), Code: int(c.intOr("code", 203)),
		DelayMS: c.intOr("delay_ms", -1), Parts: int(c.uintOr("parts", 1)), Times: int(c.uintOr("times", 0)),
		Until: uint32(c.uintOr("until_block", 0))}
	if !slices.Contains(payModes, s.Mode) {
		return nil, failf(codeInvalidParams, "mode: should be one of %s: invalid token '%s'", strings.Join(payModes, ", "), s.Mode)
	}
	if n.st.wallets[s.Match] != nil {
		s.Match = "wallet:" + s.Match
	} else if _, ok := decodeHex32(s.Match); !ok {
		return nil, failf(codeInvalidParams, "match: should be a wallet or a payment hash: invalid token '%s'", s.Match)
	}
	if c.has("fee_msat") {
		fee := c.msat("fee_msat")
		s.Fee = &fee
	}
	s.Limited = s.Times > 0
	n.st.scripts[s.Match] = s
	n.st.put(s)
	return obj("match", s.Match, "mode", s.Mode), nil
}

// script takes the script for a payment, that of the hash before that of the wallet.
func (n *Node) script(hash, wallet string) payScript {
	for _, match := range []string{hash, "wallet:" + wallet} {
		s := n.st.scripts[match]
		if s == nil {
			continue
		}
		used := *s
		if s.Limited {
			if s.Times--; s.Times == 0 {
				delete(n.st.scripts, match)
				n.st.remove(s)
			} else {
				n.st.put(s)
			}
		}
		return used
	}
	return payScript{Mode: "ok", Parts: 1, DelayMS: -1}
}

// attempt is one xpay under way.
type attempt struct {
	c         *command
	script    payScript
	rows      []*sendpay
	hash      string
	invstring string
	payee     string // node id
	wallet    *wallet
	amount    Msat
	fee       Msat
}

func (n *Node) cmdXpay(c *command) (any, error) {
	a, err := n.newAttempt(c)
	if err != nil {
		return nil, err
	}
	if a.payee == n.id {
		return n.paySelf(a)
	}
	if a.wallet == nil {
		return nil, failf(205, "Failed: We could not find a usable set of paths.  The destination %s is unknown.", a.payee)
	}
	a.script = n.script(a.hash, a.wallet.Name)
	if a.script.Fee != nil {
		a.fee = *a.script.Fee
	}
	if err := n.noRoute(a); err != nil {
		return nil, err
	}
	if err := n.checkProgress(a); err != nil {
		return nil, err
	}
	n.sendParts(a)
	n.runScript(a)
	return nil, errLater
}

// newAttempt judges the invoice and the amounts as xpay does.
func (n *Node) newAttempt(c *command) (*attempt, error) {
	s := strings.TrimPrefix(c.str("invstring"), "lightning:")
	lower := strings.ToLower(s)
	if o := n.st.offers[lower]; o != nil {
		return n.offerAttempt(c, o)
	}
	b, err := DecodeInvoice(lower)
	if err != nil {
		return nil, failf(codeInvalidParams, "Invalid bolt11: %v", err)
	}
	if b.Prefix != bolt11Prefix(n.cfg.Network) {
		return nil, failf(codeInvalidParams, "Invalid bolt11: Prefix bc is not for %s", n.cfg.Network)
	}
	a := &attempt{c: c, hash: hex.EncodeToString(b.PaymentHash[:]), invstring: lower, payee: hex.EncodeToString(b.Payee), amount: b.Amount}
	switch {
	case b.Amount > 0 && c.has("amount_msat"):
		return nil, failf(codeInvalidParams, "amount_msat unnecessary")
	case b.Amount == 0 && !c.has("amount_msat"):
		return nil, failf(codeInvalidParams, "amount_msat required")
	case b.Amount == 0:
		a.amount = c.msat("amount_msat")
	}
	if a.amount == 0 {
		return nil, failf(codeInvalidParams, "Cannot pay bolt11 invoice with zero amount")
	}
	if now := n.unixNow(); now > b.CreatedAt+b.Expiry {
		return nil, failf(207, "Invoice expired %d seconds ago", now-b.CreatedAt-b.Expiry)
	}
	if w, _ := n.payee(a.hash); w != nil && pubHex(n.walletKey(w.Name)) == a.payee {
		a.wallet = w
	}
	a.fee = n.cfg.FeeBase + a.amount*Msat(n.cfg.FeePPM)/1_000_000
	return a, nil
}

// noRoute gives the errors that come before any part is started, so that no row is written.
func (n *Node) noRoute(a *attempt) error {
	maxFee := max(5000, a.amount/100)
	if a.c.has("maxfee") {
		maxFee = a.c.msat("maxfee")
	}
	switch {
	case a.script.Mode == "fail" && a.script.Code == 205, a.wallet.Offline:
		return failf(205, "Failed: We could not find a usable set of paths.  The destination %s is disconnected.", a.payee)
	case a.script.Mode == "fail" && a.script.Code == 220, a.amount+a.fee > n.st.meta.NodeBalance:
		return failf(220, "Failed: We could not find a usable set of paths.  The shortest path has not enough capacity.")
	case a.fee > maxFee:
		return failf(205, "Failed: Could not find route without excessive cost: %dmsat fee is more than maxfee %dmsat", a.fee, maxFee)
	}
	return nil
}

// checkProgress is lightningd's rule for a new group of parts while there are rows with the same hash.
func (n *Node) checkProgress(a *attempt) error {
	unexpected := func(code int, format string, args ...any) error {
		inner := marshal(obj("code", code, "message", fmt.Sprintf(format, args...)))
		return failf(codePluginError, "Unexpected injectpaymentonion error %d: %s", code, inner)
	}
	complete := false
	share := a.amount/Msat(a.parts()) + a.amount%Msat(a.parts())
	for _, p := range n.st.payments {
		if p.Hash != a.hash {
			continue
		}
		switch p.Status {
		case "pending":
			return unexpected(200, "Payment with groupid=%d still in progress, cannot retry before that completes.", p.Group)
		case "complete":
			complete = true
			if p.Part != 1 {
				continue
			}
			if p.Amount != share {
				return unexpected(201, "Already succeeded with amount %dmsat (not %dmsat)", p.Amount, share)
			}
			return failf(219, "Already paid")
		}
	}
	if complete {
		return unexpected(201, "Already succeeded")
	}
	return nil
}

func (a *attempt) parts() int { return max(a.script.Parts, 1) }

// sendParts writes the rows and takes the money out of the node's balance.
func (n *Node) sendParts(a *attempt) {
	group := randomGroup()
	count := Msat(a.parts())
	for i := range count {
		amount, fee := a.amount/count, a.fee/count
		if i == 0 {
			amount, fee = amount+a.amount%count, fee+a.fee%count
		}
		row := &sendpay{
			CreatedIndex: n.indexes("sendpays").created(), Group: group, Part: uint64(i) + 1, Hash: a.hash, Status: "pending",
			Amount: amount, Sent: amount + fee, Destination: a.payee, CreatedAt: n.unixNow(), Label: a.c.str("label"),
			Invstring: a.invstring, Outcome: "complete", FailCode: 203,
		}
		n.st.payments = append(n.st.payments, row)
		a.rows = append(a.rows, row)
		n.st.put(row)
		n.indexMoved("sendpays", "created", sendpayWait(row))
		if a.script.Mode == "orphan" {
			row.Outcome = "orphan" // the node died before it added the HTLC: no money moved
			continue
		}
		n.spend(row.Sent)
		n.st.meta.NodeBalance -= row.Sent
		n.st.meta.PendingOut += row.Sent
		n.st.put(n.st.meta)
		hub := n.st.channels[0]
		h := &htlc{Direction: "out", Channel: hub.Scid, ID: hub.NextHTLC, Amount: row.Sent, Expiry: n.st.meta.ChainHeight + 40,
			Hash: a.hash, State: stateSent}
		hub.NextHTLC++
		n.st.put(hub)
		n.addHTLC(h)
		row.HTLC = h.CreatedIndex
		n.pluginTopic("pay_part_start", obj("payment_hash", row.Hash, "groupid", row.Group, "partid", row.Part,
			"total_payment_msat", a.amount, "attempt_msat", row.Amount, "hops", []any{}))
	}
}

func randomGroup() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) | 1<<62 // always above 2^53
}

// pluginTopic is a topic of xpay, which in the node is a plugin as well.
func (n *Node) pluginTopic(topic string, params *object) {
	line := marshal(obj("jsonrpc", "2.0", "method", topic, "origin", "cln-xpay", "params", params))
	for _, p := range n.plugins {
		if p.state == pluginReady && p.subscribed(topic) {
			n.send(p, line)
		}
	}
}

// runScript sets off what the payee does and what the caller hears.
func (n *Node) runScript(a *attempt) {
	s := a.script
	outcome := func(what string, rows []*sendpay) {
		for _, r := range rows {
			r.Outcome, r.FailCode = what, s.Code
		}
	}
	switch s.Mode {
	case "fail":
		outcome("fail", a.rows)
	case "fail-early", "fail-early-fail":
		if s.Mode == "fail-early-fail" {
			outcome("fail", a.rows)
		}
		a.c.fail(s.Code, "Failed after 1 attempts, one part is still pending", nil)
	case "hold":
		outcome("hold", a.rows)
		for _, r := range a.rows {
			r.FailAt = s.Until
		}
	case "complete-after-restart", "fail-after-restart":
		if s.Mode == "fail-after-restart" {
			outcome("fail", a.rows)
		}
		for _, r := range a.rows {
			r.AfterRestart = true
		}
	case "terminated", "orphan":
		a.c.fail(codePluginDied, "Plugin terminated before replying to RPC call.", nil)
	}
	n.attempts = append(n.attempts, a)
	for _, r := range a.rows {
		n.schedule(r, a.delay(n))
	}
}

func (a *attempt) delay(n *Node) time.Duration {
	if a.script.DelayMS >= 0 {
		return time.Duration(a.script.DelayMS) * time.Millisecond
	}
	return n.cfg.PayDelay
}

func (n *Node) schedule(r *sendpay, delay time.Duration) {
	if r.Outcome == "hold" || r.Outcome == "orphan" || r.AfterRestart {
		return
	}
	n.clock.after(delay, func() { n.do(func() { n.finishPart(r, r.Outcome == "complete") }) })
}

// resumePayments lets the payees of pending parts act after a restart; the xpay calls themselves are gone.
func (n *Node) resumePayments() {
	for _, r := range n.st.payments {
		if r.Status == "pending" {
			r.AfterRestart = false
			n.st.put(r)
			n.schedule(r, n.cfg.PayDelay)
		}
	}
}

// expirePayments fails the held parts whose block has come.
func (n *Node) expirePayments() {
	for _, r := range slices.Clone(n.st.payments) {
		if r.Status == "pending" && r.FailAt > 0 && n.height >= r.FailAt {
			n.finishPart(r, false)
		}
	}
}

// finishPart ends a pending row and moves its money.
func (n *Node) finishPart(r *sendpay, ok bool) {
	if r.Status != "pending" || n.stopping || !n.online {
		return
	}
	m := n.st.meta
	m.PendingOut -= r.Sent
	r.UpdatedIndex = n.indexes("sendpays").updated()
	r.CompletedAt = n.unixNow()
	if w, i := n.payee(r.Hash); ok && w != nil {
		r.Status, r.Preimage = "complete", i.Preimage
		w.Available += r.Amount
		i.Paid += r.Amount
		n.st.put(i)
		m.RoutingSink += r.Sent - r.Amount
		n.st.put(w)
		n.addMove(&move{Account: n.st.channels[0].ID, Debit: r.Sent, Tag: "invoice", Hash: r.Hash, Part: r.Part, Group: r.Group, Fees: r.Sent - r.Amount})
		n.broadcast("sendpay_success", sendpayObject(r))
	} else {
		r.Status = "failed"
		m.NodeBalance += r.Sent
		n.broadcast("sendpay_failure", obj("code", 204, "message", "failed: WIRE_INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS (reply from remote)",
			"data", sendpayObject(r).add("erring_index", 1).add("failcode", 16399).add("failcodename", "WIRE_INCORRECT_OR_UNKNOWN_PAYMENT_DETAILS")))
	}
	n.st.put(m)
	n.st.put(r)
	n.indexMoved("sendpays", "updated", sendpayWait(r))
	n.pluginTopic("pay_part_end", obj("payment_hash", r.Hash, "groupid", r.Group, "partid", r.Part, "duration", 0.02).
		add("status", map[bool]string{true: "success", false: "failure"}[r.Status == "complete"]))
	n.removeOutgoing(r)
	n.answerAttempts()
}

func (n *Node) removeOutgoing(r *sendpay) {
	for _, h := range n.liveHTLCs() {
		if h.CreatedIndex != r.HTLC {
			continue
		}
		h.Removed, h.Preimage = true, r.Preimage
		n.setState(h, stateSentRemoved)
	}
}

func (n *Node) payee(hash string) (*wallet, *walletInvoice) {
	i := n.st.walletInvoices[hash]
	if i == nil {
		return nil, nil
	}
	return n.st.wallets[i.Wallet], i
}

// answerAttempts ends the xpay calls of which no part is pending any more.
func (n *Node) answerAttempts() {
	n.attempts = slices.DeleteFunc(n.attempts, func(a *attempt) bool {
		if slices.ContainsFunc(a.rows, func(r *sendpay) bool { return r.Status == "pending" }) {
			return false
		}
		n.answerAttempt(a)
		return true
	})
}

func (n *Node) answerAttempt(a *attempt) {
	if a.script.Mode == "reply-lost" {
		a.c.cut()
		return
	}
	var done, failed int
	var sent Msat
	var preimage string
	for _, r := range a.rows {
		if r.Status == "complete" {
			done, sent, preimage = done+1, sent+r.Sent, r.Preimage
		} else {
			failed++
		}
	}
	if preimage == "" {
		code := a.rows[0].FailCode
		message := "Destination said it doesn't know invoice: incorrect_or_unknown_payment_details"
		if code != 203 {
			message = "Failed after 1 attempts."
		}
		a.c.fail(code, message, nil)
		return
	}
	a.c.reply(obj("payment_preimage", preimage, "amount_msat", a.amount, "amount_sent_msat", sent,
		"failed_parts", failed, "successful_parts", done))
}

// paySelf pays an invoice of our own: no HTLC, no hook; the row, if there is one, is paid at once.
func (n *Node) paySelf(a *attempt) (any, error) {
	a.fee = 0
	if err := n.checkProgress(a); err != nil {
		return nil, err
	}
	i := n.invoiceByHash(a.hash)
	if i == nil || n.status(i) != "unpaid" {
		return nil, failf(203, "Destination said it doesn't know invoice: incorrect_or_unknown_payment_details")
	}
	n.resolveInvoice(i, a.amount)
	row := &sendpay{
		CreatedIndex: n.indexes("sendpays").created(), Group: randomGroup(), Part: 1, Hash: a.hash, Status: "complete",
		Amount: a.amount, Sent: a.amount, Destination: n.id, CreatedAt: n.unixNow(), CompletedAt: n.unixNow(),
		Label: a.c.str("label"), Invstring: a.invstring, Preimage: i.Preimage,
	}
	n.st.payments = append(n.st.payments, row)
	n.st.put(row)
	n.indexMoved("sendpays", "created", sendpayWait(row))
	n.broadcast("sendpay_success", sendpayObject(row))
	return obj("payment_preimage", i.Preimage, "amount_msat", a.amount, "amount_sent_msat", a.amount, "failed_parts", 0, "successful_parts", 1), nil
}

// cmdPayRelease ends payments that are held: outcome complete or fail.
func (n *Node) cmdPayRelease(c *command) (any, error) {
	outcome := c.strOr("outcome", "complete")
	if outcome != "complete" && outcome != "fail" {
		return nil, failf(codeInvalidParams, "outcome: should be complete or fail: invalid token '%s'", outcome)
	}
	released := 0
	for _, r := range slices.Clone(n.st.payments) {
		if r.Hash == strings.ToLower(c.str("payment_hash")) && r.Status == "pending" && r.Outcome != "orphan" {
			released++
			r.Outcome, r.AfterRestart = outcome, false
			n.st.put(r)
			n.finishPart(r, outcome == "complete")
		}
	}
	return obj("released", released), nil
}
