package main

import (
	"context"
	"encoding/binary"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

func benchSeed(n uint64) (s orders.Seed) {
	binary.BigEndian.PutUint64(s[:], n)
	s[31] = 1
	return s
}

func benchKey(b *testing.B, n uint64) *nostrio.Key {
	b.Helper()
	k, err := nostrio.NewKey(benchSeed(n).Derive("bench key"))
	if err != nil {
		b.Fatal(err)
	}
	return k
}

func benchOrder(n uint64) nostrio.Message {
	return nostrio.Message{Wrapper: nostrio.WrapOrder, Body: nostrio.Body{
		Version: 2, RequestID: &n, Action: nostrio.ActNewOrder,
		Payload: nostrio.SmallOrder{Kind: nostrio.Sell, Status: "pending", Amount: 10_000, FiatCode: "EUR", FiatAmount: 10, PaymentMethod: "SEPA"},
	}}
}

// BenchmarkMessages takes new orders of as many clients from the relay's bytes to the disk: gate, signatures,
// decryption, decoding, engine, commit. One operation is one message.
func BenchmarkMessages(b *testing.B) {
	for name, way := range map[string]orders.Way{"direct": orders.Direct, "gift-wrap": orders.GiftWrap} {
		b.Run(name, func(b *testing.B) { benchMessages(b, way) })
	}
}

func benchMessages(b *testing.B, way orders.Way) {
	node := benchKey(b, 0)
	now := time.Now().Unix()
	in := make(chan nostrio.Received, 4096)
	events := make([]nostr.Event, b.N)
	var wg sync.WaitGroup
	for w := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := w; i < b.N; i += runtime.GOMAXPROCS(0) {
				e, err := nostrio.SealRequest(b.Context(), nostrio.Request{
					Way: way, Node: node.PubKey(), Trade: benchKey(b, uint64(i)+1), Message: benchOrder(uint64(i)), At: now, Seed: benchSeed(uint64(i)),
				})
				if err != nil {
					b.Error(err)
				}
				events[i] = e
			}
		})
	}
	wg.Wait()
	engine := benchEngine(b)
	gate := nostrio.NewGate(nostrio.GateConfig{
		Key: node, Workers: 64, PerRelay: nostrio.Rate{Burst: 1e9, PerSecond: 1e9}, Known: engine.Known,
		Seen: func(id orders.EventID) bool { ok, _ := engine.Seen(id); return ok },
	})
	b.ResetTimer()
	var done atomic.Int64
	ctx, cancel := context.WithCancel(b.Context())
	go func() {
		for _, e := range events {
			in <- nostrio.Received{Event: e, Relay: "bench", Size: 1000}
		}
		close(in)
	}()
	gate.Run(ctx, in, func(ctx context.Context, m nostrio.Incoming) {
		input, ok := nostrio.Translate(m, time.Now().Unix(), newSeed(), nil)
		if !ok {
			b.Error("not translated")
		}
		if out, err := engine.Do(ctx, input); err != nil || out.Reason != "" {
			b.Error(out, err)
		}
		done.Add(1)
	})
	cancel()
	if int(done.Load()) != b.N {
		_, drops := gate.Counts()
		b.Errorf("%d of %d messages arrived; dropped: %v", done.Load(), b.N, drops)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func benchEngine(b *testing.B) *orders.Engine {
	b.Helper()
	st, err := orders.Open(filepath.Join(b.TempDir(), "mostro.db"), [32]byte{1}, time.Second)
	if err != nil {
		b.Fatal(err)
	}
	e, err := orders.NewEngine(st, orders.DefaultRules(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close(); st.Close() })
	return e
}

// BenchmarkMessagesWithoutCrypto is the same from the decoded message on.
func BenchmarkMessagesWithoutCrypto(b *testing.B) {
	engine := benchEngine(b)
	var n atomic.Uint64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			k := orders.PubKey(benchSeed(i).Derive("key"))
			m, err := nostrio.Decode(benchOrder(i).Encode())
			if err != nil {
				b.Error(err)
			}
			in := nostrio.Incoming{ID: benchSeed(i).Derive("id"), Way: orders.Direct, Sender: k, Identity: k, At: time.Now().Unix(), Message: m}
			input, _ := nostrio.Translate(in, time.Now().Unix(), benchSeed(i), nil)
			if _, err := engine.Do(b.Context(), input); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// BenchmarkReplies seals answers.
func BenchmarkReplies(b *testing.B) {
	node, trader := benchKey(b, 0), benchKey(b, 1)
	for name, way := range map[string]orders.Way{"direct": orders.Direct, "gift-wrap": orders.GiftWrap} {
		b.Run(name, func(b *testing.B) {
			var n atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := node.Seal(way, trader.PubKey(), benchOrder(1), time.Now().Unix(), benchSeed(n.Add(1))); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "replies/s")
		})
	}
}
