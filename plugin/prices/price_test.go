package prices

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/mostro-cln/mostro/orders"
)

func TestPricesFromText(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     Price // 0: an error
		text     string
	}{
		{"whole units", "63410", 63_410_000_000, "63410.0"},
		{"decimals", "75899.55", 75_899_550_000, "75899.55"},
		{"an exponent", "9.083198811E7", 90_831_988_110_000, "90831988.11"},
		{"an exponent with a sign", "1.5e+3", 1_500_000_000, "1500.0"},
		{"a small one", "5e-1", 500_000, "0.5"},
		{"more decimals than we keep, rounded down", "93.1234564999", 93_123_456, "93.123456"},
		{"more decimals than we keep, rounded up", "93.1234565", 93_123_457, "93.123457"},
		{"the smallest", "0.000001", 1, "0.000001"},
		{"half the smallest", "0.0000005", 1, "0.000001"},
		{"the largest", "1000000000000", MaxPrice, "1000000000000.0"},
		{"above the largest", "1000000000000.000001", 0, ""},
		{"too small to count", "0.0000004", 0, ""},
		{"zero", "0", 0, ""},
		{"zero with an exponent", "0e99", 0, ""},
		{"negative", "-5", 0, ""},
		{"null", "null", 0, ""},
		{"a string", `"63410"`, 0, ""},
		{"nothing", "", 0, ""},
		{"an exponent that would fill the memory", "1e999999999", 0, ""},
		{"a fraction", "1/3", 0, ""},
		{"hex", "0x10", 0, ""},
		{"underscores", "63_410", 0, ""},
		{"infinite", "Inf", 0, ""},
		{"not a number", "NaN", 0, ""},
		{"two signs", "1e+-5", 0, ""},
		{"no digits before the point", ".5", 0, ""},
		{"no digits behind it", "5.", 0, ""},
		{"too long", "1.000000000000000000000000000000000000000000", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParsePrice(c.in)
			if got != c.want || (err == nil) != (c.want != 0) {
				t.Fatalf("got %d, %v, want %d", got, err, c.want)
			}
			if err == nil && got.String() != c.text {
				t.Errorf("prints as %s, want %s", got, c.text)
			}
		})
	}
}

// FuzzParsePrice: what passes is what a float would be, and prints as itself.
func FuzzParsePrice(f *testing.F) {
	for _, s := range []string{"63410", "9.083198811E7", "0.000001", "1e12", "1e-6", "null", "1e+-5", "99e99"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePrice(s)
		if err != nil {
			if p != 0 {
				t.Fatalf("%q: %d beside %v", s, p, err)
			}
			return
		}
		want, err := strconv.ParseFloat(s, 64)
		if got := float64(p) / perUnit; !p.Valid() || err != nil || math.Abs(got-want) > 0.000_000_6+want*1e-15 {
			t.Fatalf("%q: got %s, want %v", s, p, want)
		}
		if again, err := ParsePrice(p.String()); err != nil || again != p {
			t.Fatalf("%q: %s reads as %s, %v", s, p, again, err)
		}
	})
}

