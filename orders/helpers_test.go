package orders

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func findCall(f *ast.File, name string) (pos token.Pos) {
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name+"."+sel.Sel.Name == name {
				pos = sel.Pos()
			}
		}
		return true
	})
	return pos
}

// world is an exchange over a real store, with a node, a wallet and relays that keep state and insist on the
// contracts of the ports. It has no dispatcher: a test lets effects out one by one, in whatever order it likes.
type world struct {
	t       testing.TB
	path    string
	store   *Store
	e       *Engine
	rules   Rules
	now     int64
	n       uint64
	said    []Letter
	book    []Announcement
	notes   []RatingNote
	cases   []DisputeNote
	alerted []string // what the operator heard
	quote   *Quote
	node    *fakeNode
	deaf    bool // no relay takes anything
	heeds   func(Letter)
	asked   []Input // every message of a client, as relays keep them

	commit func(func() error) error // stands in for the store's commits; nil: nothing does
}

func (w *world) commits(commit func() error) error {
	if w.commit != nil {
		return w.commit(commit)
	}
	return commit()
}

const startTime = 1_767_225_600

// serverKey is the server's own identity.
var serverKey = PubKey{0: 0xad, 31: 1}

func newWorld(t testing.TB, change ...func(*Rules)) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "orders.db"), now: startTime, rules: DefaultRules()}
	w.rules.Admins = []PubKey{serverKey}
	for _, c := range change {
		c(&w.rules)
	}
	w.node = newFakeNode()
	w.open()
	t.Cleanup(func() {
		w.e.Close()
		if err := w.store.Check(); err != nil {
			t.Errorf("the store is not sound:\n%v", err)
		}
		w.store.Close()
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	o := StoreOptions{NoSync: true, Commit: w.commits} // no test pulls the plug of the machine
	if w.store, err = OpenWith(w.path, [32]byte{7}, time.Second, o); err != nil {
		w.t.Fatal(err)
	}
	if w.e, err = NewEngine(w.store, w.rules, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		w.t.Fatal(err)
	}
}

// restart is a crash right after the last commit.
func (w *world) restart() {
	w.t.Helper()
	w.e.Close()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

func (w *world) seed() (s Seed) {
	w.n++
	binary.BigEndian.PutUint64(s[:], w.n)
	return s
}

func key(n byte) PubKey { return PubKey{0: 0xaa, 31: n} }

// trader is a client; index counts its trade keys.
type trader struct {
	w        *world
	name     string
	identity PubKey
	trade    PubKey
	index    int64
	private  bool
	way      Way
	request  uint64
}

func (w *world) trader(name string) *trader {
	return &trader{w: w, name: name, identity: w.freshKey(), trade: w.freshKey(), index: 1, way: Direct}
}

// freshKey is a key that nobody in this world has.
func (w *world) freshKey() PubKey { return w.seed().Derive("key") }

func (p *trader) message(order OrderID, a Act) Input {
	id := p.identity
	if p.private {
		id = p.trade
	}
	p.request++
	request, index := p.request, p.index
	s := p.w.seed()
	return Input{
		ID: s.Derive("test event"), At: p.w.now, Seed: s, Act: a, Order: order, Request: &request, Index: &index, Quote: p.w.quote,
		From: Sender{Trade: p.trade, Identity: id, Way: p.way},
	}
}

// does sends a message and returns the outcome; what is owed goes out.
func (p *trader) does(order OrderID, a Act) Outcome {
	p.w.t.Helper()
	out := p.w.do(p.message(order, a))
	p.w.pump()
	return out
}

func (p *trader) must(order OrderID, a Act) OrderID {
	p.w.t.Helper()
	out := p.does(order, a)
	if out.Reason != "" {
		p.w.t.Fatalf("%s: %s refused: %s", p.name, a.On(), out.Reason)
	}
	return out.Order
}

func (w *world) do(in Input) Outcome {
	w.t.Helper()
	if !in.From.Trade.IsZero() {
		w.asked = append(w.asked, in)
	}
	out, err := w.e.Do(w.t.Context(), in)
	if err != nil {
		w.t.Fatalf("%s: %v", in.Act.On(), err)
	}
	return out
}

// report is an input of the node about a hash.
func (w *world) report(a Act) Outcome {
	w.t.Helper()
	h, _ := hashOf(a)
	out := w.do(Input{ID: NodeID(a.On(), h[:]), At: w.now, Seed: w.seed(), Act: a})
	w.pump()
	return out
}

// pass lets time go by; every deadline in between fires.
func (w *world) pass(seconds int64) {
	w.t.Helper()
	w.now += seconds
	if err := w.e.Tick(w.t.Context(), w.now, w.seed); err != nil {
		w.t.Fatal(err)
	}
	w.pump()
}

func (w *world) order(id OrderID) Order {
	w.t.Helper()
	o, ok, err := w.e.Order(id)
	if err != nil || !ok {
		w.t.Fatalf("order %s: %v %v", id, ok, err)
	}
	return o
}

func (w *world) want(id OrderID, s Status) {
	w.t.Helper()
	if o := w.order(id); o.Status != s {
		w.t.Fatalf("order is %s, want %s", o.Status, s)
	}
}

// pump carries out everything owed, until nothing is, by the same code as the dispatcher.
func (w *world) pump() {
	w.t.Helper()
	idle := 0
	for range 1000 {
		var rows []*Row
		if err := w.e.read(func(t *tx) { rows = t.rows() }); err != nil {
			w.t.Fatal(err)
		}
		progress := false
		for _, r := range rows {
			if w.carry(r) {
				progress = true
			}
		}
		if progress {
			idle = 0
		} else if idle++; idle == 3 { // a payment row needs a look after its call
			return
		}
	}
	w.t.Fatal("the outbox does not drain")
}

func (w *world) carry(r *Row) bool {
	w.t.Helper()
	d := &dispatcher{e: w.e, p: w.ports()}
	if a, ok := r.Effect.(*Alert); ok {
		w.alerted = append(w.alerted, a.Text)
	}
	gone, _, err := d.carryOut(w.t.Context(), r, false)
	if err != nil && !errors.Is(err, errNodeDown) && !errors.Is(err, errLost) {
		w.t.Fatalf("carry %s: %v", effectKind(r.Effect), err)
	}
	return gone
}

func (w *world) ports() Ports {
	return Ports{
		Escrow: w.node, Payer: w.node, Courier: w, Resolver: w.node,
		Now: func() time.Time { return time.Unix(w.now, 0) }, NewSeed: w.seed,
	}
}

func (w *world) Deliver(_ context.Context, l Letter) error {
	if w.deaf {
		return errNodeDown
	}
	if w.heeds != nil {
		w.heeds(l)
	}
	w.said = append(w.said, l)
	return nil
}

func (w *world) Rate(_ context.Context, r RatingNote) error {
	if w.deaf {
		return errNodeDown
	}
	w.notes = append(w.notes, r)
	return nil
}

func (w *world) Dispute(_ context.Context, n DisputeNote) error {
	if w.deaf {
		return errNodeDown
	}
	for _, old := range w.cases {
		if old.Dispute == n.Dispute && n.Stamp <= old.Stamp {
			w.t.Errorf("created_at of the dispute event does not rise: %d after %d", n.Stamp, old.Stamp)
		}
	}
	w.cases = append(w.cases, n)
	return nil
}

func (w *world) Announce(_ context.Context, a Announcement) error {
	if w.deaf {
		return errNodeDown
	}
	if n := len(w.book); n > 0 && w.book[n-1].Order == a.Order && a.Stamp <= w.book[n-1].Stamp {
		w.t.Errorf("created_at of the order event does not rise: %d after %d", a.Stamp, w.book[n-1].Stamp)
	}
	w.book = append(w.book, a)
	return nil
}

// heard returns the actions that were said to a trader since the last call of it, and forgets them.
func (w *world) heard(p *trader) []Action {
	var mine []Action
	var rest []Letter
	for _, l := range w.said {
		if l.To == p.trade {
			mine = append(mine, l.Action)
		} else {
			rest = append(rest, l)
		}
	}
	w.said = rest
	return mine
}

func (w *world) wantHeard(p *trader, want ...Action) {
	w.t.Helper()
	got := w.heard(p)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("%s heard %v, want %v", p.name, got, want)
	}
}

func (w *world) last(p *trader, a Action) *Letter {
	w.t.Helper()
	for i := len(w.said) - 1; i >= 0; i-- {
		if w.said[i].To == p.trade && w.said[i].Action == a {
			return &w.said[i]
		}
	}
	w.t.Fatalf("%s did not hear %s", p.name, a)
	return nil
}

var (
	errNodeDown = errors.New("node is down")
	errLost     = errors.New("connection lost")
)

// fakeNode is a Lightning node with hold invoices and payments.
type fakeNode struct {
	mu      sync.Mutex
	down    bool
	stuck   map[Hash]bool // holds that it cannot settle now
	session string
	holds   map[Hash]*fakeHold
	paid    map[Hash]*fakePay
	labels  map[string]Hash
	claims  map[OrderID][]Hash
	sends   int
	gives   []any // what destinations answer next: an *Invoice or an error
	asked   int   // how often destinations were asked
	onSend  func(Pay)
}

type fakeHold struct {
	amount Msats
	state  HoldState
}

type fakePay struct {
	state  PayState
	script []error // answers of the next calls of Send; nil pays
	pre    Preimage
}

func newFakeNode() *fakeNode {
	return &fakeNode{session: "1", stuck: map[Hash]bool{}, holds: map[Hash]*fakeHold{}, paid: map[Hash]*fakePay{}, labels: map[string]Hash{}, claims: map[OrderID][]Hash{}}
}

func (n *fakeNode) Create(_ context.Context, h Hold, label, _ string, expiry int64) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return "", errNodeDown
	}
	if old, ok := n.labels[label]; ok && old != h.Hash || expiry <= 0 {
		return "", fmt.Errorf("label %s taken, or expiry %d", label, expiry)
	}
	n.labels[label] = h.Hash
	if n.holds[h.Hash] == nil {
		n.holds[h.Hash] = &fakeHold{h.Amount, HoldOpen}
	}
	return "lnhold" + h.Hash.String()[:8], nil
}

