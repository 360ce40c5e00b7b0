package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// command is one word of the command line.
type command struct {
	name  string
	usage string // with its arguments
	about string
	least int // arguments
	most  int
	flags func(*flag.FlagSet, *options)
	run   func(a *app, args []string, o options) error // nil: init
}

// options of single commands.
type options struct {
	invoice string
	premium int64
	fiat    int64
}

func commands() []command {
	invoice := func(f *flag.FlagSet, o *options) {
		f.StringVar(&o.invoice, "invoice", "", "")
		f.Int64Var(&o.premium, "premium", 0, "")
	}
	take := func(f *flag.FlagSet, o *options) {
		f.StringVar(&o.invoice, "invoice", "", "")
		f.Int64Var(&o.fiat, "fiat", 0, "")
	}
	const offer = " SATS FIAT CURRENCY METHOD [-premium N]"
	return []command{
		{"init", "init", "make a mnemonic if there is none, remember the options", 0, 0, nil, nil},
		{"sync", "sync", "after a move of the mnemonic alone: learn the next free trade key", 0, 0, nil, (*app).sync},
		{"info", "info", "what the Mostro says of itself", 0, 0, nil, (*app).info},
		{"list", "list", "orders that can be taken", 0, 0, nil, (*app).list},
		{"sell", "sell" + offer, "offer sats; SATS 0 is the market price, FIAT 10-50 a range", 4, 4, invoice, (*app).sell},
		{"buy", "buy" + offer + " [-invoice X]", "ask for sats", 4, 4, invoice, (*app).buy},
		{"take", "take ID [-invoice X] [-fiat N]", "take an order", 1, 1, take, (*app).take},
		{"invoice", "invoice ID BOLT11", "where you want the sats that you buy", 2, 2, nil, (*app).invoice},
		{"fiat-sent", "fiat-sent ID", "say that you have sent the fiat", 1, 1, nil, (*app).fiatSent},
		{"release", "release ID", "say that the fiat has come: gives the sats away", 1, 1, nil, (*app).release},
		{"cancel", "cancel ID", "cancel, or ask the other side to", 1, 1, nil, (*app).cancel},
		{"dispute", "dispute ID", "ask for a solver", 1, 1, nil, (*app).dispute},
		{"rate", "rate ID 1..5", "rate the other side", 2, 2, nil, (*app).rate},
		{"watch", "watch [ID]", "show messages as they come", 0, 1, nil, (*app).watch},
		{"disputes", "disputes", "for solvers: disputes that have not ended", 0, 0, nil, (*app).disputes},
		{"take-dispute", "take-dispute ID", "for solvers: take a dispute, see what it is about", 1, 1, nil, (*app).takeDispute},
		{"settle", "settle ORDER", "for solvers: decide that the buyer gets the sats", 1, 1, nil, (*app).settle},
		{"refund", "refund ORDER", "for solvers: decide that the seller gets the sats back", 1, 1, nil, (*app).refund},
		{"add-solver", "add-solver KEY [read|read-write]", "for admins: name a solver, or change what he may do", 1, 2, nil, (*app).addSolver},
		{"orders", "orders", "your trades, and what to do next", 0, 0, nil, (*app).orders},
	}
}

func findCommand(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

// parse takes the options from wherever they stand among the arguments.
func (c command) parse(args []string) (words []string, o options, err error) {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	if c.flags != nil {
		c.flags(flags, &o)
	}
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, o, fmt.Errorf("%w: trader %s: %w", errUsage, c.usage, err)
		}
		if args = flags.Args(); len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	if len(words) < c.least || len(words) > c.most {
		return nil, o, fmt.Errorf("%w: trader %s", errUsage, c.usage)
	}
	return words, o, nil
}

func (a *app) deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(a.ctx, a.timeout)
}

func (a *app) sync([]string, options) error {
	ctx, cancel := a.deadline()
	defer cancel()
	if err := a.trader.SyncIndex(ctx); err != nil {
		return err
	}
	fmt.Fprintln(a.out, "the next trade key is one that this Mostro has not seen")
	return nil
}

