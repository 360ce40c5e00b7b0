package lightning

import (
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/orders"
)

func TestVersions(t *testing.T) {
	for in, want := range map[string]Version{
		"v26.06.6": {26, 6}, "26.06rc1": {26, 6}, "v25.12-180-gabcdef-modded": {25, 12}, "v0.12.1": {0, 12}, "v24.11\n": {24, 11},
		"": {}, "v26": {}, "vx.y": {}, "basedon-v26.06": {}, "v26.": {},
	} {
		if got := ParseVersion(in); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
	if (Version{}).AtLeast(24, 11) || !(Version{26, 6}).AtLeast(26, 6) || (Version{26, 5}).AtLeast(26, 6) || !(Version{27, 1}).AtLeast(26, 6) {
		t.Error("AtLeast compares wrongly")
	}
}

func TestDecodePayoutNamesTheProblem(t *testing.T) {
	self := Info{ID: "02aa", Network: "regtest"}
	for name, c := range map[string]struct {
		change func(map[string]any)
		want   string
	}{
		"good":          {func(map[string]any) {}, ""},
		"other network": {func(d map[string]any) { d["currency"] = "bc" }, "another network"},
		"our own":       {func(d map[string]any) { d["payee"] = "02aa" }, "own node"},
		"invalid":       {func(d map[string]any) { d["valid"] = false }, "not a valid"},
		"an offer":      {func(d map[string]any) { d["type"] = "bolt12 offer" }, "not a valid"},
	} {
		f := newFakeNode(t)
		p := payout(f, c.change)
		inv, err := f.node().DecodePayout(t.Context(), self, p.Invoice)
		if err != nil || (inv.Problem == "") != (c.want == "") || !strings.Contains(inv.Problem, c.want) {
			t.Errorf("%s: got %q, %v; want %q", name, inv.Problem, err, c.want)
		}
		if c.want == "" && (inv.Hash != p.Hash || inv.Amount != 10_000_000 || inv.Expires != payoutNow+3500 || inv.CLTV != 18) {
			t.Errorf("%s: got %+v", name, inv)
		}
	}
	f := newFakeNode(t)
	inv, err := f.node().DecodePayout(t.Context(), self, "hello")
	if err != nil || inv.Problem == "" {
		t.Errorf("hello: got %+v, %v", inv, err)
	}
}

func TestNodeCalls(t *testing.T) {
	f := newFakeNode(t)
	n := f.node()
	a, err := n.MakeSecret(t.Context(), "one text")
	if err != nil || a == (Secret{}) {
		t.Fatalf("makesecret: %v", err)
	}
	if b, err := n.MakeSecret(t.Context(), "another text"); err != nil || b == a {
		t.Errorf("makesecret of another text: %v, %v", b, err)
	}
	if z, err := n.SignMessage(t.Context(), "text"); err != nil || z != "dtext" {
		t.Errorf("signmessage: %q, %v", z, err)
	}
	if rows, err := n.AutocleanStatus(t.Context()); err != nil || !rows["succeededpays"].Enabled || rows["succeededpays"].Age != 60 {
		t.Errorf("autoclean-status: %v, %v", rows, err)
	}
	if v, ok, err := n.Config(t.Context(), "cltv-final"); err != nil || !ok || *v.Number != 18 {
		t.Errorf("listconfigs: %v %v %v", v, ok, err)
	}
	if _, ok, err := n.Config(t.Context(), "no-such"); err != nil || ok {
		t.Errorf("listconfigs of nothing: %v %v", ok, err)
	}
	if list, err := n.ListPlugins(t.Context()); err != nil || len(list) != 1 || list[0].Dynamic {
		t.Errorf("plugin list: %v, %v", list, err)
	}
	if has, err := n.HasCommand(t.Context(), "no-such"); err != nil || has {
		t.Errorf("help: %v, %v", has, err)
	}
	if inv, err := n.InvoiceByLabel(t.Context(), "none"); err != nil || inv != nil {
		t.Errorf("listinvoices: %v, %v", inv, err)
	}
}

func TestHeldCountsOnlyWhatIsReallyHeld(t *testing.T) {
	hash := orders.Hash{1}
	x := func(state, dir string, amount orders.Msats, expiry uint32) peerHTLC {
		return peerHTLC{Direction: dir, Amount: amount, Expiry: expiry, PaymentHash: hash, State: state}
	}
	const waiting = "RCVD_ADD_ACK_REVOCATION"
	h := held([]peerChannel{
		{State: "CHANNELD_NORMAL", PeerConnected: true, HTLCs: []peerHTLC{x(waiting, "in", 5, 300), x("SENT_REMOVE_HTLC", "in", 7, 100), x(waiting, "out", 9, 100), {Direction: "in", State: waiting, Amount: 11}}},
		{State: "CHANNELD_NORMAL", HTLCs: []peerHTLC{x(waiting, "in", 6, 200)}},
		{State: "ONCHAIN", PeerConnected: true, HTLCs: []peerHTLC{x(waiting, "in", 13, 50)}},
	}, hash)
	if want := (heldHTLCs{Count: 2, Amount: 11, MinExpiry: 200, Connected: false, Stranded: 1}); h != want {
		t.Errorf("got %+v, want %+v", h, want)
	}
}
