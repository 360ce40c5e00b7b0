package orders

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/mostro-cln/mostro/"

// Who may know what: the exchange knows no Nostr and no Lightning, Nostr knows no Lightning, guests know little.
var forbidden = map[string][]string{
	"orders":              {module, "github.com/nbd-wtf/go-nostr", "github.com/elementsproject/glightning", "net", "os/exec", "crypto/rand", "math/rand"},
	"nostrio":             {module + "plugin", module + "contrib", "github.com/elementsproject/glightning", "go.etcd.io/bbolt"},
	"plugin/clnio":        {module, "github.com/nbd-wtf/go-nostr"},
	"contrib/holdinvoice": {module + "orders", module + "nostrio", module + "contrib", "github.com/nbd-wtf/go-nostr", "github.com/elementsproject/glightning", "net/http"},
	"contrib/relay":       {module + "orders", module + "nostrio", module + "plugin"},
	"contrib/simln":       {module + "orders", module + "nostrio", module + "plugin"},
	"contrib/trader":      {module + "plugin"},
}

// free may be imported by all: in a release it is empty.
const free = module + "orders/failpoint"

func TestImportsFollowTheDesign(t *testing.T) {
	for dir, banned := range forbidden {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, imp := range f.Imports {
				name := strings.Trim(imp.Path.Value, `"`)
				for _, b := range banned {
					own := strings.HasPrefix(name, module+dir) || name == free
					if !own && (name == strings.TrimSuffix(b, "/") || strings.HasPrefix(name, strings.TrimSuffix(b, "/")+"/")) {
						t.Errorf("%s imports %s", path, name)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestOnlyStoreFilesImportBbolt(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			if strings.Contains(imp.Path.Value, "bbolt") && !strings.HasPrefix(path, "store") && !strings.HasPrefix(path, "migrate") && !strings.HasSuffix(path, "_test.go") {
				t.Errorf("%s imports bbolt", path)
			}
		}
	}
}

// The clock is read at the edge, once per input.
func TestNoFileOfTheExchangeReadsTheClock(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, bannedCall := range []string{"time.Now", "time.Since", "time.Sleep"} {
			if pos := findCall(f, bannedCall); pos.IsValid() {
				t.Errorf("%s calls %s", fset.Position(pos), bannedCall)
			}
		}
	}
}
