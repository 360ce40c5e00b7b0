package orders

import (
	"errors"
	"fmt"
)

// Rules are the settings of the exchange. A change of rules never touches a trade under way: what it needs is frozen
// on the order.
type Rules struct {
	FeeRate  PPM
	FeePayer FeePayer
	// Paused: no new orders and takes; trades under way go on.
	Paused bool
	// MinOrder and MaxOrder bound an order's amount.
	MinOrder, MaxOrder Sats
	// FiatCodes is the list of accepted currencies; empty accepts all.
	FiatCodes []string
	// MaxOpenOrders is how many orders of one identity may be open at once; 0 is no limit. MaxOrdersAsked is how many
	// one request may ask for.
	MaxOpenOrders, MaxOrdersAsked int
	// PendingSeconds is the life of an order on the book, MaxPendingSeconds the longest that a maker may ask for.
	PendingSeconds, MaxPendingSeconds int64
	// WaitingSeconds is the time to pay the hold invoice, and the time to give the payout invoice.
	WaitingSeconds int64
	// InvoiceWindow is the least remaining life of a payout invoice, seconds; MaxFinalCLTV the most blocks that its
	// payee may ask for.
	InvoiceWindow int64
	MaxFinalCLTV  int64
	// PayoutAttempts are made PayoutInterval seconds apart before the buyer is asked for another invoice. After that
	// the same invoice is tried every SlowInterval seconds while it lasts.
	PayoutAttempts int
	PayoutInterval int64
	SlowInterval   int64
	RoutingRate    PPM
	// OrderRetention is the NIP-40 life of an order event that is not pending any more, seconds.
	OrderRetention int64
	// Admins are the identity keys that may name solvers and take any dispute, the server's own first.
	Admins []PubKey
	// DisputeReminder is how often the solvers are asked to take a dispute, seconds; after DisputeEscalate times the
	// operator is asked as well. DisputePatience is how often a solver is asked for his decision. DisputeRetention is
	// the NIP-40 life of a dispute event.
	DisputeReminder, DisputePatience, DisputeRetention int64
	DisputeEscalate                                    int
	// SeenSeconds is how long an input is remembered; longer than any message may be old.
	SeenSeconds int64
	// KeepSeconds is how long an order stays in the store when it has ended; 0 is for ever.
	KeepSeconds int64
}

// MinKeepSeconds is the least that an ended order is kept: longer than any of our messages about it is tried.
const MinKeepSeconds = 60 * 24 * 3600

// DefaultRules returns the settings of a fresh server.
func DefaultRules() Rules {
	return Rules{
		FeeRate: 6000, FeePayer: FeeBySeller, MinOrder: 100, MaxOrder: 1_000_000,
		MaxOpenOrders: 20, MaxOrdersAsked: 10,
		PendingSeconds: 24 * 3600, MaxPendingSeconds: 15 * 24 * 3600, WaitingSeconds: 900,
		InvoiceWindow: 3600, MaxFinalCLTV: 432,
		PayoutAttempts: 3, PayoutInterval: 60, SlowInterval: 3600, RoutingRate: 2000,
		DisputeReminder: 3600, DisputePatience: 12 * 3600, DisputeRetention: 90 * 24 * 3600, DisputeEscalate: 2,
		OrderRetention: 30 * 24 * 3600, SeenSeconds: 4 * 24 * 3600, KeepSeconds: 730 * 24 * 3600,
	}
}

// Check reports every setting that cannot be, all at once.
func (r Rules) Check() error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	want(r.FeeRate >= 0 && r.FeeRate <= 100_000, "fee rate %d ppm: want 0…100000", r.FeeRate)
	want(r.FeePayer == FeeBySeller || r.FeePayer == FeeSplit, "fee payer %q: want seller or split", r.FeePayer)
	want(r.MinOrder > 0 && r.MinOrder <= r.MaxOrder && r.MaxOrder <= MaxSats, "order limits %d…%d sat: want 1 ≤ min ≤ max", r.MinOrder, r.MaxOrder)
	want(r.MaxOpenOrders >= 0 && r.MaxOrdersAsked > 0, "orders a user %d, orders a request %d", r.MaxOpenOrders, r.MaxOrdersAsked)
	want(r.PendingSeconds > 0 && r.PendingSeconds <= r.MaxPendingSeconds, "pending life %d s of at most %d s", r.PendingSeconds, r.MaxPendingSeconds)
	want(r.WaitingSeconds > 0, "waiting time %d s: want more than 0", r.WaitingSeconds)
	want(r.InvoiceWindow >= 0 && r.MaxFinalCLTV > 0, "payout invoice limits %d s, %d blocks", r.InvoiceWindow, r.MaxFinalCLTV)
	want(r.PayoutAttempts > 0 && r.PayoutInterval > 0 && r.SlowInterval > 0, "payout attempts %d every %d s, then every %d s: want more than 0", r.PayoutAttempts, r.PayoutInterval, r.SlowInterval)
	want(r.RoutingRate >= 0 && r.RoutingRate <= 1_000_000, "routing rate %d ppm: want 0…1000000", r.RoutingRate)
	want(r.OrderRetention > 0 && r.SeenSeconds > 0, "retention %d s, memory of inputs %d s: want more than 0", r.OrderRetention, r.SeenSeconds)
	want(r.DisputeReminder > 0 && r.DisputePatience > 0 && r.DisputeRetention > 0 && r.DisputeEscalate > 0, "dispute reminders every %d s and %d s, after %d the operator's, retention %d s: want more than 0", r.DisputeReminder, r.DisputePatience, r.DisputeEscalate, r.DisputeRetention)
	want(r.KeepSeconds == 0 || r.KeepSeconds >= MinKeepSeconds, "ended orders are kept %d s: want 0 or at least %d", r.KeepSeconds, MinKeepSeconds)
	return errors.Join(errs...)
}
