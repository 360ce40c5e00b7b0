package trader

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/mostro-cln/mostro/orders"
)

// maxKept bounds the messages that a trade keeps; the oldest go first. A trade of the plain sort has about ten.
const maxKept = 500

// state is what must outlive the process. It holds no secret key; it tells which trades are ours, and so is private.
type state struct {
	Version int       `json:"version"`
	Next    uint32    `json:"next_index"` // of the next trade key; never goes back
	Trades  []*record `json:"trades"`
}

// record is one trade, or the announced rest of a range order that is not there yet.
type record struct {
	Index     uint32         `json:"index"`
	Mostro    orders.PubKey  `json:"mostro"`
	Order     orders.OrderID `json:"order"` // zero until the Mostro has named it
	Side      orders.Side    `json:"side"`
	Kind      orders.Kind    `json:"kind"`
	Maker     bool           `json:"maker"`
	Range     bool           `json:"range,omitempty"` // an own order whose rest becomes a new one
	Rest      uint32         `json:"rest,omitempty"`  // index that was announced for the rest
	CreatedAt int64          `json:"created_at"`      // unix seconds
	Messages  []savedMessage `json:"messages"`
}

const stateVersion = 1

// states keeps the state in a file, or in memory alone if the path is empty. Several processes may share a file: each
// change reads it anew under a lock, so that no trade key is used twice.
type states struct {
	path string
	mu   sync.Mutex
	mem  state // the last state that this process has seen
}

func openStates(path string) (*states, error) {
	s := &states{path: path, mem: state{Version: stateVersion, Next: 1}}
	return s, s.update(func(*state) {})
}

// update changes the state and returns when that is on the disk. The change is one step also for other processes.
func (s *states) update(change func(*state)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path == "" {
		change(&s.mem)
		return nil
	}
	unlock, err := lockFile(s.path + ".lock")
	if err != nil {
		return fmt.Errorf("lock state: %w", err)
	}
	defer unlock()
	st, err := readState(s.path)
	if err != nil {
		return err
	}
	change(&st)
	if err := writeState(s.path, st); err != nil {
		return err
	}
	s.mem = st
	return nil
}

// last is the state as this process has seen it last. Its records are not to be changed.
func (s *states) last() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mem
}

// read is the state as it is now, with what other processes did.
func (s *states) read() (state, error) {
	if s.path == "" {
		return s.last(), nil
	}
	return readState(s.path)
}

func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil // closing unlocks
}

func readState(path string) (state, error) {
	st := state{Version: stateVersion, Next: 1}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return st, fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(data, &st); err != nil {
		return st, fmt.Errorf("read state %s: %w", path, err)
	}
	if st.Version != stateVersion || st.Next == 0 {
		return st, fmt.Errorf("read state %s: version %d, next index %d: not ours", path, st.Version, st.Next)
	}
	if slices.Contains(st.Trades, nil) {
		return st, fmt.Errorf("read state %s: a trade is null", path)
	}
	return st, nil
}

// writeState replaces the file in one step: after a crash the old or the new one is there.
func writeState(path string, st state) error {
	data, err := json.MarshalIndent(st, "", "\t")
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	defer os.Remove(f.Name()) // after the rename there is none
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// find returns the record of an index, or nil.
func (st *state) find(index uint32) *record {
	for _, r := range st.Trades {
		if r.Index == index {
			return r
		}
	}
	return nil
}

// add appends a message to its trade unless it is there; it reports whether it was new.
func (r *record) add(m Message) bool {
	for _, old := range r.Messages {
		if old.Event == m.EventID {
			return false
		}
	}
	r.Messages = append(r.Messages, savedMessage{At: m.At, Event: m.EventID, Raw: m.Raw})
	if extra := len(r.Messages) - maxKept; extra > 0 {
		r.Messages = r.Messages[extra:]
	}
	return true
}
