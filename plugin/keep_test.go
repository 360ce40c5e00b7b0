package main

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
)

func noticeHouse(t *testing.T) *house {
	t.Helper()
	k, err := nostrio.NewKey([32]byte{31: 7})
	if err != nil {
		t.Fatal(err)
	}
	return &house{key: k, log: slog.New(slog.DiscardHandler)}
}

func TestNoticesAreKeptForRelaysThatLoseThem(t *testing.T) {
	h := noticeHouse(t)
	info := nostrio.InfoEvent{CreatedAt: h.notices.stamp(nostrio.KindInfo)}.Event(h.key)
	list := nostrio.RelayList{Relays: []string{"wss://a"}, CreatedAt: h.notices.stamp(nostrio.KindRelayList)}.Event(h.key)
	rates := nostr.Event{Kind: nostrio.KindRates, CreatedAt: 5, Tags: nostr.Tags{{"d", "mostro-rates"}}}
	for _, e := range []nostr.Event{info, list, rates} {
		h.notices.put(e)
	}
	want := map[nostrio.Kept]string{
		{Kind: nostrio.KindInfo, D: h.key.PubKey().String(), CreatedAt: int64(info.CreatedAt)}: info.ID,
		{Kind: nostrio.KindRelayList, CreatedAt: int64(list.CreatedAt)}:                        list.ID,
	}
	got := h.notices.list()
	for _, k := range got {
		if e, ok := h.kept(k.Kind, k.D); !ok || want[k] != e.ID {
			t.Errorf("%+v is %s", k, e.ID)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d notices, want %d", len(got), len(want))
	}
	if _, ok := h.kept(nostrio.KindProfile, ""); ok {
		t.Error("a profile that was never published")
	}
	if _, ok := h.kept(nostrio.KindOrder, "no order's id"); ok {
		t.Error("an order without an id")
	}
}

func TestTheNextNoticeIsLaterThanAnyThatARelayHas(t *testing.T) {
	now := time.Now().Unix()
	for _, tt := range []struct {
		name  string
		relay int64 // created_at of what it has
		later bool  // than that is our next one
	}{
		{"a little ahead of our clock", now + 300, true},
		{"so far ahead that no other relay would take ours", now + 90000, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := noticeHouse(t)
			h.newer("wss://a", nostr.Event{Kind: nostrio.KindInfo, CreatedAt: nostr.Timestamp(tt.relay)})
			if got := h.notices.stamp(nostrio.KindInfo); got > tt.relay != tt.later {
				t.Errorf("the next is of %d, the relay's of %d", got, tt.relay)
			}
			if got := h.notices.stamp(nostrio.KindProfile); got > now+60 {
				t.Errorf("another kind is of %d", got)
			}
		})
	}
}

func TestStampsRise(t *testing.T) {
	h := noticeHouse(t)
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				s := h.notices.stamp(nostrio.KindRates)
				mu.Lock()
				if seen[s] {
					t.Errorf("%d comes twice", s)
				}
				seen[s] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}
