package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// testDisk is a watch over a disk of plain values.
type testDisk struct {
	disk
	room    int64
	freeErr error
	held    error
	writes  error // of commits
	probes  int
	said    bytes.Buffer
}

func newTestDisk(t *testing.T) *testDisk {
	d := &testDisk{room: 1000 * mib}
	d.disk = disk{
		dir: t.TempDir(), floor: 256 * mib, log: slog.New(slog.NewTextHandler(&d.said, nil)),
		free:    func(string) (int64, error) { return d.room, d.freeErr },
		reserve: func(int64) error { return d.held },
		trouble: func() error { return d.writes },
		probe:   func(context.Context) error { d.probes++; return d.writes },
	}
	return d
}

func TestAFullDiskIsToldOnceAndItsEndToo(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "mostro.db", Err: syscall.ENOSPC}
	for _, c := range []struct {
		name        string
		begin, ends func(*testDisk)
		want        string
	}{
		{"too little is free", func(d *testDisk) { d.room = 255 * mib }, func(d *testDisk) { d.room = 300 * mib }, "255 MiB are free"},
		{"no room can be held", func(d *testDisk) { d.held = full }, func(d *testDisk) { d.held = nil }, "no space left"},
		{"nothing can be written", func(d *testDisk) { d.writes = full }, func(d *testDisk) { d.writes = nil }, "no space left"},
		{"nobody knows", func(d *testDisk) { d.freeErr = syscall.EIO }, func(d *testDisk) { d.freeErr = nil }, "input/output error"},
		{"nobody can know", func(d *testDisk) { d.freeErr, d.writes = errors.ErrUnsupported, full }, func(d *testDisk) { d.writes = nil }, "no space left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newTestDisk(t)
			d.look(t.Context())
			if why := d.Full(); why != "" || d.said.Len() > 0 {
				t.Fatalf("at first: %q, %s", why, &d.said)
			}
			c.begin(d)
			for range 3 {
				d.look(t.Context())
			}
			if why := d.Full(); !strings.Contains(why, c.want) {
				t.Errorf("full: %q, want %q", why, c.want)
			}
			c.ends(d)
			for range 3 {
				d.look(t.Context())
			}
			if why := d.Full(); why != "" {
				t.Errorf("at the end: %q", why)
			}
			log := d.said.String()
			if strings.Count(log, "level=ERROR") != 1 || strings.Count(log, "level=WARN") != 1 || strings.Count(log, "\n") != 2 {
				t.Errorf("the log says:\n%s", log)
			}
		})
	}
}

func TestADiskAtItsFloorDoesNotFlutter(t *testing.T) {
	d := newTestDisk(t)
	for _, free := range []int64{255, 257, 255, 280, 287} {
		d.room = free * mib
		if d.look(t.Context()); d.Full() == "" {
			t.Errorf("%d MiB are enough again", free)
		}
	}
	if d.probes != 0 {
		t.Errorf("%d writes though no write has failed", d.probes)
	}
}

func TestABackupLeavesTheDatabaseItsRoom(t *testing.T) {
	d := newTestDisk(t)
	d.room = 300 * mib
	for _, c := range []struct {
		path string
		size int64
		fits bool
	}{
		{filepath.Join(d.dir, "backups", "mostro-1.db"), 44 * mib, true},
		{filepath.Join(d.dir, "backups", "mostro-1.db"), 45 * mib, false},
		{filepath.Join(t.TempDir(), "new", "deep", "x.db"), 300 * mib, true},
		{filepath.Join(t.TempDir(), "x.db"), 301 * mib, false},
	} {
		if err := d.fits(c.path, c.size); (err == nil) != c.fits {
			t.Errorf("%d MiB to %s: %v", c.size/mib, c.path, err)
		}
	}
	d.disk.free = freeSpace
	if err := d.fits(filepath.Join(t.TempDir(), "a", "b.db"), 1); err != nil {
		t.Errorf("one byte on the real disk: %v", err)
	}
}
