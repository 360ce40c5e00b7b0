package simln

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// htlc is one HTLC on a channel of the node. Incoming ones carry what their onion says.
type htlc struct {
	CreatedIndex, UpdatedIndex uint64
	Direction                  string // in, out
	Channel                    string // short channel id
	ID                         uint64
	Amount                     Msat // really locked
	Expiry                     uint32
	Hash                       string
	State                      string
	Status                     string // listpeerchannels shows it; it outlives the answer to the hook, as in lightningd
	Onion                      onion
	Wallet                     string // the payer
	PayID                      uint64
	Part                       int
	Preimage                   string // how it was removed: this,
	FailMsg                    string // or this, in hex
	FailedBy                   string // "", or "onion" when the reply was an onion that nobody here can read
	Removed                    bool   // the money has gone where it belongs
	Lost                       bool   // the payer took it back on chain
	Forgotten                  bool   // with its channel
}

// onion is the payload for the final hop (BOLT 4).
type onion struct {
	Forward  Msat   // amt_to_forward
	CLTV     uint32 // outgoing_cltv_value
	Total    Msat
	Secret   string
	Metadata string
	NextScid string // a forward: neither secret nor total are there
	Garbled  bool   // does not parse
}

// States of BOLT 2 in Core Lightning's names, from the node's side.
const (
	stateHeld        = "RCVD_ADD_ACK_REVOCATION"
	stateRemoving    = "SENT_REMOVE_HTLC"
	stateRemoved     = "SENT_REMOVE_ACK_REVOCATION"
	stateSent        = "SENT_ADD_ACK_REVOCATION"
	stateSentRemoved = "RCVD_REMOVE_ACK_REVOCATION"
)

func (h *htlc) rowKey() string { return fmt.Sprintf("htlc/%d", h.CreatedIndex) }

func (h *htlc) live() bool {
	return h.State != stateRemoved && h.State != stateSentRemoved && !h.Forgotten
}

func (n *Node) addHTLC(h *htlc) {
	h.CreatedIndex = n.indexes("htlcs").created()
	n.st.htlcs, n.live = append(n.st.htlcs, h), append(n.live, h)
	n.st.put(h)
	n.indexMoved("htlcs", "created", htlcWait(h))
}

func (n *Node) setState(h *htlc, state string) {
	h.State = state
	h.UpdatedIndex = n.indexes("htlcs").updated()
	n.st.put(h)
	n.indexMoved("htlcs", "updated", htlcWait(h))
}

func htlcWait(h *htlc) *object {
	return obj("state", h.State, "short_channel_id", h.Channel, "direction", h.Direction,
		"htlc_id", h.ID, "amount_msat", h.Amount, "payment_hash", h.Hash)
}

// askHook offers a held HTLC to the htlc_accepted chain; what the chain answers decides it.
func (n *Node) askHook(h *htlc) {
	height := n.height // at a replay still that of before the rescan
	n.callHook("htlc_accepted", &hookCall{
		params: func(p *plugin) *object {
			h.Status = "Waiting for the htlc_accepted hook of plugin " + p.name
			n.st.put(h)
			return n.hookParams(h, height)
		},
		answer: func(result json.RawMessage) bool { return n.hookAnswer(h, result) },
		final: func() {
			h.Status = ""
			n.st.put(h)
			n.acceptLocally(h)
		},
	})
}

