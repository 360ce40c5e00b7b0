package hold

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/orders/failpoint"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// Vault is the disk as the holder uses it, see Store. A nil error means on disk; any other
// leaves open whether it is.
type Vault interface {
	Put(Invoice) (Invoice, error)
	Get(Hash) (*Invoice, error)
	Drop(Hash) error
	Raise(Height) error
	Height() (Height, error)
	Live() ([]Invoice, error)
	ByLabel(string) (*Invoice, error)
	List(state State, from uint64, limit int) ([]Invoice, error)
	Change(from uint64) (*Invoice, error)
	Retire([]Hash) error
	Prune(before int64, limit int) (int, error)
	Tomb(Hash) (*Tomb, error)
}

// Limits are the blocks at which a hold ends.
type Limits struct {
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

// Holder keeps the invoices and the hook calls that are owed an answer.
type Holder struct {
	log     *slog.Logger
	node    Node
	out     Outlet
	vault   Vault
	clock   Clock
	seal    *seal
	limits  Limits
	keepFor time.Duration                           // how long the record of an ended invoice stays; negative: for ever
	begun   time.Time                               // by the wall clock
	since   time.Duration                           // the same by Elapsed
	quiet   bool                                    // no notifications: the guard has no topic of its own
	late    bool                                    // loaded into a running node: whatever was held before is gone
	about   string                                  // our version
	decide  func(Invoice, offer, situation) verdict // decide; tests put mistakes in its place

	jobs  jobs
	begin func() // makes the jobs, once

	chain chain
	moved moveBook
	kicks chan struct{} // capacity one: something to confirm
	pause time.Duration // of the confirmer
	told  mirror

	reserving sync.Mutex    // one new invoice at a time is looked up and stored
	waiters   chan struct{} // a token for each caller of holdinvoicewait

	mu        sync.RWMutex         // guards what follows, never held while waiting
	contracts map[Hash]*contract   // of invoices that are not retired
	labels    map[string]*contract // the same by label
	order     []*contract          // the same, in the order in which they came
	changed   chan struct{}        // closed and replaced by news
}

// contract is one invoice with the calls that wait on it.
type contract struct {
	hash  Hash
	label string

	mu      sync.Mutex // held over judgement, disk and answer: one thing at a time per hash
	inv     Invoice    // as stored
	calls   map[Key][]call
	live    map[Key]bool  // parts that came since this process started
	paid    map[Key]bool  // parts that were answered with the preimage since then
	partsAt time.Duration // by Elapsed: when the first part of an incomplete payment came to this process
	doubt   bool          // a write failed: the disk may say something else
	missing time.Duration // since when, by Elapsed, a settled payment is nowhere to be seen

	undecided []call // no verdict could be stored; judged again at each tick
	making    bool   // its invoice is being made
}

// call is an htlc_accepted call that is owed an answer.
type call struct {
	ID    json.RawMessage
	Offer offer
}

// newHolder makes a holder that has not looked at its vault yet.
func newHolder(c Config) *Holder {
	if c.Clock == nil {
		c.Clock = SystemClock()
	}
	h := &Holder{
		log: c.Log, node: c.Node, out: c.Out, vault: c.Vault, clock: c.Clock, limits: c.Limits,
		late: c.Late, about: c.Version, keepFor: c.Keep,
		decide:    decide,
		seal:      &seal{node: c.Node, clock: c.Clock},
		begun:     c.Clock.Now(),
		since:     c.Clock.Elapsed(),
		jobs:      jobs{clock: c.Clock, log: c.Log},
		kicks:     make(chan struct{}, 1),
		told:      mirror{dirty: map[Hash]State{}, wake: make(chan struct{}, 1)},
		waiters:   make(chan struct{}, maxWaiters),
		contracts: map[Hash]*contract{},
		labels:    map[string]*contract{},
		changed:   make(chan struct{}),
	}
	h.begin = sync.OnceFunc(h.makeJobs)
	return h
}

// makeJobs lists what the holder does by itself.
func (h *Holder) makeJobs() {
	recovery := recoverTime
	if h.late {
		recovery = 0
	}
	h.jobs.add("sync", 0, nil, h.watchSync())
	h.jobs.add("clock", tickTime, nil, h.watchClock)
	h.jobs.add("proofs", firstLook, h.kicks, h.confirm)
	h.jobs.add("guard", never, h.told.wake, h.keepMirror)
	h.jobs.add("recover", recovery, nil, h.recoverHeld)
	h.jobs.add("cleanup", 0, nil, h.dropUnfinished())
	h.jobs.add("compare", 0, nil, h.dropStrangers)
	h.jobs.add("retire", retirePause, nil, h.retire)
	for _, c := range h.all(func(inv *Invoice) bool { return !inv.State.Final() }) {
		c.mu.Lock()
		h.told.set(c.hash, c.inv.State)
		c.mu.Unlock()
	}
	h.kick()
}

// load takes in what the store holds; before the first hook call.
func (h *Holder) load(all []Invoice, height Height) {
	slices.SortFunc(all, func(a, b Invoice) int { return cmp.Compare(a.Created, b.Created) })
	for _, inv := range all {
		h.add(newContract(inv))
	}
	h.chain.raise(height)
}

func (h *Holder) add(c *contract) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.contracts[c.hash] = c
	h.labels[c.label] = c
	h.order = append(h.order, c)
}

