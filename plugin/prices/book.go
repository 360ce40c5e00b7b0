package prices

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// What Rate refuses.
var (
	ErrNoPrice = errors.New("no price for this currency")
	ErrStale   = errors.New("the price is too old")
)

// Config is how often to ask and whom to believe. Zero values take the defaults named.
type Config struct {
	Interval  time.Duration // between two rounds of questions, at least a minute; 5 min
	MaxAge    time.Duration // of a price that Rate gives; 30 min
	Tolerance orders.PPM    // distance from the median that is none; 50 000, which is 5 %
	Timeout   time.Duration // of one request; 10 s
	Retry     time.Duration // until the second round if the first brought nothing, and twice that and so on; 30 s

	FailureLimit int           // failures in a row before a source is left alone; 3
	Cooldown     time.Duration // how long at first, doubled by each further failure; 2 min
	MaxCooldown  time.Duration // and at most; 30 min

	Log *slog.Logger
}

const (
	minInterval = time.Minute
	// maxSources bounds a round: every source is asked at the same time.
	maxSources = 16
)

// Book holds the prices. Run fills it; everything else may be called by many goroutines at once, and never waits for a
// source.
type Book struct {
	config  Config
	sources []Source
	changed chan struct{}

	mu     sync.Mutex
	health []health // as sources
	prices map[string]entry
	round  time.Time // of the last round that brought a price; zero: none yet
}

// entry is the price of one currency.
type entry struct {
	Quote
	sources []string
	fresh   bool // of the last round, from sources that know the present
}

type health struct {
	breaker
	last    time.Time // of an answer
	problem error
}

// New returns a book with no prices. Its errors are mistakes in the configuration.
func New(c Config, sources ...Source) (*Book, error) {
	c.Interval, c.MaxAge = cmp.Or(c.Interval, 5*time.Minute), cmp.Or(c.MaxAge, 30*time.Minute)
	c.Tolerance, c.Timeout, c.Retry = cmp.Or(c.Tolerance, 50_000), cmp.Or(c.Timeout, 10*time.Second), cmp.Or(c.Retry, 30*time.Second)
	c.FailureLimit, c.Cooldown, c.MaxCooldown = cmp.Or(c.FailureLimit, 3), cmp.Or(c.Cooldown, 2*time.Minute), cmp.Or(c.MaxCooldown, 30*time.Minute)
	switch {
	case c.Log == nil:
		return nil, errors.New("prices: no log")
	case c.Interval < minInterval:
		return nil, fmt.Errorf("prices: interval of %v, wants %v or more", c.Interval, minInterval)
	case min(c.MaxAge, c.Timeout, c.Retry, c.Cooldown, c.MaxCooldown) < 0 || c.FailureLimit < 0:
		return nil, errors.New("prices: a time or a number below zero")
	case c.Tolerance < 0 || c.Tolerance > 1_000_000:
		return nil, fmt.Errorf("prices: tolerance of %d ppm, wants 0 to 1000000", int64(c.Tolerance))
	case len(sources) > maxSources:
		return nil, fmt.Errorf("prices: %d sources, wants at most %d", len(sources), maxSources)
	}
	seen := map[string]bool{}
	for _, s := range sources {
		if err := s.check(); err != nil {
			return nil, err
		}
		if seen[s.ID] {
			return nil, fmt.Errorf("price source %s: given twice", s.ID)
		}
		seen[s.ID] = true
	}
	return &Book{
		config: c, sources: slices.Clone(sources), changed: make(chan struct{}, 1),
		health: make([]health, len(sources)), prices: map[string]entry{},
	}, nil
}

