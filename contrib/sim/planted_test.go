package sim

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var plantedAt = regexp.MustCompile(`planted\.On\("([^"]+)"\)`)

// The list and the places in the product agree.
func TestEveryPlantedBugIsListedAndPlanted(t *testing.T) {
	listed := map[string]bool{}
	for _, b := range Bugs {
		if listed[b.Name] || b.What == "" {
			t.Errorf("%+v", b)
		}
		listed[b.Name] = true
	}
	if len(Bugs) < 15 {
		t.Errorf("%d bugs", len(Bugs))
	}
	planted := map[string]bool{}
	for _, dir := range []string{"orders", "nostrio", "plugin", "contrib/holdinvoice"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range plantedAt.FindAllSubmatch(text, -1) {
				planted[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range planted {
		if !listed[name] {
			t.Errorf("%s is planted and not listed", name)
		}
	}
	for name := range listed {
		if !planted[name] {
			t.Errorf("%s is listed and not planted", name)
		}
	}
}

func TestAReleaseHasNoPlantedBug(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the plugin")
	}
	binary := filepath.Join(t.TempDir(), "mostro")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../plugin")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range Bugs {
		if bytes.Contains(text, []byte(b.Name)) {
			t.Errorf("the plugin has %s", b.Name)
		}
	}
	if !bytes.Contains(text, []byte("mostro-settleorder")) {
		t.Error("this is not the plugin")
	}
}
