package hold

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The invoice that the calls in testdata/hooks pay. They are one call of a real node (v26.06),
// with texts cut short, each changed as a payer could: 50 000 000 msat, cltv 40, made
// at height 132 of a regtest node.
var (
	recordedHash   = Hash{0xf7, 0x1c, 0xce, 1}
	recordedSecret = Secret{0xba, 0xe9, 0x8c, 1}
)

func recordedInvoice() Invoice {
	return Invoice{
		Hash: recordedHash, Amount: 50_000_000, CLTV: 40, Secret: recordedSecret,
		State: Open, ExpiresAt: 2000, Created: 1, Updated: 1,
	}
}

func recordedOffer(t *testing.T, name string) offer {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "hooks", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	hash, ok := hookHash(raw)
	if !ok || hash != recordedHash {
		t.Fatalf("%s is for %s", name, hash)
	}
	o, err := readOffer(raw)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

var calm = situation{Height: 132, Synced: true, Now: time.Unix(1000, 0)}

func TestDecideOnRecordedHookCalls(t *testing.T) {
	tests := []struct {
		file  string
		do    action
		why   refusal
		state State // afterwards
	}{
		{"whole", hold, "", Accepted},
		{"part", hold, "", Open},
		{"shadow-blocks", hold, "", Accepted},
		{"wrong-secret", refuse, wrongSecret, Open},
		{"inflated-total", hold, "", Open},
		{"total-above-twice", refuse, wrongTotal, Open},
		{"total-below-amount", refuse, wrongTotal, Open},
		{"bogus-next-hop", refuse, notForUs, Open},
		{"next-node", refuse, notForUs, Open},
		{"forward", refuse, notForUs, Open},
		{"onion-claims-more", refuse, shortOfOnion, Open},
		{"onion-claims-later", refuse, shortOfOnion, Open},
		{"metadata", refuse, unwantedData, Open},
		{"payload-that-does-not-parse", refuse, notForUs, Open},
		{"short-cltv", refuse, tooSoonToExpire, Open},
		{"far-cltv", refuse, tooFarAhead, Open},
		{"three-times-too-much", refuse, tooMuch, Open},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			inv := recordedInvoice()
			v := decide(inv, recordedOffer(t, tt.file), calm)
			state := inv.State
			if v.Next != nil {
				state = v.Next.State
			}
			if v.Do != tt.do || v.Why != tt.why || state != tt.state {
				t.Errorf("got %d %q %s, want %d %q %s", v.Do, v.Why, state, tt.do, tt.why, tt.state)
			}
			if (v.Next != nil) != (tt.do == hold) {
				t.Errorf("a held part must be stored, a refused one must not: %+v", v.Next)
			}
		})
	}
}

func part(scid string, id uint64, amount Msat, expiry Height) HTLC {
	return HTLC{Key: Key{scid, id}, Amount: amount, Expiry: expiry, SeenAt: 990}
}

// sound is an offer without a flaw.
func sound(h HTLC, total Msat) offer {
	return offer{
		HTLC: h, Relative: int64(h.Expiry) - 132, Final: true,
		Secret: &recordedSecret, Forward: &h.Amount, CLTV: &h.Expiry, Total: &total,
	}
}

func TestDecideCountsPartsThatAreHere(t *testing.T) {
	a, b := part("1x1x1", 1, 20_000_000, 180), part("1x1x1", 2, 30_000_000, 174)
	inv := recordedInvoice()
	inv.HTLCs, inv.Total, inv.FirstAt = []HTLC{a}, 50_000_000, 990

	s := calm
	s.Live = map[Key]bool{a.Key: true}
	v := decide(inv, sound(b, 50_000_000), s)
	if v.Next == nil || v.Next.State != Accepted || len(v.Next.HTLCs) != 2 || v.Next.MinExpiry() != 174 || v.Next.Held() != 50_000_000 {
		t.Errorf("second part completes the payment: %+v", v.Next)
	}
	// The first part was stored before a restart and has not come back: it does not count.
	s.Live = nil
	v = decide(inv, sound(b, 50_000_000), s)
	if v.Next == nil || v.Next.State != Open || len(v.Next.HTLCs) != 1 || v.Next.FirstAt != 1000 {
		t.Errorf("absent part was counted: %+v", v.Next)
	}
	if len(inv.HTLCs) != 1 || inv.State != Open {
		t.Error("decide changed what it was given")
	}
}

func TestDecideRefusesWhatDoesNotFitTheSet(t *testing.T) {
	a := part("1x1x1", 1, 20_000_000, 180)
	open := recordedInvoice()
	open.HTLCs, open.Total = []HTLC{a}, 50_000_000
	accepted := open.clone()
	accepted.State = Accepted
	full := recordedInvoice()
	full.Total = 50_000_000
	live := map[Key]bool{a.Key: true}
	for i := range maxParts {
		h := part("9x9x9", uint64(i), 1, 200)
		full.HTLCs = append(full.HTLCs, h)
		live[h.Key] = true
	}
	b := part("1x1x1", 2, 30_000_000, 180)
	late, behind, tip := calm, calm, calm
	late.Now = time.Unix(2000, 0)
	behind.Synced = false
	tip.Height = 143
	tests := []struct {
		name string
		inv  Invoice
		o    offer
		s    situation
		do   action
		why  refusal
	}{
		{"another total than the first part's", open, sound(b, 60_000_000), calm, refuse, mixedSet},
		{"more than twice the amount in sum", open, sound(part("1x1x1", 2, 90_000_000, 180), 50_000_000), calm, refuse, tooMuch},
		{"too many parts", full, sound(b, 50_000_000), calm, refuse, tooMuch},
		{"after acceptance", accepted, sound(b, 50_000_000), calm, refuse, notOpen},
		{"after the invoice's time", open, sound(b, 50_000_000), late, refuse, tooLate},
		{"at the lowest expiry, payer two blocks behind", open, sound(part("1x1x1", 2, 30_000_000, 170), 50_000_000), calm, hold, ""},
		{"one block below that", open, sound(part("1x1x1", 2, 30_000_000, 169), 50_000_000), calm, refuse, tooSoonToExpire},
		{"the highest block ever counts, not the node's", open, sound(part("1x1x1", 2, 30_000_000, 180), 50_000_000), tip, refuse, tooSoonToExpire},
		{"while the node is behind the chain", open, sound(b, 50_000_000), behind, refuseForNow, notSynced},
		{"an amount of zero", open, sound(part("1x1x1", 2, 0, 180), 50_000_000), calm, refuse, shortOfOnion},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.s.Live = live
			v := decide(tt.inv, tt.o, tt.s)
			if v.Do != tt.do || v.Why != tt.why {
				t.Errorf("got %d %q, want %d %q", v.Do, v.Why, tt.do, tt.why)
			}
		})
	}
}

