package lightning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// HoldKind says which plugin makes the node's hold invoices. Both have the same four commands; they differ in what
// their words are worth.
type HoldKind int

const (
	// HoldNone: there is no such plugin.
	HoldNone HoldKind = iota
	// HoldOurs is the plugin of contrib/holdinvoice. It checks every part of a payment before it says ACCEPTED, says
	// SETTLED on proof, gives real error codes, and leaves no invoice in the node.
	HoldOurs
	// HoldRust is daywalker90/holdinvoice. Its ACCEPTED can be forged by a payer, its SETTLED means "asked for", its
	// errors come as results, its invoices are the node's own, and when it dies the node settles them by itself.
	HoldRust
)

func (k HoldKind) String() string {
	return [...]string{"none", "mostro holdinvoice", "daywalker90 holdinvoice"}[k]
}

// The states of a hold invoice at the plugin. The Rust one knows OPEN, ACCEPTED, SETTLED and CANCELED.
const (
	stateCreating  = "CREATING"
	stateOpen      = "OPEN"
	stateAccepted  = "ACCEPTED"
	stateSettling  = "SETTLING"
	stateSettled   = "SETTLED"
	stateCanceling = "CANCELING"
	stateCanceled  = "CANCELED"
	stateLost      = "LOST" // parts of an accepted payment went away without anybody's decision
)

// errHoldUnknown: the plugin answered that it knows no invoice of that hash.
var errHoldUnknown = errors.New("hold invoice is not known")

// errNoHoldPlugin: no plugin of the node makes hold invoices, so no escrow can be made.
var errNoHoldPlugin = errors.New("no holdinvoice plugin is loaded")

// Error codes of the hold plugins.
const (
	codeLabelExists    = 900
	codePreimageExists = 901
	codeHoldNotFound   = 3001 // of ours
)

// holdPlugin calls whichever hold plugin the node has. It finds out at the first call and again when the commands are
// gone, so the order in which plugins start does not matter.
type holdPlugin struct {
	node *Node
	log  *slog.Logger

	mu   sync.Mutex
	kind HoldKind // holdNone: not known yet
}

// holdStatus is what the plugin says of one invoice, checked where the plugin's word is not enough.
type holdStatus struct {
	State     string
	Held      orders.Msats // sum of the parts that are held now
	MinExpiry uint32       // lowest block height at which a part ends; 0 when nothing is held
	Proved    bool         // SETTLED: the node's database has the preimage of every part
	Reason    string
}

// Kind returns the plugin that is there, or errNoHoldPlugin.
func (p *holdPlugin) Kind(ctx context.Context) (HoldKind, error) {
	p.mu.Lock()
	known := p.kind
	p.mu.Unlock()
	if known != HoldNone {
		return known, nil
	}
	kind, err := p.probe(ctx)
	if err != nil {
		return HoldNone, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kind == kind {
		return kind, nil
	}
	p.kind = kind
	p.log.Info("hold invoices are made by", "plugin", kind.String())
	if kind == HoldRust {
		p.log.Warn("this hold plugin can be cheated by a payer, and settles when it dies; the holdinvoice plugin that comes with mostro does neither")
	}
	return kind, nil
}

// probe tells the plugins apart by a command that ours alone has.
func (p *holdPlugin) probe(ctx context.Context) (HoldKind, error) {
	err := p.node.read(ctx, "holdinvoice-version", nil, nil)
	var told *clnio.Error
	switch {
	case err == nil:
		return HoldOurs, nil
	case !errors.As(err, &told):
		return HoldNone, fmt.Errorf("look for a hold plugin: %w", err)
	case told.Code != clnio.CodeMethodNotFound:
		return HoldNone, fmt.Errorf("look for a hold plugin: %w", err)
	}
	has, err := p.node.HasCommand(ctx, "holdinvoicelookup")
	if err != nil {
		return HoldNone, fmt.Errorf("look for a hold plugin: %w", err)
	}
	if !has {
		return HoldNone, errNoHoldPlugin
	}
	return HoldRust, nil
}

// call runs a command of the plugin. An error that the Rust plugin disguised as a result comes back as what it is.
func (p *holdPlugin) call(ctx context.Context, method string, params, result any) error {
	var raw json.RawMessage
	err := p.node.wait(ctx, slowWait, method, params, &raw)
	if err == nil {
		err = disguised(raw)
	}
	var told *clnio.Error
	if errors.As(err, &told) && (told.Code == clnio.CodeMethodNotFound || told.Code == clnio.CodePluginTerminated) {
		p.mu.Lock()
		p.kind = HoldNone // it may come back as another one
		p.mu.Unlock()
	}
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return fmt.Errorf("%s: %w: read the result: %w", method, clnio.ErrUnknownOutcome, err)
	}
	return nil
}

