package orders

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// A file never shrinks by itself: what was deleted leaves free pages. At a start, one with that many free bytes that are
// also more than half of it is written anew.
const compactFrom = 64 << 20

// compactBatch is how many bytes of records are copied in one transaction, which is held in memory.
const compactBatch = 8 << 20

func (s *Store) wasteful() bool {
	st := s.db.Stats()
	free := int64(st.FreePageN+st.PendingPageN) * int64(s.db.Info().PageSize)
	size, err := s.Size()
	return err == nil && free > s.compactFrom && free > size/2
}

// compact copies everything to a new file beside the store, which then takes its name in one step. If the process dies
// before that, the store is as it was, and the next start writes the new file again; it has no name that anybody opens.
// The store is open when compact returns nil. With an error, it is open as it was if s.db is not nil: the disk may have no
// room for a copy, which is no reason not to start.
func (s *Store) compact() error {
	path := s.path
	fresh := path + ".compact"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("compact: %w", err)
	}
	if err := s.copyTo(fresh); err != nil {
		return errors.Join(fmt.Errorf("compact: %w", err), os.Remove(fresh))
	}
	// The old file stays open, and locked, until the new one has its name: nobody else can write to it meanwhile.
	if err := os.Rename(fresh, path); err != nil {
		return errors.Join(fmt.Errorf("compact: %w", err), os.Remove(fresh))
	}
	old := s.db
	s.db = nil // from here on, its file is nobody's
	db, err := bbolt.Open(path, 0o600, s.options())
	if err := errors.Join(syncDir(filepath.Dir(path)), err, old.Close()); err != nil {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
		return fmt.Errorf("open the compacted store: %w", err)
	}
	s.db = db
	return nil
}

func (s *Store) copyTo(path string) error {
	dst, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	err = bbolt.Compact(dst, s.db, compactBatch)
	return errors.Join(err, dst.Sync(), dst.Close())
}
