package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/lightning"
	"github.com/mostro-cln/mostro/plugin/prices"
	"github.com/mostro-cln/mostro/plugin/webpage"
)

// house is the running exchange: the engine, and the loops that bring it the world and carry its effects out. It is
// the one place that knows everything.
type house struct {
	*orders.Engine
	config Config
	node   *lightning.Node
	shell  shell
	log    *slog.Logger

	store  *orders.Store
	key    *nostrio.Key
	self   lightning.Info // as of the start
	escrow *lightning.Escrow
	payer  *lightning.Payer
	recon  *lightning.Reconciler
	copies *backups
	disk   *disk
	book   *prices.Book
	dest   *resolver
	pool   *nostrio.Pool
	gate   *nostrio.Gate
	page   *webpage.Page // nil: the web client is not served
	since  time.Time

	notices notices
	clocks  clocks
	renew   chan struct{} // has a value when the info event is to be published at once

	lookups chan struct{} // a slot for each message that waits for the web
	loops   *errgroup.Group
	stop    context.CancelFunc
}

// lockWait is how long a start waits for the database of an exchange that is just ending.
const lockWait = 5 * time.Second

// startExchange is the starter of the real program. It opens everything and returns; relays and the hold plugin are
// found by the loops.
func startExchange(ctx context.Context, c Config, n *lightning.Node, s shell) (exchange, error) {
	h := &house{config: c, node: n, shell: s, log: s.Log, since: time.Now(), lookups: make(chan struct{}, maxWebLookups), renew: make(chan struct{}, 1)}
	if err := h.open(ctx); err != nil {
		return nil, errors.Join(err, h.closeStore())
	}
	ctx, h.stop = context.WithCancel(ctx)
	h.loops, ctx = errgroup.WithContext(ctx)
	h.run(ctx)
	h.log.Info("exchange started", "pubkey", h.key.PubKey().String(), "npub", nostrio.Npub(h.key.PubKey()))
	return h, nil
}

// open opens what the loops need.
func (h *house) open(ctx context.Context) error {
	var err error
	if h.self, err = h.node.GetInfo(ctx); err != nil {
		return fmt.Errorf("ask the node who it is: %w", err)
	}
	nostrKey, storageKey, err := loadKeys(ctx, h.node, h.config.NsecFile)
	if err != nil {
		return err
	}
	if h.key, err = nostrio.NewKey(nostrKey); err != nil {
		return fmt.Errorf("the nostr key: %w", err)
	}
	if h.store, err = orders.Open(filepath.Join(h.config.DataDir, "mostro.db"), storageKey, lockWait); err != nil {
		return err
	}
	rules := h.config.rules()
	rules.Admins = append([]orders.PubKey{h.key.PubKey()}, h.config.Admins...)
	if h.Engine, err = orders.NewEngine(h.store, rules, h.log); err != nil {
		return err
	}
	session, err := loadSession(h.config.DataDir, h.config.Startup)
	if err != nil {
		return err
	}
	h.escrow = lightning.NewEscrow(h.node, h.log, h.config.escrow(), time.Now)
	if err := h.openWeb(); err != nil {
		return err
	}
	h.payer = lightning.NewPayer(h.node, h.log, lightning.ParseVersion(h.self.Version), session, time.Now)
	h.copies = &backups{
		dir: filepath.Join(h.config.DataDir, "backups"), every: h.config.BackupEvery, keep: h.config.BackupKeep, log: h.log,
		write: h.writeBackup, now: time.Now, alarm: h.alarm,
	}
	h.disk = &disk{
		dir: h.config.DataDir, floor: int64(h.config.MinDiskMiB) * mib, log: h.log, free: freeSpace,
		reserve: h.Reserve, trouble: h.Trouble, probe: h.Probe,
	}
	if err := h.store.Uncompacted(); err != nil {
		h.log.Warn("the database is mostly free pages, and could not be written anew", "err", err)
	}
	if err := h.openPage(); err != nil {
		return err
	}
	h.recon = lightning.NewReconciler(h.Engine, h.escrow, h.payer, h.log, time.Now, newSeed)
	return h.openNostr()
}

func (h *house) openNostr() error {
	var err error
	h.pool, err = nostrio.NewPool(nostrio.PoolConfig{
		Relays: h.config.Relays, Key: h.key, Window: h.config.MessageWindow, Proxy: h.relayProxy(), Log: h.log,
		Keep: h.keep(),
	})
	if err != nil {
		return err
	}
	h.gate = nostrio.NewGate(nostrio.GateConfig{
		Key: h.key, Window: h.config.MessageWindow, Work: h.config.PoW, FirstWork: h.config.PoWFirstContact, Log: h.log,
		Known: h.Known, Seen: h.seen, Workers: messageWorkers,
	})
	h.pool.Subscribe("mostro-direct", nostrio.Filter{Kinds: []int{nostrio.KindDirect}, P: []orders.PubKey{h.key.PubKey()}})
	h.pool.Subscribe("mostro-wrap", nostrio.Filter{Kinds: []int{nostrio.KindGiftWrap}, P: []orders.PubKey{h.key.PubKey()}})
	return nil
}