func TestDecideGivesAReplayedPartTheStoredAnswer(t *testing.T) {
	a := part("1x1x1", 1, 50_000_000, 180)
	aliased := part("777x1x0", 1, 50_000_000, 180)
	stranger := part("777x1x0", 2, 50_000_000, 181)
	// Long after: the node is synced, the invoice expired, few blocks are left.
	s := situation{Height: 170, Synced: true, Now: time.Unix(9000, 0)}
	behind := situation{Height: 170, Now: time.Unix(9000, 0)}
	tests := []struct {
		name       string
		state      State
		settle     bool
		o          HTLC
		s          situation
		do         action
		renamed    bool
		isOfTheSet bool
	}{
		{"an incomplete payment is held again", Open, false, a, s, hold, false, true},
		{"an accepted one is held", Accepted, false, a, s, hold, false, true},
		{"also while the node is behind", Accepted, false, a, behind, hold, false, true},
		{"a settled one is resolved", Settling, true, a, s, resolve, false, true},
		{"even if the proof was there already", Settled, true, a, s, resolve, false, true},
		{"even if it was believed lost", Lost, true, a, s, resolve, false, true},
		{"a canceled one is refused", Canceling, false, a, s, refuse, false, true},
		{"also later", Canceled, false, a, s, refuse, false, true},
		{"a lost one is given back", Lost, false, a, s, refuse, false, true},
		{"under a new channel name it is held", Accepted, false, aliased, s, hold, true, true},
		{"under a new channel name it is resolved", Settling, true, aliased, s, resolve, true, true},
		{"another part is not the payment", Settling, true, stranger, s, refuse, false, false},
		{"another part is not taken beside it", Accepted, false, stranger, s, refuse, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inv := recordedInvoice()
			inv.State, inv.Settle, inv.HTLCs, inv.Total = tt.state, tt.settle, []HTLC{a}, 50_000_000
			o := sound(tt.o, 50_000_000)
			o.Relative += 30 // as at a replay
			v := decide(inv, o, tt.s)
			if v.Do != tt.do || v.Key != tt.o.Key || (v.Next != nil) != tt.renamed {
				t.Fatalf("got %+v", v)
			}
			if tt.renamed {
				want := inv.clone()
				want.HTLCs[0].Key = tt.o.Key
				if !reflect.DeepEqual(*v.Next, want) {
					t.Errorf("got %+v, want %+v", *v.Next, want)
				}
			}
		})
	}
}

// Two parts of equal amount and expiry under new names must not both become the first one.
func TestDecideTellsEqualPartsApart(t *testing.T) {
	a, b := part("1x1x1", 1, 25_000_000, 180), part("2x2x2", 1, 25_000_000, 180)
	inv := recordedInvoice()
	inv.State, inv.HTLCs, inv.Total = Accepted, []HTLC{a, b}, 50_000_000
	s := calm
	s.Live = map[Key]bool{}
	for i, name := range []string{"8x8x8", "9x9x9"} {
		v := decide(inv, sound(part(name, 1, 25_000_000, 180), 50_000_000), s)
		if v.Do != hold || v.Next == nil {
			t.Fatalf("replay %d: %+v", i, v)
		}
		inv = *v.Next
		s.Live[v.Key] = true
	}
	if got := fmt.Sprint(inv.HTLCs[0].Scid, inv.HTLCs[1].Scid); got != "8x8x89x9x9" {
		t.Errorf("got %s", got)
	}
	if v := decide(inv, sound(part("7x7x7", 1, 25_000_000, 180), 50_000_000), s); v.Do != refuse {
		t.Errorf("a third equal part: %+v", v)
	}
}

func FuzzHook(f *testing.F) {
	files, _ := filepath.Glob("testdata/hooks/*.json")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		hookHash(raw)
		o, err := readOffer(raw)
		if err != nil {
			return
		}
		inv := recordedInvoice()
		v := decide(inv, o, calm)
		if v.Do == resolve {
			t.Fatal("resolved an open invoice")
		}
		if v.Do == hold && (v.Next == nil || v.Next.Held() < o.Amount || o.Amount == 0 || o.Expiry < 132+38) {
			t.Fatalf("held on %+v", o)
		}
		if v.Next != nil && v.Next.State == Accepted && (v.Next.Held() < inv.Amount || !strings.Contains(string(raw), "payment_secret")) {
			t.Fatalf("accepted on %+v", o)
		}
	})
}
