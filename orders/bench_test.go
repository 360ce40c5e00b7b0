package orders

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

func benchEngine(b *testing.B) *Engine {
	b.Helper()
	st, err := Open(filepath.Join(b.TempDir(), "orders.db"), [32]byte{1}, time.Second)
	if err != nil {
		b.Fatal(err)
	}
	e, err := NewEngine(st, DefaultRules(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close(); st.Close() })
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
