package relay

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nbd-wtf/go-nostr"
)

// stored is an event with what the relay needs to know of it. It is never changed once made.
type stored struct {
	event   nostr.Event
	wire    []byte // the event's JSON, as subscribers get it
	expires int64  // unix seconds, NIP-40; 0 = never
	address string // kind:pubkey:d of a replaceable or addressable event, else ""
}

func newStored(e nostr.Event) (*stored, error) {
	wire, err := e.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	s := &stored{event: e, wire: wire}
	for _, tag := range e.Tags {
		if len(tag) >= 2 && tag[0] == "expiration" {
			if s.expires, err = strconv.ParseInt(tag[1], 10, 64); err != nil || s.expires <= 0 {
				return nil, fmt.Errorf("the expiration is not a time in unix seconds")
			}
			break
		}
	}
	if e.IsReplaceable() {
		s.address = address(e.Kind, e.PubKey, "")
	} else if e.IsAddressable() {
		s.address = address(e.Kind, e.PubKey, e.Tags.GetD())
	}
	return s, nil
}

func (s *stored) expired(now int64) bool { return s.expires != 0 && s.expires <= now }

func address(kind int, pubkey, d string) string { return fmt.Sprintf("%d:%s:%s", kind, pubkey, d) }

// store holds the events. It has no lock of its own: the relay's guards it.
type store struct {
	max       int
	events    timeline
	byID      map[string]*stored
	byAddress map[string]*stored  // the one live version of each address
	to        map[string]timeline // by receiver, tag "p": what clients ask for most

	// What a kind 5 has deleted must not come back (NIP-09). Each points to the kind 5, and goes when that goes.
	deletedIDs       map[string]*stored // pubkey:id
	deletedAddresses map[string]*stored // address, up to the kind 5's time
}

func newStore(max int) *store {
	s := &store{max: max}
	s.forget()
	return s
}

func (s *store) forget() {
	s.events = nil
	s.byID = make(map[string]*stored)
	s.byAddress = make(map[string]*stored)
	s.to = make(map[string]timeline)
	s.deletedIDs = make(map[string]*stored)
	s.deletedAddresses = make(map[string]*stored)
}

// put judges an event and keeps it where its kind says so. Fresh means that subscribers should see it; ok and reason
// are the client's answer.
func (s *store) put(e *stored, now int64) (fresh, ok bool, reason string) {
	switch {
	case e.expired(now):
		return false, false, "invalid: the event has expired"
	case e.event.IsEphemeral():
		return true, true, ""
	case s.byID[e.event.ID] != nil:
		return false, true, "duplicate: already have this event"
	case s.deleted(e):
		return false, false, "blocked: its author has deleted this event"
	}
	if old := s.byAddress[e.address]; e.address != "" && old != nil {
		if byAge(old, e) > 0 {
			return false, true, "duplicate: have a newer version of this event"
		}
		s.remove(old)
	}
	s.add(e)
	if e.event.Kind == nostr.KindDeletion {
		s.deleteFor(e)
	}
	for len(s.events) > s.max {
		s.remove(s.events[0])
	}
	return true, true, ""
}

// byAge puts the older event first; at equal times the one with the higher id counts as older (NIP-01).
func byAge(a, b *stored) int {
	return cmp.Or(cmp.Compare(a.event.CreatedAt, b.event.CreatedAt), cmp.Compare(b.event.ID, a.event.ID))
}

// timeline is a list of events, oldest first, equal times by highest id first: read backwards, it is NIP-01's order.
type timeline []*stored

func (l *timeline) insert(e *stored) {
	i, _ := slices.BinarySearchFunc(*l, e, byAge)
	*l = slices.Insert(*l, i, e)
}

func (l *timeline) remove(e *stored) {
	if i, found := slices.BinarySearchFunc(*l, e, byAge); found {
		*l = slices.Delete(*l, i, i+1)
	}
}

// receivers are the values of the event's p tags, each once.
func (s *stored) receivers() set[string] {
	to := make(set[string])
	for _, tag := range s.event.Tags {
		if len(tag) >= 2 && tag[0] == "p" {
			to[tag[1]] = struct{}{}
		}
	}
	return to
}

