package trader

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

func TestOnlyTheMostrosOwnMessagesAreOpened(t *testing.T) {
	ring, err := newKeyring(testMnemonic)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := ring.key(1)
	if err != nil {
		t.Fatal(err)
	}
	mostro, err := nostrio.ParseKey(mostroSecret)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ring.key(9)
	if err != nil {
		t.Fatal(err)
	}
	msg := message(order1, nostrio.ActReleased, nil)
	for _, way := range []orders.Way{orders.GiftWrap, orders.Direct} {
		for name, tc := range map[string]struct {
			by   *nostrio.Key
			to   orders.PubKey
			want bool
		}{
			"from the Mostro to us":         {mostro, mine.PubKey(), true},
			"from a stranger to us":         {stranger.Key, mine.PubKey(), false},
			"from the Mostro to a stranger": {mostro, stranger.PubKey(), false},
		} {
			t.Run(name, func(t *testing.T) {
				at := time.Now().Unix()
				e, err := tc.by.Seal(way, tc.to, msg, at, orders.Seed{1})
				if err != nil {
					t.Fatal(err)
				}
				got, err := open(mine, mostro.PubKey(), e)
				if (err == nil) != tc.want {
					t.Fatalf("transport %d: %v", way, err)
				}
				if tc.want && (got.Action != nostrio.ActReleased || got.OrderID != order1 || got.At != at) {
					t.Errorf("transport %d: got %+v", way, got)
				}
			})
		}
	}
}

func TestDecodeMessageTakesWhatItCan(t *testing.T) {
	for name, tc := range map[string]struct {
		in     string
		ok     bool
		action nostrio.Action
		reason orders.Reason
		reqID  uint64
	}{
		"a known message":            {`{"order":{"version":2,"request_id":7,"action":"canceled","payload":null}}`, true, "canceled", "", 7},
		"an unknown action":          {`{"order":{"version":2,"request_id":18446744073709551615,"action":"teleport"}}`, true, "teleport", "", 1<<64 - 1},
		"an unknown wrapper":         {`{"news":{"version":2,"action":"canceled"}}`, true, "canceled", "", 0},
		"an unknown payload":         {`{"order":{"version":2,"action":"rate","payload":{"stars":[1,2]}}}`, true, "rate", "", 0},
		"a payload of another type":  {`{"order":{"version":2,"request_id":3,"action":"rate","payload":[1]}}`, true, "rate", "", 3},
		"an unknown reason":          {`{"cant-do":{"version":3,"request_id":3,"action":"cant-do","payload":{"cant_do":"too_late"}}}`, true, "cant-do", "too_late", 3},
		"an order with a new member": {`{"order":{"version":2,"action":"new-order","payload":{"order":{"kind":"sell","color":"red"}}}}`, true, "new-order", "", 0},
		"no action":                  {`{"order":{"version":2}}`, false, "", "", 0},
		"two wrappers":               {`{"order":{"action":"rate"},"dm":{"action":"rate"}}`, false, "", "", 0},
		"not an object":              {`[1]`, false, "", "", 0},
		"not JSON":                   {`hello`, false, "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := decodeMessage([]byte(tc.in))
			if (err == nil) != tc.ok {
				t.Fatalf("got %v", err)
			}
			if m.Action != tc.action || m.Reason != tc.reason {
				t.Errorf("got %q %q, want %q %q", m.Action, m.Reason, tc.action, tc.reason)
			}
			if tc.reqID != 0 && (m.RequestID == nil || *m.RequestID != tc.reqID) {
				t.Errorf("request id %v, want %d", m.RequestID, tc.reqID)
			}
		})
	}
}

func FuzzDecodeMessage(f *testing.F) {
	f.Add([]byte(`{"order":{"version":2,"request_id":7,"action":"canceled","payload":null}}`))
	f.Add([]byte(`{"cant-do":{"version":1,"action":"cant-do","payload":{"cant_do":null}}}`))
	f.Add([]byte(`{"x":{"action":"y","request_id":"1","id":""}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeMessage(data)
		if err != nil {
			return
		}
		if m.Action == "" {
			t.Errorf("%s has no action", data)
		}
		m.Order()
		m.Invoice()
	})
}

func FuzzState(f *testing.F) {
	good, err := json.Marshal(state{Version: stateVersion, Next: 2, Trades: []*record{{Index: 1, Messages: []savedMessage{{At: 1}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"version":1,"next_index":1,"trades":[null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if st, err := readState(path); err == nil {
			st.find(1)
		}
	})
}
