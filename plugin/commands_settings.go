package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// settingsNow is the result of the methods that change a setting.
type settingsNow struct {
	Fee       string       `json:"fee" about:"of new orders, as a fraction of the amount"`
	FeeOption string       `json:"fee_option" about:"what the option mostro-fee says"`
	MinOrder  orders.Msats `json:"min_order_msat" about:"of new orders"`
	MinOption orders.Msats `json:"min_order_option_msat" about:"what the option says"`
	MaxOrder  orders.Msats `json:"max_order_msat" about:"of new orders"`
	MaxOption orders.Msats `json:"max_order_option_msat" about:"what the option says"`
	Pause     *pauseRow    `json:"pause,omitempty" about:"if the exchange is paused"`
}

type pauseRow struct {
	At     int64  `json:"at" about:"since when"`
	Reason string `json:"reason,omitempty" about:"why"`
	By     string `json:"by" about:"role and way of who did it"`
}

func newSettingsNow(m market) settingsNow {
	set, base := m.Exchange().Settings()
	rules := m.Exchange().Rules()
	return settingsNow{
		Fee: rules.FeeRate.Decimal(), FeeOption: base.FeeRate.Decimal(),
		MinOrder: rules.MinOrder.Msats(), MinOption: base.MinOrder.Msats(),
		MaxOrder: rules.MaxOrder.Msats(), MaxOption: base.MaxOrder.Msats(), Pause: newPauseRow(set.Pause),
	}
}

func newPauseRow(p *orders.Pause) *pauseRow {
	if p == nil {
		return nil
	}
	return &pauseRow{p.At, p.Reason, p.By.String()}
}

// change changes settings, tells the world, and says what holds now.
func change(ctx context.Context, m market, r request, what, detail string, f func(*orders.Settings)) (settingsNow, error) {
	why := orders.Record{At: r.now.Unix(), By: r.operator(), What: what, Detail: detail}
	_, err := m.Exchange().Change(ctx, why, f)
	var bad *orders.BadSettings
	if errors.As(err, &bad) {
		return settingsNow{}, refusal(codeWrongState, map[string]any{"reason": "settings_do_not_fit"}, "nothing was changed: %v", bad)
	}
	if err != nil {
		return settingsNow{}, fmt.Errorf("change a setting: %w", err)
	}
	m.Renew()
	return newSettingsNow(m), nil
}

func setFee(ctx context.Context, m market, r request) (settingsNow, error) {
	text := r.args["fee"]
	return change(ctx, m, r, "set-fee", text, func(s *orders.Settings) {
		s.FeeRate = nil
		if text != wordDefault {
			rate, _ := parsePPM(text) // judged before
			s.FeeRate = &rate
		}
	})
}

func setLimits(ctx context.Context, m market, r request) (settingsNow, error) {
	var said []string
	for _, name := range []string{"min_order", "max_order"} {
		if text, ok := r.args[name]; ok {
			said = append(said, name+" "+text)
		}
	}
	if len(said) == 0 {
		return newSettingsNow(m), nil // nothing was asked for
	}
	return change(ctx, m, r, "set-limits", strings.Join(said, ", "), func(s *orders.Settings) {
		r.limit("min_order", &s.MinOrder)
		r.limit("max_order", &s.MaxOrder)
	})
}

func (r request) limit(name string, field **orders.Sats) {
	text, ok := r.args[name]
	switch {
	case !ok:
	case text == wordDefault:
		*field = nil
	default:
		n, _ := strconv.ParseInt(text, 10, 64) // judged before
		sats := orders.Sats(n)
		*field = &sats
	}
}

func pause(ctx context.Context, m market, r request) (settingsNow, error) {
	return change(ctx, m, r, "pause", r.text("reason", ""), r.pausing())
}

// pausing keeps the first pause: its repeat changes nothing.
func (r request) pausing() func(*orders.Settings) {
	return func(s *orders.Settings) {
		if s.Pause == nil {
			s.Pause = &orders.Pause{At: r.now.Unix(), Reason: r.text("reason", ""), By: r.operator()}
		}
	}
}

func resume(ctx context.Context, m market, r request) (settingsNow, error) {
	return change(ctx, m, r, "resume", "", func(s *orders.Settings) { s.Pause = nil })
}

// drained is the result of mostro-drain.
type drained struct {
	Safe     bool           `json:"safe_to_stop" about:"no trade is under way, nothing is locked, and nothing has to leave"`
	Trades   map[string]int `json:"trades" about:"status → how many trades are under way"`
	Holds    int            `json:"hold_invoices" about:"that have not ended"`
	Held     orders.Msats   `json:"held_msat" about:"locked in them"`
	Owed     int            `json:"owed" about:"messages, events and calls to the node that have not left"`
	PausedAt int64          `json:"paused_at" about:"since when no new orders are taken"`
}

// drainPause is the time between two looks of a call that waits.
const drainPause = time.Second

func drain(ctx context.Context, m market, r request) (drained, error) {
	if set, _ := m.Exchange().Settings(); set.Pause == nil {
		if _, err := change(ctx, m, r, "pause", "drain", r.pausing()); err != nil {
			return drained{}, err
		}
	}
	end := time.NewTimer(time.Duration(r.count("wait", 0)) * time.Second)
	defer end.Stop()
	look := time.NewTicker(drainPause)
	defer look.Stop()
	for first, last := 0, ""; ; {
		d, err := underWay(m)
		if err != nil || d.Safe {
			return d, err
		}
		left := d.left()
		first = max(first, left)
		if said := d.String(); said != last {
			r.tell("%s", said)
			r.progress(first-left, first)
			last = said
		}
		select {
		case <-look.C:
		case <-end.C:
			return d, nil
		case <-ctx.Done():
			return d, nil
		}
	}
}

// underWay says what a stop of the node would interrupt.
func underWay(m market) (d drained, err error) {
	e := m.Exchange()
	open, err1 := e.Open()
	holds, err2 := e.LiveHolds()
	n, err3 := e.Count()
	if err := errors.Join(err1, err2, err3); err != nil {
		return d, fmt.Errorf("look what is under way: %w", err)
	}
	d = drained{Trades: map[string]int{}, Holds: len(holds), Owed: n.Owed}
	for status, n := range open {
		if status != orders.Pending {
			d.Trades[string(status)] = n
		}
	}
	for _, h := range holds {
		if h.State == orders.HoldAccepted || h.State == orders.HoldSettling || h.State == orders.HoldCanceling {
			d.Held += h.Held
		}
	}
	if set, _ := e.Settings(); set.Pause != nil {
		d.PausedAt = set.Pause.At
	}
	d.Safe = d.left() == 0
	return d, nil
}

// left counts what has to end first. A frozen trade has nothing at the node, and waits for a person.
func (d *drained) left() int { return d.moving() + d.Holds + d.Owed }

func (d *drained) moving() (n int) {
	for status, k := range d.Trades {
		if status != string(orders.Frozen) {
			n += k
		}
	}
	return n
}

func (d *drained) String() string {
	return fmt.Sprintf("%d trades under way, %d hold invoices with %s locked, %d things to send", d.moving(), d.Holds, d.Held, d.Owed)
}
