package prices

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/plugin/safehttp"
)

// sampledAt is the day after the sample of currency_api was made.
var sampledAt = time.Date(2026, 6, 12, 12, 0, 0, 0, time.UTC)

// sample is an answer in the shape of the source's own.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestReadsSampleAnswers(t *testing.T) {
	for _, w := range webSources {
		t.Run(w.id, func(t *testing.T) {
			a, err := w.read(sample(t, w.id), sampledAt)
			if err != nil {
				t.Fatal(err)
			}
			a, err = Source{ID: w.id, Except: w.except}.reduce(a)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]struct {
				prices map[string]string // some of them
				codes  string            // all
				base   string
			}{
				"yadio": {
					prices: map[string]string{"USD": "90105.25", "EUR": "77510.08", "IRR": "123920551000.0", "VES": "31022481.9"},
					codes:  "AED ARS AUD BOB BRL CAD CLP COP CUP EUR GBP IRR IRT JPY MLC MXN USD VES ZAR",
				},
				"coingecko": {
					prices: map[string]string{"USD": "90122.0", "KWD": "27702.61"},
					codes:  "ARS AUD BRL CAD CLP EUR GBP JPY KWD MXN USD VND ZAR",
				},
				"blockchain": {
					prices: map[string]string{"USD": "90098.35", "ARS": "129290411.87"},
					codes:  "ARS BRL EUR JPY USD",
				},
				"currency_api": {
					prices: map[string]string{"USD": "87725.52774", "AED": "322175.0"},
					codes:  "AED AFN EUR KZT USD",
					base:   "USD",
				},
			}[w.id]
			if got := strings.Join(slices.Sorted(maps.Keys(a.PerBTC)), " "); got != want.codes || a.Base != want.base {
				t.Errorf("got %s on %q, want %s on %q", got, a.Base, want.codes, want.base)
			}
			for code, p := range want.prices {
				if got := a.PerBTC[code].String(); got != p {
					t.Errorf("%s: got %s, want %s", code, got, p)
				}
			}
		})
	}
}

func TestAnswersOfAnotherShape(t *testing.T) {
	for _, w := range webSources {
		for name, body := range map[string]string{
			"an error in JSON":    `{"error":"limit exceeded"}`,
			"null":                `null`,
			"a list":              `[1]`,
			"a text":              `"no"`,
			"nothing to use":      `{"BTC":{"USD":null},"bitcoin":{"usd":"1"},"USD":{"last":-1},"btc":{"usd":0},"date":"2026-06-11"}`,
			"the wrong type":      `{"BTC":[],"bitcoin":[],"btc":[],"USD":[],"date":"2026-06-11"}`,
			"an object in a code": `{"BTC":{"USD":{}},"bitcoin":{"usd":[]},"btc":{"usd":{}},"USD":{"last":{}},"date":"2026-06-11"}`,
		} {
			a, err := w.read([]byte(body), sampledAt)
			if err == nil {
				_, err = Source{ID: w.id}.reduce(a)
			}
			if err == nil {
				t.Errorf("%s, %s: no error", w.id, name)
			}
		}
	}
}

func TestDailyRatesGrowOld(t *testing.T) {
	body := sample(t, "currency_api")
	made := time.Date(2026, 6, 11, 0, 0, 0, 0, time.UTC)
	if _, err := readCurrencyAPI(body, made.Add(dailyLimit)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := readCurrencyAPI(body, made.Add(dailyLimit+time.Hour)); err == nil {
		t.Error("beyond the limit: no error")
	}
	if _, err := readCurrencyAPI([]byte(`{"date":"yesterday","btc":{"usd":1}}`), made); err == nil {
		t.Error("no date: no error")
	}
}

func FuzzAnswers(f *testing.F) {
	for _, w := range webSources {
		f.Add(sample(f, w.id))
	}
	f.Add([]byte(`{"BTC":{"USD":1e999999999}}`))
	f.Add([]byte(`{"":{"last":1}}`)) // a code that is no code
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, w := range webSources {
			a, err := w.read(body, sampledAt)
			if err != nil {
				continue
			}
			if a, err = (Source{ID: w.id, Except: w.except}).reduce(a); err != nil {
				continue
			}
			for code, p := range a.PerBTC {
				if !Known(code) || !p.Valid() {
					t.Fatalf("%s: %q at %d passed", w.id, code, p)
				}
			}
			aggregate([]polled{{Source{ID: "x"}, Answer{PerBTC: map[string]Price{"USD": MaxPrice}}}, {Source{ID: w.id}, a}}, fivePercent)
		}
	})
}

