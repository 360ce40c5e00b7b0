package webpage

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// What a page may not hold, since the policy stops it: each would be a button that does nothing.
var stopped = []struct {
	what string
	in   *regexp.Regexp
}{
	{"a script in the page", regexp.MustCompile(`(?i)<script(\s[^>]*)?>\s*[^<\s]`)},
	{"a style in the page", regexp.MustCompile(`(?i)<style|\sstyle\s*=`)},
	{"an event handler", regexp.MustCompile(`(?i)<[^>]*\son[a-z]+\s*=`)},
	{"a base address", regexp.MustCompile(`(?i)<base\b`)},
	{"something of another host", regexp.MustCompile(`(?i)<(script|link|img|iframe)\b[^>]*(src|href)\s*=\s*["']?(https?:)?//`)},
}

func problems(page string) (list []string) {
	for _, s := range stopped {
		if s.in.MatchString(page) {
			list = append(list, s.what)
		}
	}
	return list
}

// The client that is built into this program, or the page in its place, works under the policy.
func TestTheBuiltPageWorksUnderItsPolicy(t *testing.T) {
	files, err := load(Built())
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range files {
		if f.kind == otherType {
			t.Errorf("%s has no type of its own", name)
		}
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		for _, p := range problems(string(f.plain)) {
			t.Errorf("%s has %s", name, p)
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"#:]+)"`).FindAllStringSubmatch(string(f.plain), -1) {
			target := strings.TrimPrefix(strings.TrimPrefix(m[1], "."), "/")
			if target != aboutPath && files[target] == nil {
				t.Errorf("%s points to %s, which is not there", name, m[1])
			}
		}
	}
	if _, err := fs.Stat(Built(), aboutPath); err == nil {
		t.Errorf("%s is ours to make", aboutPath)
	}
}

func TestAPageThatItsPolicyWouldStopIsFound(t *testing.T) {
	for page, want := range map[string]int{
		`<script type="module" crossorigin src="./assets/a.js"></script><p>one=two`: 0,
		`<script>x()</script>`:                      1,
		`<p style="color:red">`:                     1,
		`<style>p{}</style>`:                        1,
		`<body onload="x()">`:                       1,
		`<link href="//fonts.example/a.css">`:       1,
		`<script src=https://cdn.example></script>`: 1,
		`<base href="/">`:                           1,
	} {
		if got := problems(page); len(got) != want {
			t.Errorf("%s: %v", page, got)
		}
	}
}