// messageWorkers is more than there are cores: a message waits for the disk longer than it is worked on, and those that
// wait together share a commit.
const messageWorkers = 32

// seen lets pass what cannot be looked up: the engine looks again, when the database can be read.
func (h *house) seen(id orders.EventID) bool {
	ok, err := h.Seen(id)
	if err != nil {
		h.log.Debug("look an event up", "err", err)
	}
	return ok
}

// rules are the engine's part of the configuration.
func (c *Config) rules() orders.Rules {
	r := orders.DefaultRules()
	r.FeeRate, r.FeePayer = c.Fee, c.FeePayer
	r.MaxOpenOrders, r.MaxOrdersAsked = c.MaxOpenOrders, c.OrdersPerResponse
	r.MinOrder, r.MaxOrder, r.FiatCodes = c.MinOrder, c.MaxOrder, c.FiatCurrencies
	r.PendingSeconds, r.MaxPendingSeconds = seconds(c.OrderLife), seconds(c.MaxOrderLife)
	r.WaitingSeconds, r.InvoiceWindow = seconds(c.WaitingLife), seconds(c.InvoiceWindow)
	r.PayoutAttempts, r.PayoutInterval, r.RoutingRate = c.PaymentAttempts, seconds(c.PaymentInterval), c.MaxRoutingFee
	r.OrderRetention, r.DisputeRetention = seconds(c.OrderRetention), seconds(c.DisputeRetention)
	r.KeepSeconds = seconds(c.KeepOrders)
	// A gift wrap's outer time is put back by two days, and clocks may be ahead; an event can come again for so long.
	r.SeenSeconds = seconds(c.MessageWindow) + 3*24*3600
	return r
}

