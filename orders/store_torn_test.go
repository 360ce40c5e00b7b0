package orders

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	testPage = 4096
	sector   = 512 // what a disk writes wholly or not at all
)

// snapshot is the file around one commit.
type snapshot struct{ before, after []byte }

// snapshots plays trades and takes the file before and after each commit.
func snapshots(t *testing.T) (all []snapshot) {
	t.Helper()
	if os.Getpagesize() != testPage {
		t.Skip("the pages of the file are of another size here")
	}
	w := newWorld(t)
	for range 4 {
		w.newTrade(Sell).to(Success)
	}
	read := func() []byte {
		raw, err := os.ReadFile(w.path)
		if err != nil {
			t.Error(err)
		}
		return raw
	}
	w.commit = func(commit func() error) error {
		s := snapshot{before: read()}
		err := commit()
		s.after = read()
		all = append(all, s)
		return err
	}
	w.newTrade(Buy).to(Success)
	w.newTrade(Sell).to(CoopCanceled)
	w.commit = nil
	return all
}

// stateOf opens a file, has it checked and takes its fingerprint.
func stateOf(t *testing.T, raw []byte) uint64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenWith(path, [32]byte{7}, time.Second, StoreOptions{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	var sum uint64
	if err := s.view(func(t *tx) error { sum = fingerprint(t); return nil }); err != nil {
		t.Fatal(err)
	}
	return sum
}

// blend is the file before the commit with some sectors of the file after it; the meta pages stay as they were.
func (s snapshot) blend(grown bool, some func() bool) []byte {
	mix := bytes.Clone(s.before)
	if grown && len(s.after) > len(mix) {
		mix = append(mix, make([]byte, len(s.after)-len(mix))...)
	}
	for at := 2 * testPage; at < len(mix); at += sector {
		if some() {
			copy(mix[at:at+sector], s.after[at:])
		}
	}
	return mix
}

// The power goes away in the middle of a commit: whatever part of its pages is on the disk, the file opens, is sound, and
// has the state before the commit, or the one after it once its meta page is whole.
func TestATornCommitIsTheOldStateOrTheNew(t *testing.T) {
	aloneInRace(t)
	rng := rand.New(rand.NewPCG(3, 4))
	all := snapshots(t)
	if len(all) < 20 {
		t.Fatalf("only %d commits", len(all))
	}
	grew, olds, news := 0, 0, 0
	for i, s := range all {
		before, after := stateOf(t, s.before), stateOf(t, s.after)
		if before == after {
			continue
		}
		if len(s.after) > len(s.before) {
			grew++
		}
		for name, some := range map[string]func() bool{
			"none": func() bool { return false }, "all": func() bool { return true }, "half": func() bool { return rng.IntN(2) == 0 },
			"few": func() bool { return rng.IntN(10) == 0 }, "most": func() bool { return rng.IntN(10) > 0 },
		} {
			for _, grown := range []bool{false, true} {
				if got := stateOf(t, s.blend(grown, some)); got != before {
					t.Errorf("commit %d, %s of its pages, no meta page, grown %v: not the state before it", i, name, grown)
				}
			}
		}
		// The pages are synced before the meta page is written.
		for _, n := range []int{1, 16, 40, 64, 72, 79, 80, sector, testPage} {
			mix := s.blend(true, func() bool { return true })
			for meta := range 2 {
				copy(mix[meta*testPage:meta*testPage+n], s.after[meta*testPage:])
			}
			switch got := stateOf(t, mix); {
			case got == before && n < 80:
				olds++
			case got == after:
				news++
			default:
				t.Errorf("commit %d, %d bytes of its meta page: neither the state before it nor the one after it, or too late", i, n)
			}
		}
	}
	t.Logf("%d commits, %d of which made the file longer; with torn meta pages %d old states, %d new ones", len(all), grew, olds, news)
	if olds == 0 || news == 0 {
		t.Error("one of the two never came")
	}
}
