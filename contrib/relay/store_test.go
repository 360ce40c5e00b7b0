package relay

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nbd-wtf/go-nostr"
)

func TestStoreRules(t *testing.T) {
	d := func(v string) nostr.Tag { return nostr.Tag{"d", v} }
	order := func(at int64, content string) nostr.Event { return sign(t, alice, 38383, at, content, d("o1")) }
	tieA, tieB := order(5, "tie a"), order(5, "tie b")
	if tieA.ID > tieB.ID {
		tieA, tieB = tieB, tieA // A has the lower id and wins
	}
	note := sign(t, alice, 1, 1, "note")
	del := func(secret string, at int64, tags ...nostr.Tag) nostr.Event {
		return sign(t, secret, nostr.KindDeletion, at, "del", tags...)
	}
	addr := "38383:" + pub(alice) + ":o1"
	delNote := del(alice, 2, nostr.Tag{"e", note.ID})
	for name, tc := range map[string]struct {
		in   []nostr.Event
		want []string // contents left, newest first
		last string   // the last event's answer
	}{
		"a newer replaceable event replaces the older": {
			[]nostr.Event{sign(t, alice, 0, 1, "old"), sign(t, alice, 0, 2, "new")}, []string{"new"}, "true "},
		"an older replaceable event is not taken": {
			[]nostr.Event{sign(t, alice, 10002, 2, "new"), sign(t, alice, 10002, 1, "old")}, []string{"new"},
			"true duplicate: have a newer version of this event"},
		"replaceable events of two authors stand side by side": {
			[]nostr.Event{sign(t, alice, 0, 1, "a"), sign(t, bob, 0, 2, "b")}, []string{"b", "a"}, "true "},
		"addressable events are told apart by d": {
			[]nostr.Event{order(1, "o1"), sign(t, alice, 38383, 2, "o2", d("o2"))}, []string{"o2", "o1"}, "true "},
		"a newer addressable event replaces the older": {
			[]nostr.Event{order(1, "pending"), order(2, "success")}, []string{"success"}, "true "},
		"at equal times the lowest id stays": {
			[]nostr.Event{tieA, tieB}, []string{tieA.Content}, "true duplicate: have a newer version of this event"},
		"at equal times the lowest id comes in": {
			[]nostr.Event{tieB, tieA}, []string{tieA.Content}, "true "},
		"kind 14 is a regular event": {
			[]nostr.Event{sign(t, alice, 14, 1, "a"), sign(t, alice, 14, 2, "b")}, []string{"b", "a"}, "true "},
		"an author deletes an own event": {
			[]nostr.Event{note, delNote}, []string{"del"}, "true "},
		"a deleted event does not come back": {
			[]nostr.Event{note, delNote, note}, []string{"del"}, "false blocked: its author has deleted this event"},
		"an event deleted before it came is refused": {
			[]nostr.Event{delNote, note}, []string{"del"}, "false blocked: its author has deleted this event"},
		"a stranger deletes nothing": {
			[]nostr.Event{note, del(bob, 2, nostr.Tag{"e", note.ID})}, []string{"del", "note"}, "true "},
		"a deletion request is not deleted": {
			[]nostr.Event{delNote, del(alice, 3, nostr.Tag{"e", delNote.ID})}, []string{"del", "del"}, "true "},
		"an address is deleted up to the request's time": {
			[]nostr.Event{order(1, "old"), del(alice, 2, nostr.Tag{"a", addr}), order(3, "new")}, []string{"new", "del"}, "true "},
		"an older version of a deleted address is refused": {
			[]nostr.Event{del(alice, 2, nostr.Tag{"a", addr}), order(1, "old")}, []string{"del"},
			"false blocked: its author has deleted this event"},
		"a stranger deletes no address": {
			[]nostr.Event{order(1, "old"), del(bob, 2, nostr.Tag{"a", addr})}, []string{"del", "old"}, "true "},
		"over the bound the oldest go": {
			[]nostr.Event{note, sign(t, bob, 1, 2, "2"), sign(t, bob, 1, 3, "3"), sign(t, bob, 1, 4, "4")},
			[]string{"4", "3", "2"}, "true "},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(3)
			var last string
			for _, e := range tc.in {
				st, err := newStored(e)
				if err != nil {
					t.Fatal(err)
				}
				_, ok, reason := s.put(st, 1_700_000_000)
				last = fmt.Sprintf("%t %s", ok, reason)
			}
			var got []string
			for _, e := range s.query([]filter{{}}, 1_700_000_000, 10) {
				got = append(got, e.event.Content)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("left %q, want %q", got, tc.want)
			}
			if last != tc.last {
				t.Errorf("answered %q, want %q", last, tc.last)
			}
			if len(s.byID) != len(s.events) {
				t.Errorf("%d ids for %d events", len(s.byID), len(s.events))
			}
		})
	}
}

