package main

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/coder/websocket"
	"github.com/nbd-wtf/go-nostr"
	"golang.org/x/sync/errgroup"

	"github.com/mostro-cln/mostro/contrib/scenario"
	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

type seedParams struct {
	Exchange int  `json:"exchange"`
	Count    int  `json:"count"`
	Real     bool `json:"real"`
}

const (
	maxSeeds     = 50_000
	maxRealSeeds = 2_000
)

func (w *world) seed(ctx context.Context, p seedParams) (any, error) {
	x, err := w.house(p.Exchange)
	if err != nil {
		return nil, err
	}
	most := maxSeeds
	if p.Real {
		most = maxRealSeeds
	}
	if p.Count < 1 || p.Count > most {
		return nil, badRequest(fmt.Sprintf("count: want 1 to %d", most))
	}
	var ids []orders.OrderID
	if p.Real {
		ids, err = x.seedReal(ctx, p.Count)
	} else {
		ids, err = w.seedEvents(ctx, x, p.Count)
	}
	return map[string]any{"order_ids": ids}, err
}

// What seeded orders are made of.
var (
	seedFiat    = slices.Sorted(maps.Keys(scenario.Prices))
	seedMethods = []string{"SEPA", "Revolut", "Wise", "Pix", "Mercado Pago", "Bank transfer", "Zelle", "Cash, face to face", "Bizum", "SPEI"}
)

// terms are one seeded order's, worth 5 to 90 euros, or up to 360 in a range: a third of them is at the market price, a
// third of those a range. The same number gives the same terms.
func terms(n int) trader.OrderSpec {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	s := trader.OrderSpec{
		Kind: []orders.Kind{orders.Sell, orders.Buy}[r.IntN(2)], Fiat: seedFiat[r.IntN(len(seedFiat))],
		Method: seedMethods[r.IntN(len(seedMethods))],
	}
	if r.IntN(4) == 0 {
		s.Method += "," + seedMethods[r.IntN(len(seedMethods))]
	}
	price := scenario.Prices[s.Fiat]
	s.FiatAmount = int64(5*(1+r.IntN(18))) * max(1, price/scenario.Prices["EUR"])
	premium := int64(r.IntN(21) - 10) // percent
	if r.IntN(3) > 0 {
		s.Amount = orders.Sats(s.FiatAmount * 100_000_000 / price * 100 / (100 + premium))
		return s
	}
	s.Premium = premium
	if r.IntN(3) == 0 {
		s.Min, s.Max, s.FiatAmount = s.FiatAmount, 4*s.FiatAmount, 0
	}
	return s
}

// seedEvents publishes order events as the exchange would, without asking it.
func (w *world) seedEvents(ctx context.Context, x *exchange, count int) (ids []orders.OrderID, err error) {
	now := time.Now().Unix()
	list := make([]nostr.Event, count)
	ids = make([]orders.OrderID, count)
	for i := range list {
		ids[i] = newOrderID()
		list[i] = x.orderEvent(ids[i], terms(i), i, now, w.about.Relays)
	}
	for _, url := range w.about.Relays {
		if err := publish(ctx, url, list); err != nil {
			return nil, fmt.Errorf("publish at %s: %w", url, err)
		}
	}
	return ids, nil
}

// newOrderID is a random UUID (RFC 9562, version 4).
func newOrderID() (id orders.OrderID) {
	crand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

func (x *exchange) orderEvent(id orders.OrderID, t trader.OrderSpec, n int, now int64, relays []string) nostr.Event {
	r := rand.New(rand.NewPCG(uint64(n), 2))
	o := nostrio.OrderEvent{
		ID: id, Kind: t.Kind, Status: string(orders.Pending), Amount: t.Amount, Fiat: orders.Fiat{Code: t.Fiat, Amount: t.FiatAmount},
		PaymentMethod: t.Method, Premium: t.Premium, Relays: relays, Networks: []string{"regtest"}, Name: x.Name,
		CreatedAt: now - int64(r.IntN(7200)), ExpiresAt: now + 86_400, Expiration: now + 30*86_400,
	}
	if t.Max != 0 {
		o.Fiat.Min, o.Fiat.Max = &t.Min, &t.Max
	}
	if r.IntN(3) > 0 {
		o.Maker = nostrio.MakerRating{Days: int64(r.IntN(900)), Total: float64(10+r.IntN(41)) / 10, Reviews: int64(1 + r.IntN(200))}
	}
	return o.Event(x.key)
}

// unanswered is how many events may wait for a relay's OK.
const unanswered = 128

// publish sends events to a relay and returns when all have been taken.
func publish(ctx context.Context, url string, list []nostr.Event) error {
	ws, _, err := websocket.Dial(ctx, url, nil) //nolint:bodyclose // "You never need to close resp.Body yourself" (package websocket)
	if err != nil {
		return err
	}
	defer ws.CloseNow()
	room := make(chan struct{}, unanswered)
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		for range list {
			if err := readOK(ctx, ws); err != nil {
				return err
			}
			<-room
		}
		return nil
	})
	both.Go(func() error {
		for _, e := range list {
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			frame, err := json.Marshal([]any{"EVENT", e})
			if err != nil {
				return err
			}
			if err := ws.Write(ctx, websocket.MessageText, frame); err != nil {
				return err
			}
		}
		return nil
	})
	return both.Wait()
}

func readOK(ctx context.Context, ws *websocket.Conn) error {
	_, data, err := ws.Read(ctx)
	if err != nil {
		return err
	}
	var frame []json.RawMessage
	var ok bool
	if json.Unmarshal(data, &frame) != nil || len(frame) < 3 || json.Unmarshal(frame[2], &ok) != nil || !ok {
		return fmt.Errorf("the relay says %.200s", data)
	}
	return nil
}

const (
	ordersOfOne = 20 // mostro-max-open-orders
	atOnce      = 4  // traders
)

// seedReal has traders make orders, some at once.
func (x *exchange) seedReal(ctx context.Context, count int) ([]orders.OrderID, error) {
	ids := make([]orders.OrderID, count)
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(atOnce)
	for first := 0; first < count; first += ordersOfOne {
		all.Go(func() error {
			p, err := x.world.Person(ctx, "seeder", 1000, 0)
			if err != nil {
				return err
			}
			defer p.Close()
			for i := first; i < min(first+ordersOfOne, count); i++ {
				tr, err := p.NewOrder(ctx, terms(i))
				if err != nil {
					return fmt.Errorf("order %d: %w", i, err)
				}
				ids[i] = tr.ID()
			}
			return nil
		})
	}
	return ids, all.Wait()
}
