package orders

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var errFull = &os.PathError{Op: "write", Path: "orders.db", Err: syscall.ENOSPC}

// A commit returns an error: what is told is what is on the disk, and nothing of it is lost or done twice.
func TestACommitThatFails(t *testing.T) {
	for _, c := range []struct {
		name string
		done bool
	}{{"and was not done", false}, {"but was done", true}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			maker := w.trader("maker")
			in := maker.message(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
			before := w.dump()
			w.commit = func(commit func() error) error {
				w.commit = nil
				if c.done {
					return errors.Join(commit(), errFull)
				}
				return errFull
			}
			out, err := w.e.Do(t.Context(), in)
			if c.done {
				if err != nil || out.Reason != "" || out.Repeat {
					t.Fatalf("got %+v, %v", out, err)
				}
			} else {
				if !errors.Is(err, ErrNotDone) || !errors.Is(err, syscall.ENOSPC) || w.dump() != before {
					t.Fatalf("got %+v, %v, changed: %v", out, err, w.dump() != before)
				}
				if w.e.Trouble() == nil {
					t.Error("no trouble is told")
				}
				if out, err = w.e.Do(t.Context(), in); err != nil || out.Repeat {
					t.Fatalf("the second time: %+v, %v", out, err)
				}
			}
			if fresh := w.e.takeFresh(); len(fresh) == 0 {
				t.Error("the dispatcher hears of nothing")
			}
			if err := w.e.Trouble(); err != nil {
				t.Errorf("trouble: %v", err)
			}
			w.pump()
			w.wantHeard(maker, SayNewOrder)
			if out, err := w.e.Do(t.Context(), in); err != nil || !out.Repeat {
				t.Errorf("once more: %+v, %v", out, err)
			}
		})
	}
}

// Not even what was written can be read for a while: whoever waits is told so, and once the file is there again the
// dispatcher carries on with what it holds, without a restart.
func TestACommitInDoubtIsResolvedByItself(t *testing.T) {
	for _, c := range []struct {
		name string
		done bool
	}{{"not done", false}, {"done", true}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				mail := &flaky{}
				p := w.ports()
				p.Now, p.Courier = time.Now, mail
				go func() { ended <- w.e.Dispatch(ctx, p) }()

				maker := w.trader("maker")
				in := maker.message(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
				in.At = time.Now().Unix()
				w.commit = func(commit func() error) error {
					w.commit = nil
					var err error
					if c.done {
						err = commit()
					}
					return errors.Join(err, errFull, os.Rename(w.path, w.path+".away"))
				}
				if _, err := w.e.Do(t.Context(), in); !errors.Is(err, ErrInDoubt) {
					t.Fatalf("got %v", err)
				}
				if _, err := w.e.Do(t.Context(), in); !errors.Is(err, ErrNotDone) {
					t.Errorf("the second time: %v", err)
				}
				if _, err := w.e.Count(); err == nil {
					t.Error("there is no file, and it is read")
				}
				if err := w.store.Check(); err == nil {
					t.Error("there is no file, and it is sound")
				}
				time.Sleep(3 * time.Second) // the bubble's clock
				if err := os.Rename(w.path+".away", w.path); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if n, err := w.e.Count(); err != nil || n.Orders == 1 != c.done || n.Owed != 0 {
					t.Errorf("got %+v, %v", n, err)
				}
				if c.done != w.e.Known(maker.trade) {
					t.Errorf("the maker is known: %v", w.e.Known(maker.trade))
				}
				out, err := w.e.Do(t.Context(), in)
				if err != nil || out.Repeat != c.done {
					t.Errorf("once more: %+v, %v", out, err)
				}
				time.Sleep(time.Second)
				stop()
				<-ended
				if len(mail.got) != 1 || mail.got[0].Action != SayNewOrder {
					t.Errorf("said: %+v", mail.got)
				}
			})
		})
	}
}

// The file must not be taken for another one that lies where it lay.
func TestAnotherFileIsNotOpenedInItsPlace(t *testing.T) {
	w, id, _ := tradeIn(t, FiatSent)
	other := w.backup("other.db")
	w.commit = func(func() error) error {
		w.commit = nil
		return errors.Join(errFull, os.Rename(w.path, w.path+".away"), os.Rename(other, w.path))
	}
	in := w.deadline(id, w.order(id).Deadline)
	if _, err := w.e.Do(t.Context(), in); !errors.Is(err, ErrInDoubt) {
		t.Errorf("got %v", err)
	}
	if err := os.Rename(w.path+".away", w.path); err != nil {
		t.Fatal(err)
	}
	if _, err := w.e.Do(t.Context(), in); err != nil {
		t.Errorf("with the file back: %v", err)
	}
}

// What is in one batch with something that cannot be written is done all the same.
func TestABatchTooLargeForTheDiskIsDoneInParts(t *testing.T) {
	w := newWorld(t)
	w.e.Close() // the writer is the test
	commits := 0
	w.commit = func(commit func() error) error {
		if commits++; commits == 1 || commits == 3 {
			return errFull
		}
		return commit()
	}
	var jobs []*job
	for range 5 {
		in := w.trader("maker").message(OrderID{}, NewOrder{Terms: sellTerms(10_000)})
		jobs = append(jobs, &job{done: make(chan struct{}), do: func(t *tx) (after, error) {
			_, then, err := w.e.decide(t, &in)
			return then, err
		}})
	}
	w.e.commit(jobs)
	for i, j := range jobs {
		<-j.done
		if failed := errors.Is(j.err, ErrNotDone); failed != (i == 1) || failed != (j.err != nil) {
			t.Errorf("job %d: %v", i, j.err)
		}
	}
	w.commit = func(func() error) error { commits++; return errFull }
	commits = 0
	for _, j := range jobs {
		j.done = make(chan struct{})
		j.do = func(t *tx) (after, error) { t.set(metaBucket, []byte("x"), nil); return after{}, nil }
	}
	w.e.commit(jobs)
	for i, j := range jobs {
		if <-j.done; !errors.Is(j.err, ErrNotDone) {
			t.Errorf("job %d on a full disk: %v", i, j.err)
		}
	}
	if commits != maxFailures {
		t.Errorf("%d commits were tried, want %d", commits, maxFailures)
	}
	w.commit = nil
	w.restartStore()
	if n, err := w.e.Count(); err != nil || n.Orders != 4 {
		t.Errorf("got %+v, %v", n, err)
	}
}
