package sim

import (
	"slices"
	"time"

	"github.com/mostro-cln/mostro/contrib/holdinvoice/hold"
	"github.com/mostro-cln/mostro/orders"
)

// run lives through the whole world: a storm, then calm until everything has come to its end, then the audit.
func (w *world) run() {
	w.house.start()
	w.name()
	for w.wrongs == nil && w.trades < w.plan.trades && w.steps < w.deadline {
		w.step()
	}
	if w.wrongs == nil {
		w.drain()
	}
	if w.wrongs == nil {
		w.audit()
	}
}

// step is one thing that happens.
func (w *world) step() {
	w.steps++
	w.recover()
	w.untimely()
	if w.plan.rogue && w.rng.IntN(60) == 0 {
		w.handOfTheOperator()
	}
	switch n := w.rng.IntN(100); {
	case n < 52:
		w.act()
		if w.rng.IntN(5) > 0 {
			w.relays.deliver()
			if w.released == nil || w.rng.IntN(3) > 0 {
				w.house.carry(2 + w.rng.IntN(5))
			}
		}
	case n < 54:
		w.officially()
	case n < 58:
		for range 4 {
			w.relays.deliver()
		}
	case n < 76:
		w.house.carry(2 + w.rng.IntN(6))
	case n < 79:
		w.house.look()
	case n < 81:
		w.house.tellLate()
	case n < 92:
		w.timePasses()
	case n < 94:
		w.again()
	case n < 95:
		w.house.reconcile()
	case n < 97:
		w.house.look()
	default:
		w.mishap()
	}
	w.world()
}

// world goes on by itself after each step.
func (w *world) world() {
	w.node.pass()
	w.plugin.step()
	w.bury()
	w.rise()
	if w.house.poked && w.rng.IntN(3) > 0 {
		w.house.look()
	}
	w.bury()
}

func (w *world) bury() {
	w.house.bury()
	w.plugin.bury()
}

// rise brings up what is down, at once or later.
func (w *world) rise() {
	soon := func(n int) bool { return w.calm || w.rng.IntN(n) == 0 }
	if w.node.dying {
		if soon(2) {
			w.bury()
			w.node.start()
		}
		return
	}
	if !w.plugin.alive() && soon(4) {
		if w.plugin.guardHolds() {
			if soon(3) {
				w.node.fall("node: restarted, so that the holder takes over from its guard")
			}
			return
		}
		w.plugin.start(true)
		w.say("the holder is up again")
	}
	if !w.house.up && soon(2) {
		w.house.start()
	}
}

// timePasses is a moment, an hour or a day, with its blocks.
func (w *world) timePasses() {
	by := w.rng.Int64N(90)
	switch w.rng.IntN(40) {
	case 0:
		by = 901
	case 2:
		by = 3601
	case 3:
		by = 86_401 * w.rng.Int64N(2)
	case 4:
		by = 20_000
	}
	w.passes(by)
	if w.rng.IntN(6) > 0 {
		w.house.tick()
	}
	if w.rng.IntN(2) == 0 && w.house.up {
		w.house.stepper.Hurry()
	}
}

// passes moves the clock and mines what belongs to that time.
func (w *world) passes(seconds int64) {
	w.say("%d s pass", seconds)
	for seconds > 0 {
		s := min(seconds, 600)
		seconds -= s
		w.now += s
		w.elapsed += time.Duration(s) * time.Second
		if w.rng.Int64N(600) < s {
			w.node.mine(1)
		}
		w.node.pass()
		w.plugin.step()
	}
}

