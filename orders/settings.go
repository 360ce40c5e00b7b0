package orders

import (
	"context"
	"fmt"
)

// Settings are what the operator has changed while the exchange ran. They are kept in the store, win over the Rules that
// the engine was started with, and hold for orders that are made from then on.
type Settings struct {
	FeeRate  *PPM   `json:"fee_rate,omitempty"`
	MinOrder *Sats  `json:"min_order,omitempty"`
	MaxOrder *Sats  `json:"max_order,omitempty"`
	Pause    *Pause `json:"pause,omitempty"`
}

// Pause is a time without new orders and takes. Trades under way go on.
type Pause struct {
	At     int64  `json:"at"` // unix seconds
	Reason string `json:"reason,omitempty"`
	By     Actor  `json:"by"`
}

// over returns the rules with the settings in force. Limits that do not go together with the rules, since an option was
// changed later, are left out.
func (s Settings) over(base Rules) (Rules, error) {
	r := base
	r.Paused = s.Pause != nil
	if s.FeeRate != nil {
		r.FeeRate = *s.FeeRate
	}
	if s.MinOrder != nil {
		r.MinOrder = *s.MinOrder
	}
	if s.MaxOrder != nil {
		r.MaxOrder = *s.MaxOrder
	}
	err := r.Check()
	if err != nil { // the fee stands by itself
		r.MinOrder, r.MaxOrder = base.MinOrder, base.MaxOrder
	}
	if r.Check() != nil {
		r.FeeRate = base.FeeRate
	}
	return r, err
}

// Settings returns what the operator has changed, and the rules that hold without it.
func (e *Engine) Settings() (s Settings, base Rules) {
	if p := e.settings.Load(); p != nil {
		s = *p
	}
	return s, e.base
}

// sameTerms reports whether fee and limits are those of the other settings.
func (s Settings) sameTerms(o Settings) bool {
	return sameValue(s.FeeRate, o.FeeRate) && sameValue(s.MinOrder, o.MinOrder) && sameValue(s.MaxOrder, o.MaxOrder)
}

func sameValue[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// BadSettings is the error of a change that cannot be: fee or limits that do not go together.
type BadSettings struct{ Err error }

func (e *BadSettings) Error() string { return e.Err.Error() }

// Change changes the settings in one transaction and returns them. From its return on they are in force. The record, whose
// What names the change, goes into the audit. *BadSettings: nothing has changed, since the result cannot be.
func (e *Engine) Change(ctx context.Context, why Record, change func(*Settings)) (now Settings, err error) {
	err = e.submit(ctx, "settings", func(t *tx) (after, error) {
		s := t.settings()
		before := s
		change(&s)
		// What is as it was is not refused: a pause must always be possible.
		if _, err := s.over(e.base); err != nil && !s.sameTerms(before) {
			return after{}, &BadSettings{err}
		}
		t.put(metaBucket, settingsKey, s)
		t.addRecord(why)
		now = s
		return after{settings: &s}, nil
	})
	return now, err
}

var settingsKey = []byte("settings")

func (t *tx) settings() (s Settings) {
	t.get(metaBucket, settingsKey, &s)
	return s
}

// adopt puts the settings in force.
func (e *Engine) adopt(s *Settings) {
	r, err := s.over(e.base)
	if err != nil {
		e.log.Error("settings of the operator are left out: they do not go together with the options", "err", err)
	}
	e.settings.Store(s)
	e.rules.Store(&r)
}

func (e *Engine) loadSettings() error {
	var s Settings
	if err := e.read(func(t *tx) { s = t.settings() }); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	e.adopt(&s)
	return nil
}

// Tariff is what the rules were when an order was made: what it costs, and what sats it may come to at the market price.
type Tariff struct {
	Rate  PPM      `json:"rate"`
	Payer FeePayer `json:"payer"`
	Min   Sats     `json:"min"`
	Max   Sats     `json:"max"`
}

func (r *Rules) tariff() *Tariff { return &Tariff{r.FeeRate, r.FeePayer, r.MinOrder, r.MaxOrder} }

// tariff is the order's own; that of today for one that is not made yet, or was made before orders kept theirs.
func (s *step) tariff() *Tariff {
	if s.o.Tariff != nil {
		return s.o.Tariff
	}
	return s.rules.tariff()
}
