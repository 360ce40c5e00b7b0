package main

import (
	"context"
	"time"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// relayList is the result of mostro-relays.
type relayList struct {
	Relays []relayRow `json:"relays" about:"in the order of the option mostro-relays"`
}

type relayRow struct {
	URL       string `json:"url" about:"address"`
	Connected bool   `json:"connected" about:"now"`
	Since     int64  `json:"since,omitempty" about:"of being connected or not, unix seconds"`
	Accepted  uint64 `json:"accepted" about:"events of ours that it took or had already, since the start"`
	Refused   uint64 `json:"refused" about:"that it refused"`
	Queued    int    `json:"queued" about:"that it has not taken yet"`
	Received  uint64 `json:"received" about:"events that came from it"`
	Dropped   uint64 `json:"dropped" about:"of these, while we were busy; asked for again"`
	Malformed uint64 `json:"malformed" about:"messages that could not be read"`
	CheckedAt int64  `json:"checked_at,omitempty" about:"when it was asked last for what it has of us"`
	Mended    uint64 `json:"mended" about:"events that it had lost then and has taken"`
	Error     string `json:"last_error,omitempty" about:"in words"`
	ErrorAt   int64  `json:"last_error_at,omitempty" about:"when"`
}

func relaysNow(_ context.Context, m market, _ request) (relayList, error) {
	list := relayList{Relays: []relayRow{}}
	for _, s := range m.Relays() {
		list.Relays = append(list.Relays, newRelayRow(s))
	}
	return list, nil
}

func newRelayRow(s nostrio.RelayStatus) relayRow {
	return relayRow{
		URL: s.URL, Connected: s.Connected, Since: unixOf(s.Since), Accepted: s.Accepted, Refused: s.Refused, Queued: s.Queued, Received: s.Received,
		Dropped: s.Dropped, Malformed: s.Malformed, CheckedAt: unixOf(s.Checked), Mended: s.Mended, Error: clnio.CleanLine(s.LastError), ErrorAt: unixOf(s.LastErrorAt),
	}
}

// unixOf is a time in unix seconds, 0 for none.
func unixOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
