package orders

// FeePayer says which side bears the server's fee.
type FeePayer string

// The fee payers. Seller is our default; Split is what the reference server does.
const (
	FeeBySeller FeePayer = "seller"
	FeeSplit    FeePayer = "split"
)

// Fees is what a trade costs each side, in sats, frozen on the order when its amount is known.
//
// Example, 10 000 sat at 6000 ppm: the seller pays it all → seller 60, buyer 0: 10 060 sat are locked and 10 000 paid
// out. Split → 30 and 30: 10 030 sat are locked and 9 970 paid out.
type Fees struct {
	Seller Sats `json:"seller"`
	Buyer  Sats `json:"buyer"`
}

// NewFees computes both shares of the fee on an order of that amount.
func NewFees(amount Sats, rate PPM, payer FeePayer) Fees {
	if payer == FeeSplit {
		half := rate.HalfOf(amount)
		return Fees{Seller: half, Buyer: half}
	}
	return Fees{Seller: rate.Of(amount)}
}

// Total is what the server keeps of a successful trade, before routing.
func (f Fees) Total() Sats { return f.Seller + f.Buyer }

// RoutingBudget is the most that the server pays to route a payout, in msat: the rate for amounts above 1000 sat, and
// at least 1 % or 10 sat below (Mostro server, max_routing_fee).
func RoutingBudget(payout Sats, rate PPM) Msats {
	if payout > 1000 {
		return Msats(rate.Of(payout)) * 1000
	}
	return Msats(max(PPM(10_000).Of(payout), 10)) * 1000
}
