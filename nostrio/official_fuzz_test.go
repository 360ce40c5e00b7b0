package nostrio

import (
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/orders"
)

// FuzzAddSolver: whatever stands in the text, a solver is a key of the curve with a known level, or there is a problem.
func FuzzAddSolver(f *testing.F) {
	key, err := NewKey([32]byte{31: 9})
	if err != nil {
		f.Fatal(err)
	}
	npub := Npub(key.PubKey())
	for _, s := range []string{npub, npub + ":read", npub + ":read-write", npub + ":", ":", "", " " + npub + ":write ", strings.Repeat("ff", 32), "npub1" + strings.Repeat("q", 58)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a := addSolver(TextMessage(text))
		if a.Problem != "" {
			if !a.Key.IsZero() || a.Level != "" {
				t.Errorf("%q: %+v", text, a)
			}
			return
		}
		if _, err := ParsePubKey(a.Key.String()); err != nil || a.Level != orders.LevelRead && a.Level != orders.LevelReadWrite {
			t.Errorf("%q: %+v %v", text, a, err)
		}
	})
}
