package hold

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// The buckets, with key → value. Numbers are 8 bytes, big endian.
var (
	metaBucket     = []byte("meta")     // name → number, see the names below
	invoicesBucket = []byte("invoices") // payment hash, 32 bytes → JSON of Invoice; the only truth about it
	labelsBucket   = []byte("labels")   // label → payment hash

	// Written with the invoice that they index.
	orderBucket   = []byte("order")   // Created → payment hash, then the name of the state
	changesBucket = []byte("changes") // Updated → payment hash

	// Where an invoice is in its life: exactly one of these has it.
	liveBucket  = []byte("live")  // payment hash → nothing; loaded at the start
	endedBucket = []byte("ended") // EndedAt, payment hash → nothing; read when somebody asks
	tombsBucket = []byte("tombs") // payment hash → JSON of Tomb; the invoice itself is gone
)

var buckets = [][]byte{
	metaBucket, invoicesBucket, labelsBucket, orderBucket, changesBucket, liveBucket, endedBucket, tombsBucket,
}

// Names in the meta bucket.
var (
	schemaKey = []byte("schema") // number of the layout
	heightKey = []byte("height") // highest block ever seen
	indexKey  = []byte("index")  // last number given to a change of state
	countKey  = []byte("count")  // last number given to an invoice
	settleKey = []byte("settle") // limits.SettleMin of the holder, for the guard
	cancelKey = []byte("cancel") // limits.CancelAt, likewise
)

const schema = 2

var (
	// errTurned means that the disk holds a decision which the new state contradicts.
	errTurned = errors.New("stored state does not allow this")
	// errTaken means that the label belongs to another invoice.
	errTaken = errors.New("label is taken")
)

// Store is the holder's disk. Every method is one transaction, on disk when it returns nil.
type Store struct {
	db     *bbolt.DB
	commit func(commit func() error) error
}

// StoreOptions are how a store is opened.
type StoreOptions struct {
	// Wait is how long another process may take to let go of the file.
	Wait time.Duration
	// NoSync leaves it to the system when the file is written: for simulations alone.
	NoSync bool
	// Commit, if set, stands in for the commit of each transaction that writes, and may
	// break it: by not calling commit, or by an error after it. For simulations alone.
	Commit func(commit func() error) error
}

// OpenStore opens or makes the file.
func OpenStore(path string, o StoreOptions) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: o.Wait, NoSync: o.NoSync, NoFreelistSync: o.NoSync})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		switch v := number(tx, schemaKey); {
		case v == 0:
			return setNumber(tx, schemaKey, schema)
		case v == 1:
			return indexInvoices(tx)
		case v > schema:
			return fmt.Errorf("written by a newer version (layout %d, this one knows %d)", v, schema)
		}
		return nil
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &Store{db, o.Commit}, nil
}

// Close lets go of the file.
func (s *Store) Close() error { return s.db.Close() }

// update runs one transaction that writes.
func (s *Store) update(f func(tx *bbolt.Tx) error) error {
	if s.commit == nil {
		return s.db.Update(f)
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := f(tx); err != nil {
		return err
	}
	return s.commit(tx.Commit)
}

// Put writes an invoice and returns it as written. A new invoice gets its Created number,
// and a change of state its Updated number. errTurned refuses a change that moves forbids,
// errTaken a second invoice under one label or of one payment hash.
func (s *Store) Put(inv Invoice) (Invoice, error) {
	err := s.update(func(tx *bbolt.Tx) error {
		old, err := get(tx, inv.Hash)
		if err != nil {
			return err
		}
		if old == nil {
			err = begin(tx, &inv)
		} else {
			err = goOn(old, &inv)
		}
		if err != nil {
			return err
		}
		if old == nil || old.State != inv.State {
			if err := renumber(tx, old, &inv); err != nil {
				return err
			}
		}
		raw, err := json.Marshal(inv)
		if err != nil {
			return err
		}
		return tx.Bucket(invoicesBucket).Put(inv.Hash[:], raw)
	})
	if err != nil {
		return Invoice{}, fmt.Errorf("store %.8s as %s: %w", inv.Hash, inv.State, err)
	}
	return inv, nil
}

// begin prepares the record of a new invoice.
func begin(tx *bbolt.Tx, inv *Invoice) (err error) {
	if inv.State != Creating {
		return fmt.Errorf("%w: nothing → %s", errTurned, inv.State)
	}
	labels := tx.Bucket(labelsBucket)
	if labels.Get([]byte(inv.Label)) != nil {
		return fmt.Errorf("%w: %q", errTaken, inv.Label)
	}
	if tx.Bucket(tombsBucket).Get(inv.Hash[:]) != nil {
		return fmt.Errorf("%w: an ended invoice had the same preimage", errTaken)
	}
	if err := labels.Put([]byte(inv.Label), inv.Hash[:]); err != nil {
		return err
	}
	if err := tx.Bucket(liveBucket).Put(inv.Hash[:], nil); err != nil {
		return err
	}
	inv.Created, err = bump(tx, countKey)
	return err
}

// goOn lets the record of an invoice follow its old one.
func goOn(old, inv *Invoice) error {
	if !old.State.mayBecome(inv.State) || old.Settle && !inv.Settle {
		return fmt.Errorf("%w: %s → %s", errTurned, old.State, inv.State)
	}
	inv.Created, inv.Updated = old.Created, old.Updated
	return nil
}

// renumber indexes a change of state.
func renumber(tx *bbolt.Tx, old, inv *Invoice) (err error) {
	if old != nil {
		if err := tx.Bucket(changesBucket).Delete(numberKey(old.Updated)); err != nil {
			return err
		}
	}
	if inv.Updated, err = bump(tx, indexKey); err != nil {
		return err
	}
	return index(tx, inv)
}

// index writes where an invoice stands among the others.
func index(tx *bbolt.Tx, inv *Invoice) error {
	if err := tx.Bucket(changesBucket).Put(numberKey(inv.Updated), inv.Hash[:]); err != nil {
		return err
	}
	return tx.Bucket(orderBucket).Put(numberKey(inv.Created), append(inv.Hash[:], inv.State...))
}

// forget removes every trace of an invoice but its place in the life.
func forget(tx *bbolt.Tx, inv *Invoice) error {
	return errors.Join(
		tx.Bucket(labelsBucket).Delete([]byte(inv.Label)),
		tx.Bucket(orderBucket).Delete(numberKey(inv.Created)),
		tx.Bucket(changesBucket).Delete(numberKey(inv.Updated)),
		tx.Bucket(invoicesBucket).Delete(inv.Hash[:]),
	)
}

// Get returns what is stored for a hash, or nil.
func (s *Store) Get(h Hash) (inv *Invoice, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		inv, err = get(tx, h)
		return err
	})
	return inv, err
}

