package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

// chainHashes are the genesis hashes by which BOLT 12 names a chain, by lightningd's network name.
var chainHashes = map[string]string{
	"bitcoin":  "6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000",
	"testnet":  "43497fd7f826957108f4a30fd9cec3aeba79972084e90ead01ea330900000000",
	"testnet4": "43f08bdab050e35b567c864b91f47f50ae725ae2de53bcfbbaf284da00000000",
	"signet":   "f61eee3b63a380a477a063af32b2bbc97c9ff9f01f2c4225e973988108000000",
	"regtest":  "06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f",
}

// onChain reports whether the chains that an offer names include this network; none named is bitcoin (BOLT 12).
func onChain(network string, chains ...string) bool {
	if len(chains) == 0 {
		return network == "bitcoin"
	}
	for _, c := range chains {
		if chainHashes[network] != "" && strings.EqualFold(c, chainHashes[network]) {
			return true
		}
	}
	return false
}

// offerTerms reads an offer and says what it takes. A *orders.PayError is about the offer, any other error about us.
func (r *resolver) offerTerms(ctx context.Context, offer string) (lightning.Described, error) {
	d, err := r.node.Describe(ctx, offer)
	switch {
	case lightning.Illegible(err):
		return d, hopeless("the node cannot read the offer")
	case err != nil:
		return d, fmt.Errorf("read an offer: %w", err)
	}
	if why := r.offerProblem(d); why != "" {
		return d, hopeless(why)
	}
	return d, nil
}

// offerProblem is why no invoice of this offer can be paid by us, whatever the amount; else empty.
func (r *resolver) offerProblem(d lightning.Described) string {
	switch {
	case d.Type != "bolt12 offer" || !d.Valid:
		return "not a valid BOLT 12 offer"
	case !onChain(r.self.Network, d.Chains...):
		return "offer for another network"
	case d.OfferCurrency != "":
		return "offer in another currency"
	case d.OfferRecurring != nil:
		return "offer for recurring payments"
	case d.OfferExpiry != 0 && d.OfferExpiry <= uint64(r.now().Unix()):
		return "offer has expired"
	case d.OfferIssuer != "" && d.OfferIssuer == r.self.ID:
		return "offer of the exchange's own node"
	}
	return ""
}

// fetchFrom gets an invoice of exactly that amount from an offer, and judges it. Name is the BIP 353 name that led here.
func (r *resolver) fetchFrom(ctx context.Context, offer, name string, amount orders.Msats, note string) (resolved, error) {
	d, err := r.offerTerms(ctx, offer)
	if err != nil {
		return resolved{}, err
	}
	ask := lightning.Fetch{Offer: offer, Amount: amount, Note: note, Name: name}
	if d.OfferAmount != nil {
		if *d.OfferAmount != amount {
			return resolved{}, hopeless("the offer is for another amount")
		}
		ask.Amount = 0
	}
	if d.OfferQuantity != nil {
		ask.Quantity = 1
	}
	got, err := r.node.FetchInvoice(ctx, ask)
	if err != nil {
		return resolved{}, fetchError(err)
	}
	if why := changesProblem(got.Changes, amount); why != "" {
		return resolved{}, hopeless(why)
	}
	return r.judgeBolt12(ctx, got.Invoice, amount)
}

// Codes of fetchinvoice (Core Lightning docs).
const (
	codeOfferExpired = 1002
	codeOfferNoRoute = 1003
	codeOfferRefused = 1004
	codeOfferNoReply = 1005
)

// fetchError says what fetchinvoice's error means for another try. The payee's own words may tell who he is, so they
// are not repeated.
func fetchError(err error) error {
	var told *clnio.Error
	if !errors.As(err, &told) || told.Code == clnio.CodePluginTerminated || told.Code == clnio.CodeShuttingDown {
		return fmt.Errorf("fetch an invoice of an offer: %w", err)
	}
	switch told.Code {
	case codeOfferExpired:
		return hopeless("the offer has expired")
	case codeOfferNoRoute:
		return perhapsLater("no way to the offer's node")
	case codeOfferRefused:
		return perhapsLater("the offer's node refused to give an invoice")
	case codeOfferNoReply:
		return perhapsLater("the offer's node did not answer")
	case clnio.CodeInvalidParams:
		return hopeless("the node cannot use the offer")
	case clnio.CodeMethodNotFound:
		return hopeless("this node fetches no invoices of offers")
	}
	return perhapsLater(fmt.Sprintf("the node got no invoice for the offer (code %d)", told.Code))
}

// changesProblem judges in what an invoice differs from its offer. The amount is named as a change where the offer has
// none; another text of the description moves no money. Anything else is somebody else's invoice.
func changesProblem(changes map[string]json.RawMessage, amount orders.Msats) string {
	for name, raw := range changes {
		switch name {
		case "amount_msat":
			var is orders.Msats
			if json.Unmarshal(raw, &is) != nil || is != amount {
				return "the offer's invoice is for another amount"
			}
		case "description", "description_appended":
		default:
			return "the offer's invoice is not what was offered"
		}
	}
	return ""
}
