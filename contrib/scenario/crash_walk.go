package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Walk goes through a story from one place where a process can be killed to the next, and compares the ends.
//
//	undisturbed  the story is told once; every point that is reached on the way makes a Visit, and the End is what all
//	             others are measured by
//	visit        it is told again with deeds at one or more points
type Walk struct {
	World  *World
	Points *Failpoints
	Story  CrashStory
}

// Undisturbed returns how the story ends by itself, and all places at which it can be disturbed.
func (k *Walk) Undisturbed(ctx context.Context) (End, []Visit, error) {
	end, trace, err := k.tell(ctx)
	if err != nil {
		return End{}, nil, fmt.Errorf("%s, undisturbed: %w", k.Story.Name, err)
	}
	return end, visits(trace), nil
}

// Visit tells the story with deeds at some points, and says at how many of them it came by. An end that is not the given
// one is an error.
func (k *Walk) Visit(ctx context.Context, undisturbed End, deeds ...Visit) (reached int, err error) {
	end, _, err := k.tell(ctx, deeds...)
	if err == nil {
		err = end.Differs(undisturbed)
	}
	done, derr := k.Points.Done()
	if err = errors.Join(err, derr); err != nil {
		var list strings.Builder
		for _, v := range deeds {
			fmt.Fprintf(&list, "\n  %s", v)
		}
		return len(done), fmt.Errorf("%s, disturbed by%s\n%w", k.Story.Name, list.String(), err)
	}
	return len(done), nil
}

func (k *Walk) tell(ctx context.Context, deeds ...Visit) (end End, trace []string, err error) {
	w := k.World
	defer w.Leave()
	paid, err := w.payouts(ctx)
	if err != nil {
		return End{}, nil, err
	}
	d, err := w.NewDeal(ctx, k.Story.Kind, Amount, k.Story.Way)
	if err != nil {
		return End{}, nil, err
	}
	for _, p := range []*Person{d.Seller, d.Buyer} {
		p.Wallet = &patient{Wallet: p.Wallet}
	}
	if err := k.Points.Begin(deeds...); err != nil {
		return End{}, nil, err
	}
	err = w.nursed(ctx, k.Points, func(ctx context.Context) (err error) {
		if err := k.Story.Tell(d, ctx); err != nil {
			return err
		}
		if err := d.settle(ctx); err != nil {
			return err
		}
		if trace, err = k.Points.Trace(); err != nil {
			return err
		}
		if err := k.Points.Disarm(); err != nil {
			return err
		}
		if err := d.settled(ctx); err != nil {
			return err
		}
		end, err = d.end(ctx, paid)
		return err
	})
	return end, trace, err
}

// visits are the places of a trace: each point, as often as it was reached. Of what goes on by itself, with or without a
// trade, the first time is enough.
func visits(trace []string) (list []Visit) {
	seen := map[string]int{}
	for _, point := range trace {
		seen[point]++
		v := Visit{seen[point], KillPlugin, point}
		if v.Program() == "holdinvoice-guard" || v.Nth > 1 && polled(point) {
			continue
		}
		list = append(list, v)
	}
	return list
}

// polled reports whether a point belongs to a look that is taken again and again.
func polled(point string) bool {
	words := strings.Fields(point)
	switch words[len(words)-1] {
	case "getinfo", "plugin", "holdinvoicelookup", "holdinvoicelist", "listpeerchannels", "listhtlcs", "waitblockheight", "listsendpays":
		return true
	}
	return false
}
