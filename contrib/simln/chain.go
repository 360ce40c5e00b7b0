package simln

import (
	"fmt"
	"time"
)

// channel is one of the node's channels: one to the hub, through which it pays, and one or more per wallet.
type channel struct {
	Number   uint32
	Scid     string
	ID       string // channel id, hex
	PeerID   string
	Owner    string // "hub" or a wallet's name
	State    string
	ToUs     Msat // of a wallet's channel; the hub's is what else the node has, see toUs
	NextHTLC uint64
	ClosedAt uint32 // height
}

const (
	channelNormal   = "CHANNELD_NORMAL"
	channelOnchain  = "ONCHAIN"
	channelTotal    = Msat(1_000_000_000_000) // 10 BTC
	forgetAfter     = 100                     // blocks
	deadlineMainnet = 17                      // (cltv-delta + 1) / 2: fulfilled HTLCs still there make the node close
	deadlineTestnet = 3
)

func (c *channel) rowKey() string { return fmt.Sprintf("channel/%d", c.Number) }

func (n *Node) openChannel(owner string) *channel {
	m := n.st.meta
	c := &channel{Number: m.NextScid, Scid: fmt.Sprintf("%dx1x0", 100+m.NextScid), Owner: owner, State: channelNormal}
	m.NextScid++
	n.st.put(m)
	c.ID = hashHex(fmt.Sprintf("channel %s %s", n.id, c.Scid))
	c.PeerID = pubHex(deriveKey(n.secret, "peer of "+owner))
	n.st.channels = append(n.st.channels, c)
	n.st.put(c)
	return c
}

// toUs is the node's side of a channel. All channels together hold the node's balance.
func (n *Node) toUs(c *channel) Msat {
	if c.Owner != "hub" {
		return c.ToUs
	}
	rest := n.st.meta.NodeBalance
	for _, other := range n.st.channels {
		if other != c && other.State == channelNormal {
			rest -= min(rest, other.ToUs)
		}
	}
	return rest
}

// spend takes an outgoing amount from the hub's channel, and what is missing there from the wallets' channels.
func (n *Node) spend(amount Msat) {
	missing := amount - min(amount, n.toUs(n.st.channels[0]))
	for _, c := range n.st.channels[1:] {
		if take := min(missing, c.ToUs); take > 0 && c.State == channelNormal {
			c.ToUs -= take
			missing -= take
			n.st.put(c)
		}
	}
}

func (n *Node) channel(scid string) *channel {
	for _, c := range n.st.channels {
		if c.Scid == scid {
			return c
		}
	}
	return nil
}

// connected says whether the peer of a channel is there.
func (n *Node) connected(c *channel) bool {
	if w := n.st.wallets[c.Owner]; w != nil && w.Offline {
		return false
	}
	return n.online
}

// Mine adds blocks to the chain; the node processes each before Mine returns.
func (n *Node) Mine(blocks uint32) {
	n.do(func() { n.mineTo(n.st.meta.ChainHeight + blocks) })
}

// SetHeight mines up to a height, or throws blocks away down to it as a reorganisation would; in that case the
// blocks from there on are announced anew when they are mined again.
func (n *Node) SetHeight(height uint32) {
	n.do(func() {
		if height >= n.st.meta.ChainHeight {
			n.mineTo(height)
			return
		}
		n.st.meta.ChainHeight, n.st.meta.NodeHeight, n.height = height, height, height
		n.st.put(n.st.meta)
		n.announceBlock(height)
	})
}

// SetBitcoindSync switches getinfo's warning that bitcoind is not up to date.
func (n *Node) SetBitcoindSync(synced bool) { n.do(func() { n.warnBtc = !synced }) }

// Height is the chain's height.
func (n *Node) Height() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.st.meta.ChainHeight
}

func (n *Node) mineTo(height uint32) {
	n.st.meta.ChainHeight = height
	n.st.put(n.st.meta)
	if !n.syncing {
		n.processBlocks()
	}
}

// catchUp ends the start of a node that was there before: peers connect, then the rescanned blocks and those that
// were mined meanwhile come in one burst.
func (n *Node) catchUp() {
	if n.stopping {
		return
	}
	n.online, n.syncing = true, false
	for _, h := range n.liveHTLCs() {
		n.finishRemove(h)
	}
	n.processBlocks()
	n.resumePayments()
	n.resumeWallets()
}

func (n *Node) processBlocks() {
	m := n.st.meta
	for n.height < m.ChainHeight {
		n.height++
		m.NodeHeight = max(m.NodeHeight, n.height)
		n.st.put(m)
		n.announceBlock(n.height)
		n.blockDeadlines()
	}
	n.serveHeightWaiters()
}

