package trader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// Config is what a trader needs to know.
type Config struct {
	Mnemonic    string        // BIP-39 words; a secret
	Relays      []string      // ws:// or wss:// addresses
	Mostro      string        // its public key, hex or npub
	Way         orders.Way    // transport to use; 0: the one of the Mostro's info event
	FullPrivacy bool          // no identity key is shown, and no reputation earned
	StateFile   string        // where trades are remembered; "": in memory, and the keys are used anew next time
	Patience    time.Duration // how long a request waits for its answer; 20 s
	Log         *slog.Logger  // nil: silent
}

// Trader trades at one Mostro. Its methods may be called from any goroutine.
type Trader struct {
	cfg      Config
	log      *slog.Logger
	mostro   orders.PubKey
	ring     keyring
	identity key
	relays   *relays
	states   *states

	mu        sync.Mutex // guards all below, and the trades
	trades    []*Trade   // by index, rising
	byKey     map[string]*Trade
	info      *Info
	book      map[orders.OrderID]BookOrder
	following bool                          // the book
	docket    map[orders.DisputeID]OpenCase // nil: not asked for
	desk      *Trade                        // of the identity key; nil: not opened
	changed   chan struct{}                 // closed and made anew at every change of the above
}

const (
	infoSub = "info"
	mailSub = "mail"
)

// New opens a trader and begins to connect. Close it.
func New(cfg Config) (*Trader, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 20 * time.Second
	}
	if len(cfg.Relays) == 0 {
		return nil, errors.New("new trader: no relay given")
	}
	if cfg.Way > orders.Direct {
		return nil, fmt.Errorf("new trader: transport %d: want 1 (gift wrap) or 2 (direct)", cfg.Way)
	}
	t := &Trader{
		cfg: cfg, log: cfg.Log, byKey: make(map[string]*Trade), book: make(map[orders.OrderID]BookOrder),
		changed: make(chan struct{}),
	}
	var err error
	if t.mostro, err = nostrio.ParsePubKey(cfg.Mostro); err != nil {
		return nil, fmt.Errorf("new trader: Mostro: %w", err)
	}
	if t.ring, err = newKeyring(cfg.Mnemonic); err != nil {
		return nil, fmt.Errorf("new trader: %w", err)
	}
	if t.identity, err = t.ring.key(0); err != nil {
		return nil, fmt.Errorf("new trader: %w", err)
	}
	if t.states, err = openStates(cfg.StateFile); err != nil {
		return nil, fmt.Errorf("new trader: %w", err)
	}
	if err := t.adopt(t.states.last()); err != nil {
		return nil, fmt.Errorf("new trader: %w", err)
	}
	t.relays = newRelays(cfg.Relays, t.log, t.deliver)
	t.relays.subscribe(infoSub, nostr.Filter{Kinds: []int{nostrio.KindInfo}, Authors: []string{t.mostro.String()}})
	t.subscribeMail()
	return t, nil
}

// Close ends the connections. The state is on the disk already.
func (t *Trader) Close() { t.relays.close() }

// Mostro is the public key of the Mostro that this trader trades at.
func (t *Trader) Mostro() orders.PubKey { return t.mostro }

// Identity is the public key that earns the reputation.
func (t *Trader) Identity() orders.PubKey { return t.identity.PubKey() }

// Trades returns all trades at this Mostro that have an order, oldest first.
func (t *Trader) Trades() []*Trade {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(t.trades), func(tr *Trade) bool { return tr.record.Order.IsZero() })
}

// Trade returns the trade of an order, the last one if it was taken more than once.
func (t *Trader) Trade(id orders.OrderID) (*Trade, bool) {
	all := t.Trades()
	for _, tr := range slices.Backward(all) {
		if tr.ID() == id {
			return tr, true
		}
	}
	return nil, false
}

// Sync waits until the messages that the connected relays have stored for our trades are here.
func (t *Trader) Sync(ctx context.Context) error {
	t.mu.Lock()
	none := len(t.trades) == 0
	t.mu.Unlock()
	if none {
		return nil
	}
	return t.relays.awaitStored(ctx, mailSub)
}

// Follow calls f with each message that comes from now on, one at a time, until ctx ends. With a state file it also
// follows the trades that other processes begin.
func (t *Trader) Follow(ctx context.Context, f func(*Trade, Message)) error {
	next := make(map[*Trade]int)
	t.mu.Lock()
	for _, tr := range t.trades {
		next[tr] = len(tr.messages)
	}
	t.mu.Unlock()
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		type news struct {
			tr *Trade
			m  Message
		}
		var all []news
		t.mu.Lock()
		for _, tr := range t.trades {
			for _, m := range tr.messages[min(next[tr], len(tr.messages)):] {
				all = append(all, news{tr, m})
			}
			next[tr] = len(tr.messages)
		}
		changed := t.changed
		t.mu.Unlock()
		for _, n := range all {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			f(n.tr, n.m)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-ticker.C:
			if err := t.reload(); err != nil {
				return err
			}
		}
	}
}

