package orders

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/mostro-cln/mostro/orders/planted"
)

// The buckets. Numbers in keys are 8 bytes, big endian, so that cursor order is numeric order.
var (
	metaBucket      = []byte("meta")      // "schema" → number of the newest migration that ran; "settings" → JSON of Settings
	ordersBucket    = []byte("orders")    // order id → JSON of Order; the only truth about an order
	openBucket      = []byte("open")      // order id → nothing; orders that are not final
	timelineBucket  = []byte("timeline")  // created_at, order id → nothing; the sequence counts the orders
	deadlinesBucket = []byte("deadlines") // deadline, order id → nothing
	dutiesBucket    = []byte("duties")    // identity, order id → nothing; taken orders on which the taker owes something
	partiesBucket   = []byte("parties")   // identity, created_at, order id → nothing; every order of an identity
	holdsBucket     = []byte("holds")     // payment hash → JSON of storedHold
	liveBucket      = []byte("live")      // payment hash → nothing; holds that have not ended
	invoicesBucket  = []byte("invoices")  // payment hash of a payout invoice → order id
	usersBucket     = []byte("users")     // identity key → JSON of User
	historyBucket   = []byte("history")   // order id, number → JSON of Transition
	ledgerBucket    = []byte("ledger")    // order id, number → JSON of Entry
	moneyBucket     = []byte("money")     // time, key of a ledger row → nothing
	endedBucket     = []byte("ended")     // time of the last transition, order id → nothing; orders that are final
	outboxBucket    = []byte("outbox")    // row number → JSON of Row; cursor order is send order
	disputesBucket  = []byte("disputes")  // dispute id → order id
	casesBucket     = []byte("cases")     // opened_at, dispute id → nothing
	solversBucket   = []byte("solvers")   // identity key → JSON of Solver
	bansBucket      = []byte("bans")      // identity or trade key → JSON of Ban
	auditBucket     = []byte("audit")     // number → JSON of Record; nothing is ever changed or deleted
	seenBucket      = []byte("seen")      // input id → JSON of verdict
	seenAgeBucket   = []byte("seen-age")  // time, input id → nothing
)

var allBuckets = [][]byte{
	metaBucket, ordersBucket, openBucket, timelineBucket, deadlinesBucket, dutiesBucket, partiesBucket, holdsBucket, liveBucket,
	invoicesBucket, usersBucket, historyBucket, ledgerBucket, outboxBucket, disputesBucket, casesBucket, solversBucket,
	bansBucket, auditBucket, seenBucket, seenAgeBucket,
	moneyBucket, endedBucket,
}

// ErrNewerStore is returned by Open for a file that a newer version of this program has written.
var ErrNewerStore = errors.New("the store was written by a newer version")

// ErrOtherKey is returned by Open for a file whose secrets were sealed under another key: it is another node's.
var ErrOtherKey = errors.New("the store's secrets do not open with this node's key")

// Store is the exchange's memory: one bbolt file with one writer.
type Store struct {
	path string
	seal cipher.AEAD

	mu    sync.RWMutex // held for reading by each transaction, for writing while the file is opened again
	db    *bbolt.DB    // nil: it could not be opened again
	file  os.FileInfo  // which file that is; nil before the first opening
	hurry atomic.Bool  // the file is to be opened again: readers that take long give up

	commit      func(commit func() error) error // nil: nothing stands between us and the disk
	lockWait    time.Duration
	noSync      bool
	compactFrom int64        // bytes
	reserved    atomic.Int64 // where the room ends that was asked for
	uncompacted error
}

// StoreOptions change how a store writes. The zero value is normal use; the rest is for simulations and tests.
type StoreOptions struct {
	// NoSync leaves out the fsyncs: for a store that need not outlive the machine's next crash.
	NoSync bool
	// Commit stands in for each commit of the engine, in its goroutine. To return an error without a call of commit is
	// a commit that failed and was not done; to call it and return an error is one that failed but was done.
	Commit func(commit func() error) error

	compactFrom int64 // bytes; 0: the constant
}

// Open opens or creates the file (mode 0600), runs the migrations and returns the store. Preimages are kept encrypted
// under key. A file in use by another process is an error after lockWait; ErrNewerStore and ErrOtherKey are returned
// as they say, and so is ErrDamaged. A file of mostly free pages is written anew.
func Open(path string, key [32]byte, lockWait time.Duration) (*Store, error) {
	return OpenWith(path, key, lockWait, StoreOptions{})
}

