package orders

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// FuzzInputs reads bytes as a sequence of inputs: six bytes each say who does what to which order. Reports need not be
// true nor come in order. Nothing may panic, and the store is sound at the end.
func FuzzInputs(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0})
	f.Add(fuzzScript(0, 0, 1, 1, 3, 13, 2, 14, 2, 4, 2, 5, 1, 15, 2, 17, 2, 7, 1, 7, 2))                 // a sell order that goes well
	f.Add(fuzzScript(0, 2, 2, 3, 1, 13, 2, 14, 2, 3, 2, 4, 2, 6, 1, 6, 2, 16, 2, 15, 2))                 // a buy order, canceled by both
	f.Add(fuzzScript(0, 0, 1, 1, 3, 13, 2, 14, 2, 4, 2, 5, 1, 28, 1, 32, 0, 29, 1, 30, 1, 15, 2, 17, 2)) // in dispute, settled
	f.Add(fuzzScript(0, 0, 1, 1, 3, 13, 2, 14, 2, 4, 2, 5, 1, 33, 0, 29, 0, 31, 0, 16, 2, 34, 0, 35, 0)) // refunded
	w := newWorld(f)
	w.quote = euro
	f.Fuzz(func(t *testing.T, script []byte) {
		w.n, w.now, w.node.paid = 0, startTime, map[Hash]*fakePay{}
		err := w.store.update(func(x *tx) error {
			z := &fuzzed{world: w, t: t, x: x, ids: []OrderID{{9}}}
			for range 4 {
				z.people = append(z.people, w.trader("p"))
			}
			z.people[3].private = true
			z.officials = []*trader{w.official(serverKey), w.official(w.freshKey()), w.official(w.freshKey()), z.people[2]}
			for n := 0; n+6 <= len(script) && n < 6*64; n += 6 {
				z.step([6]byte(script[n : n+6]))
			}
			x.checkAll(t.Errorf)
			return errRollback
		})
		if !errors.Is(err, errRollback) {
			t.Fatal(err)
		}
	})
}

// checkAll is Check in the middle of a transaction, without the file's pages.
func (t *tx) checkAll(bad badFunc) {
	t.each(ordersBucket, nil, func(k, _ []byte) bool {
		o, _ := t.order(OrderID(k))
		t.checkOrder(o, bad)
		return true
	})
	t.checkIndexes(bad)
	t.checkHolds(bad)
	t.rows()
}

// fuzzScript makes a script from pairs of an act and its author.
func fuzzScript(pairs ...byte) (script []byte) {
	for n := 0; n+2 <= len(pairs); n += 2 {
		script = append(script, pairs[n], pairs[n+1], 0, 0, 0, 0)
	}
	return script
}

// fuzzed is one run, in a transaction that is rolled back.
type fuzzed struct {
	*world
	t         *testing.T
	x         *tx
	people    []*trader
	officials []*trader // an admin, and who may become solvers
	ids       []OrderID
	bills     []*Invoice
}

// fuzzActs is how many things can happen: messages below 13, reports below 24, time below 28, then disputes.
const fuzzActs = 36

// step: what, who, order, and three bytes for the details.
func (z *fuzzed) step(b [6]byte) {
	id := z.ids[len(z.ids)-1-int(b[2])%len(z.ids)]
	o, _ := z.x.order(id)
	if what := b[0] % fuzzActs; what >= 24 && what < 28 {
		z.pass(int64(b[3])*64 - int64(b[4]))
		return
	}
	act := z.act(o, b)
	in := Input{ID: z.seed().Derive("id"), At: z.now, Seed: z.seed(), Order: id, Act: act}
	if what := b[0] % fuzzActs; what >= 29 && what <= 32 {
		in = z.officials[int(b[1])%4].message(id, act)
	} else if by := z.people[int(b[1])%4]; what < 13 || what == 28 {
		if b[5]&1 == 1 {
			by.trade, by.index = z.freshKey(), by.index+1
		}
		in = by.message(id, act)
		in.Closed = b[5]&14 == 14
		if b[5]&16 != 0 {
			in.Quote = nil
		}
	}
	out, err := z.do(in)
	if err == nil && act.On() == OnNewOrder && out.Reason == "" {
		z.ids = append(z.ids, out.Order)
	}
	if again, err2 := z.do(in); fmt.Sprint(err) != fmt.Sprint(err2) || err == nil && again.Reason != out.Reason {
		z.t.Errorf("%s: %+v %v, and once more: %+v %v", act.On(), out, err, again, err2)
	}
}

func (z *fuzzed) do(in Input) (Outcome, error) {
	out, _, err := z.e.decide(z.x, &in)
	return out, err
}

// pass lets every deadline fire that is over.
func (z *fuzzed) pass(seconds int64) {
	z.now += seconds
	var due [][]byte
	z.x.each(deadlinesBucket, nil, func(k, _ []byte) bool {
		due = append(due, bytes.Clone(k))
		return timeOf(k) <= z.now
	})
	for _, k := range due {
		if at := timeOf(k); at <= z.now {
			if _, err := z.do(z.deadline(OrderID(k[8:]), at)); err != nil {
				z.t.Error(err)
			}
		}
	}
}

