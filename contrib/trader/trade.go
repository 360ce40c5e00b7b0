package trader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// Trade is our part in one order. The trader's lock guards what changes.
type Trade struct {
	t        *Trader
	key      key
	record   record // without the messages
	messages []Message
	taken    map[int]bool // messages that Expect has returned, or that an earlier process had
}

// ID is the order's id.
func (tr *Trade) ID() orders.OrderID {
	tr.t.mu.Lock()
	defer tr.t.mu.Unlock()
	return tr.record.Order
}

// Index is the trade key's.
func (tr *Trade) Index() uint32 { return tr.record.Index }

// PubKey is the trade key.
func (tr *Trade) PubKey() orders.PubKey { return tr.key.PubKey() }

// Side says whether we buy or sell.
func (tr *Trade) Side() orders.Side { return tr.record.Side }

// Maker reports whether the order is our own.
func (tr *Trade) Maker() bool { return tr.record.Maker }

// Messages returns all messages of the trade, in the order in which they came.
func (tr *Trade) Messages() []Message {
	tr.t.mu.Lock()
	defer tr.t.mu.Unlock()
	return slices.Clone(tr.messages)
}

// Rest returns the trade of what remains of our range order, once it was announced. It has no ID until the Mostro has
// published the rest, and never if nothing remains.
func (tr *Trade) Rest() (*Trade, bool) {
	tr.t.mu.Lock()
	defer tr.t.mu.Unlock()
	if tr.record.Rest == 0 {
		return nil, false
	}
	rest := tr.t.findTrade(tr.record.Rest)
	return rest, rest != nil
}

// Expect returns the first message with one of the actions that it has not returned before, whatever else came in
// between, and waits for it if need be. Without actions it returns any. A refusal that came meanwhile is returned as a
// *CantDo. Mere notices of a reputation are only returned when no actions are given.
func (tr *Trade) Expect(ctx context.Context, actions ...nostrio.Action) (Message, error) {
	var m Message
	err := tr.t.await(ctx, func() bool {
		for i := range tr.messages {
			m = tr.messages[i]
			wanted := len(actions) == 0 || slices.Contains(actions, m.Action) && !m.Notice()
			if !tr.taken[i] && (wanted || m.Action == nostrio.ActCantDo) {
				tr.taken[i] = true
				return true
			}
		}
		return false
	})
	if err != nil {
		return Message{}, fmt.Errorf("wait for %v of order %s: %w", actions, tr.ID(), err)
	}
	if m.Action == nostrio.ActCantDo && !slices.Contains(actions, m.Action) {
		return m, &CantDo{Reason: m.Reason, Message: m}
	}
	return m, nil
}

// lastAt is the time of the last sign of life. Call with the lock held.
func (tr *Trade) lastAt() int64 {
	at := tr.record.CreatedAt
	for _, m := range tr.messages {
		at = max(at, m.At)
	}
	return at
}

// ask sends a request and waits for its answer, which stays for Expect unless it is a refusal. An answer is a message
// that echoes our request id, or one of the given actions without any id.
func (tr *Trade) ask(ctx context.Context, body nostrio.Body, answers ...nostrio.Action) (Message, error) {
	t := tr.t
	body.RequestID = newRequestID()
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Patience)
	var sending sync.WaitGroup
	defer cancel()
	t.mu.Lock()
	from := len(tr.messages)
	t.mu.Unlock()
	var sendErr error
	sending.Go(func() { // the answer may be here before a relay says OK
		err := t.send(ctx, tr.key, body)
		t.mu.Lock()
		defer t.mu.Unlock()
		sendErr = err
		t.notify()
	})
	answer := -1
	err := t.await(ctx, func() bool {
		answer = tr.answerTo(*body.RequestID, from, answers)
		return answer >= 0 || sendErr != nil
	})
	cancel()
	sending.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case answer >= 0:
	case sendErr != nil && !errors.Is(sendErr, errUnclear):
		return Message{}, fmt.Errorf("%s: %w", body.Action, sendErr)
	default:
		return Message{}, fmt.Errorf("%s: %w: %w (%s)", body.Action, ErrNoReply, cmp.Or(err, sendErr), t.relays.health())
	}
	m := tr.messages[answer]
	if m.Action == nostrio.ActCantDo {
		tr.taken[answer] = true
		return m, &CantDo{Asked: body.Action, Reason: m.Reason, Message: m}
	}
	return m, nil
}

// answerTo finds the answer to a request among the messages from an index on; -1 if there is none. Call with the lock
// held.
func (tr *Trade) answerTo(requestID uint64, from int, answers []nostrio.Action) int {
	for i := from; i < len(tr.messages); i++ {
		m := tr.messages[i]
		switch {
		case m.RequestID != nil && *m.RequestID != requestID:
		case m.RequestID != nil, m.Action == nostrio.ActCantDo, slices.Contains(answers, m.Action):
			return i
		}
	}
	return -1
}

// takeMail opens events for our trade keys and files the messages. What a relay had stored comes newest first and in
// one piece, so it is put in the order of writing.
func (t *Trader) takeMail(events []nostr.Event) {
	type letter struct {
		trade *Trade
		m     Message
	}
	var letters []letter
	for _, e := range slices.Backward(events) {
		tr := t.addressee(e)
		if tr == nil {
			continue
		}
		m, err := open(tr.key, t.mostro, e)
		if err != nil {
			t.log.Debug("event for a trade key dropped", "event", e.ID, "err", err)
			continue
		}
		letters = append(letters, letter{tr, m})
	}
	if len(letters) == 0 {
		return
	}
	slices.SortStableFunc(letters, func(a, b letter) int { return cmp.Compare(a.m.At, b.m.At) })

	err := t.states.update(func(st *state) {
		for _, l := range letters {
			if r := st.find(l.trade.record.Index); r != nil {
				r.add(l.m)
				if r.Order.IsZero() {
					r.Order = l.m.OrderID
				}
			}
		}
	})
	if err != nil {
		t.log.Error("messages are not saved", "err", err) // the relays have them still
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range letters {
		l.trade.file(l.m)
	}
	t.notify()
}

func (t *Trader) addressee(e nostr.Event) *Trade {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tag := range e.Tags {
		if len(tag) >= 2 && tag[0] == "p" && t.byKey[tag[1]] != nil {
			return t.byKey[tag[1]]
		}
	}
	return nil
}

// file adds a message unless it is there. Call with the lock held.
func (tr *Trade) file(m Message) {
	for i := range tr.messages {
		if tr.messages[i].EventID == m.EventID {
			return
		}
	}
	tr.messages = append(tr.messages, m)
	if tr.record.Order.IsZero() {
		tr.record.Order = m.OrderID
	}
}
