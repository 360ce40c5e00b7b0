package safehttp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Config is what a Client may do. The zero value is the strict one, with the limits named below.
type Config struct {
	Resolve time.Duration // 2 s if zero
	Connect time.Duration // 2 s if zero, for the addresses of a name together
	Total   time.Duration // 4 s if zero, the body's last byte included
	Slow    time.Duration // instead of Total through a proxy; 20 s if zero
	MaxBody int64         // bytes; 64 KiB if zero

	Proxy    string // host:port of a SOCKS5 proxy; empty: onion services cannot be reached
	ProxyAll bool   // everything through the proxy, not onion services alone

	UserAgent string // "mostro" if empty

	// Date hears what a server says of the time (RFC 9110, Date), if it does. It must not wait. Nil: nobody asks.
	Date func(host string, at time.Time)

	// For tests, for a demo on one machine, and for servers that the operator himself names: addresses that may be
	// asked although they are not public, by literal address too, and plain http.
	Allow     []netip.Prefix
	PlainHTTP bool

	Roots  *x509.CertPool                                               // nil: the system's
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error) // nil: the system's resolver
}

// Client fetches. It keeps nothing between two requests and may be used by many goroutines at once.
type Client struct {
	config          Config
	direct, proxied *http.Client
}

// New returns a client with c's permissions.
func New(c Config) *Client {
	c.Resolve, c.Connect = cmp.Or(c.Resolve, 2*time.Second), cmp.Or(c.Connect, 2*time.Second)
	c.Total, c.Slow = cmp.Or(c.Total, 4*time.Second), cmp.Or(c.Slow, 20*time.Second)
	c.MaxBody, c.UserAgent = cmp.Or(c.MaxBody, 64<<10), cmp.Or(c.UserAgent, "mostro")
	if c.Lookup == nil {
		c.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	cl := &Client{config: c}
	cl.direct = cl.httpClient(nil, cl.dial)
	if c.Proxy != "" {
		cl.proxied = cl.httpClient(http.ProxyURL(&url.URL{Scheme: "socks5h", Host: c.Proxy}), cl.dialProxy)
	}
	return cl
}

func (c *Client) httpClient(proxy func(*http.Request) (*url.URL, error), dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  proxy,
			DialContext:            dial,
			TLSClientConfig:        &tls.Config{RootCAs: c.config.Roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Header is a field of a request. It goes to the host of the URL and, there being no redirects, nowhere else.
type Header struct{ Name, Value string }

// GetJSON fetches one JSON value into v, which is used as encoding/json does.
func (c *Client) GetJSON(ctx context.Context, rawURL string, v any, header ...Header) error {
	body, host, err := c.get(ctx, rawURL, append([]Header{{"Accept", "application/json"}}, header...))
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err = d.Decode(v); err == nil {
		if _, rest := d.Token(); rest != io.EOF {
			err = errors.New("more follows it")
		}
	}
	if err != nil {
		return fmt.Errorf("get from %s: %w: %w", host, ErrJSON, err)
	}
	return nil
}

// Get returns the body of a 2xx answer. Everything else is an error of errors.go.
func (c *Client) Get(ctx context.Context, rawURL string, header ...Header) ([]byte, error) {
	body, _, err := c.get(ctx, rawURL, header)
	return body, err
}

func (c *Client) get(ctx context.Context, rawURL string, header []Header) (body []byte, host string, err error) {
	t, err := c.judge(rawURL)
	if err != nil {
		return nil, "", fmt.Errorf("get: %w", err)
	}
	via, limit := c.direct, c.config.Total
	if t.onion || c.config.ProxyAll {
		via, limit = c.proxied, c.config.Slow
	}
	if via == nil {
		return nil, "", fmt.Errorf("get from %s: %w", t.host, ErrNoProxy)
	}
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, err = c.fetch(timed, via, t, header)
	if err != nil {
		return nil, "", fmt.Errorf("get from %s: %w", t.host, blame(ctx, timed, err))
	}
	return body, t.host, nil
}

func (c *Client) fetch(ctx context.Context, via *http.Client, t target, header []Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: not a request", ErrURL)
	}
	req.Header.Set("User-Agent", c.config.UserAgent)
	for _, h := range header {
		req.Header.Set(h.Name, h.Value)
	}
	resp, err := via.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil && c.config.Date != nil {
		c.config.Date(t.host, at)
	}
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, ErrRedirect
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, &StatusError{resp.StatusCode}
	case resp.ContentLength > c.config.MaxBody:
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, resp.ContentLength)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.config.MaxBody+1))
	// A server that sees us hang up may end a half-sent body in good order before the connection is gone: so a body
	// that ends after our time is no body.
	if err = cmp.Or(err, ctx.Err()); err != nil {
		return nil, err
	}
	if int64(len(body)) > c.config.MaxBody {
		return nil, fmt.Errorf("%w: over %d bytes", ErrTooLarge, c.config.MaxBody)
	}
	return body, nil
}

// blame finds out what ended a request: the caller, our limit, or the other side. The *url.Error of net/http is opened
// because its text repeats the URL.
func blame(ctx, timed context.Context, err error) error {
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		err = outer.Err
	}
	status := (*StatusError)(nil)
	for _, ours := range []error{ErrURL, ErrResolve, ErrAddress, ErrRedirect, ErrTooLarge, ErrTimeout, ErrConnect} {
		if errors.Is(err, ours) && ctx.Err() == nil {
			return err
		}
	}
	netErr := net.Error(nil)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &status):
		return err
	case timed.Err() != nil || errors.As(err, &netErr) && netErr.Timeout():
		return ErrTimeout
	default:
		return fmt.Errorf("%w: %w", ErrConnect, err)
	}
}
