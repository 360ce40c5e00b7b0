package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The page that is embedded was built from the sources beside us. It is built by `make web`, which needs Node.
func TestEmbeddedPageIsFresh(t *testing.T) {
	const root = "../contrib/web"
	files := []string{"index.html", "package-lock.json", "tsconfig.json", "vite.config.ts"}
	for _, dir := range []string{"src", "public"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				name, _ := filepath.Rel(root, path)
				files = append(files, filepath.ToSlash(name))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(files)
	sum := sha256.New()
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(sum, name+"\x00")
		sum.Write(data)
		sum.Write([]byte{0})
	}
	built, err := fs.ReadFile(webPage, "webpage/sources.sha256")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.TrimSpace(string(built)), hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("plugin/webpage was built from other sources (%.8s, they are %.8s): run make web", got, want)
	}
}

func TestEmbeddedPageIsWholeAndSmall(t *testing.T) {
	index, err := fs.ReadFile(webPage, "webpage/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<style", "style=", "onload=", "//cdn", "http://", "https://fonts"} {
		if strings.Contains(strings.ReplaceAll(string(index), "http://127.0.0.1:* http://localhost:*", ""), bad) {
			t.Errorf("index.html has %q in it", bad)
		}
	}
	var size int64
	err = fs.WalkDir(webPage, "webpage", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		size += info.Size()
		return err
	})
	if err != nil || size > 700<<10 {
		t.Errorf("%d bytes, %v: want at most 700 kB", size, err)
	}
}

func testPage() http.Handler {
	return newPage(fstest.MapFS{
		"index.html": {Data: []byte("<p>page")}, "main-abc.js": {Data: []byte("1")}, "sw.js": {Data: []byte("2")}, "a.webmanifest": {Data: []byte("{}")},
	}, pageInfo{Relays: []string{"wss://r"}, Servers: []string{"ab"}})
}

func TestPageIsServedWithItsHeaders(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
		kind, cache  string
		body         string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "no-cache", "<p>page"},
		{"GET", "/index.html", 200, "text/html; charset=utf-8", "no-cache", "<p>page"},
		{"GET", "/main-abc.js", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "1"},
		{"GET", "/sw.js", 200, "text/javascript; charset=utf-8", "no-cache", "2"},
		{"GET", "/a.webmanifest", 200, "application/manifest+json", "no-cache", "{}"},
		{"GET", "/mostro.json", 200, "application/json", "no-cache", `{"relays":["wss://r"],"servers":["ab"]}`},
		{"GET", "/nothing", 404, "text/plain; charset=utf-8", "", "there is no such page\n"},
		{"GET", "/../webpage.go", 404, "text/plain; charset=utf-8", "", "there is no such page\n"},
		{"GET", "//etc/passwd", 404, "text/plain; charset=utf-8", "", "there is no such page\n"},
		{"POST", "/", 405, "text/plain; charset=utf-8", "", "the page is only read\n"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(c.method, "/", nil)
		r.URL.Path = c.path
		testPage().ServeHTTP(w, r)
		h := w.Result().Header
		if w.Code != c.status || w.Body.String() != c.body || h.Get("Content-Type") != c.kind || h.Get("Cache-Control") != c.cache {
			t.Errorf("%s %s: got %d %q %q %q", c.method, c.path, w.Code, h.Get("Content-Type"), h.Get("Cache-Control"), w.Body)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY",
		} {
			if !strings.Contains(h.Get(name), want) {
				t.Errorf("%s %s: %s is %q", c.method, c.path, name, h.Get(name))
			}
		}
		if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("the policy allows something unsafe: %s", h.Get("Content-Security-Policy"))
		}
	}
}

func TestPageThatWasNotBuiltSaysSo(t *testing.T) {
	w := httptest.NewRecorder()
	newPage(fstest.MapFS{}, pageInfo{}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 404 || !strings.Contains(w.Body.String(), "make web") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestPageIsServedUntilTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- servePage(ctx, l, testPage(), slog.New(slog.DiscardHandler)) }()
	res, err := http.Get("http://" + l.Addr().String() + "/mostro.json")
	if err != nil {
		t.Fatal(err)
	}
	var info pageInfo
	if err := json.NewDecoder(res.Body).Decode(&info); err != nil || info.Servers[0] != "ab" {
		t.Errorf("got %+v, %v", info, err)
	}
	res.Body.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestWebListenIsLoopback(t *testing.T) {
	for value, ok := range map[string]bool{
		"127.0.0.1:7280": true, "localhost:80": true, "[::1]:7280": true, "127.9.9.9:1": true, "127.0.0.1:0": true, "": true,
		"0.0.0.0:7280": false, ":7280": false, "192.168.1.2:7280": false, "example.com:80": false, "127.0.0.1": false,
		"127.0.0.1:99999": false, "[::]:80": false, "127.0.0.1:http": false, "7280": false,
	} {
		c, err := parseConfig(map[string]string{"mostro-web-listen": value}, nodeOf("/l/bitcoin", "lightning-rpc", "bitcoin", true))
		if (err == nil) != ok || ok && c.WebListen != value {
			t.Errorf("%q: got %q, %v", value, c.WebListen, err)
		}
		if !ok && !strings.Contains(err.Error(), "mostro-web-listen: got") {
			t.Errorf("%q: the error is %q", value, err)
		}
	}
}