// OpenWith is Open with options.
func OpenWith(path string, key [32]byte, lockWait time.Duration, o StoreOptions) (*Store, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		path: path, seal: seal, commit: o.Commit, lockWait: lockWait, noSync: o.NoSync,
		compactFrom: cmp.Or(o.compactFrom, compactFrom),
	}
	err = soundly(func() error {
		if err := inspectSmall(path); err != nil {
			return err
		}
		if s.db, err = bbolt.Open(path, 0o600, s.options()); err != nil {
			return err
		}
		if err := errors.Join(s.migrate(), s.checkKey()); err != nil {
			return err
		}
		if s.wasteful() {
			if s.uncompacted = s.compact(); s.uncompacted != nil && s.db == nil {
				return s.uncompacted
			}
		}
		s.file, err = os.Stat(path)
		return err
	})
	if err != nil {
		err = fmt.Errorf("open store %s: %w", path, err)
		if s.db != nil && !errors.Is(err, ErrDamaged) { // after a panic inside it, bbolt may hold a lock for ever
			err = errors.Join(err, s.db.Close())
		}
		return nil, err
	}
	return s, nil
}

// inspectUpTo bounds the file that every start looks at page by page: some tens of milliseconds. The whole of a larger one
// is looked at by Check, on demand; a damaged page that is met before that is an error of what met it.
const inspectUpTo = 64 << 20

func inspectSmall(path string) error {
	if fi, err := os.Stat(path); err == nil && fi.Size() > inspectUpTo {
		return nil
	}
	return inspect(path)
}

// soundly turns what bbolt does on a damaged page into an error: a panic, or a fault of the memory that the file is
// mapped to, where it is shorter than it was. Our own faults go through.
func soundly(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case fault:
			panic(p)
		default:
			err = damaged("%v", p)
		}
	}()
	return fn()
}

var keyCheck = []byte("key-check")

// checkKey opens a known text that the first Open has sealed, so that a file under another node's key is refused at
// once and not at the first preimage.
func (s *Store) checkKey() error {
	nonce := bytes.Repeat([]byte{0xff}, s.seal.NonceSize())
	fresh := false
	err := s.db.View(func(b *bbolt.Tx) error {
		meta := b.Bucket(metaBucket)
		if meta == nil {
			return nil // the migration has failed and says so
		}
		sealed := meta.Get(keyCheck)
		if fresh = sealed == nil; fresh {
			return nil
		}
		if _, err := s.seal.Open(nil, nonce, sealed, nil); err != nil {
			return ErrOtherKey
		}
		return nil
	})
	if err != nil || !fresh {
		return err
	}
	return s.db.Update(func(b *bbolt.Tx) error {
		return b.Bucket(metaBucket).Put(keyCheck, s.seal.Seal(nil, nonce, keyCheck, nil))
	})
}

// Uncompacted is why a file of mostly free pages was left as it is; nil if it was not.
func (s *Store) Uncompacted() error { return s.uncompacted }

// Close waits for open transactions and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}

// Size is the length of the file in bytes.
func (s *Store) Size() (int64, error) {
	fi, err := os.Stat(s.path)
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (s *Store) view(fn func(*tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return errShut
	}
	return soundly(func() error {
		return s.db.View(func(b *bbolt.Tx) error { return fn(&tx{b, s.seal}) })
	})
}

// update runs fn in a write transaction and commits. An error of fn is returned as it is, and so is ErrDamaged; one of the
// commit is ErrNotDone or ErrInDoubt. A commit that failed and was done all the same is no error.
func (s *Store) update(fn func(*tx) error) error {
	txid, err, failed := s.write(fn)
	if failed == nil {
		return err
	}
	return s.fate(txid, failed)
}

// neverDone is the number of a transaction that did not even begin.
const neverDone = math.MaxUint64

func (s *Store) write(fn func(*tx) error) (txid uint64, err, failed error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return neverDone, nil, errShut
	}
	err = soundly(func() error {
		b, err := s.db.Begin(true)
		if err != nil {
			txid, failed = neverDone, err
			return nil
		}
		txid = uint64(b.ID())
		defer func() { _ = b.Rollback() }() // an error if there is nothing to roll back, after a commit
		if err := fn(&tx{b, s.seal}); err != nil {
			return err
		}
		commit := b.Commit
		if s.commit != nil {
			commit = func() error { return s.commit(b.Commit) }
		}
		failed = commit()
		return nil
	})
	return txid, err, failed
}

// tx is one transaction. An index is written by the verb that writes what it indexes. Nothing that bbolt returned
// outlives the verb that read it.
type tx struct {
	b    *bbolt.Tx
	seal cipher.AEAD
}

// fault is a store that does not hold what it must; it ends the operation.
type fault struct{ err error }

