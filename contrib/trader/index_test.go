package trader

import (
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

func TestANewHomeGoesOnAfterTheLastIndexThatTheMostroKnows(t *testing.T) {
	for _, way := range []orders.Way{orders.GiftWrap, orders.Direct} {
		srv := listen(t)
		m := newMostro(t, srv.URL)
		m.speak(way)
		tr := open1(t, m, nil, srv.URL)
		ask := func(a nostrio.Action, p nostrio.Payload, index *int64) error {
			return during(t, func() error { return tr.SyncIndex(within(t)) }, func() {
				r := m.next(nostrio.ActLastTradeIndex)
				if r.Sender != tr.Identity() {
					t.Errorf("asked by %s, want the identity key", r.Sender)
				}
				msg := r.Message.Reply(nostrio.WrapRestore, a, p)
				msg.Body.TradeIndex = index
				m.publish(m.event(r.Sender, r.Way, msg))
			})
		}
		seven, huge := int64(7), int64(1<<31)
		if err := ask(nostrio.ActCantDo, nostrio.CantDo{Reason: nostrio.Reason(orders.NotFound)}, nil); err != nil {
			t.Errorf("an unknown identity: %v", err)
		}
		if err := ask(nostrio.ActLastTradeIndex, nil, &huge); err == nil || !strings.Contains(err.Error(), "no index") {
			t.Errorf("an index that can't be: %v", err)
		}
		if err := ask(nostrio.ActLastTradeIndex, nil, &seven); err != nil {
			t.Fatal(err)
		}
		if trade := newSale(t, tr, m, order1, sale); trade.Index() != 8 {
			t.Errorf("the next trade has index %d, want 8", trade.Index())
		}
	}
}
