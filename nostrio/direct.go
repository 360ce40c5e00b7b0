package nostrio

import (
	"fmt"
	"strconv"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// Protocol 2: a kind 14 event signed by the trade key, whose content is the NIP-44 payload of
//
//	[message, trade signature or null, [identity, identity signature] or null]
//
// Source: Mostro protocol, "Transport v2". Kind 14 is shared with chat: who subscribes must route by author.

// directLife is how long relays are asked to keep a kind 14 event, in seconds (NIP-40).
const directLife = 30 * 24 * 3600

// unwrapDirect opens a verified kind 14 event.
func unwrapDirect(k *Key, e nostr.Event, author orders.PubKey) (Incoming, error) {
	ck, err := k.conversation(author)
	if err != nil {
		return Incoming{}, err
	}
	plain, err := decrypt(e.Content, ck)
	if err != nil {
		return Incoming{}, err
	}
	t, err := parseTuple(plain, 3)
	if err != nil {
		return Incoming{}, err
	}
	in := Incoming{Way: orders.Direct, Sender: author, Identity: author, At: int64(e.CreatedAt), Message: t.message}
	if t.trade != nil {
		if !t.signs(author, *t.trade, tradeDigest) {
			return Incoming{}, errTrade
		}
		in.Proven = true
	}
	if t.proof != nil {
		if !t.signs(t.proof.identity, t.proof.sig, identityDigest(author)) {
			return Incoming{}, errProof
		}
		in.Identity = t.proof.identity
	}
	return in, nil
}

// sealDirect makes the event, unsigned as yet so that work can be done on it. Expires is unix seconds, 0 for never.
func sealDirect(author *Key, to orders.PubKey, plain []byte, at, expires int64, nonce [32]byte) (nostr.Event, error) {
	ck, err := author.conversation(to)
	if err != nil {
		return nostr.Event{}, err
	}
	content, err := encrypt(plain, ck, nonce)
	if err != nil {
		return nostr.Event{}, fmt.Errorf("seal kind 14: %w", err)
	}
	e := nostr.Event{
		PubKey: author.pub.String(), CreatedAt: nostr.Timestamp(at), Kind: KindDirect,
		Tags: nostr.Tags{{"p", to.String()}}, Content: content,
	}
	if expires != 0 {
		e.Tags = append(e.Tags, nostr.Tag{"expiration", strconv.FormatInt(expires, 10)})
	}
	return e, nil
}
