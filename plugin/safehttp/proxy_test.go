package safehttp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// socks is a SOCKS5 proxy (RFC 1928) that leads every name to one server, and tells which names it was asked for.
type socks struct {
	net.Listener
	names chan string
}

func newSocks(t *testing.T, to string) *socks {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &socks{l, make(chan string, 10)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn, to)
		}
	}()
	return s
}

func (s *socks) serve(conn net.Conn, to string) {
	defer conn.Close()
	name, err := greet(conn)
	if err != nil {
		return
	}
	s.names <- name
	out, err := net.Dial("tcp", to)
	if err != nil {
		conn.Write([]byte{5, 4, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	defer out.Close()
	conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go io.Copy(out, conn)
	io.Copy(conn, out)
}

// greet takes the client's method and its request, which must be CONNECT to a name.
func greet(conn net.Conn) (string, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		return "", err
	}
	if _, err := io.CopyN(io.Discard, conn, int64(head[1])); err != nil {
		return "", err
	}
	conn.Write([]byte{5, 0})
	req := make([]byte, 5)
	if _, err := io.ReadFull(conn, req); err != nil {
		return "", err
	}
	if req[0] != 5 || req[1] != 1 || req[3] != 3 {
		return "", errors.New("not a CONNECT to a name")
	}
	rest := make([]byte, int(req[4])+2)
	if _, err := io.ReadFull(conn, rest); err != nil {
		return "", err
	}
	name, port := rest[:req[4]], rest[req[4]:]
	return fmt.Sprintf("%s:%d", name, binary.BigEndian.Uint16(port)), nil
}

func TestOnionServicesGoThroughTheProxy(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "host %s", r.Host) }))
	t.Cleanup(plain.Close)
	s := newSocks(t, plain.Listener.Addr().String())
	c := New(Config{Proxy: s.Addr().String()})
	body, err := c.Get(t.Context(), "http://"+onion+"/x")
	if err != nil || string(body) != "host "+onion {
		t.Fatalf("got %q, %v", body, err)
	}
	if name := <-s.names; name != onion+":80" {
		t.Errorf("the proxy was asked for %s", name)
	}
}

func TestOtherHostsGoThroughTheProxyIfAllDo(t *testing.T) {
	web := newSite(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{}`) })
	s := newSocks(t, web.Listener.Addr().String())
	// The lookup would refuse: with the proxy the name is resolved at its far end.
	c := web.client(func(c *Config) {
		c.Proxy, c.ProxyAll, c.Lookup, c.Allow = s.Addr().String(), true, lookup("10.0.0.1"), nil
	})
	if _, err := c.Get(t.Context(), "https://example.com/x"); err != nil {
		t.Fatal(err)
	}
	if name := <-s.names; name != "example.com:443" {
		t.Errorf("the proxy was asked for %s", name)
	}
	if _, err := c.Get(t.Context(), "https://www.other.org/x"); !errors.Is(err, ErrConnect) {
		t.Errorf("a certificate for another name, through the proxy: %v", err)
	}
	<-s.names
	for _, u := range []string{"https://192.168.1.1/", "https://router.lan/", "http://example.com/"} {
		if _, err := c.Get(t.Context(), u); !errors.Is(err, ErrURL) && !errors.Is(err, ErrAddress) {
			t.Errorf("%s through the proxy: %v", u, err)
		}
	}
	select {
	case name := <-s.names:
		t.Errorf("the proxy was asked for %s", name)
	default:
	}
}

func TestOtherHostsDoNotGoThroughTheProxy(t *testing.T) {
	web := newSite(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{}`) })
	c := web.client(func(c *Config) { c.Proxy = "127.0.0.1:1" })
	if _, err := c.Get(t.Context(), web.at("example.com", "/")); err != nil {
		t.Error(err)
	}
}

func TestProxiesThatFail(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	refusing := newSocks(t, dead.Addr().String())
	for name, c := range map[string]struct {
		proxy string
		want  error
	}{
		"nobody listens":              {dead.Addr().String(), ErrConnect},
		"it does not answer":          {silent.Addr().String(), ErrTimeout},
		"it cannot reach the service": {refusing.Addr().String(), ErrConnect},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Config{Proxy: c.proxy, Slow: 200 * time.Millisecond}).Get(t.Context(), "http://"+onion+"/secret")
			if !errors.Is(err, c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
