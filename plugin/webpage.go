package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"
)

// webPage is the web client as `make web` has built it. The page speaks to relays only; we merely hand out its files,
// and it needs nothing from us afterwards.
//
//go:embed all:webpage
var webPage embed.FS

// pagePolicy lets the page load what came with it and speak to relays, and nothing else: no foreign script, style or
// frame (W3C, Content Security Policy). https is for encrypted files of a chat, which users put on servers of theirs.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; " +
	"connect-src 'self' wss: ws: https: http://127.0.0.1:* http://localhost:*; worker-src 'self'; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pageInfo is mostro.json: what the page learns of the exchange that hands it out.
type pageInfo struct {
	Relays  []string `json:"relays"`
	Servers []string `json:"servers"` // public keys, hex; we are the first
}

// webRetry is how long we wait for a port that is taken.
const webRetry = 10 * time.Second

// serveWeb serves the web client at mostro-web-listen until ctx ends. A port that another program has is told once and
// tried again: the page is no reason to stop the exchange.
func (h *house) serveWeb(ctx context.Context) error {
	if h.config.WebListen == "" {
		return nil
	}
	files, err := fs.Sub(webPage, "webpage")
	if err != nil {
		return err
	}
	page := newPage(files, pageInfo{Relays: h.config.Relays, Servers: []string{h.key.PubKey().String()}})
	for told := false; ; told = true {
		l, err := net.Listen("tcp", h.config.WebListen)
		if err == nil {
			h.log.Info("the web client is served", "address", "http://"+l.Addr().String()+"/")
			return servePage(ctx, l, page, h.log)
		}
		if !told {
			h.log.Error("mostro-web-listen: the web client is not served, we try on", "address", h.config.WebListen, "err", err)
		}
		select {
		case <-time.After(webRetry):
		case <-ctx.Done():
			return nil
		}
	}
}

// servePage answers on l until ctx ends.
func servePage(ctx context.Context, l net.Listener, page http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler: page, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // ends Serve below
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Error("the web client is no longer served", "err", err)
	}
	return nil
}

// newPage is the handler of all that the page consists of.
func newPage(files fs.FS, info pageInfo) http.Handler {
	about, err := json.Marshal(info)
	if err != nil {
		panic(err) // strings only
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", pagePolicy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("X-Frame-Options", "DENY")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			head.Set("Allow", "GET, HEAD")
			http.Error(w, "the page is only read", http.StatusMethodNotAllowed)
			return
		}
		switch name := strings.TrimPrefix(path.Clean(r.URL.Path), "/"); name {
		case "mostro.json":
			sendPage(w, name, about)
		case "":
			sendFile(w, files, "index.html")
		default:
			sendFile(w, files, name)
		}
	})
}

func sendFile(w http.ResponseWriter, files fs.FS, name string) {
	data, err := fs.ReadFile(files, name)
	switch {
	case err == nil:
		sendPage(w, name, data)
	case name == "index.html":
		http.Error(w, "this program was built without the web client: run make web, then build it again", http.StatusNotFound)
	default:
		http.Error(w, "there is no such page", http.StatusNotFound)
	}
}

// pageTypes are the types of the page's files; the system's table of types differs from machine to machine.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".json": "application/json", ".webmanifest": "application/manifest+json", ".svg": "image/svg+xml", ".png": "image/png",
	".txt": "text/plain; charset=utf-8", ".sha256": "text/plain; charset=utf-8",
}

func sendPage(w http.ResponseWriter, name string, data []byte) {
	head := w.Header()
	kind, ok := pageTypes[path.Ext(name)]
	if !ok {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	head.Set("Content-Type", kind)
	head.Set("Content-Length", strconv.Itoa(len(data)))
	// A name with a hash of its content stands for that content alone; the others may change with every build.
	if ext := path.Ext(name); strings.Contains(name, "-") && (ext == ".js" || ext == ".css") {
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		head.Set("Cache-Control", "no-cache")
	}
	_, _ = w.Write(data) // who has gone needs no answer
}

// loopback is an address of this machine alone with a port: host:port, where host is localhost or a loopback address.
// The page is public, but plain HTTP on a network is not for keys; a web server with TLS goes in front of it.
func loopback(field func(*Config) *string) rule {
	return rule{
		wants: "localhost:PORT, 127.0.0.1:PORT or [::1]:PORT; a web server in front of it can serve it to others",
		put: func(c *Config, value string) string {
			if value == "" {
				*field(c) = ""
				return ""
			}
			host, port, err := net.SplitHostPort(value)
			n, perr := strconv.ParseUint(port, 10, 16)
			if err != nil || perr != nil || n == 0 && port != "0" {
				return quote(value)
			}
			addr, err := netip.ParseAddr(host)
			if host != "localhost" && (err != nil || !addr.IsLoopback()) {
				return quote(value)
			}
			*field(c) = value
			return ""
		},
	}
}
