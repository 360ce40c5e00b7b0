package orders

// Move is an order that has got another status. The order is a copy, as it was committed.
type Move struct {
	Order Order
	From  Status // empty: it is new
	On    On
}

// maxMoves is how many moves wait for the reader of Moves.
const maxMoves = 1024

// Moves tells of every change of a status, in the order of the commits. It has one reader. With nobody who reads, or one
// who is too slow, moves are dropped and counted: nothing here may hold a trade up.
func (e *Engine) Moves() <-chan Move { return e.moves }

// MissedMoves returns how many moves were dropped since the last call.
func (e *Engine) MissedMoves() int64 { return e.missed.Swap(0) }

func (e *Engine) moved(m Move) {
	select {
	case e.moves <- m:
	default:
		e.missed.Add(1)
	}
}
