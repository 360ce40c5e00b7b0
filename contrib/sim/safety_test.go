package sim

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What safety.md points at is there.
func TestSafetyPointsAtWhatIsThere(t *testing.T) {
	text, err := os.ReadFile("../docs/safety.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"name": true}
	for _, i := range Invariants {
		known[i[0]] = true
	}
	for _, m := range regexp.MustCompile(`sim: ([a-z, -]+)`).FindAllSubmatch(text, -1) {
		for _, name := range strings.Split(string(m[1]), ",") {
			if name = strings.TrimSpace(name); !known[name] {
				t.Errorf("there is no invariant %q", name)
			}
		}
	}
	var code bytes.Buffer
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		code.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`(Test[A-Za-z0-9_]+)`").FindAllSubmatch(text, -1) {
		if !bytes.Contains(code.Bytes(), append([]byte("func "), append(m[1], '(')...)) {
			t.Errorf("there is no test %s", m[1])
		}
	}
}
