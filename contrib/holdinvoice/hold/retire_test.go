package hold

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// driven is a lab whose clock the test moves; nothing runs beside it.
func driven(t *testing.T) (*lab, *handClock) {
	l, clock := newLab(t), &handClock{wall: time.Now()}
	l.clock = clock
	l.start(false)
	t.Cleanup(func() { l.end() })
	return l, clock
}

// passAll lets time go by in steps of a minute at most, and everything happen that is due.
func (l *lab) passAll(clock *handClock, d time.Duration) {
	for end := clock.elapsed + d; clock.elapsed < end; {
		clock.pass(min(time.Minute, end-clock.elapsed))
		l.h.Step(context.Background())
	}
	l.h.Step(context.Background())
}

// command runs a command that is about one invoice.
func (l *lab) command(method string, p Preimage) (v view, err error) {
	raw, err := l.h.Call(context.Background(), method, marshaled([]Hash{p.Hash()}))
	if err == nil {
		err = json.Unmarshal(raw, &v)
	}
	return v, err
}

// mustMake makes an invoice and pays it with one part.
func (l *lab) mustMake(p Preimage, label string, cltv Height) *fakeHTLC {
	l.t.Helper()
	if err := l.make(p, label); err != nil {
		l.t.Fatal(err)
	}
	h := l.n.pay(p, 50_000_000, 50_000_000, cltv)
	l.give(h)
	if s := l.state(p); s != Accepted {
		l.t.Fatalf("%s is %s", label, s)
	}
	return h
}

func code(err error) int {
	var told *clnio.Error
	if errors.As(err, &told) {
		return told.Code
	}
	return 0
}

func TestEndedInvoicesLeaveMemoryThenTheDisk(t *testing.T) {
	l, clock := driven(t)
	settled, canceled, unproved, held := Preimage{1}, Preimage{2}, Preimage{3}, Preimage{4}
	for i, p := range []Preimage{settled, canceled, unproved, held} {
		l.mustMake(p, fmt.Sprint("order-", i), 4000)
	}
	for p, method := range map[Preimage]string{settled: "holdinvoicesettle", canceled: "holdinvoicecancel"} {
		if _, err := l.command(method, p); err != nil {
			t.Fatal(err)
		}
	}
	l.n.finish()
	l.passAll(clock, time.Minute)
	if _, err := l.command("holdinvoicesettle", unproved); err != nil {
		t.Fatal(err)
	}
	before := map[Preimage]view{}
	for _, p := range []Preimage{settled, canceled} {
		before[p], _ = l.command("holdinvoicelookup", p)
	}

	l.passAll(clock, 2*time.Hour)
	if n := l.h.alive(); n != 2 {
		t.Fatalf("%d in memory, want those that are unproved and held", n)
	}
	for _, p := range []Preimage{settled, canceled} {
		if v, err := l.command("holdinvoicelookup", p); err != nil || fmt.Sprint(v) != fmt.Sprint(before[p]) {
			t.Errorf("retired: %+v, %v, was %+v", v, err, before[p])
		}
	}
	checkEnded(t, l, settled, canceled)
	if raw, err := l.h.Call(context.Background(), "holdinvoicelist", nil); err != nil || len(listed(t, raw)) != 4 {
		t.Errorf("list: %s %v", raw, err)
	}

	l.passAll(clock, 31*24*time.Hour)
	for p, want := range map[Preimage]view{
		settled:  {State: Settled, Proof: proofBooked, Confirmed: true, Pruned: true},
		canceled: {State: Canceled, Confirmed: true, Pruned: true},
		unproved: {State: Settled, Proof: proofTaken},
		held:     {State: Accepted},
	} {
		v, err := l.command("holdinvoicelookup", p)
		if err != nil || v.State != want.State || v.Proof != want.Proof || v.Confirmed != want.Confirmed || v.Pruned != want.Pruned || v.Amount != 50_000_000 {
			t.Errorf("after a month: %+v %v, want %+v", v, err, want)
		}
	}
	checkEnded(t, l, settled, canceled)
	if raw, err := l.h.Call(context.Background(), "holdinvoicelist", nil); err != nil || len(listed(t, raw)) != 2 {
		t.Errorf("list: %s %v", raw, err)
	}
	if _, err := l.command("holdinvoicelookup", Preimage{99}); code(err) != codeNotFound {
		t.Errorf("one that never was: %v", err)
	}
	// The label is free again, the preimage never is.
	if err := l.make(settled, "order-0"); code(err) != codePreimageExists {
		t.Errorf("preimage again: %v", err)
	}
	if err := l.make(Preimage{5}, "order-0"); err != nil {
		t.Errorf("label again: %v", err)
	}
	l.end()
	l.start(false)
	if n := l.h.alive(); n != 3 {
		t.Errorf("a new start loads %d invoices, want 3", n)
	}
	checkEnded(t, l, settled, canceled)
}