func (t *tx) put(bucket, key []byte, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fault{fmt.Errorf("store %s: %w", bucket, err)})
	}
	t.set(bucket, key, data)
}

func (t *tx) set(bucket, key, data []byte) {
	if err := t.b.Bucket(bucket).Put(key, data); err != nil {
		panic(fault{fmt.Errorf("store %s: %w", bucket, err)})
	}
}

func (t *tx) drop(bucket, key []byte) {
	if err := t.b.Bucket(bucket).Delete(key); err != nil {
		panic(fault{fmt.Errorf("store %s: %w", bucket, err)})
	}
}

func (t *tx) get(bucket, key []byte, v any) bool {
	data := t.b.Bucket(bucket).Get(key)
	if data == nil {
		return false
	}
	if err := json.Unmarshal(data, v); err != nil {
		panic(fault{fmt.Errorf("read %s %x: %w", bucket, key, err)})
	}
	return true
}

func (t *tx) index(bucket, key []byte, present bool) {
	if present {
		t.set(bucket, key, []byte{})
	} else {
		t.drop(bucket, key)
	}
}

// Orders.

func (t *tx) order(id OrderID) (*Order, bool) {
	o := &Order{}
	ok := t.get(ordersBucket, id[:], o)
	return o, ok
}

// putOrder saves the order and moves its index rows.
func (t *tx) putOrder(o *Order) {
	old, existed := t.order(o.ID)
	if existed {
		t.reindex(old, false)
	} else {
		t.addToTimeline(o)
	}
	t.reindex(o, true)
	t.put(ordersBucket, o.ID[:], o)
}

// appended is how full a page is left when a key that is the largest so far does not fit any more. Nothing will come
// between such keys, so the room that bbolt leaves by default would stay empty.
const appended = 0.95

// addToTimeline also counts the order: the bucket's sequence is the number of orders, since none is ever deleted.
func (t *tx) addToTimeline(o *Order) {
	b := t.b.Bucket(timelineBucket)
	b.FillPercent = appended
	t.index(timelineBucket, timeKey(o.CreatedAt, o.ID[:]), true)
	if _, err := b.NextSequence(); err != nil {
		panic(fault{fmt.Errorf("store timeline: %w", err)})
	}
}

func (t *tx) reindex(o *Order, present bool) {
	if o.Status.Final() {
		t.index(endedBucket, timeKey(o.UpdatedAt, o.ID[:]), present)
	} else {
		t.index(openBucket, o.ID[:], present)
	}
	if o.Deadline != 0 {
		t.index(deadlinesBucket, timeKey(o.Deadline, o.ID[:]), present)
	}
	if o.takerOwes() {
		t.index(dutiesBucket, join(o.Taker.Identity[:], o.ID[:]), present)
	}
	for _, p := range []*Party{&o.Maker, &o.Taker} {
		if p.Here() {
			t.index(partiesBucket, join(p.Identity[:], timeKey(o.CreatedAt, o.ID[:])), present)
		}
	}
	if d := o.Dispute; d != nil {
		t.index(casesBucket, timeKey(d.OpenedAt, d.ID[:]), present)
		if present {
			t.set(disputesBucket, d.ID[:], o.ID[:])
		}
	}
	for _, p := range []*Payout{&o.Payout, &o.MakerPayout} {
		if present && !p.Hash.IsZero() {
			t.set(invoicesBucket, p.Hash[:], o.ID[:])
		}
	}
}

// takerOwes reports whether the trade waits for its taker, before the escrow is complete.
func (o *Order) takerOwes() bool {
	return o.Taker.Here() && (o.Kind == Sell && o.Status == WaitingBuyerInvoice || o.Kind == Buy && o.Status == WaitingPayment)
}

// ordersOf walks the orders of an identity from the oldest, open ones only or all, until fn returns false.
func (t *tx) ordersOf(identity PubKey, open bool, fn func(*Order) bool) {
	t.each(partiesBucket, identity[:], func(k, _ []byte) bool {
		id := k[len(identity)+8:]
		if open && t.b.Bucket(openBucket).Get(id) == nil {
			return true
		}
		o, ok := t.order(OrderID(id))
		return !ok || fn(o)
	})
}

// busy reports whether the identity took an order on which it still owes something.
func (t *tx) busy(identity PubKey) bool {
	k, _ := t.b.Bucket(dutiesBucket).Cursor().Seek(identity[:])
	return bytes.HasPrefix(k, identity[:])
}

// invoiceUsedBy returns the order that a payout invoice belongs to.
func (t *tx) invoiceUsedBy(h Hash) (OrderID, bool) {
	v := t.b.Bucket(invoicesBucket).Get(h[:])
	if len(v) != len(OrderID{}) {
		return OrderID{}, false
	}
	return OrderID(v), true
}

