package scenario

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/orders/failpoint"
)

var wholeWalk = flag.Bool("walk", false, "kill at every point of every crash story, not at a selection")

const (
	visitLimit = 4 * time.Minute // a payment call that was lost is waited for
	shards     = 6               // worlds in which a whole walk goes on at once
	trades     = 3               // of a selection, with a killed plugin; and about as many with a killed node
	together   = 8               // points at which the plugin is killed in one of them
)

// A process is killed at a place that others can see, comes back, and the trade ends as if nothing had been.
func TestCrashWalk(t *testing.T) {
	for _, story := range CrashStories {
		t.Run(story.Name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), visitLimit)
			defer cancel()
			k := crashWorld(t, story)
			end, all, err := k.Undisturbed(ctx)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d points; undisturbed:\n%s", len(all), end)
			if *wholeWalk {
				walkAll(t, story, end, all)
				return
			}
			for _, deeds := range selection(all) {
				visit(t, k, end, deeds)
			}
		})
	}
}

// walkAll visits each point by itself, killing the plugin, and each fourth once more, killing the node.
func walkAll(t *testing.T, story CrashStory, end End, all []Visit) {
	for i := range shards {
		t.Run(fmt.Sprintf("part %d", i+1), func(t *testing.T) {
			t.Parallel()
			k := crashWorld(t, story)
			reached, tried := 0, 0
			for j, v := range all {
				if j%shards != i {
					continue
				}
				reached += visit(t, k, end, []Visit{v})
				tried++
				if j/shards%4 == 0 {
					v.Deed = KillNode
					reached += visit(t, k, end, []Visit{v})
					tried++
				}
			}
			t.Logf("%d of %d visits came by their point", reached, tried)
			if reached*4 < tried*3 {
				t.Error("that is too few to have shown anything")
			}
		})
	}
}

// selection is a walk in few trades, each of which is disturbed several times from its beginning to its end. While a payout
// is noted and perhaps not begun, only the death of the node is cheap: if the node lives on, a call to it may, too, and is
// waited for.
func selection(all []Visit) (groups [][]Visit) {
	before, during, after := aroundPayout(all)
	// Which of many letters is the n-th depends on what died before.
	cheap := append(before, slices.DeleteFunc(after, func(v Visit) bool { return v.Nth > 1 })...)
	stride := max(1, len(cheap)/(trades*together))
	for i := range trades {
		var group []Visit
		for j := i * stride; j < len(cheap) && len(group) < together; j += trades * stride {
			group = append(group, cheap[j])
		}
		groups = append(groups, group)
	}
	for i := 0; i < len(during); i += 1 + len(during)/trades {
		v := during[i]
		v.Deed = KillNode
		groups = append(groups, []Visit{v})
	}
	return groups
}

// aroundPayout cuts a walk at the settled escrow, and at the end of the last call to pay.
func aroundPayout(all []Visit) (before, during, after []Visit) {
	from := slices.IndexFunc(all, func(v Visit) bool { return v.Point == "mostro before commit hold-settled" })
	if from < 0 {
		return slices.Clone(all), nil, nil
	}
	to := len(all)
	for to > from && all[to-1].Point != "mostro after rpc xpay" {
		to--
	}
	return slices.Clone(all[:from]), slices.Clone(all[from:to]), slices.Clone(all[to:])
}

func visit(t *testing.T, k *Walk, end End, deeds []Visit) (reached int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), visitLimit)
	defer cancel()
	var story bytes.Buffer
	k.World.Say = &story
	begun := time.Now()
	reached, err := k.Visit(ctx, end, deeds...)
	if err != nil {
		t.Errorf("%v\n%s", err, &story)
	}
	if testing.Verbose() {
		fmt.Printf("%4.1f s, %d of %d: %s, %s\n", time.Since(begun).Seconds(), reached, len(deeds), k.Story.Name, deeds[0])
	}
	return reached
}

// crashWorld is a world whose plugins have failpoints.
func crashWorld(t *testing.T, story CrashStory) *Walk {
	t.Helper()
	bin := crashBinaries(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	srv, err := relay.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	dir, err := os.MkdirTemp("", "sim") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		if t.Failed() {
			t.Logf("the node's log and the points are in %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	points, err := NewFailpoints(filepath.Join(dir, "points"))
	if err != nil {
		t.Fatal(err)
	}
	market, err := NewPriceServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(market.Close)
	options := CrashOptions()
	options["mostro-relays"] = srv.URL
	options["mostro-price-sources"] = market.Option()
	maps.Copy(options, story.Options)
	sim, err := NewSim(ctx, SimConfig{
		Dir: dir, Bin: bin, Log: log, Options: options, Env: points.Env(), Grace: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	w := &World{Node: sim, Relays: []string{srv.URL}}
	if err := w.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return &Walk{World: w, Points: points, Story: story}
}

// What kills a process for a test is not in what people run.
func TestAReleaseHasNoFailpoints(t *testing.T) {
	release, crash := binaries(t), crashBinaries(t)
	for _, c := range []struct {
		name, path string
		want       bool
	}{
		{"mostro", release.Mostro, false},
		{"holdinvoice", release.Holdinvoice, false},
		{"mostro with failpoints", crash.Mostro, true},
		{"holdinvoice with failpoints", crash.Holdinvoice, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw, err := os.ReadFile(c.path)
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range []string{failpoint.Variable, "orders/failpoint.reached"} {
				if got := bytes.Contains(raw, []byte(word)); got != c.want {
					t.Errorf("%q is in it: %v", word, got)
				}
			}
		})
	}
}
