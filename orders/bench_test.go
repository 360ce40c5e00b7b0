package orders

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func benchEngine(b *testing.B) *Engine {
	b.Helper()
	e := openEngine(b, filepath.Join(b.TempDir(), "orders.db"))
	b.Cleanup(func() { e.Close(); e.store.Close() })
	return e
}

func benchInput(n uint64) Input {
	var s Seed
	binary.BigEndian.PutUint64(s[:], n)
	k := PubKey(s.Derive("key"))
	return Input{
		ID: s.Derive("event"), At: startTime, Seed: s, Act: NewOrder{Terms: sellTerms(10_000)},
		From: Sender{Trade: k, Identity: k, Way: Direct},
	}
}

// One input a commit: what a quiet server does.
func BenchmarkEngineOneByOne(b *testing.B) {
	e := benchEngine(b)
	for i := range b.N {
		if _, err := e.Do(b.Context(), benchInput(uint64(i))); err != nil {
			b.Fatal(err)
		}
	}
}

// Many clients at once share commits.
func BenchmarkEngineGroupCommit(b *testing.B) {
	for _, clients := range []int{16, 256} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			e := benchEngine(b)
			var n atomic.Uint64
			b.SetParallelism(clients / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := e.Do(b.Context(), benchInput(n.Add(1))); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// A repeat is answered from the record.
func BenchmarkEngineRepeat(b *testing.B) {
	e := benchEngine(b)
	in := benchInput(1)
	if _, err := e.Do(b.Context(), in); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		if ok, err := e.Seen(in.ID); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}

// BenchmarkStart opens a store with 100 000 finished orders and a hundred open ones.
func BenchmarkStart(b *testing.B) {
	path := filepath.Join(b.TempDir(), "orders.db")
	fillStore(b, path, 100_000)
	benchStart(b, path)
}

// benchStart measures the time until the engine takes an input, and what it keeps in memory.
func benchStart(b *testing.B, path string) {
	for b.Loop() {
		e := openEngine(b, path)
		b.StopTimer()
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapInuse)/1e6, "heap-MB")
		if size, err := e.store.Size(); err == nil {
			b.ReportMetric(float64(size)/1e6, "file-MB")
		}
		e.Close()
		e.store.Close()
		b.StartTimer()
	}
}

// fillStore writes finished orders with everything that a trade leaves behind.
func fillStore(b *testing.B, path string, n int) {
	b.Helper()
	fill(b, path, n, func(t *tx, s Seed, i int) { finished(t, s, i%1000 == 0) })
}

