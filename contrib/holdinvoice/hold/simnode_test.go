package hold

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// simNode is a node with its channels under the simulation: one goroutine, everything in a
// fixed order. It keeps the truth that the checks compare the plugin's words with.
type simNode struct {
	clock  *handClock
	height Height // of the chain
	seen   Height // of the node: behind after a start
	rows   []simRow
	alive  map[string]string // datastore: hash → state
	chans  []*simChan
	moves  []simMove
	chain  []simMove // claimed on chain
	calls  map[string]*simHTLC
	serial int
	income map[Hash]Msat
}

type simRow struct {
	label  string
	hash   Hash
	status string
	ends   int64
}

type simChan struct {
	name    string
	renamed int
	state   string // CHANNELD_NORMAL or ONCHAIN
	up      bool   // its peer is connected
	next    uint64
	htlcs   []*simHTLC // that the channel still shows
	past    []*simHTLC // the last ones that are gone
}

// simHTLC is one incoming HTLC.
type simHTLC struct {
	hold   *simHold
	ch     *simChan
	id     uint64
	amount Msat
	expiry Height
	onion  map[string]any
	forged string // what is wrong with it, if anything
	left   int64  // blocks to its expiry when it came
	state  string
	result string // as the node took it: resolve, fail
	said   string // as it left a plugin, taken or not
	call   string // id of the hook call that waits
	at     *simProc
	due    int  // clean steps since it should have been answered
	hurt   bool // its channel went to the chain
	told   bool // this call was answered; the node may not have read it yet
}

type simMove struct {
	hash   Hash
	credit Msat
	tag    string
}

// held are the HTLCs that wait for an answer, by channel and number.
func (n *simNode) held() (list []*simHTLC) {
	for _, ch := range n.chans {
		for _, h := range ch.htlcs {
			if h.state == stateHeld {
				list = append(list, h)
			}
		}
	}
	return list
}

// params of the hook call. After a start the node thinks that it is 30 blocks back.
func (n *simNode) params(h *simHTLC) json.RawMessage {
	return marshaled(map[string]any{"onion": h.onion, "htlc": map[string]any{
		"short_channel_id": h.ch.name, "id": h.id, "amount_msat": h.amount, "cltv_expiry": h.expiry,
		"cltv_expiry_relative": int64(h.expiry) - int64(n.seen), "payment_hash": h.hold.pre.Hash(),
	}})
}

