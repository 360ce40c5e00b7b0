package nostrio

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

func queued(id string) nostr.Event { return nostr.Event{ID: id, Kind: 1} }

// answers collects what a queue says of its events.
type answers struct{ got []string }

func (a *answers) of(id string) func(publishAnswer) {
	return func(p publishAnswer) { a.got = append(a.got, fmt.Sprintf("%s %v %s", id, p.ok, p.reason)) }
}

func ids(events []nostr.Event) string {
	var s []string
	for _, e := range events {
		s = append(s, e.ID)
	}
	return strings.Join(s, " ")
}

func TestQueueSendsOnceAndAgainWhenUnanswered(t *testing.T) {
	var a answers
	q, now := outqueue{max: 10}, time.Unix(1000, 0)
	q.add(queued("a"), a.of("a"))
	q.add(queued("a"), a.of("a again"))
	for try := range outTries {
		send, again := q.due(now, false)
		equal(t, fmt.Sprint("try ", try), ids(send), "a")
		equal(t, "look again", again, now.Add(outWait))
		send, _ = q.due(now.Add(outWait-1), false)
		equal(t, "while it waits", ids(send), "")
		now = now.Add(outWait)
	}
	send, _ := q.due(now, false)
	equal(t, "in the end", ids(send), "")
	equal(t, "answers", a.got, []string{"a false no answer", "a again false no answer"})
}

func TestQueueKeepsAWindow(t *testing.T) {
	var a answers
	q, now := outqueue{max: 100}, time.Unix(1000, 0)
	for i := range outWindow + 1 {
		q.add(queued(fmt.Sprint(i)), a.of("x"))
	}
	send, _ := q.due(now, false)
	equal(t, "at first", len(send), outWindow)
	q.answered("3", true, "", now)
	send, _ = q.due(now, false)
	equal(t, "after one OK", ids(send), fmt.Sprint(outWindow))
}

func TestQueueGivesUpTheOldestWhenFull(t *testing.T) {
	var a answers
	q := outqueue{max: 2}
	for _, id := range []string{"a", "b", "c"} {
		q.add(queued(id), a.of(id))
	}
	equal(t, "answers", a.got, []string{"a false queue for this relay is full"})
	send, _ := q.due(time.Unix(1, 0), false)
	equal(t, "left", ids(send), "b c")
}

func TestQueueObeysTheRelay(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		reason string
		ok     bool
		want   string // what the publisher hears
		atOnce string // what is sent at once, when AUTH has been done
		later  string // what is sent an hour later, when it has not
	}{
		{"", true, "[a true ]", "", ""},
		{"duplicate: have it", false, "[a true duplicate: have it]", "", ""},
		{"blocked: no", false, "[a false blocked: no]", "", ""},
		{"", false, "[a false ]", "", ""},
		{"rate-limited: slow down", false, "[]", "", "a"},
		{"error: disk", false, "[]", "", "a"},
		{"auth-required: who are you", false, "[]", "a", ""},
	} {
		refused := func() (*outqueue, *answers) {
			q, a := &outqueue{max: 2}, &answers{}
			q.add(queued("a"), a.of("a"))
			q.due(now, false)
			q.answered("a", c.ok, c.reason, now)
			return q, a
		}
		q, a := refused()
		equal(t, c.reason, a.got, c.want)
		send, _ := q.due(now, true)
		equal(t, c.reason+", at once", ids(send), c.atOnce)
		q, _ = refused()
		send, _ = q.due(now.Add(time.Hour), false)
		equal(t, c.reason+", later", ids(send), c.later)
		q, _ = refused()
		q.disconnected()
		send, _ = q.due(now, false)
		equal(t, c.reason+", on a new connection", ids(send), strings.Trim(c.later+c.atOnce, " "))
	}
}
