package hold

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// htlcRow is an incoming HTLC as listhtlcs and listpeerchannels show it.
type htlcRow struct {
	Scid      string `json:"short_channel_id"`
	ID        uint64 `json:"id"`
	Direction string `json:"direction"`
	State     string `json:"state"`
	Amount    Msat   `json:"amount_msat"`
	Expiry    Height `json:"expiry"`
	Hash      Hash   `json:"payment_hash"`
}

// is compares with a part, but not by channel: its name may have changed since.
func (r *htlcRow) is(hash Hash, part HTLC) bool {
	return r.Direction == "in" && r.Hash == hash && r.ID == part.ID && r.Amount == part.Amount && r.Expiry == part.Expiry
}

// channels is the answer of listpeerchannels.
type channels struct {
	Channels []channel `json:"channels"`
}

type channel struct {
	State string    `json:"state"`
	Scid  string    `json:"short_channel_id"`
	HTLCs []htlcRow `json:"htlcs"`
}

// stateHeld is an incoming HTLC that waits for its hook's answer.
const stateHeld = "RCVD_ADD_ACK_REVOCATION"

// each calls f for every incoming HTLC of the hash until f says stop.
func (cs channels) each(hash Hash, f func(channelState string, r *htlcRow) (stop bool)) {
	for i := range cs.Channels {
		for j := range cs.Channels[i].HTLCs {
			r := &cs.Channels[i].HTLCs[j]
			if r.Direction == "in" && r.Hash == hash && f(cs.Channels[i].State, r) {
				return
			}
		}
	}
}

// holds says whether a part is held on a channel that works.
func (cs channels) holds(hash Hash) (yes bool) {
	cs.each(hash, func(channel string, r *htlcRow) bool {
		yes = offChain(channel) && r.State == stateHeld
		return yes
	})
	return yes
}

// shows says whether any channel still knows a part.
func (cs channels) shows(hash Hash) (yes bool) {
	cs.each(hash, func(string, *htlcRow) bool { yes = true; return true })
	return yes
}

// works says whether a channel that works still knows a part.
func (cs channels) works(hash Hash) (yes bool) {
	cs.each(hash, func(channel string, r *htlcRow) bool { yes = offChain(channel); return yes })
	return yes
}

// offChain says whether a channel in that state settles its HTLCs by agreement:
// CHANNELD_NORMAL, or for a while one of its neighbours during a splice or a closing. On one
// that went to the chain an HTLC looks held for ever.
func offChain(channel string) bool { return strings.HasPrefix(channel, "CHANNELD_") }

// find returns the state of a part, and whether its channel settles by agreement.
func (cs channels) find(hash Hash, part HTLC) (state string, agreed, ok bool) {
	cs.each(hash, func(channel string, r *htlcRow) bool {
		if r.is(hash, part) {
			state, agreed, ok = r.State, offChain(channel), true
		}
		return ok
	})
	return state, agreed, ok
}

// agrees says whether the channel of that name is there and settles by agreement.
func (cs channels) agrees(scid string) bool {
	return slices.ContainsFunc(cs.Channels, func(c channel) bool {
		return c.Scid == scid && offChain(c.State)
	})
}

// holdsPart is holds for one part.
func (cs channels) holdsPart(hash Hash, part HTLC) (yes bool) {
	cs.each(hash, func(channel string, r *htlcRow) bool {
		yes = offChain(channel) && r.State == stateHeld && r.is(hash, part)
		return yes
	})
	return yes
}

func (h *Holder) listHeld(ctx context.Context) (cs channels, err error) {
	err = h.rpc(ctx, "listpeerchannels", nil, &cs)
	return cs, err
}

// listHTLCs returns the history of a channel; of all channels if the name is gone.
func (h *Holder) listHTLCs(ctx context.Context, scid string) ([]htlcRow, error) {
	var out struct {
		HTLCs []htlcRow `json:"htlcs"`
	}
	err := h.rpc(ctx, "listhtlcs", map[string]string{"id": scid}, &out)
	var refused *clnio.Error
	if errors.As(err, &refused) {
		err = h.rpc(ctx, "listhtlcs", nil, &out)
	}
	return out.HTLCs, err
}

// income is what came in for one hash.
type income struct{ offChain, onChain Msat }

