package lightning

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// Node is lightningd as we use it: the calls that we make, with the fields that we read.
//
// Two connections, because lightningd answers on one while it reads: quick reads must not wait behind a payment. Every
// error of a call is a *clnio.Error (the node's answer), or wraps clnio.ErrNotSent or clnio.ErrUnknownOutcome.
type Node struct {
	fast, slow Caller
}

// Caller makes one call of the node's RPC and reads its result; a *clnio.Client is one.
type Caller interface {
	Call(ctx context.Context, method string, params, result any) error
	Close() error
}

// How long we wait for the node to answer a read, and a call that may wait by itself.
const (
	fastWait = 20 * time.Second
	slowWait = 60 * time.Second
)

// NewNode returns a node behind the socket; it connects at the first call.
func NewNode(rpcFile string) *Node {
	return &Node{fast: clnio.NewClient(rpcFile), slow: clnio.NewClient(rpcFile)}
}

// NewNodeOver returns a node behind callers of another make: fast is for quick reads, slow for calls that wait. They may
// be the same.
func NewNodeOver(fast, slow Caller) *Node { return &Node{fast: fast, slow: slow} }

// Close ends both connections; calls that wait see clnio.ErrUnknownOutcome.
func (n *Node) Close() error { return errors.Join(n.fast.Close(), n.slow.Close()) }

func (n *Node) read(ctx context.Context, method string, params, result any) error {
	ctx, cancel := context.WithTimeout(ctx, fastWait)
	defer cancel()
	return n.fast.Call(ctx, method, params, result)
}

// wait makes a call that may take up to limit.
func (n *Node) wait(ctx context.Context, limit time.Duration, method string, params, result any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return n.slow.Call(ctx, method, params, result)
}

// Info is who the node is, how high its chain stands, and whether it is in step with it.
type Info struct {
	ID          string `json:"id"`
	Alias       string `json:"alias"`
	Version     string `json:"version"`
	Network     string `json:"network"`
	BlockHeight uint32 `json:"blockheight"`
	// Why the node is not to be trusted with a deadline yet; both empty when it is in step with the chain.
	BitcoindSync   string        `json:"warning_bitcoind_sync"`
	LightningdSync string        `json:"warning_lightningd_sync"`
	Addresses      []nodeAddress `json:"address"`
}

type nodeAddress struct {
	Type    string `json:"type"`
	Address string `json:"address"`
	Port    uint16 `json:"port"`
}

// Synced says that the node knows the present block height.
func (i *Info) Synced() bool { return i.BitcoindSync == "" && i.LightningdSync == "" }

// GetInfo asks who the node is and how high its chain.
func (n *Node) GetInfo(ctx context.Context) (Info, error) {
	var i Info
	return i, n.read(ctx, "getinfo", nil, &i)
}

// Version is a release of Core Lightning: year and month of v26.06.6. The zero value is "not known".
type Version struct{ Major, Minor int }

