package orders

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"
)

// failing opens a store whose commits can be made to fail after they are done.
func failing(t *testing.T) (e *Engine, s *Store, fail *bool) {
	t.Helper()
	fail = new(bool)
	s, err := OpenWith(filepath.Join(t.TempDir(), "orders.db"), [32]byte{7}, time.Second, StoreOptions{NoSync: true, Commit: func(commit func() error) error {
		if err := commit(); err != nil || !*fail {
			return err
		}
		return errors.New("input/output error")
	}})
	must(t, err)
	e, err = NewEngine(s, DefaultRules(), slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() {
		e.Close()
		must(t, s.Close())
	})
	return e, s, fail
}

func orderOf(n byte) Input {
	key := PubKey{n}
	return Input{ID: [32]byte{n}, At: startTime, Seed: Seed{n}, Act: NewOrder{Terms: sellTerms(10_000)}, From: Sender{Trade: key, Identity: key, Way: Direct}}
}

// A commit that fails may be on the disk all the same, as after an error of fsync. What it owes goes out like any other.
func TestWhatAFailedCommitOwesGoesOut(t *testing.T) {
	e, _, fail := failing(t)
	w := &recorder{}
	st, err := e.NewStepper(w.ports())
	must(t, err)
	*fail = true
	if _, err := e.Do(t.Context(), orderOf(1)); err != nil {
		t.Fatal(err)
	}
	*fail = false
	if _, err := e.Do(t.Context(), orderOf(2)); err != nil {
		t.Fatal(err)
	}
	for _, n := range st.Ready() {
		if gone, err := st.Carry(t.Context(), n); !gone || err != nil {
			t.Error(n, gone, err)
		}
	}
	if w.announced != 2 || w.delivered != 2 || len(st.Owed()) != 0 || !e.Known(PubKey{1}) {
		t.Errorf("%d order events, %d letters, %d rows are left", w.announced, w.delivered, len(st.Owed()))
	}
}

func TestAStepperKeepsTheOrderOfALane(t *testing.T) {
	e, _, _ := failing(t)
	w := &recorder{down: true}
	st, err := e.NewStepper(w.ports())
	must(t, err)
	_, err = e.Do(t.Context(), orderOf(1))
	must(t, err)
	ready := st.Ready()
	if len(ready) != 2 {
		t.Fatalf("ready are %v", ready)
	}
	for _, n := range ready {
		if gone, err := st.Carry(t.Context(), n); gone || err == nil {
			t.Error("carried over relays that are down")
		}
	}
	if again := st.Ready(); len(again) != 0 {
		t.Errorf("tried again at once: %v", again)
	}
	if at, ok := st.Next(); !ok || at.Unix() != startTime {
		t.Errorf("the next try is at %v, %v", at, ok)
	}
	w.down = false
	st.Hurry()
	for _, n := range st.Ready() {
		if gone, err := st.Carry(t.Context(), n); !gone || err != nil {
			t.Error(gone, err)
		}
	}
}

func TestEveryRowOfTheLifeCycleHasAName(t *testing.T) {
	e, _, _ := failing(t)
	names := RowNames()
	seen, all := map[string]int{}, map[string]bool{}
	for _, n := range names {
		if all[n] {
			t.Errorf("twice: %s", n)
		}
		all[n] = true
	}
	e.OnRow(func(name string) { seen[name]++ })
	_, err := e.Do(t.Context(), orderOf(1))
	must(t, err)
	if len(seen) != 1 || seen[names[0]] != 1 {
		t.Errorf("a new order takes %v, want %s", seen, names[0])
	}
}

func TestTheDigestIsThatOfTheRecords(t *testing.T) {
	e, s, _ := failing(t)
	before, err := s.Digest()
	must(t, err)
	_, err = e.Do(t.Context(), orderOf(1))
	must(t, err)
	after, err := s.Digest()
	must(t, err)
	again, err := s.Digest()
	must(t, err)
	if before == after || after != again {
		t.Error("a digest does not follow the records")
	}
}
