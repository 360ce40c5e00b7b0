package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// The runes of contrib/docs/runes.md.
const (
	DashboardRune = `[["method^mostro-list","method^mostro-show","method=mostro-info","method=mostro-relays","method=mostro-stats","method=mostro-ledger","method=mostro-audit","method=mostro-doctor","method=mostro-check","method=mostro-help"]]`
	SolverRune    = `[["method=mostro-listdisputes","method=mostro-showorder","method=mostro-takedispute","method=mostro-settleorder","method=mostro-cancelorder"],["method=mostro-showorder","method=mostro-listdisputes","pnameby=alice"]]`
)

// notAuthorized is commando's error for a call that the rune does not allow (Core Lightning docs, commando).
const notAuthorized = 19537

// distant calls commands of the exchange's node from another node, by a rune.
type distant struct {
	r    *Real
	rune string
}

func (r *Real) withRune(ctx context.Context, restrictions string) (*distant, error) {
	var made struct {
		Rune string `json:"rune"`
	}
	err := r.Call(ctx, "createrune", map[string]any{"restrictions": json.RawMessage(restrictions)}, &made)
	return &distant{r, made.Rune}, err
}

func (d *distant) call(ctx context.Context, method string, params map[string]any, result any) error {
	if params == nil {
		params = map[string]any{}
	}
	return d.r.seller.rpc.Call(ctx, "commando", map[string]any{"peer_id": d.r.exchange.id, "method": method, "params": params, "rune": d.rune}, result)
}

// mayNot wants a call to be refused for want of a right.
func (d *distant) mayNot(ctx context.Context, method string, params map[string]any) error {
	err := d.call(ctx, method, params, nil)
	var told *clnio.Error
	if !errors.As(err, &told) || told.Code != notAuthorized {
		return fmt.Errorf("%s %v over commando: got %w, want code %d", method, params, err, notAuthorized)
	}
	return nil
}

// runes: a dashboard reads and does nothing else, a solver settles a dispute, under his name and no other.
func (r *Real) runes(ctx context.Context, w *World) error {
	dashboard, err := r.withRune(ctx, DashboardRune)
	if err != nil {
		return err
	}
	for _, method := range []string{"mostro-info", "mostro-listorders", "mostro-listdisputes", "mostro-listsolvers", "mostro-listusers", "mostro-listpayouts", "mostro-relays", "mostro-stats", "mostro-ledger", "mostro-audit", "mostro-doctor", "mostro-check", "mostro-help"} {
		if err := dashboard.call(ctx, method, nil, nil); err != nil {
			return fmt.Errorf("the dashboard calls %s: %w", method, err)
		}
	}
	if err := r.manual(ctx, w, dashboard); err != nil {
		return err
	}
	d, _, err := w.disputed(ctx, orders.Sell, orders.Direct, orders.Buyer)
	if err != nil {
		return err
	}
	id := d.ID().String()
	verdict := func(by string) map[string]any {
		p := map[string]any{"order_id": id, "confirm": id[:4]}
		if by != "" {
			p["by"] = by
		}
		return p
	}
	if err := dashboard.call(ctx, "mostro-showorder", map[string]any{"order_id": id}, nil); err != nil {
		return err
	}
	for _, method := range []string{"mostro-pause", "mostro-drain", "mostro-backup", "mostro-reconcile", "mostro-setfee", "mostro-banuser", "mostro-settleorder", "withdraw", "listfunds"} {
		if err := dashboard.mayNot(ctx, method, verdict("")); err != nil {
			return fmt.Errorf("the dashboard: %w", err)
		}
	}
	w.say("dashboard", "reads over commando, and may do nothing else")
	solver, err := r.withRune(ctx, SolverRune)
	if err != nil {
		return err
	}
	for _, by := range []string{"", "bob"} {
		if err := solver.mayNot(ctx, "mostro-settleorder", verdict(by)); err != nil {
			return fmt.Errorf("the solver, by %q: %w", by, err)
		}
	}
	for _, method := range []string{"mostro-info", "mostro-addsolver", "mostro-banuser", "mostro-pause", "pay"} {
		if err := solver.mayNot(ctx, method, map[string]any{"by": "alice"}); err != nil {
			return fmt.Errorf("the solver: %w", err)
		}
	}
	if err := solver.call(ctx, "mostro-listdisputes", nil, nil); err != nil {
		return err
	}
	if err := solver.call(ctx, "mostro-takedispute", map[string]any{"dispute": id, "by": "alice"}, nil); err != nil {
		return err
	}
	if err := solver.call(ctx, "mostro-settleorder", verdict("alice"), nil); err != nil {
		return err
	}
	w.say("alice", "settles the dispute over commando")
	if err := d.bothHear(ctx, nostrio.ActAdminSettled); err != nil {
		return err
	}
	if err := d.Finish(ctx); err != nil {
		return err
	}
	if err := w.audited(ctx, "admin-settle", "commando alice"); err != nil {
		return err
	}
	return d.Settled(ctx)
}

// manual: the node's own help lists every command of the exchange, and the doctor says what it finds on a node like this.
func (r *Real) manual(ctx context.Context, w *World, dashboard *distant) error {
	type commands struct {
		Help []struct {
			Command string `json:"command"`
		} `json:"help"`
	}
	var ours, all commands
	if err := errors.Join(dashboard.call(ctx, "mostro-help", nil, &ours), r.Call(ctx, "help", nil, &all)); err != nil {
		return err
	}
	listed := map[string]bool{}
	for _, c := range all.Help {
		listed[strings.TrimSpace(c.Command)] = true
	}
	for _, c := range ours.Help {
		if !listed[c.Command] {
			return fmt.Errorf("lightning-cli help lacks %q", c.Command)
		}
	}
	w.say("node", "lists all %d commands of the exchange", len(ours.Help))
	var doctor struct {
		Findings []struct {
			Level   string `json:"level"`
			Area    string `json:"area"`
			Finding string `json:"finding"`
			Remedy  string `json:"remedy"`
		} `json:"findings"`
	}
	if err := dashboard.call(ctx, "mostro-doctor", nil, &doctor); err != nil {
		return err
	}
	for _, f := range doctor.Findings {
		w.say("doctor", "%s, %s: %s. Remedy: %s", f.Level, f.Area, f.Finding, f.Remedy)
		if f.Area == "holder" || f.Area == "node" || f.Area == "autoclean" {
			return fmt.Errorf("the doctor finds something wrong with the %s: %s", f.Area, f.Finding)
		}
	}
	return nil
}
