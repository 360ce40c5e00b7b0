package webpage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"path"
	"regexp"
)

// built is the client as `make web` left it. "all:" takes names that begin with _ or a dot, as a bundler may choose.
//
//go:embed all:dist
var built embed.FS

// Built is the folder of the built client.
func Built() fs.FS {
	sub, err := fs.Sub(built, "dist")
	if err != nil { // "dist" is a valid path
		panic("webpage: " + err.Error())
	}
	return sub
}

// types is every type of file that we serve with a name of its own; a browser is told not to guess (nosniff).
var types = map[string]string{
	".html":        "text/html; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".mjs":         "text/javascript; charset=utf-8",
	".css":         "text/css; charset=utf-8",
	".json":        "application/json",
	".map":         "application/json",
	".webmanifest": "application/manifest+json",
	".txt":         "text/plain; charset=utf-8",
	".svg":         "image/svg+xml",
	".png":         "image/png",
	".jpg":         "image/jpeg",
	".webp":        "image/webp",
	".ico":         "image/vnd.microsoft.icon",
	".woff2":       "font/woff2",
	".wasm":        "application/wasm",
}

const otherType = "application/octet-stream"

// packed says which of them gain from compression.
var packed = map[string]bool{
	".html": true, ".js": true, ".mjs": true, ".css": true, ".json": true, ".map": true, ".webmanifest": true, ".txt": true,
	".svg": true, ".ico": true, ".wasm": true,
}

// hashed is a name that changes with its content, as Vite gives in assets/: name-Ab12_-xY.js.
var hashed = regexp.MustCompile(`^assets/[^/]+-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$`)

// file is one answer, made before anybody asks.
type file struct {
	kind    string // Content-Type
	cache   string // Cache-Control
	tag     string // ETag without its quotes
	plain   []byte
	gzipped []byte // nil: not smaller
}

const (
	// cacheNever still lets a browser keep the file and ask whether it has changed.
	cacheNever = "no-cache"
	cacheLong  = "public, max-age=31536000, immutable"
)

// load reads every file of a folder. Keys are paths as in a URL, without the first slash; "" is the page itself.
func load(folder fs.FS) (map[string]*file, error) {
	files := map[string]*file{}
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		files[name] = newFile(name, content)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the web client: %w", err)
	}
	if files["index.html"] == nil {
		return nil, fmt.Errorf("read the web client: it has no index.html")
	}
	files[""] = files["index.html"]
	return files, nil
}

func newFile(name string, content []byte) *file {
	ext := path.Ext(name)
	f := &file{kind: types[ext], cache: cacheNever, plain: content}
	if f.kind == "" {
		f.kind = otherType
	}
	if hashed.MatchString(name) {
		f.cache = cacheLong
	}
	sum := sha256.Sum256(content)
	f.tag = base64.RawURLEncoding.EncodeToString(sum[:12])
	if small := squeeze(content); packed[ext] && len(small) < len(content) {
		f.gzipped = small
	}
	return f
}

// squeeze compresses as far as gzip can: it happens once.
func squeeze(content []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil { // a buffer takes everything
		return content
	}
	return b.Bytes()
}
