package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/safehttp"
)

const tagPayRequest = "payRequest" // LUD-06

// jsonGetter is HTTP as we need it; a *safehttp.Client in the exchange.
type jsonGetter interface {
	// GetJSON fetches one JSON value into v. It bounds time and size, follows no redirect and refuses hosts that are not
	// public; its errors are those of safehttp.
	GetJSON(ctx context.Context, url string, v any, header ...safehttp.Header) error
}

var _ jsonGetter = (*safehttp.Client)(nil)

// payRequest is the first answer of LNURL-pay (LUD-06), with LUD-12's comments.
type payRequest struct {
	serviceError
	Tag            string     `json:"tag"`
	Callback       string     `json:"callback"`
	Min            wireAmount `json:"minSendable"`
	Max            wireAmount `json:"maxSendable"`
	Metadata       string     `json:"metadata"`
	CommentAllowed wireAmount `json:"commentAllowed"` // characters
}

// payAnswer is the second answer.
type payAnswer struct {
	serviceError
	PR string `json:"pr"`
}

// serviceError is in every LNURL answer that says no.
type serviceError struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

func (e serviceError) refused() bool { return strings.EqualFold(e.Status, "ERROR") }

// wireAmount is a whole number ≥ 0 as services write it: 1000, 1e3, 1000.0, or more than there is.
type wireAmount int64

func (a *wireAmount) UnmarshalJSON(b []byte) error {
	text := string(b)
	if text == "null" {
		return nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		*a = wireAmount(n)
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), f < 0, f != math.Trunc(f) && !math.IsInf(f, 1):
		return &json.UnmarshalTypeError{Value: "number " + text, Type: reflect.TypeFor[wireAmount]()}
	case f >= math.MaxInt64:
		*a = math.MaxInt64
	default:
		*a = wireAmount(f)
	}
	return nil
}

// askTerms asks an LNURL service what it takes. Every error is a *orders.PayError: what a stranger's server does is
// never our own trouble.
func (r *resolver) askTerms(ctx context.Context, d destination) (payRequest, error) {
	var p payRequest
	if err := r.http.GetJSON(ctx, d.URL, &p); err != nil {
		return p, httpError(err)
	}
	switch _, err := parsePayURL(p.Callback); {
	case p.refused():
		return p, perhapsLater("the address's service refused" + reasonFor(d, p.Reason))
	case p.Tag != tagPayRequest:
		return p, hopeless("the address's service takes no payments")
	case err != nil:
		return p, hopeless("the address's service gives " + err.Error() + " to ask for an invoice")
	case p.Max < 1 || p.Min > p.Max:
		return p, hopeless("the address's service names no amount that it takes")
	}
	return p, nil
}

// askInvoice asks the service for an invoice of exactly that amount, and judges what it gives. The note is for the
// payee, and is left out where the service takes none so long.
func (r *resolver) askInvoice(ctx context.Context, d destination, p payRequest, amount orders.Msats, note string) (resolved, error) {
	if int64(amount) < int64(p.Min) || int64(amount) > int64(p.Max) {
		return resolved{}, perhapsLater(fmt.Sprintf("the address's service takes %d to %d msat at present", p.Min, p.Max))
	}
	if utf8.RuneCountInString(note) > int(min(p.CommentAllowed, math.MaxInt32)) {
		note = ""
	}
	callback, err := callbackURL(p.Callback, amount, note)
	if err != nil {
		return resolved{}, hopeless("the address's service gives " + err.Error() + " to ask for an invoice")
	}
	var a payAnswer
	switch err := r.http.GetJSON(ctx, callback, &a); {
	case err != nil:
		return resolved{}, httpError(err)
	case a.refused():
		return resolved{}, perhapsLater("the address's service refused" + reasonFor(d, a.Reason))
	case strings.TrimSpace(a.PR) == "":
		return resolved{}, perhapsLater("the address's service gave no invoice")
	}
	inv := parseDestination(a.PR)
	if inv.Kind != bolt11Invoice {
		return resolved{}, hopeless("the address's service gave something that is no invoice")
	}
	return r.judgeBolt11(ctx, inv.Text, amount, sha256.Sum256([]byte(p.Metadata)))
}

// maxCallback is a length of URL that every server takes (LUD-12).
const maxCallback = 2000

// callbackURL adds the amount, and the note if there is room, to the query that the service gave; an amount or comment
// of its own goes out.
func callbackURL(callback string, amount orders.Msats, note string) (string, error) {
	u, err := parsePayURL(callback)
	if err != nil {
		return "", err
	}
	var query []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain
		}
		if pair != "" && key != "amount" && key != "comment" {
			query = append(query, pair)
		}
	}
	query = append(query, "amount="+strconv.FormatInt(int64(amount), 10))
	u.RawQuery = strings.Join(query, "&")
	u.ForceQuery = false
	if note != "" {
		with := *u
		with.RawQuery += "&comment=" + url.QueryEscape(note)
		if s := with.String(); len(s) <= maxCallback {
			return s, nil
		}
	}
	return u.String(), nil
}

// httpErrors says what each way to fail means. The errors themselves name the host, which is the buyer's payment detail.
var httpErrors = []struct {
	is    error
	why   string
	fatal bool
}{
	{safehttp.ErrURL, "is no host of the internet", true},
	{safehttp.ErrAddress, "has an address that is not public", true},
	{safehttp.ErrNoProxy, "is an onion service, which this node does not reach", true},
	{safehttp.ErrRedirect, "redirects", true},
	{safehttp.ErrTooLarge, "answers with too much", true},
	{safehttp.ErrJSON, "answers with something else than LNURL-pay", false},
	{safehttp.ErrResolve, "has a name that could not be resolved", false},
	{safehttp.ErrTimeout, "did not answer in time", false},
	{context.DeadlineExceeded, "did not answer in time", false},
}

func httpError(err error) error {
	const service = "the address's service "
	for _, e := range httpErrors {
		if errors.Is(err, e.is) {
			return &orders.PayError{Why: service + e.why, Fatal: e.fatal}
		}
	}
	var status *safehttp.StatusError
	if errors.As(err, &status) {
		return perhapsLater(service + fmt.Sprintf("answers with HTTP status %d", status.Code))
	}
	return perhapsLater(service + "could not be reached")
}

// reasonFor is a service's own words, cleaned and short, for the operator. They are left out where they quote the
// address or the link.
func reasonFor(d destination, reason string) string {
	reason = clnio.CleanLine(clnio.Shorten(reason, 120))
	lower := strings.ToLower(reason)
	private := []string{d.Text}
	if user, _, ok := strings.Cut(strings.TrimPrefix(d.Text, "₿"), "@"); ok {
		private = append(private, user)
	} else if u, err := url.Parse(d.URL); err == nil {
		private = append(private, strings.ToLower(u.Path), strings.ToLower(u.RawQuery), strings.ToLower(lastSegment(u.Path)))
	}
	for _, p := range private {
		if p != "" && p != "/" && strings.Contains(lower, p) {
			return ""
		}
	}
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func lastSegment(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
