package lightning

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
)

// Secret is 32 bytes that no log and no error may show. It prints as a fingerprint, however it is printed.
type Secret [32]byte

// String gives enough to tell two secrets apart, and nothing to guess one from.
func (s Secret) String() string {
	sum := sha256.Sum256(s[:])
	return "secret:" + hex.EncodeToString(sum[:4])
}

func (s Secret) GoString() string             { return s.String() }
func (s Secret) Format(f fmt.State, _ rune)   { fmt.Fprint(f, s.String()) }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(s.String()) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
