package orders

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// verdictOf is one way to end a dispute.
type verdictOf struct {
	name string
	act  Act
}

func TestADisputeIsSettledForTheBuyer(t *testing.T) {
	w := newWorld(t)
	solver := w.solver(LevelReadWrite)
	tr := w.newTrade(Sell)
	tr.script = nil
	tr.to(FiatSent)
	w.said = nil
	tr.buyer.must(tr.id, OpenDispute{})
	w.want(tr.id, InDispute)
	d := tr.dispute()
	if d.By != Buyer || d.State != DisputeInitiated || d.Before != FiatSent || d.OpenedAt != w.now {
		t.Errorf("dispute: %+v", d)
	}
	if l := w.last(tr.buyer, SayDisputeByYou); *l.Dispute != d.ID || *l.Request != tr.buyer.request {
		t.Errorf("the initiator heard %+v", l)
	}
	if l := w.last(tr.seller, SayDisputeByPeer); *l.Dispute != d.ID || l.Request != nil {
		t.Errorf("the peer heard %+v", l)
	}
	w.wantHeard(tr.seller, SayDisputeByPeer)
	w.wantHeard(tr.buyer, SayDisputeByYou)
	w.wantHeard(solver, SayText)
	tr.takenBy(solver)
	l := w.last(solver, SayTookDispute)
	if *l.About != d.ID || *l.Dispute != d.ID || l.Info == nil || *l.Request != solver.request {
		t.Errorf("the solver heard %+v", l)
	}
	for _, p := range []*trader{tr.buyer, tr.seller} {
		if l := w.last(p, SayTookDispute); l.Peer.Trade != solver.trade || l.Peer.Standing != nil || l.Info != nil {
			t.Errorf("%s heard %+v", p.name, l)
		}
		w.wantHeard(p, SayTookDispute)
	}
	w.wantHeard(solver, SayTookDispute)
	solver.must(tr.id, AdminSettle{})
	w.want(tr.id, Success)
	w.wantHeard(solver, SayAdminSettled)
	w.wantHeard(tr.seller, SayAdminSettled)
	w.wantHeard(tr.buyer, SayAdminSettled, SayPurchaseCompleted, SayRate)
	w.wantStates(d.ID, DisputeInitiated, DisputeInProgress, DisputeSettled)
	if w.booked(tr.id, Paid) != 10_000_000 || w.node.sends != 1 {
		t.Errorf("paid %d msat in %d calls", w.booked(tr.id, Paid), w.node.sends)
	}
	if a := w.book[len(w.book)-1]; a.Status != "success" {
		t.Errorf("the book says %s", a.Status)
	}
}

