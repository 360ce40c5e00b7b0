package hold

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// fakeNode is as much of lightningd as a hold-invoice plugin can see: commands, HTLCs that
// wait for their hook's answer, and the books. It checks each answer as strictly as the
// original, which stops itself on one that it does not understand.
type fakeNode struct {
	t *testing.T

	mu      sync.Mutex
	height  uint32
	behind  bool
	rows    map[string]*fakeRow // label → invoice row
	store   map[string]string   // datastore
	htlcs   []*fakeHTLC
	moves   []map[string]any
	broken  map[string]error // method → what it answers instead
	calls   map[string]int
	notes   []StateNote
	logs    []string
	changed chan struct{}
	serial  int
	answers map[string]clnio.Message // id → answer of a command
	extra   []string                 // commands of other plugins
	noMoves bool                     // older than v25.09
	sticky  bool                     // delinvoice says yes and does nothing
	chain   []map[string]any         // listchainmoves
}

type fakeRow struct {
	hash   Hash
	pre    string
	status string
}

// fakeHTLC is one incoming HTLC.
type fakeHTLC struct {
	Scid    string
	ID      uint64
	Amount  Msat
	Expiry  Height
	Hash    Hash
	State   string
	Channel string
	Params  map[string]any // of the hook
	Call    string         // raw id of the call that waits
	Result  string         // "resolve", "400f…", "0017", "2002" or "continue"
}

func newFakeNode(t *testing.T) *fakeNode {
	return &fakeNode{
		t: t, height: 1000, rows: map[string]*fakeRow{}, store: map[string]string{},
		broken: map[string]error{}, calls: map[string]int{}, changed: make(chan struct{}),
		answers: map[string]clnio.Message{},
	}
}

// stir wakes those who wait for something; the caller holds n.mu.
func (n *fakeNode) stir() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// until waits for a condition, which runs with n.mu held.
func (n *fakeNode) until(what string, cond func() bool) {
	n.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		n.mu.Lock()
		ok, changed := cond(), n.changed
		n.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit:
			n.mu.Lock()
			defer n.mu.Unlock()
			n.t.Fatalf("never came: %s\nlog:\n%s", what, strings.Join(n.logs, "\n"))
		}
	}
}

// logged says whether a line holds all the words; the caller holds n.mu.
func (n *fakeNode) logged(words ...string) bool {
	return slices.ContainsFunc(n.logs, func(line string) bool {
		for _, w := range words {
			if !strings.Contains(line, w) {
				return false
			}
		}
		return true
	})
}

// Call is the node's socket without the socket.
func (n *fakeNode) Call(ctx context.Context, method string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	n.mu.Lock()
	out, err := n.command(method, raw)
	n.mu.Unlock()
	if err != nil || result == nil {
		return err
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, result)
}

type commandParams struct {
	Label, Preimage, Status, Scid string
	Amount                        uint64 `json:"amount_msat"`
	Expiry                        int64
	CLTV                          uint32
	Hash                          *Hash  `json:"payment_hash"`
	Channel                       string `json:"id"`
	Key                           []string
	Text                          string `json:"string"`
	Start                         uint64
}

// command runs one command; the caller holds n.mu.
func (n *fakeNode) command(method string, params json.RawMessage) (any, error) {
	n.calls[method]++
	defer n.stir()
	if err := n.broken[method]; err != nil {
		return nil, err
	}
	var p commandParams
	if err := json.Unmarshal(params, &p); err != nil && string(params) != "null" {
		return nil, clnio.Errorf(clnio.CodeInvalidParams, "%s: %s", method, err)
	}
	switch method {
	case "getinfo":
		info := map[string]any{"blockheight": n.height, "id": "02ab"}
		if n.behind {
			info["warning_lightningd_sync"] = "Still loading latest blocks from bitcoind."
		}
		return info, nil
	case "help":
		list := []map[string]string{{"command": "holdinvoicelookup payment_hash"}, {"command": "getinfo"}}
		for _, c := range n.extra {
			list = append(list, map[string]string{"command": c})
		}
		return map[string]any{"help": list}, nil
	case "plugin":
		return map[string]any{"plugins": []map[string]string{{"name": "/x/holdinvoice"}}}, nil
	case "makesecret":
		s := sha256.Sum256([]byte("seed" + p.Text))
		return map[string]string{"secret": hex.EncodeToString(s[:])}, nil
	case "wait":
		return map[string]any{"subsystem": "channelmoves", "created": len(n.moves)}, nil
	case "invoice", "delinvoice", "listinvoices":
		return n.invoices(method, p)
	case "datastore":
		n.store[strings.Join(p.Key, "/")] = p.Text
		return map[string]any{}, nil
	case "deldatastore":
		delete(n.store, strings.Join(p.Key, "/"))
		return map[string]any{}, nil
	case "listdatastore":
		list := []map[string]any{}
		for k, v := range n.store {
			list = append(list, map[string]any{"key": strings.Split(k, "/"), "string": v})
		}
		return map[string]any{"datastore": list}, nil
	case "listpeerchannels":
		return n.listPeerChannels(), nil
	case "listhtlcs":
		list := []any{}
		for _, h := range n.htlcs {
			if p.Channel == "" || h.Scid == p.Channel {
				list = append(list, h.row())
			}
		}
		return map[string]any{"htlcs": list}, nil
	case "listchannelmoves":
		if n.noMoves {
			break
		}
		list := n.moves[min(len(n.moves), int(max(p.Start, 1)-1)):]
		return map[string]any{"channelmoves": list}, nil
	case "listchainmoves":
		return map[string]any{"chainmoves": n.chain}, nil
	}
	return nil, clnio.Errorf(clnio.CodeMethodNotFound, "Unknown command '%s'", method)
}

