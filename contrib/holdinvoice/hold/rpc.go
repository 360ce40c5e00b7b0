package hold

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// api grows only when a caller would have to know.
const api = 1

var (
	byHash   = param{name: "payment_hash", required: true, read: readHash}
	waitTime = param{name: "timeout", read: readNumber(0, 3600)}
	reason   = param{name: "reason", read: readText(200)}
	preimage = param{name: "preimage", secret: true, read: readPreimage}
	byState  = param{name: "state", read: readState}
	start    = param{name: "start", read: readNumber(0, 1<<62)}
	limit    = param{name: "limit", read: readNumber(1, 1<<32-1)}
)

func readState(raw json.RawMessage) (any, error) {
	s, err := text(raw)
	if _, known := moves[State(s)]; err != nil || !known {
		return nil, errors.New("should be a state such as OPEN or ACCEPTED")
	}
	return State(s), nil
}

// methods are the holder's commands. The positional order of holdinvoice is that of the
// Rust plugin.
func (h *Holder) methods() []method {
	return []method{
		{"holdinvoice", "Make an invoice whose payment is held until it is settled or canceled.", []param{
			{name: "amount_msat", required: true, read: readMsat},
			{name: "label", required: true, read: readLabel},
			{name: "description", required: true, read: readText(640)},
			{name: "expiry", read: readNumber(1, 1<<32-1)},
			{name: "fallbacks", read: readStrings},
			preimage,
			{name: "cltv", required: true, read: readNumber(1, 2016)},
			{name: "deschashonly", read: readBool},
			{name: "exposeprivatechannels", read: readExpose},
		}, h.rpcInvoice},
		{"holdinvoicelookup", "Say where a hold invoice stands.", []param{byHash}, h.rpcLookup},
		{"holdinvoicesettle", "Take the payment of an accepted hold invoice.", []param{byHash, preimage, waitTime}, h.rpcSettle},
		{"holdinvoicecancel", "Give the payment of a hold invoice back, or close it unpaid.", []param{byHash, reason}, h.rpcCancel},
		{"holdinvoicelist", "List hold invoices in the order in which they were made.", []param{byState, start, limit}, h.rpcList},
		{"holdinvoicewait", "Wait for the next change of any hold invoice.", []param{
			{name: "nextvalue", required: true, read: readNumber(0, 1<<62)}, waitTime}, h.rpcWait},
		{"holdinvoice-version", "Say which plugin this is.", nil, h.rpcVersion},
	}
}

func (h *Holder) rpcInvoice(ctx context.Context, a args) (any, error) {
	r := invoiceRequest{
		Amount:      arg[Msat](a, "amount_msat"),
		Label:       arg[string](a, "label"),
		Description: arg[string](a, "description"),
		Expiry:      arg[uint64](a, "expiry"),
		Fallbacks:   arg[[]byte](a, "fallbacks"),
		CLTV:        Height(arg[uint64](a, "cltv")),
		HashOnly:    arg[bool](a, "deschashonly"),
		Expose:      arg[[]byte](a, "exposeprivatechannels"),
		Preimage:    arg[*Preimage](a, "preimage"),
	}
	if r.CLTV <= h.limits.SettleMin {
		return nil, invalid("cltv: should be more than the %d blocks that a settle needs: invalid token '%d'", h.limits.SettleMin, r.CLTV)
	}
	return h.create(ctx, r)
}

func (h *Holder) rpcLookup(_ context.Context, a args) (any, error) {
	c, ended, err := h.known(a)
	switch {
	case err != nil:
		return nil, err
	case ended != nil:
		return ended, nil
	}
	return h.view(c), nil
}

// known finds the invoice that a command is about: one that is in memory, or how it ended.
// One that was never handed out does not exist for anybody.
func (h *Holder) known(a args) (*contract, *view, error) {
	hash := arg[Hash](a, "payment_hash")
	if c := h.find(hash); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.inv.State != Creating {
			return c, nil, nil
		}
	} else if ended, err := h.past(hash); err != nil || ended != nil {
		return nil, ended, err
	}
	return nil, nil, clnio.Errorf(codeNotFound, "payment_hash '%s' not found", hash)
}

func (h *Holder) rpcSettle(ctx context.Context, a args) (any, error) {
	c, ended, err := h.known(a)
	switch {
	case err != nil:
		return nil, err
	case ended != nil && ended.State == Settled:
		return ended, nil
	case ended != nil:
		return nil, wrongState(ended.Hash, ended.State)
	}
	if err := h.settle(ctx, c, arg[*Preimage](a, "preimage")); err != nil {
		return nil, err
	}
	if s := arg[uint64](a, "timeout"); s > 0 {
		h.awaitEnd(ctx, c, Settling, time.Duration(s)*time.Second)
	}
	return h.view(c), nil
}

// awaitEnd returns when the invoice leaves a state, or the time is over.
func (h *Holder) awaitEnd(ctx context.Context, c *contract, state State, limit time.Duration) {
	h.until(ctx, limit, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.inv.State != state
	})
}

// cancelWait is how long a cancel waits for its end, which mostly comes at once.
const cancelWait = 2 * time.Second

func (h *Holder) rpcCancel(ctx context.Context, a args) (any, error) {
	c, ended, err := h.known(a)
	switch {
	case err != nil:
		return nil, err
	case ended != nil && ended.State == Canceled:
		return ended, nil
	case ended != nil:
		return nil, wrongState(ended.Hash, ended.State)
	}
	why := arg[string](a, "reason")
	if why == "" {
		why = reasonRequested
	}
	if err := h.cancel(c, why); err != nil {
		return nil, err
	}
	h.awaitEnd(ctx, c, Canceling, cancelWait)
	return h.view(c), nil
}

