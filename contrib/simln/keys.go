package simln

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// derive is the simulator's only key derivation: HMAC-SHA256 of a purpose under the node secret.
func derive(secret [32]byte, purpose string) [32]byte {
	m := hmac.New(sha256.New, secret[:])
	m.Write([]byte(purpose))
	var out [32]byte
	m.Sum(out[:0])
	return out
}

func deriveKey(secret [32]byte, purpose string) *secp256k1.PrivateKey {
	k := derive(secret, purpose)
	return secp256k1.PrivKeyFromBytes(k[:])
}

func pubHex(k *secp256k1.PrivateKey) string {
	return hex.EncodeToString(k.PubKey().SerializeCompressed())
}

// paymentSecret is Core Lightning's rule for its own bolt11 invoices:
// SHA-256 of the preimage with the lowest bit of its first byte flipped.
func paymentSecret(preimage [32]byte) [32]byte {
	preimage[0] ^= 1
	return sha256.Sum256(preimage[:])
}

const messagePrefix = "Lightning Signed Message:"

func messageHash(message string) []byte {
	first := sha256.Sum256([]byte(messagePrefix + message))
	second := sha256.Sum256(first[:])
	return second[:]
}

// signMessage returns recovery id and signature as 65 bytes, the first of them 31 + recovery id.
func signMessage(key *secp256k1.PrivateKey, message string) []byte {
	return ecdsa.SignCompact(key, messageHash(message), true)
}

// recoverMessageKey gives the key that signed; any other text than the signed one gives some other key.
func recoverMessageKey(message string, sig []byte) (string, error) {
	if len(sig) != 65 || sig[0] < 31 || sig[0] > 34 {
		return "", errors.New("signature is malformed")
	}
	key, _, err := ecdsa.RecoverCompact(sig, messageHash(message))
	if err != nil {
		return "", errors.New("signature gives no key")
	}
	return hex.EncodeToString(key.SerializeCompressed()), nil
}

const zbaseAlphabet = "ybndrfg8ejkmcpqxot1uwisza345h769"

func zbaseEncode(b []byte) string {
	var out strings.Builder
	var acc, bits uint
	for _, x := range b {
		acc, bits = acc<<8|uint(x), bits+8
		for bits >= 5 {
			bits -= 5
			out.WriteByte(zbaseAlphabet[acc>>bits&31])
		}
	}
	if bits > 0 {
		out.WriteByte(zbaseAlphabet[acc<<(5-bits)&31])
	}
	return out.String()
}

func zbaseDecode(s string) ([]byte, error) {
	var out []byte
	var acc, bits uint
	for i := range len(s) {
		v := strings.IndexByte(zbaseAlphabet, s[i])
		if v < 0 {
			return nil, errors.New("not zbase32")
		}
		acc, bits = acc<<5|uint(v), bits+5
		if bits >= 8 {
			bits -= 8
			out = append(out, byte(acc>>bits))
		}
	}
	return out, nil
}
