package main

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/prices"
)

// rule judges one option's text. wants finishes the sentence "this option wants …"; put stores the value or returns
// what it got, ready to be printed, and then leaves the Config alone.
type rule struct {
	wants string
	put   func(c *Config, value string) (problem string)
}

const (
	// maxPoW is more work than a phone does in an hour.
	maxPoW = 32
	// maxRelays bounds connections: each order event goes to every relay.
	maxRelays = 20
	// maxTradeHours keeps the hold's CLTV under 1008 blocks; senders cap a whole route at 2016.
	maxTradeHours = 144
)

// holdCLTV is the CLTV of a hold invoice that leaves the trade its time, in blocks.
//
// Blocks come at random: where n are expected, up to about n + 3.1·√n arrive (99.9 %). To that we add the blocks
// before expiry at which the exchange decides by itself (30), and 3 for the payer's own slack: 24 h → 215.
func holdCLTV(trade time.Duration) uint32 {
	n := math.Ceil(trade.Hours() * 6)
	return uint32(math.Ceil(n+3.1*math.Sqrt(n))) + 30 + 3
}

func number(lo, hi int, field func(*Config) *int) rule {
	return whole(int64(lo), int64(hi), func(c *Config, n int64) { *field(c) = int(n) })
}

// amount is a whole number of sats.
func amount(lo, hi orders.Sats, field func(*Config) *orders.Sats) rule {
	return whole(int64(lo), int64(hi), func(c *Config, n int64) { *field(c) = orders.Sats(n) })
}

func span(unit time.Duration, lo, hi int64, field func(*Config) *time.Duration) rule {
	return whole(lo, hi, func(c *Config, n int64) { *field(c) = time.Duration(n) * unit })
}

func whole(lo, hi int64, set func(*Config, int64)) rule {
	return rule{
		wants: fmt.Sprintf("a whole number from %d to %d", lo, hi),
		put: func(c *Config, value string) string {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < lo || n > hi {
				return quote(value)
			}
			set(c, n)
			return ""
		},
	}
}

// orEmpty lets an option stay empty; the field then keeps its zero value.
func orEmpty(r rule) rule {
	put := r.put
	r.put = func(c *Config, value string) string {
		if value == "" {
			return ""
		}
		return put(c, value)
	}
	return r
}

// fraction reads a decimal fraction exactly, with no float on the way.
func fraction(limit orders.PPM, field func(*Config) *orders.PPM) rule {
	return rule{
		wants: fmt.Sprintf("a decimal fraction from 0 to %s with at most 6 decimals", limit.Decimal()),
		put: func(c *Config, value string) string {
			p, ok := parsePPM(value)
			if !ok || p > limit {
				return quote(value)
			}
			*field(c) = p
			return ""
		},
	}
}

// parsePPM reads "0", "0.006" or "1.5" as parts per million. No sign, no exponent, at most 6 decimals.
func parsePPM(s string) (orders.PPM, bool) {
	units, decimals, dotted := strings.Cut(s, ".")
	if units == "" || dotted && decimals == "" || len(decimals) > 6 {
		return 0, false
	}
	digits := units + decimals + strings.Repeat("0", 6-len(decimals))
	if strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) >= 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return orders.PPM(n), err == nil
}

func oneOf(set func(*Config, string), words ...string) rule {
	return rule{
		wants: strings.Join(words, " or "),
		put: func(c *Config, value string) string {
			if !slices.Contains(words, value) {
				return quote(value)
			}
			set(c, value)
			return ""
		},
	}
}

// text is one line of at most so many characters.
func text(limit int, field func(*Config) *string) rule {
	return rule{
		wants: fmt.Sprintf("one line of at most %d characters", limit),
		put: func(c *Config, value string) string {
			if !utf8.ValidString(value) || strings.IndexFunc(value, unicode.IsControl) >= 0 {
				return quote(value)
			}
			if n := utf8.RuneCountInString(value); n > limit {
				return fmt.Sprintf("%d characters", n)
			}
			*field(c) = value
			return ""
		},
	}
}

func webAddress(field func(*Config) *string) rule {
	return rule{
		wants: "an http:// or https:// address",
		put: func(c *Config, value string) string {
			u, err := url.Parse(value)
			if value != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
				return quote(value)
			}
			*field(c) = value
			return ""
		},
	}
}

