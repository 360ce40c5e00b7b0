package orders

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func (w *world) backup(name string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "backups", name)
	if _, err := w.e.Backup(w.t.Context(), path); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func TestABackupIsAWholeStoreOfItsOwn(t *testing.T) {
	w, id, _ := tradeIn(t, FiatSent)
	path := w.backup("one.db")
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 1 {
		t.Errorf("left beside it: %v, %v", names, err)
	}
	s, err := Open(path, [32]byte{7}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	e, err := NewEngine(s, DefaultRules(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if o, ok, err := e.Order(id); err != nil || !ok || o.Status != FiatSent {
		t.Errorf("the backup has %v %v %v", o.Status, ok, err)
	}
}

func TestABackupReplacesNothing(t *testing.T) {
	w := newWorld(t)
	path := w.backup("one.db")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.e.Backup(t.Context(), path); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file has changed, %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	other := filepath.Join(t.TempDir(), "other.db")
	if _, err := w.e.Backup(ended, other); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if names, err := os.ReadDir(filepath.Dir(other)); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

// Each backup that is taken while orders pour in is the store as of some commit.
func TestBackupsWhileOrdersPourIn(t *testing.T) {
	w := newWorld(t)
	var inputs []Input
	for range 200 {
		inputs = append(inputs, w.trader("maker").message(OrderID{}, NewOrder{Terms: sellTerms(10_000)}))
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, in := range inputs {
			if _, err := w.e.Do(t.Context(), in); err != nil {
				t.Error(err)
			}
		}
	})
	var paths []string
	for range 5 {
		paths = append(paths, w.backup("one.db"))
	}
	wg.Wait()
	for _, p := range paths {
		s, err := Open(p, [32]byte{7}, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		s.Close()
	}
}
