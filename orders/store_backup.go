package orders

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Backup writes the store as of one commit, in the file's own format, and returns the number of bytes. Trades go on
// meanwhile: it reads in a transaction of its own.
func (s *Store) Backup(w io.Writer) (n int64, err error) {
	err = s.view(func(t *tx) error {
		n, err = t.b.WriteTo(unhurried{s, w})
		return err
	})
	if err != nil {
		return n, fmt.Errorf("back the store up: %w", err)
	}
	return n, nil
}

// UnfinishedBackups is the pattern of files that Backup leaves in a directory if the process dies meanwhile.
const UnfinishedBackups = ".backup-*"

// Backup writes a backup to a new file, mode 0600, and returns its size. The file has its name only when all of it is
// on disk; one of that name that exists is kept and is an error (os.ErrExist). A directory that is missing is made.
func (e *Engine) Backup(ctx context.Context, path string) (size int64, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("back up: %w", err)
	}
	if _, err := os.Lstat(path); err == nil {
		return 0, fmt.Errorf("back up to %s: %w", path, os.ErrExist)
	}
	f, err := os.CreateTemp(dir, UnfinishedBackups) // mode 0600
	if err != nil {
		return 0, fmt.Errorf("back up: %w", err)
	}
	defer os.Remove(f.Name())
	size, err = e.store.Backup(untilDone{ctx, f})
	if err != nil {
		err = errors.Join(err, ctx.Err()) // bbolt keeps the text of a write's error only
	} else {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	// A link, unlike a rename, never replaces what got the name meanwhile.
	if err := os.Link(f.Name(), path); err != nil {
		return 0, fmt.Errorf("back up to %s: %w", path, err)
	}
	return size, syncDir(dir)
}

// untilDone is a writer that fails once ctx has ended.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

func (u untilDone) Write(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(b)
}

// unhurried is a writer that fails where the store wants its readers gone.
type unhurried struct {
	s *Store
	w io.Writer
}

func (u unhurried) Write(b []byte) (int, error) {
	if u.s.hurry.Load() {
		return 0, errors.New("a commit has failed meanwhile; try again")
	}
	return u.w.Write(b)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
