package hold

import (
	"encoding/json"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// onDisk is what the store holds of a hold at this moment.
func (s *sim) onDisk(p *simProc, d *simHold) *Invoice {
	store := p.store
	if store == nil {
		return nil // the guard without the store
	}
	inv, err := store.Get(d.pre.Hash())
	if err != nil {
		return nil
	}
	return inv
}

// checkAnswer looks at an answer as it leaves the process.
func (s *sim) checkAnswer(p *simProc, m clnio.Message) {
	h := s.calls[string(m.ID)]
	if h == nil {
		s.breach("%s answers a call that nobody made, %s", p.name, m.ID)
		return
	}
	result, why := s.take(h, m.Result)
	if why != "" {
		s.breach("node down: %s", why)
		return
	}
	if result == "continue" {
		if h.hold.accepted && !h.hold.over() && h.forged == "" {
			s.breach("%s: %s lets a part of an accepted payment pass", h.hold.label, p.name)
		}
		return
	}
	s.tell("%s: %s answers %s/%d with %s", h.hold.label, p.name, h.ch.name, h.id, result)
	late := h.expiry <= s.height
	if h.said != "" && h.said != result && !late {
		s.breach("%s: %s/%d was answered with %s, now with %s", h.hold.label, h.ch.name, h.id, h.said, result)
	}
	h.said, h.told = result, true
	if result == "resolve" {
		s.checkResolve(p, h)
		return
	}
	s.checkRefusal(p, h, late)
}

// checkResolve: the preimage leaves on somebody's word, when that is on disk, for a whole
// payment.
func (s *sim) checkResolve(p *simProc, h *simHTLC) {
	d := h.hold
	if d.want != "settle" || !d.asked {
		s.breach("%s: settled without a word", d.label)
	}
	if h.forged != "" {
		s.breach("%s: settled a part with a bad %s", d.label, h.forged)
	}
	if inv := s.onDisk(p, d); inv == nil || !inv.Settle {
		s.breach("%s: the preimage left before the decision was on disk", d.label)
	}
	if !d.preimage {
		if got := d.here(); got < d.amount {
			s.breach("%s: the preimage left for %d of %d msat", d.label, got, d.amount)
		}
	}
	d.preimage = true
}

// here is the sum of the parts that are held or taken.
func (d *simHold) here() (sum Msat) {
	for _, h := range d.htlcs {
		if h.forged == "" && (h.state == stateHeld || h.result == "resolve") {
			sum += h.amount
		}
	}
	return sum
}

// checkRefusal: a part of an accepted payment goes back on somebody's word, near its expiry,
// or when others of it are gone; and never when the preimage is out.
func (s *sim) checkRefusal(p *simProc, h *simHTLC, late bool) {
	d := h.hold
	if late || h.forged != "" {
		return
	}
	inv := s.onDisk(p, d)
	if inv == nil || inv.find(Key{h.ch.name, h.id}) < 0 {
		return // not of the stored payment
	}
	switch {
	case d.preimage:
		s.breach("%s: a part goes back, and the preimage is out", d.label)
	case inv.Settle:
		s.breach("%s: a part goes back, and the settle is decided", d.label)
	case inv.State == Open || inv.State == Accepted:
		s.breach("%s: a part goes back before that is on disk", d.label)
	case inv.State == Canceling && d.want != "cancel" && inv.Reason != reasonDeadline:
		s.breach("%s: given back without a word", d.label)
	case inv.Reason == reasonDeadline && int64(inv.MinExpiry())-int64(s.height) > int64(Floors.CancelAt):
		s.breach("%s: given back %d blocks before its expiry", d.label, int64(inv.MinExpiry())-int64(s.height))
	}
}

// checkNote looks at a notification as it leaves the process.
func (s *sim) checkNote(p *simProc, m clnio.Message) {
	var params map[string]StateNote
	if err := json.Unmarshal(m.Params, &params); err != nil {
		s.breach("notification %s", m.Params)
		return
	}
	note := params[Topic]
	if d := s.byHash[note.Hash]; d != nil {
		s.checkState(p, d, note.State)
	}
}

func (s *sim) checkState(p *simProc, d *simHold, now State) {
	if d.created {
		d.says(now)
	}
	inv := s.onDisk(p, d)
	if inv == nil || !reachable(now, inv.State) {
		s.breach("%s: %s is announced and not on disk", d.label, now)
		return
	}
	if now == Settled && d.taken() < d.amount {
		s.breach("%s: settle proved, but the node has taken %d of %d msat", d.label, d.taken(), d.amount)
	}
	if now != Accepted {
		return
	}
	d.accepted = true
	s.counts["accepted"]++
	var sum Msat
	for _, h := range d.htlcs {
		if h.state != stateHeld || h.forged != "" || inv.find(Key{h.ch.name, h.id}) < 0 {
			continue
		}
		sum += h.amount
		if h.left < int64(d.cltv)-heightSlack {
			s.breach("%s: accepted with a part that lasts %d blocks, not %d", d.label, h.left, d.cltv-heightSlack)
		}
	}
	if sum < d.amount {
		s.breach("%s: accepted with %d of %d msat", d.label, sum, d.amount)
	}
}

// graceSteps is how many ticks without a fault a due answer may take.
const graceSteps = 2

// checkDeadlines: a plugin that works gives back in time what nobody settled, and answers
// everything at its expiry.
func (s *sim) checkDeadlines() {
	for _, h := range s.held() {
		left := int64(h.expiry) - int64(s.seen)
		if h.at == nil || h.told || !s.clean || s.seen < s.height || left > int64(Floors.CancelAt) {
			continue
		}
		inv := s.onDisk(h.at, h.hold)
		if h.at.g != nil && inv == nil || inv != nil && inv.Settle && left > 0 {
			continue // the guard waits for the store; a settle waits to the last block
		}
		if h.due++; h.due > graceSteps {
			s.breach("%s: %s/%d is held %d blocks before its expiry", h.hold.label, h.ch.name, h.id, left)
			h.due = -1 << 30
		}
	}
}

// checkEnd: with nothing failing any more, everything is over and the books agree.
func (s *sim) checkEnd() {
	for _, d := range s.holds {
		if !d.created {
			continue
		}
		v := d.look()
		in := s.income[d.pre.Hash()]
		switch {
		case v.State == Settled && in < d.amount:
			s.breach("%s: settled, and %d of %d msat came in", d.label, in, d.amount)
		case v.State == Settled && v.Proof < proofBooked:
			s.breach("%s: settled, and not proved", d.label)
		case v.State == Canceled && in > 0:
			s.breach("%s: canceled, and %d msat came in", d.label, in)
		case v.State == Lost && d.accepted && !d.harmed():
			s.breach("%s: lost, and nothing happened to it: %s", d.label, v.Reason)
		case !v.State.Final():
			s.breach("%s: ended as %s", d.label, v.State)
		}
		s.counts[string(v.State)]++
		if v.State == Lost {
			s.counts["lost with both plugins dead"] += b2i(d.abandoned)
			s.counts["lost to the chain"] += b2i(!d.abandoned)
		}
		if d.preimage && in < d.amount && !d.harmed() {
			s.breach("%s: the preimage is out, and %d of %d msat came in", d.label, in, d.amount)
		}
	}
	if len(s.rows) > 0 {
		s.breach("the node has %d invoices of its own", len(s.rows))
	}
	if len(s.alive) > 0 {
		s.breach("the datastore says that %d are alive", len(s.alive))
	}
	for _, h := range s.held() {
		if h.ch.state == "CHANNELD_NORMAL" {
			s.breach("%s: %s/%d is still held", h.hold.label, h.ch.name, h.id)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// harmed says that the world took parts of the payment away.
func (d *simHold) harmed() bool {
	if d.abandoned {
		return true
	}
	for _, h := range d.htlcs {
		if h.ch.state == "ONCHAIN" || h.hurt {
			return true
		}
	}
	return false
}
