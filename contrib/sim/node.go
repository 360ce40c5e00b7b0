package sim

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// node is lightningd as its plugins see it, and the Lightning network behind it. It forgets nothing in a crash but the
// calls that it was working on.
type node struct {
	w       *world
	session int    // which run of the node this is
	height  uint32 // of the chain as the node knows it
	top     uint32 // the highest that height ever was
	behind  bool   // it says that it is not in step with the chain
	dying   bool   // it is going down in the middle of this step

	channels []*channel
	htlcs    []*htlc // that are not gone
	history  []*htlc
	rows     map[string]*invoiceRow // by label
	data     map[string]string      // datastore: key → text
	moves    []move
	onChain  []move
	made     map[orders.Hash]*holdInvoice
	madeList []*holdInvoice
	arriving []*htlc // parts on their way to us
	serial   uint64

	bills    map[orders.Hash]*bill
	billList []*bill
	groups   uint64

	received, sent orders.Msats // of all holds and payouts
}

// invoiceRow is a row of the node's own invoices, which a hold invoice has for some moments.
type invoiceRow struct {
	label  string
	hash   orders.Hash
	status string // unpaid, paid
	amount orders.Msats
}

// move is a row of the node's books.
type move struct {
	hash   orders.Hash
	amount orders.Msats
}

const nodeID = "02aa00000000000000000000000000000000000000000000000000000000000001"

func newNode(w *world) *node {
	return &node{
		w: w, session: 1, height: 1000, top: 1000, rows: map[string]*invoiceRow{}, data: map[string]string{},
		made: map[orders.Hash]*holdInvoice{}, bills: map[orders.Hash]*bill{},
	}
}

// params are those of a command, however its caller wrote them.
type params map[string]any

func paramsOf(p any) params {
	switch p := p.(type) {
	case nil:
		return nil
	case map[string]any:
		return p
	case map[string]string:
		out := params{}
		for k, v := range p {
			out[k] = v
		}
		return out
	}
	panic(fmt.Sprintf("sim: parameters of type %T", p))
}

func (p params) text(name string) string {
	switch v := p[name].(type) {
	case nil:
		return ""
	case string:
		return v
	case []string:
		return strings.Join(v, "/")
	case encoding.TextMarshaler:
		b, _ := v.MarshalText() // keys and hashes: it cannot fail
		return string(b)
	}
	return fmt.Sprint(p[name])
}

func (p params) number(name string) int64 {
	switch v := p[name].(type) {
	case int:
		return int64(v)
	case int64:
		return v
	case uint64:
		return int64(v)
	case uint32:
		return int64(v)
	case orders.Msats:
		return int64(v)
	}
	return 0
}

func (p params) hash(name string) (h orders.Hash) {
	if err := h.UnmarshalText([]byte(p.text(name))); err != nil {
		return orders.Hash{}
	}
	return h
}

// fate is how a call goes.
type fate int

const (
	done     fate = iota
	notSent       // it never reached the node
	lostCall      // it was not done, and nobody can know
	lostWord      // it was done, and nobody can know
	lastWord      // it was done, and the caller dies before he hears of it
	lastWish      // the caller dies before it is done
)

var fateNames = [...]string{"", "not sent", "lost, not done", "answer lost, done", "done, then the caller dies", "the caller dies before it"}

// fares says how a call goes.
func (w *world) fares(what string) fate {
	if !w.trouble() {
		return done
	}
	f := []fate{notSent, notSent, lostCall, lostCall, lostWord, lostWord, lostWord, lastWord, lastWish}[w.rng.IntN(9)]
	w.fault(what + ": " + fateNames[f])
	return f
}

// rpc is the node's socket as one of its plugins has it.
type rpc struct {
	n    *node
	what string // "rpc" of the exchange, "rpc of the holder"
	dead func() bool
	die  func()
}

// Close has nothing to do.
func (r rpc) Close() error { return nil }

