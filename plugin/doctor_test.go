package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/internal/simtest"
	"github.com/mostro-cln/mostro/plugin/lightning"
	"github.com/mostro-cln/mostro/plugin/prices"
)

// wellVitals is an exchange with which nothing is wrong.
func wellVitals(t *testing.T) vitals {
	t.Helper()
	c, err := parseConfig(map[string]string{}, Config{LightningDir: "/x", Network: "bitcoin"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	rules := c.rules()
	rules.Admins = []orders.PubKey{{1}, {2}}
	return vitals{
		now: now, rules: rules, base: rules, c: &c,
		hold: lightning.HoldOurs, guard: true, important: true,
		capacity: lightning.Capacity{Usable: 2, Inbound: 5e9, Outbound: 5e9, LargestIn: 3e9, LargeOut: 3e9},
		relays:   []nostrio.RelayStatus{{URL: "wss://a", Connected: true}, {URL: "wss://b", Connected: true}},
		sources:  []prices.SourceStatus{{ID: "yadio", Last: now}, {ID: "coingecko", Last: now}}, currencies: 100,
		skew: time.Second, skewOf: 2, free: 100 << 30, file: 1 << 20, backupAt: now.Add(-time.Hour), solvers: 1,
	}
}

func TestDoctorFindsNothingWhereNothingIsWrong(t *testing.T) {
	if d := diagnose(wellVitals(t)); !d.Healthy || len(d.Findings) != 0 {
		t.Errorf("got %+v", d)
	}
}

func TestDoctorFindsWhatIsWrongAndSaysWhatToDo(t *testing.T) {
	fee, most := orders.PPM(10_000), orders.Sats(50)
	tests := []struct {
		name  string
		harm  func(*vitals)
		level level
		area  string
		words string
	}{
		{"the node is silent", func(v *vitals) { v.nodeErr = errors.New("no socket") }, problem, "node", "no socket"},
		{"the node catches up", func(v *vitals) { v.node.BitcoindSync = "Bitcoind is 90% synced" }, problem, "node", "90%"},
		{"no hold plugin", func(v *vitals) { v.holdErr = errors.New("none is loaded") }, problem, "holder", "none is loaded"},
		{"the other hold plugin", func(v *vitals) { v.hold = lightning.HoldRust }, warning, "holder", "cheated"},
		{"no guard", func(v *vitals) { v.guard = false }, warning, "holder", "holdinvoice-guard"},
		{"an unimportant holder", func(v *vitals) { v.important = false }, warning, "holder", "important"},
		{"no escrow can be made", func(v *vitals) { v.readyErr = errors.New("not asked yet") }, problem, "holder", "not asked yet"},
		{"no channel", func(v *vitals) { v.capacity = lightning.Capacity{} }, problem, "channels", "no usable channel"},
		{"little inbound", func(v *vitals) { v.capacity.Inbound, v.capacity.LargestIn = 1e8, 1e8 }, warning, "channels", "receive"},
		{"small channels", func(v *vitals) { v.capacity.LargestIn = 1e8 }, note, "channels", "single channel"},
		{"little outbound", func(v *vitals) { v.capacity.Outbound = 1e8 }, warning, "channels", "send"},
		{"a peer is away", func(v *vitals) { v.capacity.Offline = 1 }, note, "channels", "not connected"},
		{"payments are deleted", func(v *vitals) { v.cleaner = lightning.Cleaner{{Kind: "succeededpays", Age: time.Hour, Matters: true}} }, problem, "autoclean", "succeededpays"},
		{"no relay", func(v *vitals) { v.relays = []nostrio.RelayStatus{{URL: "wss://a", LastError: "refused"}} }, problem, "relays", "nobody can reach"},
		{"one relay", func(v *vitals) { v.relays = v.relays[:1] }, warning, "relays", "one relay only"},
		{"one of two relays is up", func(v *vitals) { v.relays[1].Connected = false }, warning, "relays", "connected"},
		{"a relay falls behind", func(v *vitals) { v.relays[1].Queued = 500 }, note, "relays", "500"},
		{"no prices", func(v *vitals) { v.currencies = 0 }, problem, "prices", "no price is fresh"},
		{"no sources", func(v *vitals) { v.sources, v.currencies = nil, 0 }, note, "prices", "no source"},
		{"one source", func(v *vitals) { v.sources[1].Failures, v.sources[1].Problem = 3, errors.New("429") }, warning, "prices", "one source"},
		{"the clock is ahead", func(v *vitals) { v.skew = time.Hour }, problem, "clock", "1h0m0s ahead"},
		{"the clock is a little behind", func(v *vitals) { v.skew = -time.Minute }, warning, "clock", "behind"},
		{"the disk is nearly full", func(v *vitals) { v.free = 500 << 20 }, warning, "disk", "500 MiB"},
		{"the disk is full", func(v *vitals) { v.free = 1 << 20 }, problem, "disk", "1 MiB"},
		{"nothing new is begun for want of room", func(v *vitals) { v.full = "1 MiB are free" }, problem, "disk", "no new order"},
		{"an old backup", func(v *vitals) { v.backupAt = v.now.Add(-72 * time.Hour) }, warning, "backups", "newest"},
		{"no backup", func(v *vitals) { v.backupAt = time.Time{} }, note, "backups", "none yet"},
		{"backups by hand, and none", func(v *vitals) { c := *v.c; c.BackupEvery, v.c, v.backupAt = 0, &c, time.Time{} }, warning, "backups", "by itself"},
		{"a frozen trade", func(v *vitals) { v.trades.frozen = []orders.OrderID{{1}} }, problem, "trades", "frozen"},
		{"a release that hangs", func(v *vitals) { v.trades.settling = []orders.OrderID{{1}} }, problem, "trades", "not carried out"},
		{"many unpaid buyers", func(v *vitals) { v.trades.unpaid = make([]orders.OrderID, 9) }, warning, "trades", "9 buyers"},
		{"an old dispute", func(v *vitals) { v.trades.undecided = []orders.OrderID{{1}} }, warning, "trades", "undecided"},
		{"a pause", func(v *vitals) { v.set.Pause = &orders.Pause{At: 1} }, note, "settings", "paused"},
		{"a fee that is left out", func(v *vitals) { v.set.FeeRate = &fee }, warning, "settings", "left out"},
		{"a limit that is left out", func(v *vitals) { v.set.MaxOrder = &most }, warning, "settings", "left out"},
		{"routing costs more than the fee", func(v *vitals) { v.rules.FeeRate = 100 }, warning, "options", "lose money"},
		{"a smallest order without a fee", func(v *vitals) { v.rules.MinOrder = 10 }, note, "options", "no fee"},
		{"invoices that are too short", func(v *vitals) { c := *v.c; c.InvoiceWindow, v.c = time.Minute, &c }, warning, "options", "invoice"},
		{"prices too old at once", func(v *vitals) { c := *v.c; c.PriceMaxAge, v.c = c.PriceInterval, &c }, warning, "options", "too old"},
		{"nobody hears of disputes", func(v *vitals) { v.solvers, v.rules.Admins = 0, v.rules.Admins[:1] }, note, "people", "no solver"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := wellVitals(t)
			tt.harm(&v)
			d := diagnose(v)
			if d.Healthy != (tt.level == note) {
				t.Errorf("healthy: %v", d.Healthy)
			}
			found := false
			for i, f := range d.Findings {
				found = found || f.Level == tt.level && f.Area == tt.area && strings.Contains(f.What, tt.words)
				if f.Remedy == "" || i > 0 && levels[0] == f.Level && d.Findings[i-1].Level != f.Level {
					t.Errorf("no remedy, or not the worst first: %+v", d.Findings)
				}
			}
			if !found {
				t.Errorf("got %+v, want a %s about %s with %q", d.Findings, tt.level, tt.area, tt.words)
			}
		})
	}
}

func TestClocksTakeTheMedianOfFewHosts(t *testing.T) {
	var c clocks
	if skew, n := c.skew(); skew != 0 || n != 0 {
		t.Errorf("of none: %v, %d", skew, n)
	}
	for i, off := range []time.Duration{0, time.Hour, 10 * time.Minute} {
		c.note(string(rune('a'+i)), time.Now().Add(-off))
	}
	if skew, n := c.skew(); n != 3 || skew.Round(time.Minute) != 10*time.Minute {
		t.Errorf("got %v of %d", skew, n)
	}
	for i := range 1000 {
		c.note(strings.Repeat("x", i), time.Now())
	}
	if len(c.ahead) != maxClocks {
		t.Errorf("%d hosts are remembered", len(c.ahead))
	}
}

func TestSimDoctorOfAFreshNode(t *testing.T) {
	s := startSim(t)
	var d diagnosis
	ok := simtest.Eventually(t, func() bool { // the node is looked at some moments after the start
		d = diagnosis{}
		s.Must("mostro-doctor", nil, &d)
		areas := map[string]level{}
		for _, f := range d.Findings {
			if areas[f.Area] == "" { // the worst stands first
				areas[f.Area] = f.Level
			}
		}
		return !d.Healthy && areas["relays"] == problem && areas["holder"] == "" && areas["node"] == "" && areas["autoclean"] == ""
	})
	if !ok {
		t.Errorf("got %+v", d)
	}
}
