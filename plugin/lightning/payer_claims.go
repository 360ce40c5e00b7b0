package lightning

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/orders/planted"
)

// Claim implements orders.Payer with the node's datastore: key ["mostro", "payouts", order id], value the payment hashes
// one after the other. The node's own database is never put back from a backup, so it remembers what a store of ours
// that was put back does not.
func (p *Payer) Claim(ctx context.Context, order orders.OrderID, hash orders.Hash) (others []orders.Hash, err error) {
	key := []string{"mostro", "payouts", order.String()}
	var found struct {
		Datastore []struct {
			Key []string `json:"key"`
			Hex string   `json:"hex"`
		} `json:"datastore"`
	}
	if err := p.node.read(ctx, "listdatastore", map[string]any{"key": key}, &found); err != nil {
		return nil, fmt.Errorf("read the payouts of order %s: %w", order, err)
	}
	known := false
	for _, d := range found.Datastore {
		raw, err := hex.DecodeString(d.Hex)
		if err != nil || len(raw)%len(hash) != 0 || !slices.Equal(d.Key, key) {
			return nil, fmt.Errorf("the node's datastore has no payment hashes under mostro/payouts/%s", order)
		}
		for part := range slices.Chunk(raw, len(hash)) {
			if h := orders.Hash(part); h == hash {
				known = true
			} else if !slices.Contains(others, h) {
				others = append(others, h)
			}
		}
	}
	if known || planted.On("claim-forgotten") {
		return others, nil
	}
	note := map[string]any{"key": key, "hex": hash.String(), "mode": "create-or-append"}
	if err := p.node.read(ctx, "datastore", note, nil); err != nil {
		return nil, fmt.Errorf("note a payout of order %s: %w", order, err)
	}
	return others, nil
}