func (n *fakeNode) Settle(_ context.Context, h Hold) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.holds[h.Hash]
	switch {
	case n.down, n.stuck[h.Hash]:
		return errNodeDown
	case f == nil || f.state == HoldCanceled:
		return ErrHoldCanceled
	case f.state != HoldAccepted && f.state != HoldSettled:
		return fmt.Errorf("settle in %s", f.state)
	case !h.Preimage.Matches(h.Hash):
		return errors.New("wrong preimage")
	}
	f.state = HoldSettled
	return nil
}

func (n *fakeNode) Cancel(_ context.Context, h Hash) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.holds[h]
	switch {
	case n.down:
		return errNodeDown
	case f == nil:
		n.holds[h] = &fakeHold{0, HoldCanceled}
		return nil
	case f.state == HoldSettled:
		return ErrHoldSettled
	}
	f.state = HoldCanceled
	return nil
}

func (n *fakeNode) Session() string { return n.session }
func (n *fakeNode) Patience() int64 { return 120 }

func (n *fakeNode) Claim(_ context.Context, id OrderID, h Hash) (others []Hash, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return nil, errNodeDown
	}
	if !slices.Contains(n.claims[id], h) {
		n.claims[id] = append(n.claims[id], h)
	}
	return slices.DeleteFunc(slices.Clone(n.claims[id]), func(c Hash) bool { return c == h }), nil
}

