package hold

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

func TestReadMsat(t *testing.T) {
	tests := []struct {
		in   string
		want Msat // 0: refused
	}{
		{`1000`, 1000}, {`"1000"`, 1000}, {`"1000msat"`, 1000}, {`"1sat"`, 1000}, {`"0.00000001btc"`, 1000},
		{`"1.5sat"`, 1500}, {`"0.00000000001btc"`, 1}, {`"21000000btc"`, maxAmount}, {`9007199254740993`, 9007199254740993},
		{`"0.0001sat"`, 0}, {`"1.5"`, 0}, {`0`, 0}, {`"0sat"`, 0}, {`-1`, 0}, {`"-1"`, 0}, {`1e3`, 0}, {`"1e3"`, 0},
		{`"any"`, 0}, {`""`, 0}, {`"msat"`, 0}, {`".5sat"`, 0}, {`"5.sat"`, 0}, {`"1.2.3"`, 0}, {`"1/2"`, 0}, {`"0x10"`, 0},
		{`true`, 0}, {`[1]`, 0}, {`{}`, 0}, {`"21000001btc"`, 0}, {`18446744073709551616`, 0}, {`" 1"`, 0},
		{`"` + strings.Repeat("9", 40) + `"`, 0},
	}
	for _, tt := range tests {
		v, err := readMsat(json.RawMessage(tt.in))
		got, _ := v.(Msat)
		if got != tt.want || (err == nil) != (tt.want != 0) {
			t.Errorf("%s: got %d, %v; want %d", tt.in, got, err, tt.want)
		}
	}
}

func TestExposeTakesEveryShapeThatTheNodeTakes(t *testing.T) {
	for in, want := range map[string]string{
		`true`: `true`, `"false"`: `false`, `"1x2x3"`: `["1x2x3"]`, `["1x2x3","4x5x6"]`: `["1x2x3","4x5x6"]`,
		`7`: ``, `"x"`: ``, `[]`: ``, `[1]`: ``, `{}`: ``,
	} {
		v, err := readExpose(json.RawMessage(in))
		got, _ := v.([]byte)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %s, %v", in, got, err)
		}
	}
}

func TestLimitsAreMendedAndNeverRefused(t *testing.T) {
	tests := []struct {
		name, network, settle, cancel string
		want                          Limits
		complaints                    int
	}{
		{"as given", "bitcoin", `30`, `25`, Limits{30, 25}, 0},
		{"not given", "bitcoin", ``, ``, Floors, 0},
		{"too low where it costs", "bitcoin", `23`, `19`, Floors, 2},
		{"low on regtest", "regtest", `6`, `4`, Limits{6, 4}, 0},
		{"absurd on regtest", "regtest", `0`, `-3`, Floors, 2},
		{"as words", "regtest", `"7"`, `"5"`, Limits{7, 5}, 0},
		{"no numbers", "bitcoin", `"x"`, `[]`, Floors, 2},
		{"cancel above settle", "bitcoin", `30`, `40`, Limits{30, 29}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := initParams{Options: map[string]json.RawMessage{}}
			p.Config.Network = tt.network
			if tt.settle != "" {
				p.Options[optSettleMin], p.Options[optCancelAt] = json.RawMessage(tt.settle), json.RawMessage(tt.cancel)
			}
			l, complaints := p.readLimits()
			if l != tt.want || len(complaints) != tt.complaints {
				t.Errorf("got %+v %q", l, complaints)
			}
		})
	}
}

// Whatever a caller sends, the answer is parameters that hold what they promise, or an
// error with the code for bad parameters that does not repeat a secret.
func FuzzParams(f *testing.F) {
	const secret = "5ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4e75ec4"
	for _, s := range []string{
		`[]`, `{}`, `null`, ``, `[null,null]`, `["1sat","l","d",900,null,"` + secret + `",40,true,false]`,
		`{"amount_msat":1000,"label":"x","description":"d","cltv":40,"preimage":"` + secret + `0"}`,
		`{"amount_msat":1,"amount_msat":2}`, `{"command_to_check":"holdinvoice","label":1}`, `["holdinvoicelookup",7]`,
	} {
		f.Add([]byte(s))
	}
	h := newHolder(Config{Limits: Floors})
	methods := append(h.methods(), newGuard(GuardConfig{}).methods()...)
	f.Fuzz(func(t *testing.T, params []byte) {
		for _, m := range methods {
			a, err := m.parse(params)
			var refused *clnio.Error
			switch {
			case err == nil:
				for _, p := range m.params {
					if _, given := a[p.name]; p.required && !given {
						t.Fatalf("%s: %s is missing in %s", m.name, p.name, params)
					}
				}
				if v, given := a["amount_msat"]; given && (v.(Msat) == 0 || v.(Msat) > maxAmount) {
					t.Fatalf("amount %d", v)
				}
			case !errors.As(err, &refused) || refused.Code != clnio.CodeInvalidParams:
				t.Fatalf("%s: %v", m.name, err)
			case strings.Contains(refused.Message, secret):
				t.Fatalf("%s repeats a secret: %v", m.name, err)
			}
		}
		splitCheck(params)
	})
}