// wantStates compares the dispute's events.
func (w *world) wantStates(id DisputeID, want ...DisputeState) {
	w.t.Helper()
	var got []DisputeState
	for _, n := range w.cases {
		if n.Dispute == id {
			got = append(got, n.State)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("dispute events: %v, want %v", got, want)
	}
}

func TestADisputeIsRefundedToTheSeller(t *testing.T) {
	for _, s := range []Status{Active, FiatSent} {
		w := newWorld(t)
		solver := w.solver(LevelReadWrite)
		tr := w.newTrade(Buy).to(s)
		tr.seller.must(tr.id, OpenDispute{})
		d := tr.dispute()
		if d.By != Seller || d.Before != s {
			t.Errorf("dispute: %+v", d)
		}
		tr.takenBy(solver)
		w.said = nil
		solver.must(tr.id, AdminCancel{})
		w.want(tr.id, CanceledByAdmin)
		w.wantHeard(solver, SayAdminCanceled)
		w.wantHeard(tr.seller, SayAdminCanceled)
		w.wantHeard(tr.buyer, SayAdminCanceled)
		w.wantStates(d.ID, DisputeInitiated, DisputeInProgress, DisputeRefunded)
		if w.booked(tr.id, Refunded) != 10_060_000 || w.node.sends != 0 {
			t.Errorf("refunded %d msat, %d payments", w.booked(tr.id, Refunded), w.node.sends)
		}
		if a := w.book[len(w.book)-1]; a.Status != "canceled" {
			t.Errorf("the book says %s", a.Status)
		}
	}
}

func TestThePartiesCanEndADisputeThemselves(t *testing.T) {
	t.Run("the seller releases", func(t *testing.T) {
		w := newWorld(t)
		solver := w.solver(LevelReadWrite)
		tr := w.newTrade(Sell)
		tr.script = nil
		tr.to(InDispute).takenBy(solver)
		w.said = nil
		tr.release()
		w.want(tr.id, Success)
		w.wantHeard(tr.seller, SayHoldSettled, SayRate)
		w.wantHeard(tr.buyer, SayReleased, SayPurchaseCompleted, SayRate)
		w.wantHeard(solver, SayText)
		w.wantStates(tr.dispute().ID, DisputeInitiated, DisputeInProgress, DisputeSettled)
	})
	t.Run("both cancel", func(t *testing.T) {
		w := newWorld(t)
		solver := w.solver(LevelReadWrite)
		tr := w.newTrade(Sell).to(InDispute)
		tr.takenBy(solver)
		w.said = nil
		tr.buyer.must(tr.id, Cancel{})
		tr.seller.must(tr.id, Cancel{})
		w.want(tr.id, CoopCanceled)
		w.wantHeard(solver, SayText)
		w.wantStates(tr.dispute().ID, DisputeInitiated, DisputeInProgress, DisputeRefunded)
		for _, v := range []Act{AdminSettle{}, AdminCancel{}} {
			solver.must(tr.id, v)
			w.wantHeard(solver, SayCoopAccepted)
		}
		w.want(tr.id, CoopCanceled)
	})
	t.Run("one has asked for the cancel before", func(t *testing.T) {
		w := newWorld(t)
		tr := w.newTrade(Sell).to(FiatSent)
		tr.buyer.must(tr.id, Cancel{})
		tr.seller.must(tr.id, OpenDispute{})
		tr.seller.must(tr.id, Cancel{})
		w.want(tr.id, CoopCanceled)
	})
}

func TestTheRestOfARangeFollowsAReleaseAndNoVerdict(t *testing.T) {
	for _, verdict := range []bool{false, true} {
		w := newWorld(t)
		w.quote = euro
		tr := w.newTrade(Sell)
		tr.script = nil
		tr.openWith(NewOrder{Terms: rangeTerms(Sell, 10, 50)})
		tr.takeRange(20)
		tr.toward(FiatSent)
		tr.buyer.must(tr.id, OpenDispute{})
		if verdict {
			w.operator(tr.id, AdminSettle{})
		} else {
			tr.seller.must(tr.id, Release{Next: &NextKey{Trade: w.freshKey(), Index: 7}})
		}
		w.want(tr.id, Success)
		if n, _ := w.e.Count(); (n.Orders == 2) == verdict {
			t.Errorf("verdict %v: %d orders", verdict, n.Orders)
		}
	}
}

func TestWhoMayOpenADispute(t *testing.T) {
	w := newWorld(t)
	pending := w.newTrade(Sell).to(Pending)
	active := w.newTrade(Sell).to(Active)
	disputed := w.newTrade(Sell).to(InDispute)
	stranger := w.trader("stranger")
	for _, tt := range []struct {
		name string
		by   *trader
		id   OrderID
		want Reason
	}{
		{"nobody knows the order", stranger, OrderID{1}, NotFound},
		{"nothing is locked yet", pending.maker, pending.id, NotAllowedByStatus},
		{"a stranger", stranger, active.id, InvalidPubkey},
		{"a stranger, where there is one", stranger, disputed.id, InvalidPubkey},
		{"who opened it, again", disputed.taker, disputed.id, DisputeCreationError},
		{"the other side", disputed.maker, disputed.id, DisputeCreationError},
		{"a party", active.buyer, active.id, ""},
	} {
		if out := tt.by.does(tt.id, OpenDispute{}); out.Reason != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, out.Reason, tt.want)
		}
	}
}

