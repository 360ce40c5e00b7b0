package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// solverList is the result of mostro-listsolvers.
type solverList struct {
	Solvers []solverRow `json:"solvers" about:"by key"`
	Admins  []string    `json:"admins" about:"keys that may do whatever a solver may, and name solvers; the exchange's own first"`
}

type solverRow struct {
	Key     string `json:"key" about:"identity key, hex"`
	Npub    string `json:"npub" about:"the same, as people write it"`
	Level   string `json:"level" about:"read or read-write"`
	AddedAt int64  `json:"added_at" about:"when he was added, or changed"`
	AddedBy string `json:"added_by" about:"role, and key or way, of who did that"`
}

func newSolverRow(v *orders.Solver) solverRow {
	return solverRow{v.Key.String(), nostrio.Npub(v.Key), string(v.Level), v.AddedAt, v.AddedBy.String()}
}

func listSolvers(_ context.Context, m market, _ request) (solverList, error) {
	all, err := m.Exchange().Solvers()
	if err != nil {
		return solverList{}, fmt.Errorf("list solvers: %w", err)
	}
	list := solverList{Solvers: make([]solverRow, len(all)), Admins: []string{}}
	for i := range all {
		list.Solvers[i] = newSolverRow(&all[i])
	}
	for _, k := range m.Exchange().Rules().Admins {
		list.Admins = append(list.Admins, k.String())
	}
	return list, nil
}

// solverChange is the result of mostro-addsolver.
type solverChange struct {
	Key   string `json:"key" about:"identity key, hex"`
	Level string `json:"level" about:"read or read-write"`
}

func addSolver(ctx context.Context, m market, r request) (solverChange, error) {
	c := solverChange{r.args["key"], r.text("level", string(orders.LevelReadWrite))}
	err := m.Exchange().AddSolver(ctx, r.key("key"), orders.Level(c.Level), r.operator(), r.now.Unix())
	if errors.Is(err, orders.ErrTooManySolvers) {
		return c, refusal(codeWrongState, map[string]any{"reason": "too_many_solvers"}, "there are %d solvers already: remove one first", orders.MaxSolvers)
	}
	if err != nil {
		return c, fmt.Errorf("add a solver: %w", err)
	}
	return c, nil
}

// removed is the result of mostro-removesolver and mostro-unbanuser.
type removed struct {
	Key string `json:"key" about:"whose rights, or ban, have ended; hex"`
}

func removeSolver(ctx context.Context, m market, r request) (removed, error) {
	was, err := m.Exchange().RemoveSolver(ctx, r.key("key"), r.operator(), r.now.Unix())
	if err != nil {
		return removed{}, fmt.Errorf("remove a solver: %w", err)
	}
	if !was {
		return removed{}, refusal(codeNotFound, nil, "%s is no solver", r.args["key"])
	}
	return removed{r.args["key"]}, nil
}

// userList is the result of mostro-listusers.
type userList struct {
	Users []userRow `json:"users" about:"the page, by key"`
	Next  string    `json:"next_after,omitempty" about:"for the next page; absent on the last one"`
}

type userRow struct {
	Key       string  `json:"key" about:"identity key, hex; a trade key of somebody in full privacy, if that is banned"`
	CreatedAt int64   `json:"created_at,omitempty" about:"when he first traded"`
	Reviews   int64   `json:"reviews" about:"votes about him"`
	Rating    float64 `json:"rating" about:"their average, 1 to 5"`
	Last      int64   `json:"last_rating,omitempty" about:"the last one"`
	Index     int64   `json:"last_trade_index,omitempty" about:"of his trade keys"`
	Ban       *banRow `json:"ban,omitempty" about:"if there is one"`
}

type banRow struct {
	Reason string `json:"reason,omitempty" about:"why"`
	At     int64  `json:"at" about:"since when"`
	Until  int64  `json:"until,omitempty" about:"until when; absent: for ever"`
	By     string `json:"by" about:"role and way of who did it"`
	Holds  bool   `json:"in_force" about:"false: it is over"`
}

