package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/contrib/relay"
)

type relayParams struct {
	Relay int    `json:"relay"`
	Do    string `json:"do"`
}

func (w *world) relay(number int) (*relay.Server, error) {
	if number < 0 || number >= len(w.relays) {
		return nil, badRequest(fmt.Sprintf("relay: there is no number %d", number))
	}
	return w.relays[number], nil
}

func (w *world) disturbRelay(_ context.Context, p relayParams) (any, error) {
	r, err := w.relay(p.Relay)
	if err != nil {
		return nil, err
	}
	switch p.Do {
	case "stop":
		r.Stop()
	case "start":
		err = r.Start()
	case "disconnect":
		r.DisconnectAll()
	case "forget":
		r.Forget()
	case "close-subscriptions":
		r.CloseSubscriptions("error: a disturbance")
	default:
		return nil, badRequest("do: want stop, start, disconnect, forget or close-subscriptions")
	}
	return none{}, err
}

type faultsParams struct {
	Relay     int    `json:"relay"`
	DelayMS   int64  `json:"delay_ms"`
	Duplicate bool   `json:"duplicate"`
	Lose      bool   `json:"lose"`
	DropOK    bool   `json:"drop_ok"`
	Refuse    string `json:"refuse"`
}

func (w *world) setFaults(_ context.Context, p faultsParams) (any, error) {
	r, err := w.relay(p.Relay)
	if err != nil {
		return nil, err
	}
	f := relay.Faults{
		Alter: w.announce, Delay: time.Duration(p.DelayMS) * time.Millisecond, Duplicate: p.Duplicate, Lose: p.Lose, DropOK: p.DropOK,
	}
	if p.Refuse != "" {
		f.Refuse = relay.RefuseAll(p.Refuse)
	}
	r.SetFaults(f)
	return none{}, nil
}

type eventsParams struct {
	Relay  int          `json:"relay"`
	Filter nostr.Filter `json:"filter"`
}

func (w *world) events(_ context.Context, p eventsParams) (any, error) {
	r, err := w.relay(p.Relay)
	if err != nil {
		return nil, err
	}
	return map[string]any{"events": r.Events(p.Filter)}, nil
}

type exchangeParams struct {
	Exchange int    `json:"exchange"`
	Do       string `json:"do"`
}

// plugin is the exchange's, as the node knows it.
const plugin = "mostro"

func (w *world) disturbExchange(ctx context.Context, p exchangeParams) (any, error) {
	x, err := w.house(p.Exchange)
	if err != nil {
		return nil, err
	}
	x.turns.Lock()
	defer x.turns.Unlock()
	starts := true
	switch p.Do {
	case "kill":
		starts, err = false, x.sim.KillPlugin(ctx, plugin)
	case "stop":
		starts, err = false, x.sim.StopExchange(ctx)
	case "start":
		err = x.sim.StartExchange(ctx)
	case "restart":
		if err = x.sim.KillPlugin(ctx, plugin); err == nil {
			err = x.sim.StartExchange(ctx)
		}
	case "kill-node":
		starts, err = false, x.sim.Kill(ctx)
	case "start-node":
		if x.sim.Alive() {
			return nil, badRequest("do: the node runs")
		}
		err = x.sim.Start(ctx)
	default:
		return nil, badRequest("do: want kill, stop, start, restart, kill-node or start-node")
	}
	if err == nil && starts {
		_, err = x.world.AwaitOpen(ctx)
	}
	if err == nil && starts {
		_, err = x.world.AwaitWeb(ctx) // at the same address
	}
	return none{}, err
}

type rpcParams struct {
	Exchange int             `json:"exchange"`
	Method   string          `json:"method"`
	Params   json.RawMessage `json:"params"`
}

func (w *world) rpc(ctx context.Context, p rpcParams) (any, error) {
	if p.Method == "" {
		return nil, badRequest("method: none given")
	}
	var params any
	if len(p.Params) > 0 && json.Unmarshal(p.Params, &params) != nil {
		return nil, errors.New("params: no JSON")
	}
	return w.ask(ctx, p.Exchange, p.Method, params)
}
