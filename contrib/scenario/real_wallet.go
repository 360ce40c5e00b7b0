package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// realWallet is one person's share of a node: the invoices that he made and the payments that he began there. What came
// of them is always asked of the node.
type realWallet struct {
	node, exchange *lightningd
	name           string
	start          orders.Msats

	mu     sync.Mutex
	labels []string            // of his invoices
	offers []string            // ids of his offers
	hashes []orders.Hash       // of his payments
	calls  map[orders.Hash]int // payment calls that the node has not answered
	group  uint64              // of his last forged payment
}

// Wallet implements Node. A name that begins with "seller" has its place on the sellers' node.
func (r *Real) Wallet(ctx context.Context, name string, sats orders.Sats) (Wallet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w, ok := r.wallets[name]; ok {
		return w, nil
	}
	node := r.buyer
	if strings.HasPrefix(name, "seller") {
		node = r.seller
	}
	rows, err := node.channels(ctx, r.exchange)
	if err != nil {
		return nil, err
	}
	var there orders.Msats
	for _, c := range rows {
		there += c.Spendable
	}
	if there < sats.Msats() {
		return nil, fmt.Errorf("wallet %s: the node of all %ss can spend %s, less than %s", name, node.name, there, sats)
	}
	w := &realWallet{node: node, exchange: r.exchange, name: name, start: sats.Msats(), calls: map[orders.Hash]int{}}
	r.wallets[name] = w
	return w, nil
}

// Invoice implements Wallet.
func (w *realWallet) Invoice(ctx context.Context, amount orders.Sats, label string) (string, error) {
	label = w.name + "/" + label
	var r struct {
		Bolt11 string `json:"bolt11"`
	}
	err := w.node.rpc.Call(ctx, "invoice", map[string]any{
		"amount_msat": amount.Msats(), "label": label, "description": label, "expiry": 7 * 86400,
	}, &r)
	if err != nil {
		return "", fmt.Errorf("%s: %w", w.name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.labels = append(w.labels, label)
	return r.Bolt11, nil
}

// decoded is an invoice as the payer's node reads it.
type decoded struct {
	Hash   orders.Hash  `json:"payment_hash"`
	Secret string       `json:"payment_secret"` // hex
	Amount orders.Msats `json:"amount_msat"`
	CLTV   uint32       `json:"min_final_cltv_expiry"` // blocks
	Valid  bool         `json:"valid"`
}

func (w *realWallet) decode(ctx context.Context, bolt11 string) (inv decoded, err error) {
	err = w.node.rpc.Call(ctx, "decode", map[string]any{"string": bolt11}, &inv)
	if err == nil && !inv.Valid {
		err = errors.New("the invoice is not valid")
	}
	return inv, err
}

// insistence is how long a payment is begun anew while no channel can carry it.
const insistence = 20 * time.Second

// retryCodes are what xpay says of a peer that is away or has just gone: nothing was at fault but the moment, and a
// person whose wallet says so tries again. A refusal by the payee has another code.
//
//	205  no channel can be used
//	209  one was tried and lost its peer, the others cannot be used
//	-3   the peer went away under xpay's hands
var retryCodes = []int{205, 209, -3}

// Pay implements Wallet: it returns when the node has a new part on record.
func (w *realWallet) Pay(ctx context.Context, bolt11 string) error {
	inv, err := w.decode(ctx, bolt11)
	if err != nil {
		return fmt.Errorf("%s pays: %w", w.name, err)
	}
	before, err := w.node.parts(ctx, inv.Hash)
	if err != nil {
		return fmt.Errorf("%s pays: %w", w.name, err)
	}
	w.own(inv.Hash)
	w.pending(inv.Hash, +1)
	over := make(chan error, 1)
	go func() { // ends with the payment, or with the node
		defer w.pending(inv.Hash, -1)
		over <- w.xpay(context.WithoutCancel(ctx), bolt11)
	}()
	ended := false
	var result error
	err = until(ctx, "the node has a part on record", func() (bool, error) {
		select {
		case result = <-over:
			ended = true
		default:
		}
		parts, err := w.node.parts(ctx, inv.Hash)
		if err == nil && len(parts) > len(before) {
			result = nil // whatever became of it: Payment tells
			return true, nil
		}
		return ended, err
	})
	if err = errors.Join(err, result); err != nil {
		return fmt.Errorf("%s pays: %w", w.name, err)
	}
	return nil
}

// xpay pays until the payment has ended well, or badly at the other end.
func (w *realWallet) xpay(ctx context.Context, bolt11 string) error {
	for last := time.Now().Add(insistence); ; {
		err := w.node.rpc.Call(ctx, "xpay", map[string]any{"invstring": bolt11}, nil)
		var told *clnio.Error
		if !errors.As(err, &told) || !slices.Contains(retryCodes, told.Code) || time.Now().After(last) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
		w.node.forgetRoutes(ctx)
	}
}

// forgetRoutes makes xpay forget what it has learned. From a peer that goes away under its hands it learns that the
// channel cannot carry the amount, and believes that for an hour.
func (n *lightningd) forgetRoutes(ctx context.Context) {
	soon := time.Now().Add(time.Minute).Unix()
	// A node that cannot do it only pays later.
	_ = n.rpc.Call(ctx, "askrene-age", map[string]any{"layer": "xpay", "cutoff": soon}, nil)
}

func (w *realWallet) pending(hash orders.Hash, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[hash] += n
}

func (w *realWallet) own(hash orders.Hash) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.hashes, hash) {
		w.hashes = append(w.hashes, hash)
	}
}