func TestATombstoneGoesWithItsDeletionRequest(t *testing.T) {
	s := newStore(2)
	note := sign(t, alice, 1, 1, "note")
	for _, e := range []nostr.Event{
		sign(t, alice, nostr.KindDeletion, 2, "", nostr.Tag{"e", note.ID}, nostr.Tag{"a", "38383:" + pub(alice) + ":x"}),
		sign(t, bob, 1, 3, ""), sign(t, bob, 1, 4, ""),
	} {
		st, err := newStored(e)
		if err != nil {
			t.Fatal(err)
		}
		s.put(st, 0)
	}
	if len(s.deletedIDs)+len(s.deletedAddresses) != 0 {
		t.Errorf("left: %v %v", s.deletedIDs, s.deletedAddresses)
	}
}

// The indexes must not change an answer: each filter is asked with them, and the hard way.
func TestIndexesAnswerAsAFullScanDoes(t *testing.T) {
	s := newStore(60)
	people := []string{pub(alice), pub(bob), strings.Repeat("ab", 32)}
	var ids []string
	for i := range int64(100) {
		e := sign(t, []string{alice, bob}[i%2], []int{1, 14, 10002, 38383, nostr.KindDeletion}[i%5], i%37, "x",
			nostr.Tag{"p", people[i%3]}, nostr.Tag{"p", people[i/7%3]}, nostr.Tag{"d", "o"})
		if i%5 == 4 && len(ids) > 3 {
			e = sign(t, []string{alice, bob}[i%2], nostr.KindDeletion, i%37, "x", nostr.Tag{"e", ids[len(ids)-2]}, nostr.Tag{"p", people[0]})
		}
		ids = append(ids, e.ID)
		st, err := newStored(e)
		if err != nil {
			t.Fatal(err)
		}
		s.put(st, 0)
		s.purge(0)
	}
	limit := 7
	for name, f := range map[string]nostr.Filter{
		"all":               {},
		"one receiver":      {Tags: nostr.TagMap{"p": people[:1]}},
		"two receivers":     {Tags: nostr.TagMap{"p": people[1:]}, Kinds: []int{14, 1}},
		"no receiver":       {Tags: nostr.TagMap{"p": {}}},
		"some ids":          {IDs: ids[40:90]},
		"ids to a receiver": {IDs: ids[40:90], Tags: nostr.TagMap{"p": people[:1]}},
		"with a limit":      {Tags: nostr.TagMap{"p": people[:2]}, Limit: limit},
	} {
		t.Run(name, func(t *testing.T) {
			var want []*stored
			for _, e := range slices.Backward(s.events) {
				if fromNostr(f).matches(&e.event) && (f.Limit == 0 || len(want) < limit) {
					want = append(want, e)
				}
			}
			if got := s.query([]filter{fromNostr(f)}, 0, 1000); !slices.Equal(got, want) {
				t.Errorf("found %d events, a scan %d", len(got), len(want))
			}
		})
	}
	indexed := 0
	for r, l := range s.to {
		indexed += len(l)
		if len(l) == 0 || !slices.IsSortedFunc(l, byAge) {
			t.Errorf("index of %s: %d events", r, len(l))
		}
	}
	s.purge(0)
	for len(s.events) > 0 {
		s.remove(s.events[0])
	}
	if indexed == 0 || len(s.to)+len(s.byID)+len(s.byAddress) != 0 {
		t.Errorf("indexed %d; left %d receivers, %d ids, %d addresses", indexed, len(s.to), len(s.byID), len(s.byAddress))
	}
}
