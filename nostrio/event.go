package nostrio

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// The kinds that the protocol uses.
const (
	KindProfile   = 0     // NIP-01
	KindRumor     = 1     // the unsigned note inside a seal
	KindSeal      = 13    // NIP-59
	KindDirect    = 14    // protocol 2: a signed event with a NIP-44 payload
	KindGiftWrap  = 1059  // NIP-59: protocol 1
	KindRelayList = 10002 // NIP-65
	KindAuth      = 22242 // NIP-42
	KindOrder     = 38383 // NIP-69
	KindRating    = 38384 // Mostro protocol, "User rating"
	KindDispute   = 38386 // Mostro protocol, "Dispute"
	KindInfo      = 38385 // Mostro protocol, "Mostro instance status"
)

var (
	errEvent     = errors.New("not an event")
	errID        = errors.New("event id is not the hash of the event")
	errSignature = errors.New("event signature is wrong")
)

var (
	eventShape = members("id!", "pubkey!", "created_at!", "kind!", "tags!", "content!", "sig!")
	rumorShape = members("id", "pubkey!", "created_at!", "kind!", "tags!", "content!", "sig")
)

// parseEvent reads a signed event (NIP-01). It looks at the form only: neither id nor signature is checked.
func parseEvent(data []byte) (nostr.Event, error) { return readEvent(data, eventShape) }

// parseRumor reads an event that may lack id and signature.
func parseRumor(data []byte) (nostr.Event, error) { return readEvent(data, rumorShape) }

func readEvent(data []byte, s shape) (nostr.Event, error) {
	if !utf8.Valid(data) {
		return nostr.Event{}, fmt.Errorf("%w: not UTF-8", errEvent)
	}
	p := scanner{b: data}
	e, err := p.event(s)
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nostr.Event{}, fmt.Errorf("%w: %w", errEvent, err)
	}
	return e, nil
}

func (p *scanner) event(s shape) (e nostr.Event, err error) {
	err = p.object(s, func(name string) (err error) {
		switch name {
		case "id":
			e.ID, err = p.str()
		case "pubkey":
			e.PubKey, err = p.str()
		case "created_at":
			var t uint64
			t, err = p.uint(62)
			e.CreatedAt = nostr.Timestamp(t)
		case "kind":
			var k uint64
			k, err = p.uint(16)
			e.Kind = int(k)
		case "tags":
			e.Tags, err = listOf(p, func() (nostr.Tag, error) { return listOf(p, p.str) })
		case "content":
			e.Content, err = p.str()
		case "sig":
			if !p.null() {
				e.Sig, err = p.str()
			}
		}
		return err
	})
	return e, err
}

// appendEvent writes e as JSON, members in the order of NIP-01's example; a signature that is not there is left out.
func appendEvent(dst []byte, e nostr.Event) []byte {
	dst = appendString(append(dst, `{"id":`...), e.ID)
	dst = appendString(append(dst, `,"pubkey":`...), e.PubKey)
	dst = strconv.AppendInt(append(dst, `,"created_at":`...), int64(e.CreatedAt), 10)
	dst = strconv.AppendInt(append(dst, `,"kind":`...), int64(e.Kind), 10)
	dst = appendTags(append(dst, `,"tags":`...), e.Tags)
	dst = appendString(append(dst, `,"content":`...), e.Content)
	if e.Sig != "" {
		dst = appendString(append(dst, `,"sig":`...), e.Sig)
	}
	return append(dst, '}')
}

func appendTags(dst []byte, tags nostr.Tags) []byte {
	return appendList(dst, tags, func(dst []byte, t nostr.Tag) []byte { return appendList(dst, t, appendString) })
}

// hashEvent computes the id: SHA-256 of the array of NIP-01.
func hashEvent(e nostr.Event) orders.EventID {
	buf := make([]byte, 0, 256+len(e.Content))
	buf = appendString(append(buf, "[0,"...), e.PubKey)
	buf = strconv.AppendInt(append(buf, ','), int64(e.CreatedAt), 10)
	buf = strconv.AppendInt(append(buf, ','), int64(e.Kind), 10)
	buf = appendTags(append(buf, ','), e.Tags)
	buf = appendString(append(buf, ','), e.Content)
	return sha256.Sum256(append(buf, ']'))
}

// signEvent fills in author, id and signature.
func signEvent(k *Key, e *nostr.Event) {
	if e.Tags == nil {
		e.Tags = nostr.Tags{}
	}
	e.PubKey = k.pub.String()
	id := hashEvent(*e)
	sig := k.Sign(id)
	e.ID, e.Sig = id.String(), hex.EncodeToString(sig[:])
}

// verifyEvent checks that the id is the hash of the event and that the author signed it, and returns both.
func verifyEvent(e nostr.Event) (orders.EventID, orders.PubKey, error) {
	id := hashEvent(e)
	author, ok := hex32(e.PubKey)
	if !ok || e.ID != id.String() {
		return id, author, errID
	}
	sig, ok := hex64(e.Sig)
	if !ok || !Verify(author, id, sig) {
		return id, author, errSignature
	}
	return id, author, nil
}

// hex32 reads 64 lower-case hex characters, the only spelling that NIP-01 knows.
func hex32(s string) (out [32]byte, ok bool) {
	ok = decodeLower(out[:], s)
	return out, ok
}

func hex64(s string) (out [64]byte, ok bool) {
	ok = decodeLower(out[:], s)
	return out, ok
}

func decodeLower(dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= 'A' && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}

// workOf counts the leading zero bits of an event id (NIP-13). The nonce tag's target is not looked at.
func workOf(id orders.EventID) int {
	n := 0
	for _, b := range id {
		if b != 0 {
			return n + bits.LeadingZeros8(b)
		}
		n += 8
	}
	return n
}
