package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// World is an exchange at work: the relays' addresses, the node, and who trades there. People can come and trade from
// any goroutine once it has been started; Say is written to by one at a time.
type World struct {
	Node   Node
	Relays []string
	Mostro string // the exchange's public key, hex
	Say    io.Writer

	mu        sync.Mutex // guards all below, and Say
	people    []*Person
	officials []*trader.Trader
	next      int
}

// Start waits until the exchange on the node takes orders, and learns its key.
func (w *World) Start(ctx context.Context) error {
	if w.Say == nil {
		w.Say = io.Discard
	}
	info, err := w.AwaitOpen(ctx)
	w.Mostro = info.PubKey
	return err
}

// Info is what mostro-info says, as far as stories look at it.
type Info struct {
	PubKey string         `json:"pubkey"`
	Open   bool           `json:"accepts_orders"`
	Held   orders.Msats   `json:"held_msat"`
	Outbox int            `json:"outbox"`
	Orders map[string]int `json:"orders"`
	Web    string         `json:"web"` // address of the web client
}

// AwaitOpen waits until the exchange takes orders.
func (w *World) AwaitOpen(ctx context.Context) (info Info, err error) {
	err = until(ctx, "the exchange takes orders", func() (bool, error) {
		if err := w.Node.Call(ctx, "mostro-info", nil, &info); err != nil {
			return false, err
		}
		return info.Open, nil
	})
	return info, err
}

// AwaitWeb waits until the exchange serves the web client, and returns its address.
func (w *World) AwaitWeb(ctx context.Context) (url string, err error) {
	err = until(ctx, "the web client is served", func() (bool, error) {
		var info Info
		err := w.Node.Call(ctx, "mostro-info", nil, &info)
		url = info.Web
		return url != "", err
	})
	return url, err
}

// Status asks the node for an order's status.
func (w *World) Status(ctx context.Context, id orders.OrderID) (orders.Status, error) {
	var r struct {
		Status orders.Status `json:"status"`
	}
	err := w.Node.Call(ctx, "mostro-showorder", map[string]any{"order_id": id.String()}, &r)
	return r.Status, err
}

// AwaitStatus waits until the order has one of the statuses.
func (w *World) AwaitStatus(ctx context.Context, id orders.OrderID, want ...orders.Status) (got orders.Status, err error) {
	err = until(ctx, fmt.Sprintf("order %s is %v", id, want), func() (bool, error) {
		if got, err = w.Status(ctx, id); err != nil {
			return false, err
		}
		for _, s := range want {
			if s == got {
				return true, nil
			}
		}
		return false, fmt.Errorf("it is %s", got)
	})
	return got, err
}

// until asks again and again; on a node there is nothing else to wait on. The last answer goes into the error.
func until(ctx context.Context, what string, ask func() (bool, error)) error {
	var last error
	for {
		ok, err := ask()
		if ok {
			return nil
		}
		if err != nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, errors.Join(ctx.Err(), last))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Person is a trader: a client that knows only relays, and a wallet.
type Person struct {
	*trader.Trader
	Name       string
	Wallet     Wallet
	WalletName string // as the node knows it

	w     *World
	start orders.Msats
}

// Person makes a trader with a wallet of so many sats, talking by the given transport.
func (w *World) Person(ctx context.Context, name string, sats orders.Sats, way orders.Way) (*Person, error) {
	words, err := trader.NewMnemonic()
	if err != nil {
		return nil, err
	}
	t, err := trader.New(trader.Config{
		Mnemonic: words, Relays: w.Relays, Mostro: w.Mostro, Way: way, Patience: 45 * time.Second,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("%s's client: %w", name, err)
	}
	w.mu.Lock()
	w.next++
	walletName := fmt.Sprintf("%s-%d", name, w.next)
	wallet, err := w.Node.Wallet(ctx, walletName, sats)
	w.mu.Unlock()
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("%s's wallet: %w", name, err)
	}
	p := &Person{Trader: t, Name: name, Wallet: wallet, WalletName: walletName, w: w}
	w.mu.Lock()
	w.people = append(w.people, p)
	w.mu.Unlock()
	p.start, err = p.total(ctx)
	return p, err
}

// Leave ends the clients that have been made so far.
func (w *World) Leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.people {
		p.Close()
	}
	for _, t := range w.officials {
		t.Close()
	}
	w.people, w.officials = nil, nil
}

func (p *Person) total(ctx context.Context) (orders.Msats, error) {
	free, locked, err := p.Wallet.Balance(ctx)
	return free + locked, err
}

// Gains checks what the person has won or lost since the beginning, to the msat. Nothing may hang any more.
func (p *Person) Gains(ctx context.Context, want orders.Msats) error {
	var free, locked orders.Msats
	err := until(ctx, fmt.Sprintf("%s has %+d msat", p.Name, int64(want)), func() (bool, error) {
		var err error
		if free, locked, err = p.Wallet.Balance(ctx); err != nil {
			return false, err
		}
		if locked == 0 && free-p.start == want {
			return true, nil
		}
		return false, fmt.Errorf("it is %+d msat, with %d locked", int64(free-p.start), int64(locked))
	})
	return err
}

// say tells who did what, for a person who watches.
func (w *World) say(who, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(w.Say, "  %-8s %s\n", who, fmt.Sprintf(format, args...))
}

// expect waits for a message to a trader and tells of it.
func (p *Person) expect(ctx context.Context, t *trader.Trade, actions ...nostrio.Action) (trader.Message, error) {
	m, err := t.Expect(ctx, actions...)
	if err != nil {
		return m, fmt.Errorf("%s waits for %v: %w", p.Name, actions, err)
	}
	p.w.say("mostro", "→ %s: %s", p.Name, m.Action)
	return m, nil
}
