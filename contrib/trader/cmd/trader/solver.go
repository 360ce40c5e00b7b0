package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// What admins and solvers do, under their identity key.

func (a *app) disputes([]string, options) error {
	ctx, cancel := a.deadline()
	defer cancel()
	docket, err := a.trader.Docket(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATUS\tOPENED BY\tOPENED AT")
	for _, c := range docket.Open() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.ID, clean(string(c.Status)), clean(string(c.Initiator)), time.Unix(c.OpenedAt, 0).Format(time.DateTime))
	}
	return w.Flush()
}

func (a *app) takeDispute(args []string, _ options) error {
	ctx, cancel := a.deadline()
	defer cancel()
	docket, err := a.trader.Docket(ctx)
	if err != nil {
		return err
	}
	var found []orders.OrderID
	for _, c := range docket.Open() {
		if names(args[0], orders.OrderID(c.ID)) {
			found = append(found, orders.OrderID(c.ID))
		}
	}
	id, err := one(args[0], found)
	if err != nil {
		return err
	}
	info, err := a.trader.Office().Take(ctx, orders.DisputeID(id))
	if err != nil {
		return err
	}
	return a.showCase(info)
}

func (a *app) showCase(i nostrio.SolverDisputeInfo) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%s\n", name, clean(fmt.Sprint(value))) }
	key := func(k *string) string {
		if k == nil {
			return ""
		}
		return *k
	}
	row("order", i.ID)
	row("kind", i.Kind)
	row("status before", i.OrderPreviousStatus)
	row("sats", i.Amount)
	row("fiat", i.FiatAmount)
	row("method", i.PaymentMethod)
	row("buyer", key(i.BuyerPubKey))
	row("seller", key(i.SellerPubKey))
	row("opened by", i.InitiatorPubKey)
	row("initiator", standing(i.InitiatorFullPrivacy, i.InitiatorInfo))
	row("other side", standing(i.CounterpartFullPrivacy, i.CounterpartInfo))
	row("locked since", time.Unix(i.InvoiceHeldAt, 0).Format(time.DateTime))
	return w.Flush()
}

func standing(private bool, u *nostrio.UserInfo) string {
	if private || u == nil {
		return "in full privacy"
	}
	return fmt.Sprintf("%.1f stars of %d reviews in %d days", u.Rating, u.Reviews, u.OperatingDays)
}

func (a *app) settle(args []string, _ options) error {
	return a.decide(args[0], "the sats go to the buyer", a.trader.Office().Settle)
}

func (a *app) refund(args []string, _ options) error {
	return a.decide(args[0], "the sats go back to the seller", a.trader.Office().Cancel)
}

func (a *app) decide(name, done string, verdict func(context.Context, orders.OrderID) error) error {
	id, err := orders.ParseOrderID(name)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	ctx, cancel := a.deadline()
	defer cancel()
	if err := verdict(ctx, id); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "order %s: %s\n", id, done)
	return nil
}

func (a *app) addSolver(args []string, _ options) error {
	key, err := nostrio.ParsePubKey(args[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	level := orders.LevelReadWrite
	if len(args) > 1 {
		level = orders.Level(strings.ToLower(args[1]))
	}
	if level != orders.LevelRead && level != orders.LevelReadWrite {
		return fmt.Errorf("%w: %q: want read or read-write", errUsage, args[1])
	}
	ctx, cancel := a.deadline()
	defer cancel()
	if err := a.trader.Office().AddSolver(ctx, key, level); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "solver %s: %s\n", nostrio.Npub(key), level)
	return nil
}
