package safehttp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var loopback = netip.MustParsePrefix("127.0.0.0/8")

// site is a real TLS server on loopback whose certificate is for example.com.
type site struct {
	*httptest.Server
	asked atomic.Int32
}

func newSite(t *testing.T, handle http.HandlerFunc) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		handle(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are meant to fail
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// at is the site's URL under a name.
func (s *site) at(name, path string) string {
	u, err := url.Parse(s.URL)
	if err != nil {
		panic(err)
	}
	return "https://" + net.JoinHostPort(name, u.Port()) + path
}

func (s *site) roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(s.Certificate())
	return p
}

// lookup answers every name with these addresses.
func lookup(addrs ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) (out []netip.Addr, err error) {
		for _, a := range addrs {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	}
}

func (s *site) client(change func(*Config)) *Client {
	c := Config{Roots: s.roots(), Allow: []netip.Prefix{loopback}, Lookup: lookup("127.0.0.1")}
	if change != nil {
		change(&c)
	}
	return New(c)
}

func TestFetchesJSON(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Host, "example.com:") || r.Header.Get("User-Agent") != "mostro" || r.Header.Get("X-Key") != "k" {
			http.Error(w, "not as expected", http.StatusTeapot)
			return
		}
		fmt.Fprintf(w, `{"tag":"payRequest","q":%q}`+"\n", r.URL.RawQuery)
	})
	var got struct{ Tag, Q string }
	if err := s.client(nil).GetJSON(t.Context(), s.at("Example.com", "/x?amount=1%2B1"), &got, Header{"X-Key", "k"}); err != nil {
		t.Fatal(err)
	}
	if got.Tag != "payRequest" || got.Q != "amount=1%2B1" {
		t.Errorf("got %+v", got)
	}
}

func TestAnswersThatAreErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		handle http.HandlerFunc
		change func(*Config)
		want   error
	}{
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/y", http.StatusFound) }, nil, ErrRedirect},
		{"not found", http.NotFound, nil, &StatusError{404}},
		{"a server's fault", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, nil, &StatusError{503}},
		{"a body over the limit, announced", func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 101)) }, func(c *Config) { c.MaxBody = 100 }, ErrTooLarge},
		{"a body over the limit, in chunks", func(w http.ResponseWriter, r *http.Request) {
			for range 11 {
				w.Write(make([]byte, 10))
				w.(http.Flusher).Flush()
			}
		}, func(c *Config) { c.MaxBody = 100 }, ErrTooLarge},
		{"a body of exactly the limit that is no JSON", func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 100)) }, func(c *Config) { c.MaxBody = 100 }, ErrJSON},
		{"headers over the limit", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X", strings.Repeat("x", 64<<10)) }, nil, ErrConnect},
		{"JSON of another type", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `[1]`) }, nil, ErrJSON},
		{"JSON with something behind it", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{} {}`) }, nil, ErrJSON},
		{"nothing", func(w http.ResponseWriter, r *http.Request) {}, nil, ErrJSON},
		{"silence before the answer", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(c *Config) { c.Total = time.Second }, ErrTimeout},
		{"silence in the body", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"a":`)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, func(c *Config) { c.Total = time.Second }, ErrTimeout},
		{"a body that is cut off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, `{`)
		}, nil, ErrConnect},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, c.handle)
			err := s.client(c.change).GetJSON(t.Context(), s.at("example.com", "/secret-path?secret-query=1"), &struct{}{})
			if status := (*StatusError)(nil); errors.As(c.want, &status) {
				if got := (*StatusError)(nil); !errors.As(err, &got) || *got != *status {
					t.Fatalf("got %v, want %v", err, c.want)
				}
			} else if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the path or the query: %v", err)
			}
			if n := s.asked.Load(); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestRefusedBeforeAnyByteIsSent(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{}`) })
	strict := func(c *Config) { c.Allow = nil }
	for _, c := range []struct {
		name   string
		url    string
		change func(*Config)
		want   error
	}{
		{"a name that points at loopback", s.at("example.com", "/"), strict, ErrAddress},
		{"a literal loopback address", s.at("127.0.0.1", "/"), strict, ErrAddress},
		{"a mapped loopback address", s.at("example.com", "/"), func(c *Config) { c.Allow, c.Lookup = nil, lookup("::ffff:127.0.0.1") }, ErrAddress},
		{"a private address beside a good one", s.at("example.com", "/"), func(c *Config) { c.Lookup = lookup("127.0.0.1", "10.0.0.1") }, ErrAddress},
		{"NAT64 beside a good one", s.at("example.com", "/"), func(c *Config) { c.Lookup = lookup("127.0.0.1", "64:ff9b::7f00:1") }, ErrAddress},
		{"a name without addresses", s.at("example.com", "/"), func(c *Config) { c.Lookup = lookup() }, ErrResolve},
		{"a name that is not there", s.at("example.com", "/"), func(c *Config) {
			c.Lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, &net.DNSError{IsNotFound: true} }
		}, ErrResolve},
		{"a resolver that does not answer", s.at("example.com", "/"), func(c *Config) {
			c.Resolve = 50 * time.Millisecond
			c.Lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }
		}, ErrTimeout},
		{"plain http", strings.Replace(s.at("example.com", "/"), "https", "http", 1), nil, ErrURL},
		{"a certificate for another name", s.at("pay.other.org", "/"), nil, ErrConnect},
		{"a certificate of nobody", s.at("example.com", "/"), func(c *Config) { c.Roots = x509.NewCertPool() }, ErrConnect},
		{"an onion service without a proxy", "http://" + onion + "/", nil, ErrNoProxy},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := s.client(c.change).Get(t.Context(), c.url); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if s.asked.Load() != 0 {
				t.Error("the server was asked")
			}
		})
	}
}

func TestConnectsToTheAddressThatWasChecked(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{}`) })
	asked := 0
	c := s.client(func(c *Config) {
		c.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		c.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			if asked++; asked > 1 {
				return lookup("10.0.0.1")(ctx, host)
			}
			return lookup("127.0.0.1")(ctx, host)
		}
	})
	if _, err := c.Get(t.Context(), s.at("example.com", "/")); err != nil {
		t.Fatal(err)
	}
	if asked != 1 {
		t.Errorf("resolved %d times", asked)
	}
	if _, err := c.Get(t.Context(), s.at("example.com", "/")); !errors.Is(err, ErrAddress) {
		t.Errorf("the second request, with a private address: %v", err)
	}
}

func TestTriesTheNextAddress(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{}`) })
	c := s.client(func(c *Config) {
		c.Lookup = lookup("::1", "127.0.0.2", "127.0.0.1")
		c.Allow = append(c.Allow, netip.MustParsePrefix("::1/128"))
	})
	if _, err := c.Get(t.Context(), s.at("example.com", "/")); err != nil {
		t.Fatal(err)
	}
}

func TestNobodyListens(t *testing.T) {
	s := newSite(t, http.NotFound)
	u := s.at("example.com", "/")
	s.Close()
	if _, err := s.client(nil).Get(t.Context(), u); !errors.Is(err, ErrConnect) {
		t.Errorf("got %v", err)
	}
}

func TestTheCallerEndsIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	if _, err := s.client(nil).Get(ctx, s.at("example.com", "/")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestTheEnvironmentNamesNoProxy(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{}`) })
	if _, err := s.client(nil).Get(t.Context(), s.at("example.com", "/")); err != nil {
		t.Error(err)
	}
}

func ExampleClient_GetJSON() {
	var pay struct {
		Tag string `json:"tag"`
	}
	err := New(Config{}).GetJSON(context.Background(), "https://169.254.169.254/latest/meta-data", &pay)
	fmt.Println(err)
	// Output: get: address not public: a literal address
}
