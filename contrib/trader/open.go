package trader

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nbd-wtf/go-nostr"
	"github.com/nbd-wtf/go-nostr/nip44"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

// The layers are opened here and not by nostrio.OpenReply, since that reads messages as strictly as a server must: a
// word that it doesn't know would lose the whole message.

// open reads a verified event of either transport that is addressed to the key. Only the Mostro's own messages pass.
func open(k key, mostro orders.PubKey, e nostr.Event) (Message, error) {
	var tuple string
	at := int64(e.CreatedAt)
	var err error
	switch e.Kind {
	case nostrio.KindDirect:
		if e.PubKey != mostro.String() {
			return Message{}, errors.New("written by another than the Mostro")
		}
		tuple, err = decrypt(k, e)
	case nostrio.KindGiftWrap:
		tuple, at, err = unwrap(k, mostro, e)
	default:
		err = fmt.Errorf("kind %d is of neither transport", e.Kind)
	}
	if err != nil {
		return Message{}, err
	}
	var elements []json.RawMessage
	if err := json.Unmarshal([]byte(tuple), &elements); err != nil || len(elements) == 0 {
		return Message{}, errMessage
	}
	m, err := decodeMessage(elements[0])
	if err != nil {
		return Message{}, err
	}
	m.At = at
	m.EventID, err = eventID(e.ID)
	return m, err
}

// unwrap opens a gift wrap and its seal (NIP-59). Seal and rumor must both be the Mostro's.
func unwrap(k key, mostro orders.PubKey, wrap nostr.Event) (tuple string, at int64, err error) {
	text, err := decrypt(k, wrap)
	if err != nil {
		return "", 0, err
	}
	var seal, rumor nostr.Event
	if err := json.Unmarshal([]byte(text), &seal); err != nil {
		return "", 0, errors.New("the seal is no event")
	}
	if seal.Kind != nostrio.KindSeal || seal.PubKey != mostro.String() {
		return "", 0, errors.New("sealed by another than the Mostro")
	}
	if err := verifyEvent(seal); err != nil {
		return "", 0, fmt.Errorf("seal: %w", err)
	}
	if text, err = decrypt(k, seal); err != nil {
		return "", 0, err
	}
	if err := json.Unmarshal([]byte(text), &rumor); err != nil {
		return "", 0, errors.New("the rumor is no event")
	}
	if rumor.Kind != nostrio.KindRumor || rumor.PubKey != mostro.String() {
		return "", 0, errors.New("written by another than the Mostro")
	}
	return rumor.Content, int64(rumor.CreatedAt), nil
}

var errDecrypt = errors.New("not encrypted for this key")

// decrypt opens the NIP-44 content of an event of its author's for the key.
func decrypt(k key, e nostr.Event) (string, error) {
	// base64 passes over line breaks; a payload of nothing else would panic in go-nostr v0.38.2.
	if strings.ContainsAny(e.Content, "\r\n") {
		return "", errDecrypt
	}
	conversation, err := nip44.GenerateConversationKey(e.PubKey, hex.EncodeToString(k.secret[:]))
	if err != nil {
		return "", errDecrypt
	}
	plain, err := nip44.Decrypt(e.Content, conversation)
	if err != nil {
		return "", errDecrypt
	}
	return plain, nil
}

// verifyEvent checks id and signature.
func verifyEvent(e nostr.Event) error {
	if id := sha256.Sum256(e.Serialize()); hex.EncodeToString(id[:]) != e.ID {
		return errors.New("the id is not the hash of the event")
	}
	if ok, err := e.CheckSignature(); err != nil || !ok {
		return errors.New("the signature is wrong")
	}
	return nil
}

func eventID(s string) (id orders.EventID, err error) {
	err = id.UnmarshalText([]byte(s))
	return id, err
}
