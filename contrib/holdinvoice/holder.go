package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// vault is the store as the holder uses it. A nil error means on disk; any other leaves
// open whether it is.
type vault interface {
	Put(Invoice) (Invoice, error)
	Get(Hash) (*Invoice, error)
	Drop(Hash) error
	Raise(Height) error
}

// limits are the blocks at which a hold ends.
type limits struct {
	SettleMin Height // fewest blocks left at which a settle may begin
	CancelAt  Height // blocks left at which a payment that nobody settled is given back
}

const (
	// partTimeout ends an incomplete payment (BOLT 4: at least 60 s).
	partTimeout = 60 * time.Second
	// recoverTime is how long parts may take to come back after a start.
	recoverTime = 60 * time.Second
	// rpcTimeout bounds a call of a command that answers at once.
	rpcTimeout = 30 * time.Second
)

// holder keeps the invoices and the hook calls that are owed an answer.
type holder struct {
	log    *slog.Logger
	node   node
	out    outlet
	vault  vault
	seal   *seal
	limits limits
	begun  time.Time
	quiet  bool // no notifications: the guard has no topic of its own
	late   bool // loaded into a running node: whatever was held before is gone

	chain chain
	moved moveBook
	kicks chan struct{} // capacity one: something to confirm
	told  mirror

	reserving sync.Mutex // one new invoice at a time is looked up and stored

	mu        sync.RWMutex // guards what follows, never held while waiting
	contracts map[Hash]*contract
	changed   chan struct{} // closed and replaced by news
}

// contract is one invoice with the calls that wait on it.
type contract struct {
	hash Hash

	mu      sync.Mutex // held over judgement, disk and answer: one thing at a time per hash
	inv     Invoice    // as stored
	calls   map[Key][]call
	live    map[Key]bool // parts that came since this process started
	paid    map[Key]bool // parts that were answered with the preimage since then
	doubt   bool         // a write failed: the disk may say something else
	missing time.Time    // since when a settled payment is nowhere to be seen

	undecided []call // no verdict could be stored; judged again at each tick
	making    bool   // its invoice is being made
}

// call is an htlc_accepted call that is owed an answer.
type call struct {
	ID    json.RawMessage
	Offer offer
}

func newHolder(log *slog.Logger, n node, out outlet, v vault, l limits) *holder {
	return &holder{
		log: log, node: n, out: out, vault: v, limits: l,
		seal:      &seal{node: n},
		begun:     time.Now(),
		kicks:     make(chan struct{}, 1),
		told:      mirror{dirty: map[Hash]State{}, wake: make(chan struct{}, 1)},
		contracts: map[Hash]*contract{},
		changed:   make(chan struct{}),
	}
}

// load takes in what the store holds; before the first hook call.
func (h *holder) load(all []Invoice, height Height) {
	for _, inv := range all {
		h.contracts[inv.Hash] = newContract(inv)
	}
	h.chain.raise(height)
}

func newContract(inv Invoice) *contract {
	return &contract{hash: inv.Hash, inv: inv, calls: map[Key][]call{}, live: map[Key]bool{}, paid: map[Key]bool{}}
}

// find returns the contract of a hash, or nil.
func (h *holder) find(hash Hash) *contract {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.contracts[hash]
}

// all returns the contracts that pick chooses by their invoice.
func (h *holder) all(pick func(*Invoice) bool) []*contract {
	h.mu.RLock()
	list := make([]*contract, 0, len(h.contracts))
	for _, c := range h.contracts {
		list = append(list, c)
	}
	h.mu.RUnlock()
	chosen := list[:0]
	for _, c := range list {
		c.mu.Lock()
		if pick(&c.inv) {
			chosen = append(chosen, c)
		}
		c.mu.Unlock()
	}
	return chosen
}

// save puts next on disk and, that done, in memory. The caller holds c.mu. After an error
// nobody knows what is on disk: the contract is in doubt until reread has looked.
func (h *holder) save(c *contract, next Invoice) error {
	before := c.inv.State
	stored, err := h.vault.Put(next)
	if err != nil {
		c.doubt = true
		h.log.Error("invoice cannot be stored", "hash", c.hash, "state", next.State, "err", err)
		return err
	}
	c.inv = stored
	if stored.State != before {
		h.announce(&stored, before)
	}
	return nil
}

// reread ends a doubt by what the disk says. The caller holds c.mu.
func (h *holder) reread(c *contract) error {
	if !c.doubt {
		return nil
	}
	stored, err := h.vault.Get(c.hash)
	if err != nil {
		return fmt.Errorf("read %.8s again: %w", c.hash, err)
	}
	if stored != nil {
		before := c.inv.State
		c.inv = *stored
		if before != stored.State {
			h.announce(stored, before)
		}
	}
	c.doubt = false
	return nil
}

// announce tells everyone who may care of a new state. It is on disk already.
func (h *holder) announce(inv *Invoice, from State) {
	h.log.Info("invoice changed", "hash", inv.Hash, "from", from, "to", inv.State, "reason", inv.Reason)
	h.told.set(inv.Hash, inv.State)
	h.news()
	h.kick()
	if inv.State != Creating {
		h.notify(stateNote{inv.Hash, inv.State, from, inv.Reason, inv.Updated})
	}
}

func (h *holder) notify(n stateNote) {
	if !h.quiet {
		_ = h.out.Write(clnio.Message{Method: topic, Params: marshaled(map[string]any{topic: n})})
	}
}

// topic is the notification of a change of state.
const topic = "holdinvoice_state"

// stateNote is what the topic carries.
type stateNote struct {
	Hash    Hash   `json:"payment_hash"`
	State   State  `json:"state"`
	From    State  `json:"old_state"`
	Reason  string `json:"reason,omitempty"`
	Updated uint64 `json:"updated_index"`
}

// news wakes everyone who waits for a change.
func (h *holder) news() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.changed)
	h.changed = make(chan struct{})
}

// change returns a channel that closes at the next change of any invoice, or when a part
// of one comes in.
func (h *holder) change() <-chan struct{} {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.changed
}

// kick makes the confirmer look now.
func (h *holder) kick() {
	select {
	case h.kicks <- struct{}{}:
	default: // it will look anyway
	}
}

// situation is the world as this contract's judgement needs it. The caller holds c.mu.
func (h *holder) situation(c *contract) situation {
	return situation{Height: h.chain.highest(), Synced: h.chain.synced(), Now: time.Now(), Live: c.live}
}

// recovering says that parts of an accepted payment have not come back yet.
// The caller holds c.mu.
func (c *contract) recovering() bool {
	if c.inv.State != Accepted {
		return false
	}
	for _, part := range c.inv.HTLCs {
		if !c.live[part.Key] {
			return true
		}
	}
	return false
}

// back is the sum of the parts that are here.
func (c *contract) back() (sum Msat) {
	for _, part := range c.inv.HTLCs {
		if c.live[part.Key] {
			sum += part.Amount
		}
	}
	return sum
}

// rpc calls a command that answers at once.
func (h *holder) rpc(ctx context.Context, method string, params, result any) error {
	ctx, cancel := context.WithTimeout(ctx, rpcTimeout)
	defer cancel()
	return h.node.Call(ctx, method, params, result)
}
