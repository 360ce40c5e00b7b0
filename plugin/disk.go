package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// disk watches the room that the database has. While there is too little, new orders and takes are refused, and what is
// under way goes on in the room that the database holds for itself.
type disk struct {
	dir     string // of the database
	floor   int64  // bytes that are to stay free
	log     *slog.Logger
	free    func(dir string) (int64, error) // bytes that we may use; errors.ErrUnsupported: nobody can tell
	reserve func(int64) error               // as orders.Engine has them
	trouble func() error
	probe   func(context.Context) error

	full atomic.Pointer[string] // why, as of the last look
}

const (
	// diskReserve is the room that the database holds: an input takes some KiB of it, most of which is used again.
	diskReserve = 32 << 20
	diskLook    = 5 * time.Second
	mib         = 1 << 20
)

// Full says why nothing new should be begun; empty where there is room.
func (d *disk) Full() string {
	if err := d.trouble(); err != nil {
		return "the database cannot be written: " + clnio.CleanLine(err.Error())
	}
	if why := d.full.Load(); why != nil {
		return *why
	}
	return ""
}

// Run looks every few seconds until ctx ends.
func (d *disk) Run(ctx context.Context) error {
	tick := time.NewTicker(diskLook)
	defer tick.Stop()
	for {
		d.look(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// look judges anew, and tells the operator when that has changed.
func (d *disk) look(ctx context.Context) {
	was := d.full.Load()
	why := d.judge(ctx, was != nil)
	switch {
	case ctx.Err() != nil:
	case why == "" && was != nil:
		d.full.Store(nil)
		d.log.Warn("the disk has room again: orders and takes are accepted")
	case why != "":
		d.full.Store(&why)
		if was == nil {
			d.log.Error("no new orders and takes: the disk is full, or has a fault; trades under way go on as long as they can", "why", why, "dir", d.dir)
		}
	}
}

// judge is a little harder to please while the disk is full, so that the answer does not change every few seconds.
func (d *disk) judge(ctx context.Context, full bool) (why string) {
	floor := d.floor
	if full {
		floor += floor / 8
	}
	free, err := d.free(d.dir)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		return "its free space is not known: " + clnio.CleanLine(err.Error())
	case free < floor:
		return fmt.Sprintf("%d MiB are free, mostro-min-disk-mb wants %d", free/mib, floor/mib)
	}
	if err := d.reserve(diskReserve); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return clnio.CleanLine(err.Error())
	}
	if d.trouble() != nil { // nobody may be there who writes, and finds that he can
		if err := d.probe(ctx); err != nil {
			return clnio.CleanLine(err.Error())
		}
	}
	return ""
}

var errNoRoom = errors.New("no room on the disk")

// fits is nil where a file of that size can be made without want for the database.
func (d *disk) fits(path string, size int64) error {
	if strings.HasPrefix(path, d.dir+string(filepath.Separator)) {
		size += d.floor
	}
	dir := filepath.Dir(path)
	for dir != filepath.Dir(dir) { // it is made later
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	free, err := d.free(dir)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err == nil && free < size {
		err = fmt.Errorf("%w: %s has %d MiB free, and %d are wanted", errNoRoom, dir, free/mib, size/mib+1)
	}
	return err
}

// writeBackup is Engine.Backup where there is room for one.
func (h *house) writeBackup(ctx context.Context, path string) (int64, error) {
	size, err := h.store.Size()
	if err == nil {
		err = h.disk.fits(path, size)
	}
	if err != nil {
		return 0, fmt.Errorf("back up to %s: %w", path, err)
	}
	return h.Engine.Backup(ctx, path)
}
