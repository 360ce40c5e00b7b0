package orders

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// wholeFile is the bytes of a store with a few trades, and one that is under way.
func wholeFile(t *testing.T) []byte {
	t.Helper()
	w := newWorld(t)
	for range 12 {
		w.newTrade(Sell).to(Success)
	}
	w.newTrade(Buy).to(FiatSent)
	raw, err := os.ReadFile(w.backup("whole.db"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// tryDamaged opens such a file and reads everything: it works or there is an error, never a panic.
func tryDamaged(t *testing.T, raw []byte) (openErr, checkErr error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, [32]byte{7}, time.Second)
	if err != nil {
		if !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
		return err, nil
	}
	defer s.Close()
	return nil, s.Check()
}

func TestAFileThatWasCutOffIsNamed(t *testing.T) {
	raw := wholeFile(t)
	for _, n := range []int{1, 100, 4096, 8192, 12_288, len(raw) / 2, len(raw) - 4096, len(raw) - 1} {
		if err, _ := tryDamaged(t, raw[:n]); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "backup") {
			t.Errorf("of %d bytes %d are left: %v", len(raw), n, err)
		}
	}
}

func TestNoFlippedBitIsAPanic(t *testing.T) {
	aloneInRace(t)
	raw := wholeFile(t)
	if err, check := tryDamaged(t, raw); err != nil || check != nil {
		t.Fatal(err, check)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	refused, found := 0, 0
	for i := range 1500 {
		bad := append([]byte(nil), raw...)
		at := rng.IntN(len(bad))
		if i%2 == 0 { // the heads of pages are where it hurts
			at = at/4096*4096 + rng.IntN(64)
		}
		bad[at] ^= 1 << rng.IntN(8)
		err, check := tryDamaged(t, bad)
		if err != nil {
			refused++
		}
		if check != nil {
			found++
		}
	}
	t.Logf("of 1500 files %d were refused, Check found damage in %d", refused, found)
	if refused+found < 400 {
		t.Errorf("only %d were refused and %d found", refused, found)
	}
}
