package prices

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/mostro-cln/mostro/orders"
)

// What Sats refuses.
var (
	ErrPremium = errors.New("premium must lie between -100 and 100 percent")
	ErrAmount  = errors.New("amount in sats out of range")
)

// Sats converts a fiat amount, in whole units, to sats at a price, with a premium in percent:
//
//	trunc(fiat / price × 100 000 000 × (1 − premium/100))
//
// A positive premium lowers the sats, so the seller gets more fiat for a bitcoin (Mostro protocol, "premium"). The value
// is exact; a server that computes it in floats can differ by one sat where the exact value is whole.
//
// The premium lies strictly between −100 and 100: at 100 the sats would be given away for nothing, below −100 the seller
// would pay more than twice. Otherwise ErrPremium. Nothing to convert, a price that is none, and a result below one sat
// or above what fits (orders.MaxSats) are ErrAmount.
func Sats(fiat int64, price Price, premium int64) (orders.Sats, error) {
	if premium <= -100 || premium >= 100 {
		return 0, fmt.Errorf("%w: got %d", ErrPremium, premium)
	}
	if fiat <= 0 || !price.Valid() {
		return 0, ErrAmount
	}
	const satsPerBTC = 100_000_000
	n := big.NewInt(fiat)
	n.Mul(n, big.NewInt(satsPerBTC*perUnit))
	n.Mul(n, big.NewInt(100-premium))
	n.Quo(n, new(big.Int).Mul(big.NewInt(int64(price)), big.NewInt(100)))
	if !n.IsInt64() || n.Sign() == 0 || !orders.Sats(n.Int64()).Valid() {
		return 0, ErrAmount
	}
	return orders.Sats(n.Int64()), nil
}
