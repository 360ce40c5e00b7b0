package webpage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The client in dist was built from the sources beside us. `make web` builds it, and writes down what it was built from.
func TestTheBuiltPageIsOfTheseSources(t *testing.T) {
	const root = "../../contrib/web"
	built, err := fs.ReadFile(Built(), "sources.txt")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the client is not built into this tree")
	}
	if err != nil {
		t.Fatal(err)
	}
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
	if got, want := strings.TrimSpace(string(built)), hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("dist was built from other sources (%.8s…, these are %.8s…): run make web", got, want)
	}
}
