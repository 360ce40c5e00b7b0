package nostrio

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

// KindRates is NIP-78's kind for an application's own data. Ours are told from others by their "d".
const KindRates = 30078

const (
	ratesName    = "mostro-rates"
	ratesMaxLife = time.Hour
)

// PerBTC is what one bitcoin costs, in millionths of a unit of the currency.
type PerBTC int64

// RatesEvent is what a bitcoin costs, for clients that cannot ask the sources themselves: kind 30078, addressable by the
// name mostro-rates (Mostro protocol, "Exchange rates").
type RatesEvent struct {
	Rates     map[string]PerBTC // by currency code, upper case
	Sources   []string          // where they come from, in any order
	Interval  time.Duration     // to the next one; clients may use this one for twice as long, but for an hour at most
	CreatedAt int64             // unix seconds, when the rates were true; must rise with every revision
}

// Event makes the signed event: a pure function of the value and the key. Codes and sources are in alphabetical order.
func (r RatesEvent) Event(k *Key) nostr.Event {
	life := min(2*r.Interval, ratesMaxLife)
	return publication(k, KindRates, r.CreatedAt, nostr.Tags{
		{"d", ratesName},
		{"published_at", number(r.CreatedAt)},
		{"source", strings.Join(slices.Sorted(slices.Values(r.Sources)), ",")},
		{"expiration", number(r.CreatedAt + int64(life/time.Second))},
	}, string(r.content()))
}

// content is {"BTC":{"EUR":77510.08,"USD":90000.0}}.
func (r RatesEvent) content() []byte {
	dst := []byte(`{"BTC":{`)
	for i, code := range slices.Sorted(maps.Keys(r.Rates)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, code), ':')
		dst = append(dst, r.Rates[code].decimal()...)
	}
	return append(dst, "}}"...)
}

// decimal writes p with one decimal at least, so that every reader takes it for a float.
func (p PerBTC) decimal() string {
	units, decimals := p/1_000_000, fmt.Sprintf("%06d", p%1_000_000)
	if decimals = strings.TrimRight(decimals, "0"); decimals == "" {
		decimals = "0"
	}
	return fmt.Sprintf("%d.%s", units, decimals)
}
