package trader

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// ErrNoReply means that the Mostro did not answer in time. It may have carried the request out, or passed over it in
// silence, as it may with some.
var ErrNoReply = errors.New("no reply of the Mostro")

// infoPatience is how long a request waits for the Mostro's info event if the transport is known without it.
const infoPatience = 2 * time.Second

// terms returns the transport that the Mostro speaks, and the proof of work that it wants on each event.
func (t *Trader) terms(ctx context.Context) (orders.Way, int, error) {
	if t.cfg.Way != 0 {
		ctx, cancel := context.WithTimeout(ctx, infoPatience)
		defer cancel()
		info, err := t.Info(ctx)
		if err != nil {
			t.log.Warn("the Mostro's info event is not there, no proof of work is done", "err", err)
		}
		return t.cfg.Way, info.Work(), nil
	}
	info, err := t.Info(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("which transport to use: %w", err)
	}
	return info.Way, info.Work(), nil
}

// send seals a message with the trade's key, in the way that the Mostro wants, and publishes it. A message that is sent
// again is sealed again: a server takes only fresh events.
func (t *Trader) send(ctx context.Context, k key, body nostrio.Body) error {
	way, work, err := t.terms(ctx)
	if err != nil {
		return err
	}
	wrapper := nostrio.WrapOrder
	switch body.Action {
	case nostrio.ActLastTradeIndex:
		wrapper = nostrio.WrapRestore
	case nostrio.ActAdminAddSolver, nostrio.ActAdminTakeDispute, nostrio.ActAdminSettle, nostrio.ActAdminCancel:
		wrapper = nostrio.WrapDispute
	}
	r := nostrio.Request{
		Way: way, Node: t.mostro, Trade: k.Key, Identity: t.identity.Key, Work: work,
		Message: nostrio.Message{Wrapper: wrapper, Body: body},
		At:      time.Now().Unix(),
	}
	if t.cfg.FullPrivacy {
		r.Identity = nil
	}
	if _, err := rand.Read(r.Seed[:]); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	e, err := nostrio.SealRequest(ctx, r)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return t.relays.publish(ctx, e)
}

// newRequestID is below 2⁵³, so that every client and server can hold it exactly.
func newRequestID() *uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	id := binary.BigEndian.Uint64(b[:]) >> 11
	return &id
}
