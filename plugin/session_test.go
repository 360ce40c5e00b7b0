package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSessionChangesWithTheNodeAlone(t *testing.T) {
	dir := t.TempDir()
	load := func(startup bool) string {
		t.Helper()
		s, err := loadSession(dir, startup)
		if err != nil || s == "" {
			t.Fatalf("%q, %v", s, err)
		}
		return s
	}
	first := load(false)
	if again := load(false); again != first {
		t.Error("a restart of the plugin is another session")
	}
	second := load(true)
	if second == first || load(false) != second {
		t.Error("a restart of the node is not another session, or is not kept")
	}
	if err := os.WriteFile(filepath.Join(dir, "session"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	load(false) // an empty file: a crash while it was first written
}

// On a full disk a node starts with the session that it had, and without one it says why it cannot.
func TestASessionThatCannotBeWrittenIsTheOldOne(t *testing.T) {
	dir := t.TempDir()
	first, err := loadSession(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "session.new"), 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	if s, err := loadSession(dir, true); err != nil || s != first {
		t.Errorf("got %q, %v, want %q", s, err, first)
	}
	if err := os.Remove(filepath.Join(dir, "session")); err != nil {
		t.Fatal(err)
	}
	if s, err := loadSession(dir, true); err == nil {
		t.Errorf("got %q", s)
	}
}
