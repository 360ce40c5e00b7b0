package simln

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// Msat is an amount in thousandths of a satoshi.
type Msat uint64

// Invoice is a BOLT 11 payment request with the fields that the simulator knows.
// Fields of other types survive neither Decode nor Encode.
type Invoice struct {
	Prefix          string // "bc", "tb", "tbs" or "bcrt"
	Amount          Msat   // 0: the payer chooses
	CreatedAt       uint64 // unix seconds
	PaymentHash     [32]byte
	PaymentSecret   *[32]byte
	Description     *string
	DescriptionHash *[32]byte
	Expiry          uint64 // seconds; 3600 when the field is absent
	MinFinalCLTV    uint32 // blocks; 18 when the field is absent; Encode leaves the field out for 0
	Features        []byte // big endian bit field
	Metadata        []byte
	Routes          [][]Hop
	Payee           []byte   // compressed public key; from the signature when no "n" field is there
	Signature       [65]byte // r, s, recovery id
	signingHash     [32]byte
	hasPayeeField   bool
}

// Hop is one step of a route hint.
type Hop struct {
	NodeID          []byte
	ShortChannelID  uint64
	FeeBase         uint32 // msat
	FeeProportional uint32 // millionths
	CLTVDelta       uint16
}

// Tags of BOLT 11, as values of the bech32 alphabet.
const (
	tagPaymentHash   = 1  // p
	tagRoute         = 3  // r
	tagFeatures      = 5  // 9
	tagExpiry        = 6  // x
	tagDescription   = 13 // d
	tagSecret        = 16 // s
	tagPayee         = 19 // n
	tagDescHash      = 23 // h
	tagMinFinalCLTV  = 24 // c
	tagMetadata      = 27 // m
	defaultExpiry    = 3600
	defaultFinalCLTV = 18
	signatureWords   = 104
	timestampWords   = 7
)

var multipliers = map[byte]struct{ num, den uint64 }{ // one bitcoin is 10^11 msat
	0: {1e11, 1}, 'm': {1e8, 1}, 'u': {1e5, 1}, 'n': {1e2, 1}, 'p': {1, 10},
}

// DecodeInvoice reads a BOLT 11 string, with or without "lightning:" before it.
// It checks the checksum and the signature, and wants exactly one payment hash and
// one of description and description hash.
func DecodeInvoice(s string) (*Invoice, error) {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "lightning:"), "LIGHTNING:")
	hrp, words, err := bech32.DecodeNoLimit(s)
	if err != nil {
		return nil, fmt.Errorf("bad bech32 string: %w", err)
	}
	inv := &Invoice{Expiry: defaultExpiry, MinFinalCLTV: defaultFinalCLTV}
	if inv.Prefix, inv.Amount, err = parsePrefix(hrp); err != nil {
		return nil, err
	}
	if len(words) < timestampWords+signatureWords {
		return nil, errors.New("bolt11 string is too short for a time and a signature")
	}
	body, sig := words[:len(words)-signatureWords], words[len(words)-signatureWords:]
	for _, w := range body[:timestampWords] {
		inv.CreatedAt = inv.CreatedAt<<5 | uint64(w)
	}
	if err := inv.parseFields(body[timestampWords:]); err != nil {
		return nil, err
	}
	return inv, inv.checkSignature(hrp, body, sig)
}

func parsePrefix(hrp string) (prefix string, amount Msat, err error) {
	if !strings.HasPrefix(hrp, "ln") {
		return "", 0, fmt.Errorf("prefix %q does not begin with ln", hrp)
	}
	rest := hrp[2:]
	for _, p := range []string{"bcrt", "tbs", "bc", "tb"} { // bcrt before bc, tbs before tb
		if tail, ok := strings.CutPrefix(rest, p); ok && (tail == "" || tail[0] >= '1' && tail[0] <= '9') {
			amount, err = parseAmount(tail)
			return p, amount, err
		}
	}
	return "", 0, fmt.Errorf("unknown chain in prefix %q", hrp)
}

func parseAmount(s string) (Msat, error) {
	if s == "" {
		return 0, nil
	}
	unit := byte(0)
	if last := s[len(s)-1]; last < '0' || last > '9' {
		unit, s = last, s[:len(s)-1]
	}
	m, ok := multipliers[unit]
	if !ok {
		return 0, fmt.Errorf("unknown multiplier %q", string(unit))
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("bad amount %q", s)
	}
	if v > math.MaxUint64/m.num {
		return 0, fmt.Errorf("amount %q is too large", s)
	}
	if v*m.num%m.den != 0 {
		return 0, fmt.Errorf("amount %sp is not a whole number of msat", s)
	}
	return Msat(v * m.num / m.den), nil
}