func TestWhoMayTakeADispute(t *testing.T) {
	const nobody, admin, solver, reader, former = "nobody", "admin", "solver", "reader", "former"
	allowed := map[string][]string{ // by whom it is taken → who may take it over
		nobody: {admin, solver, reader, "another solver"}, admin: {admin}, solver: {admin, solver},
		reader: {admin, solver, reader, "another solver"}, former: {admin, solver, reader, "another solver"},
	}
	for holder, may := range allowed {
		for _, who := range []string{admin, solver, reader, "another solver", former, "stranger", "party"} {
			t.Run(holder+" and then "+who, func(t *testing.T) {
				w := newWorld(t)
				tr := w.newTrade(Sell).to(InDispute)
				people := map[string]*trader{
					admin: w.official(serverKey), solver: w.solver(LevelReadWrite), "another solver": w.solver(LevelReadWrite),
					reader: w.solver(LevelRead), former: w.solver(LevelReadWrite), "stranger": w.trader("stranger"), "party": tr.maker,
				}
				if holder != nobody {
					tr.takenBy(people[holder])
				}
				if _, err := w.e.RemoveSolver(t.Context(), people[former].trade, Actor{Role: RoleOperator}, w.now); err != nil {
					t.Fatal(err)
				}
				before := tr.dispute()
				out := people[who].does(OrderID{}, AdminTake{Dispute: before.ID})
				if ok := out.Reason == ""; ok != slices.Contains(may, who) || !ok && out.Reason != InvalidPubkey {
					t.Errorf("got %q", out.Reason)
				}
				want := before.Solver
				if out.Reason == "" {
					want = people[who].trade
				}
				if d := tr.dispute(); d.Solver != want {
					t.Errorf("it is with %s, want %s", d.Solver, want)
				}
			})
		}
	}
}

func TestATakeThatCannotBe(t *testing.T) {
	w := newWorld(t)
	solver := w.solver(LevelReadWrite)
	if out := solver.does(OrderID{}, AdminTake{Dispute: DisputeID{1}}); out.Reason != NotFound {
		t.Errorf("unknown: %q", out.Reason)
	}
	if l := w.last(solver, SayCantDo); *l.About != (DisputeID{1}) {
		t.Errorf("the refusal names %v", l.About)
	}
	ended := w.newTrade(Sell).to(CanceledByAdmin)
	if out := solver.does(OrderID{}, AdminTake{Dispute: ended.dispute().ID}); out.Reason != InvalidPubkey {
		t.Errorf("ended: %q", out.Reason)
	}
	own := w.newTrade(Sell)
	own.maker.identity = solver.identity
	own.to(InDispute)
	for _, a := range []Act{AdminTake{Dispute: own.dispute().ID}, AdminCancel{}} {
		if out := solver.does(own.id, a); out.Reason == "" {
			t.Errorf("a solver decides his own trade: %s", a.On())
		}
	}
	if out := w.operator(OrderID{9}, AdminTake{}); out.Reason != NotFound {
		t.Errorf("the operator, of an order that is not there: %q", out.Reason)
	}
}

func TestATakeIsRepeatedToTheSolverAlone(t *testing.T) {
	w := newWorld(t)
	solver := w.solver(LevelReadWrite)
	tr := w.newTrade(Sell).to(InDispute)
	tr.takenBy(solver)
	w.said = nil
	solver.way = GiftWrap
	tr.takenBy(solver)
	w.wantHeard(solver, SayTookDispute)
	w.wantHeard(tr.buyer)
	w.wantStates(tr.dispute().ID, DisputeInitiated, DisputeInProgress)
	solver.must(tr.id, AdminSettle{})
	if l := w.last(solver, SayAdminSettled); l.Way != GiftWrap || *l.Request != solver.request {
		t.Errorf("the answer left by way %d to request %d", l.Way, *l.Request)
	}
}

func TestWhatASolverLearns(t *testing.T) {
	for _, private := range []bool{false, true} {
		w := newWorld(t)
		tr := w.newTrade(Sell)
		tr.taker.private = private
		tr.to(FiatSent)
		tr.maker.must(tr.id, OpenDispute{})
		solver := w.solver(LevelRead)
		tr.takenBy(solver)
		l, o := w.last(solver, SayTookDispute), w.order(tr.id)
		want := DisputeInfo{
			Order: tr.id, Kind: Sell, Status: "dispute", Before: "fiat-sent", Hash: o.Hold, Initiator: tr.maker.trade, Buyer: tr.taker.trade,
			Seller: tr.maker.trade, OtherPrivate: private, InitiatorStanding: &Standing{}, OtherStanding: &Standing{}, PaymentMethod: "SEPA",
			Amount: 10_000, FiatAmount: 10, Fee: 60, BuyerInvoice: o.Payout.Invoice, HeldAt: o.HeldAt, TakenAt: o.TakenAt, CreatedAt: o.CreatedAt,
		}
		if private {
			want.OtherStanding = nil
		}
		if got, want := asJSON(t, l.Info), asJSON(t, want); got != want {
			t.Errorf("private %v: the solver learns\n%s\nwant\n%s", private, got, want)
		}
		text := asText(t, *l)
		h, _, err := w.e.Hold(o.Hold)
		must(t, err)
		for what, secret := range map[string]string{"preimage": h.Preimage.Reveal(), "identity": tr.maker.identity.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("the solver learns the %s", what)
			}
		}
	}
}

