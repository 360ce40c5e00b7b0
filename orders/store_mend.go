package orders

import (
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

// A commit that returns an error may have been done or not: the last thing that it writes is the meta page, which makes
// it count, and an error of the fsync after that says nothing about the page. Nor may the next commit begin before that
// is known: it would write over pages that the older state needs, which may still be the one on the disk. So after each
// commit that failed the file is closed, the newest state that it shows is made durable, and it is opened again. Then
// there is one truth, and it is known.

var (
	// ErrNotDone is returned for what could not be written, and is known not to have been: the disk is full, or faulty.
	// It may be tried again.
	ErrNotDone = errors.New("not written to the database")
	// ErrInDoubt is returned for what may have been written or not. Trying the same again is safe.
	ErrInDoubt = errors.New("the database does not say whether it was written")

	errShut = errors.New("the database could not be opened again")
)

// fate is what became of a commit that failed.
func (s *Store) fate(txid uint64, cause error) error {
	if errors.Is(cause, ErrDamaged) {
		return cause // after a panic inside it, bbolt may hold a lock for ever, and Close would wait for it
	}
	now, err := s.reopen()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w; %w", ErrInDoubt, cause, err)
	case now < txid:
		return fmt.Errorf("%w: %w", ErrNotDone, cause)
	}
	return nil
}

// reopen opens the file anew and returns the number of its last commit, which is durable then. With an error there is no
// file open, and nothing can be read until another call succeeds.
func (s *Store) reopen() (txid uint64, err error) {
	s.hurry.Store(true)
	defer s.hurry.Store(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		err := s.db.Close()
		s.db = nil
		if err != nil {
			return 0, err
		}
	}
	if txid, err = s.confirm(); err != nil {
		return 0, fmt.Errorf("open the database again: %w", err)
	}
	if s.db, err = bbolt.Open(s.path, 0o600, s.options()); err != nil {
		s.db = nil
		return 0, fmt.Errorf("open the database again: %w", err)
	}
	return txid, nil
}

// confirm writes the newest meta page over itself and syncs it. A second fsync alone would not do: after one that failed,
// Linux takes the pages for written. The pages that the meta page leads to were synced before it was written at all.
func (s *Store) confirm() (txid uint64, err error) {
	f, err := os.OpenFile(s.path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil {
		return 0, err
	} else if !os.SameFile(fi, s.file) {
		return 0, fmt.Errorf("%s is another file now", s.path)
	}
	newest, err := readMeta(f)
	if err != nil {
		return 0, err
	}
	for i := range int64(2) {
		m, ok := metaAt(f, i)
		if !ok || m.txid != newest.txid {
			continue
		}
		page := make([]byte, m.size)
		if _, err := f.ReadAt(page, i*m.size); err != nil {
			return 0, err
		}
		if _, err := f.WriteAt(page, i*m.size); err != nil {
			return 0, err
		}
	}
	if !s.noSync {
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return newest.txid, nil
}

// options are those of every opening. A file that is missing is an error: by then it was there.
func (s *Store) options() *bbolt.Options {
	return &bbolt.Options{
		Timeout: s.lockWait, FreelistType: bbolt.FreelistMapType, NoSync: s.noSync, NoGrowSync: s.noSync,
		OpenFile: func(path string, flag int, mode os.FileMode) (*os.File, error) {
			if s.file != nil {
				flag &^= os.O_CREATE
			}
			return os.OpenFile(path, flag, mode)
		},
	}
}
