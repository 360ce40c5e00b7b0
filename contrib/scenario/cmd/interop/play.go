package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mostro-cln/mostro/contrib/scenario"
	"github.com/mostro-cln/mostro/orders"
)

// row is one command in the table at the end.
type row struct {
	story  string
	who    person
	types  string
	took   time.Duration
	status orders.Status
	end    string
	failed bool
}

// user is a person at work: a client, a wallet, and what the client has shown last.
type user struct {
	*client
	name    person
	account string // name of the wallet on the simulated network
	wallet  scenario.Wallet
	start   orders.Msats
	invoice string // to pay
	asked   int64  // sats that an invoice was asked for
	peer    string // trade key of the other one, hex
}

const (
	deposit    orders.Sats = 500_000
	storyLimit             = 3 * time.Minute
	stepLimit              = 20 * time.Second // until an order is where a command brings it
)

// tellAll tells every story, with new people each. A story that fails does not end the others.
func (t *tour) tellAll(ctx context.Context) error {
	told := 0
	for i, s := range stories {
		if !t.pick.MatchString(s.name) {
			continue
		}
		told++
		fmt.Fprintf(t.out, "\n%s\n%s\n", s.name, strings.Repeat("─", len(s.name)))
		limited, cancel := context.WithTimeout(ctx, storyLimit)
		err := t.tell(limited, s, i)
		cancel()
		if err != nil {
			fmt.Fprintln(t.out, "FAILED:", err)
			t.rows = append(t.rows, row{story: s.name, types: "(the whole story)", end: "FAILED: " + err.Error(), failed: true})
		}
	}
	if told == 0 {
		return errors.New("no story fits -run")
	}
	return ctx.Err()
}

func (t *tour) tell(ctx context.Context, s story, number int) error {
	p := &play{tour: t, story: s, people: map[person]*user{}}
	for _, name := range []person{alice, bob, admin, solver} {
		u, err := t.user(ctx, name, number)
		if err != nil {
			return err
		}
		p.people[name] = u
	}
	for _, st := range s.steps {
		end, err := p.step(ctx, st)
		if err != nil || end {
			return err
		}
	}
	if s.free {
		return nil
	}
	return errors.Join(p.gains(ctx, alice, s.alice), p.gains(ctx, bob, s.bob))
}

// user makes a person with an empty home and a full wallet.
func (t *tour) user(ctx context.Context, name person, number int) (*user, error) {
	id := fmt.Sprintf("%s-%d", name, number)
	u := &user{name: name, account: id, client: &client{program: t.client, home: filepath.Join(t.dir, id), env: t.env, seen: map[string]int{}}}
	if o, ok := officials[name]; ok {
		u.env = append(slices.Clone(t.env), "ADMIN_NSEC="+o.secret)
	}
	if err := os.Mkdir(u.home, 0o700); err != nil {
		return nil, err
	}
	var err error
	if u.wallet, err = t.sim.Wallet(ctx, id, deposit); err != nil {
		return nil, fmt.Errorf("%s's wallet: %w", name, err)
	}
	u.start, _, err = u.wallet.Balance(ctx)
	return u, err
}

// play is one story while it is told.
type play struct {
	*tour
	story   story
	people  map[person]*user
	order   orders.OrderID
	dispute string
	labels  int
}

// step types a command and judges what comes of it. It reports whether the story ends here.
func (p *play) step(ctx context.Context, st step) (end bool, err error) {
	u := p.people[st.who]
	if err := p.quiet(ctx); err != nil {
		return true, err
	}
	args, err := p.fill(ctx, u, strings.Fields(st.types))
	if err != nil {
		return true, err
	}
	s, err := u.run(ctx, args...)
	if err != nil {
		return true, err
	}
	fmt.Fprintf(p.out, "\n%s$ mostro-cli %s\n", st.who, shorten(strings.Join(args, " ")))
	for _, line := range trim(s.text, p.verbose) {
		fmt.Fprintln(p.out, "   ", line)
	}
	r := row{story: p.story.name, who: st.who, types: shorten(strings.Join(args, " ")), took: s.took}
	p.note(u, st, s.text)
	if s.code != 0 && strings.Contains(s.text, ratesHost) { // 0.16.0 trusts built-in authorities only
		st.ends = unsent
	}
	bad := p.judge(ctx, u, st, s, &r)
	if r.end = st.ends.String(); bad != nil {
		r.failed, r.end = true, "FAILED: "+bad.Error()
		fmt.Fprintln(p.out, "   ", r.end)
	}
	p.rows = append(p.rows, r)
	return r.failed || st.ends == unsent, nil
}

// quiet waits until the exchange has sent all that it owes, so that no late message is taken for an answer: mostro-cli
// takes the first one that comes.
func (p *play) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for {
		var info scenario.Info
		if err := p.sim.Call(ctx, "mostro-info", nil, &info); err != nil {
			return err
		}
		if info.Outbox == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the exchange still owes %d effects: %w", info.Outbox, ctx.Err())
		case <-time.After(50 * time.Millisecond): // nothing else tells
		}
	}
}

