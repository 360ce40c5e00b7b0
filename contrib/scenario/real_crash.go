package scenario

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// RealCrashOptions are the exchange's options for RealCrashes. The caller adds the relays.
func RealCrashOptions() map[string]any {
	o := RealOptions()
	maps.Copy(o, CrashOptions())
	return o
}

// realVisits are points of the crash walk on a real node, by the crash story that reaches them: around each effect that
// moves sats, and each commit that knows of it. A killed holder takes lightningd down, as it is an important plugin.
var realVisits = map[string][]Visit{
	"a sell order, direct messages": {
		{1, KillPlugin, "mostro before commit take-sell"},
		{1, KillPlugin, "mostro after rpc holdinvoice"},
		{1, KillPlugin, "holdinvoice before tell holdinvoice_state ACCEPTED"},
		{1, KillNode, "holdinvoice after tell holdinvoice_state ACCEPTED"},
		{1, KillPlugin, "mostro before call settle"},
		{1, KillNode, "holdinvoice before answer resolve"},
		{1, KillPlugin, "holdinvoice after answer resolve"},
		{1, KillNode, "mostro before rpc xpay"},
		{1, KillPlugin, "mostro after rpc xpay"},
		{1, KillPlugin, "mostro before commit payout-paid"},
	},
	"both cancel a running trade": {
		{1, KillNode, "holdinvoice before answer fail"},
		{1, KillPlugin, "mostro before commit hold-canceled"},
	},
}

// RealCrashes are the crash stories told undisturbed, and each again with a visit to one point. The network's plugins
// have failpoints.
func RealCrashes(points *Failpoints) (list []Story) {
	for _, story := range CrashStories {
		k := &Walk{Points: points, Story: story}
		var undisturbed End
		var all []Visit
		if len(realVisits[story.Name]) == 0 {
			continue
		}
		measure := func(ctx context.Context, w *World) (err error) {
			if k.World = w; len(all) == 0 {
				undisturbed, all, err = k.Undisturbed(ctx)
			}
			return err
		}
		list = append(list, Story{"undisturbed: " + story.Name, measure})
		for _, v := range realVisits[story.Name] {
			list = append(list, Story{v.words(), func(ctx context.Context, w *World) error {
				if err := measure(ctx, w); err != nil {
					return err
				}
				if !slices.ContainsFunc(all, func(a Visit) bool { return a.Point == v.Point && a.Nth == v.Nth }) {
					return fmt.Errorf("the undisturbed run did not come by %q", v.Point)
				}
				reached, err := k.Visit(ctx, undisturbed, v)
				if err == nil && reached != 1 {
					err = fmt.Errorf("%q was not reached", v.Point)
				}
				return err
			}})
		}
	}
	return list
}

// words say what the visit does.
func (v Visit) words() string {
	_, place, _ := strings.Cut(v.Point, " ")
	victim := v.Program()
	if v.Deed == KillNode {
		place += " of " + victim
		victim = "lightningd"
	}
	return victim + " is killed " + place
}
