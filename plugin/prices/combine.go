package prices

import (
	"math/bits"
	"slices"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// combine makes one price of several, all of them Valid, and says which of them it is made of:
//
//	none            → 0
//	one             → itself
//	two             → their mean
//	three and more  → the mean of those that lie within tolerance of the median; if none does, which can happen where
//	                  the median lies between two, the median, and all count as its sources
//
// Means are rounded down, by less than a millionth.
func combine(in []Price, tolerance orders.PPM) (Price, []bool) {
	kept := make([]bool, len(in))
	for i := range kept {
		kept[i] = true
	}
	if len(in) < 3 {
		return mean(in, kept), kept
	}
	middle := median(in)
	any := false
	for i, p := range in {
		kept[i] = near(p, middle, tolerance)
		any = any || kept[i]
	}
	if !any {
		for i := range kept {
			kept[i] = true
		}
		return middle, kept
	}
	return mean(in, kept), kept
}

func mean(in []Price, kept []bool) Price {
	var hi, lo, n uint64
	for i, p := range in {
		if kept[i] {
			var carry uint64
			lo, carry = bits.Add64(lo, uint64(p), 0)
			hi, n = hi+carry, n+1
		}
	}
	if n == 0 {
		return 0
	}
	q, _ := bits.Div64(hi, lo, n) // hi < n, since each price is below 2^64
	return Price(q)
}

func median(in []Price) Price {
	s := slices.Sorted(slices.Values(in))
	upper, lower := s[len(s)/2], s[(len(s)-1)/2]
	return lower + (upper-lower)/2
}

// near reports whether |p − middle| is at most rate × middle.
func near(p, middle Price, rate orders.PPM) bool {
	d := max(p-middle, middle-p)
	dHi, dLo := bits.Mul64(uint64(d), 1_000_000)
	mHi, mLo := bits.Mul64(uint64(middle), uint64(rate))
	return dHi < mHi || dHi == mHi && dLo <= mLo
}

// vote is one source's price of a currency.
type vote struct {
	source string
	price  Price
	lag    time.Duration
}

// result is what the votes of a currency come to.
type result struct {
	price   Price
	sources []string      // that it is made of
	lag     time.Duration // the least of theirs
}

func tally(votes []vote, tolerance orders.PPM) result {
	in := make([]Price, len(votes))
	for i, v := range votes {
		in[i] = v.price
	}
	price, kept := combine(in, tolerance)
	r := result{price: price, lag: -1}
	for i, v := range votes {
		if kept[i] {
			r.sources = append(r.sources, v.source)
			if r.lag < 0 || v.lag < r.lag {
				r.lag = v.lag
			}
		}
	}
	return r
}

// polled is the answer of one source, already reduced to what it may say.
type polled struct {
	source Source
	answer Answer
}

// aggregate makes one price per currency. Answers with a base come second: they are scaled so that their base has the
// price that the others agree on, and then count like any other. Where there is no such price they are left out.
func aggregate(in []polled, tolerance orders.PPM) map[string]result {
	votes := map[string][]vote{}
	for _, p := range in {
		if p.answer.Base == "" {
			for code, price := range p.answer.PerBTC {
				votes[code] = append(votes[code], vote{p.source.ID, price, p.source.Lag})
			}
		}
	}
	anchors := map[string]result{}
	for code, list := range votes {
		anchors[code] = tally(list, tolerance)
	}
	for _, p := range in {
		anchor, ok := anchors[p.answer.Base]
		if !ok {
			continue
		}
		for code, price := range p.answer.PerBTC {
			if scaled := scale(price, anchor.price, p.answer.PerBTC[p.answer.Base]); code != p.answer.Base && scaled.Valid() {
				votes[code] = append(votes[code], vote{p.source.ID, scaled, anchor.lag})
			}
		}
	}
	out := map[string]result{}
	for code, list := range votes {
		out[code] = tally(list, tolerance)
	}
	return out
}

// scale returns p × anchor / own rounded down, or 0 if that does not exist or is too large.
func scale(p, anchor, own Price) Price {
	hi, lo := bits.Mul64(uint64(p), uint64(anchor))
	if own <= 0 || hi >= uint64(own) {
		return 0
	}
	q, _ := bits.Div64(hi, lo, uint64(own))
	if q > uint64(MaxPrice) {
		return 0
	}
	return Price(q)
}