func (z *fuzzed) act(o *Order, b [6]byte) Act {
	switch n, fiat := int64(b[3]), i64(int64(int8(b[4]))); b[0] % fuzzActs {
	case 0:
		return NewOrder{Terms: z.terms(b), Invoice: z.invoiceOf(o, b[5]>>5)}
	case 1:
		return TakeSell{Invoice: z.invoiceOf(o, b[3]), Fiat: fiat}
	case 2:
		return TakeSell{}
	case 3:
		return TakeBuy{Fiat: fiat}
	case 4:
		return AddInvoice{z.invoiceOf(o, b[3])}
	case 5:
		return SendFiat{z.next(b)}
	case 6:
		return Release{z.next(b)}
	case 7:
		return Cancel{}
	case 8:
		return RateUser{n - 2}
	case 9:
		return TradeKey{}
	case 10:
		return AskOrders{IDs: z.ids[:int(n)%(len(z.ids)+1)]}
	case 11:
		return AskRestore{}
	case 12:
		return []Act{AskLastIndex{}, Other{Action: "add-bond-invoice", Reason: InvalidAction}, Other{}}[n%3]
	}
	if b[0]%fuzzActs >= 28 {
		return z.disputed(o, b)
	}
	return z.report(o, b)
}

func (z *fuzzed) disputed(o *Order, b [6]byte) Act {
	switch b[0] % fuzzActs {
	case 28:
		return OpenDispute{}
	case 29:
		if o.Dispute == nil || b[3] == 1 {
			return AdminTake{Dispute: DisputeID{b[4]}}
		}
		return AdminTake{Dispute: o.Dispute.ID}
	case 30:
		return AdminSettle{SlashSeller: b[3] == 1}
	case 31:
		return AdminCancel{SlashBuyer: b[3] == 1}
	case 32:
		return AddSolver{Key: z.officials[1+int(b[3])%3].trade, Level: []Level{LevelReadWrite, LevelRead, ""}[b[4]%3]}
	case 33:
		return EscrowNearing{o.Hold, uint32(b[3]), uint32(b[4])}
	case 34:
		return AdminSettle{Operator: "fuzz"}
	}
	return AdminCancel{Operator: "fuzz"}
}

func (z *fuzzed) report(o *Order, b [6]byte) Act {
	hash := o.Hold
	switch b[0] % fuzzActs {
	case 13:
		return HoldCreated{hash, "lnfuzz"}
	case 14:
		return HoldIsAccepted{hash, o.Escrow().Msats() + Msats(int8(b[3])), uint32(b[4])}
	case 15:
		return HoldIsSettled{hash}
	case 16:
		return HoldIsCanceled{hash, "fuzz"}
	case 17:
		return PayoutPaid{Hash: o.Payout.Hash, Fee: Msats(b[3])}
	case 18:
		return PayoutFailed{Hash: o.Payout.Hash, Fatal: b[3]&1 == 1}
	case 19:
		i := z.invoiceOf(o, 1)
		return PayoutResolved{o.Payout.Destination, i.Bolt11, i.Hash, i.Expires}
	case 20:
		return EscrowEnding{hash, uint32(b[3])}
	case 21:
		return DeadlineReached{o.Deadline}
	case 22:
		return PayoutPaid{Hash: Hash{b[3]}}
	}
	return PayoutFailed{Hash: Hash{b[3]}}
}

func (z *fuzzed) terms(b [6]byte) Terms {
	t := Terms{Kind: []Kind{Sell, Buy, ""}[(b[1]>>1)%3], FiatCode: "EUR", FiatAmount: int64(b[2]), PaymentMethod: "SEPA"}
	switch b[3] % 4 {
	case 0:
		t.Amount, t.FiatAmount = 10_000, 10
	case 1:
		t.Premium = int64(int8(b[4]))
	case 2:
		t.Min, t.Max = i64(int64(b[4])), i64(int64(b[2]))
	case 3:
		t.Amount, t.ExpiresAt = Sats(int64(int8(b[4]))<<(b[2]%56)), z.now+int64(b[2])*32-16
	}
	return t
}

func (z *fuzzed) next(b [6]byte) *NextKey {
	if b[3]&1 == 0 {
		return nil
	}
	return &NextKey{Trade: z.freshKey(), Index: int64(int8(b[4])) << (b[3] % 57)}
}

func (z *fuzzed) invoiceOf(o *Order, n byte) *Invoice {
	var i *Invoice
	switch n % 8 {
	case 0:
		return nil
	case 2:
		return &Invoice{Destination: "fuzz@example.com"}
	case 3:
		return &Invoice{Problem: "not an invoice"}
	case 4:
		return &Invoice{}
	case 5:
		if len(z.bills) > 0 { // one that was given before
			return z.bills[len(z.bills)-1]
		}
	case 6:
		i = z.invoice(o.PaidOut())
		i.Hash = o.Hold
		return i
	}
	i = z.invoice(o.PaidOut())
	i.Amount += Msats(n >> 7)
	z.bills = append(z.bills, i)
	return i
}
