package hold

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// invoice1 are the fields of an invoice of layout 1 that its indexes need.
type invoice1 struct {
	Hash      Hash   `json:"payment_hash"`
	State     string `json:"state"`
	ExpiresAt int64  `json:"expires_at"`
	Created   uint64 `json:"created_index"`
	Updated   uint64 `json:"updated_index"`
}

// indexInvoices brings layout 1 to layout 2: it knew no indexes by number, and no time of an
// end. What is over counts as ended when it could no longer be paid.
func indexInvoices(tx *bbolt.Tx) error {
	invoices := tx.Bucket(invoicesBucket)
	ended := map[Hash][]byte{}
	err := invoices.ForEach(func(k, v []byte) error {
		var inv invoice1
		if err := json.Unmarshal(v, &inv); err != nil {
			return fmt.Errorf("read invoice %.8x: %w", k, err)
		}
		if err := tx.Bucket(changesBucket).Put(numberKey(inv.Updated), k); err != nil {
			return err
		}
		if err := tx.Bucket(orderBucket).Put(numberKey(inv.Created), append(inv.Hash[:], inv.State...)); err != nil {
			return err
		}
		if inv.State == "SETTLED" || inv.State == "CANCELED" || inv.State == "LOST" {
			ended[inv.Hash] = withEnd(v, inv.ExpiresAt)
		}
		return tx.Bucket(liveBucket).Put(k, nil)
	})
	if err != nil {
		return err
	}
	for h, raw := range ended {
		if err := invoices.Put(h[:], raw); err != nil {
			return err
		}
	}
	return setNumber(tx, schemaKey, 2)
}

// withEnd adds ended_at to the JSON of an invoice.
func withEnd(raw []byte, at int64) []byte {
	return fmt.Appendf(nil, `{"ended_at":%d,%s`, at, raw[1:])
}