func (n *fakeNode) invoices(method string, p commandParams) (any, error) {
	switch method {
	case "invoice":
		if n.rows[p.Label] != nil {
			return nil, clnio.Errorf(900, "Duplicate label '%s'", p.Label)
		}
		pre, err := parsePreimage(p.Preimage)
		if err != nil {
			return nil, clnio.Errorf(clnio.CodeInvalidParams, "preimage: %s", err)
		}
		for _, r := range n.rows {
			if r.hash == pre.Hash() {
				return nil, clnio.Errorf(901, "preimage already used")
			}
		}
		n.rows[p.Label] = &fakeRow{pre.Hash(), p.Preimage, "unpaid"}
		if p.Expiry == 0 {
			p.Expiry = 604800
		}
		return map[string]any{
			"payment_hash": pre.Hash(), "payment_secret": secretOf(pre), "bolt11": "lnbcrt" + pre.Hash().String()[:10],
			"expires_at": time.Now().Unix() + p.Expiry, "created_index": len(n.rows), "warning_deadends": "no peers",
		}, nil
	case "delinvoice":
		r := n.rows[p.Label]
		if r == nil {
			return nil, clnio.Errorf(905, "Unknown invoice")
		}
		if r.status != p.Status {
			return nil, clnio.Errorf(906, "Invoice status is %s not %s", r.status, p.Status)
		}
		if !n.sticky {
			delete(n.rows, p.Label)
		}
		return map[string]any{"label": p.Label}, nil
	}
	list := []any{}
	for label, r := range n.rows {
		if p.Hash != nil && r.hash == *p.Hash {
			list = append(list, map[string]any{"label": label, "status": r.status, "payment_hash": r.hash})
		}
	}
	return map[string]any{"invoices": list}, nil
}

// secretOf is Core Lightning's rule for the payment secret of its own invoices.
func secretOf(p Preimage) Secret {
	p[0] ^= 1
	return sha256.Sum256(p[:])
}

func (h *fakeHTLC) row() map[string]any {
	return map[string]any{
		"short_channel_id": h.Scid, "id": h.ID, "direction": "in", "state": h.State,
		"amount_msat": h.Amount, "expiry": h.Expiry, "payment_hash": h.Hash,
	}
}

func (n *fakeNode) listPeerChannels() any {
	list := []any{}
	for _, h := range n.htlcs {
		if h.State == "SENT_REMOVE_ACK_REVOCATION" { // gone, and its channel is still there
			list = append(list, map[string]any{"state": h.Channel, "short_channel_id": h.Scid, "htlcs": []any{}})
			continue
		}
		row := h.row()
		delete(row, "short_channel_id")
		list = append(list, map[string]any{"state": h.Channel, "short_channel_id": h.Scid, "htlcs": []any{row}})
	}
	return map[string]any{"channels": list}
}

// Write takes what the plugin says: answers, log lines, notifications.
func (n *fakeNode) Write(v any) error {
	var b bytes.Buffer
	if err := clnio.NewWriter(&b).Write(v); err != nil {
		return err
	}
	var m clnio.Message
	if err := json.Unmarshal(b.Bytes(), &m); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	defer n.stir()
	switch {
	case m.Method == "log":
		var p struct{ Level, Message string }
		json.Unmarshal(m.Params, &p)
		n.logs = append(n.logs, p.Level+" "+p.Message)
	case m.Method == Topic:
		note, ok := readNote(m.Params)
		if !ok {
			n.t.Errorf("notification cannot be read: %s", m.Params)
		}
		n.notes = append(n.notes, note)
	case len(m.ID) > 0:
		for _, h := range n.htlcs {
			if h.Call == string(m.ID) {
				h.Call = ""
				n.apply(h, m)
				return nil
			}
		}
		n.answers[string(m.ID)] = m
	}
	return nil
}

