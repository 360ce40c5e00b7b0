package nostrio

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// Incoming is a message as either transport yields it. Whatever stands here was proved by a signature.
type Incoming struct {
	ID       orders.EventID // stays the same however often it comes: the event's id, or under gift wrap the rumor's
	EventID  orders.EventID // the outer event's id
	Way      orders.Way     // the transport; an answer leaves the same way
	Sender   orders.PubKey  // trade key; answers go here
	Identity orders.PubKey  // equals Sender in full-privacy mode
	Proven   bool           // the trade key signed the message itself, and not only an envelope
	At       int64          // when it was written, unix seconds: the innermost time there is
	Message  Message

	sig     string // of the outer event, hex
	outerAt int64  // its time
}

var (
	errKind   = errors.New("kind is of neither transport")
	errTuple  = errors.New("not a message tuple")
	errTrade  = errors.New("trade key's signature over the message is wrong")
	errProof  = errors.New("identity proof is wrong")
	errLayers = errors.New("seal or rumor is not as it must be")
)

// Open verifies an event and unwraps the message in it, by either transport. The steps are those of the Mostro
// protocol's receivers, except that the ids of inner events are recomputed instead of believed.
func Open(k *Key, e nostr.Event) (Incoming, error) {
	id, author, err := verifyEvent(e)
	if err != nil {
		return Incoming{}, err
	}
	return unwrap(k, e, id, author)
}

// unwrap is Open for an event whose id and signature were verified.
func unwrap(k *Key, e nostr.Event, id orders.EventID, author orders.PubKey) (in Incoming, err error) {
	switch e.Kind {
	case KindDirect:
		in, err = unwrapDirect(k, e, author)
		in.ID = id
	case KindGiftWrap:
		in, err = unwrapGift(k, e, author)
	default:
		err = errKind
	}
	in.EventID = id
	return in, err
}

// tuple is the array that carries a message. The signatures are unchecked.
type tuple struct {
	message Message
	raw     []byte // element 0 as it came
	trade   *[64]byte
	proof   *identityProof // protocol 2 only
}

type identityProof struct {
	identity orders.PubKey
	sig      [64]byte
}

// parseTuple reads [message, signature or null], or with size 3 [message, signature or null, [identity, signature] or
// null].
func parseTuple(data string, size int) (t tuple, err error) {
	if !utf8.ValidString(data) || len(data) > MaxMessage {
		return t, errTuple
	}
	p := scanner{b: []byte(data)}
	err = p.tuple(size, func(i int) (err error) {
		switch i {
		case 0:
			p.next()
			start := p.i
			t.message, err = p.message()
			t.raw = p.b[start:p.i]
		case 1:
			t.trade, err = optional(&p, p.signature)
		case 2:
			t.proof, err = optional(&p, p.identityProof)
		}
		return err
	})
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return t, fmt.Errorf("%w: %w", errTuple, err)
	}
	return t, nil
}

func (p *scanner) identityProof() (ip identityProof, err error) {
	err = p.tuple(2, func(i int) error {
		if i == 0 {
			return p.hexInto(ip.identity[:])
		}
		return p.hexInto(ip.sig[:])
	})
	return ip, err
}

func (p *scanner) signature() (sig [64]byte, err error) {
	err = p.hexInto(sig[:])
	return sig, err
}

// hexInto reads a string of hex digits that fills dst exactly.
func (p *scanner) hexInto(dst []byte) error {
	s, err := p.str()
	if err != nil {
		return err
	}
	if len(s) != 2*len(dst) {
		return fmt.Errorf("%d characters, not %d of hex", len(s), 2*len(dst))
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return errors.New("not hex")
	}
	return nil
}

// canonical is the text over which signatures are made: our own serialisation without the receipt, which signers
// that follow mostro-core do not know.
func canonical(m Message) []byte {
	m.Body.Receipt = ""
	return m.Encode()
}

// signs reports whether the signature holds over the canonical message or, more leniently than mostro-core, over the
// bytes as they came. Both say the same: the decoder leaves no room for two readings of one text.
func (t tuple) signs(k orders.PubKey, sig [64]byte, digest func(message []byte) [32]byte) bool {
	c := canonical(t.message)
	if Verify(k, digest(c), sig) {
		return true
	}
	return !bytes.Equal(c, t.raw) && Verify(k, digest(t.raw), sig)
}

func tradeDigest(message []byte) [32]byte { return sha256.Sum256(message) }

// identityDigest binds an identity key to a trade key and a message (Mostro protocol, "Transport v2").
func identityDigest(trade orders.PubKey) func([]byte) [32]byte {
	return func(message []byte) [32]byte {
		return sha256.Sum256(append([]byte("mostro-transport-v2-identity:"+trade.String()+":"), message...))
	}
}