func price(t *testing.T, s string) Price {
	t.Helper()
	p, err := ParsePrice(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return p
}

func TestSatsOfAFiatAmount(t *testing.T) {
	for _, c := range []struct {
		name    string
		fiat    int64
		price   string
		premium int64
		want    orders.Sats
		err     error
	}{
		{"no premium", 100, "50000", 0, 200_000, nil},
		{"a premium lowers the sats", 100, "50000", 5, 190_000, nil},
		{"a discount raises them", 100, "50000", -5, 210_000, nil},
		{"what is left over falls away", 1, "63410", 0, 1577, nil},
		{"also with a premium", 1, "63410", 3, 1529, nil},
		{"also with a discount", 1, "63410", -3, 1624, nil},
		{"a price with decimals", 20, "75899.55", 0, 26350, nil},
		{"a weak currency", 5_000_000, "90832019", 1, 5_449_620, nil},
		{"the largest premium", 100, "50000", 99, 2_000, nil},
		{"the largest discount", 100, "50000", -99, 398_000, nil},
		{"exactly one sat", 1, "100000000", 0, 1, nil},
		{"the whole supply", 21_000_000, "1", 0, orders.MaxSats, nil},
		{"a premium of all", 100, "50000", 100, 0, ErrPremium},
		{"a premium of more", 100, "50000", 101, 0, ErrPremium},
		{"a discount of all", 100, "50000", -100, 0, ErrPremium},
		{"less than a sat", 1, "100000001", 0, 0, ErrAmount},
		{"more than the supply", 21_000_001, "1", 0, 0, ErrAmount},
		{"the largest number", math.MaxInt64, "0.000001", -99, 0, ErrAmount},
		{"nothing", 0, "50000", 0, 0, ErrAmount},
		{"less than nothing", -1, "50000", 0, 0, ErrAmount},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Sats(c.fiat, price(t, c.price), c.premium)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %d, %v, want %d, %v", got, err, c.want, c.err)
			}
		})
	}
	for _, p := range []Price{0, -1, MaxPrice + 1} {
		if _, err := Sats(100, p, 0); !errors.Is(err, ErrAmount) {
			t.Errorf("at a price of %d: %v", p, err)
		}
	}
}

// floatSats is the formula in floats, as other servers compute it.
func floatSats(fiat int64, price float64, premium int64) int64 {
	sats := float64(fiat) / price * 1e8
	sats -= float64(premium) / 100 * sats
	return int64(sats)
}

// TestSatsAgainstFloats: the two never differ by more than a sat, and by that only where the exact value is whole or as
// good as that: there the float may fall to the other side.
func TestSatsAgainstFloats(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	differ := 0
	for i := range 200_000 {
		fiat, premium := 1+r.Int64N(1_000_000), r.Int64N(199)-99
		cents := 100 + r.Int64N(100_000_000_00)
		if i%2 == 0 { // round numbers, as people like them
			fiat, cents = 10*(1+r.Int64N(100)), 500_000*(1+r.Int64N(30))
		}
		p := Price(cents * 10_000)
		got, err := Sats(fiat, p, premium)
		if err != nil && !errors.Is(err, ErrAmount) {
			t.Fatal(err)
		}
		float := floatSats(fiat, float64(cents)/100, premium)
		if int64(got) == float || errors.Is(err, ErrAmount) && (float == 0 || float > int64(orders.MaxSats)) {
			continue
		}
		differ++
		exact := new(big.Rat).Mul(big.NewRat(fiat*1_000_000_00, cents), big.NewRat(100*(100-premium), 100))
		near, _ := exact.Float64()
		if d := int64(got) - float; d < -1 || d > 1 || math.Abs(near-math.Round(near)) > 1e-3 {
			t.Fatalf("%d at %s, premium %d: got %d, float %d, exact %s", fiat, p, premium, got, float, exact.FloatString(6))
		}
	}
	if differ == 0 {
		t.Error("they never differ: this test has lost its point")
	}
	for _, c := range []struct {
		fiat, premium, float int64
		price                string
		want                 orders.Sats
	}{
		{100, 5, 190_000, "50000", 190_000}, {1, 0, 1577, "63410", 1577}, {20, 0, 26350, "75899.55", 26350}, {30, 1, 59_399, "50000", 59_400}, {10, 12, 15_999, "55000", 16_000},
	} {
		f, _ := strconv.ParseFloat(c.price, 64)
		got, err := Sats(c.fiat, price(t, c.price), c.premium)
		if float := floatSats(c.fiat, f, c.premium); err != nil || got != c.want || float != c.float {
			t.Errorf("%d at %s, premium %d: got %d, %v, float %d, want %d and %d", c.fiat, c.price, c.premium, got, err, float, c.want, c.float)
		}
	}
}

func ExampleSats() {
	p, _ := ParsePrice("63410.5")
	sats, err := Sats(100, p, 2) // 100 USD with a premium of 2 %
	fmt.Println(sats, err)
	// Output: 154548 sat <nil>
}
