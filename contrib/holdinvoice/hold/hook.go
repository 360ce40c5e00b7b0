package hold

import (
	"encoding/json"
	"fmt"
)

// hookParams are the fields of htlc_accepted that are looked at. CLN docs, "htlc_accepted".
type hookParams struct {
	ForwardTo json.RawMessage `json:"forward_to"`
	Onion     struct {
		Type     string          `json:"type"`
		Scid     json.RawMessage `json:"short_channel_id"`
		NextNode json.RawMessage `json:"next_node_id"`
		Forward  *Msat           `json:"forward_msat"`
		CLTV     *Height         `json:"outgoing_cltv_value"`
		Total    *Msat           `json:"total_msat"`
		Secret   *Secret         `json:"payment_secret"`
		Metadata json.RawMessage `json:"payment_metadata"`
	} `json:"onion"`
	HTLC struct {
		Key
		Amount   Msat   `json:"amount_msat"`
		Expiry   Height `json:"cltv_expiry"`
		Relative int64  `json:"cltv_expiry_relative"`
	} `json:"htlc"`
}

// hookHash takes the payment hash out of a hook's params, and nothing else: this is all
// that the payments of other people cost.
func hookHash(params json.RawMessage) (Hash, bool) {
	var p struct {
		HTLC struct {
			Hash Hash `json:"payment_hash"`
		} `json:"htlc"`
	}
	err := json.Unmarshal(params, &p)
	return p.HTLC.Hash, err == nil
}

// readOffer reads the params of a hook call for one of our hashes. With an error the offer
// still has its key and amount, as far as they could be read.
func readOffer(params json.RawMessage) (offer, error) {
	var p hookParams
	err := json.Unmarshal(params, &p)
	o := offer{
		HTLC:     HTLC{Key: p.HTLC.Key, Amount: p.HTLC.Amount, Expiry: p.HTLC.Expiry},
		Relative: p.HTLC.Relative,
		Final:    p.Onion.Type == "tlv" && absent(p.Onion.Scid) && absent(p.Onion.NextNode) && absent(p.ForwardTo),
		Metadata: !absent(p.Onion.Metadata),
		Secret:   p.Onion.Secret,
		Forward:  p.Onion.Forward,
		CLTV:     p.Onion.CLTV,
		Total:    p.Onion.Total,
	}
	if err == nil && (o.Scid == "" || o.Expiry == 0) {
		err = fmt.Errorf("htlc has no channel or no expiry")
	}
	if err != nil {
		return o, fmt.Errorf("read htlc_accepted: %w", err)
	}
	return o, nil
}

func readCall(id, params json.RawMessage) (call, error) {
	o, err := readOffer(params)
	return call{ID: id, Offer: o}, err
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// accept judges one HTLC of c and answers, or holds it by not answering. A panic in here
// must not give a hold away: the call stays unanswered and is judged again later.
func (h *Holder) accept(c *contract, id, params json.RawMessage) {
	k, err := readCall(id, params)
	guarded(h.log, "hook", func() { h.acceptOne(c, k, err) })
}

func (h *Holder) acceptOne(c *contract, k call, err error) {
	o := k.Offer
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		h.log.Warn("payment refused", "hash", c.hash, "why", unreadable, "err", err)
		answer(h.out, k.ID, replyUnknownDetails(o.Amount, h.chain.highest()))
		return
	}
	if len(c.undecided) >= maxParts && replayed(&c.inv, o, c.live) < 0 {
		// Nothing can be stored for long already. This one never was.
		h.log.Warn("payment refused", "hash", c.hash, "why", tooManyWait)
		answer(h.out, k.ID, replyTryLater(temporaryNodeFailure))
		return
	}
	h.judge(c, k)
}

// judge decides one call and carries the verdict out. The caller holds c.mu.
func (h *Holder) judge(c *contract, k call) {
	done := false
	defer func() {
		if v := recover(); v != nil {
			h.log.Error("panic while a payment was judged; it stays held", "hash", c.hash, "panic", fmt.Sprint(v))
		}
		if !done {
			c.undecided = append(c.undecided, k)
		}
	}()
	if err := h.reread(c); err != nil {
		h.log.Error("payment held without a decision", "hash", c.hash, "err", err)
		return
	}
	if !h.chain.synced() {
		h.askNow()
	}
	v := h.decide(c.inv, k.Offer, h.situation(c))
	if v.Next != nil {
		if err := h.save(c, *v.Next); err != nil {
			return
		}
	}
	switch v.Do {
	case refuse, refuseForNow:
		h.log.Info("payment refused", "hash", c.hash, "channel", v.Key.Scid, "htlc", v.Key.ID, "why", v.Why)
		reply := replyUnknownDetails(k.Offer.Amount, h.chain.highest())
		if v.Do == refuseForNow {
			reply = replyTryLater(temporaryNodeFailure)
		}
		answer(h.out, k.ID, reply)
	case hold, resolve:
		c.live[v.Key] = true
		c.calls[v.Key] = append(c.calls[v.Key], k)
		h.news()
		if err := h.obey(c); err != nil {
			h.log.Error("decision cannot be carried out yet", "hash", c.hash, "err", err)
		}
	}
	done = true
}
