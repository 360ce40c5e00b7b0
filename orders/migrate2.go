package orders

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// migrateToParties adds the index of all orders of an identity, and the number of orders, from the orders as schema 1
// has them.
func migrateToParties(b *bbolt.Tx) error {
	type party struct {
		Identity PubKey `json:"identity"`
	}
	type order struct {
		ID        OrderID `json:"id"`
		Maker     party   `json:"maker"`
		Taker     party   `json:"taker"`
		CreatedAt int64   `json:"created_at"`
	}
	parties, err := b.CreateBucketIfNotExists([]byte("parties"))
	if err != nil {
		return err
	}
	count := uint64(0)
	err = b.Bucket([]byte("orders")).ForEach(func(k, v []byte) error {
		count++
		var o order
		if err := json.Unmarshal(v, &o); err != nil {
			return fmt.Errorf("order %x: %w", k, err)
		}
		for _, p := range []party{o.Maker, o.Taker} {
			if p.Identity.IsZero() {
				continue
			}
			if err := parties.Put(join(p.Identity[:], timeKey(o.CreatedAt, o.ID[:])), []byte{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.Bucket([]byte("timeline")).SetSequence(count)
}
