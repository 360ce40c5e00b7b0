package orders

import (
	"fmt"
	"slices"
)

// Role is by what right somebody acts for the server.
type Role string

// The roles.
const (
	RoleOperator Role = "operator" // whoever can call the node's RPC
	RoleAdmin    Role = "admin"    // a key of Rules.Admins
	RoleSolver   Role = "solver"
)

// Actor is who did something for the server.
type Actor struct {
	Role Role   `json:"role"`
	Key  PubKey `json:"key,omitzero"`   // identity of an admin or solver
	Name string `json:"name,omitempty"` // of an operator: by which way he came
}

func (a Actor) String() string {
	if a.Key.IsZero() {
		return string(a.Role) + " " + a.Name
	}
	return string(a.Role) + " " + a.Key.String()
}

// Level is what a solver may do.
type Level string

// The levels (Mostro protocol, "admin-add-solver").
const (
	LevelRead      Level = "read"       // take disputes and talk to the parties
	LevelReadWrite Level = "read-write" // and decide them
)

// Solver settles disputes. Times are unix seconds.
type Solver struct {
	Key     PubKey `json:"key"` // identity
	Level   Level  `json:"level"`
	AddedAt int64  `json:"added_at"` // or changed
	AddedBy Actor  `json:"added_by"`
	Way     Way    `json:"way,omitempty"` // of his last message; 0 none yet
}

// MaxSolvers bounds who is told of each dispute.
const MaxSolvers = 100

// official reports whether the act is one for officials only.
func officialAct(a Act) bool {
	switch a.(type) {
	case AdminTake, AdminSettle, AdminCancel, AddSolver:
		return true
	}
	return false
}

// operatorOf names the operator of an act that came over the node's RPC.
func operatorOf(a Act) string {
	switch a := a.(type) {
	case AdminTake:
		return a.Operator
	case AdminSettle:
		return a.Operator
	case AdminCancel:
		return a.Operator
	case AddSolver:
		return a.Operator
	}
	return ""
}

// loadOfficials finds out who acts, if it is an act for officials, and who must hear of it.
func (s *step) loadOfficials(t *tx) {
	from := s.in.From
	if d := s.o.Dispute; d != nil && !d.Solver.IsZero() {
		s.facts.holder, _ = t.solver(d.Solver)
	}
	if !from.Identity.IsZero() {
		s.facts.solver, _ = t.solver(from.Identity)
		s.facts.banned = t.banned(from, s.in.At)
	}
	switch {
	case !officialAct(s.in.Act):
	case from.Trade.IsZero():
		s.actor = Actor{Role: RoleOperator, Name: operatorOf(s.in.Act)}
	case s.rules.admin(from.Identity):
		s.actor = Actor{Role: RoleAdmin, Key: from.Identity}
	case s.facts.solver != nil:
		s.actor = Actor{Role: RoleSolver, Key: from.Identity}
	}
	if a, ok := s.in.Act.(AddSolver); ok {
		s.facts.named, _ = t.solver(a.Key)
		s.facts.solvers = t.solvers()
	}
	if slices.Contains(heardBySolvers, s.in.Act.On()) && s.escrowed() {
		s.facts.solvers = t.solvers()
	}
}

// heardBySolvers are the inputs of which all solvers may have to hear.
var heardBySolvers = []On{OnDispute, OnEscrowNearing, OnHoldCanceled, OnDeadline}

// escrowed: the order is in a status that has or can have a dispute.
func (s *step) escrowed() bool {
	return slices.Contains([]Status{Active, FiatSent, InDispute, Settling, Frozen}, s.o.Status)
}

func (r *Rules) admin(k PubKey) bool { return !k.IsZero() && slices.Contains(r.Admins, k) }

// noteWay remembers by which transport a solver talks.
func (s *step) noteWay() {
	if v := s.facts.solver; v != nil && s.actor.Role == RoleSolver && v.Way != s.in.From.Way {
		v.Way = s.in.From.Way
		s.saveSolver = append(s.saveSolver, v)
	}
}