// moveBook reads the node's bookkeeping forward and sums up per hash, so that each row is
// read once.
type moveBook struct {
	mu      sync.Mutex
	begun   bool
	next    uint64 // first channel move not read yet
	off     map[Hash]Msat
	missing bool // the node is older than this command
}

func (b *moveBook) unavailable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.missing
}

// forget drops the sums of invoices that need none any more.
func (b *moveBook) forget(hashes []Hash) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range hashes {
		delete(b.off, h)
	}
}

// movesAtOnce bounds one answer of listchannelmoves.
const movesAtOnce = 2000

// booked returns what the node's books show for an invoice. known is false where the node
// keeps no such books.
func (r *round) booked(ctx context.Context, inv *Invoice) (got income, known bool, err error) {
	b := &r.h.moved
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.begun {
		b.begun, b.off = true, map[Hash]Msat{}
		b.next = r.h.oldestMove()
	}
	if !r.moves {
		if err := r.h.readMoves(ctx, b); err != nil {
			return income{}, false, err
		}
		r.moves = true
	}
	if b.missing {
		return income{}, false, nil
	}
	got.offChain = b.off[inv.Hash]
	if got.offChain < inv.Amount {
		if r.chain == nil {
			if r.chain, err = r.h.chainIncome(ctx); err != nil {
				return income{}, false, err
			}
		}
		got.onChain = r.chain[inv.Hash]
	}
	return got, true, nil
}

// oldestMove is where reading must begin so that no outstanding invoice's rows are missed.
func (h *Holder) oldestMove() uint64 {
	from := uint64(0)
	for i, c := range h.all(outstanding) {
		c.mu.Lock()
		if start := c.inv.MoveStart; i == 0 || start < from {
			from = start
		}
		c.mu.Unlock()
	}
	return max(from, 1)
}

func (h *Holder) readMoves(ctx context.Context, b *moveBook) error {
	for !b.missing {
		var out struct {
			Moves []struct {
				Index  uint64 `json:"created_index"`
				Credit Msat   `json:"credit_msat"`
				Tag    string `json:"primary_tag"`
				Hash   *Hash  `json:"payment_hash"`
			} `json:"channelmoves"`
		}
		err := h.rpc(ctx, "listchannelmoves", map[string]any{"index": "created", "start": b.next, "limit": movesAtOnce}, &out)
		var refused *clnio.Error
		if errors.As(err, &refused) && refused.Code == clnio.CodeMethodNotFound {
			b.missing = true
			return nil
		}
		if err != nil {
			return err
		}
		for _, m := range out.Moves {
			if m.Index < b.next {
				return fmt.Errorf("listchannelmoves: index %d before the asked %d", m.Index, b.next)
			}
			b.next = m.Index + 1
			if m.Hash != nil && m.Tag == "invoice" && h.find(*m.Hash) != nil {
				b.off[*m.Hash] += m.Credit
			}
		}
		if len(out.Moves) < movesAtOnce {
			return nil
		}
	}
	return nil
}

// chainIncome sums up what was claimed on chain, by hash.
func (h *Holder) chainIncome(ctx context.Context) (map[Hash]Msat, error) {
	var out struct {
		Moves []struct {
			Credit Msat   `json:"credit_msat"`
			Tag    string `json:"primary_tag"`
			Hash   *Hash  `json:"payment_hash"`
		} `json:"chainmoves"`
	}
	if err := h.rpc(ctx, "listchainmoves", nil, &out); err != nil {
		return nil, err
	}
	sums := map[Hash]Msat{}
	for _, m := range out.Moves {
		if m.Hash != nil && m.Tag == "htlc_fulfill" {
			sums[*m.Hash] += m.Credit
		}
	}
	return sums, nil
}

// moveIndex is the number of the node's newest channel move, or 0 if it will not say.
func (h *Holder) moveIndex(ctx context.Context) uint64 {
	var out struct {
		Created uint64 `json:"created"`
	}
	err := h.rpc(ctx, "wait", map[string]any{"subsystem": "channelmoves", "indexname": "created", "nextvalue": 0}, &out)
	if err != nil {
		h.log.Debug("channel moves cannot be counted", "err", err)
		return 0
	}
	return out.Created
}
