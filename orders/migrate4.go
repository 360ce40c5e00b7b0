package orders

import (
	"encoding/json"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// migrateToTimes adds the indexes of ledger rows and ended orders by time, for books and figures over a period.
func migrateToTimes(b *bbolt.Tx) error {
	type row struct {
		At int64 `json:"at"`
	}
	type order struct {
		ID        OrderID `json:"id"`
		Status    string  `json:"status"`
		UpdatedAt int64   `json:"updated_at"`
	}
	final := []string{"success", "canceled", "canceled-by-admin", "cooperatively-canceled", "expired"}
	money, err := b.CreateBucketIfNotExists([]byte("money"))
	if err != nil {
		return err
	}
	err = b.Bucket([]byte("ledger")).ForEach(func(k, v []byte) error {
		var r row
		if err := json.Unmarshal(v, &r); err != nil {
			return fmt.Errorf("ledger row %x: %w", k, err)
		}
		return money.Put(timeKey(r.At, k), []byte{})
	})
	if err != nil {
		return err
	}
	ended, err := b.CreateBucketIfNotExists([]byte("ended"))
	if err != nil {
		return err
	}
	return b.Bucket([]byte("orders")).ForEach(func(k, v []byte) error {
		var o order
		if err := json.Unmarshal(v, &o); err != nil {
			return fmt.Errorf("order %x: %w", k, err)
		}
		if !slices.Contains(final, o.Status) {
			return nil
		}
		return ended.Put(timeKey(o.UpdatedAt, o.ID[:]), []byte{})
	})
}
