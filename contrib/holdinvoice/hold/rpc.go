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
	c, err := h.known(a)
	if err != nil {
		return nil, err
	}
	return h.view(c), nil
}

// known finds the invoice that a command is about. One that was never handed out does not
// exist for anybody.
func (h *Holder) known(a args) (*contract, error) {
	hash := arg[Hash](a, "payment_hash")
	if c := h.find(hash); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.inv.State != Creating {
			return c, nil
		}
	}
	return nil, clnio.Errorf(codeNotFound, "payment_hash '%s' not found", hash)
}

func (h *Holder) rpcSettle(ctx context.Context, a args) (any, error) {
	c, err := h.known(a)
	if err != nil {
		return nil, err
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
	c, err := h.known(a)
	if err != nil {
		return nil, err
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

func (h *Holder) rpcList(_ context.Context, a args) (any, error) {
	state, from := arg[State](a, "state"), arg[uint64](a, "start")
	list := h.all(func(inv *Invoice) bool {
		return inv.State != Creating && (state == "" || inv.State == state) && inv.Created >= from
	})
	views := make([]view, 0, len(list))
	for _, c := range list {
		views = append(views, h.view(c))
	}
	slices.SortFunc(views, func(a, b view) int { return cmp.Compare(a.Created, b.Created) })
	if n := arg[uint64](a, "limit"); n > 0 && n < uint64(len(views)) {
		views = views[:n]
	}
	return struct {
		Invoices []view `json:"holdinvoices"`
	}{views}, nil
}

// codeTimeout is what waitanyinvoice answers when the time is over.
const codeTimeout = 904

// rpcWait returns the oldest change with at least the asked index. An invoice that changed
// again meanwhile shows only its last state: indexes grow, and some are skipped.
func (h *Holder) rpcWait(ctx context.Context, a args) (any, error) {
	limit := never
	if s, given := a["timeout"]; given {
		limit = time.Duration(s.(uint64)) * time.Second
	}
	from := arg[uint64](a, "nextvalue")
	var first *contract
	if !h.until(ctx, limit, func() bool { first = h.firstChange(from); return first != nil }) {
		return nil, clnio.Errorf(codeTimeout, "timed out")
	}
	return h.view(first), nil
}

// firstChange is the invoice whose last change is the oldest from an index on, or nil.
func (h *Holder) firstChange(from uint64) (first *contract) {
	var index uint64
	for _, c := range h.all(func(inv *Invoice) bool { return inv.State != Creating && inv.Updated >= from }) {
		c.mu.Lock()
		if first == nil || c.inv.Updated < index {
			first, index = c, c.inv.Updated
		}
		c.mu.Unlock()
	}
	return first
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

// view shows the invoice as it stands, from memory alone.
func (h *Holder) view(c *contract) view {
	c.mu.Lock()
	defer c.mu.Unlock()
	inv := &c.inv
	v := view{
		Hash: inv.Hash, State: inv.State, Amount: inv.Amount, Proof: inv.Proof,
		HTLCs: []htlcView{}, Confirmed: inv.Gone || inv.Proof >= proofBooked,
		Reason: inv.Reason, Recovering: c.recovering(), Label: inv.Label,
		CreatedAt: inv.CreatedAt, ExpiresAt: inv.ExpiresAt, Created: inv.Created, Updated: inv.Updated,
	}
	for _, part := range inv.HTLCs {
		here := len(c.calls[part.Key]) > 0
		v.HTLCs = append(v.HTLCs, htlcView{part, here})
		if here {
			v.Held += part.Amount
		}
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