func (n *fakeNode) Ask(_ context.Context, h Hash) (PayReport, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return PayReport{}, errNodeDown
	}
	p := n.paid[h]
	if p == nil {
		return PayReport{State: PayNever}, nil
	}
	return PayReport{State: p.state, Preimage: p.pre, Fee: 1500}, nil
}

func (n *fakeNode) Send(_ context.Context, p Pay, _ string) error {
	if n.onSend != nil {
		n.onSend(p)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sends++
	if !slices.ContainsFunc(slices.Collect(maps.Values(n.claims)), func(c []Hash) bool { return slices.Contains(c, p.Hash) }) {
		return fmt.Errorf("payout %s was not noted before it was sent", p.Hash)
	}
	f := n.paid[p.Hash]
	switch {
	case f == nil:
		return &PayError{Why: "no route"}
	case f.state == PayDone:
		return &PayError{Why: "already paid"}
	case len(f.script) > 0:
		err := f.script[0]
		f.script = f.script[1:]
		if err != nil {
			return err
		}
	}
	f.state = PayDone
	return nil
}

func (n *fakeNode) Resolve(_ context.Context, _ string, amount Msats) (string, Hash, int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if len(n.gives) == 0 {
		return "", Hash{}, 0, errNodeDown
	}
	next := n.gives[0]
	n.gives = n.gives[1:]
	if err, ok := next.(error); ok {
		return "", Hash{}, 0, err
	}
	i := next.(*Invoice)
	if i.Amount != amount {
		return "", Hash{}, 0, fmt.Errorf("asked for %d, the test has %d", amount, i.Amount)
	}
	return i.Bolt11, i.Hash, i.Expires, nil
}

// invoice makes a payout invoice that the node can pay.
func (w *world) invoice(amount Sats, script ...error) *Invoice {
	pre := Preimage(w.seed().Derive("invoice"))
	w.node.paid[pre.Hash()] = &fakePay{state: PayNever, script: script, pre: pre}
	return &Invoice{
		Bolt11: "lnpayout" + pre.Hash().String()[:8], Hash: pre.Hash(), Amount: amount.Msats(), Expires: w.now + 86400, CLTV: 18,
	}
}

// lock is the seller's wallet paying the hold invoice.
func (w *world) lock(id OrderID) {
	w.t.Helper()
	o := w.order(id)
	f := w.node.holds[o.Hold]
	if f == nil || f.state != HoldOpen {
		w.t.Fatalf("nothing to pay: %+v", f)
	}
	f.state = HoldAccepted
	w.report(HoldIsAccepted{Hash: o.Hold, Held: f.amount, MinExpiry: 1000})
}

func sellTerms(amount Sats) Terms {
	return Terms{Kind: Sell, Amount: amount, FiatCode: "EUR", FiatAmount: 10, PaymentMethod: "SEPA"}
}

func buyTerms(amount Sats) Terms {
	t := sellTerms(amount)
	t.Kind = Buy
	return t
}

func join2(ss []string) string { return strings.Join(ss, "\n") }

func contains(raw []byte, s string) bool { return strings.Contains(string(raw), s) }

func (w *world) restartStore() {
	w.t.Helper()
	w.store.Close()
	w.open()
}
