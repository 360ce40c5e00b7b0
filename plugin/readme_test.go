package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// The table of options in README.md is the one that the program prints.
func TestReadmeOptionsAreFresh(t *testing.T) {
	const path = "../README.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := writeOptionsMarkdown(&table); err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), "<!-- options:")
	if !ok {
		t.Fatal("README.md has no place for the options")
	}
	mark, rest, _ := strings.Cut(rest, "\n")
	_, after, ok := strings.Cut(rest, "<!-- end of options -->")
	if !ok {
		t.Fatal("README.md has no end of the options")
	}
	want := before + "<!-- options:" + mark + "\n" + table.String() + "<!-- end of options -->" + after
	if want == string(page) {
		return
	}
	if !*update {
		t.Fatal("the options in README.md are stale: run make golden")
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
