package hold

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// Core Lightning's codes for "invoice" and "delinvoice".
const (
	codeLabelExists    = 900
	codePreimageExists = 901
	codeUnknownLabel   = 905
)

// rowPrefix begins the label of the node's own row, which lives for some milliseconds.
const rowPrefix = "holdinvoice/"

// invoiceRequest is what "holdinvoice" was asked for. Its JSON is kept, to tell a repeated
// request from a different one.
type invoiceRequest struct {
	Amount      Msat            `json:"amount_msat"`
	Label       string          `json:"label"`
	Description string          `json:"description"`
	Expiry      uint64          `json:"expiry,omitempty"` // seconds
	Fallbacks   json.RawMessage `json:"fallbacks,omitempty"`
	CLTV        Height          `json:"cltv"`
	HashOnly    bool            `json:"deschashonly,omitempty"`
	Expose      json.RawMessage `json:"exposeprivatechannels,omitempty"`

	Preimage *Preimage `json:"-"`
}

// create makes a hold invoice and returns the node's answer to "invoice". Asking again with
// equal parameters returns the first answer.
//
// The node makes and signs the invoice, since it knows its route hints best, and must then
// forget it: a row that stays would be paid to the node without us. A crash leaves
// CREATING, which nobody was told of; the next start or the next request cleans up.
func (h *Holder) create(ctx context.Context, r invoiceRequest) (json.RawMessage, error) {
	c, made, err := h.reserve(ctx, r)
	if err != nil || made != nil {
		return made, err
	}
	c.mu.Lock()
	if err := h.reread(c); err != nil {
		c.mu.Unlock()
		return nil, err
	}
	if c.inv.State != Creating {
		defer c.mu.Unlock()
		return c.inv.Answer, nil
	}
	if c.making {
		c.mu.Unlock()
		return nil, clnio.Errorf(codeNotYet, "label %q: the same invoice is being made", r.Label)
	}
	c.making = true
	inv := c.inv.clone()
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.making = false
		c.mu.Unlock()
	}()
	return h.make(ctx, c, inv, r)
}

// maxLive bounds the invoices that are kept in memory, some 3 KB each.
const maxLive = 20_000

// reserve returns the contract of an equal earlier request, or what was answered to it if
// that is over, or stores a new one with its preimage, before the node hears of it.
func (h *Holder) reserve(ctx context.Context, r invoiceRequest) (*contract, json.RawMessage, error) {
	request, err := json.Marshal(r)
	if err != nil {
		return nil, nil, err
	}
	h.reserving.Lock()
	defer h.reserving.Unlock()
	if c := h.named(r.Label); c != nil {
		if c.madeBy(request, r.Preimage) {
			return c, nil, nil
		}
		// One that an error left half made is in nobody's hands and makes room.
		if err := h.dropOne(ctx, c); err != nil {
			return nil, nil, err
		}
		if h.find(c.hash) != nil {
			return nil, nil, clnio.Errorf(codeLabelExists, "Duplicate label '%s'", r.Label)
		}
	} else if old, err := h.vault.ByLabel(r.Label); err != nil {
		return nil, nil, err
	} else if old != nil && old.madeBy(request, r.Preimage) {
		return nil, old.Answer, nil
	} else if old != nil {
		return nil, nil, clnio.Errorf(codeLabelExists, "Duplicate label '%s'", r.Label)
	}
	c, err := h.fresh(ctx, r, request)
	return c, nil, err
}

// fresh stores a new invoice. Its preimage must never have been one of ours: many may know
// it by now.
func (h *Holder) fresh(ctx context.Context, r invoiceRequest, request []byte) (*contract, error) {
	p := newPreimage()
	if r.Preimage != nil {
		p = *r.Preimage
	}
	if h.find(p.Hash()) != nil {
		return nil, clnio.Errorf(codePreimageExists, "preimage already used")
	}
	if ended, err := h.past(p.Hash()); err != nil {
		return nil, err
	} else if ended != nil {
		return nil, clnio.Errorf(codePreimageExists, "preimage already used, by an invoice that is %s", ended.State)
	}
	if n := h.alive(); n >= maxLive {
		return nil, clnio.Errorf(codeBusy, "%d hold invoices are alive already", n)
	}
	sealed, err := h.seal.Close(ctx, p)
	if err != nil {
		return nil, err
	}
	now := h.clock.Now().Unix()
	c := newContract(Invoice{
		Hash: p.Hash(), Label: r.Label, Request: request, Sealed: sealed,
		Amount: r.Amount, CLTV: r.CLTV, CreatedAt: now, ExpiresAt: now, State: Creating,
	})
	h.add(c)
	// After an error the disk may hold it or not; the contract stays, in doubt.
	return c, h.keep(c, c.inv)
}

// madeBy says whether the invoice was asked for in the same words.
func (c *contract) madeBy(request []byte, p *Preimage) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inv.madeBy(request, p)
}

func (inv *Invoice) madeBy(request []byte, p *Preimage) bool {
	return bytes.Equal(inv.Request, request) && (p == nil || p.Hash() == inv.Hash)
}

