package sim

import (
	"context"
	"fmt"
	"strings"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

// lightning0 is what the exchange knows of its own node when it reads an invoice.
var lightning0 = lightning.Info{ID: nodeID, Network: "regtest"}

// person is somebody with a wallet, an identity, and as many trade keys as he needs.
type person struct {
	number  int
	key     *nostrio.Key
	index   int64
	private bool
	gave    map[string]bool // where he wanted to be paid
}

// tradeKey is a person in one trade.
type tradeKey struct {
	key   *nostrio.Key
	pub   orders.PubKey
	who   *person
	index int64
	way   orders.Way
	real  bool     // its messages are sealed and opened; others go through the codec alone
	bolt  []string // hold invoices that it was asked to pay
	heard map[hearing]int
}

// hearing is a kind of letter about an order.
type hearing struct {
	order  orders.OrderID
	action orders.Action
}

// settle brings people to this world.
func (w *world) settle() {
	w.pool = w.rng.Perm(len(keyring()))
	for i := range 7 {
		w.people = append(w.people, &person{number: i, key: w.nextKeyPair(), private: i%3 == 2, gave: map[string]bool{}})
	}
}

func (w *world) nextKeyPair() *nostrio.Key {
	i := w.pool[0]
	w.pool = w.pool[1:]
	return keyring()[i]
}

// newKey is somebody under a trade key of his own, now and then with an index that was used.
func (w *world) newKey() *tradeKey {
	p := w.people[w.rng.IntN(len(w.people))]
	if !w.of(6) {
		p.index++
	}
	k := &tradeKey{
		key: w.nextKeyPair(), who: p, index: p.index, way: orders.Way(1 + w.rng.IntN(2)), real: w.rng.IntN(w.plan.crypto) == 0,
		heard: map[hearing]int{},
	}
	k.pub = k.key.PubKey()
	w.keys[k.pub] = k
	w.used = append(w.used, k)
	return k
}

// identity is the key under which the person trades.
func (k *tradeKey) identity() *nostrio.Key {
	if k.who.private {
		return k.key
	}
	return k.who.key
}

// write sends a message of k. id may be zero.
func (w *world) write(k *tradeKey, id orders.OrderID, action nostrio.Action, payload nostrio.Payload) {
	m := nostrio.Message{Wrapper: nostrio.WrapOrder, Body: nostrio.Body{Action: action, Payload: payload}}
	switch action {
	case nostrio.ActRestoreSession, nostrio.ActLastTradeIndex:
		m.Wrapper = nostrio.WrapRestore
	}
	if !id.IsZero() {
		u := nostrio.UUID(id)
		m.Body.ID = &u
	}
	w.serials++
	request := w.serials
	m.Body.RequestID = &request
	if index := k.index; action == nostrio.ActNewOrder || action == nostrio.ActTakeSell || action == nostrio.ActTakeBuy || action == nostrio.ActTradePubKey {
		m.Body.TradeIndex = &index
	}
	if text := nostrio.PayoutText(m); text != "" {
		k.who.gave[text] = true
	}
	w.said(k, id, action)
	post := &mail{from: k, text: fmt.Sprintf("%s by %s on %s", action, k.name(), short(id)), did: orders.Action(action)}
	seed := w.newSeed()
	m.Body.Version = uint8(k.way)
	if k.real {
		e, err := nostrio.SealRequest(context.Background(), nostrio.Request{
			Way: k.way, Node: serverKey().PubKey(), Trade: k.key, Identity: k.identity(), Message: m, At: w.now, Seed: seed,
		})
		w.must("seal a request", err)
		post.seal, post.raw = &e, m.Encode()
	} else {
		post.raw = m.Encode()
		post.in = nostrio.Incoming{
			ID: orders.EventID(sum("event", seed[:])), EventID: orders.EventID(sum("event", seed[:])), Way: k.way, Sender: k.pub,
			Identity: k.identity().PubKey(), Proven: true, At: w.now,
		}
		if k.way == orders.GiftWrap {
			post.in.EventID = orders.EventID(sum("wrap", seed[:]))
		}
	}
	w.relays.post(post)
}

func (k *tradeKey) name() string { return fmt.Sprintf("p%d/%s", k.who.number, k.pub.String()[:4]) }

func short(id orders.OrderID) string { return id.String()[:8] }

// address is a place of the person's where invoices are to be had.
func (w *world) address(p *person) string {
	return fmt.Sprintf([]string{"p%d@example.com", "lnurl1p%d", "lno1p%d", "₿p%d@example.org"}[w.rng.IntN(4)], p.number)
}

// ownerOf finds the person in one of his addresses.
func ownerOf(destination string) int {
	i := strings.IndexAny(destination, "0123456")
	for i >= 0 && destination[i-1] != 'p' {
		j := strings.IndexAny(destination[i+1:], "0123456")
		if j < 0 {
			return 0
		}
		i += 1 + j
	}
	if i < 0 {
		return 0
	}
	return int(destination[i] - '0')
}
