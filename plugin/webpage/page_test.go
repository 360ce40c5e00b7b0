package webpage

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

const (
	script = "assets/index-Ab12_-xY.js"
	deadly = 20 * time.Second // no test waits longer for what must happen
)

var site = fstest.MapFS{
	"index.html":                {Data: []byte("<!doctype html><title>page</title>" + strings.Repeat("<p>text</p>", 100))},
	script:                      {Data: bytes.Repeat([]byte("export const a = 1;\n"), 200)},
	"assets/short.js":           {Data: []byte("1")},
	"assets/photo-deadbeef.png": {Data: []byte("\x89PNG")},
	"manifest.webmanifest":      {Data: []byte(`{"name":"page"}`)},
	"sw.js":                     {Data: []byte("self.skipWaiting()")},
	"_odd.bin":                  {Data: []byte{0, 1}},
}

// start serves a page until the test ends, and returns its host and port.
func start(t *testing.T, c Config) string {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Files == nil {
		c.Files = site
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	run(t, p)
	return strings.TrimPrefix(awaitURL(t, p), "http://")
}

func run(t *testing.T, p *Page) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("run: %v", err)
			}
		case <-time.After(deadly):
			t.Error("run does not end with its context")
		}
	})
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadly); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never comes to this: %s", what)
		}
	}
}

func awaitURL(t *testing.T, p *Page) (url string) {
	t.Helper()
	eventually(t, "the page is served", func() bool {
		url, _ = p.State()
		return url != ""
	})
	return url
}

// say sends bytes as they are on a connection of its own and reads the one answer.
func say(t *testing.T, addr, request string) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(deadly))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.80q: %v", request, err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%.80q: %v", request, err)
	}
	return r, string(body)
}

func get(t *testing.T, addr, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	return say(t, addr, "GET "+path+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+strings.Join(append(headers, ""), "\r\n")+"\r\n")
}

func TestEachFileHasItsTypeAndItsTimeInCaches(t *testing.T) {
	addr := start(t, Config{})
	for _, c := range []struct{ path, file, kind, cache string }{
		{"/", "index.html", "text/html; charset=utf-8", "no-cache"},
		{"/?utm=1&x=%00", "index.html", "text/html; charset=utf-8", "no-cache"},
		{"/index.html", "index.html", "text/html; charset=utf-8", "no-cache"},
		{"/" + script, script, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/assets/short.js", "assets/short.js", "text/javascript; charset=utf-8", "no-cache"},
		{"/assets/photo-deadbeef.png", "assets/photo-deadbeef.png", "image/png", "public, max-age=31536000, immutable"},
		{"/manifest.webmanifest", "manifest.webmanifest", "application/manifest+json", "no-cache"},
		{"/sw.js", "sw.js", "text/javascript; charset=utf-8", "no-cache"},
		{"/_odd.bin", "_odd.bin", "application/octet-stream", "no-cache"},
	} {
		r, body := get(t, addr, c.path)
		if r.StatusCode != 200 || body != string(site[c.file].Data) {
			t.Errorf("%s: status %d, %d bytes", c.path, r.StatusCode, len(body))
		}
		if kind, cache := r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"); kind != c.kind || cache != c.cache {
			t.Errorf("%s: got %q, %q; want %q, %q", c.path, kind, cache, c.kind, c.cache)
		}
		head, none := say(t, addr, "HEAD "+c.path+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if head.StatusCode != 200 || none != "" || head.ContentLength != int64(len(body)) || head.Header.Get("ETag") != r.Header.Get("ETag") {
			t.Errorf("HEAD %s: status %d, body %q, length %d", c.path, head.StatusCode, none, head.ContentLength)
		}
	}
}

func TestEveryAnswerGuardsThePage(t *testing.T) {
	addr := start(t, Config{})
	for _, request := range []string{"GET / ", "GET /" + script + " ", "GET /server.json ", "GET /none ", "POST / ", "HEAD / "} {
		r, _ := say(t, addr, request+"HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Server": "",
			"Access-Control-Allow-Origin": "", "Set-Cookie": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", request, name, got, want)
			}
		}
		csp := r.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self'; ") || strings.Contains(csp, "unsafe") || strings.Contains(csp, " http:") {
			t.Errorf("%s: policy %q", request, csp)
		}
		for _, want := range []string{"frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "connect-src 'self' ws: wss: https:"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: policy without %s", request, want)
			}
		}
	}
}

