package hold

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// chain is what we know of the block height. Deadlines count from the highest block ever
// seen: right after a start, and in a reorg, the node reports an older one.
type chain struct {
	mu   sync.Mutex
	high Height
	sync bool // the node said that it is up to date, at or above high
}

func (c *chain) highest() Height {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.high
}

func (c *chain) synced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sync
}

// raise takes a new height in and says whether it is the highest yet.
func (c *chain) raise(h Height) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h <= c.high {
		return false
	}
	c.high = h
	return true
}

// caughtUp takes in that the node is up to date at h, and says whether that is news.
func (c *chain) caughtUp(h Height) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sync || h < c.high {
		return false
	}
	c.sync = true
	return true
}

// blockParams are the params of block_added.
type blockParams struct {
	Block struct {
		Height Height `json:"height"`
	} `json:"block_added"`
}

// block takes a block_added notification in.
func (h *Holder) block(params json.RawMessage) {
	var p blockParams
	if err := json.Unmarshal(params, &p); err != nil {
		h.log.Warn("block_added cannot be read", "err", err)
		return
	}
	h.raise(p.Block.Height)
}

// raise keeps a height, on disk too: the next process must not believe in an older one.
func (h *Holder) raise(height Height) {
	if !h.chain.raise(height) {
		return
	}
	if err := h.vault.Raise(height); err != nil {
		h.log.Error("height cannot be stored", "err", err)
	}
	h.kick()
}

// askHeight asks the node how far it is.
func (h *Holder) askHeight(ctx context.Context) error {
	var out struct {
		Height    Height `json:"blockheight"`
		Bitcoind  string `json:"warning_bitcoind_sync"`
		Lightning string `json:"warning_lightningd_sync"`
	}
	if err := h.rpc(ctx, "getinfo", nil, &out); err != nil {
		return err
	}
	h.raise(out.Height)
	if out.Bitcoind == "" && out.Lightning == "" && h.chain.caughtUp(out.Height) {
		h.news()
	}
	return nil
}

// askNow asks on behalf of a payment, which can wait that long.
func (h *Holder) askNow() {
	ctx, cancel := h.clock.Limit(context.Background(), 2*time.Second)
	defer cancel()
	if err := h.askHeight(ctx); err != nil {
		h.log.Warn("height is not known", "err", err)
	}
}

// watchSync asks until the node is up to date once, then ends.
func (h *Holder) watchSync() func(context.Context, bool) time.Duration {
	pause := 100 * time.Millisecond
	return func(ctx context.Context, _ bool) time.Duration {
		if h.chain.synced() {
			return over
		}
		if err := h.askHeight(ctx); err != nil {
			h.log.Warn("height is not known", "err", err)
		}
		if h.chain.synced() {
			return over
		}
		pause = min(2*pause, 2*time.Second)
		return pause
	}
}

// tickTime is how often every deadline is looked at.
const tickTime = time.Second

func (h *Holder) watchClock(context.Context, bool) time.Duration {
	h.tick()
	return tickTime
}

// tick ends what has waited long enough.
func (h *Holder) tick() {
	for _, c := range h.all(func(*Invoice) bool { return true }) {
		guarded(h.log, "deadline", func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			h.tickOne(c)
		})
	}
}

// tickOne does what is due for one invoice. The caller holds c.mu.
func (h *Holder) tickOne(c *contract) {
	h.judgeAgain(c)
	if c.doubt {
		if err := h.reread(c); err != nil {
			h.log.Error("invoice cannot be read", "hash", c.hash, "err", err)
		}
	}
	height := h.chain.highest()
	err := h.due(c, height, h.clock.Now())
	if err == nil {
		err = h.obey(c)
	}
	if err != nil {
		h.log.Error("deadline is due but cannot be carried out yet", "hash", c.hash, "err", err)
	}
	h.refuseExpired(c, height)
}

// due stores what the height or the clock decides about an open or accepted invoice, and
// carries it out. The caller holds c.mu.
func (h *Holder) due(c *contract, height Height, now time.Time) error {
	inv := &c.inv
	switch {
	case c.doubt || inv.State != Open && inv.State != Accepted:
	case len(inv.HTLCs) == 0:
		if now.Unix() >= inv.ExpiresAt {
			return h.giveBack(c, reasonExpired)
		}
	case int64(inv.MinExpiry())-int64(height) <= int64(h.limits.CancelAt):
		h.log.Warn("payment given back, its expiry is near", "hash", inv.Hash, "expiry", inv.MinExpiry(), "height", height)
		return h.giveBack(c, reasonDeadline)
	// A part that was replayed gets its time again.
	case inv.State == Open && h.clock.Elapsed()-max(h.since, c.partsAt) >= partTimeout:
		return h.dropParts(c)
	}
	return nil
}

// judgeAgain takes up the calls that no verdict could be stored for.
func (h *Holder) judgeAgain(c *contract) {
	again := c.undecided
	c.undecided = nil
	for _, k := range again {
		h.judge(c, k)
	}
}

// dropParts gives an incomplete payment back and waits for another.
func (h *Holder) dropParts(c *contract) error {
	next := c.inv.clone()
	next.HTLCs, next.Total, next.FirstAt = nil, 0, 0
	if err := h.save(c, next); err != nil {
		return err
	}
	h.log.Info("incomplete payment given back", "hash", c.hash)
	return h.obey(c)
}

// refuseExpired answers what has reached its expiry: the part is dead whatever the disk
// says, and an answer after its channel is forgotten stops the node.
func (h *Holder) refuseExpired(c *contract, height Height) {
	for _, key := range c.keys() {
		calls := c.calls[key]
		if calls[0].Offer.Expiry > height {
			continue
		}
		for _, k := range calls {
			answer(h.out, k.ID, replyUnknownDetails(k.Offer.Amount, height))
		}
		delete(c.calls, key)
		h.log.Error("part refused at its expiry", "hash", c.hash, "channel", key.Scid, "htlc", key.ID)
	}
	c.undecided = slices.DeleteFunc(c.undecided, func(k call) bool {
		dead := k.Offer.Expiry <= height
		if dead {
			answer(h.out, k.ID, replyUnknownDetails(k.Offer.Amount, height))
			h.log.Error("undecided part refused at its expiry", "hash", c.hash)
		}
		return dead
	})
}

// guarded runs f and survives its panic: a holder that dies gives every payment back.
func guarded(log *slog.Logger, what string, f func()) {
	defer func() {
		if v := recover(); v != nil {
			log.Error("panic, going on", "in", what, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	f()
}
