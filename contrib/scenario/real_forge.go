package scenario

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/mostro-cln/mostro/orders"
)

// shadow is how many blocks a forged payment lasts longer than the invoice asks for; honest payers add some too.
const shadow = 3

// Forge implements Wallet, by commands below xpay. It returns when the node has the payment on record.
func (w *realWallet) Forge(ctx context.Context, bolt11 string, f Fault) error {
	inv, group, err := w.begin(ctx, bolt11)
	if err != nil {
		return fmt.Errorf("%s forges: %w", w.name, err)
	}
	switch f {
	case WrongSecret:
		forged := inv
		forged.Secret = strings.Repeat("5e", 32)
		err = w.sendPay(ctx, forged, group, inv.Amount, inv.Amount)
	case WrongTotal:
		// More than twice the amount: up to that much a payee waits for further parts.
		err = w.sendPay(ctx, inv, group, inv.Amount, 3*inv.Amount)
	case WrongNextHop:
		err = w.sendOnion(ctx, inv, group)
	default:
		err = fmt.Errorf("%q is not a fault", f)
	}
	if err != nil {
		return fmt.Errorf("%s forges a %s: %w", w.name, f, err)
	}
	return nil
}

// begin reads an invoice for a payment below xpay, and numbers the payment.
func (w *realWallet) begin(ctx context.Context, bolt11 string) (inv decoded, group uint64, err error) {
	if inv, err = w.decode(ctx, bolt11); err != nil {
		return inv, 0, err
	}
	w.own(inv.Hash)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group++
	return inv, w.group, nil
}

// payPart sends half of what an invoice asks for, and no more.
func (w *realWallet) payPart(ctx context.Context, bolt11 string) error {
	inv, group, err := w.begin(ctx, bolt11)
	if err == nil {
		err = w.sendPay(ctx, inv, group, inv.Amount/2, inv.Amount)
	}
	if err != nil {
		return fmt.Errorf("%s pays a part: %w", w.name, err)
	}
	return nil
}

// sendPay sends one part, which claims to be of a payment of so much in total.
func (w *realWallet) sendPay(ctx context.Context, inv decoded, group uint64, amount, total orders.Msats) error {
	c, err := w.channelFor(ctx, amount)
	if err != nil {
		return err
	}
	return w.node.rpc.Call(ctx, "sendpay", map[string]any{
		"route":        []any{map[string]any{"id": w.exchange.key(), "channel": c.Scid, "amount_msat": amount, "delay": inv.CLTV + shadow}},
		"payment_hash": inv.Hash, "payment_secret": inv.Secret, "amount_msat": total, "partid": 1, "groupid": group,
	}, nil)
}

// channelFor finds a channel to the exchange that can carry the amount.
func (w *realWallet) channelFor(ctx context.Context, amount orders.Msats) (channel, error) {
	rows, err := w.node.channels(ctx, w.exchange)
	if err != nil {
		return channel{}, err
	}
	for _, c := range rows {
		if c.usable() && c.Spendable >= amount {
			return c, nil
		}
	}
	return channel{}, errors.New("no channel can carry " + amount.String())
}

// bogusHop is a channel that nobody has: 999x1x1.
const bogusHop = 999<<40 | 1<<16 | 1

// sendOnion sends an onion that asks the payee to forward the payment through a channel that does not exist.
func (w *realWallet) sendOnion(ctx context.Context, inv decoded, group uint64) error {
	height, err := w.node.chain.height(ctx)
	if err != nil {
		return err
	}
	payload := forwardPayload(uint64(inv.Amount), height+inv.CLTV, bogusHop)
	var o struct {
		Onion   string   `json:"onion"`
		Secrets []string `json:"shared_secrets"`
	}
	err = w.node.rpc.Call(ctx, "createonion", map[string]any{
		"hops":      []any{map[string]any{"pubkey": w.exchange.key(), "payload": hex.EncodeToString(payload)}},
		"assocdata": inv.Hash,
	}, &o)
	if err != nil {
		return err
	}
	return w.node.rpc.Call(ctx, "sendonion", map[string]any{
		"onion": o.Onion, "shared_secrets": o.Secrets, "payment_hash": inv.Hash, "amount_msat": inv.Amount,
		"first_hop": map[string]any{"id": w.exchange.key(), "amount_msat": inv.Amount, "delay": inv.CLTV + shadow},
		"partid":    1, "groupid": group,
	}, nil)
}

// forwardPayload is the onion payload of a node that is to forward (BOLT 4, "payload format"): amt_to_forward in msat,
// outgoing_cltv_value as a block height, short_channel_id. It begins with its length.
func forwardPayload(amount uint64, cltv uint32, scid uint64) []byte {
	var p []byte
	for _, f := range []struct {
		tag   byte
		value []byte
	}{{2, truncated(amount)}, {4, truncated(uint64(cltv))}, {6, bigEndian(scid)}} {
		p = append(append(p, f.tag, byte(len(f.value))), f.value...)
	}
	return append([]byte{byte(len(p))}, p...)
}

func bigEndian(n uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(n >> (56 - 8*i))
	}
	return b
}

// truncated is BOLT 1's tu64: big endian without leading zeros.
func truncated(n uint64) []byte {
	b := bigEndian(n)
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	return b
}