// apply does what a hook's answer says, and fails the test where lightningd would stop.
func (n *fakeNode) apply(h *fakeHTLC, m clnio.Message) {
	var r struct {
		Result  string `json:"result"`
		Message string `json:"failure_message"`
		Key     string `json:"payment_key"`
	}
	if err := json.Unmarshal(m.Result, &r); err != nil || m.Error != nil {
		n.t.Errorf("node down: hook answered %s, error %v", m.Result, m.Error)
		return
	}
	switch r.Result {
	case "continue":
		h.Result = "continue"
	case "fail":
		b, err := hex.DecodeString(r.Message)
		if err != nil || len(b) != 2 && len(b) != 14 {
			n.t.Errorf("node down: failure_message %q", r.Message)
		}
		h.Result = r.Message
	case "resolve":
		p, err := parsePreimage(r.Key)
		if err != nil {
			n.t.Errorf("node down: payment_key %q", r.Key)
		}
		h.Result = "resolve"
		if p.Hash() != h.Hash {
			h.Result = "wrong preimage"
			n.t.Errorf("resolved with a wrong preimage")
		}
	default:
		n.t.Errorf("node down: hook answered %s", m.Result)
	}
	h.State = "SENT_REMOVE_HTLC"
}

// finish lets every removal reach its end, as when the peer answered: the books follow.
func (n *fakeNode) finish() {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer n.stir()
	for _, h := range n.htlcs {
		if h.State != "SENT_REMOVE_HTLC" {
			continue
		}
		h.State = "SENT_REMOVE_ACK_REVOCATION"
		if h.Result == "resolve" {
			n.moves = append(n.moves, map[string]any{
				"created_index": len(n.moves) + 1, "credit_msat": h.Amount, "debit_msat": 0,
				"primary_tag": "invoice", "payment_hash": h.Hash,
			})
		}
	}
}

// pay adds one HTLC as an honest payer's node makes it, mended by the test.
func (n *fakeNode) pay(p Preimage, amount, total Msat, cltv Height, mend ...func(h *fakeHTLC, onion map[string]any)) *fakeHTLC {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &fakeHTLC{
		Scid: "125x1x0", ID: uint64(len(n.htlcs)), Amount: amount, Hash: p.Hash(),
		Expiry: Height(n.height) + cltv, State: stateHeld, Channel: "CHANNELD_NORMAL",
	}
	onion := map[string]any{
		"payload": "2f02", "type": "tlv", "forward_msat": amount, "outgoing_cltv_value": h.Expiry,
		"total_msat": total, "payment_secret": secretOf(p), "next_onion": "0002", "shared_secret": "15",
	}
	for _, m := range mend {
		m(h, onion)
	}
	h.Params = map[string]any{"peer_id": "03dd", "onion": onion, "htlc": map[string]any{
		"short_channel_id": h.Scid, "id": h.ID, "amount_msat": h.Amount, "cltv_expiry": h.Expiry,
		"cltv_expiry_relative": int64(h.Expiry) - int64(n.height), "payment_hash": h.Hash,
	}}
	n.htlcs = append(n.htlcs, h)
	return h
}

// ask gives the HTLC's hook call a new id and returns the request.
func (n *fakeNode) ask(h *fakeHTLC) clnio.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.serial++
	h.Call = fmt.Sprintf(`"cln:htlc_accepted#%d"`, n.serial)
	params, err := json.Marshal(h.Params)
	if err != nil {
		n.t.Fatal(err)
	}
	return clnio.Message{ID: json.RawMessage(h.Call), Method: "htlc_accepted", Params: params}
}

// serve opens the node's socket in dir.
func (n *fakeNode) serve(dir string) {
	ln, err := net.Listen("unix", filepath.Join(dir, "lightning-rpc"))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go n.converse(conn)
		}
	}()
}

func (n *fakeNode) converse(conn net.Conn) {
	defer conn.Close()
	r, w := clnio.NewReader(conn, 1<<20), clnio.NewWriter(conn)
	for {
		raw, err := r.Next()
		if err != nil {
			return
		}
		var m clnio.Message
		if err := json.Unmarshal(raw, &m); err != nil {
			return
		}
		n.mu.Lock()
		out, err := n.command(m.Method, m.Params)
		n.mu.Unlock()
		reply := clnio.Message{ID: m.ID}
		if err != nil {
			if !errors.As(err, &reply.Error) {
				return // the connection breaks
			}
		} else {
			reply.Result, _ = json.Marshal(out)
		}
		w.Write(reply)
	}
}
