package orders

// Move is an order of which the status, or the state or the solver of its dispute, has changed. The order is a copy, as it was
// committed.
type Move struct {
	Order Order
	From  Status // empty: it is new
	On    On
	// Dispute and Solver are those of the order's dispute before; empty: there was none.
	Dispute DisputeState
	Solver  PubKey
}

// Changed reports whether the order's status is another one than before.
func (m *Move) Changed() bool { return m.Order.Status != m.From }

// DisputeChanged reports whether the state of its dispute is, or who has taken it.
func (m *Move) DisputeChanged() bool {
	state, solver := m.Order.disputeState()
	return state != m.Dispute || solver != m.Solver
}

func (o *Order) disputeState() (DisputeState, PubKey) {
	if o.Dispute == nil {
		return "", PubKey{}
	}
	return o.Dispute.State, o.Dispute.Solver
}

// maxMoves is how many moves wait for the reader of Moves.
const maxMoves = 1024

// Moves tells of every such change, in the order of the commits. It has one reader. With nobody who reads, or one
// who is too slow, moves are dropped and counted: nothing here may hold a trade up.
func (e *Engine) Moves() <-chan Move { return e.moves }

// MissedMoves returns how many moves were dropped since the last call.
func (e *Engine) MissedMoves() int64 { return e.missed.Swap(0) }

func (e *Engine) moved(m Move) {
	if !m.Changed() && !m.DisputeChanged() {
		return
	}
	select {
	case e.moves <- m:
	default:
		e.missed.Add(1)
	}
}