// actorKey is the key under which the actor holds a dispute.
func (s *step) actorKey() PubKey {
	if s.actor.Role != RoleOperator {
		return s.actor.Key
	}
	if len(s.rules.Admins) > 0 {
		return s.rules.Admins[0]
	}
	return PubKey{}
}

// heldByAdmin: an admin, or the operator under the server's key, has taken the dispute.
func (s *step) heldByAdmin() bool {
	d := s.o.Dispute
	return d != nil && d.State == DisputeInProgress && (d.Solver.IsZero() || s.rules.admin(d.Solver))
}

// holderGone: who has taken the dispute is no solver any more.
func (s *step) holderGone() bool {
	d := s.o.Dispute
	return d != nil && d.State == DisputeInProgress && !s.heldByAdmin() && s.facts.holder == nil
}

// foreign reports whether the key is somebody's, and not the server's own.
func (s *step) foreign(k PubKey) bool {
	return !k.IsZero() && (len(s.rules.Admins) == 0 || k != s.rules.Admins[0])
}

// Who may do what, in the order in which the reference server checks (Mostro protocol, "Admin").

func disputeKnown(s *step) error {
	if s.o.Dispute == nil {
		return NotFound
	}
	return nil
}

// noDisputeYet: an order has one dispute at most, whoever opened it.
func noDisputeYet(s *step) error {
	switch {
	case s.o.Dispute == nil:
		return nil
	case s.sender() == nil:
		return InvalidPubkey
	}
	return fmt.Errorf("%w: there is dispute %s", DisputeCreationError, s.o.Dispute.ID)
}

// mayTake: a dispute that nobody has is anybody's who settles disputes. One that is taken passes to an admin, from a
// solver who may only read to one who may decide, and from one who is no solver any more. Nobody decides his own trade.
func mayTake(s *step) error {
	d := s.o.Dispute
	switch {
	case d.State.Ended():
		return fmt.Errorf("%w: the dispute has ended", InvalidPubkey)
	case s.actor.Role == "" || s.isParty(s.actorKey()):
		return InvalidPubkey
	case d.State == DisputeInitiated, s.actor.Role != RoleSolver, d.Solver == s.actor.Key, s.holderGone():
		return nil
	case s.heldByAdmin():
		return fmt.Errorf("%w: an admin has taken it", InvalidPubkey)
	case s.facts.holder.Level == LevelRead && s.facts.solver.Level == LevelReadWrite:
		return nil
	}
	return fmt.Errorf("%w: another solver has taken it", InvalidPubkey)
}

func (s *step) isParty(k PubKey) bool {
	for _, p := range []*Party{&s.o.Maker, &s.o.Taker} {
		if !k.IsZero() && (k == p.Identity || k == p.Trade) {
			return true
		}
	}
	return false
}

// holdsAlready: the actor has taken the dispute before.
func holdsAlready(s *step) bool {
	return s.o.Dispute.State == DisputeInProgress && s.o.Dispute.Solver == s.actorKey()
}

// assigned: a verdict is for who has taken the dispute. The operator need not take it first.
func assigned(s *step) error {
	d := s.o.Dispute
	switch {
	case s.actor.Role == RoleOperator, d != nil && d.TakenAt != 0 && d.Solver == s.in.From.Identity:
		return nil
	case s.heldByAdmin():
		return DisputeTakenByAdmin
	}
	return IsNotYourDispute
}

// mayJudge: who may only read, or is no solver any more, decides nothing.
func mayJudge(s *step) error {
	if s.actor.Role == RoleSolver && s.facts.solver.Level != LevelReadWrite || s.actor.Role == "" {
		return NotAuthorized
	}
	return nil
}

// noBonds: this server takes no bonds that a verdict could slash.
func noBonds(s *step) error {
	var slash bool
	switch a := s.in.Act.(type) {
	case AdminSettle:
		slash = a.SlashBuyer || a.SlashSeller
	case AdminCancel:
		slash = a.SlashBuyer || a.SlashSeller
	}
	if slash {
		return fmt.Errorf("%w: there is no bond to slash", InvalidPayload)
	}
	return nil
}

