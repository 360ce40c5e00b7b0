package relay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nbd-wtf/go-nostr"
)

// filter is a NIP-01 filter made ready for matching. A nil set does not restrict; an empty one matches nothing.
type filter struct {
	ids, authors set[string]
	kinds        set[int]
	tags         map[string]set[string] // tag name, one letter → wanted first values
	since, until *int64                 // unix seconds, both inclusive
	limit        *int                   // how many stored events are wanted; says nothing about later ones
}

type set[T comparable] map[T]struct{}

func newSet[T comparable](values []T) set[T] {
	if values == nil {
		return nil
	}
	s := make(set[T], len(values))
	for _, v := range values {
		s[v] = struct{}{}
	}
	return s
}

func (s set[T]) allows(v T) bool {
	if s == nil {
		return true
	}
	_, ok := s[v]
	return ok
}

// parseFilter reads one filter object. Unknown keys are ignored, as NIP-50 and others add some; a known key with a
// value of the wrong shape is an error, and so is an id or key that is not 64 characters of lower-case hex.
func parseFilter(data []byte) (filter, error) {
	var f filter
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return f, fmt.Errorf("a filter is a JSON object")
	}
	for key, raw := range fields {
		if err := f.field(key, raw); err != nil {
			return f, fmt.Errorf("filter %q: %w", key, err)
		}
	}
	return f, nil
}

func (f *filter) field(key string, raw json.RawMessage) (err error) {
	switch {
	case bytes.Equal(raw, []byte("null")):
		return fmt.Errorf("null is no value")
	case key == "ids":
		f.ids, err = hexSet(raw)
	case key == "authors":
		f.authors, err = hexSet(raw)
	case key == "kinds":
		var kinds []int
		err = read(raw, &kinds)
		f.kinds = newSet(kinds)
	case key == "since":
		err = read(raw, &f.since)
	case key == "until":
		err = read(raw, &f.until)
	case key == "limit":
		if err = read(raw, &f.limit); err == nil && *f.limit < 0 {
			err = fmt.Errorf("less than 0")
		}
	case len(key) == 2 && key[0] == '#':
		err = f.tag(key[1:], raw)
	}
	return err
}

func (f *filter) tag(name string, raw json.RawMessage) error {
	var values set[string]
	var err error
	if name == "e" || name == "p" {
		values, err = hexSet(raw)
	} else {
		var list []string
		err = read(raw, &list)
		values = newSet(list)
	}
	if err != nil {
		return err
	}
	if f.tags == nil {
		f.tags = make(map[string]set[string])
	}
	f.tags[name] = values
	return nil
}

func hexSet(raw json.RawMessage) (set[string], error) {
	var values []string
	if err := read(raw, &values); err != nil {
		return nil, err
	}
	for _, v := range values {
		if !isHex(v, 64) {
			return nil, fmt.Errorf("want 64 characters of lower-case hex")
		}
	}
	return newSet(values), nil
}

// read hides the decoder's text, which names Go types, behind a sentence for the client.
func read(raw json.RawMessage, into any) error {
	if json.Unmarshal(raw, into) != nil {
		return fmt.Errorf("wrong type of value")
	}
	return nil
}

func isHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}

// fromNostr takes a filter over from Go code.
func fromNostr(f nostr.Filter) filter {
	out := filter{ids: newSet(f.IDs), authors: newSet(f.Authors), kinds: newSet(f.Kinds)}
	for name, values := range f.Tags {
		if out.tags == nil {
			out.tags = make(map[string]set[string])
		}
		out.tags[name] = newSet(values)
	}
	if f.Since != nil {
		since := int64(*f.Since)
		out.since = &since
	}
	if f.Until != nil {
		until := int64(*f.Until)
		out.until = &until
	}
	if f.Limit > 0 || f.LimitZero {
		out.limit = &f.Limit
	}
	return out
}

// matches says whether the event is what the filter asks for, whatever the limit.
func (f filter) matches(e *nostr.Event) bool {
	if !f.ids.allows(e.ID) || !f.authors.allows(e.PubKey) || !f.kinds.allows(e.Kind) {
		return false
	}
	if f.since != nil && int64(e.CreatedAt) < *f.since || f.until != nil && int64(e.CreatedAt) > *f.until {
		return false
	}
	for name, wanted := range f.tags {
		if wanted != nil && !hasTag(e, name, wanted) {
			return false
		}
	}
	return true
}

func hasTag(e *nostr.Event, name string, wanted set[string]) bool {
	for _, tag := range e.Tags {
		if len(tag) >= 2 && tag[0] == name && wanted.allows(tag[1]) {
			return true
		}
	}
	return false
}

func matchesAny(filters []filter, e *nostr.Event) bool {
	for _, f := range filters {
		if f.matches(e) {
			return true
		}
	}
	return false
}