// Holds.

type storedHold struct {
	Hold
	Sealed []byte `json:"sealed"` // AES-256-GCM of the preimage, nonce = start of the hash, unique to it
}

func (t *tx) hold(h Hash) (*Hold, bool) {
	var s storedHold
	if !t.get(holdsBucket, h[:], &s) {
		return nil, false
	}
	pre, err := t.seal.Open(nil, h[:t.seal.NonceSize()], s.Sealed, h[:])
	if err != nil || len(pre) != len(Preimage{}) {
		panic(fault{fmt.Errorf("hold %s: its preimage does not open with this key", h)})
	}
	s.Preimage = Preimage(pre)
	return &s.Hold, true
}

// putHold leaves out the invoice's text once nobody can pay it any more: it is longer than all the rest.
func (t *tx) putHold(h *Hold) {
	sealed := t.seal.Seal(nil, h.Hash[:t.seal.NonceSize()], h.Preimage[:], h.Hash[:])
	stored := storedHold{*h, sealed}
	if h.State.Ended() {
		stored.Bolt11 = ""
	}
	t.put(holdsBucket, h.Hash[:], stored)
	t.index(liveBucket, h.Hash[:], !h.State.Ended() && !(planted.On("hold-not-watched") && h.State == HoldAccepted))
}

// Users.

func (t *tx) user(identity PubKey) (*User, bool) {
	u := &User{}
	ok := t.get(usersBucket, identity[:], u)
	return u, ok
}

func (t *tx) putUser(u *User) { t.put(usersBucket, u.Identity[:], u) }

// History and ledger.

func (t *tx) addHistory(id OrderID, h Transition) { t.append(historyBucket, id, h) }

func (t *tx) addEntry(id OrderID, e Entry) {
	k := t.append(ledgerBucket, id, e)
	t.b.Bucket(moneyBucket).FillPercent = appended
	t.index(moneyBucket, timeKey(e.At, k), true)
}

func (t *tx) append(bucket []byte, id OrderID, v any) (key []byte) {
	n, err := t.b.Bucket(bucket).NextSequence()
	if err != nil {
		panic(fault{fmt.Errorf("store %s: %w", bucket, err)})
	}
	key = join(id[:], number(n))
	t.put(bucket, key, v)
	return key
}

// Outbox.

func (t *tx) addRow(r *Row) {
	n, err := t.b.Bucket(outboxBucket).NextSequence()
	if err != nil {
		panic(fault{fmt.Errorf("store outbox: %w", err)})
	}
	r.Number = n
	t.putRow(r)
}

func (t *tx) putRow(r *Row)        { t.put(outboxBucket, number(r.Number), r) }
func (t *tx) dropRow(n uint64)     { t.drop(outboxBucket, number(n)) }
func (t *tx) hasRow(n uint64) bool { return t.b.Bucket(outboxBucket).Get(number(n)) != nil }

// Inputs that were done.

type verdict struct {
	At     int64   `json:"at"`
	Reason Reason  `json:"reason,omitempty"`
	Order  OrderID `json:"order"`
}

func (t *tx) seen(id [32]byte) (verdict, bool) {
	var v verdict
	ok := t.get(seenBucket, id[:], &v)
	return v, ok
}

func (t *tx) markSeen(id [32]byte, v verdict) {
	t.put(seenBucket, id[:], v)
	t.b.Bucket(seenAgeBucket).FillPercent = appended
	t.index(seenAgeBucket, timeKey(v.At, id[:]), true)
}

// forget drops inputs that were done before the given time, at most some at once.
func (t *tx) forget(before int64, some int) int {
	n := 0
	c := t.b.Bucket(seenAgeBucket).Cursor()
	var keys [][]byte
	for k, _ := c.First(); k != nil && n < some && timeOf(k) < before; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
		n++
	}
	for _, k := range keys {
		t.drop(seenAgeBucket, k)
		t.drop(seenBucket, k[8:])
	}
	return n
}

// each walks a bucket in key order from the first key with the prefix, until fn returns false.
func (t *tx) each(bucket, prefix []byte, fn func(k, v []byte) bool) {
	c := t.b.Bucket(bucket).Cursor()
	for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if !fn(k, v) {
			return
		}
	}
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func timeKey(at int64, id []byte) []byte { return join(number(uint64(max(at, 0))), id) }
func timeOf(k []byte) int64              { return int64(binary.BigEndian.Uint64(k)) }

func join(a, b []byte) []byte {
	return append(append(make([]byte, 0, len(a)+len(b)), a...), b...)
}
