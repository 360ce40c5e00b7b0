package main

import (
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

const (
	defaultListed = 100
	maxListed     = 1000
)

// statusOpen picks every order that has not ended.
const statusOpen = "open"

var statusParam = paramKind{"open, or a status such as pending, active or success", func(token string, _ bool) (string, bool) {
	return token, token == statusOpen || slices.Contains(orders.Statuses, orders.Status(token))
}}

var cursorParam = paramKind{"the cursor of another page", func(token string, _ bool) (string, bool) {
	raw, err := hex.DecodeString(token)
	return token, err == nil && len(raw) > 0 && len(raw) <= 64
}}

var limitParam = paramKind{fmt.Sprintf("a whole number from 1 to %d", maxListed), func(token string, _ bool) (string, bool) {
	n, err := strconv.ParseUint(token, 10, 64)
	return strconv.FormatUint(n, 10), err == nil && n >= 1 && n <= maxListed
}}

// secondsParam is a span of time that a caller can wait.
var secondsParam = paramKind{"seconds, from 1 to 86400", func(token string, _ bool) (string, bool) {
	n, err := strconv.ParseUint(token, 10, 64)
	return strconv.FormatUint(n, 10), err == nil && n >= 1 && n <= 86_400
}}

// choice is one of a few words.
func choice(words ...string) paramKind {
	return paramKind{strings.Join(words, " or "), func(token string, _ bool) (string, bool) {
		return token, slices.Contains(words, token)
	}}
}

// lineParam is free text of one line.
func lineParam(limit int) paramKind {
	return paramKind{fmt.Sprintf("one line of 1 to %d characters", limit), func(token string, _ bool) (string, bool) {
		n := utf8.RuneCountInString(token)
		bad := func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }
		return token, n >= 1 && n <= limit && strings.IndexFunc(token, bad) < 0
	}}
}

var currencyParam = paramKind{"a currency code such as EUR", func(token string, isText bool) (string, bool) {
	return token, isText && len(token) >= 1 && len(token) <= 10 && strings.IndexFunc(token, unicode.IsControl) < 0
}}

// keyParam takes a public key as people write it; its text is hex.
var keyParam = paramKind{"a public key, npub1… or 64 hex characters", func(token string, _ bool) (string, bool) {
	k, err := nostrio.ParsePubKey(strings.TrimSpace(token))
	return k.String(), err == nil && !k.IsZero()
}}

// userParam takes a key, or a party of an order, whose key need not be known then.
var userParam = paramKind{"a public key, or a party of an order as ORDER_ID:buyer or ORDER_ID:seller", func(token string, isText bool) (string, bool) {
	if id, side, ok := strings.Cut(token, ":"); ok {
		order, err := orders.ParseOrderID(id)
		return order.String() + ":" + side, err == nil && (side == string(orders.Buyer) || side == string(orders.Seller))
	}
	return keyParam.read(token, isText)
}}

// confirmParam is the beginning of an order's id.
var confirmParam = paramKind{"the first characters of the order's id, at least 4", func(token string, _ bool) (string, bool) {
	token = strings.ToLower(token)
	return token, len(token) >= 4 && len(token) <= 36 && strings.Trim(token, "0123456789abcdef-") == ""
}}

// wordDefault takes a setting back to its option.
const wordDefault = "default"

var rateParam = paramKind{"a decimal fraction from 0 to 0.1 with at most 6 decimals, or " + wordDefault, func(token string, _ bool) (string, bool) {
	if token == wordDefault {
		return token, true
	}
	p, ok := parsePPM(token)
	return token, ok && p <= 100_000
}}

var satsParam = paramKind{"an amount of whole sats such as 50000sat or 0.0005btc (a bare number is msat), or " + wordDefault, func(token string, _ bool) (string, bool) {
	if token == wordDefault {
		return token, true
	}
	n, ok := parseSats(token)
	return strconv.FormatInt(int64(n), 10), ok
}}

// parseSats reads an amount as lightningd does: msat where no unit stands behind it. It must be whole sats, at least 1.
func parseSats(token string) (orders.Sats, bool) {
	if text, ok := strings.CutSuffix(token, "btc"); ok {
		units, decimals, _ := strings.Cut(text, ".")
		if units == "" || len(decimals) > 8 {
			return 0, false
		}
		return wholeSats(units+decimals+strings.Repeat("0", 8-len(decimals)), 1)
	}
	if text, ok := strings.CutSuffix(token, "msat"); ok {
		return wholeSats(text, 1000)
	}
	if text, ok := strings.CutSuffix(token, "sat"); ok {
		return wholeSats(text, 1)
	}
	return wholeSats(token, 1000)
}

func wholeSats(digits string, per int64) (orders.Sats, bool) {
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n)%per != 0 {
		return 0, false
	}
	s := orders.Sats(int64(n) / per)
	return s, s >= 1 && s.Valid()
}

var pathParam = paramKind{"an absolute path", func(token string, isText bool) (string, bool) {
	return token, isText && filepath.IsAbs(token) && len(token) <= 4096 && !strings.ContainsRune(token, 0)
}}

// timeParam is a point in time; its text is that of the caller, since "7d" depends on when it is read.
var timeParam = paramKind{"unix seconds, a date such as 2026-01-31 (UTC), or a time ago such as 12h or 7d", func(token string, _ bool) (string, bool) {
	_, ok := parseTime(token, time.Unix(0, 0))
	return token, ok
}}

func parseTime(token string, now time.Time) (unix int64, ok bool) {
	if n, err := strconv.ParseUint(token, 10, 64); err == nil {
		return int64(min(n, math.MaxInt64)), true
	}
	for unit, span := range map[string]int64{"h": 3600, "d": 86_400} {
		if digits, is := strings.CutSuffix(token, unit); is {
			n, err := strconv.ParseUint(digits, 10, 16)
			return now.Unix() - int64(n)*span, err == nil
		}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, token); err == nil && at.Unix() >= 0 {
			return at.Unix(), true
		}
	}
	return 0, false
}

// Readers of judged parameters.

// page returns limit and cursor of a request for a list.
func (a args) page() (limit int, before []byte) {
	return int(a.count("limit", defaultListed)), a.cursor("before")
}

// cursor returns a parameter of kind cursorParam, nil if it is not there.
func (a args) cursor(name string) []byte {
	raw, _ := hex.DecodeString(a[name]) // judged before
	if len(raw) == 0 {
		return nil
	}
	return raw
}

// period returns since and until.
func (a args) period(now time.Time) (p orders.Period) {
	if t, ok := a["since"]; ok {
		p.Since, _ = parseTime(t, now)
	}
	if t, ok := a["until"]; ok {
		p.Until, _ = parseTime(t, now)
		p.Until = max(p.Until, 1) // 0 would be no end
	}
	p.Since = max(p.Since, 0)
	return p
}

// key returns a parameter of kind keyParam, zero if it is not there.
func (a args) key(name string) orders.PubKey {
	k, _ := orders.ParsePubKey(a[name]) // judged before
	return k
}

func (a args) yes(name string) bool { return a[name] == "true" }

// hexCursor is a cursor as a caller gets it; nil is none.
func hexCursor(raw []byte) string { return hex.EncodeToString(raw) }
