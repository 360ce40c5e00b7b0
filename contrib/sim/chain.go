package sim

import (
	"fmt"
	"time"
)

// mine adds blocks, one after the other; each is told to the plugins.
func (n *node) mine(blocks uint32) {
	for range blocks {
		n.height++
		n.w.elapsed += 2 * time.Second
		n.w.now += 2
		n.top = max(n.top, n.height)
		n.w.plugin.block(n.height)
		n.takeByChain()
	}
}

// reorg takes blocks away again.
func (n *node) reorg(blocks uint32) { n.height -= min(blocks, n.height-1) }

// forgetAfter is how long the node lists a channel that is closed on chain.
const forgetAfter = 100

// claimTime is how many blocks a node with the preimage needs to be sure of an HTLC on chain.
const claimTime = 12

// takeByChain closes the channels of HTLCs that have reached their expiry, and settles on chain what hangs in them.
func (n *node) takeByChain() {
	for _, h := range n.htlcs {
		if h.ch.state == normal && h.expiry <= n.height {
			n.w.fault("chain: a channel was closed for an HTLC that nobody removed")
			n.w.checkTaken(h)
			h.ch.state, h.ch.closed = onChain, n.height
		}
	}
	live := n.htlcs[:0]
	for _, h := range n.htlcs {
		c := h.ch
		switch {
		case c.state != onChain:
		case h.back || h.ours:
			if n.height > c.closed+forgetAfter {
				continue
			}
		case h.result == "resolve" && (h.expiry >= h.resolved+claimTime || n.w.rng.IntN(2) == 0): // claimed with the preimage, if in time
			h.ours = true
			n.received += h.amount
			n.onChain = append(n.onChain, move{h.hash, h.amount})
			continue
		case h.expiry <= n.height:
			h.back = true
		}
		live = append(live, h)
	}
	clear(n.htlcs[len(live):])
	n.htlcs = live
	open := n.channels[:0]
	for _, c := range n.channels {
		if c.state == normal || n.height <= c.closed+forgetAfter {
			open = append(open, c)
		}
	}
	clear(n.channels[len(open):])
	n.channels = open
}

// fall is the end of the node's process and of all its plugins.
func (n *node) fall(why string) {
	n.w.fault(why)
	n.dying = true
	n.w.house.die()
	n.w.plugin.die()
}

// start brings the node back: what it was calling is forgotten, what it holds is shown to the plugins again.
func (n *node) start() {
	n.session++
	n.dying = false
	for _, b := range n.billList {
		b.calls = false
	}
	n.w.plugin.start(false)
	for _, h := range n.htlcs {
		if h.state == heldState && h.ch.state == normal {
			n.ask(h, 30)
		}
	}
	n.w.say("the node is up again, session %s", fmt.Sprint(n.session))
}
