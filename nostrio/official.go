package nostrio

import (
	"strings"

	"github.com/mostro-cln/mostro/orders"
)

// addSolver reads the text of admin-add-solver: a key as npub, alone or with what he may do behind a colon. What cannot
// be read is told to who has the right to add solvers; the exchange knows who that is.
func addSolver(payload Payload) orders.AddSolver {
	text, ok := payload.(TextMessage)
	if !ok || strings.TrimSpace(string(text)) == "" {
		return orders.AddSolver{Problem: orders.InvalidTextMessage}
	}
	name, suffix, given := strings.Cut(strings.TrimSpace(string(text)), ":")
	level, ok := solverLevels[suffix]
	key, err := ParsePubKey(name)
	if !ok || given && suffix == "" || err != nil {
		return orders.AddSolver{Problem: orders.InvalidParameters}
	}
	return orders.AddSolver{Key: key, Level: level}
}

// solverLevels are the suffixes of the protocol. Without one a solver may decide.
var solverLevels = map[string]orders.Level{
	"": orders.LevelReadWrite, "read-write": orders.LevelReadWrite, "write": orders.LevelReadWrite, "read": orders.LevelRead,
}

// verdict reads admin-settle or admin-cancel.
func verdict(a Action, payload Payload) (orders.Act, bool) {
	bonds, ok := payload.(BondResolution)
	if !ok && payload != nil {
		return nil, false
	}
	if a == ActAdminSettle {
		return orders.AdminSettle{SlashBuyer: bonds.SlashBuyer, SlashSeller: bonds.SlashSeller}, true
	}
	return orders.AdminCancel{SlashBuyer: bonds.SlashBuyer, SlashSeller: bonds.SlashSeller}, true
}

// disputeInfo writes what a solver learns.
func disputeInfo(i *orders.DisputeInfo) *SolverDisputeInfo {
	d := &SolverDisputeInfo{
		ID: UUID(i.Order), Kind: string(i.Kind), Status: i.Status, OrderPreviousStatus: i.Before,
		InitiatorPubKey: i.Initiator.String(), BuyerPubKey: keyText(&i.Buyer), SellerPubKey: keyText(&i.Seller),
		InitiatorFullPrivacy: i.InitiatorPrivate, CounterpartFullPrivacy: i.OtherPrivate,
		InitiatorInfo: userInfo(i.InitiatorStanding), CounterpartInfo: userInfo(i.OtherStanding),
		Premium: i.Premium, PaymentMethod: i.PaymentMethod, Amount: int64(i.Amount), FiatAmount: i.FiatAmount,
		Fee: int64(i.Fee), InvoiceHeldAt: i.HeldAt, TakenAt: i.TakenAt, CreatedAt: i.CreatedAt,
	}
	if !i.Hash.IsZero() {
		hash := i.Hash.String()
		d.Hash = &hash
	}
	if i.BuyerInvoice != "" {
		d.BuyerInvoice = &i.BuyerInvoice
	}
	return d
}

func userInfo(s *orders.Standing) *UserInfo {
	if s == nil {
		return nil
	}
	return &UserInfo{Rating: s.Rating(), Reviews: s.Reviews, OperatingDays: uint64(s.Days)}
}