// adminOnly: solvers are named by an admin, or by the operator.
func adminOnly(s *step) error {
	if s.actor.Role != RoleAdmin && s.actor.Role != RoleOperator {
		return NotAuthorized
	}
	return nil
}

func solverNamed(s *step) error {
	a := s.in.Act.(AddSolver)
	switch {
	case a.Problem != "":
		return a.Problem
	case s.facts.named == nil && len(s.facts.solvers) >= MaxSolvers:
		return fmt.Errorf("%w: %d solvers are enough", TooManyRequests, MaxSolvers)
	case a.Key.IsZero() || a.Level != LevelRead && a.Level != LevelReadWrite:
		return InvalidParameters
	}
	return nil
}

// notBanned refuses who was shut out by the operator. The protocol has no reason of its own for that.
func notBanned(s *step) error {
	if s.facts.banned {
		return fmt.Errorf("%w: banned", InvalidPubkey)
	}
	return nil
}

// answerAddSolver adds a solver or changes his level.
func answerAddSolver(s *step) {
	a := s.in.Act.(AddSolver)
	v := &Solver{Key: a.Key, Level: a.Level, AddedAt: s.in.At, AddedBy: s.actor}
	if old := s.facts.named; old != nil {
		v.Way = old.Way
	}
	s.saveSolver = append(s.saveSolver, v)
	if s.in.From.Trade.IsZero() {
		return
	}
	l := s.answer(SayAddSolver)
	l.Request = s.in.Request
}

// Messages.

// toSolver owes a message to the identity of the official who has asked.
func (s *step) toSolver(a Action) *Letter {
	f := s.in.From
	l := s.letter(Sender{Trade: f.Identity, Way: f.Way}, a)
	l.Order, l.Request, l.Index = s.o.ID, s.in.Request, s.in.Index
	s.owe(l)
	return l
}

// toHolder owes a message to who has taken the dispute, as an answer to his last request.
func (s *step) toHolder(a Action) {
	d := s.o.Dispute
	if d.Solver.IsZero() || s.holderGone() { // who is no solver any more hears nothing more
		return
	}
	l := s.letter(Sender{Trade: d.Solver, Way: s.solverWay(s.facts.holder)}, a)
	l.Order, l.Request, l.Index = s.o.ID, d.Request, d.Index
	s.owe(l)
}

// solverWay is the transport to a solver: that of the dispute, else that of his last message, else the direct one.
func (s *step) solverWay(v *Solver) Way {
	switch d := s.o.Dispute; {
	case v != nil && v.Way != 0:
		return v.Way
	case d != nil && d.Way != 0 && (v == nil || v.Key == d.Solver):
		return d.Way
	}
	return Direct
}

// tell owes plain words to a party. Clients that don't show them lose nothing that the protocol has.
func (s *step) tell(to Side, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.say(to, SayText, func(l *Letter, _ *Party) { l.Text = text })
}

// tellHolder owes plain words to the solver who has taken the dispute, unless that is the server itself.
func (s *step) tellHolder(format string, args ...any) {
	d := s.o.Dispute
	if d.State != DisputeInProgress || !s.foreign(d.Solver) {
		return
	}
	s.words(d.Solver, s.solverWay(s.facts.holder), fmt.Sprintf(format, args...))
}

// tellSolvers owes plain words to every solver.
func (s *step) tellSolvers(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for i := range s.facts.solvers {
		v := &s.facts.solvers[i]
		if !s.isParty(v.Key) {
			s.words(v.Key, s.solverWay(v), text)
		}
	}
}

func (s *step) words(to PubKey, way Way, text string) {
	l := s.letter(Sender{Trade: to, Way: way}, SayText)
	l.Order = s.o.ID
	l.Text = fmt.Sprintf("Dispute %s of order %s: %s.", s.o.Dispute.ID, s.o.ID, text)
	s.owe(l)
}

func (s *step) alert(format string, args ...any) {
	s.owe(&Alert{Text: fmt.Sprintf("order %s: ", s.o.ID) + fmt.Sprintf(format, args...)})
}
