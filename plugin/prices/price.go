package prices

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Price is what one bitcoin costs, in millionths of a unit of the currency: 1 BTC = 63 410.5 USD is 63 410 500 000.
type Price int64

const (
	perUnit = 1_000_000
	// MaxPrice is a million million units per bitcoin, some seven times what the weakest currency of today asks for.
	MaxPrice Price = 1_000_000_000_000 * perUnit
)

// Valid reports whether p can be a price: more than zero, at most MaxPrice.
func (p Price) Valid() bool { return p > 0 && p <= MaxPrice }

// String writes the price as a decimal number of units, with one decimal at least: "63410.5", "50000.0".
func (p Price) String() string {
	s := fmt.Sprintf("%d.%06d", int64(p)/perUnit, int64(p)%perUnit)
	if s = strings.TrimRight(s, "0"); strings.HasSuffix(s, ".") {
		s += "0"
	}
	return s
}

var errPrice = errors.New("not a price")

// maxNumber bounds the text of a number, bytes. Sources send up to 17 digits.
const maxNumber = 40

// ParsePrice reads a number of units per bitcoin as JSON writes numbers, exponents included, and rounds it half up to a
// millionth. What is not Valid is an error.
func ParsePrice(s string) (Price, error) {
	if len(s) > maxNumber || !jsonNumber(s) {
		return 0, errPrice
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, errPrice
	}
	r.Mul(r, big.NewRat(perUnit, 1)).Add(r, big.NewRat(1, 2))
	n := new(big.Int).Quo(r.Num(), r.Denom())
	if !n.IsInt64() || !Price(n.Int64()).Valid() {
		return 0, fmt.Errorf("%w: out of range", errPrice)
	}
	return Price(n.Int64()), nil
}

// jsonNumber reports whether s is a number without a sign whose exponent has two digits at most: a longer one would
// make a number that fills the memory.
func jsonNumber(s string) bool {
	mantissa, exponent, has := strings.Cut(strings.ToLower(s), "e")
	if has && exponent != "" && (exponent[0] == '+' || exponent[0] == '-') {
		exponent = exponent[1:]
	}
	if has && (!digits(exponent) || len(exponent) > 2) {
		return false
	}
	units, decimals, dotted := strings.Cut(mantissa, ".")
	return digits(units) && (!dotted || digits(decimals))
}

func digits(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// Quote is a price and its age.
type Quote struct {
	PerBTC Price
	AsOf   time.Time // when the freshest of the answers that it is made of was true
}
