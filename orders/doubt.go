package orders

import (
	"errors"
	"fmt"
)

// certain finds out what the store holds, where a commit has left that open, and brings what the engine and the
// dispatcher have in memory up to it. Nothing is done before. The error is an ErrNotDone.
func (e *Engine) certain() error {
	if !e.doubt {
		return nil
	}
	if _, err := e.store.reopen(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotDone, err)
	}
	if err := e.reload(); err != nil {
		return fmt.Errorf("%w: read the database again: %w", ErrNotDone, err)
	}
	e.doubt = false
	e.log.Warn("the database can be read again")
	return nil
}

// reload forgets nothing that is still true: the dispatcher passes over rows that it knows, and over those that are gone.
func (e *Engine) reload() error {
	var rows []*Row
	if err := e.read(func(t *tx) { rows = t.rows() }); err != nil {
		return err
	}
	if err := e.load(); err != nil {
		return err
	}
	e.mu.Lock()
	e.fresh = rows
	e.mu.Unlock()
	select {
	case e.owing <- struct{}{}:
	default:
	}
	return nil
}

// note remembers how the last commit went.
func (e *Engine) note(err error) {
	if err == nil {
		e.trouble.Store(nil)
		return
	}
	e.trouble.Store(&err)
	if errors.Is(err, ErrInDoubt) {
		e.doubt = true
		e.log.Error("nothing goes on until the database can be read again", "err", err)
	}
}

// Trouble returns why the last commit failed; nil if it did not.
func (e *Engine) Trouble() error {
	if err := e.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// Unwritten reports whether an error is one of the store, which concerns everything that is to be done: trying again later
// is right, and safe.
func Unwritten(err error) bool { return errors.Is(err, ErrNotDone) || errors.Is(err, ErrInDoubt) }
