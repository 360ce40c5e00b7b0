package orders

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestAnAdminNamesSolvers(t *testing.T) {
	w := newWorld(t)
	admin, solver, stranger := w.official(serverKey), w.official(w.freshKey()), w.trader("stranger")
	for _, tt := range []struct {
		name string
		by   *trader
		act  AddSolver
		want Reason
	}{
		{"somebody", stranger, AddSolver{Key: solver.trade, Level: LevelRead}, NotAuthorized},
		{"somebody, with a message that cannot be read", stranger, AddSolver{Problem: InvalidTextMessage}, NotAuthorized},
		{"the admin, without a text", admin, AddSolver{Problem: InvalidTextMessage}, InvalidTextMessage},
		{"the admin, with an odd suffix", admin, AddSolver{Problem: InvalidParameters}, InvalidParameters},
		{"the admin", admin, AddSolver{Key: solver.trade, Level: LevelRead}, ""},
		{"a solver", solver, AddSolver{Key: solver.trade, Level: LevelReadWrite}, NotAuthorized},
	} {
		if out := tt.by.does(OrderID{}, tt.act); out.Reason != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, out.Reason, tt.want)
		}
	}
	if l := w.last(admin, SayAddSolver); *l.Request != admin.request || !l.Order.IsZero() {
		t.Errorf("the answer is %+v", l)
	}
	all, err := w.e.Solvers()
	if want := []Solver{{Key: solver.trade, Level: LevelRead, AddedAt: w.now, AddedBy: Actor{Role: RoleAdmin, Key: serverKey}}}; err != nil || fmt.Sprint(all) != fmt.Sprint(want) {
		t.Errorf("solvers: %v %v", all, err)
	}
	if !w.e.Known(solver.trade) || !w.e.Known(serverKey) || w.e.Known(stranger.trade) {
		t.Error("the spam gate does not know a solver's or an admin's key, or knows a stranger's")
	}
	w.restart()
	if !w.e.Known(solver.trade) {
		t.Error("a solver's key is forgotten over a restart")
	}
}

func TestThereAreNotTooManySolvers(t *testing.T) {
	w := newWorld(t)
	var last *trader
	for range MaxSolvers {
		last = w.solver(LevelRead)
	}
	by := Actor{Role: RoleOperator}
	if err := w.e.AddSolver(t.Context(), w.freshKey(), LevelRead, by, w.now); !errors.Is(err, ErrTooManySolvers) {
		t.Errorf("one more: %v", err)
	}
	if out := w.official(serverKey).does(OrderID{}, AddSolver{Key: w.freshKey(), Level: LevelRead}); out.Reason != TooManyRequests {
		t.Errorf("one more, over Nostr: %q", out.Reason)
	}
	if err := w.e.AddSolver(t.Context(), last.trade, LevelReadWrite, by, w.now); err != nil {
		t.Errorf("a change of one: %v", err)
	}
	if err := w.e.AddSolver(t.Context(), last.trade, "execute", by, w.now); err == nil {
		t.Error("an unknown level")
	}
}

func TestL17_SolversAreChangedAndRemovedAndATakeOverIsTold(t *testing.T) {
	w := newWorld(t)
	user := w.newTrade(Sell)
	user.to(Success) // his identity is a user's
	solver := w.official(user.maker.identity)
	by := Actor{Role: RoleOperator, Name: "rpc"}
	must(t, w.e.AddSolver(t.Context(), solver.trade, LevelRead, by, w.now))
	tr := w.newTrade(Sell).to(InDispute)
	tr.takenBy(solver)
	if out := solver.does(tr.id, AdminSettle{}); out.Reason != NotAuthorized {
		t.Errorf("a reader decides: %q", out.Reason)
	}
	must(t, w.e.AddSolver(t.Context(), solver.trade, LevelReadWrite, by, w.now))
	w.said = nil
	tr.takenBy(w.official(serverKey))
	if l := w.last(solver, SayText); l.Order != tr.id {
		t.Errorf("the solver who was replaced heard %+v", l)
	}
	w.last(tr.buyer, SayTookDispute)
	if was, err := w.e.RemoveSolver(t.Context(), solver.trade, by, w.now); !was || err != nil {
		t.Error(was, err)
	}
	if was, err := w.e.RemoveSolver(t.Context(), solver.trade, by, w.now); was || err != nil {
		t.Error(was, err)
	}
	if w.e.Known(solver.trade) {
		t.Error("a former solver's key is still known")
	}
}

func TestL20_ADisputeEndsBeforeItsEscrowDoes(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(InDispute)
	w.do(tr.ending())
	w.pump()
	w.want(tr.id, Canceled)
	if st := w.node.holds[w.order(tr.id).Hold].state; st != HoldCanceled {
		t.Errorf("the hold is %s", st)
	}
}

func TestL24_NoSolverLearnsThePreimage(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(InDispute)
	h, _, err := w.e.Hold(w.order(tr.id).Hold)
	must(t, err)
	w.heeds = func(l Letter) {
		if contains([]byte(asText(t, l)), h.Preimage.Reveal()) {
			t.Errorf("%s tells the preimage", l.Action)
		}
	}
	for _, by := range []*trader{w.solver(LevelReadWrite), w.official(serverKey)} {
		tr.takenBy(by)
		w.last(by, SayTookDispute)
	}
}

