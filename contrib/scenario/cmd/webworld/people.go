package main

import (
	"context"
	"fmt"

	"github.com/mostro-cln/mostro/contrib/scenario"
	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/orders"
)

type ordersParams struct {
	Exchange int    `json:"exchange"`
	Status   string `json:"status"`
	Limit    int    `json:"limit"`
}

func (w *world) listOrders(ctx context.Context, p ordersParams) (any, error) {
	params := map[string]any{}
	if p.Status != "" {
		params["status"] = p.Status
	}
	if p.Limit != 0 {
		params["limit"] = p.Limit
	}
	return w.ask(ctx, p.Exchange, "mostro-listorders", params)
}

type orderParams struct {
	Exchange int    `json:"exchange"`
	Order    string `json:"order_id"`
}

func (w *world) showOrder(ctx context.Context, p orderParams) (any, error) {
	return w.ask(ctx, p.Exchange, "mostro-showorder", map[string]any{"order_id": p.Order})
}

// The states of a partner.
const (
	statePlaying = "playing"
	stateDone    = "done"
	stateFailed  = "failed"
)

// partnerState is a partner as the API shows him.
type partnerState struct {
	Exchange int    `json:"exchange"`
	Order    string `json:"order_id"`
	Wallet   string `json:"wallet"`
	State    string `json:"state"`
	Error    string `json:"error,omitempty"`
}

type partnerParams struct {
	Exchange   int             `json:"exchange"`
	Do         string          `json:"do"`
	Transport  orders.Way      `json:"transport"`
	Order      *orders.OrderID `json:"order_id"`
	Kind       orders.Kind     `json:"kind"`
	Sats       orders.Sats     `json:"sats"`
	Fiat       string          `json:"fiat"`
	FiatAmount int64           `json:"fiat_amount"`
	Min        int64           `json:"min"`
	Max        int64           `json:"max"`
	Premium    int64           `json:"premium"`
	Method     string          `json:"method"`
}

// maxPartners bounds the clients that a test can have running.
const maxPartners = 200

func (w *world) partner(ctx context.Context, p partnerParams) (any, error) {
	x, err := w.house(p.Exchange)
	if err != nil {
		return nil, err
	}
	if p.Kind != orders.Sell && p.Kind != orders.Buy {
		return nil, badRequest("kind: want sell or buy, the order's")
	}
	if p.Transport > orders.Direct {
		return nil, badRequest("transport: want 1 or 2")
	}
	w.mu.Lock()
	full := len(w.partners) >= maxPartners
	w.mu.Unlock()
	if full {
		return nil, badRequest(fmt.Sprintf("there are %d partners already", maxPartners))
	}
	who, err := begin(ctx, x.world, p)
	if err != nil {
		return nil, err
	}
	st := &partnerState{Exchange: x.Number, Order: who.Trade().ID().String(), Wallet: who.WalletName, State: statePlaying}
	w.mu.Lock()
	w.partners = append(w.partners, st)
	shown := *st
	w.mu.Unlock()
	w.tasks.Go(func() error {
		defer who.Close()
		err := who.Play(w.ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		if st.State = stateDone; err != nil {
			st.State, st.Error = stateFailed, err.Error()
		}
		return nil
	})
	return shown, nil
}

func begin(ctx context.Context, w *scenario.World, p partnerParams) (*scenario.Partner, error) {
	switch {
	case p.Do == "take" && p.Order == nil:
		return nil, badRequest("order_id: none given")
	case p.Do == "take":
		return w.Taker(ctx, "taker", *p.Order, trader.TakeOpts{Kind: p.Kind, FiatAmount: p.FiatAmount}, p.Transport)
	case p.Do == "make":
		spec := trader.OrderSpec{
			Kind: p.Kind, Amount: p.Sats, Fiat: p.Fiat, FiatAmount: p.FiatAmount, Min: p.Min, Max: p.Max, Premium: p.Premium, Method: p.Method,
		}
		if spec.Fiat == "" {
			spec.Fiat = "EUR"
		}
		if spec.FiatAmount == 0 && spec.Max == 0 {
			spec.FiatAmount = 50
		}
		if spec.Method == "" {
			spec.Method = "SEPA"
		}
		return w.Maker(ctx, "maker", spec, p.Transport)
	}
	return nil, badRequest("do: want make or take")
}

func (w *world) listPartners(context.Context, none) (any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := []partnerState{}
	for _, p := range w.partners {
		list = append(list, *p)
	}
	return map[string]any{"partners": list}, nil
}
