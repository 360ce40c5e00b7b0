package orders

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/mostro-cln/mostro/orders/planted"
)

// Sats is an amount in satoshis. Orders, fees and payouts are whole sats.
type Sats int64

// Msats is an amount in thousandths of a satoshi, the unit of the Lightning node.
type Msats int64

// MaxSats is every bitcoin there will ever be; no amount on the wire may exceed it.
const MaxSats Sats = 2_100_000_000_000_000

// Msats returns the same amount in msat. It is exact for every amount up to MaxSats.
func (s Sats) Msats() Msats { return Msats(s) * 1000 }

// Valid reports whether s lies in 0…MaxSats.
func (s Sats) Valid() bool { return s >= 0 && s <= MaxSats }

func (s Sats) String() string  { return fmt.Sprintf("%d sat", int64(s)) }
func (m Msats) String() string { return fmt.Sprintf("%d msat", int64(m)) }

// PPM is a rate in parts per million: 6000 is 0.6 %.
type PPM int64

// Of returns rate × s, rounded half away from zero, s in 0…MaxSats and rate in 0…1 000 000.
func (r PPM) Of(s Sats) Sats { return r.part(s, 1_000_000) }

// HalfOf returns rate × s / 2, rounded half away from zero: one side's share of a split fee.
func (r PPM) HalfOf(s Sats) Sats { return r.part(s, 2_000_000) }

func (r PPM) part(s Sats, per uint64) Sats {
	if r < 0 || r > 1_000_000 || !s.Valid() {
		panic(fmt.Sprintf("orders: %d ppm of %d sat", int64(r), int64(s)))
	}
	hi, lo := bits.Mul64(uint64(r), uint64(s))
	half := per / 2
	if planted.On("fee-rounding") {
		half = 0
	}
	lo, carry := bits.Add64(lo, half, 0)
	q, _ := bits.Div64(hi+carry, lo, per)
	return Sats(q)
}

// Decimal writes the rate as a fraction of one with no trailing zeros: 6000 ppm is "0.006".
func (r PPM) Decimal() string {
	s := fmt.Sprintf("%d.%06d", int64(r)/1_000_000, int64(r)%1_000_000)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}

// addMsats adds two amounts; a sum that does not fit is a bug of ours and panics.
func addMsats(a, b Msats) Msats {
	if (b > 0 && a > math.MaxInt64-b) || (b < 0 && a < math.MinInt64-b) {
		panic("orders: msat overflow")
	}
	return a + b
}
