package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcutil/bech32"
)

// destinationKind says what sort of text a buyer gave as the place to pay him.
type destinationKind int

// The kinds of destination. Only a bolt11Invoice can be paid as it is; the others give a new invoice each time they are
// asked, so what they gave must be kept and paid, and never asked for again while it can still be paid.
const (
	unknownDestination destinationKind = iota
	bolt11Invoice                      // BOLT 11: lnbc…, lntb…, lntbs…, lnbcrt…
	lnAddress                          // user@domain: BIP 353, else LUD-16
	bip353Name                         // ₿user@domain: BIP 353 only
	lnurlPay                           // lnurl1…: LUD-01, LUD-06
	bolt12Offer                        // lno1…: BOLT 12
)

// destination is a buyer's text, read but not yet looked up. The zero value is unknown.
type destination struct {
	Kind destinationKind
	// Text is the canonical form, which reads as the same destination again: lower case, without blanks and scheme.
	Text string
	// URL is where LNURL-pay begins, of an lnAddress and an lnurlPay.
	URL string
	// Problem is why the kind is unknown, in words that a client may see. It quotes nothing.
	Problem string
}

// maxDestination bounds the text, bytes. Real invoices and offers with many hints stay well below.
const maxDestination = 4096

// parseDestination tells what a text is by its form alone: nothing is looked up, and no checksum but that of an LNURL is
// verified, since the node does that for its own formats. Upper case, which QR codes use, and "lightning:" are allowed.
func parseDestination(text string) destination {
	text = strings.TrimSpace(text)
	if len(text) > maxDestination || !utf8.ValidString(text) {
		return noDestination("too long, or not text")
	}
	text = withoutScheme(text)
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(text, "@"):
		return parseName(lower)
	case !oneCase(text):
		return noDestination("upper and lower case mixed")
	case strings.HasPrefix(lower, "lnurl1"):
		return parseLNURL(lower)
	case strings.HasPrefix(lower, "lno1"):
		return parseOffer(lower)
	case strings.HasPrefix(lower, "lnbc") || strings.HasPrefix(lower, "lntb"): // lnbcrt and lntbs too
		if !bech32Text(strings.TrimPrefix(lower, "ln")) {
			return noDestination("characters that no invoice has")
		}
		return destination{Kind: bolt11Invoice, Text: lower}
	}
	return noDestination("neither an invoice nor an address, offer or LNURL")
}

func noDestination(problem string) destination { return destination{Problem: problem} }

// withoutScheme takes "lightning:" off (BOLT 11, "the recommendation is to use lightning: as a prefix").
func withoutScheme(text string) string {
	const scheme = "lightning:"
	if len(text) >= len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) {
		return strings.TrimSpace(text[len(scheme):])
	}
	return text
}

// oneCase reports whether a bech32 text is all lower or all upper case (BIP 173).
func oneCase(s string) bool { return s == strings.ToLower(s) || s == strings.ToUpper(s) }

// bech32Text reports whether s has nothing but letters and digits.
func bech32Text(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) < 0
}

const bech32Alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// parseOffer joins an offer that was cut with "+" and blanks for a line's end (BOLT 12, "Encoding").
func parseOffer(lower string) destination {
	pieces := strings.Split(lower, "+")
	for i, p := range pieces {
		if i > 0 {
			p = strings.TrimLeft(p, " \t\r\n")
		}
		if p == "" || strings.Trim(strings.TrimPrefix(p, "lno1"), bech32Alphabet) != "" {
			return noDestination("characters that no offer has")
		}
		pieces[i] = p
	}
	joined := strings.Join(pieces, "")
	if len(joined) == len("lno1") || !strings.HasPrefix(joined, "lno1") || strings.Contains(joined[4:], "1") {
		return noDestination("not an offer")
	}
	return destination{Kind: bolt12Offer, Text: joined}
}

// parseLNURL reads the URL out of its bech32 form (LUD-01).
func parseLNURL(lower string) destination {
	hrp, words, err := bech32.DecodeNoLimit(lower)
	if err != nil || hrp != "lnurl" {
		return noDestination("not an LNURL")
	}
	raw, err := bech32.ConvertBits(words, 5, 8, false)
	if err != nil {
		return noDestination("not an LNURL")
	}
	u, err := parsePayURL(string(raw))
	if err != nil {
		return noDestination("an LNURL with " + err.Error())
	}
	if tag := u.Query().Get("tag"); tag != "" && tag != tagPayRequest {
		return noDestination("an LNURL for something else than paying")
	}
	return destination{Kind: lnurlPay, Text: lower, URL: u.String()}
}

// parseName reads user@domain, with or without the ₿ of BIP 353 before it.
func parseName(lower string) destination {
	name, only353 := strings.CutPrefix(lower, "₿")
	user, domain, _ := strings.Cut(name, "@")
	if !userName(user) || !domainName(domain) {
		return noDestination("not an address of the form user@domain")
	}
	if only353 {
		return destination{Kind: bip353Name, Text: lower}
	}
	scheme := "https"
	if onion(domain) {
		scheme = "http"
	}
	u := url.URL{Scheme: scheme, Host: domain, Path: "/.well-known/lnurlp/" + user}
	return destination{Kind: lnAddress, Text: lower, URL: u.String()}
}

// userName takes what LUD-16 takes, and "+", by which many services let one user have several names. Dots alone would be
// a way up in the URL's path.
func userName(s string) bool {
	if len(s) > 64 || strings.Trim(s, ".") == "" {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.+", r)
	}) < 0
}

// domainName takes a DNS name of at least two labels: no port, no IP address, and other scripts as punycode.
func domainName(s string) bool {
	labels := strings.Split(s, ".")
	if len(s) > 253 || len(labels) < 2 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || !bech32Text(strings.ReplaceAll(l, "-", "")) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return last[0] >= 'a' && last[0] <= 'z' // a number there would be an IPv4 address
}

func onion(host string) bool { return strings.HasSuffix(host, ".onion") }

// parsePayURL takes a URL that a stranger wants us to ask: TLS, or an onion service, whose name is its key (LUD-01).
// Whether its host may be asked at all is for the HTTP client to judge, which knows the addresses behind the name.
func parsePayURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxDestination:
		return nil, errors.New("no valid URL")
	case u.User != nil || u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("a URL that names no plain host")
	case u.Scheme != "https" && !(u.Scheme == "http" && (onion(strings.ToLower(u.Hostname())) || u.Hostname() == "127.0.0.1")):
		// This machine is asked on a test network alone, and nowhere by accident: package safehttp sees to that.
		return nil, fmt.Errorf("a URL that is not https")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}
