package lightning

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/orders/planted"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// RetryFor is how long one payment call may go on starting parts, seconds. It does not bound how long a part that
// was started may hang: the payee can hold it until its HTLC expires.
const RetryFor = 60

// sendWait is how long we wait for a payment call. After that it starts no parts any more, and what became of those that
// it started is in the node's record: a payee can hang one for days.
const sendWait = (RetryFor + 30) * time.Second

// Payer is orders.Payer over the node's payment commands: `xpay`, or `pay` on a node that has none.
//
// What a payment call answers proves nothing: xpay reports a failure while other parts are still under way, and an
// answer can be lost. Only the node's own list of parts decides, and there "unknown" is not "failed". Paying the same
// invoice twice is impossible at the node (it refuses a hash that is pending or paid); paying another invoice for the
// same order is what must not happen while the first one can still succeed.
type Payer struct {
	node    *Node
	log     *slog.Logger
	version Version
	session string
	now     func() time.Time

	mu   sync.Mutex
	paid map[orders.Hash]bool // the node said "already paid"; its row must turn up
}

// NewPayer returns a payer over a node of that version. session names the present run of the node: a payment call cannot
// outlive it.
func NewPayer(n *Node, log *slog.Logger, v Version, session string, now func() time.Time) *Payer {
	return &Payer{node: n, log: log, version: v, session: session, now: now, paid: map[orders.Hash]bool{}}
}

// Session names the present run of the node.
func (p *Payer) Session() string { return p.session }

// Patience is retry_for and a minute for an answer that was lost on the way.
func (p *Payer) Patience() int64 { return RetryFor + 60 }

// Ask reads the node's record of a payment hash:
//
//	any part complete   → paid, with that part's preimage
//	any part pending    → unknown: wait
//	all failed, or none → never
func (p *Payer) Ask(ctx context.Context, hash orders.Hash) (orders.PayReport, error) {
	parts, err := p.node.ListSendPays(ctx, hash)
	if err != nil {
		return orders.PayReport{}, fmt.Errorf("ask for payment %s: %w", hash, err)
	}
	report := orders.PayReport{State: orders.PayNever}
	for _, part := range parts {
		switch part.Status {
		case "complete":
			return p.done(ctx, hash, part, parts)
		case "failed":
		case "pending":
			if !planted.On("pending-is-failed") {
				report.State = orders.PayUnknown
			}
		default: // pending, or a word that we don't know
			report.State = orders.PayUnknown
		}
	}
	if report.State == orders.PayNever && p.saidPaid(hash) {
		p.log.Error("the node says that an invoice is paid and has no record of it: look at it by hand", "hash", hash.String())
		report.State = orders.PayUnknown
	}
	return report, nil
}

func (p *Payer) done(ctx context.Context, hash orders.Hash, complete sendpay, parts []sendpay) (orders.PayReport, error) {
	raw, err := hex.DecodeString(complete.Preimage)
	if err != nil || len(raw) != len(orders.Preimage{}) {
		return orders.PayReport{}, fmt.Errorf("ask for payment %s: the node's complete part has no preimage", hash)
	}
	report := orders.PayReport{State: orders.PayDone, Preimage: orders.Preimage(raw)}
	for _, part := range parts {
		if part.GroupID != complete.GroupID || part.Status != "complete" {
			continue
		}
		if part.Amount == 0 { // a part without its amount: the node's sum knows
			return p.feeOfWhole(ctx, hash, report)
		}
		report.Fee += part.AmountSent - part.Amount
	}
	return report, nil
}

func (p *Payer) feeOfWhole(ctx context.Context, hash orders.Hash, report orders.PayReport) (orders.PayReport, error) {
	pays, err := p.node.ListPays(ctx, hash)
	if err != nil {
		return orders.PayReport{}, fmt.Errorf("ask for payment %s: %w", hash, err)
	}
	report.Fee = 0
	for _, x := range pays {
		if x.Status == "complete" && x.Amount > 0 {
			report.Fee = x.AmountSent - x.Amount
		}
	}
	return report, nil
}

