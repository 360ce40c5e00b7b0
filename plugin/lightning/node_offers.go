package lightning

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// offerWait is how long we let the node fetch an invoice over onion messages, nameWait how long it may take to resolve
// a name. Each is the node's own limit; we wait a little longer for its answer.
const (
	offerWait = 40 * time.Second
	nameWait  = 8 * time.Second
	graceWait = 5 * time.Second
)

// Described is what `decode` says of any text that can lead to a payment (Core Lightning docs, lightning-decode).
// Which fields are there depends on Type.
type Described struct {
	Decoded
	DescriptionHash *orders.Hash `json:"description_hash"` // bolt11 invoice

	// Of a bolt12 offer.
	Chains         []string      `json:"offer_chains"` // genesis hashes; none: bitcoin only
	OfferCurrency  string        `json:"offer_currency"`
	OfferAmount    *orders.Msats `json:"offer_amount_msat"`
	OfferExpiry    uint64        `json:"offer_absolute_expiry"` // unix seconds; 0 never
	OfferQuantity  *uint64       `json:"offer_quantity_max"`
	OfferIssuer    string        `json:"offer_issuer_id"`
	OfferRecurring *struct{}     `json:"offer_recurrence"`

	// Of a bolt12 invoice.
	InvoiceChain   string        `json:"invreq_chain"` // genesis hash; none: bitcoin
	InvoiceHash    orders.Hash   `json:"invoice_payment_hash"`
	InvoiceAmount  *orders.Msats `json:"invoice_amount_msat"`
	InvoiceCreated int64         `json:"invoice_created_at"`
	InvoiceExpiry  *int64        `json:"invoice_relative_expiry"` // seconds
	InvoiceNode    string        `json:"invoice_node_id"`
	InvoicePaths   []struct {
		PayInfo struct {
			CLTVDelta int64 `json:"cltv_expiry_delta"` // blocks, of the whole path
		} `json:"payinfo"`
	} `json:"invoice_paths"`
}

// Describe reads an invoice or offer. See Illegible for an error that is about the text.
func (n *Node) Describe(ctx context.Context, text string) (Described, error) {
	var d Described
	return d, n.read(ctx, "decode", map[string]any{"string": text}, &d)
}

// Illegible reports whether an error of Describe is about the text and not about the node: it cannot read it, or reads
// amounts or times in it that no payment can have.
func Illegible(err error) bool {
	var told *clnio.Error
	var shape *json.UnmarshalTypeError
	return errors.As(err, &told) && told.Code == clnio.CodeInvalidParams || errors.As(err, &shape)
}

// bolt12Life is the life of a BOLT 12 invoice that names none, seconds.
const bolt12Life = 7200

// due is what an invoice of either kind asks for.
type due struct {
	Hash    orders.Hash
	Amount  *orders.Msats // nil: the payer chooses
	Expires int64         // unix seconds
}

// Due reads the invoice out of what `decode` said. Not ok: it is no invoice, or not a valid one.
func (d *Described) Due() (inv due, ok bool) {
	switch d.Type {
	case "bolt11 invoice":
		inv = due{d.PaymentHash, d.Amount, d.CreatedAt + d.Expiry}
	case "bolt12 invoice":
		life := int64(bolt12Life)
		if d.InvoiceExpiry != nil {
			life = *d.InvoiceExpiry
		}
		inv = due{d.InvoiceHash, d.InvoiceAmount, d.InvoiceCreated + life}
	}
	return inv, d.Valid && !inv.Hash.IsZero()
}

// Fetch is a request for an invoice of an offer.
type Fetch struct {
	Offer    string
	Amount   orders.Msats // 0: the offer has its own
	Quantity uint64       // 0: the offer knows none
	Note     string       // shown to the payee; may be empty
	Name     string       // BIP 353 name that led to the offer; may be empty
}

// Fetched is the invoice that an offer gave.
type Fetched struct {
	Invoice string `json:"invoice"` // lni1…
	// Changes is what the invoice says otherwise than the offer, by name.
	Changes map[string]json.RawMessage `json:"changes"`
}

// FetchInvoice asks an offer's node for an invoice; each call gets another one, and none of them costs anything before
// it is paid. Codes of its *clnio.Error: 1002 expired, 1003 no way to the node, 1004 it refused, 1005 no answer.
func (n *Node) FetchInvoice(ctx context.Context, f Fetch) (Fetched, error) {
	params := map[string]any{"offer": f.Offer, "timeout": int(offerWait / time.Second)}
	if f.Amount != 0 {
		params["amount_msat"] = f.Amount
	}
	if f.Quantity != 0 {
		params["quantity"] = f.Quantity
	}
	if f.Note != "" {
		params["payer_note"] = f.Note
	}
	if f.Name != "" {
		params["bip353"] = f.Name
	}
	var r Fetched
	return r, n.wait(ctx, offerWait+graceWait, "fetchinvoice", params, &r)
}

// instruction is one way to pay that a BIP 353 name gives.
type instruction struct {
	Offer  string        `json:"offer"`
	Amount *orders.Msats `json:"offchain_amount_msat"`
}

// FetchBIP353 resolves user@domain through DNS with proofs. A name that has no record is a *clnio.Error, as is a
// node without the command (before v25.09).
func (n *Node) FetchBIP353(ctx context.Context, name string) ([]instruction, error) {
	var r struct {
		Instructions []instruction `json:"instructions"`
	}
	return r.Instructions, n.wait(ctx, nameWait, "fetchbip353", map[string]any{"address": name}, &r)
}
