package hold

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding"
	"encoding/hex"
	"fmt"
	"log/slog"
)

// Msat is an amount in thousandths of a satoshi.
type Msat uint64

var (
	_ encoding.TextMarshaler = Hash{}
	_ encoding.TextMarshaler = Secret{}
)

// Height is a block height, or a CLTV expiry, which is one.
type Height uint32

// Hash is a payment hash: sha256 of a preimage. In text it is 64 lower-case hex digits.
type Hash [32]byte

func (h Hash) String() string               { return hex.EncodeToString(h[:]) }
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }
func (h *Hash) UnmarshalText(b []byte) error {
	return unhex32((*[32]byte)(h), b)
}

// Secret is the payment secret of an invoice (BOLT 11, field s). Whoever holds the invoice
// knows it; it shows that a payment was meant for that invoice.
type Secret [32]byte

// Equal compares in constant time.
func (s Secret) Equal(o Secret) bool          { return subtle.ConstantTimeCompare(s[:], o[:]) == 1 }
func (s Secret) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(s[:])), nil }
func (s *Secret) UnmarshalText(b []byte) error {
	return unhex32((*[32]byte)(s), b)
}

// Preimage is the secret behind a payment hash: who gives it away gives the money away.
// It prints as a fingerprint and has no JSON form.
type Preimage [32]byte

// Hash is what the preimage settles.
func (p Preimage) Hash() Hash { return sha256.Sum256(p[:]) }

// Hex is the preimage itself, for the node and for nobody else.
func (p Preimage) Hex() string { return hex.EncodeToString(p[:]) }

func (p Preimage) String() string       { return "preimage of " + p.Hash().String()[:8] }
func (p Preimage) GoString() string     { return p.String() }
func (p Preimage) LogValue() slog.Value { return slog.StringValue(p.String()) }
func (Preimage) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("a preimage is not written in the clear")
}

// parsePreimage reads 64 hex digits.
func parsePreimage(s string) (p Preimage, err error) {
	err = unhex32((*[32]byte)(&p), []byte(s))
	return p, err
}

func unhex32(out *[32]byte, in []byte) error {
	if len(in) != 64 {
		return fmt.Errorf("should be 64 hex digits, not %d characters", len(in))
	}
	if _, err := hex.Decode(out[:], in); err != nil {
		return fmt.Errorf("should be 64 hex digits")
	}
	return nil
}
