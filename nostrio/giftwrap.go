package nostrio

import (
	"fmt"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// Protocol 1: NIP-59 with a twist. Three layers, outermost first:
//
//	kind 1059  by a key used once, back-dated, p tag = receiver   holds, encrypted,
//	kind 13    by the identity key, back-dated                    holds, encrypted,
//	kind 1     of the trade key, unsigned, the real time          holds [message, trade signature or null]
//
// The twist: seal and rumor have different authors, which NIP-59 forbids and its libraries refuse or paper over. So the
// trade key is proved by its signature over the message, or by being the identity key as well.

// maxTweak is how far gift wraps and seals may be back-dated, in seconds (NIP-59: up to two days).
const maxTweak = 2 * 24 * 3600

// unwrapGift opens a verified kind 1059 event.
func unwrapGift(k *Key, e nostr.Event, oneShot orders.PubKey) (Incoming, error) {
	ck, err := k.freshConversation(oneShot)
	if err != nil {
		return Incoming{}, err
	}
	sealText, err := decrypt(e.Content, ck)
	if err != nil {
		return Incoming{}, err
	}
	seal, err := parseEvent([]byte(sealText))
	if err != nil {
		return Incoming{}, fmt.Errorf("%w: seal: %w", errLayers, err)
	}
	if seal.Kind != KindSeal {
		return Incoming{}, fmt.Errorf("%w: seal has kind %d", errLayers, seal.Kind)
	}
	_, identity, err := verifyEvent(seal)
	if err != nil {
		return Incoming{}, fmt.Errorf("%w: seal: %w", errLayers, err)
	}
	if ck, err = k.conversation(identity); err != nil {
		return Incoming{}, err
	}
	rumorText, err := decrypt(seal.Content, ck)
	if err != nil {
		return Incoming{}, err
	}
	return readRumor([]byte(rumorText), identity)
}

func readRumor(data []byte, identity orders.PubKey) (Incoming, error) {
	rumor, err := parseRumor(data)
	if err != nil {
		return Incoming{}, fmt.Errorf("%w: rumor: %w", errLayers, err)
	}
	sender, ok := hex32(rumor.PubKey)
	if !ok || rumor.Kind != KindRumor {
		return Incoming{}, fmt.Errorf("%w: rumor of kind %d", errLayers, rumor.Kind)
	}
	t, err := parseTuple(rumor.Content, 2)
	if err != nil {
		return Incoming{}, err
	}
	in := Incoming{
		ID: hashEvent(rumor), Way: orders.GiftWrap, Sender: sender, Identity: identity,
		At: int64(rumor.CreatedAt), Message: t.message,
	}
	if t.trade != nil {
		if !t.signs(sender, *t.trade, tradeDigest) {
			return Incoming{}, errTrade
		}
		in.Proven = true
	}
	return in, nil
}

// wrapping is what a gift wrap needs beside its content; all of it must be fresh for each message.
type wrapping struct {
	oneShot              *Key
	sealNonce, wrapNonce [32]byte
	sealAt, wrapAt       int64
}

// giftWrap makes the three layers; the outermost is unsigned as yet so that work can be done on it.
func giftWrap(sealer *Key, trade, to orders.PubKey, plain []byte, at int64, w wrapping) (nostr.Event, error) {
	rumor := nostr.Event{
		PubKey: trade.String(), CreatedAt: nostr.Timestamp(at), Kind: KindRumor, Tags: nostr.Tags{},
		Content: string(plain),
	}
	rumor.ID = hashEvent(rumor).String()
	ck, err := sealer.conversation(to)
	if err != nil {
		return nostr.Event{}, err
	}
	content, err := encrypt(appendEvent(nil, rumor), ck, w.sealNonce)
	if err != nil {
		return nostr.Event{}, fmt.Errorf("seal: %w", err)
	}
	seal := nostr.Event{CreatedAt: nostr.Timestamp(w.sealAt), Kind: KindSeal, Tags: nostr.Tags{}, Content: content}
	signEvent(sealer, &seal)

	if ck, err = w.oneShot.freshConversation(to); err != nil {
		return nostr.Event{}, err
	}
	if content, err = encrypt(appendEvent(nil, seal), ck, w.wrapNonce); err != nil {
		return nostr.Event{}, fmt.Errorf("gift wrap: %w", err)
	}
	return nostr.Event{
		PubKey: w.oneShot.pub.String(), CreatedAt: nostr.Timestamp(w.wrapAt), Kind: KindGiftWrap,
		Tags: nostr.Tags{{"p", to.String()}}, Content: content,
	}, nil
}