// escrow is the escrow's part of the configuration.
func (c *Config) escrow() lightning.EscrowConfig {
	return lightning.EscrowConfig{TradeTime: c.TradeTime, HoldCLTV: c.HoldCLTV}
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// run starts every loop. Each ends with ctx; one that fails ends the others, which only a bug can bring about.
func (h *house) run(ctx context.Context) {
	loop := func(name string, f func(context.Context) error) {
		h.loops.Go(func() error {
			err := f(ctx)
			if err != nil && ctx.Err() == nil {
				h.log.Error("a loop ended", "loop", name, "err", err)
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	loop("relays", h.pool.Run)
	loop("messages", h.messages)
	loop("outbox", func(ctx context.Context) error { return h.Dispatch(ctx, h.ports()) })
	loop("holds", func(ctx context.Context) error { return h.escrow.Watch(ctx, h.bookOfHolds()) })
	loop("reconcile", h.recon.Run)
	loop("backups", h.copies.Run)
	loop("disk", h.disk.Run)
	loop("prices", h.book.Run)
	loop("rates", h.publishRates)
	loop("timer", h.timer)
	loop("publisher", h.publisher)
	loop("news", h.news)
	if h.page != nil {
		loop("web client", h.page.Run)
	}
}

// Exchange implements market.
func (h *house) Exchange() *orders.Engine { return h.Engine }

// Relays implements market.
func (h *house) Relays() []nostrio.RelayStatus { return h.pool.Status() }

// Height implements market.
func (h *house) Height(ctx context.Context) (uint32, error) {
	info, err := h.node.GetInfo(ctx)
	return info.BlockHeight, err
}

func (h *house) ports() orders.Ports {
	return orders.Ports{
		Escrow: h.escrow, Payer: h.payer, Resolver: payoutResolver{h.dest}, Courier: h.courier(), Now: time.Now, NewSeed: newSeed,
		Elapsed: func() time.Duration { return time.Since(h.since) },
		Bell:    h.ring,
	}
}

// bookOfHolds is where the watch of the node's holds looks and tells.
func (h *house) bookOfHolds() lightning.EngineBook {
	return lightning.EngineBook{Engine: h.Engine, Now: time.Now, NewSeed: newSeed}
}

func newSeed() (s orders.Seed) {
	rand.Read(s[:])
	return s
}

// messages begins when the node has been looked at, so that what came while we were away is not refused for want of an
// escrow that is there a moment later.
func (h *house) messages(ctx context.Context) error {
	h.awaitLook(ctx, 15*time.Second)
	h.gate.Run(ctx, h.pool.Events(), h.handle)
	return ctx.Err()
}

// awaitLook waits for the first look at the node's holds, but not for ever: there may be no hold plugin.
func (h *house) awaitLook(ctx context.Context, limit time.Duration) {
	select {
	case <-h.escrow.Looked():
	case <-time.After(limit):
	case <-ctx.Done():
	}
}

// handleLimit bounds one message's way to the disk, the node's look at an invoice included.
const handleLimit = time.Minute

// handle brings one message to the engine. What needs a look at the web first, at the sender's choice of host, goes
// another way, so that nobody else's message waits for it.
func (h *house) handle(ctx context.Context, in nostrio.Incoming) {
	if !webDestination(nostrio.PayoutText(in.Message)) {
		h.take(ctx, in)
		return
	}
	select {
	case h.lookups <- struct{}{}:
		h.loops.Go(func() error {
			defer func() { <-h.lookups }()
			defer h.recovered("message", in.EventID.String())
			h.take(ctx, in)
			return nil
		})
	default:
		h.putOff(in, "too many payout destinations are being looked up")
	}
}

// maxWebLookups is how many messages may wait for the web.
const maxWebLookups = 32

func (h *house) recovered(what, subject string) {
	if p := recover(); p != nil {
		h.log.Error("panic", "in", what, "subject", subject, "panic", p, "stack", string(debug.Stack()))
	}
}

// takeOnce translates a message, decides nothing, and has the engine do it. An error means that it was not done, or that
// this is not known; then doing it again is safe.
func (h *house) takeOnce(ctx context.Context, in nostrio.Incoming) error {
	ctx, cancel := context.WithTimeout(ctx, handleLimit)
	defer cancel()
	input, ok := nostrio.Translate(in, time.Now().Unix(), newSeed(), func(id orders.OrderID, text string) orders.Invoice {
		return h.payoutTo(ctx, in.Sender, id, text)
	})
	if !ok {
		h.log.Debug("message asks for nothing", "event", in.EventID.String(), "action", string(in.Message.Body.Action))
		return nil
	}
	if err := ctx.Err(); err != nil { // what was not found out about a payout by now is no fault of the buyer's
		return err
	}
	input.Closed = h.escrow.Ready() != nil || h.disk.Full() != ""
	input.Quote = h.quote(input)
	out, err := h.Do(ctx, input)
	if err == nil && out.Reason != "" {
		h.log.Debug("refused", "event", in.EventID.String(), "action", string(in.Message.Body.Action), "reason", string(out.Reason))
	}
	return err
}

// timer lets deadlines pass. It begins when the node's holds have been looked at once, so that a payment that came
// while we were away counts before a time limit does; without a hold plugin it begins after a minute all the same.
func (h *house) timer(ctx context.Context) error {
	h.awaitLook(ctx, time.Minute)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := h.Tick(ctx, time.Now().Unix(), newSeed); err != nil && ctx.Err() == nil {
			level := slog.LevelError
			if orders.Unwritten(err) { // said once already, by the watch of the disk
				level = slog.LevelDebug
			}
			h.log.Log(ctx, level, "timer", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Hear implements exchange: notifications are hints to look sooner.
func (h *house) Hear(topic string, params json.RawMessage) {
	switch topic {
	case "holdinvoice_state":
		h.escrow.Poke(hashIn(params))
	case "block_added":
		h.escrow.Poke(orders.Hash{})
	case "sendpay_success", "sendpay_failure", "channel_state_changed":
		h.Hurry()
	}
}

// hashIn finds payment_hash in a notification, at the top or one level down; zero without one.
func hashIn(params json.RawMessage) (hash orders.Hash) {
	var top map[string]json.RawMessage
	if json.Unmarshal(params, &top) != nil {
		return hash
	}
	if json.Unmarshal(top["payment_hash"], &hash) == nil {
		return hash
	}
	for _, v := range top {
		var in struct {
			Hash orders.Hash `json:"payment_hash"`
		}
		if json.Unmarshal(v, &in) == nil && !in.Hash.IsZero() {
			return in.Hash
		}
	}
	return orders.Hash{}
}

// Close implements exchange.
func (h *house) Close(ctx context.Context) error {
	h.stop()
	done := make(chan error, 1)
	go func() { done <- h.loops.Wait() }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = fmt.Errorf("loops still run: %w", ctx.Err())
	}
	return errors.Join(err, h.closeStore())
}

func (h *house) closeStore() error {
	if h.Engine != nil {
		h.Engine.Close()
	}
	if h.store == nil {
		return nil
	}
	return h.store.Close()
}
