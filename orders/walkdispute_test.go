package orders

// nameOfficials makes everybody who could decide a dispute, or believe that he could.
func (w *walk) nameOfficials() {
	w.officials = map[string]*trader{
		"an admin": w.official(serverKey), "a solver": w.solver(LevelReadWrite), "another solver": w.solver(LevelReadWrite),
		"a reader": w.solver(LevelRead), "a former solver": w.solver(LevelReadWrite),
	}
	was, err := w.e.RemoveSolver(w.t.Context(), w.officials["a former solver"].trade, Actor{Role: RoleOperator}, w.now)
	if must(w.t, err); !was {
		w.t.Error("the solver was none")
	}
}

// official is a client that writes under one key alone, as solvers' clients do.
func (w *world) official(key PubKey) *trader {
	return &trader{w: w, name: "official", identity: key, trade: key, private: true, index: 1, way: Direct}
}

// solver names a solver.
func (w *world) solver(l Level) *trader {
	w.t.Helper()
	key := w.freshKey()
	if err := w.e.AddSolver(w.t.Context(), key, l, Actor{Role: RoleOperator, Name: "test"}, w.now); err != nil {
		w.t.Fatal(err)
	}
	return w.official(key)
}

// dispute is the order's.
func (tr *trade) dispute() *Dispute {
	tr.w.t.Helper()
	o := tr.w.order(tr.id)
	if o.Dispute == nil {
		tr.w.t.Fatalf("order is %s and has no dispute", o.Status)
	}
	return o.Dispute
}

// takenBy has the dispute taken.
func (tr *trade) takenBy(by *trader) {
	tr.w.t.Helper()
	by.must(OrderID{}, AdminTake{Dispute: tr.dispute().ID})
}

// verdicts are what officials say. A dispute is taken under its own id, or by mistake under another.
func (w *walk) verdicts(tr *trade) []Act {
	acts := []Act{
		AdminTake{Dispute: DisputeID(tr.id)}, AdminSettle{}, AdminCancel{}, AdminSettle{SlashBuyer: true}, AdminCancel{SlashSeller: true},
	}
	if d := w.order(tr.id).Dispute; d != nil {
		acts = append(acts, AdminTake{Dispute: d.ID})
	}
	return acts
}

// standDisputes are the shapes of a dispute.
func (w *walk) standDisputes(stand func(string, func(*trade))) {
	for who, by := range w.officials {
		stand("dispute, taken by "+who, func(tr *trade) {
			tr.to(InDispute)
			if who == "a former solver" {
				must(w.t, w.e.AddSolver(w.t.Context(), by.trade, LevelReadWrite, Actor{Role: RoleOperator}, w.now))
			}
			tr.takenBy(by)
			if who == "a former solver" {
				_, err := w.e.RemoveSolver(w.t.Context(), by.trade, Actor{Role: RoleOperator}, w.now)
				must(w.t, err)
			}
		})
	}
	stand("dispute, taken by the operator", func(tr *trade) {
		tr.to(InDispute)
		w.operator(tr.id, AdminTake{Operator: "test"})
	})
	stand("dispute, opened before fiat was sent", func(tr *trade) { tr.to(Active).seller.must(tr.id, OpenDispute{}) })
	stand("dispute, and the maker wants to cancel", func(tr *trade) { tr.to(InDispute).maker.must(tr.id, Cancel{}) })
	stand("dispute, canceled by both after it was taken", func(tr *trade) {
		tr.to(InDispute)
		tr.takenBy(w.officials["a solver"])
		tr.maker.must(tr.id, Cancel{})
		tr.taker.must(tr.id, Cancel{})
	})
	stand("dispute, settled", func(tr *trade) {
		tr.script = nil
		tr.to(InDispute)
		tr.takenBy(w.officials["a solver"])
		w.officials["a solver"].must(tr.id, AdminSettle{})
		w.want(tr.id, Success)
	})
	stand("frozen, and the maker wants to cancel", func(tr *trade) { tr.to(Frozen).maker.must(tr.id, Cancel{}) })
	stand("frozen, taken by a solver", func(tr *trade) { tr.to(Frozen).takenBy(w.officials["a solver"]) })
	stand("frozen after a release", func(tr *trade) { tr.frozenAfter(FiatSent, (*trade).release) })
	stand("frozen after a verdict", func(tr *trade) {
		tr.frozenAfter(InDispute, func(tr *trade) { w.operator(tr.id, AdminSettle{Operator: "test"}) })
	})
	stand("frozen by an earlier version, without a dispute", func(tr *trade) {
		o := w.order(tr.to(Frozen).id)
		o.Dispute, o.Deadline = nil, 0
		must(w.t, w.store.update(func(x *tx) error {
			d := *tr.dispute()
			x.putOrder(&o)
			x.drop(casesBucket, timeKey(d.OpenedAt, d.ID[:]))
			x.drop(disputesBucket, d.ID[:])
			return nil
		}))
	})
	stand("settling after a verdict", func(tr *trade) {
		tr.to(InDispute)
		w.node.stuck[w.order(tr.id).Hold] = true
		w.operator(tr.id, AdminSettle{Operator: "test"})
	})
}

// frozenAfter loses the escrow while the word that frees it is being carried out.
func (tr *trade) frozenAfter(s Status, word func(*trade)) {
	w := tr.w
	tr.to(s)
	w.node.down = true
	word(tr)
	w.want(tr.id, Settling)
	w.node.holds[w.order(tr.id).Hold].state = HoldCanceled
	w.node.down = false
	w.pump()
	w.want(tr.id, Frozen)
}
