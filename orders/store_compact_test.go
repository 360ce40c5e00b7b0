package orders

import (
	"os"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// bloat fills a bucket of the store and empties it again.
func (w *world) bloat() {
	w.t.Helper()
	for round := range 2 {
		err := w.store.db.Update(func(b *bbolt.Tx) error {
			for i := range 4000 {
				k := number(uint64(1<<40 + i))
				var err error
				if round == 0 {
					err = b.Bucket(invoicesBucket).Put(k, make([]byte, 500))
				} else {
					err = b.Bucket(invoicesBucket).Delete(k)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestAFileOfFreePagesIsWrittenAnewAtTheStart(t *testing.T) {
	w, id, _ := tradeIn(t, FiatSent)
	w.bloat()
	before, err := w.store.Size()
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := w.e.Story(id)
	if err != nil {
		t.Fatal(err)
	}
	w.e.Close()
	w.store.Close()
	if err := os.WriteFile(w.path+".compact", []byte("an earlier start died here"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from  int64
		least bool
	}{{1 << 30, false}, {1 << 20, true}} {
		s, err := OpenWith(w.path, [32]byte{7}, time.Second, StoreOptions{compactFrom: c.from})
		if err != nil {
			t.Fatal(err)
		}
		size, err := s.Size()
		if err != nil || (size < before/2) != c.least {
			t.Errorf("from %d: %d bytes before, %d after, %v", c.from, before, size, err)
		}
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		if _, err := Open(w.path, [32]byte{7}, 20*time.Millisecond); err == nil {
			t.Error("the file is not locked")
		}
		if fi, err := os.Stat(w.path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", fi.Mode(), err)
		}
		s.Close()
	}
	if _, err := os.Stat(w.path + ".compact"); !os.IsNotExist(err) {
		t.Errorf("left beside it: %v", err)
	}
	w.open()
	got, _, err := w.e.Story(id)
	if err != nil || got.Order.Status != want.Order.Status || len(got.History) != len(want.History) || got.Hold.Preimage != want.Hold.Preimage {
		t.Errorf("got %+v, want %+v, %v", got.Order, want.Order, err)
	}
	if n, err := w.e.Count(); err != nil || n.Orders != 1 {
		t.Errorf("counted %+v, %v", n, err)
	}
	w.newTrade(Sell).to(Success) // numbers go on where they were
}
