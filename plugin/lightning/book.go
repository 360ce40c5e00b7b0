package lightning

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// EngineBook is the Book of an engine: what the node says of a hold becomes an input.
type EngineBook struct {
	*orders.Engine
	Now     func() time.Time
	NewSeed func() orders.Seed
}

// Report implements Book.
func (b EngineBook) Report(ctx context.Context, act orders.Act) error {
	var hash orders.Hash
	var more []byte
	switch a := act.(type) {
	case orders.HoldIsAccepted:
		hash = a.Hash
	case orders.HoldIsCanceled:
		hash = a.Hash
	case orders.HoldIsSettled:
		hash = a.Hash
	case orders.EscrowNearing:
		hash, more = a.Hash, binary.BigEndian.AppendUint32(nil, a.Height)
	case orders.EscrowEnding: // said again at each block, since the order's next status may care
		hash, more = a.Hash, binary.BigEndian.AppendUint32(nil, a.Height)
	}
	_, err := b.Do(ctx, orders.Input{ID: orders.NodeID(act.On(), hash[:], more), At: b.Now().Unix(), Seed: b.NewSeed(), Act: act})
	return err
}