func newUserRow(u *orders.UserRow, now int64) userRow {
	s := orders.Standing{Reviews: u.User.Reviews, Sum: u.User.Sum}
	row := userRow{
		Key: u.User.Identity.String(), CreatedAt: u.User.CreatedAt, Reviews: s.Reviews, Rating: s.Rating(), Last: u.User.Last, Index: u.User.LastIndex,
	}
	if b := u.Ban; b != nil {
		row.Ban = &banRow{b.Reason, b.At, b.Until, b.By.String(), b.Holds(now)}
	}
	return row
}

func listUsers(_ context.Context, m market, r request) (list userList, err error) {
	now := r.now.Unix()
	if _, one := r.args["user"]; one {
		key, err := r.user(m)
		if err != nil {
			return list, err
		}
		u, ok, err := m.Exchange().UserRow(key)
		if err != nil {
			return list, fmt.Errorf("read a user: %w", err)
		}
		if !ok {
			return list, refusal(codeNotFound, nil, "user %s is not known", key)
		}
		list.Users = []userRow{newUserRow(&u, now)}
		return list, nil
	}
	limit, _ := r.page()
	page, next, err := m.Exchange().Users(orders.UserQuery{Banned: r.yes("banned"), After: r.key("after"), Limit: limit})
	if err != nil {
		return list, fmt.Errorf("list users: %w", err)
	}
	list.Users = make([]userRow, len(page))
	for i := range page {
		list.Users[i] = newUserRow(&page[i], now)
	}
	if !next.IsZero() {
		list.Next = next.String()
	}
	return list, nil
}

// user is whom the parameter of that name means: a key, or a party of an order, whose identity it is then.
func (r request) user(m market) (key orders.PubKey, err error) {
	text := r.args["user"]
	id, side, ok := strings.Cut(text, ":")
	if !ok {
		return orders.ParsePubKey(text)
	}
	order, err := orders.ParseOrderID(id)
	if err != nil {
		return key, fmt.Errorf("read a user: %w", err)
	}
	o, ok, err := m.Exchange().Order(order)
	switch {
	case err != nil:
		return key, fmt.Errorf("read an order: %w", err)
	case !ok:
		return key, orderNotFound(order)
	case !o.Party(orders.Side(side)).Here():
		return key, refusal(codeNotFound, map[string]any{"order_id": order.String()}, "order %s has no %s", order, side)
	}
	return o.Party(orders.Side(side)).Identity, nil
}

// banned is the result of mostro-banuser.
type banned struct {
	Key   string `json:"key" about:"whom; hex"`
	Until int64  `json:"until,omitempty" about:"until when; absent: for ever"`
}

func banUser(ctx context.Context, m market, r request) (banned, error) {
	key, err := r.user(m)
	if err != nil {
		return banned{}, err
	}
	b := orders.Ban{Key: key, Reason: r.text("reason", ""), At: r.now.Unix(), By: r.operator()}
	if text, ok := r.args["until"]; ok {
		b.Until, _ = parseTime(text, r.now) // judged before
		if b.Until <= b.At {
			return banned{}, clnio.Errorf(clnio.CodeInvalidParams, "until: should be in the future: invalid token '%s'", text)
		}
	}
	if err := m.Exchange().Ban(ctx, b); err != nil {
		return banned{}, fmt.Errorf("ban a user: %w", err)
	}
	return banned{key.String(), b.Until}, nil
}

func unbanUser(ctx context.Context, m market, r request) (removed, error) {
	key, err := r.user(m)
	if err != nil {
		return removed{}, err
	}
	was, err := m.Exchange().Unban(ctx, key, r.operator(), r.now.Unix())
	if err != nil {
		return removed{}, fmt.Errorf("end a ban: %w", err)
	}
	if !was {
		return removed{}, refusal(codeNotFound, nil, "user %s is not banned", key)
	}
	return removed{key.String()}, nil
}