// api is a real server that has the sample answers.
func api(t *testing.T, asked chan<- *http.Request) (string, *safehttp.Client) {
	t.Helper()
	mux := http.NewServeMux()
	for path, name := range map[string]string{
		"/exrates/BTC": "yadio", "/simple/price": "coingecko", "/ticker": "blockchain", "/currencies/btc.min.json": "currency_api",
	} {
		body := sample(t, name)
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			asked <- r
			if name == "currency_api" { // made today
				body = []byte(strings.Replace(string(body), "2026-06-11", time.Now().UTC().Format(time.DateOnly), 1))
			}
			w.Write(body)
		})
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL, safehttp.New(safehttp.Config{PlainHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
}

func TestWebSourcesOverRealSockets(t *testing.T) {
	asked := make(chan *http.Request, 10)
	base, client := api(t, asked)
	for _, name := range WebNames() {
		s, err := Web(name, client, "", base+"/")
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.ask(t.Context(), 5*time.Second)
		if err != nil || !a.PerBTC["USD"].Valid() {
			t.Errorf("%s: %v, %v", name, a, err)
		}
		r := <-asked
		if name == "coingecko" && (r.URL.Query().Get("ids") != "bitcoin" || len(strings.Split(r.URL.Query().Get("vs_currencies"), ",")) != 44 || r.Header.Get("x-cg-demo-api-key") != "") {
			t.Errorf("coingecko was asked %s", r.URL)
		}
	}
}

func TestMirrorsAreAskedInTurn(t *testing.T) {
	asked := make(chan *http.Request, 10)
	base, client := api(t, asked)
	s, err := Web("currency_api", client, "", base+"/gone", "http://127.0.0.1:1", base)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ask(t.Context(), 5*time.Second); err != nil || s.Tries != 3 {
		t.Errorf("%v after %d tries", err, s.Tries)
	}
	s, err = Web("currency_api", client, "", base+"/gone", "http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	status := (*safehttp.StatusError)(nil)
	if _, err := s.ask(t.Context(), 5*time.Second); !errors.Is(err, safehttp.ErrConnect) || !errors.As(err, &status) {
		t.Errorf("both mirrors fail: %v", err)
	}
}

// getter records what it was asked and answers nothing.
type getter struct {
	url    string
	header []safehttp.Header
}

func (g *getter) GetJSON(_ context.Context, url string, _ any, header ...safehttp.Header) error {
	g.url, g.header = url, header
	return errors.New("no answer")
}

func TestKeyGoesInTheHeaderOfItsPlan(t *testing.T) {
	for _, c := range []struct{ url, header string }{
		{"https://api.coingecko.com/api/v3", "x-cg-demo-api-key"},
		{"https://pro-api.coingecko.com/api/v3", "x-cg-pro-api-key"},
		{"https://mirror.example.com/pro-api", "x-cg-demo-api-key"},
	} {
		g := &getter{}
		s, err := Web("coingecko", g, "sesame", c.url)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.ask(t.Context(), time.Second)
		if err == nil || strings.Contains(err.Error()+fmt.Sprintf("%+v", s), "sesame") || strings.Contains(g.url, "sesame") {
			t.Errorf("%s: the key is told in %q or %q", c.url, err, g.url)
		}
		if want := (safehttp.Header{Name: c.header, Value: "sesame"}); len(g.header) != 1 || g.header[0] != want {
			t.Errorf("%s: got %v, want %v", c.url, g.header, want)
		}
	}
}

func TestWebRefuses(t *testing.T) {
	for name, f := range map[string]func() (Source, error){
		"a name that is not there": func() (Source, error) { return Web("bank", &getter{}, "") },
		"a key where none is used": func() (Source, error) { return Web("yadio", &getter{}, "k") },
		"no address":               func() (Source, error) { return Web("yadio", &getter{}, "", "yadio") },
		"an address with a query":  func() (Source, error) { return Web("yadio", &getter{}, "", "https://a.example.com/?k=1") },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNode(t *testing.T) {
	unknown := errors.New("Unknown command")
	rates := map[string]float64{"USD": 67889.825, "JPY": 14053812.6, "EUR": -1}
	var asked []string
	s := Node(func(_ context.Context, code string) (float64, error) {
		asked = append(asked, code)
		if f, ok := rates[code]; ok {
			return f, nil
		}
		return 0, unknown
	}, []string{"USD", "EUR", "XOF", "JPY"})
	a, err := s.ask(t.Context(), time.Second)
	if err != nil || len(a.PerBTC) != 2 || a.PerBTC["USD"].String() != "67889.825" || a.PerBTC["JPY"].String() != "14053812.6" || s.Lag != time.Hour {
		t.Errorf("got %v, %v", a, err)
	}
	if strings.Join(asked, " ") != "USD EUR XOF JPY" {
		t.Errorf("asked for %v", asked)
	}
	rates = nil
	if _, err := s.ask(t.Context(), time.Second); !errors.Is(err, unknown) {
		t.Errorf("a node without the plugin: %v", err)
	}
	asked = nil
	many := make([]string, 0, len(names))
	for _, c := range Currencies() {
		many = append(many, c.Code)
	}
	if _, err := Node(unknowing(&asked), many).ask(t.Context(), time.Second); err == nil || len(asked) != maxNodeCodes {
		t.Errorf("asked for %d currencies, %v", len(asked), err)
	}
}

func unknowing(asked *[]string) NodeRate {
	return func(_ context.Context, code string) (float64, error) {
		*asked = append(*asked, code)
		return 0, errNoRates
	}
}

func TestCurrencies(t *testing.T) {
	list := Currencies()
	for _, c := range list {
		if len(c.Code) != 3 || strings.ToUpper(c.Code) != c.Code || c.Name == "" || !Known(c.Code) || Name(strings.ToLower(c.Code)) != c.Name {
			t.Errorf("%+v", c)
		}
	}
	if len(list) != 161 {
		t.Errorf("%d currencies", len(list))
	}
	for _, code := range []string{"IRT", "GGP", "IMP", "JEP", "MLC", "VES"} {
		if !Known(code) {
			t.Errorf("%s is missing", code)
		}
	}
	for _, code := range []string{"VEF", "XAU", "XAG", "BTC", "USDT", "", "usd"} {
		if Known(code) {
			t.Errorf("%q is there", code)
		}
	}
	for _, code := range strings.Split(geckoCodes, ",") {
		if !Known(strings.ToUpper(code)) {
			t.Errorf("CoinGecko is asked for %s", code)
		}
	}
}
