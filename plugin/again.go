package main

import (
	"context"
	"errors"
	"time"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

const (
	againFirst = 500 * time.Millisecond
	againMost  = 10 * time.Second
	// handleTries bounds the time that a message may take away from others for want of answers: of the node, mostly.
	handleTries = 3
)

// take does a message, until it is done. While the database cannot be written that is no message's own fault, so it is
// waited for: relays give a message once, and it is nowhere but here. Those behind it wait, too, and where there is no
// room for more, the pool drops them and asks again later.
func (h *house) take(ctx context.Context, in nostrio.Incoming) {
	pause := againFirst
	for tries := 1; ; tries++ {
		err := h.takeOnce(ctx, in)
		late := errors.Is(err, context.DeadlineExceeded)
		switch {
		case err == nil || ctx.Err() != nil: // done; or the process ends, and the next one asks the relays
			return
		case late && tries >= handleTries:
			h.putOff(in, "no answer in time")
			return
		case !late && !orders.Unwritten(err):
			h.log.Error("message", "event", in.EventID.String(), "action", string(in.Message.Body.Action), "err", err)
			h.gate.Forget(in)
			return
		}
		h.log.Debug("message waits", "event", in.EventID.String(), "action", string(in.Message.Body.Action), "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, againMost)
	}
}

// putOff leaves a message to the relays, which are asked for it again.
func (h *house) putOff(in nostrio.Incoming, why string) {
	h.log.Warn("message put off", "event", in.EventID.String(), "why", why)
	h.gate.Forget(in)
	h.pool.Forget(in)
}
