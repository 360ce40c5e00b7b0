package prices

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

const fivePercent orders.PPM = 50_000

func TestCombine(t *testing.T) {
	const x = MaxPrice
	for _, c := range []struct {
		name string
		in   []Price
		want Price
		kept []bool
	}{
		{"none", nil, 0, []bool{}},
		{"one counts as it is", []Price{7}, 7, []bool{true}},
		{"two by their mean", []Price{100, 300}, 200, []bool{true, true}},
		{"two far apart by their mean as well", []Price{1, 1_000_001}, 500_001, []bool{true, true}},
		{"three near each other by their mean", []Price{100_000, 102_000, 104_000}, 102_000, []bool{true, true, true}},
		{"of three, one too high is left out", []Price{100_000, 150_000, 101_000}, 100_500, []bool{true, false, true}},
		{"of three, one too low is left out", []Price{100_000, 1, 101_000}, 100_500, []bool{true, false, true}},
		{"the edge of the tolerance is within", []Price{95_000, 100_000, 105_000}, 100_000, []bool{true, true, true}},
		{"one beyond the edge is not", []Price{94_999, 100_000, 105_001}, 100_000, []bool{false, true, false}},
		{"three far apart leave the median", []Price{100_000, 200_000, 300_000}, 200_000, []bool{false, true, false}},
		{"of four, the median lies between two", []Price{100_000, 101_000, 102_000, 900_000}, 101_000, []bool{true, true, true, false}},
		{"two camps leave the median between them", []Price{100, 110, 300, 310}, 205, []bool{true, true, true, true}},
		{"means are rounded down", []Price{1, 2}, 1, []bool{true, true}},
		{"the largest prices do not overflow", []Price{x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}, x, slices.Repeat([]bool{true}, 20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, kept := combine(c.in, fivePercent)
			if got != c.want || !slices.Equal(kept, c.kept) {
				t.Errorf("got %d %v, want %d %v", got, kept, c.want, c.kept)
			}
		})
	}
}

// TestCombineAgainstFloats compares with the rule in floats, at random.
func TestCombineAgainstFloats(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20_000 {
		in := make([]Price, 1+r.IntN(6))
		for i := range in {
			in[i] = Price(90_000*perUnit + r.Int64N(12_000*perUnit))
		}
		got, _ := combine(in, fivePercent)
		if want := floatCombine(in); math.Abs(float64(got)-want) > 2 {
			t.Fatalf("%v: got %d, want %f", in, got, want)
		}
	}
}

func floatCombine(in []Price) float64 {
	s := make([]float64, 0, len(in))
	for _, p := range slices.Sorted(slices.Values(in)) {
		s = append(s, float64(p))
	}
	mean := func(s []float64) (sum float64) {
		for _, f := range s {
			sum += f
		}
		return sum / float64(len(s))
	}
	if len(s) < 3 {
		return mean(s)
	}
	m := (s[len(s)/2] + s[(len(s)-1)/2]) / 2
	kept := slices.DeleteFunc(s, func(f float64) bool { return math.Abs(f-m) > m*0.05 })
	if len(kept) == 0 {
		return m
	}
	return mean(kept)
}

func TestAggregate(t *testing.T) {
	in := []polled{
		{Source{ID: "a"}, Answer{PerBTC: map[string]Price{"USD": 100_000, "EUR": 80_000}}},
		{Source{ID: "b"}, Answer{PerBTC: map[string]Price{"USD": 102_000, "EUR": 81_000}}},
		{Source{ID: "late", Lag: time.Hour}, Answer{PerBTC: map[string]Price{"USD": 104_000, "CHF": 70_000}}},
		// Its bitcoin costs half; its proportions are sound.
		{Source{ID: "daily"}, Answer{Base: "USD", PerBTC: map[string]Price{"USD": 51_000, "EUR": 40_500, "AED": 180_000}}},
		{Source{ID: "adrift"}, Answer{Base: "MLC", PerBTC: map[string]Price{"MLC": 1, "CUP": 500}}},
	}
	want := map[string]result{
		"USD": {102_000, []string{"a", "b", "late"}, 0},
		"EUR": {80_666, []string{"a", "b", "daily"}, 0},
		"CHF": {70_000, []string{"late"}, time.Hour},
		"AED": {360_000, []string{"daily"}, 0},
	}
	if got := aggregate(in, fivePercent); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestAnAnchorThatIsLate(t *testing.T) {
	got := aggregate([]polled{
		{Source{ID: "late", Lag: time.Hour}, Answer{PerBTC: map[string]Price{"USD": 100_000}}},
		{Source{ID: "daily"}, Answer{Base: "USD", PerBTC: map[string]Price{"USD": 50_000, "AED": 180_000}}},
	}, fivePercent)
	if want := (result{360_000, []string{"daily"}, time.Hour}); !reflect.DeepEqual(got["AED"], want) {
		t.Errorf("got %v, want %v", got["AED"], want)
	}
}

func TestScale(t *testing.T) {
	for _, c := range []struct{ p, anchor, own, want Price }{
		{180_000, 102_000, 51_000, 360_000},
		{10, 10, 3, 33},
		{MaxPrice, MaxPrice, MaxPrice, MaxPrice},
		{MaxPrice, MaxPrice, 1, 0}, // beyond 128 bits' quotient
		{MaxPrice, 2, 1, 0},        // beyond MaxPrice
		{1, 1, 0, 0},
		{1, 1, 2, 0},
	} {
		if got := scale(c.p, c.anchor, c.own); got != c.want {
			t.Errorf("scale(%d, %d, %d) = %d, want %d", c.p, c.anchor, c.own, got, c.want)
		}
	}
}

func TestBreaker(t *testing.T) {
	var b breaker
	now := time.Unix(1_779_480_604, 0)
	fail := func() time.Duration {
		b.failure(now, 3, 2*time.Minute, 30*time.Minute)
		return max(b.until.Sub(now), 0)
	}
	for i, want := range []time.Duration{0, 0, 2, 4, 8, 16, 30, 30} {
		if got := fail(); got != want*time.Minute {
			t.Errorf("failure %d: left alone for %v, want %v", i+1, got, want*time.Minute)
		}
	}
	if b.ready(now.Add(30*time.Minute-1)) || !b.ready(now.Add(30*time.Minute)) {
		t.Error("not left alone for exactly the cooldown")
	}
	for range 1000 {
		if got := fail(); got != 30*time.Minute {
			t.Fatalf("after many failures: %v", got)
		}
	}
	b.success()
	if !b.ready(now) || fail() != 0 {
		t.Error("an answer does not clear the record")
	}
}
