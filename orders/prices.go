package orders

import "math/big"

// Quote is the price of bitcoin in one currency.
type Quote struct {
	PerBTC int64 // millionths of a fiat unit for one bitcoin, more than 0
	AsOf   int64 // unix seconds
}

// maxPremium bounds the percentage by which a maker may depart from the market price, either way.
const maxPremium = 99

// satsFor converts fiat at a quote and a premium (percent), truncated toward zero:
//
//	fiat / price × 1e8 × (1 − premium/100)
//
// A positive premium means fewer sats for the same fiat, on sell and buy orders alike. Zero stands for an amount that
// cannot be: no quote, or more than there are sats.
func satsFor(fiat int64, q *Quote, premium int64) Sats {
	if q == nil || q.PerBTC <= 0 || fiat <= 0 {
		return 0
	}
	n := big.NewInt(fiat)
	n.Mul(n, big.NewInt(100_000_000))
	n.Mul(n, big.NewInt(1_000_000))
	n.Mul(n, big.NewInt(100-premium))
	n.Quo(n, new(big.Int).Mul(big.NewInt(q.PerBTC), big.NewInt(100)))
	if !n.IsInt64() || !Sats(n.Int64()).Valid() {
		return 0
	}
	return Sats(n.Int64())
}