func (n *Node) hookParams(h *htlc, height uint32) *object {
	payload := h.Onion.encode()
	o := obj("payload", hex.EncodeToString(payload))
	if !h.Onion.Garbled {
		o.add("type", "tlv").addIf(h.Onion.NextScid != "", "short_channel_id", h.Onion.NextScid).
			add("forward_msat", h.Onion.Forward).add("outgoing_cltv_value", h.Onion.CLTV)
		if h.Onion.NextScid == "" {
			o.add("total_msat", h.Onion.Total).add("payment_secret", h.Onion.Secret)
		}
		o.addIf(h.Onion.Metadata != "", "payment_metadata", h.Onion.Metadata)
	}
	seed := fmt.Sprintf("%s/%d", h.Channel, h.ID)
	o.add("next_onion", hex.EncodeToString(fakeOnion(seed))).add("shared_secret", hashHex("shared secret "+seed))
	params := obj()
	if ch := n.channel(h.Channel); ch != nil && n.connected(ch) {
		params.add("peer_id", ch.PeerID)
	}
	return params.add("onion", o).add("htlc", obj("short_channel_id", h.Channel, "id", h.ID, "amount_msat", h.Amount,
		"cltv_expiry", h.Expiry, "cltv_expiry_relative", int64(h.Expiry)-int64(height), "payment_hash", h.Hash))
}

func hashHex(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// fakeOnion has the size and the version byte of the next hop's onion, and the same bytes at each replay.
func fakeOnion(seed string) []byte {
	out := []byte{0}
	for i := 0; len(out) < 1366; i++ {
		h := sha256.Sum256(fmt.Appendf(nil, "onion %s %d", seed, i))
		out = append(out, h[:]...)
	}
	return out[:1366]
}

// encode writes the payload as the hook shows it: a TLV stream with its length in front (BOLT 4).
func (o onion) encode() []byte {
	if o.Garbled {
		return []byte{2, 0x02, 0x09} // a length that runs out of the payload
	}
	var b []byte
	tlv := func(kind byte, value []byte) { b = append(append(b, kind, byte(len(value))), value...) }
	tlv(2, truncated(uint64(o.Forward)))
	tlv(4, truncated(uint64(o.CLTV)))
	if o.NextScid != "" {
		tlv(6, binary.BigEndian.AppendUint64(nil, parseScid(o.NextScid)))
	} else {
		secret, _ := hex.DecodeString(o.Secret)
		tlv(8, append(secret, truncated(uint64(o.Total))...))
	}
	if o.Metadata != "" {
		m, _ := hex.DecodeString(o.Metadata)
		tlv(16, m)
	}
	return append([]byte{byte(len(b))}, b...)
}

// truncated is BOLT 1's tu64: big endian without leading zeros.
func truncated(v uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, v)[bits.LeadingZeros64(v)/8:]
}

func parseScid(s string) uint64 {
	var block, tx, out uint64
	_, _ = fmt.Sscanf(s, "%dx%dx%d", &block, &tx, &out)
	return block<<40 | tx<<16 | out
}

// hookAnswer takes one plugin's result. Whatever lightningd cannot take ends the node.
func (n *Node) hookAnswer(h *htlc, result json.RawMessage) (goOn bool) {
	if h.Forgotten {
		n.fatal("htlc_accepted_hook_deserialize: answer for an HTLC of a channel that is forgotten")
	}
	m := members(result)
	verdict, ok := m["result"]
	if !ok {
		n.fatal("Plugin return value does not contain 'result' key %s", result)
	}
	n.checkHookFields(m)
	switch text(verdict) {
	case "continue":
		return true
	case "fail":
		n.hookFail(h, m)
	case "resolve":
		key, ok := m["payment_key"]
		if !ok {
			n.fatal("Plugin did not specify a 'payment_key' in return value to the htlc_accepted hook: %s", verdict)
		}
		preimage, ok := decodeHex32(strings.ToLower(text(key)))
		if !ok {
			n.fatal("Plugin specified an invalid 'payment_key': %s", verdict)
		}
		n.hookResolve(h, preimage)
	default:
		n.fatal("Plugin responded with an unknown result to the htlc_accepted hook: %s", verdict)
	}
	return false
}

func (n *Node) checkHookFields(m map[string]json.RawMessage) {
	if raw, ok := m["invoice_msat"]; ok {
		if _, ok := parseMsat(text(raw)); !ok {
			n.fatal("Bad invoice_msat for htlc_accepted hook: %s", raw)
		}
	}
	if raw, ok := m["extra_tlvs"]; ok && !hexText.MatchString(text(raw)) {
		n.fatal("Bad custom tlvs for htlc_accepted hook: %s", raw)
	}
	if raw, ok := m["payload"]; ok && !hexText.MatchString(text(raw)) {
		n.fatal("Bad payload for htlc_accepted hook: %s", raw)
	}
	if raw, ok := m["forward_to"]; ok {
		if _, ok := decodeHex32(text(raw)); !ok {
			n.fatal("Bad forward_to for htlc_accepted hook: %s", raw)
		}
	}
}

