package lightning

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

func TestSimClaimsOutliveTheNode(t *testing.T) {
	s := startBareSim(t)
	id, other := orders.OrderID{1}, orders.OrderID{2}
	a, b := orders.Hash{0xaa}, orders.Hash{0xbb}
	for i, c := range []struct {
		order orders.OrderID
		hash  orders.Hash
		want  []orders.Hash
	}{
		{id, a, nil}, {id, a, nil}, {id, b, []orders.Hash{a}}, {other, b, nil}, {id, a, []orders.Hash{b}}, {id, b, []orders.Hash{a}},
	} {
		p := NewPayer(s.client(), slog.New(slog.DiscardHandler), Version{}, "s", time.Now)
		if got, err := p.Claim(t.Context(), c.order, c.hash); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("claim %d: got %v %v, want %v", i, got, err, c.want)
		}
		if i%2 == 0 {
			s.Kill()
			s.Start()
		}
	}
	s.Must("datastore", map[string]any{"key": []string{"mostro", "payouts", orders.OrderID{3}.String()}, "hex": "abcd"}, nil)
	p := NewPayer(s.client(), slog.New(slog.DiscardHandler), Version{}, "s", time.Now)
	if _, err := p.Claim(t.Context(), orders.OrderID{3}, a); err == nil {
		t.Error("a note that is not ours was read as one")
	}
}
