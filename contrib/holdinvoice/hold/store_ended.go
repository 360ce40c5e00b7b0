package hold

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// Tomb is what is left of an ended invoice when its record was pruned: enough to say how it
// ended, and that its preimage must not be used again.
type Tomb struct {
	State   State `json:"s"`
	Proof   int   `json:"p,omitempty"`
	Amount  Msat  `json:"a"`
	EndedAt int64 `json:"t"` // unix seconds
}

// Retire marks invoices as over, so that the next start does not load them. Their records
// stay. One that has not ended is an error.
func (s *Store) Retire(hashes []Hash) error {
	err := s.update(func(tx *bbolt.Tx) error {
		for _, h := range hashes {
			inv, err := get(tx, h)
			if err != nil {
				return err
			}
			if inv == nil || !inv.State.Final() {
				return fmt.Errorf("%w: %.8s has not ended", errTurned, h)
			}
			if err := tx.Bucket(liveBucket).Delete(h[:]); err != nil {
				return err
			}
			if err := tx.Bucket(endedBucket).Put(endedKey(inv), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("retire %d invoices: %w", len(hashes), err)
	}
	return nil
}

// endedKey sorts by time.
func endedKey(inv *Invoice) []byte {
	return append(numberKey(uint64(max(0, inv.EndedAt))), inv.Hash[:]...)
}

// Prune replaces up to limit retired invoices that ended before a moment, in unix seconds,
// by their tombs, the oldest first, and says how many.
func (s *Store) Prune(before int64, limit int) (n int, err error) {
	if none, err := s.nothingEnded(before); err != nil || none {
		return 0, err
	}
	err = s.update(func(tx *bbolt.Tx) error {
		n = 0
		for _, k := range oldest(tx, before, limit) {
			inv, err := get(tx, Hash(k[8:]))
			if err != nil {
				return err
			}
			if err := bury(tx, inv, k); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("prune what ended before %d: %w", before, err)
	}
	return n, nil
}

// nothingEnded spares a transaction that would write nothing.
func (s *Store) nothingEnded(before int64) (none bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		none = len(oldest(tx, before, 1)) == 0
		return nil
	})
	return none, err
}

// oldest returns keys of the bucket of the ended.
func oldest(tx *bbolt.Tx, before int64, limit int) (keys [][]byte) {
	end := numberKey(uint64(max(0, before)))
	c := tx.Bucket(endedBucket).Cursor()
	for k, _ := c.First(); k != nil && bytes.Compare(k[:8], end) < 0 && len(keys) < limit; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	return keys
}

func bury(tx *bbolt.Tx, inv *Invoice, key []byte) error {
	tomb, err := json.Marshal(Tomb{inv.State, inv.Proof, inv.Amount, inv.EndedAt})
	if err != nil {
		return err
	}
	return errors.Join(
		tx.Bucket(tombsBucket).Put(inv.Hash[:], tomb),
		tx.Bucket(endedBucket).Delete(key),
		forget(tx, inv),
	)
}

// Tomb returns what is left of a pruned invoice, or nil.
func (s *Store) Tomb(h Hash) (t *Tomb, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		raw := tx.Bucket(tombsBucket).Get(h[:])
		if raw == nil {
			return nil
		}
		t = &Tomb{}
		return json.Unmarshal(raw, t)
	})
	if err != nil {
		return nil, fmt.Errorf("read what is left of %.8s: %w", h, err)
	}
	return t, nil
}
