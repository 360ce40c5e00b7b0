package orders

import (
	"context"
	"fmt"
	"os"
)

// A bbolt file grows by being made longer, which takes no room on the disk: that is asked for when the pages are written,
// and then it is too late. So the store holds room for its next pages, which nobody else can fill.

// Reserve sees to it that the file has room on the disk for n more bytes, or nearly. Nil: it has. errors.ErrUnsupported:
// the filesystem cannot say so. It does not change the file's length.
func (s *Store) Reserve(n int64) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return errShut
	}
	b, err := s.db.Begin(false)
	if err != nil {
		return err
	}
	end := b.Size()
	if err := b.Rollback(); err != nil {
		return err
	}
	if s.reserved.Load()-end >= n/4*3 {
		return nil
	}
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("reserve room for the database: %w", err)
	}
	defer f.Close()
	if err := allocate(f, end, n); err != nil {
		return fmt.Errorf("reserve room for the database: %w", &os.PathError{Op: "allocate", Path: s.path, Err: err})
	}
	s.reserved.Store(end + n)
	return nil
}

// Reserve is Store.Reserve.
func (e *Engine) Reserve(n int64) error { return e.store.Reserve(n) }

// Probe writes an empty commit: nil means that the store can be written.
func (e *Engine) Probe(ctx context.Context) error {
	return e.submit(ctx, "reserve", func(*tx) (after, error) { return after{}, nil })
}
