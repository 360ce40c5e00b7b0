package prices

import (
	"math"
	"strconv"
	"testing"
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