func (inv *Invoice) parseFields(words []byte) error {
	seen := map[byte]bool{}
	for len(words) > 0 {
		if len(words) < 3 {
			return errors.New("field without a length")
		}
		tag, n := words[0], int(words[1])<<5|int(words[2])
		if words = words[3:]; len(words) < n {
			return fmt.Errorf("field %d is longer than the invoice", tag)
		}
		if tag != tagRoute && seen[tag] {
			words = words[n:] // BOLT 11: a reader takes the first and skips the rest
			continue
		}
		ok, err := inv.parseField(tag, words[:n])
		if err != nil {
			return err
		}
		seen[tag] = seen[tag] || ok
		words = words[n:]
	}
	if !seen[tagPaymentHash] {
		return errors.New("no valid payment hash")
	}
	if !seen[tagSecret] {
		return errors.New("no payment secret")
	}
	if !seen[tagDescription] && !seen[tagDescHash] {
		return errors.New("neither description nor description hash")
	}
	return nil
}

// parseField takes one field in; ok is false where BOLT 11 says to skip it (unknown tag, wrong length).
func (inv *Invoice) parseField(tag byte, words []byte) (ok bool, err error) {
	switch tag {
	case tagExpiry:
		inv.Expiry, err = wordsToUint(words)
		return true, err
	case tagMinFinalCLTV:
		v, err := wordsToUint(words)
		if err != nil || v > math.MaxUint32 {
			return false, fmt.Errorf("min_final_cltv_expiry is too large")
		}
		inv.MinFinalCLTV = uint32(v)
		return true, nil
	case tagFeatures:
		inv.Features = featureBytes(words)
		return true, nil
	}
	data, err := bech32.ConvertBits(words, 5, 8, false)
	if err != nil { // padding that is not zero: such a field is skipped like one of a wrong length
		return false, nil //nolint:nilerr // BOLT 11 wants that
	}
	switch tag {
	case tagPaymentHash:
		return copy32(&inv.PaymentHash, data), nil
	case tagSecret:
		inv.PaymentSecret = new([32]byte)
		return copy32(inv.PaymentSecret, data), nil
	case tagDescHash:
		inv.DescriptionHash = new([32]byte)
		return copy32(inv.DescriptionHash, data), nil
	case tagDescription:
		if !utf8.Valid(data) {
			return false, errors.New("description is not UTF-8")
		}
		d := string(data)
		inv.Description = &d
		return true, nil
	case tagMetadata:
		inv.Metadata = data
		return true, nil
	case tagPayee:
		if len(data) != 33 {
			return false, nil
		}
		inv.Payee, inv.hasPayeeField = data, true
		return true, nil
	case tagRoute:
		hops, err := parseHops(data)
		inv.Routes = append(inv.Routes, hops)
		return true, err
	}
	return false, nil
}

func copy32(dst *[32]byte, src []byte) bool {
	if len(src) != 32 {
		return false
	}
	copy(dst[:], src)
	return true
}

func wordsToUint(words []byte) (uint64, error) {
	var v uint64
	for _, w := range words {
		if v > math.MaxUint64>>5 {
			return 0, errors.New("number is too large")
		}
		v = v<<5 | uint64(w)
	}
	return v, nil
}

// featureBytes turns right-aligned 5-bit words into big-endian bytes without leading zeros.
func featureBytes(words []byte) []byte {
	v := new(big.Int)
	for _, w := range words {
		v.Or(v.Lsh(v, 5), big.NewInt(int64(w)))
	}
	return v.Bytes()
}

const hopSize = 33 + 8 + 4 + 4 + 2

func parseHops(data []byte) ([]Hop, error) {
	if len(data) == 0 || len(data)%hopSize != 0 {
		return nil, fmt.Errorf("route hint of %d bytes", len(data))
	}
	var hops []Hop
	for ; len(data) > 0; data = data[hopSize:] {
		hops = append(hops, Hop{
			NodeID:          data[:33],
			ShortChannelID:  beUint(data[33:41]),
			FeeBase:         uint32(beUint(data[41:45])),
			FeeProportional: uint32(beUint(data[45:49])),
			CLTVDelta:       uint16(beUint(data[49:51])),
		})
	}
	return hops, nil
}

func beUint(b []byte) (v uint64) {
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}

func (inv *Invoice) checkSignature(hrp string, body, sigWords []byte) error {
	sig, err := bech32.ConvertBits(sigWords, 5, 8, false)
	if err != nil || len(sig) != 65 {
		return errors.New("signature is not 65 bytes")
	}
	copy(inv.Signature[:], sig)
	if inv.signingHash, err = invoiceHash(hrp, body); err != nil {
		return err
	}
	if sig[64] > 3 {
		return fmt.Errorf("recovery id %d", sig[64])
	}
	if inv.hasPayeeField {
		return inv.verifyWithPayee()
	}
	compact := append([]byte{sig[64] + 27 + 4}, sig[:64]...)
	key, _, err := ecdsa.RecoverCompact(compact, inv.signingHash[:])
	if err != nil {
		return errors.New("signature gives no public key")
	}
	inv.Payee = key.SerializeCompressed()
	return nil
}

