package main

import (
	"encoding/json"
	"testing"

	"github.com/mostro-cln/mostro/orders"
)

// What a pay service answers is a stranger's: whatever it is, it reads as a problem or as something usable.
func FuzzPayServiceReplies(f *testing.F) {
	for _, s := range []string{
		`{"tag":"payRequest","callback":"https://pay.example.com/cb?k=1","minSendable":1000,"maxSendable":100000000,"metadata":"[[\"text/plain\",\"x\"]]","commentAllowed":140}`,
		`{"status":"ERROR","reason":"no such user"}`,
		`{"pr":"lnbc1","routes":[]}`,
		`{"minSendable":"1000","maxSendable":1e3,"tag":7}`,
		`{"minSendable":-1,"maxSendable":9223372036854775808}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var p payRequest
		if json.Unmarshal(body, &p) == nil {
			if u, err := callbackURL(p.Callback, 50_000_000, "note"); err == nil {
				if d := parseDestination(u); d.Kind == bolt11Invoice {
					t.Errorf("%q is an invoice", u)
				}
			}
			terms := takes{Min: orders.Msats(p.Min), Max: orders.Msats(p.Max)}
			if why := terms.covers(0); why == "" && terms.Min > 0 {
				t.Error("covers less than its minimum")
			}
		}
		var a payAnswer
		_ = json.Unmarshal(body, &a)
	})
}
