package hold

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// Config is what a holder lives on.
type Config struct {
	Log    *slog.Logger
	Node   Node   // the node's commands
	Out    Outlet // takes what the holder says to the node, see Outlet
	Vault  Vault  // a *Store, or one that stands before it
	Clock  Clock  // nil: the computer's
	Limits Limits // zero: Floors
	// Late says that the node was running before the plugin: whatever was held is gone.
	Late bool
	// Keep is how long the record of an ended invoice stays before it is pruned; 0 means
	// KeepRecords, a negative one for ever.
	Keep time.Duration
	// Version is what holdinvoice-version shows.
	Version string
}

// New loads the vault, asks the node for its key and height, and returns the holder. It
// does nothing by itself until Start or Step. Only a vault that cannot be read is an error.
//
// The end of a holder needs no call: what was not in the vault by then is lost, as in any
// crash. The next one on the same vault goes on when the node gives it each held HTLC again.
func New(ctx context.Context, c Config) (*Holder, error) {
	if c.Limits == (Limits{}) {
		c.Limits = Floors
	}
	if c.Keep == 0 {
		c.Keep = KeepRecords
	}
	h := newHolder(c)
	return h, h.wakeUp(ctx)
}

// Start runs the holder's own work beside the caller until ctx ends.
func (h *Holder) Start(ctx context.Context) {
	h.begin()
	h.jobs.start(ctx)
}

// Step does the holder's own work that is due by the clock, one piece after the other in a
// fixed order, in this goroutine. For a driver that moves the clock, instead of Start.
func (h *Holder) Step(ctx context.Context) {
	h.begin()
	h.jobs.step(ctx)
}

// Due is the moment of the clock's Elapsed at which Step has something to do; a moment that
// is over means now.
func (h *Holder) Due() time.Duration {
	h.begin()
	return h.jobs.due()
}

// HTLC takes a call of the hook htlc_accepted. The answer goes to the Outlet under the same
// id: before HTLC returns, or later, out of any other method. No answer is the hold.
func (h *Holder) HTLC(id, params json.RawMessage) {
	if c := h.knows(params); c != nil {
		h.accept(c, id, params)
		return
	}
	answer(h.out, id, replyContinue)
}

// Note takes a notification of the node: block_added or channel_state_changed.
func (h *Holder) Note(topic string, params json.RawMessage) {
	switch topic {
	case "block_added":
		h.block(params)
	case "channel_state_changed":
		h.kick()
	}
}

// Call runs one of the holder's commands, as the node would. An error is a [*clnio.Error],
// with the codes that the package comment lists, or is of this process and leaves the
// outcome open.
func (h *Holder) Call(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, error) {
	return runMethod(ctx, h.methods(), method, params)
}

func runMethod(ctx context.Context, methods []method, name string, params json.RawMessage) (json.RawMessage, error) {
	cmd, err := findMethod(methods, name)
	if err != nil {
		return nil, err
	}
	a, err := cmd.parse(params)
	if err != nil {
		return nil, err
	}
	result, err := cmd.run(ctx, a)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(result)
	if err != nil {
		return nil, clnio.Errorf(clnio.CodeInternal, "result cannot be written: %s", err)
	}
	return raw, nil
}