// listenAddress is an IP address and a port of this machine. A name would be somebody else's to change, but localhost.
func listenAddress(field func(*Config) *string) rule {
	return rule{
		wants: "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080",
		put: func(c *Config, value string) string {
			if value == "" {
				return ""
			}
			if port, ok := strings.CutPrefix(value, "localhost:"); ok {
				value = "127.0.0.1:" + port
			}
			a, err := netip.ParseAddrPort(value)
			if err != nil {
				return quote(value)
			}
			*field(c) = a.String()
			return ""
		},
	}
}

// loopback reports whether an address that listenAddress took is reached from this machine alone.
func loopback(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

func relays(field func(*Config) *[]string) rule {
	return rule{
		wants: fmt.Sprintf("1 to %d ws:// or wss:// addresses, separated by commas", maxRelays),
		put: func(c *Config, value string) string {
			var list []string
			for _, part := range splitList(value) {
				u, err := url.Parse(part)
				if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
					return quote(part)
				}
				u.Host = strings.ToLower(u.Host)
				if relay := strings.TrimRight(u.String(), "/"); !slices.Contains(list, relay) {
					list = append(list, relay)
				}
			}
			if len(list) < 1 || len(list) > maxRelays {
				return fmt.Sprintf("%d of them", len(list))
			}
			*field(c) = list
			return ""
		},
	}
}

func pubkeys(field func(*Config) *[]orders.PubKey) rule {
	return rule{
		wants: "public keys as npub1… or 64 hex characters, separated by commas",
		put: func(c *Config, value string) string {
			var list []orders.PubKey
			for _, part := range splitList(value) {
				k, err := nostrio.ParsePubKey(part)
				if err != nil {
					return quote(part)
				}
				if !slices.Contains(list, k) {
					list = append(list, k)
				}
			}
			*field(c) = list
			return ""
		},
	}
}

func currencies(field func(*Config) *[]string) rule {
	return rule{
		wants: "currency codes of three letters (ISO 4217), separated by commas",
		put: func(c *Config, value string) string {
			var list []string
			for _, part := range splitList(value) {
				code := strings.ToUpper(part)
				if len(code) != 3 || strings.IndexFunc(code, func(r rune) bool { return r < 'A' || r > 'Z' }) >= 0 {
					return quote(part)
				}
				if !slices.Contains(list, code) {
					list = append(list, code)
				}
			}
			*field(c) = list
			return ""
		},
	}
}

// sourceCLN is the node's own price plugin.
const sourceCLN = "cln"

// priceSource is one place to ask for prices; the URL only where it is not the usual one.
type priceSource struct{ Name, URL string }

var priceSources = rule{
	wants: "some of " + strings.Join(append(prices.WebNames(), sourceCLN), ", ") + ", each perhaps with =URL",
	put: func(c *Config, value string) string {
		var list []priceSource
		for _, part := range splitList(value) {
			name, addr, given := strings.Cut(part, "=")
			u, err := url.Parse(addr)
			if name != sourceCLN && !slices.Contains(prices.WebNames(), name) ||
				given && (name == sourceCLN || err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
				return quote(part)
			}
			if !slices.ContainsFunc(list, func(s priceSource) bool { return s.Name == name }) {
				list = append(list, priceSource{name, addr})
			}
		}
		c.PriceSources = list
		return ""
	},
}

// keyFile wants a file that can be used as the exchange's key, now and not at the first signature.
func keyFile(field func(*Config) *string) rule {
	return rule{
		wants: "a file with one nsec1… or 64 hex characters that only its owner can read (chmod 600)",
		put: func(c *Config, value string) string {
			if value == "" {
				return ""
			}
			if _, err := readKeyFile(value); err != nil {
				return err.Error()
			}
			*field(c) = value
			return ""
		},
	}
}

// splitList cuts at commas and drops blanks, so that a trailing comma is no mistake.
func splitList(s string) []string {
	var parts []string
	for _, p := range strings.Split(s, ",") {
		if p = strings.TrimSpace(p); p != "" {
			parts = append(parts, p)
		}
	}
	return parts
}

// quote prints a value so that an empty one and odd characters can be seen, cut where it would fill the log.
func quote(s string) string {
	const limit = 80
	if utf8.RuneCountInString(s) > limit {
		s = string([]rune(s)[:limit]) + "…"
	}
	return strconv.Quote(s)
}
