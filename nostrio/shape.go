package nostrio

import (
	"errors"
	"fmt"
)

// ErrShape is wrapped by every error of CheckShape.
var ErrShape = errors.New("action and payload do not fit")

// CheckShape reports whether a request has the id and the payload that its action needs (mostro-core,
// MessageKind::verify). It is for messages that come in at a server; answers of servers break these rules on purpose.
// Unlike mostro-core it takes admin-add-solver without an id, as the protocol's documentation shows it.
func (m Message) CheckShape() error {
	b := m.Body
	var ok, needsID bool
	switch b.Action {
	case ActNewOrder:
		ok = is[SmallOrder](b.Payload)
	case ActPayInvoice, ActPayBondInvoice, ActAddInvoice:
		ok, needsID = is[PaymentRequest](b.Payload), true
	case ActAddBondInvoice:
		ok, needsID = is[PaymentRequest](b.Payload) || is[BondPayoutRequest](b.Payload), true
	case ActAdminSettle, ActAdminCancel:
		ok, needsID = b.Payload == nil || is[BondResolution](b.Payload), true
	case ActAddCashuEscrow:
		ok, needsID = is[CashuLockProof](b.Payload), true
	case ActCashuPMSignature:
		sigs, is := b.Payload.(CashuSignatures)
		ok, needsID = is && len(sigs) > 0, true
	case ActPaymentFailed:
		ok, needsID = is[PaymentFailed](b.Payload), true
	case ActLastTradeIndex, ActRestoreSession:
		ok = b.Payload == nil
	case ActRateUser:
		ok = is[RatingUser](b.Payload)
	case ActCantDo:
		ok = is[CantDo](b.Payload)
	case ActOrders:
		ok = is[IDs](b.Payload) || is[Orders](b.Payload)
	default:
		ok = !is[BondResolution](b.Payload) && !is[BondPayoutRequest](b.Payload)
		needsID = b.Action != ActAdminAddSolver
	}
	switch {
	case !ok:
		return fmt.Errorf("%w: %s has the wrong payload", ErrShape, b.Action)
	case needsID && b.ID == nil:
		return fmt.Errorf("%w: %s needs an id", ErrShape, b.Action)
	}
	return nil
}

func is[T Payload](p Payload) bool {
	_, ok := p.(T)
	return ok
}
