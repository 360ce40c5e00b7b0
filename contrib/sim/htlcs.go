package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// holdInvoice is an invoice that the hold plugin had the node make.
type holdInvoice struct {
	hash    orders.Hash
	pre     string
	text    string // BOLT 11
	secret  [32]byte
	amount  orders.Msats
	cltv    uint32
	expires int64
	order   orders.OrderID
	resolve bool // some part was answered with the preimage
	proved  bool // the holder has said so
}

// channel is one with a peer. One whose HTLC nobody resolved in time goes to the chain.
type channel struct {
	scid   string
	owner  *person
	state  string
	away   bool // the peer is not connected: nothing is removed
	next   uint64
	closed uint32 // height
}

const normal, onChain = "CHANNELD_NORMAL", "ONCHAIN"

// The states of an incoming HTLC.
const (
	heldState    = "RCVD_ADD_ACK_REVOCATION"
	removedState = "SENT_REMOVE_HTLC"
	goneState    = "SENT_REMOVE_ACK_REVOCATION"
)

// htlc is one part of a payment to us.
type htlc struct {
	ch     *channel
	id     uint64
	amount orders.Msats
	expiry uint32
	hash   orders.Hash
	secret [32]byte
	total  orders.Msats
	odd    func(map[string]any) // what is wrong with its onion
	due    time.Duration        // when it arrives
	state  string
	call   string // the hook call that waits for an answer
	result string // "resolve", "fail"
	// resolved is the height at which the node got the preimage.
	resolved uint32
	who      *person
	back     bool // the payer has it back
	ours     bool // it came in
}

// channelOf is a working channel with the person's node.
func (n *node) channelOf(p *person) *channel {
	for _, c := range n.channels {
		if c.owner == p && c.state == normal {
			return c
		}
	}
	c := &channel{scid: fmt.Sprintf("%dx1x%d", 100+len(n.channels), p.number), owner: p, state: normal}
	n.channels = append(n.channels, c)
	return c
}

func (n *node) invoices(method string, p params) (json.RawMessage, error) {
	label := p.text("label")
	row := n.rows[label]
	switch method {
	case "invoice":
		return n.makeInvoice(label, p)
	case "delinvoice":
		if row == nil {
			return nil, clnio.Errorf(905, "Unknown invoice")
		}
		if row.status != p.text("status") {
			return nil, clnio.Errorf(906, "Invoice status is %s not %s", row.status, p.text("status"))
		}
		delete(n.rows, label)
		return nil, nil
	}
	list := []map[string]any{}
	hash := p.hash("payment_hash")
	for label, r := range n.rows { // one hash has one row at most
		if r.hash == hash {
			list = append(list, map[string]any{"label": label, "status": r.status, "payment_hash": r.hash})
		}
	}
	return json.Marshal(map[string]any{"invoices": list})
}

func (n *node) makeInvoice(label string, p params) (json.RawMessage, error) {
	if n.rows[label] != nil {
		return nil, clnio.Errorf(900, "Duplicate label '%s'", label)
	}
	var pre orders.Seed // 32 bytes of hex, whatever they are
	if err := pre.UnmarshalText([]byte(p.text("preimage"))); err != nil {
		return nil, clnio.Errorf(clnio.CodeInvalidParams, "preimage: %s", err)
	}
	hash := orders.Preimage(pre).Hash()
	for _, r := range n.rows {
		if r.hash == hash {
			return nil, clnio.Errorf(901, "preimage already used")
		}
	}
	amount := orders.Msats(p.number("amount_msat"))
	n.rows[label] = &invoiceRow{label, hash, "unpaid", amount}
	h := n.made[hash]
	if h == nil {
		h = &holdInvoice{hash: hash, text: "lnbcrt1hold" + hash.String(), secret: sum("payment secret", hash[:])}
		n.made[hash] = h
		n.madeList = append(n.madeList, h)
	}
	h.pre, h.amount, h.cltv, h.expires = p.text("preimage"), amount, uint32(p.number("cltv")), n.w.now+p.number("expiry")
	if parts := strings.Split(label, "/"); len(parts) > 2 {
		h.order, _ = orders.ParseOrderID(parts[2]) // a label of the exchange, or zero
	}
	return json.Marshal(map[string]any{
		"payment_hash": hash, "payment_secret": fmt.Sprintf("%x", h.secret), "bolt11": h.text, "expires_at": h.expires, "created_index": len(n.madeList),
	})
}

// offers sends the parts of a payment on their way to us.
func (n *node) offers(who *person, h *holdInvoice, amounts []orders.Msats, total orders.Msats, expiry uint32, odd func(map[string]any)) {
	ch := n.channelOf(who)
	for i, a := range amounts {
		due := n.w.elapsed
		if i > 0 {
			due += time.Duration(n.w.rng.IntN(40)) * time.Second
		}
		n.arriving = append(n.arriving, &htlc{
			ch: ch, amount: a, expiry: expiry, hash: h.hash, secret: h.secret, total: total, odd: odd, due: due, who: who,
		})
	}
	n.deliverParts()
}

// deliverParts lets in what has arrived.
func (n *node) deliverParts() {
	waiting := n.arriving
	n.arriving = nil
	for _, h := range waiting {
		switch {
		case h.due > n.w.elapsed:
			n.arriving = append(n.arriving, h)
		case h.ch.state != normal || n.dying || h.expiry <= n.height:
			h.back = true
		default:
			h.id, h.state = h.ch.next, heldState
			h.ch.next++
			n.htlcs = append(n.htlcs, h)
			n.ask(h, 0)
		}
	}
}