// ParseVersion reads what getinfo says: "v26.06.6", "26.06rc1", "v25.12-180-gabcdef-modded". Zero if it reads otherwise.
func ParseVersion(s string) Version {
	s = strings.TrimPrefix(strings.TrimSpace(s), "v")
	major, rest, ok := strings.Cut(s, ".")
	if !ok {
		return Version{}
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	ma, err1 := strconv.Atoi(major)
	mi, err2 := strconv.Atoi(rest[:end])
	if err1 != nil || err2 != nil || ma < 0 {
		return Version{}
	}
	return Version{ma, mi}
}

// AtLeast compares releases. A version that is not known counts as the oldest.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// Decoded is a string that a person gave us, as the node reads it.
type Decoded struct {
	Type        string        `json:"type"` // "bolt11 invoice", "bolt12 offer", …
	Valid       bool          `json:"valid"`
	Currency    string        `json:"currency"` // bolt11: "bc", "tb", "tbs", "bcrt"
	CreatedAt   int64         `json:"created_at"`
	Expiry      int64         `json:"expiry"` // seconds from created_at
	Payee       string        `json:"payee"`
	Amount      *orders.Msats `json:"amount_msat"`
	PaymentHash orders.Hash   `json:"payment_hash"`
	FinalCLTV   int64         `json:"min_final_cltv_expiry"`
}

// Decode reads an invoice or offer. What the node cannot read comes back as a *clnio.Error.
func (n *Node) Decode(ctx context.Context, text string) (Decoded, error) {
	var d Decoded
	return d, n.read(ctx, "decode", map[string]any{"string": text}, &d)
}

// Bolt11Currency has the currencies that a BOLT 11 invoice names, by lightningd's network name.
var Bolt11Currency = map[string]string{
	"bitcoin": "bc", "testnet": "tb", "testnet4": "tb", "signet": "tbs", "regtest": "bcrt",
}

// DecodePayout reads a buyer's invoice for the exchange. What is wrong with it stands in Problem, and is fit for a
// client to see; an error is the node's or the connection's and says nothing about the invoice.
func (n *Node) DecodePayout(ctx context.Context, self Info, bolt11 string) (orders.Invoice, error) {
	inv := orders.Invoice{Bolt11: bolt11}
	d, err := n.Decode(ctx, bolt11)
	var told *clnio.Error
	switch {
	case errors.As(err, &told) && told.Code == clnio.CodeInvalidParams:
		inv.Problem = "not an invoice"
		return inv, nil
	case err != nil:
		return inv, fmt.Errorf("decode a payout invoice: %w", err)
	case d.Type != "bolt11 invoice" || !d.Valid:
		inv.Problem = "not a valid BOLT 11 invoice"
		return inv, nil
	case d.Currency != Bolt11Currency[self.Network]:
		inv.Problem = "invoice for another network"
	case d.Payee == self.ID:
		inv.Problem = "invoice of the exchange's own node"
	}
	inv.Hash, inv.Expires, inv.CLTV = d.PaymentHash, d.CreatedAt+d.Expiry, d.FinalCLTV
	if d.Amount != nil {
		inv.Amount = *d.Amount
	}
	return inv, nil
}

// MakeSecret derives 32 bytes from the node's seed and a text; always the same for the same node.
func (n *Node) MakeSecret(ctx context.Context, text string) (Secret, error) {
	var r struct {
		Secret string `json:"secret"`
	}
	if err := n.read(ctx, "makesecret", map[string]any{"string": text}, &r); err != nil {
		return Secret{}, err
	}
	raw, err := hex.DecodeString(r.Secret)
	if err != nil || len(raw) != len(Secret{}) {
		return Secret{}, errors.New("makesecret: the node's answer is not 32 bytes of hex")
	}
	return Secret(raw), nil
}

// SignMessage signs a text with the node's key; the answer is zbase32, as `checkmessage` takes it.
func (n *Node) SignMessage(ctx context.Context, text string) (zbase string, err error) {
	var r struct {
		Zbase string `json:"zbase"`
	}
	return r.Zbase, n.read(ctx, "signmessage", map[string]any{"message": text}, &r)
}

// HasCommand says whether the node, or a plugin of it, knows a command.
func (n *Node) HasCommand(ctx context.Context, name string) (bool, error) {
	var r struct {
		Help []struct {
			Command string `json:"command"`
		} `json:"help"`
	}
	err := n.read(ctx, "help", map[string]any{"command": name}, &r)
	var told *clnio.Error
	if errors.As(err, &told) {
		return false, nil
	}
	return err == nil && len(r.Help) > 0, err
}

// sendpay is one part of an outgoing payment. GroupID exceeds 2^53.
type sendpay struct {
	CreatedIndex uint64       `json:"created_index"`
	GroupID      uint64       `json:"groupid"`
	PartID       uint64       `json:"partid"`
	PaymentHash  orders.Hash  `json:"payment_hash"`
	Status       string       `json:"status"` // pending, failed, complete
	Amount       orders.Msats `json:"amount_msat"`
	AmountSent   orders.Msats `json:"amount_sent_msat"`
	Preimage     string       `json:"payment_preimage"`
	CreatedAt    int64        `json:"created_at"`
	CompletedAt  int64        `json:"completed_at"`
}

// ListSendPays returns every part that the node ever sent for a payment hash.
func (n *Node) ListSendPays(ctx context.Context, hash orders.Hash) ([]sendpay, error) {
	var r struct {
		Payments []sendpay `json:"payments"`
	}
	return r.Payments, n.read(ctx, "listsendpays", map[string]any{"payment_hash": hash}, &r)
}

// pay is a payment of ours as a whole.
type pay struct {
	PaymentHash orders.Hash  `json:"payment_hash"`
	Status      string       `json:"status"` // pending, failed, complete
	Amount      orders.Msats `json:"amount_msat"`
	AmountSent  orders.Msats `json:"amount_sent_msat"`
	Preimage    string       `json:"preimage"`
	CompletedAt int64        `json:"completed_at"`
}

// ListPays returns the payments for a hash, one a group of parts.
func (n *Node) ListPays(ctx context.Context, hash orders.Hash) ([]pay, error) {
	var r struct {
		Pays []pay `json:"pays"`
	}
	return r.Pays, n.read(ctx, "listpays", map[string]any{"payment_hash": hash}, &r)
}

// nodeInvoice is an invoice in the node's own table.
type nodeInvoice struct {
	Label       string       `json:"label"`
	PaymentHash orders.Hash  `json:"payment_hash"`
	Status      string       `json:"status"` // unpaid, paid, expired
	Amount      orders.Msats `json:"amount_msat"`
	Received    orders.Msats `json:"amount_received_msat"`
	Bolt11      string       `json:"bolt11"`
	ExpiresAt   int64        `json:"expires_at"`
	PaidAt      int64        `json:"paid_at"`
}

// InvoiceByHash returns the node's invoice for a payment hash, or nil.
func (n *Node) InvoiceByHash(ctx context.Context, hash orders.Hash) (*nodeInvoice, error) {
	return n.invoice(ctx, map[string]any{"payment_hash": hash})
}

// InvoiceByLabel returns the node's invoice with a label, or nil.
func (n *Node) InvoiceByLabel(ctx context.Context, label string) (*nodeInvoice, error) {
	return n.invoice(ctx, map[string]any{"label": label})
}

func (n *Node) invoice(ctx context.Context, params map[string]any) (*nodeInvoice, error) {
	var r struct {
		Invoices []nodeInvoice `json:"invoices"`
	}
	if err := n.read(ctx, "listinvoices", params, &r); err != nil || len(r.Invoices) == 0 {
		return nil, err
	}
	return &r.Invoices[0], nil
}

// peerChannel is a channel with the HTLCs that hang in it.
type peerChannel struct {
	PeerID         string       `json:"peer_id"`
	PeerConnected  bool         `json:"peer_connected"`
	State          string       `json:"state"`
	ShortChannelID string       `json:"short_channel_id"`
	Spendable      orders.Msats `json:"spendable_msat"`
	Receivable     orders.Msats `json:"receivable_msat"`
	HTLCs          []peerHTLC   `json:"htlcs"`
}

type peerHTLC struct {
	Direction   string       `json:"direction"` // in, out
	ID          uint64       `json:"id"`
	Amount      orders.Msats `json:"amount_msat"`
	Expiry      uint32       `json:"expiry"` // block height
	PaymentHash orders.Hash  `json:"payment_hash"`
	State       string       `json:"state"`
}

// ListPeerChannels returns every channel.
func (n *Node) ListPeerChannels(ctx context.Context) ([]peerChannel, error) {
	var r struct {
		Channels []peerChannel `json:"channels"`
	}
	return r.Channels, n.read(ctx, "listpeerchannels", nil, &r)
}

// heldHTLCs are the incoming HTLCs of one payment hash that are really held.
type heldHTLCs struct {
	Count     int
	Amount    orders.Msats
	MinExpiry uint32 // lowest block height at which one of them ends
	Connected bool   // all their peers are connected
	Stranded  int    // further ones on channels that are closing: they show as held and are lost
}

// Held looks for incoming HTLCs that wait for a verdict. An HTLC on a channel that left CHANNELD_NORMAL still shows
// as waiting after its peer took it back on-chain, so it does not count.
func held(channels []peerChannel, hash orders.Hash) heldHTLCs {
	h := heldHTLCs{Connected: true}
	for _, c := range channels {
		for _, x := range c.HTLCs {
			if x.PaymentHash != hash || x.Direction != "in" || x.State != "RCVD_ADD_ACK_REVOCATION" {
				continue
			}
			if c.State != "CHANNELD_NORMAL" {
				h.Stranded++
				continue
			}
			if h.Count == 0 || x.Expiry < h.MinExpiry {
				h.MinExpiry = x.Expiry
			}
			h.Count++
			h.Amount += x.Amount
			h.Connected = h.Connected && c.PeerConnected
		}
	}
	return h
}

// pluginRow is a plugin that the node runs.
type pluginRow struct {
	Name    string `json:"name"` // path
	Active  bool   `json:"active"`
	Dynamic bool   `json:"dynamic"`
}

// ListPlugins returns the node's plugins.
func (n *Node) ListPlugins(ctx context.Context) ([]pluginRow, error) {
	var r struct {
		Plugins []pluginRow `json:"plugins"`
	}
	return r.Plugins, n.read(ctx, "plugin", map[string]any{"subcommand": "list"}, &r)
}

// configValue is one setting as listconfigs shows it.
type configValue struct {
	Text   string `json:"value_str"`
	Number *int64 `json:"value_int"`
	Set    bool   `json:"set"`
	Source string `json:"source"`
}

// Config returns a setting of lightningd or of a plugin; false if the node has none of that name.
func (n *Node) Config(ctx context.Context, name string) (configValue, bool, error) {
	var r struct {
		Configs map[string]configValue `json:"configs"`
	}
	err := n.read(ctx, "listconfigs", map[string]any{"config": name}, &r)
	var told *clnio.Error
	if errors.As(err, &told) {
		return configValue{}, false, nil
	}
	v, ok := r.Configs[name]
	return v, ok, err
}

// autocleanRow is what the node's cleaner does with one kind of record.
type autocleanRow struct {
	Enabled bool  `json:"enabled"`
	Age     int64 `json:"age"` // seconds
}

// AutocleanStatus returns what the cleaner deletes: "succeededpays", "paidinvoices", "expiredinvoices" and others.
func (n *Node) AutocleanStatus(ctx context.Context) (map[string]autocleanRow, error) {
	var r struct {
		Autoclean map[string]autocleanRow `json:"autoclean"`
	}
	return r.Autoclean, n.read(ctx, "autoclean-status", nil, &r)
}

// CurrencyRate asks the node's currencyrate plugin what one bitcoin costs (Core Lightning docs, lightning-currencyrate).
func (n *Node) CurrencyRate(ctx context.Context, code string) (float64, error) {
	var r struct {
		Rate float64 `json:"rate"`
	}
	err := n.read(ctx, "currencyrate", map[string]any{"currency": code}, &r)
	return r.Rate, err
}