// alive counts the invoices in memory.
func (h *Holder) alive() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.order)
}

// make has the node make the invoice, keeps it, has the node forget it, and opens it.
func (h *Holder) make(ctx context.Context, c *contract, inv Invoice, r invoiceRequest) (json.RawMessage, error) {
	p, err := h.seal.Open(ctx, inv.Hash, inv.Sealed)
	if err != nil {
		return nil, err
	}
	inv.MoveStart = h.moveIndex(ctx)
	if inv.Answer, err = h.makeRow(ctx, &inv, r, p); err != nil {
		return nil, err
	}
	var made struct {
		Hash      Hash   `json:"payment_hash"`
		Secret    Secret `json:"payment_secret"`
		ExpiresAt int64  `json:"expires_at"`
		Bolt11    string `json:"bolt11"`
	}
	if err := json.Unmarshal(inv.Answer, &made); err != nil {
		return nil, fmt.Errorf("read the node's invoice: %w", err)
	}
	if made.Hash != inv.Hash || made.Bolt11 == "" || made.Secret == (Secret{}) {
		return nil, fmt.Errorf("node made another invoice than it was asked for")
	}
	inv.Secret, inv.ExpiresAt = made.Secret, made.ExpiresAt
	if err := h.keep(c, inv); err != nil {
		return nil, err
	}
	if err := h.deleteRow(ctx, &inv); err != nil {
		return nil, err
	}
	inv.State = Open
	if err := h.mirrorNow(ctx, inv.Hash, Open); err != nil {
		return nil, fmt.Errorf("tell the guard: %w", err)
	}
	if err := h.keep(c, inv); err != nil {
		return nil, err
	}
	return inv.Answer, nil
}

func (h *Holder) keep(c *contract, inv Invoice) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return h.save(c, inv)
}

// makeRow calls "invoice". A row that a crash left under our label is removed first.
func (h *Holder) makeRow(ctx context.Context, inv *Invoice, r invoiceRequest, p Preimage) (json.RawMessage, error) {
	params := map[string]any{
		"amount_msat": uint64(r.Amount),
		"label":       rowLabel(inv),
		"description": r.Description,
		"preimage":    p.Hex(),
		"cltv":        uint32(r.CLTV),
	}
	if r.Expiry != 0 {
		params["expiry"] = r.Expiry
	}
	if r.Fallbacks != nil {
		params["fallbacks"] = r.Fallbacks
	}
	if r.HashOnly {
		params["deschashonly"] = true
	}
	if r.Expose != nil {
		params["exposeprivatechannels"] = r.Expose
	}
	var made json.RawMessage
	err := h.rpc(ctx, "invoice", params, &made)
	var refused *clnio.Error
	if !errors.As(err, &refused) {
		return made, err
	}
	switch refused.Code {
	case codeLabelExists, codePreimageExists:
		if err := h.deleteRow(ctx, inv); err != nil {
			if errors.As(err, &refused) && refused.Code == codePreimageExists {
				h.abandon(inv.Hash)
			}
			return nil, err
		}
		return made, h.rpc(ctx, "invoice", params, &made)
	}
	h.abandon(inv.Hash)
	return nil, err
}

// abandon forgets an invoice that the node would not make.
func (h *Holder) abandon(hash Hash) {
	if err := h.vault.Drop(hash); err != nil {
		h.log.Warn("refused invoice cannot be dropped yet", "hash", hash, "err", err)
		return
	}
	if c := h.find(hash); c != nil {
		h.remove(c)
	}
	h.told.set(hash, Canceled) // if an earlier attempt came that far
}

func rowLabel(inv *Invoice) string { return rowPrefix + inv.Label }

// deleteRow removes the node's row of an invoice and proves that none is left. A row under
// a foreign label has the same preimage: whoever made it may be paid for it, so we stop.
func (h *Holder) deleteRow(ctx context.Context, inv *Invoice) error {
	err := h.rpc(ctx, "delinvoice", map[string]string{"label": rowLabel(inv), "status": "unpaid"}, nil)
	var refused *clnio.Error
	if errors.As(err, &refused) && refused.Code != codeUnknownLabel {
		// An invoice whose time is over is not "unpaid" any more.
		err = h.rpc(ctx, "delinvoice", map[string]string{"label": rowLabel(inv), "status": "expired"}, nil)
	}
	if unknown := errors.As(err, &refused) && refused.Code == codeUnknownLabel; err != nil && !unknown {
		return fmt.Errorf("delete the node's row: %w", err)
	}
	var rows struct {
		Invoices []struct {
			Label  string `json:"label"`
			Status string `json:"status"`
		} `json:"invoices"`
	}
	if err := h.rpc(ctx, "listinvoices", map[string]any{"payment_hash": inv.Hash}, &rows); err != nil {
		return fmt.Errorf("look for the node's row: %w", err)
	}
	if len(rows.Invoices) > 0 {
		return clnio.Errorf(codePreimageExists, "node has an invoice %q of the same payment_hash, status %s",
			rows.Invoices[0].Label, rows.Invoices[0].Status)
	}
	return nil
}
