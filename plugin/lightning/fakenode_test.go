package lightning

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/internal/simtest"
)

// fakeNode is lightningd's RPC socket with a small world behind it: hold invoices of either plugin, incoming HTLCs, and
// outgoing payments. Like lightningd it refuses parameters that a command does not have, and a command outlives the
// connection that sent it.
type fakeNode struct {
	t    *testing.T
	path string

	mu       sync.Mutex
	version  string
	height   uint32
	sync     string // warning; empty: in step
	plugin   HoldKind
	holds    map[string]*fakeHold // payment hash
	htlcs    []peerHTLC
	chanOpen bool
	invoices map[string]map[string]any // bolt11 → what decode says
	rows     []map[string]any          // listsendpays
	pay      func(params map[string]json.RawMessage) (any, *clnio.Error)
	calls    []string // methods, in order
	last     map[string]map[string]json.RawMessage
	cut      string // this method's next reply is lost with its connection
}

// fakeHold is a hold invoice at the plugin and, for the Rust one, its row in the node.
type fakeHold struct {
	label, bolt11, state, reason string
	amount                       orders.Msats
	expiry                       int64
	preimage                     string
	proof                        int
	row                          string       // "", unpaid, paid
	missing                      orders.Msats // paid: received this much less
}

// fakeParams are the parameters of each command that we call (Core Lightning docs).
var fakeParams = map[string]string{
	"getinfo": "", "decode": "string", "makesecret": "hex string", "signmessage": "message", "help": "command",
	"listsendpays": "bolt11 payment_hash status index start limit", "listpays": "bolt11 payment_hash status index start limit",
	"listinvoices": "label invstring payment_hash offer_id index start limit", "delinvoice": "label status desconly",
	"listpeerchannels": "id short_channel_id", "plugin": "subcommand plugin directory options", "listconfigs": "config",
	"autoclean-status": "subsystem",
	"xpay":             "invstring amount_msat maxfee layers retry_for partial_msat maxdelay payer_note label localinvreqid",
	"pay":              "bolt11 amount_msat label riskfactor maxfeepercent retry_for maxdelay exemptfee localinvreqid exclude maxfee description partial_msat",
	"holdinvoice":      "amount_msat label description expiry fallbacks preimage cltv deschashonly exposeprivatechannels", "holdinvoicelookup": "payment_hash",
	"holdinvoicesettle": "payment_hash preimage timeout", "holdinvoicecancel": "payment_hash reason", "holdinvoice-version": "",
}

