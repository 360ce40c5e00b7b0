package safehttp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

const onion = "mostroxyz234567abcdefghijklmnopqrstuvwxyz234567abcdefghi.onion"

func TestJudgeOfURLs(t *testing.T) {
	for _, c := range []struct {
		name, url string
		want      error
	}{
		{"an ordinary address", "https://pay.example.com/.well-known/lnurlp/alice", nil},
		{"upper case host and a query", "HTTPS://Pay.Example.COM/cb?k=1&amount=21000", nil},
		{"another port", "https://pay.example.com:8443/x", nil},
		{"an international name in its ASCII form", "https://xn--bcher-kva.example.org/x", nil},
		{"an onion service in the clear", "http://" + onion + "/x", nil},
		{"an onion service with TLS", "https://www." + onion + "/x", nil},
		{"plain http", "http://pay.example.com/x", ErrURL},
		{"no scheme", "//pay.example.com/x", ErrURL},
		{"another scheme", "ftp://pay.example.com/x", ErrURL},
		{"a file", "file:///etc/passwd", ErrURL},
		{"opaque", "https:pay.example.com", ErrURL},
		{"nothing", "", ErrURL},
		{"no host", "https:///x", ErrURL},
		{"user information", "https://user:word@pay.example.com/x", ErrURL},
		{"an empty user", "https://@pay.example.com/x", ErrURL},
		{"a loopback literal", "https://127.0.0.1/x", ErrAddress},
		{"a public literal", "https://93.184.216.34/x", ErrAddress},
		{"an IPv6 literal", "https://[::1]/x", ErrAddress},
		{"an IPv6 literal with a zone", "https://[fe80::1%25eth0]/x", ErrAddress},
		{"a short form of loopback", "https://127.1/x", ErrURL},
		{"loopback as one number", "https://2130706433/x", ErrURL},
		{"loopback in hex", "https://0x7f000001/x", ErrURL},
		{"loopback in parts of hex", "https://0x7f.0.0.0x1/x", ErrURL},
		{"loopback in octal", "https://0177.0.0.01/x", ErrURL},
		{"one label", "https://localhost/x", ErrURL},
		{"a name under localhost", "https://pay.localhost/x", ErrURL},
		{"multicast DNS", "https://printer.local/x", ErrURL},
		{"a cloud's own name", "https://metadata.google.internal/x", ErrURL},
		{"a home network", "https://router.home.arpa/x", ErrURL},
		{"a trailing dot", "https://pay.example.com./x", ErrURL},
		{"an empty label", "https://pay..example.com/x", ErrURL},
		{"a label with a hyphen in front", "https://-pay.example.com/x", ErrURL},
		{"an underscore", "https://_pay.example.com/x", ErrURL},
		{"a name beyond ASCII", "https://bücher.example.org/x", ErrURL},
		{"a percent-encoded host", "https://127.0.0.1%2eexample.com/x", ErrURL},
		{"a percent-encoded slash in the host", "https://127.0.0.1%2f.example.com/x", ErrURL},
		{"a backslash", `https://pay.example.com\@10.0.0.1/x`, ErrURL},
		{"a control character", "https://pay.example.com/\x00", ErrURL},
		{"port zero", "https://pay.example.com:0/x", ErrURL},
		{"a port too high", "https://pay.example.com:65536/x", ErrURL},
		{"an empty port", "https://pay.example.com:/x", ErrURL},
		{"a false onion name", "http://short.onion/x", ErrURL},
		{"onion alone", "http://onion/x", ErrURL},
		{"a label too long", "https://" + strings.Repeat("a", 64) + ".com/x", ErrURL},
		{"a name too long", "https://" + strings.Repeat("abc.", 64) + "com/x", ErrURL},
		{"a URL too long", "https://pay.example.com/" + strings.Repeat("x", maxURL), ErrURL},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := New(Config{}).judge(c.url)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil && got.onion != strings.Contains(c.url, onion) {
				t.Errorf("onion is %v", got.onion)
			}
		})
	}
}

func TestWhatAConfigAllows(t *testing.T) {
	c := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, PlainHTTP: true})
	for url, want := range map[string]error{
		"http://127.0.0.1:3000/x":          nil,
		"http://[::ffff:127.0.0.1]:3000/x": nil,
		"http://192.168.0.1/x":             ErrAddress,
		"https://[::1]/x":                  ErrAddress,
		"ftp://127.0.0.1/x":                ErrURL,
		"http://user@127.0.0.1/x":          ErrURL,
		"http://pay.example.com/x":         nil,
		"http://" + onion[4:] + "/x":       ErrURL,
	} {
		if _, err := c.judge(url); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", url, err, want)
		}
	}
}

// FuzzJudge: whatever passes is https or an onion service, has no user, and a host that is a plain name.
func FuzzJudge(f *testing.F) {
	for _, s := range []string{
		"https://pay.example.com/.well-known/lnurlp/alice", "http://" + onion + "/x", "https://a.b:1/?q=%zz#f", "https://[::1]/",
		"https://127.0.0.1%2eexample.com/x", "https://user@example.com", "https://example.com:/", `https://example.com\@10.0.0.1/`,
		"https://a.b/" + strings.Repeat("\x84", maxURL/2), // three times as long when it is escaped
	} {
		f.Add(s)
	}
	c := New(Config{})
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := c.judge(raw)
		if err != nil {
			if !errors.Is(err, ErrURL) && !errors.Is(err, ErrAddress) {
				t.Fatalf("%q: %v is neither ErrURL nor ErrAddress", raw, err)
			}
			return
		}
		u := got.url
		_, notLiteral := netip.ParseAddr(got.host)
		switch {
		case u.Scheme != "https" && (u.Scheme != "http" || !got.onion):
			t.Fatalf("%q: scheme %q passed", raw, u.Scheme)
		case u.User != nil || u.Fragment != "" || u.Opaque != "":
			t.Fatalf("%q passed as %q", raw, u)
		case notLiteral == nil || !strings.Contains(got.host, ".") || strings.Trim(got.host, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "":
			t.Fatalf("%q: host %q passed", raw, got.host)
		case strings.HasSuffix(got.host, ".localhost") || strings.HasSuffix(got.host, ".local"):
			t.Fatalf("%q: local host passed", raw)
		}
		again, err := c.judge(u.String())
		if err != nil || again.host != got.host {
			t.Fatalf("%q as %q: %v, host %q and then %q", raw, u, err, got.host, again.host)
		}
	})
}
