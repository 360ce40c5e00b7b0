package scenario

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/relay"
)

var wholeWalk = flag.Bool("walk", false, "kill at every point of every crash story, not at a selection")

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
	dir, err := os.MkdirTemp("", "sim") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	points, err := NewFailpoints(filepath.Join(dir, "points"))
	if err == nil {
		err = points.Begin()
	}
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
	sim, err := NewSim(ctx, SimConfig{Dir: dir, Bin: bin, Log: log, Options: options, Env: points.Env()})
	t.Cleanup(func() {
		if sim != nil {
			sim.Close()
		}
		srv.Close()
		log.Close()
		if t.Failed() {
			t.Logf("the node's log and the points are in %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &World{Node: sim, Relays: []string{srv.URL}, Say: testWriter{t}}
	if err := w.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return &Walk{World: w, Points: points, Story: story}
}

func TestProbe(t *testing.T) {
	for _, s := range CrashStories {
		t.Run(s.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			k := crashWorld(t, s)
			start := time.Now()
			end, all, err := k.Undisturbed(ctx)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println(s.Name, len(all), time.Since(start))
			fmt.Println(end)
			for _, v := range all {
				fmt.Println(v)
			}
		})
	}
}
