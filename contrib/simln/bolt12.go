package simln

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/btcutil/bech32"
)

// offer is a stand-in for a BOLT 12 offer or for an invoice that was fetched for one. The strings have the right
// prefix and alphabet and are known only to this node; what they mean stands in this row.
type offer struct {
	Offer       string // lno1… or lni1…
	Wallet      string
	Description string
	Amount      Msat // 0: the payer chooses
	BIP353      string
	Hash        string // of an invoice
	CreatedAt   uint64
	Expiry      uint64 // seconds, of an invoice
	Serial      int
}

func (o *offer) rowKey() string { return "offer/" + o.Offer }

func (n *Node) newOffer(prefix string, o *offer) (*offer, error) {
	seed := derive(n.secret, fmt.Sprintf("%s %s %s %d", prefix, o.Wallet, o.Hash, len(n.st.offers)))
	words, err := bech32.ConvertBits(seed[:], 8, 5, true)
	if err != nil {
		return nil, err
	}
	var s strings.Builder
	s.WriteString(prefix + "1")
	for _, w := range words {
		s.WriteByte("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[w]) // BOLT 12: bech32's alphabet without a checksum
	}
	o.Offer = s.String()
	n.st.offers[o.Offer] = o
	n.st.put(o)
	return o, nil
}

func (n *Node) cmdWalletOffer(c *command) (any, error) {
	w, err := n.wallet(c)
	if err != nil {
		return nil, err
	}
	o, err := n.newOffer("lno", &offer{Wallet: w.Name, Description: "offer of " + w.Name, Amount: c.msat("amount_msat"), BIP353: c.str("bip353")})
	if err != nil {
		return nil, err
	}
	return obj("offer", o.Offer), nil
}

// cmdFetchInvoice gets a new invoice at each call, as BOLT 12 does.
func (n *Node) cmdFetchInvoice(c *command) (any, error) {
	o := n.st.offers[strings.ToLower(c.str("offer"))]
	if o == nil || o.Hash != "" {
		return nil, failf(codeInvalidParams, "Unparsable offer: '%s'", c.str("offer"))
	}
	amount := o.Amount
	switch {
	case o.Amount == 0 && !c.has("amount_msat"):
		return nil, failf(codeInvalidParams, "amount_msat parameter required")
	case o.Amount > 0 && c.has("amount_msat"):
		return nil, failf(codeInvalidParams, "amount_msat parameter unnecessary")
	case o.Amount == 0:
		amount = c.msat("amount_msat")
	}
	w := n.st.wallets[o.Wallet]
	if w.Offline {
		return nil, failf(1003, "Timeout waiting for response")
	}
	i, err := n.newWalletInvoice(w, amount, o.Offer, o.Description, 7200)
	if err != nil {
		return nil, err
	}
	inv, err := n.newOffer("lni", &offer{Wallet: o.Wallet, Description: o.Description, Amount: amount, Hash: i.Hash, CreatedAt: n.unixNow(), Expiry: 7200})
	if err != nil {
		return nil, err
	}
	return obj("invoice", inv.Offer, "changes", obj()), nil
}

func (n *Node) cmdFetchBIP353(c *command) (any, error) {
	address := strings.TrimPrefix(c.str("address"), "₿")
	for _, id := range sortedKeys(n.st.offers) {
		if o := n.st.offers[id]; o.BIP353 != "" && o.BIP353 == address {
			return obj("proof", hexOf([]byte("proof of "+address)), "instructions", []*object{obj("description", o.Description, "offer", o.Offer)}), nil
		}
	}
	return nil, failf(-32700, "Failed to resolve BIP-353 address %s", address)
}

// offerAttempt pays a fetched invoice; an offer is fetched first, anew at each call.
func (n *Node) offerAttempt(c *command, o *offer) (*attempt, error) {
	if o.Hash == "" {
		fetch := &command{n: n, conn: c.conn, params: &params{values: map[string]jsonText{"offer": marshal(o.Offer)}}}
		if c.has("amount_msat") {
			fetch.values["amount_msat"] = c.values["amount_msat"]
		}
		got, err := n.cmdFetchInvoice(fetch)
		if err != nil {
			return nil, err
		}
		o = n.st.offers[got.(*object).values[0].(string)]
	} else if c.has("amount_msat") {
		return nil, failf(codeInvalidParams, "amount_msat unnecessary")
	}
	if now := n.unixNow(); now > o.CreatedAt+o.Expiry {
		return nil, failf(207, "Invoice expired %d seconds ago", now-o.CreatedAt-o.Expiry)
	}
	return &attempt{
		c: c, hash: o.Hash, invstring: o.Offer, payee: pubHex(n.walletKey(o.Wallet)), wallet: n.st.wallets[o.Wallet], amount: o.Amount,
		fee: n.cfg.FeeBase + o.Amount*Msat(n.cfg.FeePPM)/1_000_000,
	}, nil
}

// regtestHash is the genesis block of regtest, as BOLT 12 names a chain. No chain named is bitcoin.
const regtestHash = "06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"

func (n *Node) decodeOffer(o *offer) *object {
	regtest := n.cfg.Network == "regtest"
	if o.Hash == "" {
		return obj("type", "bolt12 offer", "offer_id", hashHex(o.Offer)).addIf(o.Amount > 0, "offer_amount_msat", o.Amount).
			addIf(regtest, "offer_chains", []any{regtestHash}).
			add("offer_description", o.Description).add("offer_issuer_id", pubHex(n.walletKey(o.Wallet))).add("valid", true)
	}
	return obj("type", "bolt12 invoice", "offer_id", hashHex(o.Wallet), "offer_description", o.Description,
		"offer_issuer_id", pubHex(n.walletKey(o.Wallet)), "invreq_metadata", hashHex("metadata "+o.Offer),
		"invreq_payer_id", n.id, "invreq_amount_msat", o.Amount, "invoice_paths", []any{}, "invoice_created_at", o.CreatedAt,
		"invoice_relative_expiry", o.Expiry, "invoice_payment_hash", o.Hash, "invoice_amount_msat", o.Amount,
		"invoice_node_id", pubHex(n.walletKey(o.Wallet)), "signature", strings.Repeat(hashHex(o.Offer), 2), "valid", true).
		addIf(regtest, "offer_chains", []any{regtestHash}).addIf(regtest, "invreq_chain", regtestHash)
}

func (n *Node) cmdDecode(c *command) (any, error) {
	s := strings.ToLower(strings.TrimPrefix(c.str("string"), "lightning:"))
	if o := n.st.offers[s]; o != nil {
		return n.decodeOffer(o), nil
	}
	b, err := DecodeInvoice(s)
	if err != nil {
		return nil, failf(codeInvalidParams, "Unparsable string: %v", err)
	}
	return b.object(), nil
}

// object is the invoice as Core Lightning's decode prints it.
func (inv *Invoice) object() *object {
	o := obj("type", "bolt11 invoice", "currency", inv.Prefix, "created_at", inv.CreatedAt, "expiry", inv.Expiry, "payee", hexOf(inv.Payee))
	o.addIf(inv.Amount > 0, "amount_msat", inv.Amount)
	if inv.Description != nil {
		o.add("description", *inv.Description)
	}
	if inv.DescriptionHash != nil {
		o.add("description_hash", hexOf(inv.DescriptionHash[:]))
	}
	o.add("min_final_cltv_expiry", inv.MinFinalCLTV)
	if inv.PaymentSecret != nil {
		o.add("payment_secret", hexOf(inv.PaymentSecret[:]))
	}
	o.addIf(len(inv.Features) > 0, "features", hexOf(inv.Features)).addIf(len(inv.Metadata) > 0, "payment_metadata", hexOf(inv.Metadata))
	if len(inv.Routes) > 0 {
		var routes [][]*object
		for _, hops := range inv.Routes {
			var route []*object
			for _, h := range hops {
				route = append(route, obj("pubkey", hex.EncodeToString(h.NodeID), "short_channel_id",
					fmt.Sprintf("%dx%dx%d", h.ShortChannelID>>40, h.ShortChannelID>>16&0xffffff, h.ShortChannelID&0xffff),
					"fee_base_msat", h.FeeBase, "fee_proportional_millionths", h.FeeProportional, "cltv_expiry_delta", h.CLTVDelta))
			}
			routes = append(routes, route)
		}
		o.add("routes", routes)
	}
	return o.add("payment_hash", hexOf(inv.PaymentHash[:])).add("signature", inv.signatureDER()).add("valid", true)
}
