package relay

import (
	"testing"

	"github.com/nbd-wtf/go-nostr"
)

func TestFilterMatches(t *testing.T) {
	e := sign(t, alice, 14, 100, "x", nostr.Tag{"p", pub(bob)}, nostr.Tag{"t", "a"}, nostr.Tag{"t"}, nostr.Tag{"s", "pending"})
	for name, tc := range map[string]struct {
		filter string
		want   bool
	}{
		"an empty filter":               {`{}`, true},
		"its id":                        {`{"ids":["` + e.ID + `"]}`, true},
		"another id":                    {`{"ids":["` + pub(bob) + `"]}`, false},
		"its author":                    {`{"authors":["` + pub(alice) + `"]}`, true},
		"another author":                {`{"authors":["` + pub(bob) + `"]}`, false},
		"an empty list matches nothing": {`{"kinds":[]}`, false},
		"an empty tag list, too":        {`{"#t":[]}`, false},
		"one of the kinds":              {`{"kinds":[1,14]}`, true},
		"its receiver":                  {`{"#p":["` + pub(bob) + `"]}`, true},
		"another receiver":              {`{"#p":["` + pub(alice) + `"]}`, false},
		"two tags, both there":          {`{"#t":["b","a"],"#s":["pending"]}`, true},
		"two tags, one of them not":     {`{"#t":["a"],"#s":["success"]}`, false},
		"since, inclusive":              {`{"since":1700000100}`, true},
		"since later":                   {`{"since":1700000101}`, false},
		"until, inclusive":              {`{"until":1700000100}`, true},
		"until earlier":                 {`{"until":1700000099}`, false},
		"keys that we don't know":       {`{"search":"x","&t":["a"]}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := parseFilter([]byte(tc.filter))
			if err != nil {
				t.Fatal(err)
			}
			if got := f.matches(&e); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`["REQ","a",{"kinds":[1],"#p":[],"limit":0}]`))
	f.Add([]byte(`["EVENT",{"id":"","tags":[["d"],[]],"kind":1}]`))
	f.Add([]byte(`["EVENT",` + sign(f, alice, 5, 0, "", nostr.Tag{"a", "1:2"}).String() + `]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := parseRequest(data)
		if err != nil {
			return
		}
		for _, arg := range req.args {
			if f, err := parseFilter(arg); err == nil {
				f.matches(&nostr.Event{Tags: nostr.Tags{{}, {"p"}}})
			}
			if e, err := parseEvent(arg); err == nil {
				s, err := newStored(e)
				if err != nil {
					continue
				}
				st := newStore(1)
				st.put(s, 0)
				if got := st.query([]filter{{}}, 0, 1); !e.IsEphemeral() && len(got) != 1 {
					t.Errorf("put %s, found %d", arg, len(got))
				}
			}
		}
	})
}
