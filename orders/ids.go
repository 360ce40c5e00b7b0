package orders

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
)

// PubKey is an x-only secp256k1 public key (BIP 340); its text form is 64 lower-case hex characters.
type PubKey [32]byte

// EventID names something that reached us once and for all: a Nostr event id (NIP-01).
type EventID [32]byte

// Hash is a payment hash: SHA-256 of a Preimage.
type Hash [32]byte

// Preimage is the secret that settles a hold invoice. It prints a fingerprint only.
type Preimage [32]byte

// Seed feeds every choice that must look random: ids, preimages, nonces. It is a secret and prints nothing.
type Seed [32]byte

// OrderID is a UUID, written in lower case with hyphens (RFC 9562).
type OrderID [16]byte

// IsZero reports whether the key was never set.
func (k PubKey) IsZero() bool { return k == PubKey{} }

func (k PubKey) String() string                { return hex.EncodeToString(k[:]) }
func (k PubKey) MarshalText() ([]byte, error)  { return hexText(k[:]), nil }
func (k *PubKey) UnmarshalText(b []byte) error { return hexInto(k[:], b, "public key") }

func (e EventID) String() string                { return hex.EncodeToString(e[:]) }
func (e EventID) MarshalText() ([]byte, error)  { return hexText(e[:]), nil }
func (e *EventID) UnmarshalText(b []byte) error { return hexInto(e[:], b, "event id") }

// IsZero reports whether the hash was never set.
func (h Hash) IsZero() bool { return h == Hash{} }

func (h Hash) String() string                { return hex.EncodeToString(h[:]) }
func (h Hash) MarshalText() ([]byte, error)  { return hexText(h[:]), nil }
func (h *Hash) UnmarshalText(b []byte) error { return hexInto(h[:], b, "payment hash") }

// Hash returns the payment hash that this preimage opens.
func (p Preimage) Hash() Hash { return sha256.Sum256(p[:]) }

// Matches reports whether this preimage opens h.
func (p Preimage) Matches(h Hash) bool { return p.Hash() == h }

// Reveal returns the preimage as 64 hex characters, for the one call that hands it to the node.
func (p Preimage) Reveal() string { return hex.EncodeToString(p[:]) }

// String prints the start of the payment hash, never the preimage.
func (p Preimage) String() string { h := p.Hash(); return "preimage-of-" + hex.EncodeToString(h[:4]) }

// GoString keeps %#v from printing the bytes.
func (p Preimage) GoString() string { return p.String() }

func (Seed) String() string       { return "seed" }
func (Seed) GoString() string     { return "seed" }
func (Seed) LogValue() slog.Value { return slog.StringValue("seed") }

func (s Seed) MarshalText() ([]byte, error)  { return hexText(s[:]), nil }
func (s *Seed) UnmarshalText(b []byte) error { return hexInto(s[:], b, "seed") }

// LogValue keeps a logger from printing the bytes.
func (p Preimage) LogValue() slog.Value { return slog.StringValue(p.String()) }

// Derive returns 32 bytes that depend on the seed and the label, for one purpose each.
func (s Seed) Derive(label string, parts ...[]byte) [32]byte {
	mac := hmac.New(sha256.New, s[:])
	mac.Write([]byte(label))
	for _, p := range parts {
		mac.Write([]byte{0})
		mac.Write(p)
	}
	return [32]byte(mac.Sum(nil))
}

// IsZero reports whether no order is named.
func (id OrderID) IsZero() bool { return id == OrderID{} }

func (id OrderID) String() string {
	h := hex.EncodeToString(id[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

func (id OrderID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText takes the hyphenated or the simple form, in any case.
func (id *OrderID) UnmarshalText(b []byte) error {
	s := string(b)
	if len(s) == 36 {
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return fmt.Errorf("order id %q: hyphens are not where a UUID has them", s)
		}
		s = s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	}
	return hexInto(id[:], []byte(strings.ToLower(s)), "order id")
}

// ParseOrderID reads an order id as a person or a client writes it.
func ParseOrderID(s string) (OrderID, error) {
	var id OrderID
	err := id.UnmarshalText([]byte(s))
	return id, err
}

// ParsePubKey reads 64 hex characters.
func ParsePubKey(s string) (PubKey, error) {
	var k PubKey
	err := k.UnmarshalText([]byte(s))
	return k, err
}

// newOrderID makes a version 4 UUID of the seed.
func newOrderID(s Seed) OrderID {
	b := s.Derive("order id")
	id := OrderID(b[:16])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

func hexText(b []byte) []byte { return []byte(hex.EncodeToString(b)) }

func hexInto(dst, text []byte, what string) error {
	if len(text) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("%s: %d characters, want %d hex characters", what, len(text), hex.EncodedLen(len(dst)))
	}
	if _, err := hex.Decode(dst, text); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
