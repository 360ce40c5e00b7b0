package orders

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// migrateToDisputes makes the buckets of disputes, solvers, bans and the audit. Of a hold that schema 2 has canceled it
// notes what the ledger says was refunded, and of an order that was settling, or froze in it, that the seller had
// released.
func migrateToDisputes(b *bbolt.Tx) error {
	for _, name := range []string{"disputes", "cases", "solvers", "bans", "audit"} {
		if _, err := b.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	if err := noteRefunds(b); err != nil {
		return err
	}
	return noteReleases(b)
}

func noteRefunds(b *bbolt.Tx) error {
	type hold struct {
		State string `json:"state"`
		Held  int64  `json:"held_msat"`
	}
	return rewrite(b.Bucket([]byte("holds")), func(k, v []byte) (map[string]any, error) {
		var h hold
		if err := json.Unmarshal(v, &h); err != nil {
			return nil, fmt.Errorf("hold %x: %w", k, err)
		}
		if h.State != "canceled" || h.Held == 0 {
			return nil, nil
		}
		return map[string]any{"refunded_msat": h.Held}, nil
	})
}

func noteReleases(b *bbolt.Tx) error {
	type order struct {
		Status string `json:"status"`
	}
	type transition struct {
		From string `json:"from"`
	}
	return rewrite(b.Bucket([]byte("orders")), func(k, v []byte) (map[string]any, error) {
		var o order
		if err := json.Unmarshal(v, &o); err != nil {
			return nil, fmt.Errorf("order %x: %w", k, err)
		}
		freed := o.Status == "settling"
		if o.Status == "frozen" {
			c := b.Bucket([]byte("history")).Cursor()
			for hk, hv := c.Seek(k); hk != nil && len(hk) == len(k)+8 && string(hk[:len(k)]) == string(k); hk, hv = c.Next() {
				var h transition
				if err := json.Unmarshal(hv, &h); err != nil {
					return nil, fmt.Errorf("history of order %x: %w", k, err)
				}
				freed = h.From == "settling"
			}
		}
		if !freed {
			return nil, nil
		}
		return map[string]any{"freed_by": "seller"}, nil
	})
}

// rewrite adds members to the records for which add has some, and leaves the rest as it is.
func rewrite(bucket *bbolt.Bucket, add func(k, v []byte) (map[string]any, error)) error {
	changed := map[string][]byte{}
	err := bucket.ForEach(func(k, v []byte) error {
		more, err := add(k, v)
		if err != nil || more == nil {
			return err
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal(v, &all); err != nil {
			return err
		}
		for name, value := range more {
			if all[name], err = json.Marshal(value); err != nil {
				return err
			}
		}
		changed[string(k)], err = json.Marshal(all)
		return err
	})
	if err != nil {
		return err
	}
	for k, v := range changed {
		if err := bucket.Put([]byte(k), v); err != nil {
			return err
		}
	}
	return nil
}
