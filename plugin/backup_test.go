package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// newTestBackups writes small files in place of stores.
func newTestBackups(t *testing.T, every time.Duration, keep int) *backups {
	return &backups{
		dir: filepath.Join(t.TempDir(), "backups"), every: every, keep: keep, log: slog.New(slog.DiscardHandler), now: time.Now,
		write: func(_ context.Context, path string) (int64, error) {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return 0, err
			}
			return 1, os.WriteFile(path, []byte{1}, 0o600)
		},
	}
}

func (b *backups) times(t *testing.T) []int64 {
	t.Helper()
	times, err := b.list()
	if err != nil {
		t.Fatal(err)
	}
	return times
}

func TestTheNewestBackupsAreKeptAndNothingElseIsDeleted(t *testing.T) {
	b := newTestBackups(t, 0, 3)
	at := int64(1000)
	b.now = func() time.Time { return time.Unix(at, 0) }
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	others := []string{"mostro-1.db.old", "mostro-x.db", "mostro-007.db", "wallet.db"}
	died := filepath.Join(b.dir, ".backup-123") // in the middle of a backup
	if err := os.WriteFile(died, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(b.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 { // the clock stands still
		if _, err := b.Make(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.times(t); !slices.Equal(got, []int64{1002, 1003, 1004}) {
		t.Errorf("kept %v", got)
	}
	if _, err := os.Stat(died); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what an earlier process left: %v", err)
	}
	for _, name := range others {
		if _, err := os.Stat(filepath.Join(b.dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestABackupThatFailsDeletesNoOlderOne(t *testing.T) {
	b := newTestBackups(t, 0, 1)
	if _, err := b.Make(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	b.write = func(context.Context, string) (int64, error) { return 0, full }
	if _, err := b.Make(t.Context(), ""); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if got := b.times(t); len(got) != 1 {
		t.Errorf("kept %v", got)
	}
}

func TestBackupsComeWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestBackups(t, 24*time.Hour, 2)
		run := func(d time.Duration) int {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			made := 0
			write := b.write
			b.write = func(ctx context.Context, path string) (int64, error) { made++; return write(ctx, path) }
			defer func() { b.write = write }()
			if err := b.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("ended with %v", err)
			}
			return made
		}
		for _, c := range []struct {
			lasts time.Duration
			made  int
		}{{time.Hour, 1}, {time.Hour, 0}, {21 * time.Hour, 0}, {2 * time.Hour, 1}, {73 * time.Hour, 3}} {
			if got := run(c.lasts); got != c.made {
				t.Errorf("%d backups in %v, want %d", got, c.lasts, c.made)
			}
		}
		if got := b.times(t); len(got) != 2 {
			t.Errorf("kept %v", got)
		}
		b.every = 0
		if got := run(1000 * time.Hour); got != 0 {
			t.Errorf("%d backups, want none", got)
		}
	})
}

// The real exchange backs up by itself at its first start, on request, and checks its store.
func TestSimBackupAndCheck(t *testing.T) {
	s := startSim(t)
	var checked storeCheck
	s.Must("mostro-check", nil, &checked)
	if !checked.Sound || len(checked.Problems) != 0 || checked.Bytes == 0 {
		t.Errorf("got %+v", checked)
	}
	var made backup
	s.Must("mostro-backup", nil, &made)
	if fi, err := os.Stat(made.Path); err != nil || fi.Size() != made.Bytes || fi.Mode().Perm() != 0o600 {
		t.Errorf("%+v: %v", made, err)
	}
	path := filepath.Join(t.TempDir(), "mine.db")
	s.Must("mostro-backup", map[string]any{"path": path}, &made)
	if made.Path != path {
		t.Errorf("got %+v", made)
	}
	for _, bad := range []string{path, "relative.db"} {
		if err := s.Call(t.Context(), "mostro-backup", []any{bad}, nil); err == nil {
			t.Errorf("backed up to %s", bad)
		}
	}
}

// The operator hears of backups that fail once, and again when they fail after one that did not.
func TestBackupsThatFailRaiseTheAlarmOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestBackups(t, 24*time.Hour, 2)
		write := b.write
		var broken atomic.Bool
		var rung atomic.Int64
		b.alarm = func(context.Context, string) { rung.Add(1) }
		b.write = func(ctx context.Context, path string) (int64, error) {
			if broken.Load() {
				return 0, errors.New("no space left on device")
			}
			return write(ctx, path)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		broken.Store(true)
		go func() { done <- b.Run(ctx) }()
		for _, c := range []struct {
			broken bool
			rung   int64
		}{{true, 1}, {false, 1}, {true, 2}, {true, 2}} {
			broken.Store(c.broken)
			time.Sleep(36 * time.Hour)
			synctest.Wait()
			if n := rung.Load(); n != c.rung {
				t.Errorf("broken %v: the alarm was raised %d times, want %d", c.broken, n, c.rung)
			}
		}
		cancel()
		<-done
	})
}
