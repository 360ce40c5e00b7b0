package hold

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func tempStore(t *testing.T) (*Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), databaseName)
	s, err := OpenStore(path, StoreOptions{Wait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, path
}

// reach puts an invoice into a state by the shortest way.
func reach(t *testing.T, s *Store, h Hash, state State) Invoice {
	t.Helper()
	ways := map[State][]State{
		Creating:  {Creating},
		Open:      {Creating, Open},
		Accepted:  {Creating, Open, Accepted},
		Settling:  {Creating, Open, Accepted, Settling},
		Settled:   {Creating, Open, Accepted, Settling, Settled},
		Canceling: {Creating, Open, Canceling},
		Canceled:  {Creating, Open, Canceled},
		Lost:      {Creating, Open, Accepted, Lost},
	}
	inv := Invoice{Hash: h, Label: h.String(), Amount: 1, Request: []byte(`{}`)}
	for _, st := range ways[state] {
		inv.State, inv.Settle = st, st == Settling || st == Settled
		stored, err := s.Put(inv)
		if err != nil {
			t.Fatal(err)
		}
		inv = stored
	}
	return inv
}

func TestStoreRefusesEveryMoveThatTheTableLacks(t *testing.T) {
	s, _ := tempStore(t)
	n := byte(0)
	for from := range moves {
		for to := range moves {
			n++
			inv := reach(t, s, Hash{n}, from)
			next := inv.clone()
			next.State, next.Settle = to, inv.Settle || to == Settling || to == Settled
			_, err := s.Put(next)
			if allowed := from.mayBecome(to); (err == nil) != allowed || err != nil && !errors.Is(err, errTurned) {
				t.Errorf("%s → %s: %v, allowed %v", from, to, err, allowed)
			}
			if stored, _ := s.Get(inv.Hash); err != nil && !reflect.DeepEqual(*stored, inv) {
				t.Errorf("%s → %s was refused but changed the store", from, to)
			}
		}
	}
}

// The two promises that money hangs on, said once more without the table.
func TestDecisionsAreNeverTurned(t *testing.T) {
	for _, s := range []State{Canceling, Canceled, Open, Accepted, Creating} {
		if Settling.mayBecome(s) || Settled.mayBecome(s) {
			t.Errorf("a settle may become %s", s)
		}
	}
	for _, s := range []State{Settling, Settled, Open, Accepted, Lost} {
		if Canceling.mayBecome(s) || Canceled.mayBecome(s) {
			t.Errorf("a cancel may become %s", s)
		}
	}
	s, _ := tempStore(t)
	inv := reach(t, s, Hash{1}, Settling)
	inv.State, inv.Settle = Lost, false
	if _, err := s.Put(inv); !errors.Is(err, errTurned) {
		t.Errorf("the decision to settle was forgotten: %v", err)
	}
}

func TestStoreKeepsWhatItWasGiven(t *testing.T) {
	s, path := tempStore(t)
	inv := reach(t, s, Hash{7}, Open)
	inv.State, inv.Total, inv.FirstAt = Accepted, 1<<60, 5
	inv.HTLCs = []HTLC{part("1x2x3", 1<<63, 1<<59, 700), part("4x5x6", 0, 1<<59, 650)}
	inv.Sealed, inv.Secret, inv.Answer = []byte{1, 2}, Secret{9}, []byte(`{"bolt11":"x"}`)
	inv, err := s.Put(inv)
	if err != nil {
		t.Fatal(err)
	}
	if inv.Created != 1 || inv.Updated != 3 {
		t.Errorf("numbers %d %d", inv.Created, inv.Updated)
	}
	if err := errors.Join(s.Raise(900), s.Raise(800), s.SetLimits(Limits{5, 3}), s.Close()); err != nil {
		t.Fatal(err)
	}
	s, err = OpenStore(path, StoreOptions{Wait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := s.Live()
	if err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], inv) {
		t.Errorf("got %+v, %v\nwant %+v", all, err, inv)
	}
	if h, err := s.Height(); h != 900 || err != nil {
		t.Errorf("height %d, %v", h, err)
	}
	if l, err := s.Limits(); l != (Limits{5, 3}) || err != nil {
		t.Errorf("limits %+v, %v", l, err)
	}
}

func TestStoreGivesALabelToOneInvoice(t *testing.T) {
	s, _ := tempStore(t)
	a := Invoice{Hash: Hash{1}, Label: "x", State: Creating}
	b := Invoice{Hash: Hash{2}, Label: "x", State: Creating}
	if _, err := s.Put(a); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(b); !errors.Is(err, errTaken) {
		t.Fatalf("second under one label: %v", err)
	}
	if err := s.Drop(a.Hash); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(b); err != nil {
		t.Fatalf("after the first was dropped: %v", err)
	}
	open := reach(t, s, Hash{3}, Open)
	if err := s.Drop(open.Hash); !errors.Is(err, errTurned) {
		t.Errorf("dropped an invoice that was handed out: %v", err)
	}
}

func TestStoreIsHeldByOneProcess(t *testing.T) {
	_, path := tempStore(t)
	if s, err := OpenStore(path, StoreOptions{Wait: 50 * time.Millisecond}); err == nil {
		s.Close()
		t.Fatal("opened twice")
	}
}