func newFakeNode(t *testing.T) *fakeNode {
	t.Helper()
	f := &fakeNode{
		t: t, path: filepath.Join(simtest.ShortDir(t), "lightning-rpc"), version: "v26.06.6", height: 1000, plugin: HoldOurs, chanOpen: true,
		holds: map[string]*fakeHold{}, invoices: map[string]map[string]any{}, last: map[string]map[string]json.RawMessage{},
	}
	l, err := net.Listen("unix", f.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	return f
}

// node is a Node on this socket.
func (f *fakeNode) node() *Node {
	n := NewNode(f.path)
	f.t.Cleanup(func() { n.Close() })
	return n
}

func (f *fakeNode) serve(c net.Conn) {
	defer c.Close()
	r, w := clnio.NewReader(c, 1<<20), clnio.NewWriter(c)
	for {
		raw, err := r.Next()
		if err != nil {
			return
		}
		var m clnio.Message
		if json.Unmarshal(raw, &m) != nil || m.Method == "" || len(m.ID) == 0 || len(m.Params) == 0 {
			f.t.Errorf("lightningd refuses %s", raw)
			return
		}
		go func() {
			result, wrong := f.do(m)
			f.mu.Lock()
			cut := f.cut == m.Method
			if cut {
				f.cut = ""
			}
			f.mu.Unlock()
			if cut {
				c.Close()
				return
			}
			reply := clnio.Message{ID: m.ID, Error: wrong}
			if wrong == nil {
				reply.Result, _ = json.Marshal(result)
			}
			w.Write(reply)
		}()
	}
}

func (f *fakeNode) do(m clnio.Message) (any, *clnio.Error) {
	var p map[string]json.RawMessage
	if err := json.Unmarshal(m.Params, &p); err != nil {
		return nil, clnio.Errorf(clnio.CodeInvalidParams, "params")
	}
	names, known := fakeParams[m.Method]
	f.mu.Lock()
	if strings.HasPrefix(m.Method, "holdinvoice") && (f.plugin == HoldNone || f.plugin == HoldRust && m.Method == "holdinvoice-version") {
		known = false
	}
	f.calls = append(f.calls, m.Method)
	f.last[m.Method] = p
	f.mu.Unlock()
	if !known {
		return nil, clnio.Errorf(clnio.CodeMethodNotFound, "Unknown command '%s'", m.Method)
	}
	for name := range p {
		if !slices.Contains(strings.Fields(names), name) {
			f.t.Errorf("%s has no parameter %q", m.Method, name)
			return nil, clnio.Errorf(clnio.CodeInvalidParams, "unknown parameter: %s", name)
		}
	}
	if m.Method == "xpay" || m.Method == "pay" {
		return f.pay(p)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.HasPrefix(m.Method, "holdinvoice") {
		return f.hold(m.Method, p)
	}
	return f.answer(m.Method, p)
}

func str(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	return s
}

// answer does the commands of the node itself.
func (f *fakeNode) answer(method string, p map[string]json.RawMessage) (any, *clnio.Error) {
	switch method {
	case "getinfo":
		info := map[string]any{"id": "02aa", "alias": "fake", "version": f.version, "network": "regtest", "blockheight": f.height, "address": []any{}}
		if f.sync != "" {
			info["warning_lightningd_sync"] = f.sync
		}
		return info, nil
	case "decode":
		d, ok := f.invoices[str(p["string"])]
		if !ok {
			return nil, clnio.Errorf(clnio.CodeInvalidParams, "string: not a bolt11 string")
		}
		return d, nil
	case "makesecret":
		sum := sha256.Sum256([]byte("seed" + str(p["string"])))
		return map[string]any{"secret": hex.EncodeToString(sum[:])}, nil
	case "signmessage":
		return map[string]any{"signature": "00", "recid": "01", "zbase": "d" + str(p["message"])}, nil
	case "help":
		if name := str(p["command"]); name == "xpay" || strings.HasPrefix(name, "holdinvoice") && f.plugin != HoldNone {
			return map[string]any{"help": []any{map[string]any{"command": name + " …"}}}, nil
		}
		return nil, clnio.Errorf(clnio.CodeInvalidParams, "Unknown command")
	case "listsendpays":
		return map[string]any{"payments": f.rows}, nil
	case "listpays":
		return map[string]any{"pays": []any{map[string]any{"payment_hash": p["payment_hash"], "status": "complete", "amount_msat": 1000, "amount_sent_msat": 1007}}}, nil
	case "listpeerchannels":
		state := "CHANNELD_NORMAL"
		if !f.chanOpen {
			state = "ONCHAIN"
		}
		return map[string]any{"channels": []any{map[string]any{"peer_id": "02bb", "peer_connected": true, "state": state, "htlcs": f.peerHTLCs()}}}, nil
	case "listinvoices":
		list := []any{}
		if h := f.holds[str(p["payment_hash"])]; h != nil && h.row != "" {
			row := map[string]any{"label": h.label, "payment_hash": p["payment_hash"], "status": h.row, "amount_msat": h.amount, "bolt11": h.bolt11}
			if h.row == "paid" {
				row["amount_received_msat"] = h.amount - h.missing
			}
			list = append(list, row)
		}
		return map[string]any{"invoices": list}, nil
	case "delinvoice":
		for _, h := range f.holds {
			if h.label == str(p["label"]) && h.row == str(p["status"]) {
				h.row = ""
				return map[string]any{}, nil
			}
		}
		return nil, clnio.Errorf(905, "Unknown invoice")
	case "plugin":
		return map[string]any{"plugins": []any{map[string]any{"name": "/p/holdinvoice", "active": true, "dynamic": false}}}, nil
	case "listconfigs":
		if str(p["config"]) != "cltv-final" {
			return nil, clnio.Errorf(clnio.CodeInvalidParams, "Unknown config option")
		}
		return map[string]any{"configs": map[string]any{"cltv-final": map[string]any{"value_int": 18, "source": "default"}}}, nil
	case "autoclean-status":
		return map[string]any{"autoclean": map[string]any{"succeededpays": map[string]any{"enabled": true, "cycle": 3600, "age": 60}}}, nil
	}
	return nil, clnio.Errorf(clnio.CodeInternal, "fake node has no %s", method)
}

func (f *fakeNode) peerHTLCs() []any {
	list := []any{}
	for _, x := range f.htlcs {
		list = append(list, map[string]any{"direction": x.Direction, "id": x.ID, "amount_msat": x.Amount, "expiry": x.Expiry, "payment_hash": x.PaymentHash, "state": x.State})
	}
	return list
}

// hold does the four commands as the plugin that is loaded does them.
func (f *fakeNode) hold(method string, p map[string]json.RawMessage) (any, *clnio.Error) {
	if method == "holdinvoice-version" {
		return map[string]any{"version": "1", "api": 1}, nil
	}
	if method == "holdinvoice" {
		return f.makeHold(p)
	}
	hash := str(p["payment_hash"])
	h := f.holds[hash]
	if h == nil {
		return f.refuse(3001, "payment_hash '%s' not found", hash)
	}
	switch method {
	case "holdinvoicelookup":
		found := map[string]any{"state": h.state}
		sum, lowest := f.sum(hash)
		if h.state == stateAccepted {
			found["htlc_expiry"] = lowest
		}
		if f.plugin == HoldOurs {
			found["held_msat"], found["proof_level"], found["reason"] = sum, h.proof, h.reason
		}
		return found, nil
	case "holdinvoicesettle":
		if f.plugin == HoldOurs && str(p["preimage"]) != h.preimage {
			f.t.Errorf("settle with another preimage")
		}
		if h.state != stateAccepted {
			return f.refuse(3002, "Holdinvoice is in wrong state: '%s'", h.state)
		}
		h.state = map[HoldKind]string{HoldOurs: stateSettling, HoldRust: stateSettled}[f.plugin]
	case "holdinvoicecancel":
		if h.state != stateOpen && h.state != stateAccepted {
			return f.refuse(3002, "Holdinvoice is in wrong state: '%s'", h.state)
		}
		h.state = stateCanceled
		f.drop(hash)
	}
	return map[string]any{"state": h.state}, nil
}

// refuse is an error as the plugin gives it: a real one, or the Rust plugin's result with a code in it.
func (f *fakeNode) refuse(code int, format string, args ...any) (any, *clnio.Error) {
	if f.plugin == HoldRust {
		return map[string]any{"code": -1, "message": fmt.Sprintf(format, args...)}, nil
	}
	return nil, clnio.Errorf(code, format, args...)
}

func (f *fakeNode) makeHold(p map[string]json.RawMessage) (any, *clnio.Error) {
	raw, err := hex.DecodeString(str(p["preimage"]))
	if err != nil || len(raw) != 32 {
		return f.refuse(clnio.CodeInvalidParams, "preimage: bad")
	}
	var amount orders.Msats
	if json.Unmarshal(p["amount_msat"], &amount) != nil {
		return f.refuse(clnio.CodeInvalidParams, "amount_msat: should be an integer")
	}
	var expiry int64
	if json.Unmarshal(p["expiry"], &expiry) != nil || len(p["cltv"]) == 0 {
		return f.refuse(clnio.CodeInvalidParams, "expiry or cltv: bad")
	}
	sum := sha256.Sum256(raw)
	hash := hex.EncodeToString(sum[:])
	if h := f.holds[hash]; h != nil {
		if f.plugin == HoldRust {
			return map[string]any{"code": 901, "message": "preimage already used"}, nil
		}
		if h.amount != amount || h.label != str(p["label"]) {
			return f.refuse(901, "preimage already used")
		}
		return map[string]any{"bolt11": h.bolt11, "payment_hash": hash}, nil
	}
	h := &fakeHold{label: str(p["label"]), bolt11: "lnbcrt" + hash[:8], state: stateOpen, amount: amount, expiry: expiry, preimage: str(p["preimage"])}
	if f.plugin == HoldRust {
		h.row = "unpaid"
	}
	f.holds[hash] = h
	return map[string]any{"bolt11": h.bolt11, "payment_hash": hash, "warning_capacity": "…"}, nil
}

func (f *fakeNode) sum(hash string) (amount orders.Msats, lowest uint32) {
	for _, x := range f.htlcs {
		if x.PaymentHash.String() == hash {
			amount += x.Amount
			if lowest == 0 || x.Expiry < lowest {
				lowest = x.Expiry
			}
		}
	}
	return amount, lowest
}

func (f *fakeNode) drop(hash string) {
	f.htlcs = slices.DeleteFunc(f.htlcs, func(x peerHTLC) bool { return x.PaymentHash.String() == hash })
}

// set changes the world under its lock.
func (f *fakeNode) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// pays locks parts of a payment to a hold invoice and has the plugin accept it.
func (f *fakeNode) pays(h orders.Hold, expiry uint32, parts ...orders.Msats) {
	f.set(func() {
		for i, amount := range parts {
			f.htlcs = append(f.htlcs, peerHTLC{Direction: "in", ID: uint64(i), Amount: amount, Expiry: expiry + uint32(i), PaymentHash: h.Hash, State: "RCVD_ADD_ACK_REVOCATION"})
		}
		f.holds[h.Hash.String()].state = stateAccepted
	})
}

func (f *fakeNode) count(method string) (n int) {
	f.set(func() {
		for _, c := range f.calls {
			if c == method {
				n++
			}
		}
	})
	return n
}

// testHold is a hold invoice of 10 060 sat with a preimage made of n.
func testHold(n byte) orders.Hold {
	p := orders.Preimage{n, 1, 2, 3}
	return orders.Hold{Hash: p.Hash(), Preimage: p, Amount: 10_060_000, State: orders.HoldOpen, Order: orders.OrderID{n}}
}