// remove forgets contracts.
func (h *Holder) remove(list ...*contract) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range list {
		delete(h.contracts, c.hash)
		delete(h.labels, c.label)
	}
	h.order = slices.DeleteFunc(h.order, func(c *contract) bool { return h.contracts[c.hash] != c })
}

// named returns the contract of a label, or nil.
func (h *Holder) named(label string) *contract {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.labels[label]
}

func newContract(inv Invoice) *contract {
	return &contract{hash: inv.Hash, label: inv.Label, inv: inv, calls: map[Key][]call{}, live: map[Key]bool{}, paid: map[Key]bool{}}
}

// knows returns the contract that a hook call is for, or nil. It waits for nobody.
func (h *Holder) knows(params json.RawMessage) *contract {
	hash, ok := hookHash(params)
	if !ok {
		return nil
	}
	return h.find(hash)
}

// find returns the contract of a hash, or nil.
func (h *Holder) find(hash Hash) *contract {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.contracts[hash]
}

// all returns the contracts that pick chooses by their invoice, the oldest first.
func (h *Holder) all(pick func(*Invoice) bool) []*contract {
	h.mu.RLock()
	list := slices.Clone(h.order)
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
func (h *Holder) save(c *contract, next Invoice) error {
	before, first := c.inv.State, c.inv.FirstAt
	if next.State.Final() && next.EndedAt == 0 {
		next.EndedAt = h.clock.Now().Unix()
	}
	failpoint.Hit("before", "commit", string(next.State))
	stored, err := h.vault.Put(next)
	if err != nil {
		c.doubt = true
		h.log.Error("invoice cannot be stored", "hash", c.hash, "state", next.State, "err", err)
		return err
	}
	failpoint.Hit("after", "commit", string(next.State))
	c.inv = stored
	if stored.FirstAt != first {
		c.partsAt = h.clock.Elapsed()
	}
	c.forgetParts()
	if stored.State != before {
		h.announce(&stored, before)
	}
	return nil
}

// forgetParts drops what is known of parts that the payment has no more: a payer may send
// new ones for as long as the invoice is open. The caller holds c.mu.
func (c *contract) forgetParts() {
	gone := func(k Key, _ bool) bool { return c.inv.find(k) < 0 }
	maps.DeleteFunc(c.live, gone)
	maps.DeleteFunc(c.paid, gone)
}

// reread ends a doubt by what the disk says. The caller holds c.mu.
func (h *Holder) reread(c *contract) error {
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
		c.forgetParts()
		if before != stored.State {
			h.announce(stored, before)
		}
	}
	c.doubt = false
	return nil
}

// announce tells everyone who may care of a new state. It is on disk already.
func (h *Holder) announce(inv *Invoice, from State) {
	h.log.Info("invoice changed", "hash", inv.Hash, "from", from, "to", inv.State, "reason", inv.Reason)
	h.told.set(inv.Hash, inv.State)
	h.news()
	h.kick()
	if inv.State != Creating {
		h.notify(StateNote{inv.Hash, inv.State, from, inv.Reason, inv.Updated})
	}
}

func (h *Holder) notify(n StateNote) {
	if !h.quiet {
		_ = h.out.Write(clnio.Message{Method: Topic, Params: marshaled(map[string]any{Topic: n})})
	}
}

// Topic is the notification of a change of state.
const Topic = "holdinvoice_state"

// StateNote is what the Topic carries.
type StateNote struct {
	Hash    Hash   `json:"payment_hash"`
	State   State  `json:"state"`
	From    State  `json:"old_state"`
	Reason  string `json:"reason,omitempty"`
	Updated uint64 `json:"updated_index"`
}

// news wakes everyone who waits for a change.
func (h *Holder) news() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.changed)
	h.changed = make(chan struct{})
}

// change returns a channel that closes at the next change of any invoice, or when a part
// of one comes in.
func (h *Holder) change() <-chan struct{} {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.changed
}

// kick makes the confirmer look now.
func (h *Holder) kick() {
	select {
	case h.kicks <- struct{}{}:
	default: // it will look anyway
	}
}

// situation is the world as this contract's judgement needs it. The caller holds c.mu.
func (h *Holder) situation(c *contract) situation {
	return situation{Height: h.chain.highest(), Synced: h.chain.synced(), Now: h.clock.Now(), Live: c.live}
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
func (h *Holder) rpc(ctx context.Context, method string, params, result any) error {
	ctx, cancel := h.clock.Limit(ctx, rpcTimeout)
	defer cancel()
	return h.node.Call(ctx, method, params, result)
}
