package nostrio

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// Gate decides which events are worth the exchange's time. Its checks are two lists, from cheap to dear: the first
// costs microseconds and runs in the goroutine that receives, the second does the cryptography and runs on all cores.
// An event that fails is dropped without an answer, as the protocol wants it, and counted under the check's name.
type Gate struct {
	cfg    GateConfig
	passed atomic.Uint64
	drops  map[Drop]*atomic.Uint64 // filled by NewGate, read only

	mu      sync.Mutex // guards all below
	relays  buckets
	authors buckets
	recent  *lru[orders.EventID, struct{}] // ids of messages that passed
}

// GateConfig says what the gate lets in. Zero numbers mean the defaults named.
type GateConfig struct {
	Key       *Key
	Ways      []orders.Way  // transports that are open; both
	Window    time.Duration // how old a message may be; 24 h. Older ones were seen, or came too late to matter
	Ahead     time.Duration // how far a sender's clock may be ahead; 15 min
	MaxSize   int           // bytes of an event; 64 KiB
	Work      int           // leading zero bits that every event needs (NIP-13)
	FirstWork int           // that direct events of unknown authors need
	PerAuthor Rate          // 60 at once, then one a second
	PerRelay  Rate          // 20,000 at once, then 1,000 a second
	Workers   int           // GOMAXPROCS
	Queue     int           // events that may wait for one worker; 64
	Log       *slog.Logger  // nil: silent

	// Both are called by several goroutines at once, for every event that comes so far: they should be quick.
	Known func(orders.PubKey) bool  // takes part in an order or dispute; nil: everybody
	Seen  func(orders.EventID) bool // id of an event or a message that was dealt with; nil: none
}

// Rate is a token bucket's measure.
type Rate struct {
	Burst     float64
	PerSecond float64
}

// Drop names the check that an event did not pass.
type Drop string

const (
	DropSize      Drop = "size"          // bigger than any message
	DropKind      Drop = "kind"          // of no open transport
	DropReceiver  Drop = "receiver"      // no p tag of ours
	DropAge       Drop = "age"           // too old, or from the future
	DropID        Drop = "id"            // not the hash of the event
	DropSeen      Drop = "seen"          // dealt with before
	DropWork      Drop = "work"          // too little proof of work
	DropFirst     Drop = "first-contact" // too little for an author that we don't know
	DropFlood     Drop = "flood"         // its relay sends too much
	DropRate      Drop = "rate"          // its author sends too much
	DropSignature Drop = "signature"     // wrong
	DropForeign   Drop = "foreign"       // not encrypted for us
	DropMessage   Drop = "message"       // not a message of the protocol
	DropForged    Drop = "forged"        // an inner signature is wrong
	DropUnproven  Drop = "unproven"      // the trade key signed nothing
	DropShape     Drop = "shape"         // action and payload don't fit
	DropPanic     Drop = "panic"         // a fault of ours
)

// letter is an event on its way through the checks, and what they have found out about it.
type letter struct {
	Received
	now    time.Time
	id     orders.EventID
	author orders.PubKey
	in     Incoming
	err    error // of opening it
}

type check struct {
	drop Drop
	no   func(g *Gate, l *letter) bool // true: drop it
}

var cheapChecks = []check{
	{DropSize, (*Gate).tooBig},
	{DropKind, (*Gate).otherKind},
	{DropReceiver, (*Gate).otherReceiver},
	{DropAge, (*Gate).wrongAge},
	{DropID, (*Gate).wrongID},
	{DropWork, (*Gate).tooLittleWork},
	{DropFirst, (*Gate).tooLittleWorkForStrangers},
	{DropSeen, (*Gate).seenEvent},
	{DropFlood, (*Gate).flood},
	{DropRate, (*Gate).authorTooOften},
}

var dearChecks = []check{
	{DropSignature, (*Gate).wrongSignature},
	{DropForeign, (*Gate).foreign},
	{DropForged, (*Gate).forged},
	{DropMessage, (*Gate).noMessage},
	{DropAge, (*Gate).wrongInnerAge},
	{DropUnproven, (*Gate).unproven},
	{DropShape, (*Gate).wrongShape},
	{DropRate, (*Gate).senderTooOften},
	{DropSeen, (*Gate).seenMessage},
}

const (
	bucketsMax = 8192
	recentMax  = 8192
)