func (a *app) info([]string, options) error {
	ctx, cancel := a.deadline()
	defer cancel()
	i, err := a.trader.Info(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row("Mostro", nostrio.Npub(a.trader.Mostro()))
	row("version", clean(i.Version))
	row("transport", map[orders.Way]string{orders.GiftWrap: "1, gift wrap", orders.Direct: "2, direct"}[i.Way])
	row("fee", fmt.Sprintf("%g %%", i.Fee*100))
	row("amounts", fmt.Sprintf("%d to %d sat", i.MinAmount, i.MaxAmount))
	currencies := strings.Join(i.Currencies, ", ")
	if currencies == "" {
		currencies = "all"
	}
	row("currencies", clean(currencies))
	row("orders expire after", fmt.Sprintf("%d h", i.ExpirationHours))
	row("each step within", fmt.Sprintf("%d s", i.WaitSeconds))
	row("proof of work", fmt.Sprintf("%d bits", i.Work()))
	row("node", clean(strings.TrimSpace(i.NodeAlias+" "+i.NodePubKey)))
	row("network", clean(i.Networks))
	row("you", nostrio.Npub(a.trader.Identity()))
	return w.Flush()
}

func (a *app) list([]string, options) error {
	ctx, cancel := a.deadline()
	defer cancel()
	book, err := a.trader.Book(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKIND\tSATS\tFIAT\tMETHOD\tPREMIUM\tRATING")
	for _, o := range book.Orders() {
		sats := "market"
		if o.Amount != 0 {
			sats = strconv.FormatInt(int64(o.Amount), 10)
		}
		fiat := strconv.FormatInt(o.FiatAmount, 10)
		if o.Range() {
			fiat = fmt.Sprintf("%d-%d", o.Min, o.Max)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s %s\t%s\t%d %%\t%.1f (%d)\n",
			o.ID, clean(string(o.Kind)), sats, fiat, clean(o.Fiat), clean(strings.Join(o.Methods, ", ")), o.Premium, o.Rating, o.Reviews)
	}
	return w.Flush()
}

func (a *app) sell(args []string, o options) error { return a.offer(orders.Sell, args, o) }
func (a *app) buy(args []string, o options) error  { return a.offer(orders.Buy, args, o) }

func (a *app) offer(kind orders.Kind, args []string, o options) error {
	spec := trader.OrderSpec{Kind: kind, Fiat: strings.ToUpper(args[2]), Method: args[3], Premium: o.premium, Invoice: o.invoice}
	if kind == orders.Sell && o.invoice != "" {
		return fmt.Errorf("%w: who sells needs no invoice", errUsage)
	}
	sats, err := number(args[0])
	if err != nil {
		return err
	}
	spec.Amount = orders.Sats(sats)
	if low, high, isRange := strings.Cut(args[1], "-"); isRange {
		if spec.Min, err = number(low); err == nil {
			spec.Max, err = number(high)
		}
	} else {
		spec.FiatAmount, err = number(args[1])
	}
	if err != nil {
		return err
	}
	ctx, cancel := a.deadline()
	defer cancel()
	tr, err := a.trader.NewOrder(ctx, spec)
	if err != nil {
		return err
	}
	a.show(tr)
	return nil
}

func number(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: %q is not an amount in whole numbers", errUsage, s)
	}
	return n, nil
}

func (a *app) take(args []string, o options) error {
	ctx, cancel := a.deadline()
	defer cancel()
	book, err := a.trader.Book(ctx)
	if err != nil {
		return err
	}
	var found []orders.OrderID
	for _, order := range book.Orders() {
		if names(args[0], order.ID) {
			found = append(found, order.ID)
		}
	}
	id, err := one(args[0], found)
	if err != nil {
		return err
	}
	tr, err := a.trader.Take(ctx, id, trader.TakeOpts{Invoice: o.invoice, FiatAmount: o.fiat})
	if err != nil {
		return err
	}
	a.show(tr)
	return nil
}

// act runs a request about one of our trades and shows what came of it.
func (a *app) act(name string, request func(context.Context, *trader.Trade) error) error {
	ctx, cancel := a.deadline()
	defer cancel()
	if err := a.trader.Sync(ctx); err != nil {
		return err
	}
	tr, err := a.mine(name)
	if err != nil {
		return err
	}
	before := len(tr.Messages())
	if err := request(ctx, tr); err != nil {
		return err
	}
	for _, m := range tr.Messages()[before:] {
		a.tell(tr, m)
	}
	return nil
}

func (a *app) invoice(args []string, _ options) error {
	return a.act(args[0], func(ctx context.Context, tr *trader.Trade) error { return tr.AddInvoice(ctx, args[1]) })
}

func (a *app) fiatSent(args []string, _ options) error {
	return a.act(args[0], func(ctx context.Context, tr *trader.Trade) error { return tr.FiatSent(ctx) })
}

func (a *app) release(args []string, _ options) error {
	return a.act(args[0], func(ctx context.Context, tr *trader.Trade) error { return tr.Release(ctx) })
}

func (a *app) cancel(args []string, _ options) error {
	return a.act(args[0], func(ctx context.Context, tr *trader.Trade) error { return tr.Cancel(ctx) })
}

func (a *app) dispute(args []string, _ options) error {
	return a.act(args[0], func(ctx context.Context, tr *trader.Trade) error { return tr.Dispute(ctx) })
}

func (a *app) rate(args []string, _ options) error {
	stars, err := strconv.Atoi(args[1])
	if err != nil || stars < 1 || stars > 5 {
		return fmt.Errorf("%w: %q is not a number from 1 to 5", errUsage, args[1])
	}
	return a.act(args[0], func(ctx context.Context, tr *trader.Trade) error { return tr.Rate(ctx, stars) })
}

func (a *app) watch(args []string, _ options) error {
	if len(args) > 0 {
		if _, err := a.mine(args[0]); err != nil {
			return err
		}
	}
	err := a.trader.Follow(a.ctx, func(tr *trader.Trade, m trader.Message) {
		if len(args) == 0 || names(args[0], tr.ID()) {
			a.tell(tr, m)
		}
	})
	if errors.Is(err, context.Canceled) {
		return nil // that is how watching ends
	}
	return err
}

func (a *app) orders([]string, options) error {
	ctx, cancel := a.deadline()
	defer cancel()
	if err := a.trader.Sync(ctx); err != nil {
		return err
	}
	for _, tr := range a.trader.Trades() {
		a.show(tr)
	}
	return nil
}

// mine finds one of our trades by the beginning of its order's id.
func (a *app) mine(name string) (*trader.Trade, error) {
	var found []orders.OrderID
	for _, tr := range a.trader.Trades() {
		if names(name, tr.ID()) && (len(found) == 0 || found[len(found)-1] != tr.ID()) {
			found = append(found, tr.ID())
		}
	}
	id, err := one(name, found)
	if err != nil {
		return nil, err
	}
	tr, _ := a.trader.Trade(id)
	return tr, nil
}

func names(prefix string, id orders.OrderID) bool {
	return prefix != "" && strings.HasPrefix(id.String(), strings.ToLower(prefix))
}

func one(name string, found []orders.OrderID) (orders.OrderID, error) {
	switch len(found) {
	case 0:
		return orders.OrderID{}, fmt.Errorf("there is no order %q here", name)
	case 1:
		return found[0], nil
	}
	return orders.OrderID{}, fmt.Errorf("%q names %d orders: give more of the id", name, len(found))
}

// show prints a trade by its last message that asks or tells something.
func (a *app) show(tr *trader.Trade) {
	all := tr.Messages()
	for i := len(all) - 1; i >= 0; i-- {
		if !all[i].Notice() {
			a.tell(tr, all[i])
			return
		}
	}
	fmt.Fprintf(a.out, "order %s (%s): no message yet\n", tr.ID(), tr.Side())
}

func (a *app) tell(tr *trader.Trade, m trader.Message) {
	at := time.Unix(m.At, 0).Format(time.DateTime)
	fmt.Fprintf(a.out, "%s  order %s (%s)\n    %s\n", at, tr.ID(), tr.Side(), describe(tr.ID(), tr.Side(), m))
}