// Run asks the sources until ctx ends, and returns ctx's error. As long as there has never been a price the rounds come
// sooner, at first Retry apart.
func (b *Book) Run(ctx context.Context) error {
	retry := min(b.config.Retry, b.config.Interval)
	for {
		wait := b.config.Interval
		if !b.ask(ctx) {
			wait, retry = retry, min(2*retry, b.config.Interval)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// ask is one round, and reports whether there are prices now, of this round or an earlier one.
func (b *Book) ask(ctx context.Context) bool {
	start := time.Now()
	due := b.due(start)
	answers := make([]Answer, len(due))
	problems := make([]error, len(due))
	var wg sync.WaitGroup
	for i, n := range due {
		wg.Go(func() {
			s := b.sources[n]
			answers[i], problems[i] = s.ask(ctx, b.config.Timeout*time.Duration(max(s.Tries, 1))+time.Second)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return false
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	var got []polled
	for i, n := range due {
		b.note(n, now, problems[i])
		if problems[i] == nil {
			got = append(got, polled{b.sources[n], answers[i]})
		}
	}
	b.store(aggregate(got, b.config.Tolerance), now)
	return len(b.prices) > 0
}

// due lists the sources that are not left alone just now. If that leaves none it lists all: then the fault is more likely
// here, and cooldowns would only keep us from noticing that it has passed.
func (b *Book) due(now time.Time) (list []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := range b.sources {
		if b.health[n].ready(now) {
			list = append(list, n)
		}
	}
	if len(list) > 0 {
		return list
	}
	for n := range b.sources {
		list = append(list, n)
	}
	return list
}

// note keeps a source's record and tells the operator when it changes.
func (b *Book) note(n int, now time.Time, problem error) {
	h, log := &b.health[n], b.config.Log.With("source", b.sources[n].ID)
	h.problem = problem
	if problem == nil {
		if h.failures > 0 {
			log.Info("price source answers again")
		}
		h.success()
		h.last = now
		return
	}
	h.failure(now, b.config.FailureLimit, b.config.Cooldown, b.config.MaxCooldown)
	switch h.failures {
	case 1:
		log.Info("price source failed", "err", problem)
	case b.config.FailureLimit:
		log.Warn("price source failed again and is left alone for a while", "err", problem)
	default:
		log.Debug("price source failed", "err", problem)
	}
}

// store takes in what a round came to. A currency without a new price keeps the old one, with its time; an older price
// never replaces a newer one.
func (b *Book) store(results map[string]result, now time.Time) {
	now = now.Round(0) // wall clock: while the machine sleeps, the monotonic one stands still and prices grow old
	for code, e := range b.prices {
		e.fresh = false
		b.prices[code] = e
	}
	for code, r := range results {
		asOf := now.Add(-r.lag)
		if old, ok := b.prices[code]; ok && old.AsOf.After(asOf) {
			continue
		}
		slices.Sort(r.sources)
		b.prices[code] = entry{Quote{r.price, asOf}, r.sources, r.lag == 0}
	}
	if len(results) > 0 {
		b.round = now
		select {
		case b.changed <- struct{}{}:
		default: // the reader has not looked at the last change yet, and will see this one too
		}
	}
}

// Changed receives after each round that brought a price. It has one reader; rounds that it misses are one.
func (b *Book) Changed() <-chan struct{} { return b.changed }

// Rate is the price of a currency. ErrNoPrice: it is not Known, or no source has had a price of it since the start.
// ErrStale: the last one is older than MaxAge, or from as far ahead of now, as after a clock was set back.
func (b *Book) Rate(code string, now time.Time) (Quote, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.prices[strings.ToUpper(code)]
	if !ok {
		return Quote{}, fmt.Errorf("%w: %.8q", ErrNoPrice, code)
	}
	if !b.current(e, now) {
		return Quote{}, fmt.Errorf("%w: %s, of %s", ErrStale, strings.ToUpper(code), e.AsOf.UTC().Format(time.RFC3339))
	}
	return e.Quote, nil
}

func (b *Book) current(e entry, now time.Time) bool {
	return now.Round(0).Sub(e.AsOf).Abs() <= b.config.MaxAge
}

// Available lists the codes that Rate has a price for.
func (b *Book) Available(now time.Time) (codes []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for code, e := range b.prices {
		if b.current(e, now) {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	return codes
}

// Snapshot is what the last round brought, for publication.
type Snapshot struct {
	At      time.Time        // zero: no round yet
	Rates   map[string]Price // by code; kept prices of earlier rounds are not in it
	Sources []string         // that the rates are made of, sorted
}

// Snapshot returns a copy that the caller may keep.
func (b *Book) Snapshot() Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Snapshot{At: b.round, Rates: map[string]Price{}}
	sources := map[string]bool{}
	for code, e := range b.prices {
		if e.fresh {
			s.Rates[code] = e.PerBTC
			for _, id := range e.sources {
				sources[id] = true
			}
		}
	}
	s.Sources = slices.Sorted(maps.Keys(sources))
	return s
}

// SourceStatus is how a source does, for the operator.
type SourceStatus struct {
	ID       string
	Last     time.Time // of its last answer; zero: none
	Failures int       // since then
	Until    time.Time // it is left alone until then, if that is ahead
	Problem  error     // of the last question; nil: it was answered, or none was put
}

// Status tells of all sources, in their order.
func (b *Book) Status() []SourceStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]SourceStatus, len(b.sources))
	for n, h := range b.health {
		list[n] = SourceStatus{b.sources[n].ID, h.last, h.failures, h.until, h.problem}
	}
	return list
}