// Call implements the callers of both plugins.
func (r rpc) Call(_ context.Context, method string, p, result any) error {
	if r.dead() || r.n.dying {
		return fmt.Errorf("%s: %w", method, clnio.ErrNotSent)
	}
	f := r.n.w.fares(r.what)
	switch f {
	case notSent:
		return fmt.Errorf("%s: %w", method, clnio.ErrNotSent)
	case lostCall:
		return fmt.Errorf("%s: %w", method, clnio.ErrUnknownOutcome)
	case lastWish:
		r.die()
		return fmt.Errorf("%s: %w", method, clnio.ErrUnknownOutcome)
	}
	raw, err := r.n.command(method, paramsOf(p))
	switch {
	case f == lastWord:
		r.die()
		return fmt.Errorf("%s: %w", method, clnio.ErrUnknownOutcome)
	case f == lostWord || r.dead() || r.n.dying:
		return fmt.Errorf("%s: %w", method, clnio.ErrUnknownOutcome)
	case err != nil:
		return err
	case result == nil:
		return nil
	}
	if raw == nil {
		raw = []byte("{}")
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return fmt.Errorf("%s: %w: %w", method, clnio.ErrUnknownOutcome, err)
	}
	return nil
}

// command runs one command of the node or of its hold plugin.
func (n *node) command(method string, p params) (json.RawMessage, error) {
	switch method {
	case "getinfo":
		warning := ""
		if n.behind {
			warning = `,"warning_lightningd_sync":"Still loading latest blocks from bitcoind."`
		}
		return fmt.Appendf(nil, `{"id":%q,"alias":"sim","version":"v26.06.6","network":"regtest","blockheight":%d%s}`, nodeID, n.height, warning), nil
	case "makesecret":
		return fmt.Appendf(nil, `{"secret":"%x"}`, sum("secret", []byte(p.text("string")))), nil
	case "help":
		return []byte(`{"help":[]}`), nil
	case "plugin":
		return []byte(`{"plugins":[{"name":"/usr/libexec/holdinvoice","active":true}]}`), nil
	case "askrene-age":
		return nil, nil
	case "invoice", "delinvoice", "listinvoices":
		return n.invoices(method, p)
	case "datastore", "deldatastore", "listdatastore":
		return n.datastore(method, p)
	case "wait":
		return fmt.Appendf(nil, `{"subsystem":"channelmoves","created":%d}`, len(n.moves)), nil
	case "listpeerchannels":
		return n.listPeerChannels(), nil
	case "listhtlcs":
		return n.listHTLCs(p.text("id")), nil
	case "listchannelmoves":
		return n.listMoves(p.number("start")), nil
	case "listchainmoves":
		return n.listChainMoves(), nil
	case "decode":
		return n.decode(p.text("string"))
	case "listsendpays":
		return n.listSendPays(p.hash("payment_hash")), nil
	case "xpay":
		return n.xpay(p)
	}
	if strings.HasPrefix(method, "holdinvoice") {
		return n.w.plugin.command(method, p)
	}
	n.w.wrong("no-surprise", "the exchange called %s, which this node does not know", method)
	return nil, clnio.Errorf(clnio.CodeMethodNotFound, "Unknown command '%s'", method)
}

func (n *node) datastore(method string, p params) (json.RawMessage, error) {
	key := p.text("key")
	switch method {
	case "datastore":
		text := p.text("string")
		if h := p.text("hex"); h != "" {
			text = h
		}
		if p.text("mode") == "create-or-append" {
			text = n.data[key] + text
		}
		n.data[key] = text
		return nil, nil
	case "deldatastore":
		if _, ok := n.data[key]; !ok {
			return nil, clnio.Errorf(1200, "key does not exist")
		}
		delete(n.data, key)
		return nil, nil
	}
	type row struct {
		Key    []string `json:"key"`
		String string   `json:"string"`
		Hex    string   `json:"hex"`
	}
	list := []row{}
	if text, ok := n.data[key]; ok {
		list = append(list, row{strings.Split(key, "/"), text, text})
	} else {
		for k, text := range n.data {
			if strings.HasPrefix(k, key+"/") {
				list = append(list, row{strings.Split(k, "/"), text, text})
			}
		}
		slices.SortFunc(list, func(a, b row) int { return slices.Compare(a.Key, b.Key) })
	}
	return json.Marshal(map[string]any{"datastore": list})
}

// pass lets time go by at the node.
func (n *node) pass() {
	n.passPayouts()
	n.deliverParts()
	n.finishRemovals(false)
}

// clock is the world's time as the hold plugin sees it.
type clock struct{ w *world }

func (c clock) Now() time.Time                                            { return c.w.time() }
func (c clock) Elapsed() time.Duration                                    { return c.w.elapsed }
func (c clock) Wait(context.Context, <-chan struct{}, time.Duration) bool { return false }
func (c clock) Limit(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	return ctx, func() {}
}
