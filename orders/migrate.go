package orders

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// migrations make a store of schema n+1 from one of schema n, in one transaction each. Entry n is never changed once
// released; a later one with types of its own is added instead.
var migrations = []func(*bbolt.Tx) error{
	migrateToFirst,
	migrateToParties,
	migrateToDisputes,
	migrateToTimes,
}

var schemaKey = []byte("schema")

// migrateToFirst makes the buckets of a new file.
func migrateToFirst(b *bbolt.Tx) error {
	for _, name := range [][]byte{
		[]byte("orders"), []byte("open"), []byte("timeline"), []byte("deadlines"), []byte("duties"), []byte("holds"),
		[]byte("live"), []byte("invoices"), []byte("users"), []byte("history"), []byte("ledger"), []byte("outbox"),
		[]byte("seen"), []byte("seen-age"),
	} {
		if _, err := b.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) migrate() error {
	for {
		done, err := s.migrateOnce()
		if err != nil || done {
			return err
		}
	}
}

// migrateOnce runs the next migration and notes its number in the same transaction.
func (s *Store) migrateOnce() (done bool, err error) {
	have, err := s.schema()
	if err != nil {
		return false, err
	}
	if have > len(migrations) {
		return false, fmt.Errorf("%w: schema %d, this program knows %d", ErrNewerStore, have, len(migrations))
	}
	if have == len(migrations) {
		return true, nil
	}
	err = s.db.Update(func(b *bbolt.Tx) error {
		meta, err := b.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		if err := migrations[have](b); err != nil {
			return fmt.Errorf("migration to schema %d: %w", have+1, err)
		}
		return meta.Put(schemaKey, number(uint64(have+1)))
	})
	return false, err
}

// schema is the number of the file; 0 for a new one.
func (s *Store) schema() (n int, err error) {
	err = s.db.View(func(b *bbolt.Tx) error {
		meta := b.Bucket(metaBucket)
		if meta == nil {
			return nil
		}
		v := meta.Get(schemaKey)
		if len(v) != 8 {
			return fmt.Errorf("schema number of %d bytes: not a store of ours", len(v))
		}
		n = int(binary.BigEndian.Uint64(v))
		return nil
	})
	return n, err
}
