package main

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/btcsuite/btcd/chaincfg"

	"github.com/mostro-cln/mostro/orders"
)

// exampleLNURL is LUD-01's own example.
const exampleLNURL = "LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKXEFCV5MKVV34X5EKZD3EV56NYD3HXQURZEPEXEJXXEPNXSCRVWFNV9NXZCN9XQ6XYEFHVGCXXCMYXYMNSERXFQ5FNS"

func asLNURL(t testing.TB, url string) string {
	t.Helper()
	words, err := bech32.ConvertBits([]byte(url), 8, 5, true)
	if err != nil {
		t.Fatal(err)
	}
	s, err := bech32.Encode("lnurl", words)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDestinationsAreToldByTheirForm(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     destination
	}{
		{"an invoice", "lnbc1pvjluez", destination{Kind: bolt11Invoice, Text: "lnbc1pvjluez"}},
		{"an invoice from a QR code", " lightning:LNBCRT10U1PVJ\n", destination{Kind: bolt11Invoice, Text: "lnbcrt10u1pvj"}},
		{"an address", "satoshi@bitcoin.org", destination{Kind: lnAddress, Text: "satoshi@bitcoin.org", URL: "https://bitcoin.org/.well-known/lnurlp/satoshi"}},
		{"an address as a phone writes it", "Lightning:Satoshi@Bitcoin.org ", destination{Kind: lnAddress, Text: "satoshi@bitcoin.org", URL: "https://bitcoin.org/.well-known/lnurlp/satoshi"}},
		{"an address with a tag", "a.b-c_d+tip@pay.example.com", destination{Kind: lnAddress, Text: "a.b-c_d+tip@pay.example.com", URL: "https://pay.example.com/.well-known/lnurlp/a.b-c_d+tip"}},
		{"an address behind an onion", "a@abcd.onion", destination{Kind: lnAddress, Text: "a@abcd.onion", URL: "http://abcd.onion/.well-known/lnurlp/a"}},
		{"a BIP 353 name", "₿bob@example.com", destination{Kind: bip353Name, Text: "₿bob@example.com"}},
		{"an offer", "LNO1PQPS7SJQPGT", destination{Kind: bolt12Offer, Text: "lno1pqps7sjqpgt"}},
		{"an offer over several lines", "lno1pqps7+\n  sjq+pgt", destination{Kind: bolt12Offer, Text: "lno1pqps7sjqpgt"}},
		{"an LNURL", exampleLNURL, destination{Kind: lnurlPay, Text: strings.ToLower(exampleLNURL), URL: "https://service.com/api?q=3fc3645b439ce8e7f2553a69e5267081d96dcd340693afabe04be7b0ccd178df"}},
		{"an LNURL of an onion", asLNURL(t, "http://abcd.onion/x#y"), destination{Kind: lnurlPay, Text: asLNURL(t, "http://abcd.onion/x#y"), URL: "http://abcd.onion/x"}},
		{"an LNURL that says it is for paying", asLNURL(t, "https://a.b/?tag=payRequest"), destination{Kind: lnurlPay, Text: asLNURL(t, "https://a.b/?tag=payRequest"), URL: "https://a.b/?tag=payRequest"}},
	} {
		if got := parseDestination(c.in); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestTextsThatLeadNowhere(t *testing.T) {
	for name, in := range map[string]string{
		"nothing": "", "a word": "hello", "a bitcoin address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
		"mixed case": "lnbC1pvjluez", "a BOLT 12 invoice": "lni1qqqq", "an invoice request": "lnr1qqqq",
		"an offer with a 1 in it": "lno1pq1ps", "an empty offer": "lno1", "an offer that begins with a join": "lno1+", "an offer joined twice": "lno1q++q",
		"an LNURL with a wrong checksum": exampleLNURL[:len(exampleLNURL)-1] + "Q",
		"an LNURL of plain HTTP":         asLNURL(t, "http://service.com/x"), "an LNURL of a file": asLNURL(t, "file:///etc/passwd"),
		"an LNURL with a password": asLNURL(t, "https://user:pw@service.com/"), "an LNURL without a host": asLNURL(t, "https:///x"),
		"an LNURL for logging in": asLNURL(t, "https://service.com/?tag=login&k1=00"), "an LNURL that is no text": asLNURL(t, "https://a.b/\x00"),
		"a name without a domain": "bob@", "a domain without a name": "@example.com", "one label": "bob@localhost", "an IP address": "bob@127.0.0.1",
		"a port": "bob@example.com:8080", "a path": "bob@example.com/x", "two signs": "bob@x@example.com", "a way up": "..@example.com",
		"a slash in the name": "a/b@example.com", "an escape in the name": "a%2fb@example.com", "a hyphen at a label's end": "bob@exam-.com",
		"an empty label": "bob@example..com", "letters that look alike": "bob@еxample.com", "too long": strings.Repeat("l", maxDestination+1),
		"not text": "lno1\xff", "₿ alone": "₿", "an IPv6 address": "bob@[::1]",
	} {
		if got := parseDestination(in); got.Kind != unknownDestination || got.Problem == "" || got.Text != "" || got.URL != "" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func FuzzParseDestination(f *testing.F) {
	for _, s := range []string{"lnbc1pvjluez", "satoshi@bitcoin.org", "₿bob@example.com", "lightning:LNO1PQPS7SJQPGT", "lno1q+ \nq", exampleLNURL, "..@a.b", asLNURL(f, "http://a.onion/?tag=x")} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkParsed(t, s)
		if s != "" && len(s) < 1000 {
			checkParsed(t, asLNURL(t, s))
		}
	})
}

func checkParsed(t *testing.T, s string) {
	t.Helper()
	d := parseDestination(s)
	if d.Kind == unknownDestination {
		if d.Problem == "" || d.Text != "" || d.URL != "" {
			t.Fatalf("%q: %+v", s, d)
		}
		return
	}
	if again := parseDestination(d.Text); again != d {
		t.Fatalf("%q: %+v, and again %+v", s, d, again)
	}
	if d.URL == "" {
		return
	}
	u, err := url.Parse(d.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && strings.HasSuffix(strings.ToLower(u.Hostname()), ".onion")) {
		t.Fatalf("%q leads to %q", s, d.URL)
	}
	if d.Kind == lnAddress && u.Path != "/.well-known/lnurlp/"+d.Text[:strings.Index(d.Text, "@")] {
		t.Fatalf("%q leads to %q", s, d.URL)
	}
}

func TestCallbackKeepsItsQuery(t *testing.T) {
	long := strings.Repeat("x", maxCallback)
	for _, c := range []struct{ name, callback, note, want string }{
		{"no query", "https://a.b/cb", "", "https://a.b/cb?amount=1500"},
		{"a bare question mark", "https://a.b/cb?", "", "https://a.b/cb?amount=1500"},
		{"a query, in its order and its spelling", "https://a.b/cb?z=1&a=%2f&flag", "", "https://a.b/cb?z=1&a=%2f&flag&amount=1500"},
		{"its own amount and comment go out", "https://a.b/cb?amount=9&id=7&comment=hi&am%6funt=8", "", "https://a.b/cb?id=7&amount=1500"},
		{"names that only look alike stay", "https://a.b/cb?amounts=9&Amount=8", "", "https://a.b/cb?amounts=9&Amount=8&amount=1500"},
		{"a note", "https://a.b/cb?id=7", "order & more", "https://a.b/cb?id=7&amount=1500&comment=order+%26+more"},
		{"a note that the URL has no room for", "https://a.b/cb?id=" + long[:maxCallback-50], long[:60], "https://a.b/cb?id=" + long[:maxCallback-50] + "&amount=1500"},
		{"a fragment goes out", "https://a.b/cb#x", "", "https://a.b/cb?amount=1500"},
	} {
		if got, err := callbackURL(c.callback, 1500, c.note); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "cb", "http://a.b/cb", "ftp://a.b", "https://u@a.b/", "https://", "mailto:a@b.c", "//a.b/cb", "https://a.b/\n"} {
		if got, err := callbackURL(bad, 1500, ""); err == nil {
			t.Errorf("%q: got %q", bad, got)
		}
	}
}

func FuzzCallbackURL(f *testing.F) {
	for _, s := range []string{"https://a.b/cb?amount=9&id=7", "https://a.b?%61mount=1", "http://a.onion/?;amount=3", "https://a.b/?amount", "https://a.b/?%zz&comment=1#f"} {
		f.Add(s, "note", int64(1500))
	}
	f.Fuzz(func(t *testing.T, callback, note string, amount int64) {
		s, err := callbackURL(callback, orders.Msats(amount), note)
		if err != nil {
			return
		}
		was, _ := url.Parse(callback)
		u, err := url.Parse(s)
		if err != nil || u.Host != was.Host || u.Scheme != was.Scheme || u.Path != was.Path {
			t.Fatalf("%q became %q", callback, s)
		}
		got := slices.DeleteFunc(strings.Split(u.RawQuery, "&"), func(pair string) bool {
			key, _, _ := strings.Cut(pair, "=")
			key, err := url.QueryUnescape(key)
			return err != nil || key != "amount"
		})
		if len(got) != 1 || got[0] != "amount="+json.Number(jsonInt(amount)).String() {
			t.Fatalf("%q became %q, amounts %q", callback, s, got)
		}
	})
}

func jsonInt(n int64) string { b, _ := json.Marshal(n); return string(b) }

func TestAmountsAsServicesWriteThem(t *testing.T) {
	for in, want := range map[string]wireAmount{
		"0": 0, "1000": 1000, "1e3": 1000, "1000.0": 1000, "null": 0, "9223372036854775807": math.MaxInt64, "100000000000000000000": math.MaxInt64, "1e999": math.MaxInt64,
	} {
		var got wireAmount
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"-1", "1.5", `"1000"`, "true", "[]", "-1e999", "1e-3"} {
		var got wireAmount
		if err := json.Unmarshal([]byte(in), &got); err == nil {
			t.Errorf("%s: got %d", in, got)
		}
	}
}

func TestChainsAreThoseOfTheirGenesisBlocks(t *testing.T) {
	for name, p := range map[string]*chaincfg.Params{
		"bitcoin": &chaincfg.MainNetParams, "testnet": &chaincfg.TestNet3Params, "signet": &chaincfg.SigNetParams, "regtest": &chaincfg.RegressionNetParams,
	} {
		if want := hex.EncodeToString(p.GenesisHash[:]); chainHashes[name] != want {
			t.Errorf("%s: got %s, want %s", name, chainHashes[name], want)
		}
	}
	for _, c := range []struct {
		name, network string
		chains        []string
		want          bool
	}{
		{"none named, on bitcoin", "bitcoin", nil, true},
		{"none named, elsewhere", "regtest", nil, false},
		{"this one among others", "regtest", []string{chainHashes["bitcoin"], chainHashes["regtest"]}, true},
		{"another one", "bitcoin", []string{chainHashes["testnet4"]}, false},
		{"an unknown network", "liquid", []string{""}, false},
	} {
		if got := onChain(c.network, c.chains...); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}
