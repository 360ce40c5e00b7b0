package orders

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func TestStoreRefusesWhatANewerVersionWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	s, err := Open(path, [32]byte{1}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.Update(func(b *bbolt.Tx) error { return b.Bucket(metaBucket).Put(schemaKey, number(99)) })
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, [32]byte{1}, time.Second)
	if !errors.Is(err, ErrNewerStore) || !strings.Contains(err.Error(), "schema 99, this program knows "+strconv.Itoa(len(migrations))) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, or %v", err)
	}
}

func TestStoreIsPrivateAndLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	s, err := Open(path, [32]byte{1}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", fi.Mode(), err)
	}
	if _, err := Open(path, [32]byte{1}, 50*time.Millisecond); err == nil {
		t.Error("two openers at once")
	}
}

func TestAFileThatIsNoStoreIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	if err := os.WriteFile(path, make([]byte, 70_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, [32]byte{1}, time.Second); err == nil {
		t.Error("opened a file of zeros")
	}
}

func TestPreimagesAreSealed(t *testing.T) {
	w, id, _ := tradeIn(t, WaitingPayment)
	h, ok, err := w.e.Hold(w.order(id).Hold)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	w.e.Close()
	w.store.Close()
	raw, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{string(h.Preimage[:]), h.Preimage.Reveal()} {
		if contains(raw, form) {
			t.Error("the preimage stands in the file")
		}
	}
	w.open()
	w.e.Close()
	w.store.Close()
	if _, err := Open(w.path, [32]byte{9}, time.Second); !errors.Is(err, ErrOtherKey) {
		t.Errorf("opened with another key: %v", err)
	}
	w.open()
}

// A job that faults or panics takes nobody else's down with it.
func TestOneFaultDoesNotStopTheBatch(t *testing.T) {
	w := newWorld(t)
	good, worse := w.trader("good"), w.trader("worse")
	jobs := []*job{
		{do: func(*tx) (after, error) { panic("a bug") }, done: make(chan struct{})},
		{do: func(t *tx) (after, error) {
			in := good.message(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
			_, then, err := w.e.decide(t, &in)
			return then, err
		}, done: make(chan struct{})},
		{do: func(t *tx) (after, error) { t.put(ordersBucket, nil, 1); return after{}, nil }, done: make(chan struct{})},
		{do: func(t *tx) (after, error) {
			in := worse.message(OrderID{}, NewOrder{Terms: sellTerms(20_000)})
			_, then, err := w.e.decide(t, &in)
			return then, err
		}, done: make(chan struct{})},
	}
	w.e.Close() // the writer is the test
	w.e.commit(jobs)
	for i, wantErr := range []bool{true, false, true, false} {
		if (jobs[i].err != nil) != wantErr {
			t.Errorf("job %d: %v", i, jobs[i].err)
		}
	}
	w.restartStore()
	if n, _ := w.e.Count(); n.Orders != 2 {
		t.Errorf("%d orders, want 2", n.Orders)
	}
}

// A file of each schema that there ever was opens, is sound, and its trades go on. That of the present one was made when
// the schema was new: what was changed since then without a migration reads it, too.
//
//	go test ./orders -run TestStoresOfEverySchema -update
//
// makes one of the present schema where there is none.
func TestStoresOfEverySchema(t *testing.T) {
	if *update {
		makeFixture(t)
	}
	fixtures, err := filepath.Glob("testdata/schema*.db")
	if err != nil || len(fixtures) != len(migrations) {
		t.Fatalf("%d fixtures for %d schemas: %v", len(fixtures), len(migrations), err)
	}
	for _, f := range fixtures {
		t.Run(filepath.Base(f), func(t *testing.T) {
			old, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t)
			w.e.Close()
			w.store.Close()
			if err := os.WriteFile(w.path, old, 0o600); err != nil {
				t.Fatal(err)
			}
			w.open()
			if err := w.store.Check(); err != nil {
				t.Fatal(err)
			}
			w.n = 1000 // seeds that the fixture has not used
			page, _, err := w.e.Orders(Query{Status: FiatSent, Limit: 1})
			if err != nil || len(page) != 1 {
				t.Fatal(len(page), err)
			}
			o := page[0]
			seller := &trader{w: w, name: "seller", identity: o.Maker.Identity, trade: o.Maker.Trade, index: 9, way: Direct}
			w.node.holds[o.Hold] = &fakeHold{o.Escrow().Msats(), HoldAccepted}
			out := seller.does(OrderID{}, AskRestore{})
			if l := w.last(seller, SayRestore); out.Reason != "" || len(l.Restore.Trades) != 1 {
				t.Errorf("restored %+v", l.Restore)
			}
			seller.must(o.ID, Release{})
			w.want(o.ID, SettledHoldInvoice)
			goOn(t, w)
		})
	}
}

// makeFixture writes a store with an order in every status.
func makeFixture(t *testing.T) {
	to := fmt.Sprintf("testdata/schema%d.db", len(migrations))
	if _, err := os.Stat(to); err == nil {
		return
	}
	w := newWorld(t)
	for i, s := range Statuses {
		kind := Sell
		if s != FiatSent && i%2 == 1 {
			kind = Buy
		}
		w.newTrade(kind).to(s)
		if s == Settling { // on its way there the node went down
			w.node.down = false
			w.pump()
		}
	}
	if err := w.store.copyTo(to); err != nil {
		t.Fatal(err)
	}
}

// goOn brings every trade of the store to its end: what waits is given up, what is locked goes back.
func goOn(t *testing.T, w *world) {
	t.Helper()
	all, _, err := w.e.Orders(Query{Open: true, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if o.Hold.IsZero() || o.Status == SettledHoldInvoice || o.Status == Settling {
			continue
		}
		if h, ok, err := w.e.Hold(o.Hold); err != nil || !ok {
			t.Errorf("order %s: its hold: %v, %v", o.ID, ok, err)
		} else if w.node.holds[o.Hold] == nil {
			w.node.holds[o.Hold] = &fakeHold{h.Amount, h.State}
		}
	}
	for range 20 {
		w.pass(86_400)
		w.look()
	}
	left, err := w.e.Open()
	if err != nil {
		t.Fatal(err)
	}
	for s := range left { // these wait for a person
		if s != FiatSent && s != Active && s != InDispute && s != SettledHoldInvoice && s != Settling && s != Frozen {
			t.Errorf("%d orders stay %s", left[s], s)
		}
	}
	w.newTrade(Sell).to(Success)
	w.newTrade(Buy).to(Success)
}
