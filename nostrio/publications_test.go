package nostrio

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// readable writes an event with one tag a line.
func readable(e nostr.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "kind %d, created_at %d, pubkey %s\ncontent %s\n", e.Kind, e.CreatedAt, e.PubKey, e.Content)
	for _, t := range e.Tags {
		fmt.Fprintf(&b, "%s\n", appendList(nil, t, appendString))
	}
	fmt.Fprintf(&b, "id %s\n", e.ID)
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "events", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was; if it should be, run with -update.\ngot:\n%swant:\n%s", name, got, want)
	}
}

func orderEvent() OrderEvent {
	return OrderEvent{
		ID:   orders.OrderID{0x5c, 0x6f, 0x8a, 0x52, 0x3d, 0x1e, 0x4b, 0x77, 0x9a, 0x40, 0x2f, 0x6d, 0x1c, 0x0b, 0x9e, 0x11},
		Kind: orders.Sell, Status: "pending", Fiat: orders.Fiat{Code: "EUR", Amount: 250}, PaymentMethod: "SEPA,Revolut", Premium: 3,
		Maker:  MakerRating{Days: 87, Total: 4.25, Reviews: 12},
		Relays: []string{"wss://relay.example", "wss://other.example"}, Networks: []string{"mainnet"},
		ExpiresAt: 1767312000, Expiration: 1767312000, Name: "Test ", CreatedAt: vectorTime,
	}
}

func TestOrderEvents(t *testing.T) {
	node, _, _ := vectorKeys(t)
	low, high := int64(10), int64(500)
	for name, change := range map[string]func(*OrderEvent){
		"order-pending-market": func(*OrderEvent) {},
		"order-pending-range": func(o *OrderEvent) {
			o.Kind, o.Fiat, o.Premium = orders.Buy, orders.Fiat{Code: "VES", Min: &low, Max: &high}, -2
			o.PaymentMethod, o.Maker, o.Name = "Pago Móvil, Cash \"F2F\",,", MakerRating{}, ""
		},
		"order-in-progress": func(o *OrderEvent) {
			o.Status, o.Amount, o.Fiat = "in-progress", 26433, orders.Fiat{Code: "VES", Amount: 120, Min: &low, Max: &high}
			o.Expiration += 30 * 24 * 3600
		},
		"order-canceled-without-node": func(o *OrderEvent) { o.Status, o.Networks = "canceled", nil },
	} {
		t.Run(name, func(t *testing.T) {
			o := orderEvent()
			change(&o)
			e := o.Event(node)
			golden(t, name, readable(e))
			if _, _, err := verifyEvent(e); err != nil {
				t.Error(err)
			}
			if again := o.Event(node); again.Sig != e.Sig {
				t.Error("the same order makes another event")
			}
		})
	}
}

func TestInfoEvents(t *testing.T) {
	node, _, _ := vectorKeys(t)
	i := InfoEvent{
		Version: "0.1.0", CommitHash: "abcdef", Name: "Test",
		MinAmount: 100, MaxAmount: 1_000_000, PendingLife: 24 * time.Hour, WaitingLife: 15 * time.Minute,
		FiatCodes: []string{"USD", "EUR"}, MaxOrdersResponse: 10, Fee: 6000, FeePayer: orders.FeeBySeller,
		Work: 8, Way: orders.Direct, HoldWindow: 5 * time.Minute, HoldCLTV: 215, InvoiceWindow: time.Hour,
		Node: NodeInfo{Version: "v26.06", PubKey: "02" + strings.Repeat("ab", 32), Alias: "ALICE", Chains: []string{"bitcoin"},
			Networks: []string{"mainnet"}, URIs: []string{"02ab@example.com:9735", "02ab@example.onion:9735"}},
		CreatedAt: vectorTime,
	}
	golden(t, "info", readable(i.Event(node)))
	i.FirstWork, i.FeePayer, i.Name, i.FiatCodes = 12, orders.FeeSplit, "", nil
	i.Extra = nostr.Tags{{"reputation", "1"}}
	i.Bond = &Bond{AmountPct: 0.01, Base: 1000, ApplyTo: "take", NodeSharePct: 0.5, ClaimDays: 15}
	golden(t, "info-with-bond", readable(i.Event(node)))
}

func TestProfileAndRelayList(t *testing.T) {
	node, _, _ := vectorKeys(t)
	p := Profile{Name: "Test <&>", Picture: "https://example.com/\"x\".png", CreatedAt: vectorTime}
	golden(t, "profile", readable(p.Event(node)))
	golden(t, "relay-list", readable(RelayList{[]string{"wss://a.example", "wss://b.example"}, vectorTime}.Event(node)))
	if p.Empty() || !(Profile{CreatedAt: 1}).Empty() {
		t.Error("Empty is wrong")
	}
}