// mishap is one of the larger ones.
func (w *world) mishap() {
	n := w.node
	switch w.rng.IntN(19) {
	case 0, 1:
		w.fault("crash: the exchange")
		w.house.die()
	case 2:
		w.fault("crash: the holder")
		w.plugin.die()
	case 3:
		if !n.dying {
			n.fall("node: restarted")
		}
	case 4, 5:
		c := n.channels
		if len(c) > 0 {
			w.fault("node: a peer is away for a while")
			x := c[w.rng.IntN(len(c))]
			w.forAWhile(&x.away)
		}
	case 6:
		w.fault("chain: reorganised")
		n.reorg(1 + w.rng.Uint32N(3))
	case 7, 8:
		w.fault("chain: blocks in a burst")
		n.mine(3 + w.rng.Uint32N(12))
	case 9:
		w.fault("chain: the node is behind for a while")
		w.forAWhile(&n.behind)
	case 10:
		if d := w.house.disk; w.plan.disk && d != nil {
			w.fault("disk: the exchange's is full for a while")
			w.forAWhile(&d.full)
		}
	case 11:
		if w.plan.disk {
			w.fault("disk: the holder's is full for a while")
			w.forAWhile(&w.plugin.disk.full)
		}
	case 12, 16:
		w.fault("clock: it jumps")
		w.now += w.rng.Int64N(8000) - 4000
	case 13, 14:
		w.handOfTheOperator()
	case 17, 18:
		w.towardsAnExpiry()
	case 15:
		w.fault("node: HTLCs are shown again")
		for _, h := range n.htlcs {
			if h.state == heldState && h.call != "" && h.ch.state == normal && !n.dying {
				n.ask(h, 30)
			}
		}
	}
}

// untimely is what happens at the worst moment.
func (w *world) untimely() {
	if w.jumpAt != 0 && w.steps >= w.jumpAt {
		w.jumpAt = 0
		w.fault("clock: it is set forward while a payment is under way")
		w.now += 300 + w.rng.Int64N(7000)
	}
	id := w.released
	if w.released = nil; id == nil || w.rng.IntN(4) > 0 || w.facts[*id].last != orders.Settling {
		return
	}
	for _, h := range w.node.htlcs {
		inv := w.node.made[h.hash]
		if h.state != heldState || h.ch.state != normal || inv == nil || inv.order != *id {
			continue
		}
		if left := int64(h.expiry) - int64(w.node.height) - int64(21+w.rng.IntN(5)); left > 0 {
			w.fault("chain: blocks up to the last of a hold that is being settled")
			w.node.mine(uint32(left))
		}
		return
	}
}

// towardsAnExpiry brings the chain near to the end of a hold that is accepted, while nobody looks.
func (w *world) towardsAnExpiry() {
	for _, h := range w.node.htlcs {
		if h.state != heldState || h.ch.state != normal || w.rng.IntN(3) == 0 {
			continue
		}
		if left := int64(h.expiry) - int64(w.node.height) - int64(18+w.rng.IntN(16)); left > 0 {
			w.fault("chain: blocks up to the last of a hold")
			w.node.mine(uint32(left))
		}
		return
	}
}

// condition is something that passes.
type condition struct {
	on    *bool
	until int // step
}

// forAWhile switches something on for some steps.
func (w *world) forAWhile(on *bool) {
	*on = true
	w.passing = append(w.passing, condition{on, w.steps + 5 + w.rng.IntN(40)})
}

func (w *world) recover() {
	w.passing = slices.DeleteFunc(w.passing, func(c condition) bool {
		over := w.calm || w.steps >= c.until
		if over {
			*c.on = false
		}
		return over
	})
}

// handOfTheOperator settles or cancels a hold at the holder, past the exchange.
func (w *world) handOfTheOperator() {
	if !w.plan.rogue || !w.plugin.alive() || len(w.node.madeList) == 0 || w.rng.IntN(2) == 0 {
		return
	}
	h := w.node.madeList[max(0, len(w.node.madeList)-1-w.rng.IntN(5))]
	for _, x := range w.node.htlcs { // rather one that is held
		if inv := w.node.made[x.hash]; x.state == heldState && inv != nil && w.rng.IntN(2) == 0 {
			h = inv
		}
	}
	f := w.facts[h.order]
	if f == nil {
		return
	}
	command := "holdinvoicecancel"
	if w.rng.IntN(3) == 0 {
		command = "holdinvoicesettle"
	}
	w.fault("operator: " + command + " by hand")
	f.rogue = true
	_, err := w.plugin.h.Call(w.ctx, command, []byte(`{"payment_hash":"`+h.hash.String()+`"}`))
	w.say("%s of %s: %v", command, hold.Hash(h.hash).String()[:8], err)
}

// live counts what is open.
func (w *world) live() (open int, o []orders.Order) {
	for _, id := range w.orders {
		x, ok := w.order(id)
		if ok && !x.Status.Final() {
			open++
			o = append(o, x)
		}
	}
	return open, o
}
