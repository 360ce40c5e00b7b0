package nostrio

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// frames joins what a subscription has to send.
func frames(s *subscription, now time.Time) string {
	out, _ := s.due(now, time.Hour)
	var all []string
	for _, f := range out {
		all = append(all, string(f))
	}
	return strings.Join(all, "\n")
}

func TestSubscriptionAsksFromWhereItLeftOff(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	for _, c := range []struct {
		kind          int
		first, second int64 // since
	}{
		{KindDirect, 1_000_000 - 3600, 2_000_000 - 600},
		{KindGiftWrap, 1_000_000 - 3600 - 172800, 2_000_000 - 600 - 172800},
	} {
		s := &subscription{id: "x", filter: Filter{Kinds: []int{c.kind}}, reqAt: start}
		equal(t, "at first", frames(s, start), fmt.Sprintf(`["REQ","x",{"kinds":[%d],"since":%d}]`, c.kind, c.first))
		equal(t, "and no more", frames(s, start), "")
		heard := time.Unix(2_000_000, 0)
		s.disconnected(heard) // before all stored events had come
		s.reqAt = heard
		equal(t, "nothing is sure yet", frames(s, start.Add(time.Hour)), "")
		s.reqAt = start
		equal(t, "so the same again", frames(s, start), fmt.Sprintf(`["REQ","x",{"kinds":[%d],"since":%d}]`, c.kind, c.first))
		s.endOfStored("x")
		s.disconnected(heard)
		s.reqAt = heard
		equal(t, "after EOSE", frames(s, heard), fmt.Sprintf(`["REQ","x",{"kinds":[%d],"since":%d}]`, c.kind, c.second))
	}
}

func TestSubscriptionPages(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := &subscription{id: "x", reqAt: now}
	frames(s, now)
	for i := range pageFull {
		s.event("x", 999_000+int64(i/2))
	}
	s.endOfStored("x-older") // not asked for
	s.endOfStored("x")
	equal(t, "first page", frames(s, now), `["REQ","x-older",{"since":996400,"until":999000}]`)
	s.event("x", 1_000_000) // live
	s.event("x-older", 999_000)
	s.event("x-older", 998_000)
	s.endOfStored("x-older")
	equal(t, "older ones", frames(s, now), `["REQ","x-older",{"since":996400,"until":998000}]`)
	s.event("x-older", 998_000)
	s.endOfStored("x-older")
	equal(t, "nothing but that second", frames(s, now), `["REQ","x-older",{"since":996400,"until":997999}]`)
	if s.complete {
		t.Error("complete too early")
	}
	s.endOfStored("x-older")
	equal(t, "nothing at all", frames(s, now), `["CLOSE","x-older"]`)
	if !s.complete {
		t.Error("not complete")
	}
}

func TestSubscriptionComesBackEverMoreSlowly(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	s := &subscription{id: "x", reqAt: now}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		frames(s, now)
		s.closed("error: too many", now, now, time.Second, time.Minute)
		equal(t, "pause", s.reqAt.Sub(now), want*time.Second)
		now = s.reqAt
	}
	frames(s, now)
	s.endOfStored("x")
	s.closed("error: again", now, now, time.Second, time.Minute)
	equal(t, "pause after EOSE", s.reqAt.Sub(now), time.Second)

	s = &subscription{id: "x", reqAt: now}
	frames(s, now)
	s.closed("auth-required: who are you", now, now, time.Second, time.Minute)
	if !s.waitAuth || !s.reqAt.IsZero() {
		t.Error("it does not wait for AUTH")
	}
	s.reqAt = now
	frames(s, now)
	s.closed("auth-required: still", now, now, time.Second, time.Minute)
	equal(t, "pause when AUTH was of no use", s.reqAt.Sub(now), time.Second)
}

func TestFilterHasOnlyWhatItWants(t *testing.T) {
	k := mustKey(t, someSecret).PubKey()
	for want, f := range map[string]Filter{
		`{}`:               {},
		`{"kinds":[1,14]}`: {Kinds: []int{1, 14}},
		`{"kinds":[14],"authors":["` + k.String() + `"],"#p":["` + k.String() + `"]}`: {Kinds: []int{14}, Authors: append(Filter{}.P, k), P: append(Filter{}.P, k)},
		`{"#p":["` + k.String() + `"]}`:                                               {P: append(Filter{}.P, k)},
	} {
		equal(t, "filter", string(f.append(nil, 0, 0)), want)
	}
}
