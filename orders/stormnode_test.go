package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// stormNode is a node, its relays and the buyers' addresses on a bad day. Each call of a port may fail in two ways,
// not done or done all the same, or be the last thing that the process sees. It keeps the books that the exchange's own
// are held against, and complains when the exchange breaks a rule of money.
type stormNode struct {
	claims  map[OrderID][]Hash
	rng     *rand.Rand
	calm    bool // nothing fails any more
	crash   func()
	wrong   func(format string, args ...any)
	session int
	elapsed int64 // seconds since the start, whatever the clock says
	holds   map[Hash]*stormHold
	hashes  []Hash // of holds, in order of birth
	pays    map[Hash]*stormPay
	bills   []Hash // of pays, in order of birth
	told    map[OrderID]bool
	letters map[Seed]string
	stamps  map[OrderID]Announcement
	cases   map[DisputeID]DisputeNote
	bill    func(Msats) *Invoice
	secrets func(OrderID) (identities []PubKey, seller PubKey, invoice string)
}

type stormHold struct {
	order  OrderID
	amount Msats
	state  HoldState
}

// stormPay is an invoice that can be paid. A call whose answer was lost may start a part until goes, and the part may
// hang until ends.
type stormPay struct {
	order     OrderID // known from the first call
	amount    Msats
	pre       Preimage
	state     PayState
	calls     bool
	goes      int64
	ends      int64
	succeeds  bool
	completed int
}

var errStorm = errors.New("storm")

// call is how a port call fares: done or not, and with which error.
func (n *stormNode) call() (done bool, err error) {
	if n.calm {
		return true, nil
	}
	switch n.rng.IntN(20) {
	case 0, 1:
		return false, errStorm
	case 2, 3:
		return true, errStorm
	case 4:
		n.crash() // after what is done, before anybody hears of it
	}
	return true, nil
}

func (n *stormNode) Create(_ context.Context, h Hold, _, _ string, _ int64) (string, error) {
	done, err := n.call()
	if !h.Preimage.Matches(h.Hash) || h.Amount <= 0 {
		n.wrong("hold of %d msat, preimage %v", h.Amount, h.Preimage.Matches(h.Hash))
	}
	if done && n.holds[h.Hash] == nil {
		n.holds[h.Hash] = &stormHold{h.Order, h.Amount, HoldOpen}
		n.hashes = append(n.hashes, h.Hash)
	}
	return "lnhold" + h.Hash.String(), err
}

func (n *stormNode) Settle(_ context.Context, h Hold) error {
	done, err := n.call()
	f := n.holds[h.Hash]
	if !n.told[h.Order] {
		n.wrong("hold of order %s is settled without a release", h.Order)
	}
	switch {
	case f == nil || f.state == HoldCanceled:
		return ErrHoldCanceled
	case f.state == HoldOpen:
		n.wrong("settle of a hold that is open")
	case done:
		f.state = HoldSettled
	}
	return err
}

func (n *stormNode) Cancel(_ context.Context, hash Hash) error {
	done, err := n.call()
	f := n.holds[hash]
	switch {
	case f == nil:
		return err
	case f.state == HoldSettled:
		return ErrHoldSettled
	case done:
		f.state = HoldCanceled
	}
	return err
}

func (n *stormNode) Session() string { return fmt.Sprint(n.session) }
func (n *stormNode) Patience() int64 { return 120 }

func (n *stormNode) Claim(_ context.Context, id OrderID, hash Hash) ([]Hash, error) {
	done, err := n.call()
	if done && !slices.Contains(n.claims[id], hash) {
		if n.claims == nil {
			n.claims = map[OrderID][]Hash{}
		}
		n.claims[id] = append(n.claims[id], hash)
	}
	return slices.DeleteFunc(slices.Clone(n.claims[id]), func(c Hash) bool { return c == hash }), err
}

func (n *stormNode) Ask(_ context.Context, hash Hash) (PayReport, error) {
	if _, err := n.call(); err != nil {
		return PayReport{}, err
	}
	p := n.pays[hash]
	if p == nil {
		return PayReport{State: PayNever}, nil
	}
	r := PayReport{State: p.state, Fee: 7}
	if p.state == PayDone {
		r.Preimage = p.pre
	}
	return r, nil
}

func (n *stormNode) Send(_ context.Context, pay Pay, label string) error {
	p := n.pays[pay.Hash]
	if p == nil {
		n.wrong("a payment to %s, which is nobody's invoice; a hold of ours: %v", pay.Hash, n.holds[pay.Hash] != nil)
	}
	id, err := ParseOrderID(strings.Split(label, "/")[1])
	if err != nil || !p.order.IsZero() && p.order != id {
		n.wrong("invoice of order %s is paid for %s: %v", p.order, label, err)
	}
	p.order = id
	n.checkSend(p, &pay)
	if p.state != PayNever || p.calls {
		return n.answerAgain(p)
	}
	if n.calm {
		n.pays[pay.Hash].complete()
		return nil
	}
	later := n.elapsed + n.rng.Int64N(7200)
	switch n.rng.IntN(9) {
	case 0, 1:
		p.complete()
		return nil
	case 2:
		p.complete()
		return errStorm
	case 3:
		return &PayError{Why: "no route"}
	case 4:
		return &PayError{Why: "expired", Fatal: true}
	case 5:
		return errStorm // the call never reached the node
	case 6: // the answer is lost, and the call runs on
		p.calls, p.goes, p.ends, p.succeeds = true, n.elapsed+n.rng.Int64N(n.Patience()), later, n.rng.IntN(2) == 0
		return errStorm
	case 7: // the call says that it failed while a part is under way
		p.state, p.ends, p.succeeds = PayUnknown, later, n.rng.IntN(2) == 0
		return &PayError{Why: "timeout"}
	}
	p.complete()
	n.crash()
	return nil
}

