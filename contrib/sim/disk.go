package sim

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
)

var errDisk = errors.New("input/output error")
var errFull = errors.New("no space left on device")

// disk stands between a process and a database file of its own: its commits fail, or are the last thing that the process
// does, whole or in part.
type disk struct {
	w    *world
	path string
	what string
	dead func() bool
	die  func()
	full bool // it takes nothing for a while
	uses uint64
	// mark is called before a commit that will be torn; it remembers what the store says until then.
	mark func()

	before []byte // the file before a commit that the process did not survive; nil: nothing was torn
	tears  uint64
}

// commit stands in for a commit of the store.
func (d *disk) commit(commit func() error) error {
	w := d.w
	d.uses++
	switch {
	case d.dead():
		return errDead
	case d.full && !w.calm:
		w.faults["disk: full, "+d.what]++
		w.mishaps++
		return errFull
	case w.calm || !w.plan.disk || w.rng.IntN(150) != 0:
		return commit()
	}
	kind := w.rng.IntN(5)
	w.fault([]string{"disk: commit failed, not done, ", "disk: commit failed, done, ", "crash: before a commit, ", "crash: after a commit, ",
		"crash: within a commit, "}[kind] + d.what)
	switch kind {
	case 0:
		return errDisk
	case 1:
		if err := commit(); err != nil {
			return err
		}
		return errDisk
	case 2:
		d.die()
		return errDead
	case 3:
		err := commit()
		d.die()
		return errors.Join(err, errDead)
	}
	return d.tear(commit)
}

// tear is a commit in the middle of which the machine stops.
func (d *disk) tear(commit func() error) (err error) {
	d.mark()
	if d.before, err = os.ReadFile(d.path); err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	err = commit()
	d.die()
	return errors.Join(err, errDead)
}

const pageSize = 4096 // bbolt's, the system's

// mend is called when the process is gone and the file is closed: if a commit was torn, the file then is what the disk
// may show after the machine has stopped. bbolt writes its pages, waits for the disk, and then writes one of its two
// meta pages: if that is there, so is everything else; if not, any of the others may be.
func (d *disk) mend() error {
	if d.before == nil {
		return nil
	}
	old := d.before
	d.before = nil
	d.tears++
	// What follows draws from chance of its own: how many pages a commit has is bbolt's affair.
	chance := rand.New(rand.NewPCG(d.w.seed, d.tears))
	now, err := os.ReadFile(d.path)
	if err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	kind := chance.IntN(3)
	if kind == 0 {
		return nil // the meta page had reached the disk
	}
	mixed := make([]byte, len(now))
	copy(mixed, old)
	for at := 2 * pageSize; at < len(now); at += pageSize {
		if chance.IntN(2) == 0 {
			copy(mixed[at:at+pageSize], now[at:])
		}
	}
	for at := 0; at < 2*pageSize; at += pageSize {
		if kind == 2 && !bytes.Equal(old[at:at+pageSize], now[at:at+pageSize]) {
			// The page itself was being written. Its record has 64 bytes after 16 of header; a part of them is new.
			copy(mixed[at:at+16+chance.IntN(56)], now[at:])
		}
	}
	if len(old) < len(now) && chance.IntN(2) == 0 {
		mixed = mixed[:len(old)]
	}
	if err := os.WriteFile(d.path, mixed, 0o600); err != nil {
		return fmt.Errorf("write the torn file: %w", err)
	}
	return nil
}
