package webpage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// About is what the page learns of the exchange that serves it, at /server.json:
//
//	{"pubkey":"<64 hex>","relays":["wss://relay.example"],"name":"My exchange","version":"v1.0.0"}
//
// The rest is in the exchange's info event at those relays, which is signed.
type About struct {
	PubKey  string   `json:"pubkey"`
	Relays  []string `json:"relays"`
	Name    string   `json:"name,omitempty"`
	Version string   `json:"version"`
}

// aboutPath is where the page looks for About. One that is served by somebody else finds nothing there, or that
// server's choice.
const aboutPath = "server.json"

// handler answers from memory. Paths are looked up as they come: there is no folder behind them to climb out of, and
// no list of what there is.
type handler struct{ files map[string]*file }

func newHandler(files map[string]*file, a About) (*handler, error) {
	doc, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", aboutPath, err)
	}
	files[aboutPath] = newFile(aboutPath, append(doc, '\n'))
	return &handler{files: files}, nil
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed)
		return
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		refuse(w, http.StatusBadRequest) // nobody here reads a body
		return
	}
	name, rooted := strings.CutPrefix(r.URL.Path, "/")
	f := h.files[name]
	if !rooted || f == nil {
		refuse(w, http.StatusNotFound)
		return
	}
	f.serve(w, r)
}

// refuse says no in a few words of our own, never in the client's, and ends the connection.
func refuse(w http.ResponseWriter, status int) {
	h := w.Header()
	h.Set("Content-Type", types[".txt"])
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")
	w.WriteHeader(status)
	fmt.Fprintln(w, strings.ToLower(http.StatusText(status)))
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	body, tag := f.plain, `"`+f.tag+`"`
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", f.cache)
	if f.gzipped != nil {
		h.Set("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Values("Accept-Encoding")) {
			body, tag = f.gzipped, `"`+f.tag+`-gz"`
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", tag)
	if knows(r.Header.Values("If-None-Match"), f.tag) {
		h.Del("Content-Type")
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // a reader who has gone is no trouble of ours
	}
}

// takesGzip reads Accept-Encoding (RFC 9110, 12.5.3) as far as it concerns us.
func takesGzip(lines []string) bool {
	for part := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if coding = strings.TrimSpace(coding); !strings.EqualFold(coding, "gzip") && coding != "*" {
			continue
		}
		name, q, given := strings.Cut(strings.TrimSpace(weight), "=")
		if !given || !strings.EqualFold(strings.TrimSpace(name), "q") {
			return true
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return err == nil && value > 0
	}
	return false
}

// knows reports whether the client has the content, in either coding (RFC 9110, 13.1.2: the comparison is weak).
func knows(lines []string, tag string) bool {
	for part := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == "*" || part == `"`+tag+`"` || part == `"`+tag+`-gz"` {
			return true
		}
	}
	return false
}
