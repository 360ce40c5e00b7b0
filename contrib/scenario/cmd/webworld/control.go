package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/contrib/relay"
	"github.com/mostro-cln/mostro/contrib/scenario"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// control carries out the commands of a test: POST /NAME with a JSON object, answered by JSON.
type control struct {
	sim    *scenario.Sim
	world  *scenario.World
	relays []*relay.Server
}

// command is all that a command may say; each looks at its own part.
type command struct {
	Wallet string         `json:"wallet"`
	Sats   orders.Sats    `json:"sats"`
	Bolt11 string         `json:"bolt11"`
	Order  orders.OrderID `json:"order"`
	Relay  int            `json:"relay"`
	Up     bool           `json:"up"`
	Count  int            `json:"count"`
	Method string         `json:"method"`
	Params map[string]any `json:"params"`
	Faults struct {
		Lose      bool `json:"lose"`
		DropOK    bool `json:"drop_ok"`
		Duplicate bool `json:"duplicate"`
		DelayMS   int  `json:"delay_ms"`
	} `json:"faults"`
	Event *nostr.Event `json:"event"`
}

func (c *control) handler() http.Handler {
	mux := http.NewServeMux()
	on := func(name string, do func(context.Context, command) (any, error)) {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			var in command
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
			defer cancel()
			out, err := do(ctx, in)
			if err != nil {
				http.Error(w, fmt.Sprintf("%s: %v", name, err), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(out) // a test that has gone needs no answer
		})
	}
	on("invoice", c.invoice)
	on("pay", c.pay)
	on("balance", c.balance)
	on("status", c.status)
	on("relay", c.relay)
	on("faults", c.faults)
	on("rpc", c.rpc)
	on("publish", c.publish)
	on("fill", c.fill)
	return mux
}

// enough is what a wallet has at its beginning.
const enough orders.Sats = 5_000_000

func (c *control) wallet(ctx context.Context, in command) (scenario.Wallet, error) {
	return c.sim.Wallet(ctx, in.Wallet, enough)
}

func (c *control) invoice(ctx context.Context, in command) (any, error) {
	w, err := c.wallet(ctx, in)
	if err != nil {
		return nil, err
	}
	bolt11, err := w.Invoice(ctx, in.Sats, fmt.Sprintf("test-%d", rand.Uint64()))
	return map[string]string{"bolt11": bolt11}, err
}

func (c *control) pay(ctx context.Context, in command) (any, error) {
	w, err := c.wallet(ctx, in)
	if err != nil {
		return nil, err
	}
	return struct{}{}, w.Pay(ctx, in.Bolt11)
}

func (c *control) balance(ctx context.Context, in command) (any, error) {
	w, err := c.wallet(ctx, in)
	if err != nil {
		return nil, err
	}
	free, locked, err := w.Balance(ctx)
	return map[string]int64{"sats": int64(free / 1000), "locked": int64(locked / 1000)}, err
}

func (c *control) status(ctx context.Context, in command) (any, error) {
	s, err := c.world.Status(ctx, in.Order)
	return map[string]orders.Status{"status": s}, err
}

func (c *control) relay(_ context.Context, in command) (any, error) {
	if in.Relay < 0 || in.Relay >= len(c.relays) {
		return nil, errRelay
	}
	if in.Up {
		return struct{}{}, c.relays[in.Relay].Start()
	}
	c.relays[in.Relay].Stop()
	return struct{}{}, nil
}

func (c *control) faults(_ context.Context, in command) (any, error) {
	f := in.Faults
	for _, r := range c.relays {
		r.SetFaults(relay.Faults{Lose: f.Lose, DropOK: f.DropOK, Duplicate: f.Duplicate, Delay: time.Duration(f.DelayMS) * time.Millisecond})
	}
	return struct{}{}, nil
}

// rpc is any command of the node or of the exchange, as an operator gives it.
func (c *control) rpc(ctx context.Context, in command) (any, error) {
	var out json.RawMessage
	if in.Params == nil {
		in.Params = map[string]any{}
	}
	err := c.sim.Call(ctx, in.Method, in.Params, &out)
	return out, err
}

// publish puts an event of a test's own on both relays.
func (c *control) publish(_ context.Context, in command) (any, error) {
	for _, r := range c.relays {
		if err := r.Publish(*in.Event); err != nil {
			return nil, err
		}
	}
	return struct{}{}, nil
}

// fill publishes so many orders of another exchange, for the figures.
func (c *control) fill(_ context.Context, in command) (any, error) {
	key, err := nostrio.NewKey([32]byte{31: 7})
	if err != nil {
		return nil, err
	}
	now := time.Now().Unix()
	events := []nostr.Event{nostrio.InfoEvent{
		Name: "Crowded", Version: "0.18.5", MinAmount: 100, MaxAmount: 10_000_000, Fee: 6000, FeePayer: orders.FeeSplit, Way: orders.Direct, CreatedAt: now,
	}.Event(key)}
	random := rand.New(rand.NewPCG(1, 2))
	codes := []string{"EUR", "USD", "ARS", "VES", "BRL", "CUP", "COP", "MXN", "GBP", "JPY"}
	methods := []string{"SEPA", "Revolut", "Bank transfer", "Cash in person", "Pix", "Zelle", "Pago Móvil", "Wise,Revolut,SEPA"}
	for range in.Count {
		kind := orders.Sell
		if random.IntN(2) == 0 {
			kind = orders.Buy
		}
		fiat := int64(10 + random.IntN(900))
		var amount orders.Sats
		if random.IntN(3) == 0 {
			amount = orders.Sats(fiat * int64(1900+random.IntN(200)))
		}
		e := nostrio.OrderEvent{
			ID: randomID(random), Kind: kind, Status: "pending", Amount: amount, PaymentMethod: methods[random.IntN(len(methods))],
			Fiat:    orders.Fiat{Code: codes[random.IntN(len(codes))], Amount: fiat},
			Premium: int64(random.IntN(12) - 4), Maker: nostrio.MakerRating{Days: int64(random.IntN(400)), Total: float64(random.IntN(50)) / 10, Reviews: int64(random.IntN(60))},
			Relays: c.world.Relays, Networks: []string{"regtest"}, ExpiresAt: now + 86_400, Expiration: now + 86_400, Name: "Crowded",
			CreatedAt: now - int64(random.IntN(80_000)),
		}
		events = append(events, e.Event(key))
	}
	for _, e := range events {
		for _, r := range c.relays {
			if err := r.Publish(e); err != nil {
				return nil, err
			}
		}
	}
	return map[string]string{"server": key.PubKey().String()}, nil
}

func randomID(r *rand.Rand) (id orders.OrderID) {
	for i := range id {
		id[i] = byte(r.UintN(256))
	}
	return id
}
