package relay

import (
	"fmt"
	"testing"

	"github.com/nbd-wtf/go-nostr"
)

// fill makes a store of n events to as many receivers; they need no signatures here.
func fill(b *testing.B, n int) *store {
	b.Helper()
	s := newStore(n)
	for i := range n {
		st, err := newStored(nostr.Event{
			ID: fmt.Sprintf("%064x", i), PubKey: pub(alice), Kind: 14, CreatedAt: nostr.Timestamp(i),
			Tags: nostr.Tags{{"p", fmt.Sprintf("%064x", i)}},
		})
		if err != nil {
			b.Fatal(err)
		}
		s.put(st, 0)
	}
	return s
}

// BenchmarkQuery is a trader's REQ for its own messages among 100,000 of others.
func BenchmarkQuery(b *testing.B) {
	s := fill(b, 100_000)
	f := fromNostr(nostr.Filter{Kinds: []int{14}, Tags: nostr.TagMap{"p": {fmt.Sprintf("%064x", 5)}}})
	for b.Loop() {
		if got := s.query([]filter{f}, 0, 500); len(got) != 1 {
			b.Fatalf("found %d", len(got))
		}
	}
}

// BenchmarkPutFull takes an event into a full store, which drops the oldest.
func BenchmarkPutFull(b *testing.B) {
	s := fill(b, 100_000)
	i := 100_000
	for b.Loop() {
		s.put(&stored{event: nostr.Event{ID: fmt.Sprintf("%064x", i), Kind: 14, CreatedAt: nostr.Timestamp(i)}}, 0)
		i++
	}
}