// Payment implements Wallet.
func (w *realWallet) Payment(ctx context.Context, bolt11 string) (PaymentState, error) {
	inv, err := w.decode(ctx, bolt11)
	if err != nil {
		return "", err
	}
	w.mu.Lock()
	calls := w.calls[inv.Hash]
	w.mu.Unlock()
	parts, err := w.node.parts(ctx, inv.Hash)
	if err != nil {
		return "", err
	}
	if len(parts) == 0 && calls == 0 {
		return "", errors.New("the payment has not begun")
	}
	return stateOf(parts, calls > 0), nil
}

// part is a row of listsendpays: one HTLC, or one that could not be sent.
type part struct {
	Status PaymentState `json:"status"`
	Sent   orders.Msats `json:"amount_sent_msat"` // with routing fees
}

func (n *lightningd) parts(ctx context.Context, hash orders.Hash) ([]part, error) {
	var r struct {
		Payments []part `json:"payments"`
	}
	err := n.rpc.Call(ctx, "listsendpays", map[string]any{"payment_hash": hash}, &r)
	return r.Payments, err
}

// stateOf: what hangs is pending, and so is a payment that is still being tried; of the rest one good part makes it
// complete, since the payee has taken all parts or none.
func stateOf(parts []part, trying bool) PaymentState {
	state := PaymentFailed
	for _, p := range parts {
		switch p.Status {
		case PaymentPending:
			return PaymentPending
		case PaymentComplete:
			state = PaymentComplete
		}
	}
	if trying && state == PaymentFailed {
		return PaymentPending
	}
	return state
}

// received is what came by the invoices that have one label or belong to one offer.
func (w *realWallet) received(ctx context.Context, by, id string) (sum orders.Msats, err error) {
	var r struct {
		Invoices []struct {
			Received orders.Msats `json:"amount_received_msat"` // 0 until it is paid
		} `json:"invoices"`
	}
	err = w.node.rpc.Call(ctx, "listinvoices", map[string]any{by: id}, &r)
	for _, inv := range r.Invoices {
		sum += inv.Received
	}
	return sum, err
}

// Offer implements Wallet.
func (w *realWallet) Offer(ctx context.Context, label string) (string, error) {
	var r struct {
		ID     string `json:"offer_id"`
		Bolt12 string `json:"bolt12"`
	}
	err := w.node.rpc.Call(ctx, "offer", map[string]any{"amount": "any", "description": w.name + "/" + label}, &r)
	if err != nil {
		return "", fmt.Errorf("%s: %w", w.name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offers = append(w.offers, r.ID)
	return r.Bolt12, nil
}

// Balance implements Wallet.
func (w *realWallet) Balance(ctx context.Context) (spendable, locked orders.Msats, err error) {
	w.mu.Lock()
	labels, offers, hashes := slices.Clone(w.labels), slices.Clone(w.offers), slices.Clone(w.hashes)
	w.mu.Unlock()
	spendable = w.start
	for by, list := range map[string][]string{"label": labels, "offer_id": offers} {
		for _, id := range list {
			got, err := w.received(ctx, by, id)
			if err != nil {
				return 0, 0, fmt.Errorf("%s: %w", w.name, err)
			}
			spendable += got
		}
	}
	for _, hash := range hashes {
		parts, err := w.node.parts(ctx, hash)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w", w.name, err)
		}
		for _, p := range parts {
			switch p.Status {
			case PaymentComplete:
				spendable -= p.Sent
			case PaymentPending:
				spendable -= p.Sent
				locked += p.Sent
			}
		}
	}
	return spendable, locked, nil
}
