package nostrio

import (
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// frame is one message of a relay (NIP-01, NIP-42). Which fields are set follows from the label.
type frame struct {
	label string      // EVENT, OK, EOSE, CLOSED, NOTICE, AUTH; anything else is to be ignored
	sub   string      // EVENT, EOSE, CLOSED
	event nostr.Event // EVENT, neither id nor signature checked
	id    string      // OK
	ok    bool        // OK
	text  string      // OK, CLOSED, NOTICE: the reason or notice; AUTH: the challenge
}

var errFrame = errors.New("not a relay's message")

// parseFrame reads a relay's message. More elements than are known are passed over.
func parseFrame(data []byte) (f frame, err error) {
	if !utf8.Valid(data) {
		return f, errFrame
	}
	p := scanner{b: data}
	n, err := p.array(func(i int) (err error) {
		switch {
		case i == 0:
			f.label, err = p.str()
		case i == 1 && f.label == "OK":
			f.id, err = p.str()
		case i == 1 && (f.label == "EVENT" || f.label == "EOSE" || f.label == "CLOSED"):
			f.sub, err = p.str()
		case i == 1 && (f.label == "NOTICE" || f.label == "AUTH"):
			f.text, err = p.str()
		case i == 2 && f.label == "EVENT":
			f.event, err = p.event(eventShape)
		case i == 2 && f.label == "OK":
			f.ok, err = p.boolean()
		case i == 3 && f.label == "OK", i == 2 && f.label == "CLOSED":
			f.text, err = p.str()
		default:
			err = p.skip()
		}
		return err
	})
	if err == nil {
		err = p.end()
	}
	need := map[string]int{"EVENT": 3, "OK": 3, "EOSE": 2, "CLOSED": 2, "NOTICE": 2, "AUTH": 2}[f.label]
	if err != nil || n < max(need, 1) {
		return frame{}, errFrame
	}
	return f, nil
}

// Filter says which events a subscription wants; empty lists say nothing. It never has a limit: relays differ in what
// they make of one.
type Filter struct {
	Kinds   []int
	Authors []orders.PubKey
	P       []orders.PubKey // receivers, tag p
}

// append writes the filter with its times, in unix seconds; 0 leaves one out.
func (f Filter) append(dst []byte, since, until int64) []byte {
	dst = append(dst, '{')
	comma := func() {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
	}
	keys := func(name string, keys []orders.PubKey) {
		if len(keys) == 0 {
			return
		}
		comma()
		dst = append(appendString(dst, name), ':')
		dst = appendList(dst, keys, func(dst []byte, k orders.PubKey) []byte { return appendString(dst, k.String()) })
	}
	number := func(name string, n int64) {
		if n == 0 {
			return
		}
		comma()
		dst = append(appendString(dst, name), ':')
		dst = strconv.AppendInt(dst, n, 10)
	}
	if len(f.Kinds) > 0 {
		dst = append(dst, `"kinds":`...)
		dst = appendList(dst, f.Kinds, func(dst []byte, k int) []byte { return strconv.AppendInt(dst, int64(k), 10) })
	}
	keys("authors", f.Authors)
	keys("#p", f.P)
	number("since", since)
	number("until", until)
	return append(dst, '}')
}

func reqFrame(sub string, f Filter, since, until int64) []byte {
	dst := appendString([]byte(`["REQ",`), sub)
	return append(f.append(append(dst, ','), since, until), ']')
}

func closeFrame(sub string) []byte {
	return append(appendString([]byte(`["CLOSE",`), sub), ']')
}

// eventFrame is an EVENT or AUTH message of a client.
func eventFrame(label string, e nostr.Event) []byte {
	return append(appendEvent([]byte(`["`+label+`",`), e), ']')
}

// authEvent answers a relay's challenge (NIP-42).
func authEvent(k *Key, url, challenge string, now int64) nostr.Event {
	e := nostr.Event{CreatedAt: nostr.Timestamp(now), Kind: KindAuth,
		Tags: nostr.Tags{{"relay", url}, {"challenge", challenge}}}
	signEvent(k, &e)
	return e
}
