package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// backups makes copies of the store on a timer and on the operator's word.
type backups struct {
	dir   string
	every time.Duration // 0: on the operator's word only
	keep  int           // of those in dir that we named
	log   *slog.Logger
	write func(ctx context.Context, path string) (size int64, err error)
	now   func() time.Time
	alarm func(ctx context.Context, text string) // tells the operator; may be nil

	mu sync.Mutex // one at a time
}

// backup is the result of mostro-backup.
type backup struct {
	Path  string `json:"path" about:"of the new file"`
	Bytes int64  `json:"bytes" about:"its size"`
}

// Our names: mostro-<unix time>.db. Only such files are ever deleted.
const backupPrefix, backupSuffix = "mostro-", ".db"

// Make writes a backup to path, or to a name of our own where path is empty. os.ErrExist: there is such a file.
func (b *backups) Make(ctx context.Context, path string) (backup, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if path != "" {
		size, err := b.write(ctx, path)
		return backup{path, size}, err
	}
	times, err := b.list()
	if err != nil {
		return backup{}, err
	}
	at := b.now().Unix()
	if n := len(times); n > 0 {
		at = max(at, times[n-1]+1) // two in one second are two files, and the newest has the highest number
	}
	path = filepath.Join(b.dir, backupPrefix+strconv.FormatInt(at, 10)+backupSuffix)
	size, err := b.write(ctx, path)
	if err != nil {
		return backup{}, err
	}
	b.prune()
	return backup{path, size}, nil
}

// list returns the times of the backups that we named, oldest first.
func (b *backups) list() (times []int64, err error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list backups: %w", err)
	}
	for _, e := range entries {
		digits, ours := strings.CutPrefix(e.Name(), backupPrefix)
		digits, named := strings.CutSuffix(digits, backupSuffix)
		at, err := strconv.ParseInt(digits, 10, 64)
		if ours && named && err == nil && e.Type().IsRegular() && strconv.FormatInt(at, 10) == digits {
			times = append(times, at)
		}
	}
	slices.Sort(times)
	return times, nil
}

// prune also removes what a process that died in the middle of a backup has left; b.mu is held, so nobody writes it.
func (b *backups) prune() {
	times, err := b.list()
	left, _ := filepath.Glob(filepath.Join(b.dir, orders.UnfinishedBackups))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	for _, at := range times[:max(len(times)-b.keep, 0)] {
		err = errors.Join(err, os.Remove(filepath.Join(b.dir, backupPrefix+strconv.FormatInt(at, 10)+backupSuffix)))
	}
	if err != nil {
		b.log.Warn("remove old backups", "err", err)
	}
}

// backupRetry is when a backup that failed is tried again.
const backupRetry = 15 * time.Minute

// Run makes a backup whenever the newest one is too old, until ctx ends. A restart makes none by itself.
func (b *backups) Run(ctx context.Context) error {
	for failed := false; b.every > 0; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(b.due()):
		}
		if made, err := b.Make(ctx, ""); err == nil {
			b.log.Info("backup made", "path", made.Path, "bytes", made.Bytes)
			failed = false
		} else if ctx.Err() == nil {
			b.log.Error("no backup could be made", "err", err)
			if !failed && b.alarm != nil {
				b.alarm(ctx, "no backup could be made: "+err.Error())
			}
			failed = true
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(backupRetry):
			}
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// due is how long until the next backup.
func (b *backups) due() time.Duration {
	times, err := b.list()
	if err != nil || len(times) == 0 {
		return 0
	}
	age := b.now().Sub(time.Unix(times[len(times)-1], 0))
	return min(max(b.every-age, 0), b.every) // a name from the future is no reason to wait for it
}
