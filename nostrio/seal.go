package nostrio

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

var errWay = errors.New("unknown transport")

// Seal makes the event that brings a server's message to a trader by the given transport. It is a pure function: the
// same arguments give the same event, id and signature included, so that a message which is sent again is the same
// one. Nonces, the one-shot key and the back-dating follow from the seed and from everything that is sealed; the seed
// is a secret, fresh for each message. The message's version is stamped.
func (k *Key) Seal(way orders.Way, to orders.PubKey, m Message, at int64, seed orders.Seed) (nostr.Event, error) {
	plain, err := stampedTuple(way, m, nil, nil)
	if err != nil {
		return nostr.Event{}, err
	}
	e, signer, err := seal(way, k, k, to, plain, at, at+directLife, seed)
	if err != nil {
		return nostr.Event{}, err
	}
	signEvent(signer, &e)
	return e, nil
}

// Request is what a client sends to a server.
type Request struct {
	Way      orders.Way
	Node     orders.PubKey
	Trade    *Key
	Identity *Key // nil, or the trade key itself, for full privacy
	Message  Message
	At       int64 // unix seconds
	Seed     orders.Seed
	Work     int // leading zero bits of the event id (NIP-13)
}

// SealRequest makes the event that brings a client's request to a server: a pure function of the request. It works
// until the id has the zero bits asked for, or ctx ends.
func SealRequest(ctx context.Context, r Request) (nostr.Event, error) {
	identity := r.Identity
	if identity != nil && identity.pub == r.Trade.pub {
		identity = nil
	}
	plain, err := stampedTuple(r.Way, r.Message, r.Trade, identity)
	if err != nil {
		return nostr.Event{}, err
	}
	sealer := r.Trade
	if identity != nil {
		sealer = identity
	}
	e, signer, err := seal(r.Way, r.Trade, sealer, r.Node, plain, r.At, r.At+directLife, r.Seed)
	if err != nil {
		return nostr.Event{}, err
	}
	if err := work(ctx, &e, r.Work); err != nil {
		return nostr.Event{}, err
	}
	signEvent(signer, &e)
	return e, nil
}

// OpenReply opens a server's message to a trade key. An event of anybody but that server is an error.
func OpenReply(trade *Key, node orders.PubKey, e nostr.Event) (Incoming, error) {
	in, err := Open(trade, e)
	if err != nil {
		return Incoming{}, err
	}
	if in.Sender != node || in.Identity != node {
		return Incoming{}, fmt.Errorf("reply of %s, not of the node", in.Sender)
	}
	return in, nil
}

// stampedTuple is the plaintext: the message, and the signatures of trade and identity key where they are wanted.
// Without an identity neither is written.
func stampedTuple(way orders.Way, m Message, trade, identity *Key) ([]byte, error) {
	if way != orders.GiftWrap && way != orders.Direct {
		return nil, errWay
	}
	m.Body.Version = uint8(way)
	dst := append([]byte{'['}, m.Encode()...)
	signed := canonical(m)
	if identity == nil {
		dst = append(dst, ",null"...)
	} else {
		sig := trade.Sign(tradeDigest(signed))
		dst = append(dst, `,"`...)
		dst = append(hex.AppendEncode(dst, sig[:]), '"')
	}
	if way == orders.GiftWrap {
		return append(dst, ']'), nil
	}
	if identity == nil {
		return append(dst, ",null]"...), nil
	}
	sig := identity.Sign(identityDigest(trade.pub)(signed))
	dst = append(append(dst, `,["`...), identity.pub.String()...)
	dst = append(hex.AppendEncode(append(dst, `","`...), sig[:]), `"]]`...)
	return dst, nil
}

// seal makes the unsigned event and says whose signature it wants.
func seal(way orders.Way, trade, sealer *Key, to orders.PubKey, plain []byte, at, expires int64, seed orders.Seed) (nostr.Event, *Key, error) {
	d := newDerivation(seed, way, trade.pub, to, at, plain)
	if way == orders.Direct {
		e, err := sealDirect(trade, to, plain, at, expires, d.bytes("kind 14 nonce"))
		return e, trade, err
	}
	oneShot, err := d.key("one-shot key")
	if err != nil {
		return nostr.Event{}, nil, err
	}
	e, err := giftWrap(sealer, trade.pub, to, plain, at, wrapping{
		oneShot:   oneShot,
		sealNonce: d.bytes("seal nonce"), wrapNonce: d.bytes("wrap nonce"),
		sealAt: at - d.below("seal time", maxTweak), wrapAt: at - d.below("wrap time", maxTweak),
	})
	return e, oneShot, err
}

// derivation yields everything about an envelope that must look random. The plaintext is part of it: should one seed
// ever serve two messages, no nonce is used twice.
type derivation struct{ prk []byte }

func newDerivation(seed orders.Seed, way orders.Way, from, to orders.PubKey, at int64, plain []byte) derivation {
	h := sha256.New()
	h.Write([]byte{byte(way)})
	h.Write(from[:])
	h.Write(to[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(at)))
	h.Write(plain)
	prk, err := hkdf.Extract(sha256.New, seed[:], h.Sum(nil))
	if err != nil { // only in FIPS mode with a short key; ours has 32 bytes
		panic("nostrio: derive envelope: " + err.Error())
	}
	return derivation{prk}
}

func (d derivation) bytes(label string) [32]byte {
	b, err := hkdf.Expand(sha256.New, d.prk, "mostro envelope: "+label, 32)
	if err != nil { // 32 bytes are one block
		panic("nostrio: derive envelope: " + err.Error())
	}
	return [32]byte(b)
}

// below is a number from 0 up to, not including, n.
func (d derivation) below(label string, n uint64) int64 {
	b := d.bytes(label)
	return int64(binary.BigEndian.Uint64(b[:8]) % n)
}

func (d derivation) key(label string) (*Key, error) {
	for i := 0; i < 8; i++ { // one in 2¹²⁸ is no scalar
		if k, err := NewKey(d.bytes(label + strconv.Itoa(i))); err == nil {
			return k, nil
		}
	}
	return nil, errSecret
}

// work adds a nonce tag so that the event's id begins with the given number of zero bits (NIP-13).
func work(ctx context.Context, e *nostr.Event, bits int) error {
	if bits <= 0 {
		return nil
	}
	e.Tags = append(e.Tags, nostr.Tag{"nonce", "", strconv.Itoa(bits)})
	nonce := &e.Tags[len(e.Tags)-1][1]
	for i := uint64(0); ; i++ {
		if i%1024 == 0 && ctx.Err() != nil {
			return fmt.Errorf("work for %d bits: %w", bits, ctx.Err())
		}
		*nonce = strconv.FormatUint(i, 10)
		if workOf(hashEvent(*e)) >= bits {
			return nil
		}
	}
}
