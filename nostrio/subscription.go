package nostrio

import (
	"slices"
	"strings"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

// subscription is one filter at one relay and how far we have read there.
//
// A relay that comes back is asked again from the last moment up to which we certainly had everything, less a margin;
// for gift wraps two days more, since their times are put back that far. A relay gives only so many stored events at a
// time, so a full answer is followed by requests for older ones, on a subscription id of their own, while the first
// stays open for new events.
//
// A query is a subscription with done: it asks from a fixed time on, and is over when the stored events have come.
type subscription struct {
	id     string
	filter Filter

	reqAt    time.Time     // when to send REQ; zero: not now
	pause    time.Duration // after the last CLOSED
	open     bool          // REQ is sent and not closed
	waitAuth bool          // closed for want of AUTH

	complete bool      // everything up to now has come
	upTo     time.Time // if not complete: everything up to then has; zero: nothing is known

	since    int64 // of the open REQ
	stored   int   // events before EOSE, of the present page
	oldest   int64 // of them
	until    int64 // of the present page; 0: no page is open
	pages    int
	pageDue  bool // the next page is to be asked for
	pageDone bool // the last page is to be closed

	// Of a query:
	from  int64             // since
	sink  func(nostr.Event) // takes the events instead of Pool.Events; called with the relay's lock held
	done  func()            // called at the end, perhaps more than once
	floor int64             // older events, and those of this second, were too many to be asked for
	blind []int64           // seconds with more events than a page holds
}

const (
	sinceMargin = 10 * time.Minute
	pageFull    = 50  // fewer events than this are a whole answer at any relay
	pagesMax    = 200 // of one catching up
	olderSuffix = "-older"
)

func (s *subscription) pageID() string { return s.id + olderSuffix }

// sinceNow computes from when to ask.
func (s *subscription) sinceNow(now time.Time, window time.Duration) int64 {
	if s.done != nil {
		return s.from
	}
	from := now.Add(-window)
	if !s.upTo.IsZero() {
		from = s.upTo.Add(-sinceMargin)
	}
	if slices.Contains(s.filter.Kinds, KindGiftWrap) {
		from = from.Add(-maxTweak * time.Second)
	}
	return from.Unix()
}

// due returns the frames to send now and when to look again; zero for never.
func (s *subscription) due(now time.Time, window time.Duration) (frames [][]byte, again time.Time) {
	if s.pageDone {
		s.pageDone = false
		frames = append(frames, closeFrame(s.pageID()))
	}
	if s.pageDue {
		s.pageDue, s.stored, s.oldest = false, 0, 0
		frames = append(frames, reqFrame(s.pageID(), s.filter, s.since, s.until))
	}
	if s.reqAt.IsZero() {
		return frames, time.Time{}
	}
	if now.Before(s.reqAt) {
		return frames, s.reqAt
	}
	s.reqAt, s.open = time.Time{}, true
	s.since, s.stored, s.oldest, s.until, s.pages = s.sinceNow(now, window), 0, 0, 0, 0
	s.floor, s.blind = 0, nil
	return append(frames, reqFrame(s.id, s.filter, s.since, 0)), time.Time{}
}

// event counts an event towards the present page.
func (s *subscription) event(sub string, createdAt int64) {
	if s.complete || sub == s.id && s.until != 0 { // live ones don't count
		return
	}
	s.stored++
	if s.oldest == 0 || createdAt < s.oldest {
		s.oldest = createdAt
	}
}

// endOfStored takes EOSE of the subscription or of its page.
func (s *subscription) endOfStored(sub string) {
	if s.complete || (sub == s.id) != (s.until == 0) {
		return
	}
	s.pause = 0
	all := s.until == 0 && s.stored < pageFull || s.until != 0 && s.stored == 0
	if all || s.pages >= pagesMax {
		s.complete, s.pageDone = true, s.until != 0
		if !all {
			s.floor = s.oldest
		}
		if s.done != nil {
			s.done()
		}
		return
	}
	// Up to and including the oldest second, since it may have been cut in two; one second on where that was all.
	next := s.oldest
	if next == s.until {
		if s.stored >= pageFull {
			s.blind = append(s.blind, next)
		}
		next--
	}
	s.until, s.pageDue = next, true
	s.pages++
}

// covers reports whether a query's answer would have shown an event of that second.
func (s *subscription) covers(at int64) bool { return at > s.floor && !slices.Contains(s.blind, at) }

// closed takes CLOSED of the subscription or of its page: asks again later, ever more slowly.
func (s *subscription) closed(reason string, now, heard time.Time, first, most time.Duration) {
	s.settle(heard)
	s.open = false
	if strings.HasPrefix(reason, "auth-required:") && !s.waitAuth {
		s.waitAuth = true
		return
	}
	s.pause = min(max(2*s.pause, first), most)
	s.reqAt = now.Add(s.pause)
}

// resync asks again after events had to be dropped.
func (s *subscription) resync(now time.Time, heard time.Time, after time.Duration) {
	s.settle(heard)
	if s.reqAt.IsZero() {
		s.reqAt = now.Add(after)
	}
}

// rewind asks again for events of that time, which have come and were not dealt with.
func (s *subscription) rewind(to, now, heard time.Time, after time.Duration) {
	if s.open { // else it will be asked anyway
		s.resync(now, heard, after)
	}
	if !s.upTo.IsZero() && to.Before(s.upTo) {
		s.upTo = to
	}
}

// settle notes how far we have read, when the stream is interrupted.
func (s *subscription) settle(heard time.Time) {
	if s.complete {
		s.complete, s.upTo = false, heard
	}
	s.pageDue, s.pageDone = false, false
}

func (s *subscription) disconnected(heard time.Time) {
	s.settle(heard)
	s.open, s.waitAuth, s.reqAt, s.pause = false, false, time.Time{}, 0
}