// Send has the node pay the invoice. It waits for the node's answer, but not for ever; a lost answer is no failure.
func (p *Payer) Send(ctx context.Context, o orders.Pay, label string) error {
	amountless, err := p.judge(ctx, o)
	if err != nil {
		return err
	}
	if o.Attempt > 1 {
		p.freshEyes(ctx)
	}
	method, params := p.payment(o, label, amountless)
	ctx, cancel := context.WithTimeout(ctx, sendWait)
	defer cancel()
	err = p.node.slow.Call(ctx, method, params, nil)
	var told *clnio.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, clnio.ErrNotSent):
		return &orders.PayError{Why: "the node could not be reached"}
	case !errors.As(err, &told) || told.Code == clnio.CodePluginTerminated || told.Code == clnio.CodeShuttingDown:
		return fmt.Errorf("pay %s: %w", o.Hash, err)
	case told.Code == codeAlreadyPaid:
		p.keepPaid(o.Hash)
		return nil
	}
	return payError(told, o.Attempt)
}

// freshEyes makes xpay forget what earlier attempts taught it about channels. It takes a peer that went away in the middle
// of a payment for a channel without money, for an hour, and every further attempt would fail for that. A node without
// the command has no such memory.
func (p *Payer) freshEyes(ctx context.Context) {
	err := p.node.read(ctx, "askrene-age", map[string]any{"layer": "xpay", "cutoff": p.now().Unix() + 60}, nil)
	if err != nil {
		p.log.Debug("xpay's memory", "err", err)
	}
}

// payment is the command that fits this node's version, and its parameters.
func (p *Payer) payment(o orders.Pay, label string, amountless bool) (method string, params map[string]any) {
	params = map[string]any{"invstring": o.Invoice, "maxfee": o.MaxFee, "retry_for": RetryFor}
	method = "xpay"
	switch unknown := p.version == (Version{}); {
	case !unknown && !p.version.AtLeast(24, 11):
		method = "pay"
		delete(params, "invstring")
		params["bolt11"] = o.Invoice
		params["label"] = label
	case p.version.AtLeast(26, 6):
		params["label"] = label
	}
	if amountless {
		params["amount_msat"] = o.Amount
	}
	return method, params
}

// judge looks at the invoice once more before money moves. Nothing has been sent when it returns an error.
func (p *Payer) judge(ctx context.Context, o orders.Pay) (amountless bool, err error) {
	d, err := p.node.Describe(ctx, o.Invoice)
	inv, valid := d.Due()
	var told *clnio.Error
	switch {
	case errors.As(err, &told) && told.Code == clnio.CodeInvalidParams:
		return false, &orders.PayError{Why: "the node cannot read the invoice", Fatal: true}
	case err != nil:
		return false, &orders.PayError{Why: "the node could not be asked about the invoice"}
	case !valid:
		return false, &orders.PayError{Why: "not a valid invoice", Fatal: true}
	case inv.Hash != o.Hash:
		return false, &orders.PayError{Why: "the invoice has another payment hash", Fatal: true}
	case inv.Amount != nil && *inv.Amount != o.Amount:
		return false, &orders.PayError{Why: fmt.Sprintf("the invoice asks for %s, the order for %s", *inv.Amount, o.Amount), Fatal: true}
	case inv.Expires < p.now().Unix()+RetryFor:
		return false, &orders.PayError{Why: "the invoice has expired", Fatal: true}
	}
	return inv.Amount == nil, nil
}

// Codes of the node's payment commands (Core Lightning docs, lightning-xpay, lightning-pay).
const (
	codeDestinationRefuses = 203
	codeInvoiceExpired     = 207
	codeDeclined           = 213
	codeAlreadyPaid        = 219
)

// payError says what an answer means for another attempt on the same invoice. A destination that refuses may have been
// a block behind, once; everything about routes and liquidity may be different in a minute.
func payError(e *clnio.Error, attempt int) *orders.PayError {
	fatal := false
	switch e.Code {
	case codeInvoiceExpired, clnio.CodeInvalidParams:
		fatal = true
	case codeDestinationRefuses:
		fatal = attempt > 1
	}
	why := e.Message
	if e.Code == codeDeclined {
		why = "a plugin of the node declined the payment: " + why
	}
	return &orders.PayError{Why: fmt.Sprintf("%s (code %d)", clnio.CleanLine(clnio.Shorten(why, 300)), e.Code), Fatal: fatal}
}

func (p *Payer) saidPaid(h orders.Hash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paid[h]
}

func (p *Payer) keepPaid(h orders.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paid[h] = true
}