func TestTheVerdictsOfPeopleWithoutTheRight(t *testing.T) {
	for _, v := range []struct {
		verdictOf
		wrongStatus Reason
	}{{verdictOf{"settle", AdminSettle{}}, InvalidOrderStatus}, {verdictOf{"cancel", AdminCancel{}}, NotAllowedByStatus}} {
		t.Run(v.name, func(t *testing.T) {
			w := newWorld(t)
			admin, solver, other, reader, former := w.official(serverKey), w.solver(LevelReadWrite), w.solver(LevelReadWrite), w.solver(LevelRead), w.solver(LevelReadWrite)
			taken := func(by *trader) *trade {
				tr := w.newTrade(Sell).to(InDispute)
				tr.takenBy(by)
				return tr
			}
			mine, read, his, gone := taken(solver), taken(reader), taken(admin), taken(former)
			_, err := w.e.RemoveSolver(t.Context(), former.trade, Actor{Role: RoleOperator}, w.now)
			must(t, err)
			released := taken(solver)
			w.node.stuck[w.order(released.id).Hold] = true
			released.release()
			slash := Act(AdminSettle{SlashBuyer: true})
			if v.act.On() == OnAdminCancel {
				slash = AdminCancel{SlashSeller: true}
			}
			for _, tt := range []struct {
				name string
				by   *trader
				id   OrderID
				act  Act
				want Reason
			}{
				{"an order that is not there", solver, OrderID{1}, v.act, NotFound},
				{"an order without a dispute", solver, w.newTrade(Sell).to(FiatSent).id, v.act, IsNotYourDispute},
				{"a dispute that nobody has taken", solver, w.newTrade(Sell).to(InDispute).id, v.act, IsNotYourDispute},
				{"a dispute that nobody has taken, by the admin", admin, w.newTrade(Sell).to(InDispute).id, v.act, IsNotYourDispute},
				{"another solver's", other, mine.id, v.act, IsNotYourDispute},
				{"the admin, who has not taken it over", admin, mine.id, v.act, IsNotYourDispute},
				{"a party", mine.seller, mine.id, v.act, IsNotYourDispute},
				{"the admin's", solver, his.id, v.act, DisputeTakenByAdmin},
				{"a reader's own", reader, read.id, v.act, NotAuthorized},
				{"a former solver's own", former, gone.id, v.act, NotAuthorized},
				{"after the release", solver, released.id, v.act, v.wrongStatus},
				{"with a bond that is not there", solver, mine.id, slash, InvalidPayload},
			} {
				if out := tt.by.does(tt.id, tt.act); out.Reason != tt.want {
					t.Errorf("%s: %q, want %q", tt.name, out.Reason, tt.want)
				}
			}
			solver.must(mine.id, v.act)
			admin.must(his.id, v.act)
			if out := solver.does(mine.id, v.act); out.Reason != v.wrongStatus {
				t.Errorf("a second verdict: %q", out.Reason)
			}
		})
	}
}