// take does what a hook's answer says; why is what lightningd dies of.
func (n *simNode) take(h *simHTLC, raw json.RawMessage) (result, why string) {
	var r struct {
		Result  string `json:"result"`
		Message string `json:"failure_message"`
		Key     string `json:"payment_key"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return "", fmt.Sprintf("answer %s", raw)
	}
	switch r.Result {
	case "continue":
		return "continue", ""
	case "fail":
		if b, err := hex.DecodeString(r.Message); err != nil || len(b) != 2 && len(b) != 14 {
			return "", fmt.Sprintf("failure_message %q", r.Message)
		}
	case "resolve":
		if p, err := parsePreimage(r.Key); err != nil || p.Hash() != h.hold.pre.Hash() {
			return "", "payment_key of another payment"
		}
	default:
		return "", fmt.Sprintf("answer %s", raw)
	}
	return r.Result, ""
}

// finish stores what becomes of an HTLC; the peer hears of it when it is there.
func (n *simNode) finish(h *simHTLC, result string) {
	h.state, h.result, h.call, h.at = "SENT_REMOVE_HTLC", result, "", nil
}

// settleUp lets the peers that are connected answer every removal.
func (n *simNode) settleUp() {
	for _, ch := range n.chans {
		if !ch.up || ch.state != "CHANNELD_NORMAL" {
			continue
		}
		for _, h := range ch.htlcs {
			if h.state == "SENT_REMOVE_HTLC" {
				n.gone(h)
			}
		}
		ch.sweep()
	}
}

// gone ends an HTLC; what was claimed is booked.
func (n *simNode) gone(h *simHTLC) {
	h.state = "SENT_REMOVE_ACK_REVOCATION"
	if h.result == "resolve" {
		n.income[h.hold.pre.Hash()] += h.amount
		m := simMove{h.hold.pre.Hash(), h.amount, "invoice"}
		if h.ch.state == "ONCHAIN" {
			m.tag = "htlc_fulfill"
			n.chain = append(n.chain, m)
			return
		}
		n.moves = append(n.moves, m)
	}
}

// sweep moves what is gone to the history, which is short here.
func (ch *simChan) sweep() {
	ch.htlcs = slices.DeleteFunc(ch.htlcs, func(h *simHTLC) bool {
		if h.state != "SENT_REMOVE_ACK_REVOCATION" {
			return false
		}
		ch.past = append(ch.past, h)
		return true
	})
	if extra := len(ch.past) - 200; extra > 0 {
		ch.past = slices.Delete(ch.past, 0, extra)
	}
}

// deadlines does at a new block what the chain does to HTLCs.
func (n *simNode) deadlines() {
	for _, ch := range n.chans {
		for _, h := range ch.htlcs {
			left := int64(h.expiry) - int64(n.height)
			switch {
			case ch.state == "CHANNELD_NORMAL" && h.state == stateHeld && left < 0:
				ch.close() // the peer takes it back
			case ch.state == "CHANNELD_NORMAL" && h.state == "SENT_REMOVE_HTLC" && h.result == "resolve" && left <= 17:
				ch.close() // we claim it
			}
			if ch.state != "ONCHAIN" {
				continue
			}
			switch {
			case h.result == "resolve" && left > 0:
				n.gone(h)
			case left < -100:
				h.state = "SENT_REMOVE_ACK_REVOCATION" // forgotten
			}
		}
		ch.sweep()
		if ch.state == "ONCHAIN" && len(ch.htlcs) == 0 { // the peers open another one
			ch.renamed++
			ch.state, ch.up = "CHANNELD_NORMAL", true
			ch.name = fmt.Sprintf("%s.%d", strings.Split(ch.name, ".")[0], ch.renamed)
		}
	}
}

// close puts a channel on the chain.
func (ch *simChan) close() {
	ch.state = "ONCHAIN"
	for _, h := range ch.htlcs {
		h.hurt = true
	}
}

func (h *simHTLC) row() htlcRow {
	return htlcRow{
		Scid: h.ch.name, ID: h.id, Direction: "in", State: h.state,
		Amount: h.amount, Expiry: h.expiry, Hash: h.hold.pre.Hash(),
	}
}

// command is one RPC command of the node.
func (n *simNode) command(method string, p commandParams) (any, error) {
	switch method {
	case "getinfo":
		info := map[string]any{"blockheight": n.seen}
		if n.seen < n.height {
			info["warning_lightningd_sync"] = "Still loading latest blocks from bitcoind."
		}
		return info, nil
	case "plugin":
		return map[string]any{"plugins": []map[string]string{{"name": "/x/holdinvoice"}}}, nil
	case "makesecret":
		s := sha256.Sum256([]byte("seed" + p.Text))
		return map[string]string{"secret": hex.EncodeToString(s[:])}, nil
	case "wait":
		return map[string]any{"created": len(n.moves)}, nil
	case "invoice":
		return n.invoice(p)
	case "delinvoice":
		return n.delInvoice(p)
	case "listinvoices":
		list := []any{}
		for _, r := range n.rows {
			if p.Hash == nil || r.hash == *p.Hash {
				list = append(list, map[string]any{"label": r.label, "status": r.status})
			}
		}
		return map[string]any{"invoices": list}, nil
	case "datastore":
		n.alive[p.Key[1]] = p.Text
		return struct{}{}, nil
	case "deldatastore":
		delete(n.alive, p.Key[1])
		return struct{}{}, nil
	case "listdatastore":
		list := []any{}
		for h, s := range n.alive {
			list = append(list, map[string]any{"key": []string{datastoreRoot, h}, "string": s})
		}
		return map[string]any{"datastore": list}, nil
	}
	return n.books(method, p)
}

func (n *simNode) invoice(p commandParams) (any, error) {
	pre, err := parsePreimage(p.Preimage)
	if err != nil {
		return nil, clnio.Errorf(clnio.CodeInvalidParams, "preimage: %s", err)
	}
	for _, r := range n.rows {
		if r.label == p.Label {
			return nil, clnio.Errorf(codeLabelExists, "Duplicate label '%s'", p.Label)
		}
		if r.hash == pre.Hash() {
			return nil, clnio.Errorf(codePreimageExists, "preimage already used")
		}
	}
	ends := n.clock.wall.Unix() + p.Expiry
	n.rows = append(n.rows, simRow{p.Label, pre.Hash(), "unpaid", ends})
	return map[string]any{
		"payment_hash": pre.Hash(), "payment_secret": secretOf(pre), "bolt11": "lnbcrt" + pre.Hash().String(),
		"expires_at": ends,
	}, nil
}

func (n *simNode) delInvoice(p commandParams) (any, error) {
	for i := range n.rows {
		r := &n.rows[i]
		if r.label != p.Label {
			continue
		}
		if r.status == "unpaid" && n.clock.wall.Unix() > r.ends {
			r.status = "expired"
		}
		if r.status != p.Status {
			return nil, clnio.Errorf(906, "Invoice status is %s not %s", r.status, p.Status)
		}
		n.rows = slices.Delete(n.rows, i, i+1)
		return struct{}{}, nil
	}
	return nil, clnio.Errorf(codeUnknownLabel, "Unknown invoice")
}

// books are the commands that show HTLCs and money.
func (n *simNode) books(method string, p commandParams) (any, error) {
	switch method {
	case "listpeerchannels":
		list := []channel{}
		for _, ch := range n.chans {
			c := channel{State: ch.state, Scid: ch.name, HTLCs: []htlcRow{}}
			for _, h := range ch.htlcs {
				c.HTLCs = append(c.HTLCs, h.row())
			}
			list = append(list, c)
		}
		return map[string]any{"channels": list}, nil
	case "listhtlcs":
		rows := []htlcRow{}
		for _, ch := range n.chans {
			if p.Channel == "" || p.Channel == ch.name {
				for _, h := range slices.Concat(ch.past, ch.htlcs) {
					rows = append(rows, h.row())
				}
			}
		}
		return map[string]any{"htlcs": rows}, nil
	case "listchannelmoves":
		list := []any{}
		from := int(max(p.Start, 1)) - 1
		for i := from; i < len(n.moves) && i < from+movesAtOnce; i++ {
			m := n.moves[i]
			list = append(list, map[string]any{"created_index": i + 1, "credit_msat": m.credit, "primary_tag": m.tag, "payment_hash": m.hash})
		}
		return map[string]any{"channelmoves": list}, nil
	case "listchainmoves":
		list := []any{}
		for _, m := range n.chain {
			list = append(list, map[string]any{"credit_msat": m.credit, "primary_tag": m.tag, "payment_hash": m.hash})
		}
		return map[string]any{"chainmoves": list}, nil
	}
	return nil, clnio.Errorf(clnio.CodeMethodNotFound, "Unknown command '%s'", method)
}

// simEpoch is when every simulation begins.
var simEpoch = time.Unix(1_700_000_000, 0)
