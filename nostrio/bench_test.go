package nostrio

import (
	"fmt"
	"testing"

	"github.com/mostro-cln/mostro/orders"
)

func BenchmarkEncode(b *testing.B) {
	m := mustDecode(b, goldenMessages(b)[4].JSON)
	b.ReportAllocs()
	for b.Loop() {
		m.Encode()
	}
}

func BenchmarkDecode(b *testing.B) {
	data := []byte(goldenMessages(b)[4].JSON)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseFrame(b *testing.B) {
	data := []byte(`["EVENT","x",` + envelope(b, "wrap") + `]`)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := parseFrame(data); err != nil {
			b.Fatal(err)
		}
	}
}

// The whole way in: all checks, signatures, decryption, parsing. "new" is a sender's first message, for which a
// conversation key must be made.
func BenchmarkGate(b *testing.B) {
	for _, way := range ways {
		for _, fresh := range []bool{false, true} {
			b.Run(fmt.Sprintf("way=%d/new=%v", way, fresh), func(b *testing.B) {
				node, _, _ := vectorKeys(b)
				g := NewGate(GateConfig{Key: node, PerAuthor: Rate{1e9, 1e9}, PerRelay: Rate{1e9, 1e9}})
				r := sealed(b, request(b, way, nil))
				b.ReportAllocs()
				for b.Loop() {
					if fresh {
						node.conv = newLRU[orders.PubKey, [32]byte](1)
					}
					g.recent = newLRU[orders.EventID, struct{}](1)
					if _, drop := g.Check(r, vectorNow); drop != "" {
						b.Fatal(drop)
					}
				}
			})
		}
	}
}

// What a flood costs: events that fail the signature, and those that fail before.
func BenchmarkGateDrop(b *testing.B) {
	node, _, _ := vectorKeys(b)
	r := sealed(b, request(b, orders.Direct, nil))
	for _, c := range []struct {
		drop Drop
		cfg  GateConfig
		sig  string
	}{
		{DropWork, GateConfig{Work: 200}, r.Event.Sig},
		{DropSignature, GateConfig{}, "11" + r.Event.Sig[2:]},
	} {
		b.Run(string(c.drop), func(b *testing.B) {
			c.cfg.Key, c.cfg.PerAuthor, c.cfg.PerRelay = node, Rate{1e9, 1e9}, Rate{1e9, 1e9}
			g := NewGate(c.cfg)
			r := r
			r.Event.Sig = c.sig
			b.ReportAllocs()
			for b.Loop() {
				if _, drop := g.Check(r, vectorNow); drop != c.drop {
					b.Fatal(drop)
				}
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	node, trade, _ := vectorKeys(b)
	m := mustDecode(b, goldenMessages(b)[4].JSON)
	for _, way := range ways {
		b.Run(fmt.Sprintf("way=%d", way), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := node.Seal(way, trade.PubKey(), m, vectorTime, named("s")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOrderEvent(b *testing.B) {
	node, _, _ := vectorKeys(b)
	o := orderEvent()
	for b.Loop() {
		o.Event(node)
	}
}
