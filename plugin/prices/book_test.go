package prices

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

var errDown = errors.New("down")

// feed is a source under a test's control, which also says when it was asked.
type feed struct {
	mu     sync.Mutex
	answer map[string]Price // nil: down
	wait   time.Duration    // before it answers
	asked  []time.Time
}

func (f *feed) set(answer map[string]Price) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *feed) fetch(ctx context.Context) (Answer, error) {
	f.mu.Lock()
	f.asked = append(f.asked, time.Now())
	answer, wait := f.answer, f.wait
	f.mu.Unlock()
	if wait > 0 {
		select {
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		case <-time.After(wait):
		}
	}
	if answer == nil {
		return Answer{}, errDown
	}
	return Answer{PerBTC: answer}, nil
}

// minutes are the times at which it was asked since start.
func (f *feed) minutes(start time.Time) (list []float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.asked {
		list = append(list, t.Sub(start).Minutes())
	}
	return list
}

func usd(units int64) map[string]Price { return map[string]Price{"USD": Price(units * perUnit)} }

// run starts a book in a bubble of its own time; the test ends it.
func run(t *testing.T, c Config, sources ...Source) *Book {
	t.Helper()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	b, err := New(c, sources...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
	synctest.Wait()
	return b
}

func (b *Book) expect(t *testing.T, code string, units int64, want error) {
	t.Helper()
	q, err := b.Rate(code, time.Now())
	if !errors.Is(err, want) || err == nil && q.PerBTC != Price(units*perUnit) {
		t.Errorf("%s: got %s, %v, want %d, %v", code, q.PerBTC, err, units, want)
	}
}

func TestPricesComeAndGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := &feed{answer: usd(90_000)}, &feed{answer: map[string]Price{"usd": 92_000 * perUnit, "eur": 80_000 * perUnit, "xau": 1, "GBP": 0}}
		b := run(t, Config{}, Source{ID: "a", Fetch: a.fetch}, Source{ID: "c", Fetch: c.fetch})
		b.expect(t, "USD", 91_000, nil)
		b.expect(t, "eur", 80_000, nil)
		b.expect(t, "GBP", 0, ErrNoPrice)
		b.expect(t, "XAU", 0, ErrNoPrice)
		b.expect(t, "", 0, ErrNoPrice)
		if got := b.Available(time.Now()); !slices.Equal(got, []string{"EUR", "USD"}) {
			t.Errorf("available: %v", got)
		}
		a.set(usd(91_000))
		c.set(nil)
		time.Sleep(6 * time.Minute)
		b.expect(t, "USD", 91_000, nil) // of one source now
		b.expect(t, "EUR", 80_000, nil) // the old one
		a.set(nil)
		time.Sleep(24*time.Minute + time.Second)
		b.expect(t, "EUR", 0, ErrStale)
		b.expect(t, "USD", 91_000, nil)
		time.Sleep(5 * time.Minute)
		b.expect(t, "USD", 0, ErrStale)
		if got := b.Available(time.Now()); len(got) != 0 {
			t.Errorf("available: %v", got)
		}
		a.set(usd(95_000))
		time.Sleep(5 * time.Minute)
		b.expect(t, "USD", 95_000, nil)
	})
}

func TestStalenessToTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &feed{answer: usd(90_000)}
		b := run(t, Config{}, Source{ID: "a", Fetch: a.fetch})
		asOf := time.Now()
		for name, c := range map[string]struct {
			at   time.Duration
			want error
		}{
			"at the limit":                      {30 * time.Minute, nil},
			"a nanosecond later":                {30*time.Minute + 1, ErrStale},
			"a clock that was set back a bit":   {-30 * time.Minute, nil},
			"a clock that was set back too far": {-30*time.Minute - 1, ErrStale},
		} {
			q, err := b.Rate("USD", asOf.Add(c.at))
			if !errors.Is(err, c.want) || err == nil && !q.AsOf.Equal(asOf) {
				t.Errorf("%s: got %v, %v, want %v", name, q.AsOf, err, c.want)
			}
		}
	})
}

func TestSourcesThatFailAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		good, bad := &feed{answer: usd(90_000)}, &feed{}
		b := run(t, Config{Interval: time.Minute}, Source{ID: "good", Fetch: good.fetch}, Source{ID: "bad", Fetch: bad.fetch})
		time.Sleep(39*time.Minute + 30*time.Second)
		// Failures 1 and 2 have no effect; 3 costs 2 minutes, 4 costs 4, 5 costs 8, 6 costs 16, then it is 30.
		if got, want := bad.minutes(start), []float64{0, 1, 2, 4, 8, 16, 32}; !slices.Equal(got, want) {
			t.Errorf("asked at %v, want %v", got, want)
		}
		if n := len(good.minutes(start)); n != 40 {
			t.Errorf("the good one was asked %d times", n)
		}
		s := b.Status()
		if s[1].ID != "bad" || s[1].Failures != 7 || !errors.Is(s[1].Problem, errDown) || s[1].Until.Sub(start) != 62*time.Minute || s[0].Problem != nil || s[0].Last.IsZero() {
			t.Errorf("status %+v", s)
		}
		bad.set(usd(90_000))
		time.Sleep(23 * time.Minute)
		if s := b.Status(); s[1].Failures != 0 || s[1].Problem != nil {
			t.Errorf("after an answer: %+v", s[1])
		}
	})
}

func TestAllSourcesFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		a := &feed{}
		b := run(t, Config{}, Source{ID: "a", Fetch: a.fetch})
		time.Sleep(18 * time.Minute)
		if got, want := a.minutes(start), []float64{0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5}; !slices.Equal(got, want) {
			t.Errorf("asked at %v, want %v", got, want)
		}
		b.expect(t, "USD", 0, ErrNoPrice)
		if s := b.Snapshot(); len(s.Rates) != 0 || !s.At.IsZero() {
			t.Errorf("snapshot %+v", s)
		}
		time.Sleep(24 * time.Hour)
		if n := len(a.minutes(start)); n != 7+24*12 {
			t.Errorf("asked %d times in a day", n)
		}
		a.set(usd(90_000))
		time.Sleep(5 * time.Minute)
		b.expect(t, "USD", 90_000, nil)
	})
}

func TestSlowSourcesAreCutOffAndHoldUpNobodyForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, quick := &feed{answer: usd(80_000), wait: time.Hour}, &feed{answer: usd(90_000), wait: 8 * time.Second}
		b := run(t, Config{Timeout: 10 * time.Second}, Source{ID: "slow", Fetch: slow.fetch, Tries: 2}, Source{ID: "quick", Fetch: quick.fetch})
		time.Sleep(20 * time.Second)
		b.expect(t, "USD", 0, ErrNoPrice)
		time.Sleep(time.Second + time.Millisecond) // 2 tries of 10 s and a second
		b.expect(t, "USD", 90_000, nil)
		if s := b.Status(); !errors.Is(s[0].Problem, context.DeadlineExceeded) {
			t.Errorf("slow: %+v", s[0])
		}
	})
}

func TestASourceThatPanicsHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{},
			Source{ID: "mad", Fetch: func(context.Context) (Answer, error) { panic("mad") }},
			Source{ID: "empty", Fetch: func(context.Context) (Answer, error) { return Answer{}, nil }},
			Source{ID: "baseless", Fetch: func(context.Context) (Answer, error) { return Answer{PerBTC: usd(1), Base: "EUR"}, nil }},
		)
		for _, s := range b.Status() {
			if s.Problem == nil || s.Failures != 1 {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestScopesOfSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := map[string]Price{"USD": 90_000 * perUnit, "EUR": 80_000 * perUnit, "CUP": 2_000_000 * perUnit}
		a, c, d := &feed{answer: all}, &feed{answer: map[string]Price{"CUP": 40_000_000 * perUnit, "USD": 1 * perUnit}}, &feed{answer: all}
		b := run(t, Config{},
			Source{ID: "a", Fetch: a.fetch, Except: []string{"CUP"}},
			Source{ID: "c", Fetch: c.fetch, Only: []string{"CUP"}},
			Source{ID: "d", Fetch: d.fetch, Only: []string{"EUR"}},
		)
		b.expect(t, "USD", 90_000, nil)
		b.expect(t, "EUR", 80_000, nil)
		b.expect(t, "CUP", 40_000_000, nil)
	})
}

func TestALateSourceConfirmsButDoesNotReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, late := &feed{answer: usd(90_000)}, &feed{answer: map[string]Price{"USD": 92_000 * perUnit, "CHF": 70_000 * perUnit}}
		b := run(t, Config{}, Source{ID: "a", Fetch: a.fetch}, Source{ID: "late", Fetch: late.fetch, Lag: time.Hour})
		b.expect(t, "USD", 91_000, nil)
		b.expect(t, "CHF", 0, ErrStale) // it is an hour old
		if s := b.Snapshot(); len(s.Rates) != 1 || !slices.Equal(s.Sources, []string{"a", "late"}) {
			t.Errorf("snapshot %+v", s)
		}
		a.set(nil)
		time.Sleep(6 * time.Minute)
		b.expect(t, "USD", 91_000, nil)
		if q, err := b.Rate("USD", time.Now()); err != nil || time.Since(q.AsOf) != 6*time.Minute {
			t.Errorf("got %v, %v", q, err)
		}
		if s := b.Snapshot(); len(s.Rates) != 0 {
			t.Errorf("old prices are in the snapshot: %+v", s)
		}
	})
}

func TestOutliersAreNotSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sources := make([]Source, 0, 3)
		for id, units := range map[string]int64{"x": 90_000, "y": 91_000, "z": 9_000_000} {
			f := &feed{answer: usd(units)}
			sources = append(sources, Source{ID: id, Fetch: f.fetch})
		}
		b := run(t, Config{}, sources...)
		b.expect(t, "USD", 90_500, nil)
		s := b.Snapshot()
		if !slices.Equal(s.Sources, []string{"x", "y"}) || s.Rates["USD"] != 90_500*perUnit || !s.At.Equal(time.Now()) {
			t.Errorf("snapshot %+v", s)
		}
		s.Rates["USD"] = 1
		if b.Snapshot().Rates["USD"] == 1 {
			t.Error("the snapshot is no copy")
		}
	})
}

func TestChangedTellsOfEachRoundOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &feed{answer: usd(90_000)}
		b := run(t, Config{}, Source{ID: "a", Fetch: a.fetch})
		<-b.Changed()
		select {
		case <-b.Changed():
			t.Error("told twice")
		default:
		}
		time.Sleep(16 * time.Minute) // three rounds while nobody looks
		<-b.Changed()
		select {
		case <-b.Changed():
			t.Error("rounds have piled up")
		default:
		}
	})
}

func TestTheOperatorHearsOfChangesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		a, good := &feed{}, &feed{answer: usd(90_000)}
		b := run(t, Config{Log: slog.New(slog.NewTextHandler(&out, nil))}, Source{ID: "a", Fetch: a.fetch}, Source{ID: "good", Fetch: good.fetch})
		time.Sleep(5 * time.Hour)
		a.set(usd(90_000))
		time.Sleep(time.Hour)
		b.Status() // after the last line was written
		if n := strings.Count(out.String(), "\n"); n != 3 || !strings.Contains(out.String(), "level=WARN") || !strings.Contains(out.String(), "answers again") {
			t.Errorf("%d lines:\n%s", n, out.String())
		}
	})
}

func TestNewRefuses(t *testing.T) {
	ok := func(id string) Source { return Source{ID: id, Fetch: (&feed{}).fetch} }
	log := slog.New(slog.DiscardHandler)
	many := make([]Source, 0, maxSources+1)
	for i := range maxSources + 1 {
		many = append(many, ok(fmt.Sprint("s", i)))
	}
	for name, c := range map[string]struct {
		config  Config
		sources []Source
	}{
		"no log":                  {Config{}, nil},
		"an interval too short":   {Config{Log: log, Interval: time.Second}, nil},
		"a negative age":          {Config{Log: log, MaxAge: -1}, nil},
		"a tolerance above all":   {Config{Log: log, Tolerance: 1_000_001}, nil},
		"a source twice":          {Config{Log: log}, []Source{ok("a"), ok("a")}},
		"too many sources":        {Config{Log: log}, many},
		"a source without a name": {Config{Log: log}, []Source{ok("")}},
		"a name with a comma":     {Config{Log: log}, []Source{ok("a,b")}},
		"nothing to fetch":        {Config{Log: log}, []Source{{ID: "a"}}},
		"only and except":         {Config{Log: log}, []Source{{ID: "a", Fetch: (&feed{}).fetch, Only: []string{"USD"}, Except: []string{"EUR"}}}},
		"an unknown currency":     {Config{Log: log}, []Source{{ID: "a", Fetch: (&feed{}).fetch, Only: []string{"VEF"}}}},
	} {
		if _, err := New(c.config, c.sources...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestAllSourcesTogether runs the four of the web on sample answers, over real sockets.
func TestAllSourcesTogether(t *testing.T) {
	base, client := api(t, make(chan *http.Request, 100))
	sources := make([]Source, 0, len(webSources))
	for _, name := range WebNames() {
		s, err := Web(name, client, "", base)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, s)
	}
	b, err := New(Config{Log: slog.New(slog.DiscardHandler)}, sources...)
	if err != nil {
		t.Fatal(err)
	}
	if !b.ask(t.Context()) {
		t.Fatal("no price")
	}
	for code, want := range map[string]string{
		"USD": "90108.533333",   // (90105.25 + 90122 + 90098.35) / 3
		"BRL": "481338.15",      // (481322.9 + 481401 + 481290.55) / 3
		"AED": "330919.554758",  // (330912.44 + 322175 × 90108.533333 / 87725.52774) / 2
		"CUP": "39825610.0",     // yadio's alone
		"VES": "31022481.9",     // yadio's alone
		"IRR": "123920551000.0", // yadio's alone
		"VND": "2372850112.0",   // coingecko's alone
		"KZT": "46337448.50681", // currency_api's, scaled
	} {
		if q, err := b.Rate(code, time.Now()); err != nil || q.PerBTC.String() != want {
			t.Errorf("%s: got %s, %v, want %s", code, q.PerBTC, err, want)
		}
	}
	if got := b.Snapshot().Sources; !slices.Equal(got, []string{"blockchain", "coingecko", "currency_api", "yadio"}) {
		t.Errorf("sources %v", got)
	}
}

func ExampleBook() {
	b, err := New(Config{Log: slog.New(slog.DiscardHandler), Tolerance: orders.PPM(50_000)}, Source{
		ID: "fixed",
		Fetch: func(context.Context) (Answer, error) {
			return Answer{PerBTC: map[string]Price{"EUR": 77_500 * 1_000_000}}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go b.Run(ctx)
	<-b.Changed()
	q, err := b.Rate("EUR", time.Now())
	fmt.Println(q.PerBTC, err)
	// Output: 77500.0 <nil>
}