func (p *stormPay) complete() { p.state, p.calls, p.completed = PayDone, false, p.completed+1 }

// answerAgain is what a node says of a hash that it knows: it never pays one twice.
func (n *stormNode) answerAgain(p *stormPay) error {
	if p.state == PayDone {
		return nil
	}
	return &PayError{Why: "pending"}
}

// checkSend: no two invoices of one order can be alive at once.
func (n *stormNode) checkSend(p *stormPay, pay *Pay) {
	if p.amount != 0 && p.amount != pay.Amount || pay.Began == 0 || pay.Attempt < 1 {
		n.wrong("payment of %d msat to an invoice over %d, begun %d, attempt %d", pay.Amount, p.amount, pay.Began, pay.Attempt)
	}
	for _, h := range n.bills {
		if q := n.pays[h]; q != p && q.order == p.order && (q.state != PayNever || q.calls) {
			n.wrong("order %s: %s is paid while %s may still arrive", p.order, pay.Hash, h)
		}
	}
}

// pass lets payments go on.
func (n *stormNode) pass(seconds int64) {
	n.elapsed += seconds
	for _, h := range n.bills {
		p := n.pays[h]
		if p.calls && n.elapsed >= p.goes {
			p.calls, p.state = false, PayUnknown
		}
		if p.state == PayUnknown && n.elapsed >= p.ends {
			p.state = PayNever
			if p.succeeds {
				p.complete()
			}
		}
	}
}

// restart ends the node's calls; parts that are under way stay so.
func (n *stormNode) restart() {
	n.session++
	for _, h := range n.bills {
		n.pays[h].calls = false
	}
}

func (n *stormNode) Resolve(_ context.Context, _ string, amount Msats) (string, Hash, int64, error) {
	if _, err := n.call(); err != nil {
		return "", Hash{}, 0, err
	}
	if !n.calm {
		switch n.rng.IntN(12) {
		case 0:
			return "", Hash{}, 0, &ResolveError{Why: "503"}
		case 1:
			return "", Hash{}, 0, &ResolveError{Why: "too small", Fatal: true}
		case 2: // somebody else's invoice
			if h := n.anyBill(); n.pays[h] != nil && n.pays[h].amount == amount {
				return "lnbill" + h.String(), h, 1 << 40, nil
			}
		case 3: // a hold invoice of ours
			if len(n.hashes) > 0 {
				h := n.hashes[n.rng.IntN(len(n.hashes))]
				return "lnhold" + h.String(), h, 1 << 40, nil
			}
		}
	}
	i := n.bill(amount)
	return i.Bolt11, i.Hash, i.Expires, nil
}

func (n *stormNode) anyBill() (h Hash) {
	if len(n.bills) > 0 {
		h = n.bills[n.rng.IntN(len(n.bills))]
	}
	return h
}

// Deliver knows each letter by its seed: sealed again, it must be the same event.
func (n *stormNode) Deliver(_ context.Context, l Letter) error {
	done, err := n.call()
	if !done {
		return err
	}
	raw, mErr := json.Marshal(l)
	text := string(raw)
	if old, ok := n.letters[l.Seed]; mErr != nil || ok && old != text {
		n.wrong("a letter is not what it was: %v\n%s\n%s", mErr, old, text)
	}
	n.letters[l.Seed] = text
	identities, seller, invoice := n.secrets(l.Order)
	for _, k := range identities {
		if strings.Contains(text, k.String()) {
			n.wrong("an identity is told: %s", text)
		}
	}
	if l.To == seller && invoice != "" && strings.Contains(text, invoice) {
		n.wrong("the seller hears the buyer's invoice: %s", text)
	}
	return err
}

func (n *stormNode) Announce(_ context.Context, a Announcement) error {
	done, err := n.call()
	if !done {
		return err
	}
	old, ok := n.stamps[a.Order]
	was, _ := json.Marshal(old)
	is, _ := json.Marshal(a)
	if ok && (a.Stamp < old.Stamp || a.Stamp == old.Stamp && string(was) != string(is)) {
		n.wrong("order event %s after %s", is, was)
	}
	n.stamps[a.Order] = a
	return err
}

func (n *stormNode) Dispute(_ context.Context, d DisputeNote) error {
	done, err := n.call()
	if !done {
		return err
	}
	old, ok := n.cases[d.Dispute]
	if ok && (d.Stamp < old.Stamp || d.Stamp == old.Stamp && d != old || old.State.Ended() && d.State != old.State) {
		n.wrong("dispute event %+v after %+v", d, old)
	}
	n.cases[d.Dispute] = d
	return err
}

func (n *stormNode) Rate(context.Context, RatingNote) error {
	_, err := n.call()
	return err
}
