package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/contrib/scenario"
)

// page compares a file of contrib/docs with what the program prints; -update writes it.
func freshPage(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err == nil && bytes.Equal(got, want) {
		return
	}
	if !*update {
		t.Fatalf("%s is stale (%v): run make golden", path, err)
	}
	if err := os.WriteFile(path, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFreshManualOfCommands(t *testing.T) {
	var b bytes.Buffer
	if err := writeAdminMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	freshPage(t, "../contrib/docs/admin.md", b.Bytes())
}

// What follows from the table stands between two marks in the page about runes.
func TestFreshPageOfRunes(t *testing.T) {
	const path = "../contrib/docs/runes.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), "<!-- runes: written by make golden -->\n")
	_, after, ended := strings.Cut(rest, "<!-- end of runes -->")
	if !ok || !ended {
		t.Fatal("runes.md has no place for the runes")
	}
	var b bytes.Buffer
	if err := writeRunes(&b); err != nil {
		t.Fatal(err)
	}
	freshPage(t, path, []byte(before+"<!-- runes: written by make golden -->\n"+b.String()+"<!-- end of runes -->"+after))
}

// The table is the source of everything that a person reads: nothing in it may be left empty.
func TestTableOfMethodsIsWhole(t *testing.T) {
	name := regexp.MustCompile(`^mostro-[a-z]+$`)
	seen := map[string]bool{}
	for _, m := range methods {
		if !name.MatchString(m.name) || seen[m.name] || m.about == "" || len(m.examples) == 0 || natureWords[m.nature] == "" {
			t.Errorf("%s: incomplete, or twice", m.name)
		}
		seen[m.name] = true
		reading := slices.ContainsFunc(readPrefixes, func(p string) bool { return strings.HasPrefix(m.name, p) })
		if reading && m.nature != reads {
			t.Errorf("%s does more than read", m.name)
		}
		confirms := slices.ContainsFunc(m.params, func(p param) bool { return p.name == "confirm" })
		if confirms != (m.nature == pays) {
			t.Errorf("%s: money and confirm go together", m.name)
		}
		optional := false
		for _, p := range m.params {
			if p.about == "" || p.kind.wants == "" || p.kind.read == nil {
				t.Errorf("%s: parameter %s is not described", m.name, p.name)
			}
			if optional && !p.optional {
				t.Errorf("%s: %s must stand in front of what is optional", m.name, p.name)
			}
			optional = p.optional
		}
		for _, f := range resultFields(m.run.result, "") {
			if f.about == "" {
				t.Errorf("%s: result %s is not described", m.name, f.path)
			}
		}
		for _, code := range m.codes() {
			if codeWords[code] == "" {
				t.Errorf("%s: nobody says what %d means", m.name, code)
			}
		}
		for _, e := range m.examples {
			if !strings.Contains(e, m.name) {
				t.Errorf("%s: example %q", m.name, e)
			}
		}
	}
	for _, s := range solverMethods {
		if !seen[s] {
			t.Errorf("a solver needs %s, which there is not", s)
		}
	}
	for _, tp := range topics {
		for _, f := range resultFields(tp.shape, "") {
			if f.about == "" {
				t.Errorf("%s: %s is not described", tp.name, f.path)
			}
		}
	}
}

// The runes that are tried on real nodes are those of the page.
func TestRunesThatAreTriedAreThoseOfThePage(t *testing.T) {
	for want, r := range map[string][][]string{scenario.DashboardRune: dashboardRune(), scenario.SolverRune: solverRune("alice")} {
		if got, err := json.Marshal(r); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	if err := writeManPages(dir); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "lightning-mostro*.7"))
	if err != nil || len(pages) != len(methods)+1 {
		t.Fatalf("%d pages for %d commands, %v", len(pages), len(methods), err)
	}
	macro := regexp.MustCompile(`^\.(TH|SH|LP|TP|EX|EE)\b`)
	for _, path := range pages {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, ".") && !macro.MatchString(line) || strings.HasPrefix(line, "'") {
				t.Errorf("%s: text would be read as markup: %q", filepath.Base(path), line)
			}
		}
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		return // without it the macros above are all that can be looked at
	}
	out, err := exec.Command(groff, append([]string{"-man", "-Tutf8", "-ww", "-z"}, pages...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}

func TestRoffKeepsTextFromBeingMarkup(t *testing.T) {
	if got, want := roff(".SH x\n'y\n-N \\fB `a` …"), "\\&.SH x\n\\&'y\n\\-N \\efB a \\[u2026]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