// disguised finds {"code":…,"message":"…"} in a result.
func disguised(raw json.RawMessage) error {
	var r struct {
		Code    *int   `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(raw, &r); err == nil && r.Code != nil {
		return &clnio.Error{Code: *r.Code, Message: r.Message}
	}
	return nil
}

// holdRequest is a hold invoice to be made.
type holdRequest struct {
	Hold        orders.Hold
	Label       string
	Description string
	Expiry      int64  // seconds in which it can be paid
	CLTV        uint32 // blocks that a payment must last at least
}

type holdMade struct {
	Bolt11      string      `json:"bolt11"`
	PaymentHash orders.Hash `json:"payment_hash"`
}

// create makes the invoice, or finds the one that an earlier call has made.
func (p *holdPlugin) create(ctx context.Context, r holdRequest) (bolt11 string, err error) {
	kind, err := p.Kind(ctx)
	if err != nil {
		return "", err
	}
	var made holdMade
	err = p.call(ctx, "holdinvoice", map[string]any{
		"amount_msat": r.Hold.Amount, "label": r.Label, "description": r.Description,
		"expiry": r.Expiry, "preimage": r.Hold.Preimage.Reveal(), "cltv": r.CLTV,
	}, &made)
	var told *clnio.Error
	if kind == HoldRust && errors.As(err, &told) && (told.Code == codeLabelExists || told.Code == codePreimageExists) {
		return p.adopt(ctx, r)
	}
	if err != nil {
		return "", err
	}
	if made.PaymentHash != r.Hold.Hash || made.Bolt11 == "" {
		return "", fmt.Errorf("the hold plugin made an invoice of another hash, %s", made.PaymentHash)
	}
	return made.Bolt11, nil
}

// adopt takes over the node's invoice of an earlier call, if it is the same one.
func (p *holdPlugin) adopt(ctx context.Context, r holdRequest) (string, error) {
	inv, err := p.node.InvoiceByHash(ctx, r.Hold.Hash)
	if err != nil {
		return "", fmt.Errorf("look for the invoice that exists: %w", err)
	}
	if inv == nil || inv.Label != r.Label || inv.Amount != r.Hold.Amount || inv.Bolt11 == "" {
		return "", fmt.Errorf("another invoice has the label %q or the preimage", r.Label)
	}
	return inv.Bolt11, nil
}

type holdFound struct {
	State      string       `json:"state"`
	HTLCExpiry uint32       `json:"htlc_expiry"`
	Held       orders.Msats `json:"held_msat"`
	Confirmed  bool         `json:"confirmed"`
	ProofLevel int          `json:"proof_level"`
	Reason     string       `json:"reason"`
}

// lookup asks where an invoice stands; errHoldUnknown if the plugin knows none.
func (p *holdPlugin) lookup(ctx context.Context, hash orders.Hash) (holdStatus, error) {
	kind, err := p.Kind(ctx)
	if err != nil {
		return holdStatus{}, err
	}
	var found holdFound
	if err := p.call(ctx, "holdinvoicelookup", map[string]any{"payment_hash": hash}, &found); err != nil {
		if unknownHold(kind, err) {
			return holdStatus{}, errHoldUnknown
		}
		return holdStatus{}, err
	}
	if kind == HoldOurs {
		return found.status(), nil
	}
	return p.lookTwice(ctx, hash, holdStatus{State: found.State, Held: found.Held, MinExpiry: found.HTLCExpiry, Reason: found.Reason})
}

// status is the word of our plugin.
func (f *holdFound) status() holdStatus {
	return holdStatus{
		State: f.State, Held: f.Held, MinExpiry: f.HTLCExpiry, Reason: f.Reason,
		Proved: f.State == stateSettled && (f.Confirmed || f.ProofLevel >= 1),
	}
}

// lookTwice adds what the Rust plugin does not say: what is really held, and whether the node was really paid.
func (p *holdPlugin) lookTwice(ctx context.Context, hash orders.Hash, s holdStatus) (holdStatus, error) {
	switch s.State {
	case stateAccepted:
		channels, err := p.node.ListPeerChannels(ctx)
		if err != nil {
			return holdStatus{}, err
		}
		h := held(channels, hash)
		s.Held, s.MinExpiry = h.Amount, h.MinExpiry
	case stateSettled:
		inv, err := p.node.InvoiceByHash(ctx, hash)
		if err != nil {
			return holdStatus{}, err
		}
		s.Proved = inv != nil && inv.Status == "paid" && inv.Received >= inv.Amount
	}
	return s, nil
}

func unknownHold(kind HoldKind, err error) bool {
	var told *clnio.Error
	if !errors.As(err, &told) {
		return false
	}
	if kind == HoldOurs {
		return told.Code == codeHoldNotFound
	}
	return strings.Contains(told.Message, "not found")
}

// settle asks the plugin to take the money; proof is another question.
func (p *holdPlugin) settle(ctx context.Context, h orders.Hold) error {
	kind, err := p.Kind(ctx)
	if err != nil {
		return err
	}
	params := map[string]any{"payment_hash": h.Hash}
	if kind == HoldOurs {
		params["preimage"] = h.Preimage.Reveal()
	}
	return p.call(ctx, "holdinvoicesettle", params, nil)
}

// cancel asks the plugin to give the money back.
func (p *holdPlugin) cancel(ctx context.Context, hash orders.Hash) error {
	return p.call(ctx, "holdinvoicecancel", map[string]any{"payment_hash": hash}, nil)
}

// forget takes an unpaid invoice out of the node, so that nobody can pay it any more. Only the Rust plugin leaves one.
func (p *holdPlugin) forget(ctx context.Context, hash orders.Hash) error {
	inv, err := p.node.InvoiceByHash(ctx, hash)
	if err != nil || inv == nil || inv.Status == "paid" {
		return err
	}
	return p.node.read(ctx, "delinvoice", map[string]any{"label": inv.Label, "status": inv.Status}, nil)
}

// poll is how often the plugin is asked about open invoices: ours tells us by itself.
func (p *holdPlugin) poll(kind HoldKind) time.Duration {
	if kind == HoldOurs {
		return 30 * time.Second
	}
	return 2 * time.Second
}
