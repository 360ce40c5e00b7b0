package simln

import (
	"fmt"
	"strings"
	"time"
)

func secondsOf(s uint64) time.Duration { return time.Duration(s) * time.Second }

// move is a row of channelmoves or chainmoves.
type move struct {
	CreatedIndex  uint64
	Chain         bool
	Account       string
	Credit, Debit Msat
	Tag           string
	Hash          string
	Part, Group   uint64
	Fees          Msat
	At            uint64
	Height        uint32
}

func (m *move) rowKey() string {
	if m.Chain {
		return fmt.Sprintf("chainmove/%d", m.CreatedIndex)
	}
	return fmt.Sprintf("move/%d", m.CreatedIndex)
}

func (n *Node) addMove(m *move) {
	m.CreatedIndex, m.At = n.indexes("channelmoves").created(), n.unixNow()
	n.st.moves = append(n.st.moves, m)
	n.st.put(m)
	o := n.moveNotice("channel_mvt", m)
	n.broadcast("coin_movement", o.addIf(m.Group > 0, "part_id", m.Part).addIf(m.Group > 0, "group_id", m.Group).add("fees_msat", m.Fees))
	n.indexMoved("channelmoves", "created", obj("account_id", m.Account, "credit_msat", m.Credit, "debit_msat", m.Debit))
}

func (n *Node) addChainMove(m *move) {
	m.CreatedIndex, m.At, m.Chain = n.indexes("chainmoves").created(), n.unixNow(), true
	n.st.chainMoves = append(n.st.chainMoves, m)
	n.st.put(m)
	n.broadcast("coin_movement", n.moveNotice("chain_mvt", m).add("blockheight", m.Height))
	n.indexMoved("chainmoves", "created", obj("account_id", m.Account, "credit_msat", m.Credit, "debit_msat", m.Debit))
}

func (n *Node) moveNotice(kind string, m *move) *object {
	return obj("version", 2, "coin_type", bolt11Prefix(n.cfg.Network), "node_id", n.id, "type", kind,
		"created_index", m.CreatedIndex, "account_id", m.Account, "credit_msat", m.Credit, "debit_msat", m.Debit,
		"timestamp", m.At, "primary_tag", m.Tag, "payment_hash", m.Hash)
}

func (n *Node) cmdListChannelMoves(c *command) (any, error) {
	if err := checkPaging(c); err != nil {
		return nil, err
	}
	out := []*object{}
	for _, m := range page(c, n.st.moves, func(m *move) (uint64, uint64) { return m.CreatedIndex, 0 }) {
		o := obj("created_index", m.CreatedIndex, "account_id", m.Account, "credit_msat", m.Credit, "debit_msat", m.Debit,
			"timestamp", m.At, "primary_tag", m.Tag, "payment_hash", m.Hash)
		out = append(out, o.addIf(m.Group > 0, "part_id", m.Part).addIf(m.Group > 0, "group_id", m.Group).add("fees_msat", m.Fees))
	}
	return obj("channelmoves", out), nil
}

func (n *Node) cmdListChainMoves(c *command) (any, error) {
	if err := checkPaging(c); err != nil {
		return nil, err
	}
	out := []*object{}
	for _, m := range page(c, n.st.chainMoves, func(m *move) (uint64, uint64) { return m.CreatedIndex, 0 }) {
		txid := hashHex(fmt.Sprintf("sweep %s %d", m.Account, m.CreatedIndex))
		out = append(out, obj("created_index", m.CreatedIndex, "account_id", m.Account, "credit_msat", m.Credit, "debit_msat", m.Debit,
			"timestamp", m.At, "primary_tag", m.Tag, "extra_tags", []any{}, "spending_txid", txid, "utxo", txid+":0",
			"payment_hash", m.Hash, "output_msat", m.Credit, "blockheight", m.Height))
	}
	return obj("chainmoves", out), nil
}

