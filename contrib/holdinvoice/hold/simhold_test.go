package hold

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// simHold is one hold invoice as its caller and its payer see it, and what was said of it.
type simHold struct {
	s      *sim
	pre    Preimage
	label  string
	amount Msat
	cltv   Height
	expiry int64 // seconds
	htlcs  []*simHTLC

	bolt11    string
	want      string // settle, cancel or nothing
	asked     bool   // for that, with success or without
	decided   string // settle or cancel, when the plugin took it
	tooLate   bool   // the plugin refused: no time, or another state
	accepted  bool   // the plugin said so
	said      State  // the last that it said
	preimage  bool   // it left a plugin
	proved    bool   // the plugin said that a settle is proved
	abandoned bool   // both plugins were dead at once
	created   bool
}

// over says that the plugin may answer as it likes.
func (d *simHold) over() bool {
	return d.decided != "" || d.said.Final() || d.said == Canceling || d.said == Settling
}

// make asks for the invoice until it is there.
func (d *simHold) make() bool {
	raw, err := d.s.call("holdinvoice", map[string]any{
		"amount_msat": d.amount, "label": d.label, "description": "d", "expiry": d.expiry,
		"preimage": d.pre.Hex(), "cltv": d.cltv,
	})
	if err != nil {
		return false
	}
	var made struct {
		Hash   Hash `json:"payment_hash"`
		Bolt11 string
	}
	if err := json.Unmarshal(raw, &made); err != nil || made.Hash != d.pre.Hash() || made.Bolt11 == "" {
		d.s.breach("%s: made as %s", d.label, raw)
	}
	d.bolt11, d.created = made.Bolt11, true
	for _, r := range d.s.rows {
		if r.hash == d.pre.Hash() {
			d.s.breach("%s: handed out while the node has it too", d.label)
		}
	}
	return true
}

// forgeries are what a payer who means ill changes on an HTLC.
var forgeries = map[string]func(h *simHTLC, total Msat){
	"secret":   func(h *simHTLC, _ Msat) { h.onion["payment_secret"] = strings.Repeat("ab", 32) },
	"total":    func(h *simHTLC, total Msat) { h.onion["total_msat"] = total / 2 },
	"inflated": func(h *simHTLC, total Msat) { h.onion["total_msat"] = 3 * total },
	"amount":   func(h *simHTLC, _ Msat) { h.onion["forward_msat"] = h.amount + 1 },
	"expiry":   func(h *simHTLC, _ Msat) { h.onion["outgoing_cltv_value"] = h.expiry + 1 },
	"hop":      func(h *simHTLC, _ Msat) { h.onion["short_channel_id"] = "9x9x9" },
	"metadata": func(h *simHTLC, _ Msat) { h.onion["payment_metadata"] = "01" },
	"short":    func(h *simHTLC, _ Msat) { h.expiry = h.hold.s.height + h.hold.cltv - heightSlack - 1 },
}

var forgeryNames = []string{"secret", "total", "inflated", "amount", "expiry", "hop", "metadata", "short"}

// pay adds one HTLC on a channel; blocks are what it lasts.
func (d *simHold) pay(ch *simChan, amount, total Msat, blocks Height, forged string) *simHTLC {
	s := d.s
	if ch.state != "CHANNELD_NORMAL" || !ch.up {
		return nil
	}
	h := &simHTLC{
		hold: d, ch: ch, id: ch.next, amount: amount, expiry: s.height + blocks, forged: forged, state: stateHeld,
	}
	ch.next++
	h.onion = map[string]any{
		"type": "tlv", "forward_msat": amount, "total_msat": total, "payment_secret": secretOf(d.pre),
		"outgoing_cltv_value": s.height + d.cltv - heightSlack - 1, "payload": "2f02",
	}
	if forged != "" {
		forgeries[forged](h, total)
		s.counts["forged parts"]++
	}
	h.left = int64(h.expiry) - int64(s.height)
	ch.htlcs = append(ch.htlcs, h)
	d.htlcs = append(d.htlcs, h)
	s.counts["parts"]++
	s.tell("%s: part %s/%d of %d msat, expires %d %s", d.label, ch.name, h.id, amount, h.expiry, forged)
	if d.s.holder != nil || d.s.guard != nil {
		s.do(func() { s.ask(h) })
	}
	return h
}

