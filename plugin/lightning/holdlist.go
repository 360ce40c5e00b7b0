package lightning

import (
	"context"
	"strings"

	"github.com/mostro-cln/mostro/orders"
)

// holdLabel begins the label of every hold invoice that the exchange makes.
const holdLabel = "mostro/"

// listPage is how many hold invoices one call asks for.
const listPage = 200

// listedHold is one hold invoice in the plugin's list.
type listedHold struct {
	Hash  orders.Hash `json:"payment_hash"`
	Label string      `json:"label"`
	holdFound
	Created   uint64 `json:"created_index"`
	CreatedAt int64  `json:"created_at"` // unix seconds
}

// list returns the invoices with our label that can be paid, are held, or were settled. The Rust plugin has no list:
// nil.
func (p *holdPlugin) list(ctx context.Context) (all []listedHold, err error) {
	kind, err := p.Kind(ctx)
	if err != nil || kind != HoldOurs {
		return nil, err
	}
	for _, state := range []string{stateOpen, stateAccepted, stateSettling, stateSettled} {
		for from := uint64(0); ; {
			var page struct {
				Holds []listedHold `json:"holdinvoices"`
			}
			params := map[string]any{"state": state, "start": from, "limit": listPage}
			if err := p.call(ctx, "holdinvoicelist", params, &page); err != nil {
				return nil, err
			}
			for _, h := range page.Holds {
				from = max(from, h.Created+1)
				if strings.HasPrefix(h.Label, holdLabel) {
					all = append(all, h)
				}
			}
			if len(page.Holds) < listPage {
				break
			}
		}
	}
	return all, nil
}
