package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

func TestOptionsMarkdown(t *testing.T) {
	var b bytes.Buffer
	if code := run(t.Context(), []string{"--options-markdown"}, streams{strings.NewReader(""), &b, os.Stderr}, startExchange); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	golden(t, "options.md", b.Bytes())
}

func TestOptionNamesAreUniqueAndOurs(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range options {
		if seen[o.name] || !strings.HasPrefix(o.name, "mostro-") || o.about == "" || o.rule.wants == "" {
			t.Errorf("option %q is there twice, not ours, or says nothing", o.name)
		}
		seen[o.name] = true
	}
}

func TestDefaultsAreAcceptedAndMeanWhatTheySay(t *testing.T) {
	c, err := parseConfig(nil, nodeOf("/l/bitcoin", "lightning-rpc", "bitcoin", true))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		LightningDir: "/l/bitcoin", RPCFile: "/l/bitcoin/lightning-rpc", Network: "bitcoin", Startup: true,
		Relays: []string{"wss://relay.mostro.network", "wss://nos.lol", "wss://relay.damus.io"},
		Fee:    6000, FeePayer: orders.FeeBySeller, MinOrder: 100, MaxOrder: 1_000_000, OrdersPerResponse: 10, MaxOpenOrders: 20,
		PriceSources:  []priceSource{{"yadio", ""}, {"coingecko", ""}, {"blockchain", ""}, {"currency_api", ""}, {"cln", ""}},
		PriceInterval: 5 * time.Minute, PriceMaxAge: 30 * time.Minute, PublishRates: true, BackupEvery: 24 * time.Hour, BackupKeep: 7, MinDiskMiB: 256, KeepOrders: 730 * 24 * time.Hour,
		OrderLife: 24 * time.Hour, MaxOrderLife: 15 * 24 * time.Hour, WaitingLife: 15 * time.Minute,
		TradeTime: 24 * time.Hour, HoldCLTV: 215, InvoiceWindow: time.Hour, MessageWindow: 24 * time.Hour,
		MaxRoutingFee: 2000, PaymentAttempts: 3, PaymentInterval: time.Minute,
		OrderRetention: 30 * 24 * time.Hour, RatingRetention: 90 * 24 * time.Hour, DisputeRetention: 90 * 24 * time.Hour,
		InfoInterval: 5 * time.Minute, RelaysInterval: time.Minute,
		DataDir: "/l/bitcoin/mostro",
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestHoldCLTVFollowsFromTheTradeTime(t *testing.T) {
	for hours, want := range map[int]uint32{6: 88, 12: 132, 24: 215, 48: 374, 72: 530} {
		if got := holdCLTV(time.Duration(hours) * time.Hour); got != want {
			t.Errorf("%d h: got %d, want %d", hours, got, want)
		}
	}
	if most := holdCLTV(maxTradeHours * time.Hour); most > 1008 {
		t.Errorf("longest trade: %d blocks, want at most 1008", most)
	}
}

func TestOptionsAreRefusedWithOneSentenceEach(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	junk := filepath.Join(dir, "junk")
	for path, mode := range map[string]os.FileMode{open: 0o644, junk: 0o600} {
		if err := os.WriteFile(path, []byte("not a key"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, value, got string }{
		{"mostro-relays", "", `0 of them`},
		{"mostro-relays", "wss://", `"wss://"`},
		{"mostro-relays", "ws://ok,wss://user:pw@host", `"wss://user:pw@host"`},
		{"mostro-relays", strings.Repeat("ws://h:1,", 3) + "ftp://x", `"ftp://x"`},
		{"mostro-fee", "-0.1", `"-0.1"`},
		{"mostro-fee", "0.0000001", `"0.0000001"`},
		{"mostro-fee", "1e-3", `"1e-3"`},
		{"mostro-fee", ".5", `".5"`},
		{"mostro-fee", "0.", `"0."`},
		{"mostro-fee", "0.100001", `"0.100001"`},
		{"mostro-fee", "", `""`},
		{"mostro-fee-payer", "Seller", `"Seller"`},
		{"mostro-max-order-sats", "1.5", `"1.5"`},
		{"mostro-max-order-sats", "99999999999999999999", `"99999999999999999999"`},
		{"mostro-max-order-sats", "50", `50`},
		{"mostro-trade-hours", "145", `"145"`},
		{"mostro-expiration-hours", "720", `720`},
		{"mostro-pow", "33", `"33"`},
		{"mostro-pow", "", `""`},
		{"mostro-picture", "javascript:alert(1)", `"javascript:alert(1)"`},
		{"mostro-name", strings.Repeat("é", 101), `101 characters`},
		{"mostro-about", "two\nlines", `"two\nlines"`},
		{"mostro-nsec-file", dir, `"` + dir + `" (not an ordinary file)`},
		{"mostro-nsec-file", open, `"` + open + `" (mode 0644: others can open it)`},
		{"mostro-nsec-file", junk, `"` + junk + `" (its content is no key)`},
		{"mostro-fiat-currencies", "USD,US", `"US"`},
		{"mostro-web-listen", "8080", `"8080"`},
		{"mostro-web-listen", ":8080", `":8080"`},
		{"mostro-web-listen", "127.0.0.1", `"127.0.0.1"`},
		{"mostro-web-listen", "127.0.0.1:65536", `"127.0.0.1:65536"`},
		{"mostro-web-listen", "example.org:80", `"example.org:80"`},
		{"mostro-web-listen", "http://127.0.0.1:80", `"http://127.0.0.1:80"`},
		{"mostro-web-listen", "0.0.0.0:8080", `"0.0.0.0:8080"`},
		{"mostro-web-listen", "[::]:8080", `"[::]:8080"`},
		{"mostro-web-listen", "192.168.1.2:8080", `"192.168.1.2:8080"`},
		{"mostro-web-public", "yes", `"yes"`},
		{"mostro-admins", "npub1nothing", `"npub1nothing"`},
		{"mostro-admins", strings.Repeat("ff", 32), `"` + strings.Repeat("ff", 32) + `"`},
	} {
		_, err := parseConfig(map[string]string{c.name: c.value}, Config{})
		if err == nil {
			t.Errorf("%s=%q is accepted", c.name, c.value)
			continue
		}
		text, first := err.Error(), c.name
		if c.name == "mostro-max-order-sats" && c.value == "50" {
			first, c.got = "mostro-min-order-sats", "100"
		}
		if !strings.HasPrefix(text, "1 option to mend: "+first+": got "+c.got+", wants ") {
			t.Errorf("%s=%q: %s", c.name, c.value, text)
		}
	}
}

func TestOptionsAreReadLeniently(t *testing.T) {
	c, err := parseConfig(map[string]string{
		"mostro-relays": " WSS://Relay.Example/ , wss://relay.example,ws://b:7000/path,", "mostro-fiat-currencies": "usd, eur ,USD",
		"mostro-fee": "0", "mostro-max-routing-fee": " 0.05 ", "mostro-pow": "12", "mostro-data-dir": "exchange", "mostro-fee-payer": "split",
	}, Config{LightningDir: "/l"})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"wss://relay.example", "ws://b:7000/path"}; !reflect.DeepEqual(c.Relays, want) {
		t.Errorf("relays: got %q, want %q", c.Relays, want)
	}
	if want := []string{"USD", "EUR"}; !reflect.DeepEqual(c.FiatCurrencies, want) {
		t.Errorf("currencies: got %q, want %q", c.FiatCurrencies, want)
	}
	if c.Fee != 0 || c.MaxRoutingFee != 50_000 || c.FeePayer != orders.FeeSplit || c.DataDir != "/l/exchange" {
		t.Errorf("got %+v", c)
	}
	if c.PoWFirstContact != 12 {
		t.Errorf("first contact: got %d, want as for all", c.PoWFirstContact)
	}
}

func TestFirstContactMayNotBeEasier(t *testing.T) {
	_, err := parseConfig(map[string]string{"mostro-pow": "12", "mostro-pow-first-contact": "8"}, Config{})
	if err == nil || !strings.Contains(err.Error(), "wants at least mostro-pow (12)") {
		t.Errorf("got %v", err)
	}
}

func TestTheWebClientIsServedWhereTheOperatorSays(t *testing.T) {
	for _, c := range []struct{ listen, public, want string }{
		{"", "false", ""},
		{"", "true", ""},
		{"127.0.0.1:8080", "false", "127.0.0.1:8080"},
		{"127.9.9.9:1", "false", "127.9.9.9:1"},
		{"localhost:0", "false", "127.0.0.1:0"},
		{"[::1]:8080", "false", "[::1]:8080"},
		{"[::ffff:127.0.0.1]:80", "false", "[::ffff:127.0.0.1]:80"},
		{"0.0.0.0:8080", "true", "0.0.0.0:8080"},
		{"192.168.1.2:8080", "true", "192.168.1.2:8080"},
	} {
		got, err := parseConfig(map[string]string{"mostro-web-listen": c.listen, "mostro-web-public": c.public}, Config{})
		if err != nil || got.WebListen != c.want {
			t.Errorf("%q, public %s: got %q, %v; want %q", c.listen, c.public, got.WebListen, err, c.want)
		}
	}
}

func FuzzOptionValues(f *testing.F) {
	f.Add("wss://a,b", "0.006")
	f.Fuzz(func(t *testing.T, a, b string) {
		given := map[string]string{}
		for i, o := range options {
			if o.name == "mostro-nsec-file" {
				continue // a name of a file
			}
			given[o.name] = []string{a, b}[i%2]
		}
		_, err := parseConfig(given, Config{})
		if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("more than one line: %q", err)
		}
	})
}