func listed(t *testing.T, raw json.RawMessage) []view {
	var out struct {
		Invoices []view `json:"holdinvoices"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out.Invoices
}

// checkEnded: what is over answers every command as before, and no payment is held for it.
func checkEnded(t *testing.T, l *lab, settled, canceled Preimage) {
	t.Helper()
	if v, err := l.command("holdinvoicesettle", settled); err != nil || v.State != Settled {
		t.Errorf("settle again: %+v %v", v, err)
	}
	if _, err := l.command("holdinvoicecancel", settled); code(err) != codeWrongState {
		t.Errorf("cancel what is settled: %v", err)
	}
	if v, err := l.command("holdinvoicecancel", canceled); err != nil || v.State != Canceled {
		t.Errorf("cancel again: %+v %v", v, err)
	}
	if _, err := l.command("holdinvoicesettle", canceled); code(err) != codeWrongState {
		t.Errorf("settle what is canceled: %v", err)
	}
	for _, p := range []Preimage{settled, canceled} {
		h := l.n.pay(p, 50_000_000, 50_000_000, 60)
		l.give(h)
		if h.Result != "continue" { // the node has no invoice of that hash, and refuses
			t.Errorf("paid again: %q", h.Result)
		}
	}
}

func TestRetiredInvoiceIsTheSameWhenAskedForAgain(t *testing.T) {
	l, clock := driven(t)
	l.mustMake(Preimage{1}, "a", 60)
	first := l.h.find(Preimage{1}.Hash()).inv.Answer
	if _, err := l.command("holdinvoicecancel", Preimage{1}); err != nil {
		t.Fatal(err)
	}
	l.n.finish()
	l.passAll(clock, 2*time.Hour)
	p := Preimage{1}
	again, err := l.h.create(context.Background(), invoiceRequest{Amount: 50_000_000, Label: "a", Description: "d", CLTV: 40, Preimage: &p})
	if err != nil || string(again) != string(first) {
		t.Errorf("got %s %v, want %s", again, err, first)
	}
	if err := l.make(Preimage{2}, "a"); code(err) != codeLabelExists {
		t.Errorf("another preimage under the label: %v", err)
	}
	if err := l.make(Preimage{1}, "b"); code(err) != codePreimageExists {
		t.Errorf("the preimage under another label: %v", err)
	}
}

// A write that looks failed changes nothing for good, whether it was done or not.
func TestRetiringMayFail(t *testing.T) {
	for _, done := range []bool{false, true} {
		l, clock := driven(t)
		l.mustMake(Preimage{1}, "a", 60)
		if _, err := l.command("holdinvoicecancel", Preimage{1}); err != nil {
			t.Fatal(err)
		}
		l.n.finish()
		l.passAll(clock, time.Minute)
		broken := true
		l.s.commit = func(commit func() error) error {
			if broken && !done {
				return errBroken
			}
			if err := commit(); err != nil || !broken {
				return err
			}
			return errBroken
		}
		l.passAll(clock, 2*time.Hour)
		if l.h.alive() != 1 {
			t.Fatalf("done %v: forgotten without a record of it", done)
		}
		broken = false
		l.passAll(clock, 2*time.Minute)
		if l.h.alive() != 0 {
			t.Errorf("done %v: not retired", done)
		}
		broken = true
		l.passAll(clock, 31*24*time.Hour)
		broken = false
		l.passAll(clock, 2*time.Minute)
		if v, err := l.command("holdinvoicelookup", Preimage{1}); err != nil || !v.Pruned {
			t.Errorf("done %v: %+v %v", done, v, err)
		}
	}
}

// The datastore may still call alive what has ended, if the node died at the wrong moment.
func TestGuardIsToldOfWhatEndedLongAgo(t *testing.T) {
	l, clock := driven(t)
	l.mustMake(Preimage{1}, "a", 60)
	if _, err := l.command("holdinvoicecancel", Preimage{1}); err != nil {
		t.Fatal(err)
	}
	l.n.finish()
	for _, age := range []time.Duration{2 * time.Hour, 31 * 24 * time.Hour} {
		l.passAll(clock, age)
		l.end()
		key := datastoreRoot + "/" + Preimage{1}.Hash().String()
		l.n.store[key] = string(Accepted)
		l.n.notes = nil
		l.start(false)
		l.passAll(clock, time.Minute)
		if s := l.n.store[key]; s != "" || len(l.n.notes) > 0 {
			t.Errorf("after %s: datastore says %q, notes %v", age, s, l.n.notes)
		}
	}
}

// Every layout that was ever written opens, with all that it held.
func TestStoreOfAnEarlierLayoutOpens(t *testing.T) {
	path := filepath.Join(t.TempDir(), databaseName)
	unpack(t, "testdata/stores/layout1.db.gz", path)
	s, err := OpenStore(path, StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	live, err := s.Live()
	if err != nil || len(live) != 8 {
		t.Fatalf("%d invoices, %v", len(live), err)
	}
	for i, inv := range live {
		ended := int64(0)
		if inv.State.Final() {
			ended = inv.ExpiresAt
		}
		if inv.Hash != (Hash{byte(i + 1)}) || inv.EndedAt != ended || inv.ExpiresAt != 1_700_000_000+int64(i) {
			t.Errorf("invoice %d: %+v", i, inv)
		}
		if named, err := s.ByLabel(inv.Label); err != nil || named == nil || named.Hash != inv.Hash {
			t.Errorf("label %q: %+v %v", inv.Label, named, err)
		}
		if inv.State.Final() {
			if err := s.Retire([]Hash{inv.Hash}); err != nil {
				t.Error(err)
			}
		}
	}
	if list, err := s.List("", 0, 10); err != nil || len(list) != 7 || list[1].State != Accepted || len(list[1].HTLCs) != 1 {
		t.Errorf("list: %+v %v", list, err) // CREATING is nobody's business
	}
	if list, err := s.List(Settled, 0, 10); err != nil || len(list) != 1 || list[0].Proof != 2 {
		t.Errorf("list of the settled: %+v %v", list, err)
	}
	if first, err := s.Change(0); err != nil || first == nil || first.Hash != (Hash{2}) {
		t.Errorf("first change: %+v %v", first, err)
	}
	if h, err := s.Height(); err != nil || h != 1000 {
		t.Errorf("height %d %v", h, err)
	}
	if n, err := s.Prune(1_700_000_100, 10); err != nil || n != 3 {
		t.Errorf("pruned %d, %v", n, err)
	}
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLostInvoiceStaysInMemoryForADay(t *testing.T) {
	l, clock := driven(t)
	h := l.mustMake(Preimage{1}, "a", 4000)
	l.end()
	h.State = "SENT_REMOVE_ACK_REVOCATION"
	l.start(false)
	l.passAll(clock, 2*time.Minute)
	if s := l.state(Preimage{1}); s != Lost {
		t.Fatalf("got %s", s)
	}
	l.passAll(clock, 23*time.Hour)
	if l.h.alive() != 1 {
		t.Error("forgotten within a day")
	}
	l.passAll(clock, 2*time.Hour)
	if v, err := l.command("holdinvoicelookup", Preimage{1}); l.h.alive() != 0 || err != nil || v.State != Lost {
		t.Errorf("%d in memory; %+v %v", l.h.alive(), v, err)
	}
}