// Whatever comes first wins, the other hears the documented answer, and the money moves once.
func TestVerdictsRaceWithEverythingElse(t *testing.T) {
	inputs := map[string]func(*trade, *trader) Input{
		"a settle":       func(tr *trade, by *trader) Input { return by.message(tr.id, AdminSettle{}) },
		"another settle": func(tr *trade, by *trader) Input { return by.message(tr.id, AdminSettle{}) },
		"a cancel":       func(tr *trade, by *trader) Input { return by.message(tr.id, AdminCancel{}) },
		"a release":      func(tr *trade, _ *trader) Input { return tr.releases() },
		"the last word of a cooperative cancel": func(tr *trade, _ *trader) Input {
			tr.maker.must(tr.id, Cancel{})
			return tr.takerCancels()
		},
		"the end of the escrow": func(tr *trade, _ *trader) Input { return tr.ending() },
		"the operator's settle": func(tr *trade, _ *trader) Input { return tr.byOperator(AdminSettle{}) },
		"the operator's cancel": func(tr *trade, _ *trader) Input { return tr.byOperator(AdminCancel{}) },
		"an admin's take": func(tr *trade, _ *trader) Input {
			return tr.w.official(serverKey).message(tr.id, AdminTake{Dispute: tr.dispute().ID})
		},
		"the escrow's early loss": func(tr *trade, _ *trader) Input { return tr.lost() },
	}
	for a, first := range inputs {
		for b, second := range inputs {
			if a == b {
				continue
			}
			t.Run(a+" and "+b, func(t *testing.T) {
				w := newWorld(t)
				solver := w.solver(LevelReadWrite)
				tr := w.newTrade(Sell)
				tr.script = nil
				tr.to(InDispute).takenBy(solver)
				both := []Input{first(tr, solver), second(tr, solver)}
				if len(a)%2 == 0 { // one after the other, or at once
					for _, in := range both {
						w.do(in)
					}
				} else {
					var group sync.WaitGroup
					for _, in := range both {
						group.Go(func() {
							if _, err := w.e.Do(t.Context(), in); err != nil {
								t.Error(err)
							}
						})
					}
					group.Wait()
				}
				w.restart()
				w.pump()
				paid, refunded := w.booked(tr.id, Paid), w.booked(tr.id, Refunded)
				if paid != 0 && refunded != 0 || paid != 0 != (w.order(tr.id).Status == Success) || w.node.sends > 1 {
					t.Errorf("order is %s, paid %d msat in %d calls, refunded %d msat", w.order(tr.id).Status, paid, w.node.sends, refunded)
				}
			})
		}
	}
}

func (tr *trade) byOperator(a Act) Input {
	s := tr.w.seed()
	return Input{ID: s.Derive("rpc"), At: tr.w.now, Seed: s, Order: tr.id, Act: a}
}

func TestADisputeOutlivesARestartAtEveryStep(t *testing.T) {
	for _, v := range []verdictOf{{"settle", AdminSettle{}}, {"cancel", AdminCancel{}}} {
		t.Run(v.name, func(t *testing.T) {
			w := newWorld(t)
			solver := w.solver(LevelReadWrite)
			tr := w.newTrade(Sell)
			tr.script = nil
			tr.to(FiatSent)
			w.said, w.deaf, w.node.down = nil, true, true
			for _, in := range []func() Input{
				func() Input { return tr.buyer.message(tr.id, OpenDispute{}) },
				func() Input { return solver.message(OrderID{}, AdminTake{Dispute: tr.dispute().ID}) },
				func() Input { return solver.message(tr.id, v.act) },
			} {
				if out := w.do(in()); out.Reason != "" {
					t.Fatal(out.Reason)
				}
				w.restart()
				w.pump()
			}
			w.deaf, w.node.down = false, false
			w.pump()
			want, last := Success, DisputeSettled
			if v.act.On() == OnAdminCancel {
				want, last = CanceledByAdmin, DisputeRefunded
			}
			w.want(tr.id, want)
			if n := w.cases[len(w.cases)-1]; n.State != last {
				t.Errorf("the last event says %s", n.State)
			}
			w.last(solver, SayTookDispute)
			if !w.e.Known(solver.trade) {
				t.Error("the solver's key is forgotten")
			}
		})
	}
}

func TestNobodyTakesADispute(t *testing.T) {
	w := newWorld(t)
	solvers := []*trader{w.solver(LevelRead), w.solver(LevelReadWrite)}
	tr := w.newTrade(Sell).to(InDispute)
	for i := range 4 {
		w.said = nil
		if alerts := w.alerts(func() { w.pass(w.rules.DisputeReminder) }); (len(alerts) > 0) != (i+1 >= w.rules.DisputeEscalate) {
			t.Errorf("after %d reminders: %v", i+1, alerts)
		}
		for _, s := range solvers {
			w.wantHeard(s, SayText)
		}
	}
	tr.takenBy(solvers[1])
	w.said = nil
	w.pass(w.rules.DisputeReminder)
	w.wantHeard(solvers[1])
	if alerts := w.alerts(func() { w.pass(w.rules.DisputePatience) }); len(alerts) != 1 {
		t.Errorf("the operator hears %v", alerts)
	}
	w.wantHeard(solvers[1], SayText)
	w.wantHeard(solvers[0])
	_, err := w.e.RemoveSolver(t.Context(), solvers[1].trade, Actor{Role: RoleOperator}, w.now)
	must(t, err)
	w.pass(w.rules.DisputePatience)
	w.wantHeard(solvers[1])
	w.wantHeard(solvers[0], SayText)
}

