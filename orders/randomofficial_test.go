package orders

import "errors"

// officially is something that an admin, a solver or the operator does, more often than not what he may.
func (s *storm) officially() {
	if s.rng.IntN(25) == 0 {
		s.appoints()
		return
	}
	if s.rng.IntN(15) == 0 {
		s.governs()
		return
	}
	if len(s.ids) == 0 {
		return
	}
	o := s.someOrder()
	for range 4 {
		if o.Status == InDispute || o.Status == Frozen {
			break
		}
		o = s.someOrder()
	}
	switch n := s.rng.IntN(10); {
	case n == 0:
		s.send(s.rpc(o.ID, s.verdict(&o)), "operator")
	case n < 6 && o.Dispute != nil && !o.Dispute.Solver.IsZero():
		if by := s.officialOf(o.Dispute.Solver); by != nil {
			s.write(by, o.ID, s.verdict(&o))
		}
	default:
		s.write(s.officials[s.rng.IntN(len(s.officials))], o.ID, s.verdict(&o))
	}
}

// appoints changes the solvers. The last level that one had is his.
func (s *storm) appoints() {
	by := s.officials[s.rng.IntN(len(s.officials))]
	who := s.officials[1+s.rng.IntN(len(s.officials)-1)]
	level := []Level{LevelRead, LevelReadWrite}[s.rng.IntN(2)]
	if s.rng.IntN(4) > 0 {
		s.write(by, OrderID{}, AddSolver{Key: who.trade, Level: level})
		return
	}
	_, err := s.e.RemoveSolver(s.t.Context(), who.trade, Actor{Role: RoleOperator}, s.now)
	for errors.Is(err, ErrNotDone) {
		_, err = s.e.RemoveSolver(s.t.Context(), who.trade, Actor{Role: RoleOperator}, s.now)
	}
	if err != nil {
		s.wrong("remove a solver: %v", err)
	}
	s.say("solver %s is removed", who.trade)
}

// governs is the operator who changes fee and limits, pauses, and shuts somebody out for a while.
func (s *storm) governs() {
	why := Record{At: s.now, By: Actor{Role: RoleOperator}, What: "test"}
	rate, most := PPM(s.rng.Int64N(30_000)), Sats(20_000+s.rng.Int64N(1_000_000))
	var err error
	for range 50 { // a commit that failed is made again
		switch s.rng.IntN(4) {
		case 0:
			_, err = s.e.Change(s.t.Context(), why, func(c *Settings) { c.FeeRate = &rate })
		case 1:
			_, err = s.e.Change(s.t.Context(), why, func(c *Settings) { c.MaxOrder = &most })
		case 2:
			who := s.people[s.rng.IntN(len(s.people))]
			err = s.e.Ban(s.t.Context(), Ban{Key: who.identity, At: s.now, Until: s.now + 600, By: why.By})
		default:
			_, err = s.e.Change(s.t.Context(), why, func(c *Settings) {
				if c.Pause != nil || s.rng.IntN(3) > 0 {
					c.Pause = nil
				} else {
					c.Pause = &Pause{At: s.now}
				}
			})
		}
		if !Unwritten(err) {
			break
		}
	}
	if err != nil {
		s.wrong("the operator changes something: %v", err)
	}
	set, _ := s.e.Settings()
	if want, err := set.over(s.rules); err != nil || s.e.Rules().FeeRate != want.FeeRate || s.e.Rules().MaxOrder != want.MaxOrder || s.e.Rules().Paused != (set.Pause != nil) {
		s.wrong("rules %+v are in force, with settings %+v: %v", s.e.Rules(), set, err)
	}
	s.say("the operator has changed something: %+v", set)
}

func (s *storm) officialOf(key PubKey) *trader {
	for _, t := range s.officials {
		if t.trade == key {
			return t
		}
	}
	return nil
}

func (s *storm) verdict(o *Order) Act {
	switch n := s.rng.IntN(9); {
	case n == 0:
		return AdminSettle{SlashBuyer: true}
	case n < 3:
		return AdminSettle{Operator: "test"}
	case n < 5:
		return AdminCancel{Operator: "test"}
	case o.Dispute == nil:
		return AdminTake{Dispute: DisputeID(o.ID)}
	}
	return AdminTake{Dispute: o.Dispute.ID}
}

func (s *storm) rpc(id OrderID, a Act) Input {
	seed := s.seed()
	return Input{ID: seed.Derive("rpc"), At: s.now, Seed: seed, Order: id, Act: a}
}

// decide ends what only a person can end, in one of the ways that there are.
func (s *storm) decide(o *Order) {
	settle := s.rng.IntN(2) == 0
	if f := s.sea.holds[o.Hold]; o.Status == Frozen && f.state == HoldCanceled {
		settle = false // there is nothing to pay out
	}
	if !settle {
		s.send(s.rpc(o.ID, AdminCancel{Operator: "test"}), "operator")
		return
	}
	admin := s.officials[0]
	if o.Dispute == nil || s.rng.IntN(2) == 0 {
		s.send(s.rpc(o.ID, AdminSettle{Operator: "test"}), "operator")
		return
	}
	s.send(admin.message(o.ID, AdminTake{Dispute: o.Dispute.ID}), "admin")
	s.send(admin.message(o.ID, AdminSettle{}), "admin")
}
