package orders

import "testing"

// What somebody reported too early for the order must not make the report that counts a repeat.
func TestASettleThatWasReportedTooEarlyStillPaysTheBuyer(t *testing.T) {
	w, id, who := tradeIn(t, FiatSent)
	hash := w.order(id).Hold
	w.node.holds[hash].state = HoldSettled // by the operator's hand, or by a hold plugin that does so
	w.report(HoldIsSettled{Hash: hash})
	w.want(id, FiatSent)
	who["maker"].must(id, Release{})
	w.pass(60)
	w.pass(60)
	w.want(id, Success)
}

func TestAnEscrowThatEndsIsHeardOfAtEachBlock(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.trader("seller"), w.trader("buyer")
	id := buyer.must(OrderID{}, NewOrder{Terms: buyTerms(10_000)})
	seller.must(id, TakeBuy{})
	w.lock(id)
	w.want(id, WaitingBuyerInvoice)
	w.report(EscrowEnding{Hash: w.order(id).Hold, Height: 970})
	w.want(id, Canceled)
	for h, f := range w.node.holds {
		if f.state != HoldCanceled {
			t.Errorf("hold %s is %s", h, f.state)
		}
	}
}

// The end of a waiting duty and the end of the order can fall on one second.
func TestTwoDeadlinesInOneSecond(t *testing.T) {
	w := newWorld(t)
	seller, buyer := w.trader("seller"), w.trader("buyer")
	terms := sellTerms(10_000)
	terms.ExpiresAt = w.now + 1000
	id := seller.must(OrderID{}, NewOrder{Terms: terms})
	w.now += 100
	buyer.must(id, TakeSell{})
	w.pass(900)
	w.pass(1)
	w.want(id, Expired)
}

func TestAnUndeliverableLetterHoldsUpItsReceiverAlone(t *testing.T) {
	a, b := Letter{To: key(1)}, Letter{To: key(2)}
	if a.Lane() == b.Lane() {
		t.Error("two receivers share a lane")
	}
}
