package relay

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nbd-wtf/go-nostr"
)

// request is one message of a client: its verb and the other elements, unread.
type request struct {
	verb string
	args []json.RawMessage
}

func parseRequest(data []byte) (request, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(data, &elements); err != nil {
		return request{}, errors.New("a message is a JSON array")
	}
	var r request
	if len(elements) == 0 || json.Unmarshal(elements[0], &r.verb) != nil {
		return request{}, errors.New("a message begins with its type")
	}
	r.args = elements[1:]
	return r, nil
}

// parseEvent reads an event and checks that it is one: the shape of each field, the id over the content, the signature
// over the id. When the id could be read, it is returned even with an error, so that the answer can name it.
func parseEvent(data []byte) (e nostr.Event, err error) {
	var in struct {
		ID        string     `json:"id"`
		PubKey    string     `json:"pubkey"`
		CreatedAt *int64     `json:"created_at"`
		Kind      *int       `json:"kind"`
		Tags      [][]string `json:"tags"`
		Content   *string    `json:"content"`
		Sig       string     `json:"sig"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return nostr.Event{ID: in.ID}, errors.New("the event does not have the form of NIP-01")
	}
	e.ID = in.ID
	switch {
	case !isHex(in.ID, 64):
		return e, errors.New("the id is not 64 characters of lower-case hex")
	case !isHex(in.PubKey, 64):
		return e, errors.New("the pubkey is not 64 characters of lower-case hex")
	case !isHex(in.Sig, 128):
		return e, errors.New("the sig is not 128 characters of lower-case hex")
	case in.CreatedAt == nil || *in.CreatedAt < 0 || in.Kind == nil || in.Content == nil || in.Tags == nil:
		return e, errors.New("created_at, kind, tags and content are needed")
	case *in.Kind < 0 || *in.Kind > 65535:
		return e, errors.New("the kind is not in 0–65535")
	}
	e = nostr.Event{
		ID: in.ID, PubKey: in.PubKey, CreatedAt: nostr.Timestamp(*in.CreatedAt), Kind: *in.Kind,
		Tags: make(nostr.Tags, len(in.Tags)), Content: *in.Content, Sig: in.Sig,
	}
	for i, tag := range in.Tags {
		e.Tags[i] = tag
	}
	return e, verify(e)
}

// verify checks the id and the signature of an event.
func verify(e nostr.Event) error {
	if e.GetID() != e.ID {
		return errors.New("the id is not the hash of the event")
	}
	if ok, err := e.CheckSignature(); err != nil || !ok {
		return errors.New("the signature is wrong")
	}
	return nil
}

// frame encodes a message to a client. Its elements are strings, booleans and plain structs, which always encode.
func frame(elements ...any) []byte {
	data, err := json.Marshal(elements)
	if err != nil {
		panic(fmt.Sprintf("relay: encode %v: %v", elements, err))
	}
	return data
}

// eventFrame is ["EVENT", subscription, event] with the event's JSON as it stands.
func eventFrame(subscription string, e *stored) []byte {
	head := frame("EVENT", subscription)
	out := make([]byte, 0, len(head)+len(e.wire)+1)
	out = append(out, head[:len(head)-1]...)
	out = append(out, ',')
	out = append(out, e.wire...)
	return append(out, ']')
}
