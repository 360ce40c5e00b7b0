package prices

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Answer is what a source says, by currency code in any case. What is not Known or not Valid is passed over.
type Answer struct {
	PerBTC map[string]Price
	// Base is set by a source that knows currencies better than bitcoin: only the proportions of PerBTC count, scaled
	// so that Base has the price that the other sources agree on. PerBTC must have it.
	Base string
}

// Source is one place that knows prices.
type Source struct {
	ID string // lower case; it is published with the rates

	// Fetch asks once. It must come back when ctx ends. An error is told to the operator, so it has no secrets.
	Fetch func(ctx context.Context) (Answer, error)

	Tries  int           // requests that one Fetch can make in turn; at least 1
	Lag    time.Duration // how old an answer can be when it comes
	Only   []string      // the currencies to take from it; empty: all
	Except []string      // but not these
}

func (s Source) check() error {
	switch {
	case s.ID == "" || strings.Trim(s.ID, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "":
		return fmt.Errorf("price source %q: bad name", s.ID)
	case s.Fetch == nil || s.Tries < 0 || s.Lag < 0:
		return fmt.Errorf("price source %s: incomplete", s.ID)
	case len(s.Only) > 0 && len(s.Except) > 0:
		return fmt.Errorf("price source %s: only and except exclude each other", s.ID)
	}
	for _, code := range slices.Concat(s.Only, s.Except) {
		if !Known(code) {
			return fmt.Errorf("price source %s: unknown currency %q", s.ID, code)
		}
	}
	return nil
}

// takes reports whether the price of a Known currency may come from s.
func (s Source) takes(code string) bool {
	return (len(s.Only) == 0 || slices.Contains(s.Only, code)) && !slices.Contains(s.Except, code)
}

var errNoRates = errors.New("no price in the answer")

// reduce keeps of an answer what its source may say. The base stays: it is a yardstick, not a price of its own.
func (s Source) reduce(a Answer) (Answer, error) {
	out := Answer{PerBTC: map[string]Price{}, Base: strings.ToUpper(a.Base)}
	for code, p := range a.PerBTC {
		if code = strings.ToUpper(code); p.Valid() && Known(code) && (s.takes(code) || code == out.Base) {
			out.PerBTC[code] = p
		}
	}
	if len(out.PerBTC) == 0 || out.Base != "" && out.PerBTC[out.Base] == 0 {
		return Answer{}, errNoRates
	}
	return out, nil
}

// ask fetches under a time limit. A source that panics is a source that failed.
func (s Source) ask(ctx context.Context, limit time.Duration) (a Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	if a, err = s.Fetch(ctx); err != nil {
		return Answer{}, err
	}
	return s.reduce(a)
}
