package nostrio

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

// outqueue holds the events that one relay has not taken yet, in the order in which they were published. It outlives
// connections. Whoever owns one holds its own lock; answers are called with that lock held and must not block.
//
// Full? The oldest event is given up: it had the longest time, and other relays may have it.
type outqueue struct {
	max  int
	list []*outgoing
	took func(nostr.Event) // hears what the relay has taken, or had already; may be nil
}

type outgoing struct {
	event   nostr.Event
	replace string // events with the same one replace each other; empty for those that stand alone
	answer  []func(publishAnswer)

	sentAt    time.Time // zero: not sent on this connection
	tries     int
	notBefore time.Time
	needsAuth bool
}

type publishAnswer struct {
	ok     bool
	reason string // the relay's words, or ours
}

const (
	outWindow = 32               // events under way at a time on one connection
	outWait   = 20 * time.Second // after that without OK an event is sent again
	outTries  = 4                // then it is given up at this relay
)

// add takes an event; an event that is here already gets one more listener, an older version of a replaceable one is
// dropped.
func (q *outqueue) add(e nostr.Event, answer func(publishAnswer)) {
	if i := slices.IndexFunc(q.list, func(o *outgoing) bool { return o.event.ID == e.ID }); i >= 0 {
		q.list[i].answer = append(q.list[i].answer, answer)
		return
	}
	if key := replaceKey(e); key != "" {
		if i := slices.IndexFunc(q.list, func(o *outgoing) bool { return o.replace == key }); i >= 0 {
			if newer(q.list[i].event, e) {
				answer(publishAnswer{reason: "superseded by a newer event"})
				return
			}
			q.finish(i, publishAnswer{reason: "superseded by a newer event"})
		}
	}
	if len(q.list) >= q.max {
		q.finish(0, publishAnswer{reason: "queue for this relay is full"})
	}
	q.list = append(q.list, &outgoing{event: e, replace: replaceKey(e), answer: []func(publishAnswer){answer}})
}

// newer reports whether a would stand where a and b replace each other (NIP-01).
func newer(a, b nostr.Event) bool {
	if a.CreatedAt != b.CreatedAt {
		return a.CreatedAt > b.CreatedAt
	}
	return a.ID < b.ID
}

// replaceKey names the slot of a replaceable or addressable event (NIP-01).
func replaceKey(e nostr.Event) string {
	switch {
	case e.IsReplaceable():
		return e.PubKey + " " + strconv.Itoa(e.Kind)
	case e.IsAddressable():
		return e.PubKey + " " + strconv.Itoa(e.Kind) + " " + tagValue(e, "d")
	}
	return ""
}

// tagValue is the value of an event's first tag of that name, empty without one.
func tagValue(e nostr.Event, name string) string {
	for _, t := range e.Tags {
		if len(t) > 1 && t[0] == name {
			return t[1]
		}
	}
	return ""
}

func (q *outqueue) finish(i int, a publishAnswer) {
	for _, f := range q.list[i].answer {
		f(a)
	}
	q.list = slices.Delete(q.list, i, i+1)
}

// due marks the events to send now as sent and returns them, and when to look again; zero for never.
func (q *outqueue) due(now time.Time, authed bool) (send []nostr.Event, again time.Time) {
	underWay := 0
	look := func(at time.Time) {
		if again.IsZero() || at.Before(again) {
			again = at
		}
	}
	for i := 0; i < len(q.list); i++ {
		o := q.list[i]
		if o.sentAt.IsZero() {
			continue
		}
		if deadline := o.sentAt.Add(outWait); now.Before(deadline) {
			underWay++
			look(deadline)
			continue
		}
		o.sentAt = time.Time{}
		if o.tries >= outTries {
			q.finish(i, publishAnswer{reason: "no answer"})
			i--
		}
	}
	for _, o := range q.list {
		if underWay >= outWindow {
			break
		}
		if !o.sentAt.IsZero() || o.needsAuth && !authed {
			continue
		}
		if now.Before(o.notBefore) {
			look(o.notBefore)
			continue
		}
		o.sentAt = now
		o.tries++
		underWay++
		send = append(send, o.event)
		look(now.Add(outWait))
	}
	return send, again
}

// answered takes the relay's OK. It reports whether that decided the event, and how.
func (q *outqueue) answered(id string, ok bool, reason string, now time.Time) (decided, accepted bool) {
	i := slices.IndexFunc(q.list, func(o *outgoing) bool { return o.event.ID == id })
	if i < 0 {
		return false, false
	}
	o := q.list[i]
	prefix, _, _ := strings.Cut(reason, ":")
	accepted = ok || prefix == "duplicate"
	switch {
	case accepted:
	case prefix == "auth-required" && !o.needsAuth:
		o.needsAuth, o.sentAt = true, time.Time{}
		return false, false
	case (prefix == "rate-limited" || prefix == "error") && o.tries < outTries:
		o.sentAt = time.Time{}
		o.notBefore = now.Add(time.Second << (2 * o.tries))
		return false, false
	}
	if accepted && q.took != nil {
		q.took(o.event)
	}
	q.finish(i, publishAnswer{ok: accepted, reason: reason})
	return true, accepted
}

// disconnected makes all events wait for the next connection. A try that the connection cut short does not count.
func (q *outqueue) disconnected() {
	for _, o := range q.list {
		if !o.sentAt.IsZero() {
			o.tries--
		}
		o.sentAt, o.notBefore, o.needsAuth = time.Time{}, time.Time{}, false
	}
}