// maxList bounds one answer of holdinvoicelist.
const maxList = 5000

// rpcList leaves out what was pruned.
func (h *Holder) rpcList(_ context.Context, a args) (any, error) {
	state, n := arg[State](a, "state"), maxList
	if given := arg[uint64](a, "limit"); given > 0 {
		n = int(min(given, maxList))
	}
	list, err := h.vault.List(state, arg[uint64](a, "start"), n)
	if err != nil {
		return nil, err
	}
	views := make([]view, 0, len(list))
	for i := range list {
		views = append(views, h.latest(&list[i]))
	}
	return struct {
		Invoices []view `json:"holdinvoices"`
	}{views}, nil
}

// latest shows an invoice as memory has it, if it is there, else as it was read.
func (h *Holder) latest(inv *Invoice) view {
	if c := h.find(inv.Hash); c != nil {
		return h.view(c)
	}
	return h.show(inv)
}

const (
	// codeTimeout is what waitanyinvoice answers when the time is over.
	codeTimeout = 904
	// codeBusy asks the caller to try again.
	codeBusy = -1
	// maxWaiters bounds the callers of holdinvoicewait: those who went away wait on.
	maxWaiters = 16
)

// rpcWait returns the oldest change with at least the asked index. An invoice that changed
// again meanwhile shows only its last state: indexes grow, and some are skipped.
func (h *Holder) rpcWait(ctx context.Context, a args) (any, error) {
	select {
	case h.waiters <- struct{}{}:
		defer func() { <-h.waiters }()
	default:
		return nil, clnio.Errorf(codeBusy, "%d callers wait already, try again", maxWaiters)
	}
	limit := never
	if s, given := a["timeout"]; given {
		limit = time.Duration(s.(uint64)) * time.Second
	}
	var first *Invoice
	var err error
	come := h.until(ctx, limit, func() bool {
		first, err = h.vault.Change(arg[uint64](a, "nextvalue"))
		return first != nil || err != nil
	})
	switch {
	case err != nil:
		return nil, err
	case !come:
		return nil, clnio.Errorf(codeTimeout, "timed out")
	}
	return h.latest(first), nil
}

func (h *Holder) rpcVersion(context.Context, args) (any, error) {
	return struct {
		Version   string `json:"version"`
		API       int    `json:"api"`
		Role      string `json:"role"`
		SettleMin Height `json:"settle_min_blocks"`
		CancelAt  Height `json:"cancel_blocks"`
	}{h.about, api, "holder", h.limits.SettleMin, h.limits.CancelAt}, nil
}

// view is an invoice as the commands show it. Amounts in msat, expiries in blocks.
type view struct {
	Hash       Hash       `json:"payment_hash"`
	State      State      `json:"state"`
	Expiry     Height     `json:"htlc_expiry,omitempty"` // lowest of the parts, while they are held
	Deadline   Height     `json:"settle_deadline,omitempty"`
	Held       Msat       `json:"held_msat"`
	Amount     Msat       `json:"amount_msat"`
	HTLCs      []htlcView `json:"htlcs"`
	Confirmed  bool       `json:"confirmed"`
	Proof      int        `json:"proof_level"`
	Reason     string     `json:"reason,omitempty"`
	Recovering bool       `json:"recovering,omitempty"`
	EndedAt    int64      `json:"ended_at,omitempty"`
	Pruned     bool       `json:"pruned,omitempty"` // its record is gone but for this
	Label      string     `json:"label"`
	Bolt11     string     `json:"bolt11"`
	CreatedAt  int64      `json:"created_at"`
	ExpiresAt  int64      `json:"expires_at"`
	Created    uint64     `json:"created_index"`
	Updated    uint64     `json:"updated_index"`
}

// htlcView is one part; Here says that its answer is in our hands.
type htlcView struct {
	HTLC
	Here bool `json:"held"`
}

// view shows an invoice as it stands, from memory alone.
func (h *Holder) view(c *contract) view {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := h.show(&c.inv)
	v.Recovering = c.recovering()
	for i := range v.HTLCs {
		if part := &v.HTLCs[i]; len(c.calls[part.Key]) > 0 {
			part.Here = true
			v.Held += part.Amount
		}
	}
	return v
}

// show is an invoice of which nothing is here.
func (h *Holder) show(inv *Invoice) view {
	v := view{
		Hash: inv.Hash, State: inv.State, Amount: inv.Amount, Proof: inv.Proof,
		HTLCs: []htlcView{}, Confirmed: inv.Gone || inv.Proof >= proofBooked,
		Reason: inv.Reason, EndedAt: inv.EndedAt, Label: inv.Label,
		CreatedAt: inv.CreatedAt, ExpiresAt: inv.ExpiresAt, Created: inv.Created, Updated: inv.Updated,
	}
	for _, part := range inv.HTLCs {
		v.HTLCs = append(v.HTLCs, htlcView{HTLC: part})
	}
	slices.SortFunc(v.HTLCs, func(a, b htlcView) int {
		return cmp.Or(cmp.Compare(a.Scid, b.Scid), cmp.Compare(a.ID, b.ID))
	})
	if inv.State == Accepted {
		v.Expiry = inv.MinExpiry()
		v.Deadline = v.Expiry - min(v.Expiry, h.limits.SettleMin)
	}
	var made struct {
		Bolt11 string `json:"bolt11"`
	}
	if json.Unmarshal(inv.Answer, &made) == nil {
		v.Bolt11 = made.Bolt11
	}
	return v
}
