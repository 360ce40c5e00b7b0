package nostrio

import (
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// audit compares what one relay shows of our events of one kind with what it should have. It looks at times only: of
// two revisions of an event with the same created_at relays keep the one with the lower id, so that sending ours would
// be in vain half of the time, and would be done again at every look.
type audit struct {
	kind   int
	author string
	list   []Kept // what it should have
	slots  map[string]*slot
	newer  []nostr.Event // than ours, as the relay says
	stray  []nostr.Event // shown as live on its book, and not wanted
}

// slot is one event that the relay should have.
type slot struct{ want, has int64 } // created_at; has is 0 until the relay has shown one

// oddMost is how many events of each odd sort an audit remembers: a relay may send anything.
const oddMost = 1000

func newAudit(author orders.PubKey, kind int, list []Kept) *audit {
	a := &audit{kind: kind, author: author.String(), list: list, slots: make(map[string]*slot, len(list))}
	all := make([]slot, len(list))
	for i, k := range list {
		all[i].want = k.CreatedAt
		a.slots[k.D] = &all[i]
	}
	return a
}

// since is from when on the relay is asked, unix seconds. A revision older than all that are wanted need not be seen:
// it is replaced like one that isn't there.
func (a *audit) since(now time.Time) int64 {
	from := now.Unix()
	if a.kind == KindOrder || a.kind == KindDispute {
		from -= int64(strayWindow / time.Second)
	}
	for _, k := range a.list {
		from = min(from, k.CreatedAt)
	}
	return from
}

// see takes an event that the relay has.
func (a *audit) see(e nostr.Event) {
	if e.Kind != a.kind || e.PubKey != a.author {
		return
	}
	at := int64(e.CreatedAt)
	s := a.slots[address(e)]
	switch {
	case s == nil:
		if live(e) && len(a.stray) < oddMost {
			a.stray = append(a.stray, e)
		}
	case at > s.want && len(a.newer) < oddMost:
		a.newer = append(a.newer, e)
	}
	if s != nil {
		s.has = max(s.has, at)
	}
}

// lacking lists the d of what the relay has not at all or in an older revision. Where its answer may be short of
// events, as covers tells, nothing is said.
func (a *audit) lacking(covers func(at int64) bool) (ds []string) {
	for _, k := range a.list {
		if a.slots[k.D].has < k.CreatedAt && covers(k.CreatedAt) {
			ds = append(ds, k.D)
		}
	}
	return ds
}

// address is what tells an author's events of one replaceable or addressable kind apart (NIP-01): the tag d, or nothing.
func address(e nostr.Event) string {
	if e.IsReplaceable() {
		return ""
	}
	return tagValue(e, "d")
}

// live reports whether an event shows an order that can be taken or is being traded, or a dispute that has not ended.
func live(e nostr.Event) bool {
	s := tagValue(e, "s")
	switch e.Kind {
	case KindOrder:
		return s == pending || s == inProgress
	case KindDispute:
		return !orders.DisputeState(s).Ended()
	}
	return false
}