// Drop forgets an invoice that was never handed out.
func (s *Store) Drop(h Hash) error {
	err := s.update(func(tx *bbolt.Tx) error {
		old, err := get(tx, h)
		if err != nil || old == nil {
			return err
		}
		if old.State != Creating {
			return fmt.Errorf("%w: %s → nothing", errTurned, old.State)
		}
		return errors.Join(tx.Bucket(liveBucket).Delete(h[:]), forget(tx, old))
	})
	if err != nil {
		return fmt.Errorf("drop %.8s: %w", h, err)
	}
	return nil
}

// Live returns every invoice that is not retired, in order of hash.
func (s *Store) Live() (all []Invoice, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(liveBucket).ForEach(func(k, _ []byte) error {
			inv, err := get(tx, Hash(k))
			if err == nil && inv == nil {
				err = fmt.Errorf("invoice %.8x is missing", k)
			}
			if err != nil {
				return err
			}
			all = append(all, *inv)
			return nil
		})
	})
	return all, err
}

// ByLabel returns the invoice of a label, or nil.
func (s *Store) ByLabel(label string) (inv *Invoice, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		if h := tx.Bucket(labelsBucket).Get([]byte(label)); h != nil {
			inv, err = get(tx, Hash(h))
		}
		return err
	})
	return inv, err
}

// List returns up to limit invoices that were handed out, from a Created number on, in that
// order; those of one state, or of all if it is empty.
func (s *Store) List(state State, from uint64, limit int) (list []Invoice, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(orderBucket).Cursor()
		for k, v := c.Seek(numberKey(from)); k != nil && len(list) < limit; k, v = c.Next() {
			h, now := Hash(v[:32]), State(v[32:])
			if now == Creating || state != "" && now != state {
				continue
			}
			inv, err := get(tx, h)
			if err != nil {
				return err
			}
			list = append(list, *inv)
		}
		return nil
	})
	return list, err
}

// Change returns the invoice with the lowest Updated number from one on, or nil. One that
// was not handed out does not count.
func (s *Store) Change(from uint64) (inv *Invoice, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(changesBucket).Cursor()
		for k, v := c.Seek(numberKey(from)); k != nil; k, v = c.Next() {
			if inv, err = get(tx, Hash(v)); err != nil || inv.State != Creating {
				return err
			}
		}
		inv = nil
		return nil
	})
	return inv, err
}

// Height is the highest block ever raised to.
func (s *Store) Height() (h Height, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		h = Height(number(tx, heightKey))
		return nil
	})
	return h, err
}

// Raise keeps the highest block.
func (s *Store) Raise(h Height) error {
	err := s.update(func(tx *bbolt.Tx) error {
		if Height(number(tx, heightKey)) >= h {
			return nil
		}
		return setNumber(tx, heightKey, uint64(h))
	})
	if err != nil {
		return fmt.Errorf("store height %d: %w", h, err)
	}
	return nil
}

// SetLimits keeps the holder's limits, so that a guard goes by the same.
func (s *Store) SetLimits(l Limits) error {
	return s.update(func(tx *bbolt.Tx) error {
		if err := setNumber(tx, settleKey, uint64(l.SettleMin)); err != nil {
			return err
		}
		return setNumber(tx, cancelKey, uint64(l.CancelAt))
	})
}

// Limits returns what SetLimits kept, or the Floors.
func (s *Store) Limits() (l Limits, err error) {
	l = Floors
	err = s.db.View(func(tx *bbolt.Tx) error {
		if n := number(tx, settleKey); n != 0 {
			l = Limits{Height(n), Height(number(tx, cancelKey))}
		}
		return nil
	})
	return l, err
}

func get(tx *bbolt.Tx, h Hash) (*Invoice, error) {
	raw := tx.Bucket(invoicesBucket).Get(h[:])
	if raw == nil {
		return nil, nil
	}
	var inv Invoice
	if err := json.Unmarshal(raw, &inv); err != nil {
		return nil, fmt.Errorf("read invoice %.8s: %w", h, err)
	}
	return &inv, nil
}

func number(tx *bbolt.Tx, key []byte) uint64 {
	if b := tx.Bucket(metaBucket).Get(key); len(b) == 8 {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func setNumber(tx *bbolt.Tx, key []byte, n uint64) error {
	return tx.Bucket(metaBucket).Put(key, numberKey(n))
}

func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func bump(tx *bbolt.Tx, key []byte) (uint64, error) {
	n := number(tx, key) + 1
	return n, setNumber(tx, key, n)
}