func TestCompressionIsAgreedOn(t *testing.T) {
	addr := start(t, Config{})
	for header, want := range map[string]bool{
		"":                                             false,
		"Accept-Encoding: gzip":                        true,
		"Accept-Encoding: br, GZIP;q=0.5":              true,
		"Accept-Encoding: *":                           true,
		"Accept-Encoding: identity":                    false,
		"Accept-Encoding: gzip;q=0":                    false,
		"Accept-Encoding: gzip; q=0.000":               false,
		"Accept-Encoding: gzip;q=x":                    false,
		"Accept-Encoding: gzipped":                     false,
		"Accept-Encoding: br\r\nAccept-Encoding: gzip": true,
	} {
		r, body := get(t, addr, "/"+script, strings.Split(header, "\r\n")...)
		if header == "" {
			r, body = get(t, addr, "/"+script)
		}
		if got := r.Header.Get("Content-Encoding") == "gzip"; got != want || r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: gzip %v, vary %q", header, got, r.Header.Get("Vary"))
			continue
		}
		if want {
			z, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			raw, err := io.ReadAll(z)
			if err != nil || !bytes.Equal(raw, site[script].Data) || len(body) >= len(raw) {
				t.Errorf("%q: %d bytes of %d, %v", header, len(body), len(raw), err)
			}
		}
	}
	if r, _ := get(t, addr, "/assets/photo-deadbeef.png", "Accept-Encoding: gzip"); r.Header.Get("Content-Encoding") != "" || r.Header.Get("Vary") != "" {
		t.Error("a picture is compressed again")
	}
}

func TestAFileThatIsKnownIsNotSentAgain(t *testing.T) {
	addr := start(t, Config{})
	r, _ := get(t, addr, "/")
	z, _ := get(t, addr, "/", "Accept-Encoding: gzip")
	tag, gz := r.Header.Get("ETag"), z.Header.Get("ETag")
	if tag == gz || len(tag) != 18 || tag[0] != '"' {
		t.Fatalf("tags %s, %s", tag, gz)
	}
	for header, want := range map[string]int{
		"If-None-Match: " + tag: 304, "If-None-Match: " + gz: 304, "If-None-Match: W/" + tag: 304, "If-None-Match: *": 304,
		`If-None-Match: "a", ` + gz: 304, `If-None-Match: "a"`: 200, "If-None-Match: " + strings.Trim(tag, `"`): 200, "If-None-Match:": 200,
	} {
		r, body := get(t, addr, "/", header)
		if r.StatusCode != want || want == 304 && (body != "" || r.Header.Get("ETag") != tag) {
			t.Errorf("%q: status %d, %d bytes", header, r.StatusCode, len(body))
		}
	}
	if r, _ := get(t, addr, "/sw.js", "If-None-Match: "+tag); r.StatusCode != 200 {
		t.Error("another file's tag counts")
	}
}

func TestThePageLearnsWhoServesIt(t *testing.T) {
	want := About{PubKey: strings.Repeat("ab", 32), Relays: []string{"wss://r.example", "ws://127.0.0.1:7000"}, Name: `A "<b>" & co`, Version: "v1"}
	addr := start(t, Config{About: want})
	r, body := get(t, addr, "/server.json")
	var got About
	if err := json.Unmarshal([]byte(body), &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %s, %v", body, err)
	}
	if strings.Contains(body, "<") || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("got %s as %s", body, r.Header.Get("Content-Type"))
	}
}