// ask calls the hook. late is what a replay adds to the relative expiry.
func (n *node) ask(h *htlc, late uint32) {
	n.serial++
	h.call = fmt.Sprintf(`"cln:htlc_accepted#%d"`, n.serial)
	onion := map[string]any{
		"payload": "2f02", "type": "tlv", "forward_msat": h.amount, "outgoing_cltv_value": h.expiry, "total_msat": h.total,
		"payment_secret": fmt.Sprintf("%x", h.secret), "next_onion": "0002", "shared_secret": "15",
	}
	if h.odd != nil {
		h.odd(onion)
	}
	raw, err := json.Marshal(map[string]any{"peer_id": "03dd", "onion": onion, "htlc": map[string]any{
		"short_channel_id": h.ch.scid, "id": h.id, "amount_msat": h.amount, "cltv_expiry": h.expiry,
		"cltv_expiry_relative": int64(h.expiry) - int64(n.height) + int64(late), "payment_hash": h.hash,
	}})
	n.w.must("write a hook call", err)
	n.w.plugin.htlc(json.RawMessage(h.call), raw)
}

// answered does what a plugin said to a hook call.
func (n *node) answered(m clnio.Message) {
	i := slices.IndexFunc(n.htlcs, func(h *htlc) bool { return h.call == string(m.ID) })
	if i < 0 || n.htlcs[i].state != heldState {
		return
	}
	h := n.htlcs[i]
	var r struct {
		Result string `json:"result"`
		Key    string `json:"payment_key"`
	}
	n.w.must("read a hook's answer", json.Unmarshal(m.Result, &r))
	h.call = ""
	switch r.Result {
	case "resolve":
		n.resolve(h, r.Key)
	case "continue":
		n.refuse(h)
	default:
		h.state, h.result = removedState, "fail"
	}
	n.w.say("the node: hook of %s says %s", h.hash.String()[:8], r.Result)
}

// refuse is what becomes of an HTLC that no plugin wants: if the node has an invoice of its own, it is paid.
func (n *node) refuse(h *htlc) {
	h.state, h.result = removedState, "fail"
	for _, r := range n.rows {
		if r.hash == h.hash && r.status == "unpaid" {
			n.w.wrong("holds-own-no-row", "the node's own row %s of a hold invoice was paid", r.label)
		}
	}
}

// resolve takes the money. The node stores that before the peer hears of it.
func (n *node) resolve(h *htlc, key string) {
	h.state, h.result, h.resolved = removedState, "resolve", n.height
	inv := n.made[h.hash]
	if inv == nil || inv.pre != key {
		n.w.wrong("settle-with-its-preimage", "an HTLC of %s was resolved with another preimage", h.hash)
		return
	}
	inv.resolve = true
	n.w.checkSettle(inv, h)
}

// finishRemovals lets peers agree to what was removed; all is every one of them.
func (n *node) finishRemovals(all bool) {
	live := n.htlcs[:0]
	for _, h := range n.htlcs {
		if h.state != removedState || h.ch.state != normal || h.ch.away || !all && !n.w.calm && n.w.rng.IntN(3) == 0 {
			live = append(live, h)
			continue
		}
		h.state = goneState
		n.history = append(n.history, h)
		if h.result == "resolve" {
			h.ours = true
			n.received += h.amount
			n.moves = append(n.moves, move{h.hash, h.amount})
		} else {
			h.back = true
		}
	}
	clear(n.htlcs[len(live):])
	n.htlcs = live
}

func (n *node) listPeerChannels() json.RawMessage {
	b := []byte(`{"channels":[`)
	for i, c := range n.channels {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"state":%q,"short_channel_id":%q,"peer_connected":%v,"htlcs":[`, c.state, c.scid, !c.away)
		first := true
		for _, h := range n.htlcs {
			if h.ch == c {
				if !first {
					b = append(b, ',')
				}
				b, first = h.row(b), false
			}
		}
		b = append(b, "]}"...)
	}
	return append(b, "]}"...)
}

func (h *htlc) row(b []byte) []byte {
	return fmt.Appendf(b, `{"short_channel_id":%q,"id":%d,"direction":"in","state":%q,"amount_msat":%d,"expiry":%d,"payment_hash":"%s"}`,
		h.ch.scid, h.id, h.state, int64(h.amount), h.expiry, h.hash)
}

func (n *node) listHTLCs(scid string) json.RawMessage {
	b := []byte(`{"htlcs":[`)
	first := true
	for _, list := range [][]*htlc{n.history, n.htlcs} {
		for _, h := range list {
			if scid == "" || h.ch.scid == scid {
				if !first {
					b = append(b, ',')
				}
				b, first = h.row(b), false
			}
		}
	}
	return append(b, "]}"...)
}

func (n *node) listMoves(start int64) json.RawMessage {
	b := []byte(`{"channelmoves":[`)
	for i := max(start, 1) - 1; i < int64(len(n.moves)); i++ {
		if b[len(b)-1] == '}' {
			b = append(b, ',')
		}
		m := n.moves[i]
		b = fmt.Appendf(b, `{"created_index":%d,"credit_msat":%d,"debit_msat":0,"primary_tag":"invoice","payment_hash":"%s"}`, i+1, int64(m.amount), m.hash)
	}
	return append(b, "]}"...)
}

func (n *node) listChainMoves() json.RawMessage {
	b := []byte(`{"chainmoves":[`)
	for i, m := range n.onChain {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"credit_msat":%d,"primary_tag":"htlc_fulfill","payment_hash":"%s"}`, int64(m.amount), m.hash)
	}
	return append(b, "]}"...)
}