// fill makes a store by n pieces of work, many to a commit, and packs it: pages that were freed on the way would be
// written with each later commit.
func fill(b *testing.B, path string, n int, each func(t *tx, s Seed, i int)) {
	b.Helper()
	st, err := Open(path+".loose", [32]byte{1}, time.Second)
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	for from := 0; from < n; from += 5000 {
		err := st.update(func(t *tx) error {
			for i := from; i < min(n, from+5000); i++ {
				var s Seed
				binary.BigEndian.PutUint64(s[:], uint64(i))
				each(t, s, i)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	packed, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer packed.Close()
	if err := bbolt.Compact(packed, st.db, 1<<20); err != nil {
		b.Fatal(err)
	}
}

// finished writes what a trade leaves behind, with texts as long as they are in life.
func finished(t *tx, s Seed, open bool) {
	pre := Preimage(s.Derive("pre"))
	o := &Order{
		ID: newOrderID(s), Kind: Sell, Status: Success, Amount: 10_000, Fees: Fees{Seller: 60},
		Maker: Party{Trade: s.Derive("m"), Identity: s.Derive("mi"), Way: Direct},
		Taker: Party{Trade: s.Derive("t"), Identity: s.Derive("ti"), Way: Direct},
		Fiat:  Fiat{Code: "EUR", Amount: 10}, PaymentMethod: "SEPA", Hold: pre.Hash(),
		Payout:    Payout{Invoice: "lnbc" + strings.Repeat(Hash(s.Derive("inv")).String(), 5), Hash: s.Derive("ph")},
		CreatedAt: startTime + int64(binary.BigEndian.Uint64(s[:])), ExpiresAt: startTime + 86400,
	}
	hold := HoldSettled
	if open {
		o.Status, hold = Active, HoldAccepted
	}
	t.putOrder(o)
	t.putHold(&Hold{
		Hash: pre.Hash(), Order: o.ID, Preimage: pre, Amount: 10_060_000, Held: 10_060_000, State: hold,
		Bolt11: "lnbc" + strings.Repeat(Hash(s.Derive("hold")).String(), 6),
	})
	for range 8 {
		t.addHistory(o.ID, Transition{At: startTime, From: WaitingPayment, To: WaitingBuyerInvoice, On: OnHoldAccepted, Input: pre.Hash().String()})
	}
	for range 5 {
		t.addEntry(o.ID, Entry{At: startTime, What: Settled, Msats: 10_000_000, Hash: pre.Hash()})
	}
	for _, k := range []PubKey{o.Maker.Identity, o.Taker.Identity} {
		t.putUser(&User{Identity: k, LastIndex: 1, CreatedAt: startTime, Reviews: 1, Sum: 5, Last: 5, Min: 5, Max: 5})
	}
}

// fillBook fills a store with pending orders, each of an identity of its own.
func fillBook(b *testing.B, path string, n int) {
	b.Helper()
	fill(b, path, n, func(t *tx, s Seed, _ int) {
		o := &Order{
			ID: newOrderID(s), Kind: Sell, Status: Pending, Amount: 10_000, Fees: Fees{Seller: 60},
			Maker: Party{Trade: s.Derive("m"), Identity: s.Derive("mi"), Way: Direct},
			Fiat:  Fiat{Code: "EUR", Amount: 10}, PaymentMethod: "SEPA", Published: startTime,
			CreatedAt: startTime, ExpiresAt: startTime + 86400, Deadline: startTime + 86400,
		}
		t.putOrder(o)
		t.addHistory(o.ID, Transition{At: startTime, To: Pending, On: OnNewOrder, Input: o.ID.String()})
	})
}

// BenchmarkBookStart opens a store with 100 000 orders on the book.
func BenchmarkBookStart(b *testing.B) {
	path := filepath.Join(b.TempDir(), "orders.db")
	fillBook(b, path, 100_000)
	benchStart(b, path)
}

// BenchmarkNewOrder puts one more order on books of different length. It must cost the same.
func BenchmarkNewOrder(b *testing.B) {
	for _, n := range []int{0, 1000, 100_000} {
		b.Run(fmt.Sprintf("book=%d", n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "orders.db")
			fillBook(b, path, n)
			e := openEngine(b, path)
			defer func() { e.Close(); e.store.Close() }()
			e.store.db.NoSync = true // the disk is the same for all
			i := uint64(1 << 40)
			for b.Loop() {
				i++
				if out, err := e.Do(b.Context(), benchInput(i)); err != nil || out.Reason != "" {
					b.Fatal(out, err)
				}
			}
		})
	}
}

// BenchmarkRestore answers restore-session of an identity with 1000 trades, 25 of which go on.
func BenchmarkRestore(b *testing.B) {
	path := filepath.Join(b.TempDir(), "orders.db")
	who := PubKey{1}
	fill(b, path, 1000, func(t *tx, s Seed, i int) {
		o := &Order{
			ID: newOrderID(s), Kind: Sell, Status: Success, Amount: 10_000, CreatedAt: startTime + int64(i),
			Maker: Party{Trade: s.Derive("m"), Identity: who, Way: Direct},
			Fiat:  Fiat{Code: "EUR", Amount: 10}, PaymentMethod: "SEPA",
		}
		if i%40 == 0 {
			o.Status = Active
		}
		t.putOrder(o)
	})
	e := openEngine(b, path)
	defer func() { e.Close(); e.store.Close() }()
	e.store.db.NoSync = true
	i := uint64(1 << 40)
	for b.Loop() {
		i++
		in := benchInput(i)
		in.Act, in.From.Identity = AskRestore{}, who
		if out, err := e.Do(b.Context(), in); err != nil || out.Reason != "" {
			b.Fatal(out, err)
		}
	}
}

// BenchmarkStatsOfADay computes the figures of one day with 100 trades, in exchanges of different age. It must cost the
// same.
func BenchmarkStatsOfADay(b *testing.B) {
	for _, days := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("days=%d", days), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "orders.db")
			fill(b, path, 100*days, func(t *tx, s Seed, i int) {
				at := startTime + int64(i/100)*86_400
				o := &Order{
					ID: newOrderID(s), Kind: Sell, Status: Success, Amount: 10_000, Fees: Fees{Seller: 60}, CreatedAt: at, UpdatedAt: at,
					Fiat: Fiat{Code: "EUR", Amount: 10}, PaymentMethod: "SEPA",
				}
				t.putOrder(o)
				for _, to := range []Status{Settling, Success} {
					t.addHistory(o.ID, Transition{At: at, To: to})
				}
				for _, what := range []EntryKind{Locked, Settled, Paid, Routed, Kept} {
					t.addEntry(o.ID, Entry{At: at, What: what, Msats: 1000})
				}
			})
			e := openEngine(b, path)
			defer func() { e.Close(); e.store.Close() }()
			p := Period{Since: startTime + int64(days-1)*86_400}
			for b.Loop() {
				if s, err := e.Stats(p); err != nil || s.Ended[Success] != 100 || s.Payouts.Count != 100 {
					b.Fatal(s, err)
				}
			}
		})
	}
}

func openEngine(b *testing.B, path string) *Engine {
	b.Helper()
	st, err := Open(path, [32]byte{1}, time.Second)
	if err != nil {
		b.Fatal(err)
	}
	e, err := NewEngine(st, DefaultRules(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	return e
}