// alerts returns what the operator hears of what is done.
func (w *world) alerts(do func()) []string {
	w.t.Helper()
	before := len(w.alerted)
	do()
	return w.alerted[before:]
}

func TestBlocksLeftAreToldEarly(t *testing.T) {
	near := func(tr *trade, left uint32) Input {
		hash := tr.w.order(tr.id).Hold
		return Input{ID: NodeID(OnEscrowNearing, hash[:], []byte{byte(left)}), At: tr.w.now, Seed: tr.w.seed(), Act: EscrowNearing{hash, 1000 - left, left}}
	}
	tell := func(w *world, tr *trade, left uint32) {
		w.said = nil
		w.do(near(tr, left))
		w.pump()
	}
	t.Run("while the fiat is awaited", func(t *testing.T) {
		w := newWorld(t)
		tr := w.newTrade(Sell).to(Active)
		tell(w, tr, 48)
		for _, p := range []*trader{tr.buyer, tr.seller} {
			if l := w.last(p, SayText); !strings.Contains(l.Text, "48 blocks") {
				t.Errorf("%s hears %q", p.name, l.Text)
			}
		}
		tell(w, tr, 47)
		w.wantHeard(tr.buyer)
		w.now += 3600
		tell(w, tr, 42)
		w.wantHeard(tr.buyer, SayText)
		w.want(tr.id, Active)
	})
	t.Run("fiat sent: a dispute is opened for the buyer", func(t *testing.T) {
		w := newWorld(t)
		solver := w.solver(LevelReadWrite)
		tr := w.newTrade(Sell).to(FiatSent)
		tell(w, tr, 48)
		w.want(tr.id, InDispute)
		if d := tr.dispute(); d.By != Buyer || d.Before != FiatSent {
			t.Errorf("dispute: %+v", d)
		}
		w.wantHeard(tr.buyer, SayDisputeByYou, SayText)
		w.wantHeard(tr.seller, SayDisputeByPeer, SayText)
		w.wantHeard(solver, SayText, SayText)
		tr.takenBy(solver)
		w.now += 3600
		if alerts := w.alerts(func() { tell(w, tr, 40) }); len(alerts) != 1 || !strings.Contains(alerts[0], "40 blocks") {
			t.Errorf("the operator hears %v", alerts)
		}
		w.wantHeard(solver, SayText)
		w.wantHeard(tr.buyer, SayText)
	})
}

func TestARunOutEscrowIsRefundedInADispute(t *testing.T) {
	w := newWorld(t)
	solver := w.solver(LevelReadWrite)
	tr := w.newTrade(Sell).to(InDispute)
	tr.takenBy(solver)
	w.said = nil
	alerts := w.alerts(func() {
		w.do(tr.ending())
		w.pump()
	})
	w.want(tr.id, Canceled)
	if len(alerts) != 1 || w.booked(tr.id, Refunded) != 10_060_000 {
		t.Errorf("the operator hears %v; refunded %d msat", alerts, w.booked(tr.id, Refunded))
	}
	w.wantHeard(solver, SayText)
	w.wantHeard(tr.buyer, SayHoldCanceled, SayCanceled)
	w.wantHeard(tr.seller, SayHoldCanceled, SayCanceled)
	w.wantStates(tr.dispute().ID, DisputeInitiated, DisputeInProgress, DisputeRefunded)
}

func TestADisputeOfAHoldThatTheNodeHasSettled(t *testing.T) {
	for _, v := range []verdictOf{{"settle", AdminSettle{}}, {"cancel", AdminCancel{}}} {
		w := newWorld(t)
		tr := w.newTrade(Sell)
		tr.script = nil
		tr.to(InDispute)
		hash := w.order(tr.id).Hold
		w.node.holds[hash].state = HoldSettled
		if alerts := w.alerts(func() { w.report(HoldIsSettled{hash}) }); len(alerts) != 1 {
			t.Errorf("the operator hears %v", alerts)
		}
		w.want(tr.id, InDispute)
		w.operator(tr.id, v.act)
		if v.act.On() == OnAdminSettle {
			w.want(tr.id, Success)
			continue
		}
		w.want(tr.id, CanceledByAdmin)
		if w.booked(tr.id, Owed) != 10_060_000 || w.booked(tr.id, Refunded) != 0 {
			t.Errorf("owed to the seller: %d msat, refunded %d", w.booked(tr.id, Owed), w.booked(tr.id, Refunded))
		}
	}
}