func TestHostileRequestsGetAShortNo(t *testing.T) {
	addr := start(t, Config{})
	for _, c := range []struct {
		name, request string
		want          int
	}{
		{"a path that climbs", "GET /../page.go HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"a path that climbs, escaped", "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"a path that climbs by backslash", "GET /..\\..\\etc\\passwd HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"a path that climbs inside", "GET /assets/../index.html HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"a path with two slashes", "GET //index.html HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"a path with a zero byte", "GET /index.html%00.js HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"a folder", "GET /assets/ HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"a folder without its slash", "GET /assets HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"another case", "GET /INDEX.HTML HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"markup as a path", "GET /<script>alert(1)</script> HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"another site's address", "GET http://evil.example/x HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"a proxy's question", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: h\r\n\r\n", 405},
		{"a question to all", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 405},
		{"an upload", "PUT /index.html HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", 405},
		{"a message", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", 405},
		{"a deletion", "DELETE / HTTP/1.1\r\nHost: h\r\n\r\n", 405},
		{"a method of its own", "FROB / HTTP/1.1\r\nHost: h\r\n\r\n", 405},
		{"a GET with a body", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 400},
		{"a GET with a body in chunks", "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"two lengths", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\r\n\r\n", 400},
		{"a huge head", "GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("a", 2*maxHeader) + "\r\n\r\n", 431},
		{"a header with a line break in its name", "GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, body := say(t, addr, c.request)
			if r.StatusCode != c.want {
				t.Errorf("status %d, want %d", r.StatusCode, c.want)
			}
			if len(body) > 100 || strings.Contains(body, "<") || strings.Contains(body, "evil") {
				t.Errorf("it says %q", body)
			}
			if allow := r.Header.Get("Allow"); (allow != "") != (c.want == 405) {
				t.Errorf("allow %q", allow)
			}
		})
	}
	if r, _ := get(t, addr, "/"); r.StatusCode != 200 {
		t.Errorf("afterwards: status %d", r.StatusCode)
	}
}

// Clients that send a byte now and then hold their places until the time for a request is over, and no longer.
func TestSlowClientsLoseTheirPlaces(t *testing.T) {
	const places = 4
	addr := start(t, Config{MaxConnections: places, HeaderTimeout: 300 * time.Millisecond})
	var slow []net.Conn
	for range places {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(deadly))
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: "); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, c)
		go func() {
			for { // ends when the server closes
				if _, err := io.WriteString(c, "a"); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
	}
	extra, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer extra.Close()
	extra.SetDeadline(time.Now().Add(deadly))
	if n, err := extra.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("one too many reads %d bytes, %v", n, err)
	}
	for _, c := range slow {
		_, err := io.Copy(io.Discard, c)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("a slow client keeps its place")
		}
	}
	eventually(t, "a place is free again", func() bool { return answers(addr) })
}

// answers reports whether the page can be had; a connection that is closed at once is a no.
func answers(addr string) bool {
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	r, err := (&http.Client{Transport: tr, Timeout: deadly}).Get("http://" + addr + "/")
	if err != nil {
		return false
	}
	defer r.Body.Close()
	return r.StatusCode == 200
}

// Who asks and never reads the answer is let go, too.
func TestAnAnswerThatNobodyReadsIsGivenUp(t *testing.T) {
	big := fstest.MapFS{"index.html": site["index.html"], "big.png": {Data: make([]byte, 32<<20)}}
	addr := start(t, Config{Files: big, MaxConnections: 1, WriteTimeout: 300 * time.Millisecond})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /big.png HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the place is free again", func() bool { return answers(addr) })
}

func TestABusyPortIsTriedAgainAndToldOnce(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var lines safeBuffer
	p, err := New(Config{Listen: other.Addr().String(), Files: site, Retry: time.Millisecond, Log: slog.New(slog.NewTextHandler(&lines, nil))})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, p)
	var problem error
	eventually(t, "the problem is told", func() bool {
		_, problem = p.State()
		return problem != nil
	})
	if !strings.Contains(problem.Error(), "address already in use") {
		t.Errorf("got %v", problem)
	}
	other.Close()
	if url := awaitURL(t, p); url != "http://"+other.Addr().String() {
		t.Errorf("served at %s", url)
	}
	if _, problem = p.State(); problem != nil {
		t.Errorf("still told: %v", problem)
	}
	if n := strings.Count(lines.String(), "is not served"); n != 1 {
		t.Errorf("told %d times:\n%s", n, lines.String())
	}
	stop()
	if url, problem := p.State(); url != "" || problem != nil {
		t.Errorf("after its end: %q, %v", url, problem)
	}
	if ln, err := net.Listen("tcp", other.Addr().String()); err != nil {
		t.Errorf("the port is still taken: %v", err)
	} else {
		ln.Close()
	}
}

func TestAnAddressOfAnotherMachineIsAProblemToTell(t *testing.T) {
	p, err := New(Config{Listen: "192.0.2.1:80", Files: site}) // RFC 5737: nobody's
	if err != nil {
		t.Fatal(err)
	}
	run(t, p)
	eventually(t, "the problem is told", func() bool {
		_, problem := p.State()
		return problem != nil && strings.Contains(problem.Error(), "192.0.2.1:80")
	})
}

// A page that is being read when the plugin stops does not hold it up.
func TestStoppingWaitsForNobody(t *testing.T) {
	p, err := New(Config{Listen: "127.0.0.1:0", Files: site})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, p)
	c, err := net.Dial("tcp", strings.TrimPrefix(awaitURL(t, p), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHo"); err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
		t.Fatal(err)
	}
	stop()
}

func TestAFaultInOneAnswerEndsThatAnswer(t *testing.T) {
	var lines safeBuffer
	h := recovering(slog.New(slog.NewTextHandler(&lines, nil)), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault") }))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	defer srv.Close()
	go srv.Serve(ln)
	if answers(ln.Addr().String()) || !strings.Contains(lines.String(), "a fault") {
		t.Errorf("the log says %q", lines.String())
	}
}

func TestAFolderWithoutAPageIsRefused(t *testing.T) {
	_, err := New(Config{Listen: "127.0.0.1:0", Files: fstest.MapFS{"main.js": {}}})
	if err == nil || !strings.Contains(err.Error(), "index.html") {
		t.Errorf("got %v", err)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