// reload takes up trades that another process has begun.
func (t *Trader) reload() error {
	st, err := t.states.read()
	if err != nil {
		return err
	}
	t.mu.Lock()
	before := len(t.trades)
	t.mu.Unlock()
	if err := t.adopt(st); err != nil {
		return err
	}
	t.mu.Lock()
	grown := len(t.trades) > before
	t.mu.Unlock()
	if grown {
		t.subscribeMail()
	}
	return nil
}

// adopt makes trades of the records that have none yet.
func (t *Trader) adopt(st state) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range st.Trades {
		if r.Mostro != t.mostro || t.findTrade(r.Index) != nil {
			continue
		}
		if _, err := t.addTrade(r); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trader) findTrade(index uint32) *Trade {
	for _, tr := range t.trades {
		if tr.record.Index == index {
			return tr
		}
	}
	return nil
}

// addTrade is called with the lock held.
func (t *Trader) addTrade(r *record) (*Trade, error) {
	if tr := t.findTrade(r.Index); tr != nil {
		return tr, nil // reload was quicker than begin
	}
	k, err := t.ring.key(r.Index)
	if err != nil {
		return nil, err
	}
	tr := &Trade{t: t, key: k, record: *r, taken: make(map[int]bool)}
	tr.record.Messages = nil
	for i, saved := range r.Messages {
		m, err := decodeMessage(saved.Raw)
		if err != nil {
			return nil, fmt.Errorf("state: message %d of trade %d: %w", i, r.Index, err)
		}
		m.At, m.EventID = saved.At, saved.Event
		tr.taken[len(tr.messages)] = true
		tr.messages = append(tr.messages, m)
	}
	t.trades = append(t.trades, tr)
	slices.SortFunc(t.trades, func(a, b *Trade) int { return int(a.record.Index) - int(b.record.Index) })
	t.byKey[k.PubKey().String()] = tr
	return tr, nil
}

// begin burns the next trade index and remembers the trade before anything of it leaves the process.
func (t *Trader) begin(r record) (*Trade, error) {
	r.Mostro, r.CreatedAt = t.mostro, time.Now().Unix()
	err := t.states.update(func(st *state) {
		r.Index = st.Next
		st.Next++
		st.Trades = append(st.Trades, &r)
	})
	if err != nil {
		return nil, fmt.Errorf("begin a trade: %w", err)
	}
	t.mu.Lock()
	kept := r // the state's record is the state's
	tr, err := t.addTrade(&kept)
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	t.subscribeMail()
	return tr, nil
}

// abandon forgets a trade that came to nothing. Its index stays burnt.
func (t *Trader) abandon(tr *Trade) {
	err := t.states.update(func(st *state) {
		st.Trades = slices.DeleteFunc(st.Trades, func(r *record) bool { return r.Index == tr.record.Index })
	})
	if err != nil {
		t.log.Error("a dead trade stays in the state", "index", tr.record.Index, "err", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trades = slices.DeleteFunc(t.trades, func(x *Trade) bool { return x == tr })
	delete(t.byKey, tr.PubKey().String())
}

const (
	mailAge    = 60 * 24 * 3600         // seconds after its last message in which a trade's key is listened to
	mailKeys   = 500                    // the newest so many keys are listened to
	clockSlack = 600                    // seconds
	maxTweak   = 2*24*3600 + clockSlack // how far back a gift wrap may be dated (NIP-59)
)

// subscribeMail listens to all keys that may still get messages, on both transports.
func (t *Trader) subscribeMail() {
	now := time.Now().Unix()
	since := now
	var keys []string
	t.mu.Lock()
	for _, tr := range slices.Backward(t.trades) {
		if now-tr.lastAt() > mailAge || len(keys) == mailKeys {
			continue
		}
		keys = append(keys, tr.PubKey().String())
		since = min(since, tr.record.CreatedAt)
	}
	t.mu.Unlock()
	if len(keys) == 0 {
		return
	}
	t.relays.subscribe(mailSub, t.mailFor(keys, since)...)
}

// mailFor asks for the Mostro's messages to keys since a time, on both transports.
func (t *Trader) mailFor(keys []string, since int64) []nostr.Filter {
	direct, wrapped := nostr.Timestamp(since-clockSlack), nostr.Timestamp(since-maxTweak)
	return []nostr.Filter{
		{Kinds: []int{nostrio.KindDirect}, Authors: []string{t.mostro.String()}, Tags: nostr.TagMap{"p": keys}, Since: &direct},
		{Kinds: []int{nostrio.KindGiftWrap}, Tags: nostr.TagMap{"p": keys}, Since: &wrapped},
	}
}

// deliver takes verified events from a relay.
func (t *Trader) deliver(name string, events []nostr.Event) {
	if name == mailSub || name == deskSub {
		t.takeMail(events)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range events {
		switch name {
		case infoSub:
			t.takeInfo(e)
		case bookSub:
			t.takeOrder(e)
		case docketSub:
			t.takeDispute(e)
		}
	}
	t.notify()
}

// notify wakes those who wait for a change. Call with the lock held.
func (t *Trader) notify() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// await waits until a condition, evaluated with the lock held, is true.
func (t *Trader) await(ctx context.Context, condition func() bool) error {
	for {
		t.mu.Lock()
		ok, changed := condition(), t.changed
		t.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-t.relays.ctx.Done():
			return errClosed
		}
	}
}