func TestI25_AVerdictNeedsTheDisputeAndTheRight(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		level     Level
		holds, ok bool
	}{{LevelRead, false, false}, {LevelRead, true, false}, {LevelReadWrite, false, false}, {LevelReadWrite, true, true}} {
		solver := w.solver(tt.level)
		tr := w.newTrade(Sell).to(InDispute)
		if tt.holds {
			tr.takenBy(solver)
		}
		if out := solver.does(tr.id, AdminCancel{}); (out.Reason == "") != tt.ok {
			t.Errorf("%+v: %q", tt, out.Reason)
		}
	}
}

func TestTheAuditHasEveryActOfOfficials(t *testing.T) {
	w := newWorld(t)
	solver, reader := w.solver(LevelReadWrite), w.solver(LevelRead)
	tr := w.newTrade(Sell).to(InDispute)
	tr.takenBy(reader)
	reader.does(tr.id, AdminSettle{})
	w.trader("stranger").does(tr.id, AdminSettle{})
	tr.takenBy(solver)
	solver.must(tr.id, AdminSettle{Note: "a receipt was shown"})
	must(t, w.e.Record(t.Context(), Record{At: w.now, By: Actor{Role: RoleOperator, Name: "rpc"}, What: "pause"}))
	rows, next, err := w.e.Records(RecordQuery{Order: tr.id, Limit: 10})
	if err != nil || next != 0 {
		t.Fatal(next, err)
	}
	var got []string
	for _, r := range rows {
		if r.Order != tr.id || r.Dispute != tr.dispute().ID || r.At != w.now {
			t.Errorf("row %+v", r)
		}
		got = append(got, fmt.Sprintf("%s %s %q %s", r.By, r.What, r.Refused, r.Detail))
	}
	want := []string{
		fmt.Sprintf("solver %s admin-settle \"\" a receipt was shown", solver.trade), fmt.Sprintf("solver %s admin-take-dispute \"\" ", solver.trade),
		fmt.Sprintf("solver %s admin-settle \"not_authorized\" ", reader.trade), fmt.Sprintf("solver %s admin-take-dispute \"\" ", reader.trade),
	}
	if !slices.Equal(got, want) {
		t.Errorf("the audit has\n%s\nwant\n%s", join2(got), join2(want))
	}
	seen := 0
	for q := (RecordQuery{Limit: 2}); ; q.Before = next {
		rows, next, err = w.e.Records(q)
		must(t, err)
		if seen += len(rows); next == 0 {
			break
		}
	}
	if seen != 7 { // two solvers named, four acts, one pause
		t.Errorf("%d rows in pages", seen)
	}
	if rows, _, _ := w.e.Records(RecordQuery{Subject: reader.trade, What: "admin-settle", Limit: 10}); len(rows) != 1 {
		t.Errorf("%d rows of the reader's verdicts", len(rows))
	}
}