func (n *Node) announceBlock(height uint32) {
	n.broadcast("block_added", obj("hash", hashHex(fmt.Sprintf("block %d", height)), "height", height))
}

// blockDeadlines does what a new block forces on the channels.
func (n *Node) blockDeadlines() {
	margin := uint32(deadlineTestnet)
	if n.cfg.Network == "bitcoin" {
		margin = deadlineMainnet
	}
	for _, h := range n.liveHTLCs() {
		if h.Direction != "in" {
			continue
		}
		ch := n.channel(h.Channel)
		switch {
		case h.State == stateRemoving && h.Preimage != "" && ch.State == channelOnchain:
			n.claimOnchain(ch, h)
		case h.State == stateRemoving && h.Preimage != "" && h.Expiry <= n.height+margin:
			n.logf(levelUnusual, "chan#"+ch.Scid, "Peer permanent failure in %s: Fulfilled HTLC %d %s cltv %d hit deadline", ch.State, h.ID, h.State, h.Expiry)
			n.closeChannel(ch, "protocol")
			n.claimOnchain(ch, h)
		case h.Expiry < n.height && !h.Removed:
			if ch.State == channelNormal {
				n.closeChannel(ch, "remote")
			}
			h.Lost = h.State == stateHeld
			n.takenBackOnchain(h)
		}
	}
	n.expirePayments()
	for _, ch := range n.st.channels {
		if ch.State == channelOnchain && n.height >= ch.ClosedAt+forgetAfter {
			n.forgetChannel(ch)
		}
	}
}

func (n *Node) closeChannel(ch *channel, cause string) {
	ch.ClosedAt = n.height
	for _, state := range []string{"AWAITING_UNILATERAL", "FUNDING_SPEND_SEEN", channelOnchain} {
		n.broadcast("channel_state_changed", obj("peer_id", ch.PeerID, "channel_id", ch.ID, "short_channel_id", ch.Scid,
			"timestamp", n.clock.now().UTC().Format("2006-01-02T15:04:05.000Z"), "old_state", ch.State, "new_state", state,
			"cause", cause, "message", "HTLC hit deadline"))
		ch.State = state
		cause = "onchain"
	}
	n.st.put(ch)
}

func (n *Node) claimOnchain(ch *channel, h *htlc) {
	n.setState(h, stateRemoved)
	n.settleMoney(h)
	n.addChainMove(&move{Account: ch.ID, Credit: h.Amount, Tag: "htlc_fulfill", Hash: h.Hash, Height: n.height})
	n.walletHeard(h)
}

// takenBackOnchain gives the payer his money; a held HTLC goes on to look held, and its hook stays open.
func (n *Node) takenBackOnchain(h *htlc) {
	n.refundMoney(h)
	if h.State == stateRemoving {
		n.setState(h, stateRemoved)
	}
	n.st.put(h)
	n.walletHeard(h)
}

func (n *Node) forgetChannel(ch *channel) {
	n.broadcast("channel_state_changed", obj("peer_id", ch.PeerID, "channel_id", ch.ID, "short_channel_id", ch.Scid,
		"timestamp", n.clock.now().UTC().Format("2006-01-02T15:04:05.000Z"), "old_state", ch.State, "new_state", "CLOSED",
		"cause", "onchain", "message", "all outputs resolved"))
	ch.State = "CLOSED"
	n.st.put(ch)
	for _, h := range n.liveHTLCs() {
		if h.Channel == ch.Scid && h.live() {
			h.Forgotten = true
			n.st.put(h)
		}
	}
}

type heightWaiter struct {
	c      *command
	height uint32
	stop   func()
}

func (n *Node) cmdWaitBlockHeight(c *command) (any, error) {
	want := uint32(c.uintOr("blockheight", 0))
	if n.height >= want {
		return obj("blockheight", n.height), nil
	}
	timedOut := func() { c.fail(2000, "Timed out.", nil) }
	timeout := c.uintOr("timeout", 60)
	if timeout == 0 {
		timedOut()
		return nil, errLater
	}
	stop := n.clock.after(time.Duration(timeout)*time.Second, func() { n.do(timedOut) })
	n.heightWaiters = append(n.heightWaiters, &heightWaiter{c, want, stop})
	return nil, errLater
}

func (n *Node) serveHeightWaiters() {
	var kept []*heightWaiter
	for _, w := range n.heightWaiters {
		if n.height < w.height {
			kept = append(kept, w)
			continue
		}
		w.stop()
		w.c.reply(obj("blockheight", n.height))
	}
	n.heightWaiters = kept
}