func (n *Node) hookFail(h *htlc, m map[string]json.RawMessage) {
	for _, field := range []string{"failure_onion", "failure_message"} {
		raw, ok := m[field]
		if !ok {
			continue
		}
		if !hexText.MatchString(text(raw)) {
			n.fatal("Bad %s for htlc_accepted hook: %s", field, raw)
		}
		if field == "failure_onion" {
			h.FailedBy = "onion"
		}
		n.failHTLC(h, text(raw))
		return
	}
	n.fatal("Missing both failure_onion and failure_message for htlc_accepted hook fail: %s", m["result"])
}

func (n *Node) hookResolve(h *htlc, preimage [32]byte) {
	hash := sha256.Sum256(preimage[:])
	if got := hex.EncodeToString(hash[:]); got != h.Hash {
		n.logf(levelBroken, "chan#"+h.Channel, "Plugin returned a preimage (sha256(…) = %s) that doesn't match the HTLC hash (%s) it tries to resolve.", got, h.Hash)
		n.failHTLC(h, "400f")
		return
	}
	n.fulfillHTLC(h, hex.EncodeToString(preimage[:]))
}

// incorrectDetails is BOLT 4's incorrect_or_unknown_payment_details with amount and height.
func (n *Node) incorrectDetails(amount Msat) string {
	return fmt.Sprintf("400f%016x%08x", uint64(amount), n.height)
}

func (n *Node) failHTLC(h *htlc, message string) {
	if n.late(h) {
		return
	}
	h.FailMsg = message
	n.startRemove(h)
}

func (n *Node) fulfillHTLC(h *htlc, preimage string) {
	if n.late(h) {
		return
	}
	h.Preimage = preimage
	n.startRemove(h)
}

func (n *Node) late(h *htlc) bool {
	if h.State == stateHeld && !h.Lost {
		return false
	}
	n.logf(levelDebug, "chan#"+h.Channel, "HTLC id %d already complete. state %s", h.ID, h.State)
	return true
}

// startRemove stores the decision; it reaches the payer when its peer is there, or through the chain.
func (n *Node) startRemove(h *htlc) {
	n.setState(h, stateRemoving)
	n.clock.after(time.Millisecond, func() {
		n.do(func() { n.finishRemove(h) })
	})
}

func (n *Node) finishRemove(h *htlc) {
	ch := n.channel(h.Channel)
	if h.State != stateRemoving || n.stopping || ch == nil || !n.connected(ch) || ch.State != channelNormal {
		return
	}
	n.setState(h, stateRemoved)
	if h.Preimage != "" {
		ch.ToUs += h.Amount
		n.st.put(ch)
		n.settleMoney(h)
		n.addMove(&move{Account: ch.ID, Credit: h.Amount, Tag: "invoice", Hash: h.Hash})
	} else {
		n.refundMoney(h)
	}
	n.walletHeard(h)
}

// liveHTLCs lists those that are not removed, and forgets the others for the next time.
func (n *Node) liveHTLCs() []*htlc {
	var kept []*htlc // a new array: callers walk the old one
	for _, h := range n.live {
		if h.live() {
			kept = append(kept, h)
		}
	}
	n.live = kept
	return kept
}

// replayHTLCs offers every HTLC that has no decision yet to the hooks again, before peers and blocks are there.
func (n *Node) replayHTLCs() {
	for _, h := range n.liveHTLCs() {
		if h.Direction == "in" && h.State == stateHeld {
			n.logf(levelDebug, "chan#"+h.Channel, "Replaying old unprocessed HTLC #%d", h.ID)
			n.askHook(h)
		}
	}
}