func TestDisputesArePaged(t *testing.T) {
	w := newWorld(t)
	solver := w.solver(LevelReadWrite)
	var trades []*trade
	for i := range 5 {
		w.now += 10
		tr := w.newTrade(Sell).to(InDispute)
		switch i {
		case 1:
			tr.takenBy(solver)
		case 3:
			w.operator(tr.id, AdminCancel{})
		}
		trades = append(trades, tr)
	}
	for _, tt := range []struct {
		name string
		q    DisputeQuery
		want []int
	}{
		{"all", DisputeQuery{}, []int{4, 3, 2, 1, 0}},
		{"open", DisputeQuery{Open: true}, []int{4, 2, 1, 0}},
		{"that nobody has", DisputeQuery{State: DisputeInitiated}, []int{4, 2, 0}},
		{"of a solver", DisputeQuery{Solver: solver.trade}, []int{1}},
		{"ended for the seller", DisputeQuery{State: DisputeRefunded}, []int{3}},
	} {
		var got []int
		for q := tt.q; ; {
			q.Limit = 2
			page, next, err := w.e.Disputes(q)
			must(t, err)
			for _, c := range page {
				got = append(got, slices.IndexFunc(trades, func(tr *trade) bool { return tr.id == c.Order.ID }))
				if c.Hold == nil || c.Hold.Hash != c.Order.Hold || c.Dispute.ID.IsZero() {
					t.Errorf("%s: case %+v", tt.name, c)
				}
			}
			if q.Before = next; next == nil {
				break
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	notes, err := w.e.DisputeNotes()
	if err != nil || len(notes) != 4 {
		t.Errorf("%d events should be at the relays: %v", len(notes), err)
	}
	for _, tr := range trades {
		n, ok, err := w.e.DisputeNote(tr.dispute().ID)
		last := slices.IndexFunc(w.cases, func(c DisputeNote) bool { return c == n })
		if !ok || err != nil || last < 0 {
			t.Errorf("%+v was not published: %v %v", n, ok, err)
		}
	}
}

func TestABannedUserBeginsNothing(t *testing.T) {
	w := newWorld(t)
	by := Actor{Role: RoleOperator, Name: "rpc"}
	old := w.newTrade(Sell).to(FiatSent)
	private := w.trader("private")
	private.private = true
	for _, k := range []PubKey{old.maker.identity, private.trade} {
		must(t, w.e.Ban(t.Context(), Ban{Key: k, Reason: "scam", At: w.now, Until: w.now + 100, By: by}))
	}
	open := w.newTrade(Sell).open()
	again := *old.maker
	again.trade, again.index = w.freshKey(), 9
	for name, p := range map[string]*trader{"by identity": &again, "by the trade key of a private user": private} {
		if out := p.does(OrderID{}, NewOrder{Terms: sellTerms(10_000)}); out.Reason != InvalidPubkey {
			t.Errorf("%s, a new order: %q", name, out.Reason)
		}
		if out := p.does(open.id, TakeSell{}); out.Reason != InvalidPubkey {
			t.Errorf("%s, a take: %q", name, out.Reason)
		}
	}
	old.release() // what is under way goes on
	rows, next, err := w.e.Users(UserQuery{Banned: true, Limit: 10})
	if err != nil || len(rows) != 2 || !next.IsZero() || rows[0].Ban == nil || rows[0].Ban.Reason != "scam" {
		t.Errorf("banned: %+v %v", rows, err)
	}
	w.now += 100
	again.must(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
	if r, ok, err := w.e.UserRow(private.trade); !ok || err != nil || r.Ban == nil || r.User.Reviews != 0 {
		t.Errorf("row %+v", r)
	}
	for _, want := range []bool{true, false} {
		if was, err := w.e.Unban(t.Context(), private.trade, by, w.now); was != want || err != nil {
			t.Error(was, err)
		}
	}
	if rows, _, _ := w.e.Records(RecordQuery{Subject: private.trade, Limit: 10}); len(rows) != 2 || rows[0].What != "unban-user" {
		t.Errorf("the audit: %+v", rows)
	}
	if _, ok, _ := w.e.UserRow(private.trade); ok {
		t.Error("a private user is known")
	}
}

func TestUsersArePaged(t *testing.T) {
	w := newWorld(t)
	want := map[PubKey]bool{}
	for range 5 {
		want[w.newTrade(Sell).open().maker.identity] = true
	}
	got := map[PubKey]bool{}
	for q := (UserQuery{Limit: 2}); ; {
		page, next, err := w.e.Users(q)
		must(t, err)
		for _, r := range page {
			got[r.User.Identity] = true
		}
		if q.After = next; next.IsZero() {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("users %v, want %v", got, want)
	}
}

func TestASessionHasItsDisputesApart(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).to(FiatSent)
	tr.buyer.must(tr.id, OpenDispute{})
	solver := w.solver(LevelRead)
	check := func(want RestoredDispute) {
		t.Helper()
		w.said = nil
		tr.buyer.must(OrderID{}, AskRestore{})
		r := w.last(tr.buyer, SayRestore).Restore
		if len(r.Trades) != 0 || len(r.Disputes) != 1 || r.Disputes[0] != want {
			t.Errorf("restored %+v", r)
		}
		tr.buyer.must(OrderID{}, AskOrders{IDs: []OrderID{tr.id}})
		if v := w.last(tr.buyer, SayOrders).Views; v[0].Status != "dispute" {
			t.Errorf("orders says %s", v[0].Status)
		}
	}
	want := RestoredDispute{Dispute: tr.dispute().ID, Order: tr.id, Index: tr.buyer.index, State: DisputeInitiated, By: Buyer}
	check(want)
	tr.takenBy(solver)
	want.State, want.Solver = DisputeInProgress, solver.trade
	check(want)
	tr.lose()
	check(want)
	w.operator(tr.id, AdminCancel{})
	w.said = nil
	tr.buyer.must(OrderID{}, AskRestore{})
	if r := w.last(tr.buyer, SayRestore).Restore; len(r.Trades)+len(r.Disputes) != 0 {
		t.Errorf("restored %+v", r)
	}
}

func TestTheOperatorTakesAnOrderOffTheBook(t *testing.T) {
	w := newWorld(t)
	tr := w.newTrade(Sell).open()
	if out := w.official(serverKey).does(tr.id, AdminCancel{}); out.Reason != IsNotYourDispute {
		t.Errorf("an admin over Nostr: %q", out.Reason)
	}
	w.operator(tr.id, AdminCancel{Operator: "rpc", Note: "spam"})
	w.want(tr.id, CanceledByAdmin)
	w.last(tr.maker, SayCanceled)
	if out := w.operator(tr.id, AdminSettle{}); out.Reason != InvalidOrderStatus {
		t.Errorf("a settle of it: %q", out.Reason)
	}
	if out := tr.maker.does(tr.id, Cancel{}); out.Reason != OrderAlreadyCanceled {
		t.Errorf("the maker: %q", out.Reason)
	}
}