// decide asks for the end, and says whether to ask no more.
func (d *simHold) decide() (done bool) {
	if d.decided != "" || d.tooLate || d.want == "" {
		return true
	}
	d.asked = true
	left, fresh := d.blocksLeft()
	params := map[string]any{"payment_hash": d.pre.Hash()}
	raw, err := d.s.call("holdinvoice"+d.want, params)
	d.s.tell("%s: %s: %v", d.label, d.want, err)
	switch code(err) {
	case codeWrongState, codeTooLate:
		d.tooLate = true
		return true
	case codeNotFound:
		d.s.breach("%s: the plugin does not know it", d.label)
		return true
	}
	if err != nil {
		return false
	}
	d.decided = d.want
	if fresh && d.want == "settle" && left < int64(Floors.SettleMin) {
		d.s.breach("%s: a settle began %d blocks before the expiry", d.label, left)
	}
	d.hear(raw)
	return true
}

// blocksLeft is what the stored payment has left, and whether nothing was decided about it.
func (d *simHold) blocksLeft() (left int64, fresh bool) {
	p := d.s.holder
	if p == nil {
		p = d.s.guard
	}
	if p == nil {
		return 0, false
	}
	inv := d.s.onDisk(p, d)
	if inv == nil || inv.State != Accepted {
		return 0, false
	}
	return int64(inv.MinExpiry()) - int64(d.s.height), true
}

// look asks where it stands.
func (d *simHold) look() (v view) {
	if !d.created {
		return v
	}
	raw, err := d.s.call("holdinvoicelookup", []Hash{d.pre.Hash()})
	if code(err) == codeNotFound {
		d.s.breach("%s: the plugin does not know it", d.label)
	}
	if err == nil {
		v = d.hear(raw)
	}
	return v
}

// hear checks what a command said against the truth.
func (d *simHold) hear(raw json.RawMessage) (v view) {
	s := d.s
	if err := json.Unmarshal(raw, &v); err != nil {
		s.breach("%s: %v in %s", d.label, err, raw)
		return v
	}
	d.says(v.State)
	switch {
	case v.State == Settled && v.Proof >= proofTaken:
		d.proved = true
		if got := d.taken(); got < d.amount {
			s.breach("%s: settle proved, but the node has taken %d of %d msat", d.label, got, d.amount)
		}
	case v.State == Canceled && v.Confirmed:
		for _, part := range v.HTLCs {
			for _, h := range d.htlcs {
				if h.id == part.ID && h.ch.name == part.Scid && h.state == stateHeld && h.ch.state == "CHANNELD_NORMAL" {
					s.breach("%s: cancel confirmed, but %s/%d is held", d.label, h.ch.name, h.id)
				}
			}
		}
	}
	if v.Proof >= proofBooked && s.income[d.pre.Hash()] < d.amount {
		s.breach("%s: booked, but only %d of %d msat came in", d.label, s.income[d.pre.Hash()], d.amount)
	}
	return v
}

// says checks that nothing that was said is taken back.
func (d *simHold) says(now State) {
	if d.said != "" && !reachable(d.said, now) {
		d.s.breach("%s: was %s, is %s", d.label, d.said, now)
	}
	if d.said != now {
		d.s.tell("%s: %s", d.label, now)
	}
	if now == Settling && d.want != "settle" || now == Settled && d.want != "settle" {
		d.s.breach("%s: %s without a word", d.label, now)
	}
	d.said = now
}

func reachable(from, to State) bool {
	return from == to || slices.ContainsFunc(moves[from], func(s State) bool { return reachable(s, to) })
}

// taken is what the node has or will have for sure: parts that it is claiming.
func (d *simHold) taken() (sum Msat) {
	for _, h := range d.htlcs {
		if h.result == "resolve" {
			sum += h.amount
		}
	}
	return sum
}

// waiting returns an HTLC that the channels hold, or nil.
func (d *simHold) waiting() *simHTLC {
	i := slices.IndexFunc(d.htlcs, func(h *simHTLC) bool { return h.state == stateHeld && h.ch.state == "CHANNELD_NORMAL" })
	if i < 0 {
		return nil
	}
	return d.htlcs[i]
}

// outcome is how it ended, for comparing runs: not how often the payer had to try.
func (d *simHold) outcome() string {
	v := d.look()
	return fmt.Sprintf("%s %s confirmed=%v proof=%d income=%d", d.label, v.State, v.Confirmed, v.Proof, d.s.income[d.pre.Hash()])
}
