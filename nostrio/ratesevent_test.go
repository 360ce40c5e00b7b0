package nostrio

import (
	"encoding/json"
	"testing"
	"time"
)

func TestRatesEvents(t *testing.T) {
	node, _, _ := vectorKeys(t)
	r := RatesEvent{
		Rates: map[string]PerBTC{
			"USD": 90_108_533_333, "EUR": 77_510_080_000, "JPY": 14_053_000_000_000, "IRR": 123_920_551_000_000_000, "KWD": 27_702_610_001,
		},
		Sources: []string{"yadio", "blockchain", "coingecko"}, Interval: 5 * time.Minute, CreatedAt: vectorTime,
	}
	e := r.Event(node)
	golden(t, "rates", readable(e))
	if _, _, err := verifyEvent(e); err != nil {
		t.Error(err)
	}
	if again := r.Event(node); again.Sig != e.Sig {
		t.Error("the same rates make another event")
	}
	var content map[string]map[string]float64
	if err := json.Unmarshal([]byte(e.Content), &content); err != nil {
		t.Fatal(err)
	}
	for code, p := range r.Rates {
		if got, want := content["BTC"][code], float64(p)/1e6; got != want {
			t.Errorf("%s reads as %v, want %v", code, got, want)
		}
	}
	golden(t, "rates-none-for-long", readable(RatesEvent{Interval: 45 * time.Minute, CreatedAt: vectorTime}.Event(node)))
}

func TestRatesAsDecimals(t *testing.T) {
	for p, want := range map[PerBTC]string{
		1: "0.000001", 500_000: "0.5", 1_000_000: "1.0", 50_000_000_000: "50000.0", 90_105_250_000: "90105.25", 0: "0.0",
	} {
		if got := p.decimal(); got != want {
			t.Errorf("%d: got %s, want %s", p, got, want)
		}
	}
}