// NewGate makes a gate. Without a key it panics.
func NewGate(cfg GateConfig) *Gate {
	if cfg.Key == nil {
		panic("nostrio: gate without a key")
	}
	if len(cfg.Ways) == 0 {
		cfg.Ways = []orders.Way{orders.GiftWrap, orders.Direct}
	}
	setDefault(&cfg.Window, 24*time.Hour)
	setDefault(&cfg.Ahead, 15*time.Minute)
	setDefault(&cfg.MaxSize, 64<<10)
	setDefault(&cfg.Workers, runtime.GOMAXPROCS(0))
	setDefault(&cfg.Queue, 64)
	if cfg.PerAuthor == (Rate{}) {
		cfg.PerAuthor = Rate{Burst: 60, PerSecond: 1}
	}
	if cfg.PerRelay == (Rate{}) {
		cfg.PerRelay = Rate{Burst: 20_000, PerSecond: 1000}
	}
	if cfg.Known == nil {
		cfg.Known = func(orders.PubKey) bool { return true }
	}
	if cfg.Seen == nil {
		cfg.Seen = func(orders.EventID) bool { return false }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gate{
		cfg:     cfg,
		drops:   map[Drop]*atomic.Uint64{DropPanic: new(atomic.Uint64)},
		relays:  buckets{rate: cfg.PerRelay, at: newLRU[string, bucket](bucketsMax)},
		authors: buckets{rate: cfg.PerAuthor, at: newLRU[string, bucket](bucketsMax)},
		recent:  newLRU[orders.EventID, struct{}](recentMax),
	}
	for _, c := range append(slices.Clone(cheapChecks), dearChecks...) {
		g.drops[c.drop] = new(atomic.Uint64)
	}
	return g
}

// Counts says how many events were dropped by each check, and how many passed.
func (g *Gate) Counts() (passed uint64, drops map[Drop]uint64) {
	drops = make(map[Drop]uint64, len(g.drops))
	for d, n := range g.drops {
		drops[d] = n.Load()
	}
	return g.passed.Load(), drops
}

// Check puts one event through all checks, as of the time given. An empty Drop means that it passed.
func (g *Gate) Check(r Received, now time.Time) (Incoming, Drop) {
	l := &letter{Received: r, now: now}
	d := g.pass(l, cheapChecks)
	if d == "" {
		d = g.pass(l, dearChecks)
	}
	if d != "" {
		return Incoming{}, d
	}
	g.passed.Add(1)
	return l.in, ""
}

// pass does the checks and counts the one that failed.
func (g *Gate) pass(l *letter, checks []check) (dropped Drop) {
	defer func() {
		if v := recover(); v != nil {
			g.cfg.Log.Error("gate panicked", "panic", v, "event", l.Event.ID)
			dropped = DropPanic
		}
		if dropped != "" {
			g.drops[dropped].Add(1)
			g.cfg.Log.Debug("event dropped", "event", l.Event.ID, "why", string(dropped), "relay", l.Relay)
		}
	}()
	for _, c := range checks {
		if c.no(g, l) {
			return c.drop
		}
	}
	return ""
}

// Run takes events from in and hands what passes to handle, until ctx ends or in is closed; it returns when all
// workers have. Handle runs in several goroutines at once, but direct messages of one author come one after the other,
// in the order of arrival. Gift wraps have no visible author, so theirs are in no order. When the workers' queues are
// full Run takes no more from in, which is for the relay pool to bear: it drops and asks again later.
func (g *Gate) Run(ctx context.Context, in <-chan Received, handle func(context.Context, Incoming)) {
	queues := make([]chan *letter, g.cfg.Workers)
	var wg sync.WaitGroup
	for i := range queues {
		q := make(chan *letter, g.cfg.Queue)
		queues[i] = q
		wg.Go(func() { g.work(ctx, q, handle) })
	}
	defer wg.Wait()
	defer func() {
		for _, q := range queues {
			close(q)
		}
	}()
	for {
		var l *letter
		select {
		case <-ctx.Done():
			return
		case r, ok := <-in:
			if !ok {
				return
			}
			l = &letter{Received: r, now: time.Now()}
		}
		if g.pass(l, cheapChecks) != "" {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case queues[int(l.author[0])%len(queues)] <- l:
		}
	}
}

// work is one worker: it ends when its queue is closed, or with ctx.
func (g *Gate) work(ctx context.Context, q <-chan *letter, handle func(context.Context, Incoming)) {
	for l := range q {
		if ctx.Err() != nil {
			return
		}
		if g.pass(l, dearChecks) == "" {
			g.passed.Add(1)
			g.guard(l, func() { handle(ctx, l.in) })
		}
	}
}

// guard keeps a panic in one message's handling from ending the process and with it all other trades.
func (g *Gate) guard(l *letter, do func()) {
	defer func() {
		if v := recover(); v != nil {
			g.cfg.Log.Error("message handler panicked", "panic", v, "event", l.Event.ID)
			g.drops[DropPanic].Add(1)
		}
	}()
	do()
}

func (g *Gate) tooBig(l *letter) bool {
	return max(l.Size, len(l.Event.Content)) > g.cfg.MaxSize
}

func (g *Gate) otherKind(l *letter) bool {
	return !(l.Event.Kind == KindDirect && slices.Contains(g.cfg.Ways, orders.Direct) ||
		l.Event.Kind == KindGiftWrap && slices.Contains(g.cfg.Ways, orders.GiftWrap))
}

func (g *Gate) otherReceiver(l *letter) bool {
	us := g.cfg.Key.pub.String()
	for _, t := range l.Event.Tags {
		if len(t) > 1 && t[0] == "p" && t[1] == us {
			return false
		}
	}
	return true
}

// wrongAge looks at the outer time, which on gift wraps is put back by up to two days.
func (g *Gate) wrongAge(l *letter) bool {
	window := g.cfg.Window
	if l.Event.Kind == KindGiftWrap {
		window += maxTweak * time.Second
	}
	return g.outside(int64(l.Event.CreatedAt), l.now, window)
}

func (g *Gate) outside(at int64, now time.Time, window time.Duration) bool {
	return at < now.Add(-window).Unix() || at > now.Add(g.cfg.Ahead).Unix()
}

// wrongID makes sure of the id before anything is concluded from it: that it was seen, or how much work it shows.
func (g *Gate) wrongID(l *letter) (no bool) {
	var ok bool
	l.author, ok = hex32(l.Event.PubKey)
	l.id = hashEvent(l.Event)
	return !ok || l.Event.ID != l.id.String()
}

func (g *Gate) tooLittleWork(l *letter) bool { return workOf(l.id) < g.cfg.Work }

func (g *Gate) tooLittleWorkForStrangers(l *letter) bool {
	return l.Event.Kind == KindDirect && workOf(l.id) < g.cfg.FirstWork && !g.cfg.Known(l.author)
}

func (g *Gate) seenEvent(l *letter) bool { return g.cfg.Seen(l.id) }

func (g *Gate) flood(l *letter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.relays.take(l.Relay, l.now)
}

// authorTooOften counts per relay and author: the signature is not checked yet, and what one relay makes up must not
// use up the share of an author whose messages come by another.
func (g *Gate) authorTooOften(l *letter) bool {
	if l.Event.Kind != KindDirect {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.authors.take(l.Event.PubKey+l.Relay, l.now)
}

func (g *Gate) wrongSignature(l *letter) bool {
	sig, ok := hex64(l.Event.Sig)
	return !ok || !Verify(l.author, l.id, sig)
}

// foreign opens the event; the three checks from here on share the result.
func (g *Gate) foreign(l *letter) bool {
	l.in, l.err = unwrap(g.cfg.Key, l.Event, l.id, l.author)
	l.in.sig, l.in.outerAt = l.Event.Sig, int64(l.Event.CreatedAt)
	return errors.Is(l.err, errDecrypt)
}

func (g *Gate) forged(l *letter) bool {
	return errors.Is(l.err, errTrade) || errors.Is(l.err, errProof)
}

func (g *Gate) noMessage(l *letter) bool { return l.err != nil }

func (g *Gate) wrongInnerAge(l *letter) bool { return g.outside(l.in.At, l.now, g.cfg.Window) }

// unproven: under gift wrap nothing but the signature over the message ties the trade key to the identity. A direct
// message is signed by the trade key as an event, and its identity proof names that key.
func (g *Gate) unproven(l *letter) bool {
	return l.in.Way == orders.GiftWrap && l.in.Identity != l.in.Sender && !l.in.Proven
}

func (g *Gate) wrongShape(l *letter) bool { return l.in.Message.CheckShape() != nil }

// senderTooOften is for gift wraps what authorTooOften is for direct messages: only now the author is known.
func (g *Gate) senderTooOften(l *letter) bool {
	if l.in.Way != orders.GiftWrap {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.authors.take(l.in.Identity.String(), l.now)
}

// seenMessage catches what comes again in another envelope or with another valid signature.
func (g *Gate) seenMessage(l *letter) bool {
	g.mu.Lock()
	again := g.recent.put(l.in.ID, struct{}{})
	g.mu.Unlock()
	return again || l.in.ID != l.id && g.cfg.Seen(l.in.ID)
}

// Forget makes the gate take a message that has passed as one that never came: it was not done, and may come again.
func (g *Gate) Forget(in Incoming) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.recent.remove(in.ID)
}

// buckets are token buckets by name, bounded in number: who is forgotten begins with a full one.
type buckets struct {
	rate Rate
	at   *lru[string, bucket]
}

type bucket struct {
	tokens float64
	asOf   time.Time
}

func (b *buckets) take(name string, now time.Time) bool {
	c, ok := b.at.get(name)
	if !ok {
		c = bucket{b.rate.Burst, now}
	}
	if d := now.Sub(c.asOf); d > 0 {
		c.tokens = min(b.rate.Burst, c.tokens+d.Seconds()*b.rate.PerSecond)
		c.asOf = now
	}
	ok = c.tokens >= 1
	if ok {
		c.tokens--
	}
	b.at.put(name, c)
	return ok
}
