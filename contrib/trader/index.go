package trader

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// SyncIndex asks the Mostro which trade index the identity has used last, and goes on after it. That is needed once
// when a mnemonic comes without its state file: an index that was used before is refused. In full privacy there is
// nothing to ask.
func (t *Trader) SyncIndex(ctx context.Context) error {
	if t.cfg.FullPrivacy {
		return nil
	}
	m, err := t.openDesk().ask(ctx, nostrio.Body{Action: nostrio.ActLastTradeIndex}, nostrio.ActLastTradeIndex)
	if errors.Is(err, orders.NotFound) {
		return nil // the Mostro has never seen this identity
	}
	if err != nil {
		return err
	}
	if m.TradeIndex == nil || *m.TradeIndex < 0 || *m.TradeIndex >= math.MaxInt32 {
		return fmt.Errorf("%s: the answer names no index", nostrio.ActLastTradeIndex)
	}
	return t.states.update(func(st *state) { st.Next = max(st.Next, uint32(*m.TradeIndex)+1) })
}