func (n *Node) cmdListHTLCs(c *command) (any, error) {
	if err := checkPaging(c); err != nil {
		return nil, err
	}
	out := []*object{}
	for _, h := range page(c, n.st.htlcs, func(h *htlc) (uint64, uint64) { return h.CreatedIndex, h.UpdatedIndex }) {
		ch := n.channel(h.Channel)
		if id := strings.ToLower(c.str("id")); c.has("id") && id != ch.Scid && id != ch.ID {
			continue
		}
		o := obj("short_channel_id", h.Channel, "id", h.ID, "expiry", h.Expiry, "direction", h.Direction, "amount_msat", h.Amount,
			"payment_hash", h.Hash, "state", h.State, "created_index", h.CreatedIndex)
		out = append(out, o.addIf(h.UpdatedIndex > 0, "updated_index", h.UpdatedIndex))
	}
	return obj("htlcs", out), nil
}

func (n *Node) cmdListPeerChannels(c *command) (any, error) {
	htlcs := map[string][]*object{}
	for _, h := range n.liveHTLCs() {
		o := obj("direction", h.Direction, "id", h.ID, "amount_msat", h.Amount, "expiry", h.Expiry, "payment_hash", h.Hash, "state", h.State)
		htlcs[h.Channel] = append(htlcs[h.Channel], o.addIf(h.Status != "", "status", h.Status))
	}
	out := []*object{}
	for _, ch := range n.st.channels {
		if ch.State == "CLOSED" || c.has("id") && c.str("id") != ch.PeerID ||
			c.has("short_channel_id") && c.str("short_channel_id") != ch.Scid || c.has("channel_id") && strings.ToLower(c.str("channel_id")) != ch.ID {
			continue
		}
		out = append(out, n.channelObject(ch, htlcs[ch.Scid]))
	}
	return obj("channels", out), nil
}

func (n *Node) channelObject(ch *channel, htlcs []*object) *object {
	if htlcs == nil {
		htlcs = []*object{}
	}
	up := n.connected(ch)
	toUs := n.toUs(ch)
	spendable, receivable := toUs, max(channelTotal, toUs)-toUs
	if ch.State != channelNormal {
		spendable, receivable = 0, 0
	}
	o := obj("peer_id", ch.PeerID, "peer_connected", up).addIf(up, "reestablished", true)
	o.add("state", ch.State).add("short_channel_id", ch.Scid).add("direction", 1).add("channel_id", ch.ID).
		add("funding_txid", hashHex("funding "+ch.ID)).add("funding_outnum", 0).add("private", false).add("opener", "remote").
		addIf(ch.State == channelOnchain, "closer", "remote").
		add("features", []string{"option_static_remotekey", "option_anchors"}).
		add("to_us_msat", toUs).add("min_to_us_msat", 0).add("max_to_us_msat", toUs).add("total_msat", max(channelTotal, toUs)).
		add("fee_base_msat", 1).add("fee_proportional_millionths", 10).add("dust_limit_msat", 546000).
		add("their_max_htlc_value_in_flight_msat", channelTotal).add("our_max_htlc_value_in_flight_msat", channelTotal).
		add("their_reserve_msat", 10_000_000).add("our_reserve_msat", 10_000_000).
		add("spendable_msat", spendable).add("receivable_msat", receivable).add("minimum_htlc_in_msat", 0).add("minimum_htlc_out_msat", 0).
		add("maximum_htlc_out_msat", channelTotal).add("their_to_self_delay", 6).add("our_to_self_delay", 6).add("max_accepted_htlcs", 483).
		add("state_changes", []any{}).add("status", []string{ch.State + ":simulated"})
	return o.add("in_payments_offered", ch.NextHTLC).add("in_offered_msat", 0).add("in_payments_fulfilled", 0).add("in_fulfilled_msat", 0).
		add("out_payments_offered", 0).add("out_offered_msat", 0).add("out_payments_fulfilled", 0).add("out_fulfilled_msat", 0).add("htlcs", htlcs)
}

func (n *Node) cmdListFunds(*command) (any, error) {
	out := []*object{}
	for _, ch := range n.st.channels {
		if ch.State != "CLOSED" {
			out = append(out, obj("peer_id", ch.PeerID, "connected", n.connected(ch), "state", ch.State, "channel_id", ch.ID,
				"short_channel_id", ch.Scid, "our_amount_msat", n.toUs(ch), "amount_msat", max(channelTotal, n.toUs(ch)),
				"funding_txid", hashHex("funding "+ch.ID), "funding_output", 0))
		}
	}
	return obj("outputs", []any{}, "channels", out), nil
}