var blank = regexp.MustCompile(`\{(\w+)(?::(\d+))?\}`)

// fill replaces {order}, {peer}, {address}, {invoice:SATS}, and {invoice}, which is over what the person was asked for.
func (p *play) fill(ctx context.Context, u *user, words []string) ([]string, error) {
	var bad error
	for i, w := range words {
		words[i] = blank.ReplaceAllStringFunc(w, func(b string) string {
			m := blank.FindStringSubmatch(b)
			value, err := p.value(ctx, u, m[1], m[2])
			bad = errors.Join(bad, err)
			return value
		})
	}
	return words, bad
}

func (p *play) value(ctx context.Context, u *user, name, sats string) (string, error) {
	switch name {
	case "order":
		return p.order.String(), nil
	case "dispute":
		return p.dispute, nil
	case "solver":
		return officials[solver].npub, nil
	case "peer":
		return u.peer, nil
	case "address":
		address := u.account + "@example.com" // the node looks it up by itself (BIP 353)
		return address, p.sim.Call(ctx, "sim-wallet-offer", map[string]any{"wallet": u.account, "bip353": address}, nil)
	case "invoice":
		amount := u.asked
		if sats != "" {
			var err error
			if amount, err = strconv.ParseInt(sats, 10, 64); err != nil {
				return "", err
			}
		}
		p.labels++
		return u.wallet.Invoice(ctx, orders.Sats(amount), fmt.Sprintf("%s-%s-%d", p.story.name, u.name, p.labels))
	}
	return "", fmt.Errorf("nothing is called {%s}", name)
}

var shownAmount = regexp.MustCompile(`(?:Required Amount: |📋 Order: \S+ )(\d+)`)

// note keeps what the person would copy from the screen.
func (p *play) note(u *user, st step, text string) {
	if strings.HasPrefix(st.types, "neworder") {
		if id, err := orders.ParseOrderID(last(shownOrder, text)); err == nil {
			p.order = id
		}
	}
	if id := last(shownDispute, text); id != "" && strings.HasPrefix(st.types, "dispute") {
		p.dispute = id
	}
	if peer := last(shownPeer, text); peer != "" {
		u.peer = peer
	}
	if sats, err := strconv.ParseInt(last(shownAmount, text), 10, 64); err == nil {
		u.asked = sats
	}
	u.invoice = last(shownInvoice, text)
}

// judge compares what has happened with what the story says.
func (p *play) judge(ctx context.Context, u *user, st step, s said, r *row) error {
	if st.ends == unsent {
		return nil
	}
	sees := strings.NewReplacer("{order}", p.order.String(), "{dispute}", p.dispute).Replace(st.sees)
	switch {
	case (s.code == 0) != (st.ends == well):
		return fmt.Errorf("exit code %d", s.code)
	case !strings.Contains(s.text, sees):
		return fmt.Errorf("it does not say %q", sees)
	}
	if st.pays {
		if u.invoice == "" {
			return errors.New("no invoice to pay")
		}
		if err := u.wallet.Pay(ctx, u.invoice); err != nil {
			return fmt.Errorf("pay the hold invoice: %w", err)
		}
		fmt.Fprintln(p.out, "    ("+string(u.name)+" pays the invoice)")
	}
	if st.status == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	var err error
	r.status, err = p.world.AwaitStatus(ctx, p.order, st.status)
	if err == nil {
		fmt.Fprintf(p.out, "    (mostro-showorder: %s)\n", r.status)
	}
	return err
}

// gains checks what a person has won or lost in the story, when nothing hangs any more.
func (p *play) gains(ctx context.Context, name person, want orders.Sats) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	u := p.people[name]
	for {
		free, locked, err := u.wallet.Balance(ctx)
		if err != nil {
			return err
		}
		if locked == 0 && free-u.start == want.Msats() {
			fmt.Fprintf(p.out, "\n    %s: %+d sat\n", name, want)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has %+d msat with %d locked, and should have %+d", name, free-u.start, locked, want.Msats())
		case <-time.After(50 * time.Millisecond): // a wallet does not tell
		}
	}
}

var long = regexp.MustCompile(`[0-9a-z]{30,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// shorten abbreviates invoices, keys and ids.
func shorten(s string) string {
	return long.ReplaceAllStringFunc(s, func(w string) string { return w[:8] + "…" })
}

// report prints the table.
func (t *tour) report(took time.Duration) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nwho\tmostro-cli\tseconds\torder\tend\n")
	failed, story := 0, ""
	for _, r := range t.rows {
		if r.story != story {
			story = r.story
			fmt.Fprintf(w, "\n%s\n", story)
		}
		if r.failed {
			failed++
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f\t%s\t%s\n", r.who, r.types, r.took.Seconds(), r.status, r.end)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "\n%d commands, %d failed, %.0f seconds in all\n", len(t.rows), failed, took.Seconds())
	if failed > 0 {
		return fmt.Errorf("%d of %d commands failed", failed, len(t.rows))
	}
	return nil
}
