package nostrio

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/nbd-wtf/go-nostr/nip44"

	"github.com/mostro-cln/mostro/orders"
)

// Key is a secret key together with what is derived from it. Whatever prints or logs a Key sees the start of the
// public key. Safe for concurrent use.
type Key struct {
	priv *btcec.PrivateKey
	pub  orders.PubKey

	mu   sync.Mutex
	conv *lru[orders.PubKey, [32]byte] // NIP-44 conversation keys by peer
}

// conversations bounds the conversation keys that a Key remembers: one costs an elliptic curve multiplication to
// make and some 200 bytes to keep.
const conversations = 4096

// errSecret says no more than it must: the input is a secret.
var errSecret = errors.New("not a secret key: want 32 bytes as hex or nsec")

// NewKey takes a secret scalar; zero and numbers beyond the order of the curve are errors.
func NewKey(secret [32]byte) (*Key, error) {
	var s btcec.ModNScalar
	if overflow := s.SetBytes(&secret); overflow != 0 || s.IsZero() {
		return nil, errSecret
	}
	priv, pub := btcec.PrivKeyFromBytes(secret[:])
	return &Key{
		priv: priv,
		pub:  orders.PubKey(schnorr.SerializePubKey(pub)),
		conv: newLRU[orders.PubKey, [32]byte](conversations),
	}, nil
}

// ParseKey reads a secret key as 64 hex characters or as nsec (NIP-19). The error never repeats the input.
func ParseKey(s string) (*Key, error) {
	b, err := hexOrBech32("nsec", s)
	if err != nil {
		return nil, errSecret
	}
	return NewKey(b)
}

// ParsePubKey reads a public key as 64 hex characters or as npub (NIP-19).
func ParsePubKey(s string) (orders.PubKey, error) {
	b, err := hexOrBech32("npub", s)
	if err == nil {
		_, err = schnorr.ParsePubKey(b[:])
	}
	if err != nil {
		return orders.PubKey{}, errors.New("not a public key: want 32 bytes as hex or npub")
	}
	return b, nil
}

// Npub writes a public key as NIP-19 does.
func Npub(k orders.PubKey) string {
	s, err := bech32.EncodeFromBase256("npub", k[:])
	if err != nil { // 32 bytes always fit
		return k.String()
	}
	return s
}

func hexOrBech32(prefix, s string) (out [32]byte, err error) {
	var b []byte
	if strings.HasPrefix(s, prefix+"1") {
		_, b, err = bech32.DecodeToBase256(s)
	} else {
		b, err = hex.DecodeString(s)
	}
	if err != nil || len(b) != len(out) {
		return out, errors.New("not 32 bytes")
	}
	return [32]byte(b), nil
}

// PubKey is the public half.
func (k *Key) PubKey() orders.PubKey { return k.pub }

// String shows the start of the public key.
func (k *Key) String() string { return "key " + k.pub.String()[:8] + "…" }

// Format answers every verb with String, so that not even %#v or %x shows the secret.
func (k *Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// LogValue is String.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Sign makes the BIP-340 signature over a 32-byte digest, with 32 zero bytes as auxiliary randomness: the same digest
// gives the same signature, so that an event which is sealed twice is the same event twice.
func (k *Key) Sign(digest [32]byte) [64]byte {
	sig, err := schnorr.Sign(k.priv, digest[:], schnorr.CustomNonce([32]byte{}), schnorr.FastSign())
	if err != nil { // a scalar checked by NewKey and a digest of 32 bytes leave nothing to go wrong
		panic("nostrio: sign: " + err.Error())
	}
	return [64]byte(sig.Serialize())
}

// Verify reports whether sig is pub's BIP-340 signature over digest.
func Verify(pub orders.PubKey, digest [32]byte, sig [64]byte) bool {
	point, err := schnorr.ParsePubKey(pub[:])
	if err != nil {
		return false
	}
	s, err := schnorr.ParseSignature(sig[:])
	return err == nil && s.Verify(digest[:], point)
}

// conversation returns the NIP-44 conversation key with peer and remembers it.
func (k *Key) conversation(peer orders.PubKey) ([32]byte, error) {
	k.mu.Lock()
	ck, ok := k.conv.get(peer)
	k.mu.Unlock()
	if ok {
		return ck, nil
	}
	ck, err := k.freshConversation(peer)
	if err != nil {
		return ck, err
	}
	k.mu.Lock()
	k.conv.put(peer, ck)
	k.mu.Unlock()
	return ck, nil
}

// freshConversation is conversation for keys that are met once, as the outer ones of gift wraps are.
func (k *Key) freshConversation(peer orders.PubKey) ([32]byte, error) {
	ck, err := nip44.GenerateConversationKey(peer.String(), hex.EncodeToString(k.priv.Serialize()))
	if err != nil {
		return ck, fmt.Errorf("conversation key with %s: no point of the curve", peer)
	}
	return ck, nil
}

var errDecrypt = errors.New("not encrypted for this key")

// decrypt opens a NIP-44 payload.
func decrypt(payload string, conversation [32]byte) (string, error) {
	// encoding/base64 passes over line breaks, so that a payload of nothing else would be empty, which go-nostr
	// v0.38.2 does not expect and panics.
	if strings.ContainsAny(payload, "\r\n") {
		return "", errDecrypt
	}
	plain, err := nip44.Decrypt(payload, conversation)
	if err != nil {
		return "", errDecrypt
	}
	return plain, nil
}

// encrypt makes a NIP-44 payload. The nonce must be used for one plaintext only.
func encrypt(plain []byte, conversation, nonce [32]byte) (string, error) {
	payload, err := nip44.Encrypt(string(plain), conversation, nip44.WithCustomNonce(nonce[:]))
	if err != nil {
		return "", fmt.Errorf("encrypt %d bytes: %w", len(plain), err)
	}
	return payload, nil
}
