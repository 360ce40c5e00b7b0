package orders

import (
	"crypto/sha256"
	"encoding/binary"
)

// Digest is a fingerprint of all records of the store, whatever pages they lie on.
func (s *Store) Digest() (sum [32]byte, err error) {
	err = s.view(func(t *tx) error {
		h := sha256.New()
		var n []byte
		add := func(b []byte) {
			n = binary.AppendUvarint(n[:0], uint64(len(b)))
			h.Write(n)
			h.Write(b)
		}
		for _, name := range allBuckets {
			add(name)
			t.each(name, nil, func(k, v []byte) bool {
				add(k)
				add(v)
				return true
			})
		}
		sum = [32]byte(h.Sum(nil))
		return nil
	})
	return sum, err
}