func (s *store) add(e *stored) {
	s.events.insert(e)
	s.byID[e.event.ID] = e
	if e.address != "" {
		s.byAddress[e.address] = e
	}
	for r := range e.receivers() {
		l := s.to[r]
		l.insert(e)
		s.to[r] = l
	}
}

func (s *store) remove(e *stored) {
	s.events.remove(e)
	s.dropped(e)
}

// dropped clears the indexes of an event that has left the list.
func (s *store) dropped(e *stored) {
	delete(s.byID, e.event.ID)
	if s.byAddress[e.address] == e {
		delete(s.byAddress, e.address)
	}
	for r := range e.receivers() {
		l := s.to[r]
		if l.remove(e); len(l) == 0 {
			delete(s.to, r)
		} else {
			s.to[r] = l
		}
	}
	if e.event.Kind != nostr.KindDeletion {
		return
	}
	for _, tag := range e.event.Tags {
		if len(tag) < 2 {
			continue
		}
		if key := e.event.PubKey + ":" + tag[1]; s.deletedIDs[key] == e {
			delete(s.deletedIDs, key)
		}
		if s.deletedAddresses[tag[1]] == e {
			delete(s.deletedAddresses, tag[1])
		}
	}
}

func (s *store) deleted(e *stored) bool {
	if e.event.Kind == nostr.KindDeletion {
		return false
	}
	if s.deletedIDs[e.event.PubKey+":"+e.event.ID] != nil {
		return true
	}
	del := s.deletedAddresses[e.address]
	return del != nil && e.event.CreatedAt <= del.event.CreatedAt
}

// deleteFor carries out a deletion request: an author can delete own events only, and no deletion request.
func (s *store) deleteFor(del *stored) {
	author := del.event.PubKey
	for _, tag := range del.event.Tags {
		if len(tag) < 2 {
			continue
		}
		switch target := tag[1]; tag[0] {
		case "e":
			s.deletedIDs[author+":"+target] = del
			if e := s.byID[target]; e != nil && e.event.PubKey == author && e.event.Kind != nostr.KindDeletion {
				s.remove(e)
			}
		case "a":
			if parts := strings.SplitN(target, ":", 3); len(parts) != 3 || parts[1] != author {
				continue
			}
			if old := s.deletedAddresses[target]; old == nil || old.event.CreatedAt < del.event.CreatedAt {
				s.deletedAddresses[target] = del
			}
			if e := s.byAddress[target]; e != nil && e.event.CreatedAt <= del.event.CreatedAt {
				s.remove(e)
			}
		}
	}
}

// query returns what any of the filters asks for: newest first, equal times by lowest id. A filter gets at most its own
// limit, and at most maxLimit.
func (s *store) query(filters []filter, now int64, maxLimit int) []*stored {
	found := make(set[*stored])
	for _, f := range filters {
		left := maxLimit
		if f.limit != nil {
			left = min(*f.limit, maxLimit)
		}
		candidates := s.candidates(f)
		for i := len(candidates) - 1; i >= 0 && left > 0; i-- {
			if e := candidates[i]; !e.expired(now) && f.matches(&e.event) {
				found[e] = struct{}{}
				left--
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b *stored) int { return byAge(b, a) })
}

// candidates is the shortest list at hand that has all events of the filter.
func (s *store) candidates(f filter) timeline {
	var l timeline
	switch to := f.tags["p"]; {
	case f.ids != nil:
		for id := range f.ids {
			if e := s.byID[id]; e != nil {
				l.insert(e)
			}
		}
	case len(to) == 1:
		for r := range to {
			l = s.to[r]
		}
	case to != nil:
		all := make(set[*stored])
		for r := range to {
			for _, e := range s.to[r] {
				all[e] = struct{}{}
			}
		}
		l = slices.SortedFunc(maps.Keys(all), byAge)
	default:
		l = s.events
	}
	return l
}

// purge throws out what has expired and tells when the next event will; 0 = none does.
func (s *store) purge(now int64) (next int64) {
	s.events = slices.DeleteFunc(s.events, func(e *stored) bool {
		if e.expired(now) {
			s.dropped(e)
			return true
		}
		if e.expires != 0 && (next == 0 || e.expires < next) {
			next = e.expires
		}
		return false
	})
	return next
}
