package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// judge is an admin of one exchange: a client with a key of its own that the option mostro-admins names.
type judge struct {
	t      *trader.Trader
	office *trader.Office
}

// newJudge may be called before the exchange runs: the key has to be in its options.
func newJudge(relays []string, mostro string) (*judge, error) {
	words, err := trader.NewMnemonic()
	if err != nil {
		return nil, err
	}
	t, err := trader.New(trader.Config{Mnemonic: words, Relays: relays, Mostro: mostro, Way: orders.Direct, Patience: 45 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("make an admin: %w", err)
	}
	return &judge{t, t.Office()}, nil
}

type disputeParams struct {
	Exchange int               `json:"exchange"`
	Do       string            `json:"do"`
	Dispute  *orders.DisputeID `json:"dispute_id"`
	Order    *orders.OrderID   `json:"order_id"`
}

// dispute has the admin take a dispute or decide it.
func (w *world) dispute(ctx context.Context, p disputeParams) (any, error) {
	x, err := w.house(p.Exchange)
	if err != nil {
		return nil, err
	}
	if p.Do == "take" {
		return x.judge.take(ctx, p.Dispute)
	}
	if p.Order == nil {
		return nil, badRequest("order_id: none given")
	}
	switch p.Do {
	case "settle":
		err = x.judge.office.Settle(ctx, *p.Order)
	case "cancel":
		err = x.judge.office.Cancel(ctx, *p.Order)
	default:
		return nil, badRequest("do: want take, settle or cancel")
	}
	return none{}, err
}

// take takes the dispute that is named, or the only one that is open.
func (j *judge) take(ctx context.Context, id *orders.DisputeID) (any, error) {
	docket, err := j.t.Docket(ctx)
	if err != nil {
		return nil, err
	}
	if id == nil {
		open := docket.Open()
		if len(open) != 1 {
			return nil, badRequest(fmt.Sprintf("dispute_id: none given, and %d are open", len(open)))
		}
		id = &open[0].ID
	}
	info, err := j.office.Take(ctx, *id)
	if err != nil {
		return nil, err
	}
	return map[string]any{"dispute_id": id, "order_id": info.ID, "admin": j.t.Identity()}, nil
}

type solverParams struct {
	Exchange int          `json:"exchange"`
	PubKey   string       `json:"pubkey"`
	Level    orders.Level `json:"level"`
}

// solver has the admin name a solver.
func (w *world) solver(ctx context.Context, p solverParams) (any, error) {
	x, err := w.house(p.Exchange)
	if err != nil {
		return nil, err
	}
	key, err := nostrio.ParsePubKey(p.PubKey)
	if err != nil {
		return nil, badRequest("pubkey: " + err.Error())
	}
	if p.Level == "" {
		p.Level = orders.LevelReadWrite
	}
	if p.Level != orders.LevelRead && p.Level != orders.LevelReadWrite {
		return nil, badRequest("level: want read or read-write")
	}
	return none{}, x.judge.office.AddSolver(ctx, key, p.Level)
}
