package prices

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// NodeRate asks the node what one bitcoin costs, in units of the currency: the RPC `currencyrate` of Core Lightning
// 26.04 and later, {"rate":67889.825}. Code is in upper case.
type NodeRate func(ctx context.Context, code string) (float64, error)

// maxNodeCodes bounds what we ask the node for: it asks its own sources on the web for each, and goes on asking them
// for hours afterwards.
const maxNodeCodes = 12

// nodeCodes are asked for where the exchange does not say which currencies it takes.
var nodeCodes = []string{"USD", "EUR", "GBP", "JPY", "CAD", "AUD", "CHF", "BRL"}

// Node is the source "cln": the node's own currencyrate plugin. Of codes the first dozen is asked for, or a few
// currencies of the world if there are none. A currency that the node does not know is passed over; only when it knows
// none of them, as an older node does, the source fails.
//
// The node keeps a price for up to an hour (Core Lightning, currencyrate plugin), and does not say how old it is. So
// this source confirms what others say; alone it makes no price that is fresh enough for the default limit.
func Node(rate NodeRate, codes []string) Source {
	if len(codes) == 0 {
		codes = nodeCodes
	}
	codes = slices.Clone(codes[:min(len(codes), maxNodeCodes)])
	return Source{
		ID: "cln", Tries: 2, Lag: time.Hour,
		Fetch: func(ctx context.Context) (Answer, error) {
			a := Answer{PerBTC: map[string]Price{}}
			var failed []error
			for _, code := range codes {
				f, err := rate(ctx, code)
				if err != nil {
					failed = append(failed, fmt.Errorf("%s: %w", code, err))
				} else if p, err := ParsePrice(strconv.FormatFloat(f, 'f', -1, 64)); err == nil {
					a.PerBTC[code] = p
				}
				if ctx.Err() != nil {
					break
				}
			}
			if len(a.PerBTC) == 0 {
				return Answer{}, errors.Join(failed...)
			}
			return a, nil
		},
	}
}
