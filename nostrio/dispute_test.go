package nostrio

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/orders"
)

// goldenCase finds a case of the golden file.
func goldenCase(t *testing.T, id string) string {
	t.Helper()
	for _, g := range goldenMessages(t) {
		if g.ID == id {
			return g.JSON
		}
	}
	t.Fatalf("there is no golden case %s", id)
	return ""
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestLettersOfDisputesAreTheGoldenOnes(t *testing.T) {
	id := must(orders.ParseOrderID("5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11"))
	other := must(orders.ParseOrderID("b0d4e7c9-81f2-4c35-8e6a-77a1c2d3e4f5"))
	dispute := must(orders.ParseDisputeID("e1a2b3c4-d5e6-4f70-8192-a3b4c5d6e7f8"))
	buyer := must(orders.ParsePubKey("e3ea966943deb82f124d51015a2576e4361f1836c5ec3889ba50dc9042f35e6a"))
	seller := must(orders.ParsePubKey("1c71f0a29c9d14198781f36897c6d6c08e2c4f905ba69fc5f8e67d375d705a8a"))
	solver := must(orders.ParsePubKey("969535058188b4a89e1ccd157310dee5cb5f92cbb054497acab959d836ebc7cb"))
	var hash orders.Hash
	for i := range hash {
		hash[i] = 0xaa
	}
	info := &orders.DisputeInfo{
		Order: id, Kind: orders.Sell, Status: "dispute", Before: "fiat-sent", Hash: hash, Initiator: buyer, Buyer: buyer, Seller: seller,
		OtherPrivate: true, InitiatorStanding: &orders.Standing{Reviews: 3, Sum: 13, Days: 30}, Premium: 3, PaymentMethod: "SEPA,Revolut",
		Amount: 26433, FiatAmount: 250, Fee: 79, BuyerInvoice: "lnbcrt1example", HeldAt: 1767225900, TakenAt: 1767225720, CreatedAt: 1767225600,
	}
	// The preimage is told to nobody, and an average of three votes is a third.
	took := strings.NewReplacer(`"preimage":"`+strings.Repeat("bb", 32)+`"`, `"preimage":null`, `"rating":4.5`, `"rating":4.333333333333333`)
	tests := []struct {
		golden string
		l      orders.Letter
		mend   *strings.Replacer
	}{
		{"G33", orders.Letter{Action: orders.SayDisputeByYou, Order: id, Request: u64(7020), Dispute: &dispute}, nil},
		{"G35", orders.Letter{Action: orders.SayTookDispute, Order: id, About: &dispute, Dispute: &dispute, Info: info}, took},
		{"G36", orders.Letter{Action: orders.SayTookDispute, Order: id, Peer: &orders.PeerView{Trade: solver}}, nil},
		{"G40", orders.Letter{Action: orders.SayAddSolver, Request: u64(7021)}, nil},
		{"G45", orders.Letter{Action: orders.SayRestore, Restore: &orders.Session{
			Trades:   []orders.Restored{{Order: id, Index: 4, Status: "fiat-sent"}},
			Disputes: []orders.RestoredDispute{{Dispute: dispute, Order: other, Index: 5, State: orders.DisputeInitiated, By: orders.Buyer}},
		}}, nil},
		{"G52", orders.Letter{Action: orders.SayText, Text: "hola\n¿listo?"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.golden, func(t *testing.T) {
			want := goldenCase(t, tt.golden)
			if tt.mend != nil {
				want = tt.mend.Replace(want)
			}
			m := message(tt.l)
			m.Body.Version = 2
			if got := string(m.Encode()); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	null := strings.Replace(goldenCase(t, "G24"), `"request_id":7013`, `"request_id":7030`, 1)
	for _, a := range []orders.Action{orders.SayAdminSettled, orders.SayAdminCanceled, orders.SayCoopAccepted} {
		m := message(orders.Letter{Action: a, Order: id, Request: u64(7030)})
		m.Body.Version = 2
		if got, want := string(m.Encode()), strings.Replace(null, "fiat-sent", string(a), 1); got != want {
			t.Errorf("%s: got %s, want %s", a, got, want)
		}
	}
	refusal := message(orders.Letter{Action: orders.SayCantDo, Order: other, About: &dispute, Reason: orders.InvalidPubkey})
	if *refusal.Body.ID != UUID(dispute) {
		t.Errorf("the refusal of a take names %s", refusal.Body.ID)
	}
	free := *info
	free.Hash, free.BuyerInvoice = orders.Hash{}, ""
	if d := disputeInfo(&free); d.Hash != nil || d.BuyerInvoice != nil || d.Preimage != nil {
		t.Errorf("what is not there is told: %+v", d)
	}
}

func TestTranslateWhatOfficialsSay(t *testing.T) {
	key := must(NewKey([32]byte{31: 9})).PubKey()
	text := func(s string) Body { return Body{Action: ActAdminAddSolver, Payload: TextMessage(s)} }
	of := func(golden string) Body { return must(Decode([]byte(goldenCase(t, golden)))).Body }
	id := of("G34").ID
	tests := []struct {
		name string
		in   Body
		want orders.Act
	}{
		{"admin-take-dispute, G34", of("G34"), orders.AdminTake{Dispute: orders.DisputeID(*id)}},
		{"admin-settle with bonds, G37", of("G37"), orders.AdminSettle{SlashSeller: true}},
		{"admin-cancel, G38", of("G38"), orders.AdminCancel{}},
		{"admin-add-solver with a key that is none, G39", of("G39"), orders.AddSolver{Problem: orders.InvalidParameters}},
		{"a solver", text(Npub(key)), orders.AddSolver{Key: key, Level: orders.LevelReadWrite}},
		{"a solver who may read", text(Npub(key) + ":read"), orders.AddSolver{Key: key, Level: orders.LevelRead}},
		{"a solver who may write", text(Npub(key) + ":write"), orders.AddSolver{Key: key, Level: orders.LevelReadWrite}},
		{"a solver who may read and write", text(Npub(key) + ":read-write"), orders.AddSolver{Key: key, Level: orders.LevelReadWrite}},
		{"a solver who may do something unknown", text(Npub(key) + ":execute"), orders.AddSolver{Problem: orders.InvalidParameters}},
		{"a solver with a colon and nothing behind it", text(Npub(key) + ":"), orders.AddSolver{Problem: orders.InvalidParameters}},
		{"a solver with two colons", text(Npub(key) + ":read:write"), orders.AddSolver{Problem: orders.InvalidParameters}},
		{"no text", text(" "), orders.AddSolver{Problem: orders.InvalidTextMessage}},
		{"another payload", Body{Action: ActAdminAddSolver, Payload: Amount(1)}, orders.AddSolver{Problem: orders.InvalidTextMessage}},
		{"no payload", Body{Action: ActAdminAddSolver}, orders.AddSolver{Problem: orders.InvalidTextMessage}},
		{"admin-take-dispute without an id", Body{Action: ActAdminTakeDispute}, orders.Other{Action: "admin-take-dispute", Reason: orders.InvalidParameters}},
		{"admin-settle with another payload", Body{Action: ActAdminSettle, ID: id, Payload: Amount(1)}, orders.Other{Action: "admin-settle", Reason: orders.InvalidParameters}},
		{"dispute", Body{Action: ActDispute, ID: id}, orders.OpenDispute{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := Incoming{At: vectorTime, Way: orders.Direct, Message: Message{Wrapper: WrapDispute, Body: tt.in}}
			got, ok := Translate(in, vectorTime, orders.Seed{}, nil)
			if !ok || got.Act != tt.want {
				t.Errorf("got %+v %v", got.Act, ok)
			}
			named := tt.in.ID != nil && tt.in.Action != ActAdminTakeDispute && tt.in.Action != ActAdminAddSolver
			if named == got.Order.IsZero() {
				t.Errorf("the input names order %s", got.Order)
			}
		})
	}
}

func TestDisputeEvents(t *testing.T) {
	node, _, _ := vectorKeys(t)
	d := DisputeEvent{
		ID: must(orders.ParseDisputeID("e1a2b3c4-d5e6-4f70-8192-a3b4c5d6e7f8")), Status: orders.DisputeInitiated, Initiator: orders.Buyer,
		OpenedAt: vectorTime - 3600, Expiration: vectorTime + 90*86400, Name: "Test ", CreatedAt: vectorTime,
	}
	golden(t, "dispute-initiated", readable(d.Event(node)))
	d.Status, d.Initiator, d.Name = orders.DisputeRefunded, "", ""
	e := d.Event(node)
	golden(t, "dispute-refunded", readable(e))
	if _, _, err := verifyEvent(e); err != nil {
		t.Error(err)
	}
	c := &Courier{Key: node, Name: "Test ", Relay: &shelf{accepted: 1}}
	n := orders.DisputeNote{Dispute: d.ID, State: orders.DisputeInitiated, By: orders.Buyer, OpenedAt: d.OpenedAt, Expiration: d.Expiration, Stamp: d.CreatedAt}
	if err := c.Dispute(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if kept := DisputeEvents([]orders.DisputeNote{n}); fmt.Sprint(kept) != fmt.Sprint([]Kept{{KindDispute, d.ID.String(), vectorTime}}) {
		t.Errorf("kept: %+v", kept)
	}
	golden(t, "dispute-initiated", readable(c.DisputeEvent(n)))
}

func TestADisputeThatHasEndedIsNoLongerLive(t *testing.T) {
	node, _, _ := vectorKeys(t)
	for s, want := range map[orders.DisputeState]bool{
		orders.DisputeInitiated: true, orders.DisputeInProgress: true, orders.DisputeSettled: false, orders.DisputeRefunded: false,
	} {
		if got := live(DisputeEvent{ID: orders.DisputeID{1}, Status: s, CreatedAt: vectorTime}.Event(node)); got != want {
			t.Errorf("%s: live %v", s, got)
		}
	}
}