func (inv *Invoice) verifyWithPayee() error {
	key, err := secp256k1.ParsePubKey(inv.Payee)
	if err != nil {
		return errors.New("payee is not a public key")
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(inv.Signature[:32]) || s.SetByteSlice(inv.Signature[32:64]) {
		return errors.New("signature is out of range")
	}
	if !ecdsa.NewSignature(&r, &s).Verify(inv.signingHash[:], key) {
		return errors.New("invalid signature")
	}
	return nil
}

// invoiceHash is SHA-256 of the prefix and of the data part, padded with zero bits to whole bytes.
func invoiceHash(hrp string, body []byte) ([32]byte, error) {
	data, err := bech32.ConvertBits(body, 5, 8, true)
	if err != nil {
		return [32]byte{}, fmt.Errorf("data part: %w", err)
	}
	return sha256.Sum256(append([]byte(hrp), data...)), nil
}

// Encode signs the invoice with key and returns the BOLT 11 string. Payee and Signature are set from the key.
func (inv *Invoice) Encode(key *secp256k1.PrivateKey) (string, error) {
	hrp := "ln" + inv.Prefix + amountString(inv.Amount)
	body := make([]byte, timestampWords)
	for i, t := timestampWords-1, inv.CreatedAt; i >= 0; i, t = i-1, t>>5 {
		body[i] = byte(t & 31)
	}
	body, err := inv.appendFields(body)
	if err != nil {
		return "", err
	}
	hash, err := invoiceHash(hrp, body)
	if err != nil {
		return "", err
	}
	compact := ecdsa.SignCompact(key, hash[:], true)
	copy(inv.Signature[:], compact[1:])
	inv.Signature[64] = compact[0] - 27 - 4
	inv.Payee = key.PubKey().SerializeCompressed()
	sig, err := bech32.ConvertBits(inv.Signature[:], 8, 5, true)
	if err != nil {
		return "", err
	}
	return bech32.Encode(hrp, append(body, sig...))
}

// amountString writes the shortest form, as BOLT 11 asks.
func amountString(a Msat) string {
	if a == 0 {
		return ""
	}
	for _, u := range []struct {
		name string
		msat Msat
	}{{"", 1e11}, {"m", 1e8}, {"u", 1e5}, {"n", 1e2}} {
		if a%u.msat == 0 {
			return strconv.FormatUint(uint64(a/u.msat), 10) + u.name
		}
	}
	return strconv.FormatUint(uint64(a), 10) + "0p"
}

func (inv *Invoice) appendFields(body []byte) ([]byte, error) {
	var err error
	add := func(tag byte, data []byte) {
		words, cerr := bech32.ConvertBits(data, 8, 5, true)
		if cerr != nil || len(words) > 1023 {
			err = fmt.Errorf("field %d of %d bytes does not fit", tag, len(data))
			return
		}
		body = append(body, tag, byte(len(words)>>5), byte(len(words)&31))
		body = append(body, words...)
	}
	addUint := func(tag byte, v uint64) {
		var words []byte
		for ; v > 0; v >>= 5 {
			words = append([]byte{byte(v & 31)}, words...)
		}
		body = append(append(body, tag, 0, byte(len(words))), words...)
	}
	if inv.PaymentSecret != nil {
		add(tagSecret, inv.PaymentSecret[:])
	}
	add(tagPaymentHash, inv.PaymentHash[:])
	if inv.DescriptionHash != nil {
		add(tagDescHash, inv.DescriptionHash[:])
	} else if inv.Description != nil {
		add(tagDescription, []byte(*inv.Description))
	}
	if len(inv.Metadata) > 0 {
		add(tagMetadata, inv.Metadata)
	}
	if inv.Expiry != defaultExpiry {
		addUint(tagExpiry, inv.Expiry)
	}
	if inv.MinFinalCLTV != 0 {
		addUint(tagMinFinalCLTV, uint64(inv.MinFinalCLTV))
	}
	for _, hops := range inv.Routes {
		add(tagRoute, hopBytes(hops))
	}
	if words := featureWords(inv.Features); len(words) > 0 {
		body = append(append(body, tagFeatures, byte(len(words)>>5), byte(len(words)&31)), words...)
	}
	return body, err
}

func hopBytes(hops []Hop) []byte {
	var b []byte
	be := func(v uint64, n int) {
		for i := n - 1; i >= 0; i-- {
			b = append(b, byte(v>>(8*i)))
		}
	}
	for _, h := range hops {
		b = append(b, h.NodeID...)
		be(h.ShortChannelID, 8)
		be(uint64(h.FeeBase), 4)
		be(uint64(h.FeeProportional), 4)
		be(uint64(h.CLTVDelta), 2)
	}
	return b
}

func featureWords(features []byte) []byte {
	v := new(big.Int).SetBytes(features)
	var words []byte
	for mask := big.NewInt(31); v.Sign() > 0; v.Rsh(v, 5) {
		words = append([]byte{byte(new(big.Int).And(v, mask).Uint64())}, words...)
	}
	return words
}

// signatureDER is the form in which Core Lightning's decode shows a signature.
func (inv *Invoice) signatureDER() string {
	var r, s secp256k1.ModNScalar
	r.SetByteSlice(inv.Signature[:32])
	s.SetByteSlice(inv.Signature[32:64])
	return hex.EncodeToString(ecdsa.NewSignature(&r, &s).Serialize())
}
