package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mostro-cln/mostro/contrib/scenario"
	"github.com/mostro-cln/mostro/contrib/simln"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// pocket is what a wallet has at each node if nothing else is said.
const pocket orders.Sats = 1_000_000

// need makes a wallet at every node, if it is not there yet.
func (w *world) need(ctx context.Context, name string, sats orders.Sats) error {
	if name == "" {
		return badRequest("wallet: no name given")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wallets[name] {
		return nil
	}
	for _, x := range w.about.Exchanges {
		if _, err := x.sim.Wallet(ctx, name, sats); err != nil {
			return fmt.Errorf("make the wallet %s: %w", name, err)
		}
	}
	w.wallets[name] = true
	return nil
}

type walletsParams struct {
	Wallet string       `json:"wallet"`
	Sats   *orders.Sats `json:"sats"`
}

func (w *world) listWallets(ctx context.Context, p walletsParams) (any, error) {
	if p.Wallet != "" {
		sats := pocket
		if p.Sats != nil {
			sats = *p.Sats
		}
		if err := w.need(ctx, p.Wallet, sats); err != nil {
			return nil, err
		}
	}
	list := []map[string]any{}
	for _, x := range w.about.Exchanges {
		var r struct {
			Wallets []map[string]any `json:"wallets"`
		}
		if err := x.sim.Call(ctx, "sim-wallets", nil, &r); err != nil {
			return nil, err
		}
		for _, v := range r.Wallets {
			v["exchange"] = x.Number
			list = append(list, v)
		}
	}
	return map[string]any{"wallets": list}, nil
}

type invoiceParams struct {
	Wallet      string      `json:"wallet"`
	Exchange    int         `json:"exchange"`
	Sats        orders.Sats `json:"sats"`
	Description string      `json:"description"`
	Expiry      uint64      `json:"expiry_seconds"`
}

func (w *world) invoice(ctx context.Context, p invoiceParams) (any, error) {
	if err := w.need(ctx, p.Wallet, pocket); err != nil {
		return nil, err
	}
	params := map[string]any{"wallet": p.Wallet, "amount_msat": p.Sats.Msats(), "label": fmt.Sprintf("webworld-%d", time.Now().UnixNano())}
	if params["expiry"] = uint64(7 * 86400); p.Expiry != 0 {
		params["expiry"] = p.Expiry
	}
	if p.Description != "" {
		params["description"] = p.Description
	}
	return w.ask(ctx, p.Exchange, "sim-wallet-invoice", params)
}

type walletParams struct {
	Wallet   string `json:"wallet"`
	Exchange int    `json:"exchange"`
}

type offerParams struct {
	walletParams
	BIP353 string `json:"bip353"`
}

func (w *world) offer(ctx context.Context, p offerParams) (any, error) {
	if err := w.need(ctx, p.Wallet, pocket); err != nil {
		return nil, err
	}
	params := map[string]any{"wallet": p.Wallet}
	if p.BIP353 != "" {
		params["bip353"] = p.BIP353
	}
	return w.ask(ctx, p.Exchange, "sim-wallet-offer", params)
}

func (w *world) lnurl(ctx context.Context, p walletParams) (any, error) {
	x, err := w.house(p.Exchange)
	if err != nil {
		return nil, err
	}
	if err := w.need(ctx, p.Wallet, pocket); err != nil {
		return nil, err
	}
	wallet, err := x.sim.Wallet(ctx, p.Wallet, pocket)
	if err != nil {
		return nil, err
	}
	service, err := scenario.NewPayService(wallet)
	if err != nil {
		return nil, fmt.Errorf("start a pay service: %w", err)
	}
	context.AfterFunc(w.ctx, service.Close)
	return map[string]any{"lnurl": service.LNURL}, nil
}

func (w *world) received(ctx context.Context, p walletParams) (any, error) {
	if err := w.need(ctx, p.Wallet, pocket); err != nil {
		return nil, err
	}
	return w.ask(ctx, p.Exchange, "sim-wallet-invoices", map[string]any{"wallet": p.Wallet})
}

type payParams struct {
	Wallet      string      `json:"wallet"`
	Bolt11      string      `json:"bolt11"`
	AfterMS     int64       `json:"after_ms"`
	Never       bool        `json:"never"`
	Parts       int         `json:"parts"`
	MissingPart int         `json:"missing_part"`
	Sats        orders.Sats `json:"pay_sats"`
	WrongSecret bool        `json:"wrong_secret"`
	WaitMS      int64       `json:"wait_ms"`
}

func (p payParams) node() map[string]any {
	params := map[string]any{"wallet": p.Wallet, "bolt11": p.Bolt11}
	if p.Parts != 0 {
		params["parts"] = p.Parts
	}
	if p.MissingPart != 0 {
		params["missing_part"] = p.MissingPart
	}
	if p.Sats != 0 {
		params["pay_msat"] = p.Sats.Msats()
	}
	if p.WrongSecret {
		params["wrong_secret"] = true
	}
	return params
}

// latePayment is a payment that the node has not been asked for, or not yet.
type latePayment struct {
	err     error
	begun   bool
	changed chan struct{} // closed when it has begun, or could not
}

// statusWaiting is the status of such a payment.
const statusWaiting = "waiting"

// target reads an invoice and finds the node that made it.
func (w *world) target(bolt11 string) (x *exchange, hash string, err error) {
	i, err := simln.DecodeInvoice(bolt11)
	if err != nil {
		return nil, "", badRequest("bolt11: " + err.Error())
	}
	payee := hex.EncodeToString(i.Payee)
	for _, x := range w.about.Exchanges {
		if x.NodeID == payee {
			return x, hex.EncodeToString(i.PaymentHash[:]), nil
		}
	}
	return nil, "", badRequest("bolt11: it is not by an exchange of this world")
}

func (w *world) pay(ctx context.Context, p payParams) (any, error) {
	x, hash, err := w.target(p.Bolt11)
	if err != nil {
		return nil, err
	}
	if err := w.need(ctx, p.Wallet, pocket); err != nil {
		return nil, err
	}
	if p.Never || p.AfterMS > 0 {
		w.payLater(x, hash, p)
	} else if err := x.sim.Call(ctx, "sim-wallet-pay", p.node(), nil); err != nil {
		return nil, err
	}
	return w.status(ctx, x, p.Wallet, hash, p.WaitMS)
}

// payLater begins a payment after its time, unless that never comes.
func (w *world) payLater(x *exchange, hash string, p payParams) {
	late := &latePayment{changed: make(chan struct{})}
	w.mu.Lock()
	w.payments[p.Wallet+" "+hash] = late
	w.mu.Unlock()
	if p.Never {
		return
	}
	w.tasks.Go(func() error {
		select {
		case <-w.ctx.Done():
			return nil
		case <-time.After(time.Duration(p.AfterMS) * time.Millisecond):
		}
		err := x.sim.Call(w.ctx, "sim-wallet-pay", p.node(), nil)
		w.mu.Lock()
		defer w.mu.Unlock()
		late.begun, late.err = err == nil, err
		close(late.changed)
		return nil
	})
}

type paymentParams struct {
	Wallet string `json:"wallet"`
	Bolt11 string `json:"bolt11"`
	WaitMS int64  `json:"wait_ms"`
}

func (w *world) payment(ctx context.Context, p paymentParams) (any, error) {
	x, hash, err := w.target(p.Bolt11)
	if err != nil {
		return nil, err
	}
	return w.status(ctx, x, p.Wallet, hash, p.WaitMS)
}

// status is how a payment does now, or when it has ended if that is within the wait.
func (w *world) status(ctx context.Context, x *exchange, wallet, hash string, waitMS int64) (any, error) {
	wait, cancel := context.WithTimeout(ctx, time.Duration(waitMS)*time.Millisecond)
	defer cancel()
	w.mu.Lock()
	late := w.payments[wallet+" "+hash]
	w.mu.Unlock()
	if late != nil {
		select {
		case <-late.changed:
		case <-wait.Done():
		}
		w.mu.Lock()
		begun, err := late.begun, late.err
		w.mu.Unlock()
		if err != nil {
			return map[string]any{"payment_hash": hash, "status": scenario.PaymentFailed, "message": err.Error()}, nil
		}
		if !begun {
			return map[string]any{"payment_hash": hash, "status": statusWaiting}, nil
		}
	}
	params := map[string]any{"wallet": wallet, "payment_hash": hash}
	var result json.RawMessage
	var no *clnio.Error
	if waitMS > 0 {
		err := x.sim.Call(wait, "sim-wallet-wait", params, &result)
		if err == nil || errors.As(err, &no) {
			return result, err
		}
	}
	err := x.sim.Call(ctx, "sim-wallet-status", params, &result) // not ended, or the node was away
	return result, err
}

type decodeParams struct {
	String   string `json:"string"`
	Exchange int    `json:"exchange"`
}

func (w *world) decode(ctx context.Context, p decodeParams) (any, error) {
	return w.ask(ctx, p.Exchange, "decode", map[string]any{"string": p.String})
}

func (w *world) audit(ctx context.Context, _ none) (any, error) {
	ok := true
	for _, x := range w.about.Exchanges {
		ok = ok && x.sim.Audit(ctx) == nil
	}
	nodes, err := w.askAll(ctx, "sim-audit", nil)
	return map[string]any{"ok": ok, "nodes": nodes}, err
}

type mineParams struct {
	Blocks *uint32 `json:"blocks"`
}

func (w *world) mine(ctx context.Context, p mineParams) (any, error) {
	blocks := uint32(1)
	if p.Blocks != nil {
		blocks = *p.Blocks
	}
	nodes, err := w.askAll(ctx, "sim-mine", map[string]any{"blocks": blocks})
	return map[string]any{"nodes": nodes}, err
}

type clockParams struct {
	Seconds uint32 `json:"seconds"`
}

func (w *world) clock(ctx context.Context, p clockParams) (any, error) {
	nodes, err := w.askAll(ctx, "sim-advance-clock", map[string]any{"seconds": p.Seconds})
	return map[string]any{"nodes": nodes}, err
}
