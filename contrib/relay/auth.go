package relay

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/nbd-wtf/go-nostr"
)

// authWindow is how far the clock of a client may be from ours (NIP-42: about 10 minutes).
const authWindow = 10 * time.Minute

func (c *conn) auth(data json.RawMessage) {
	e, err := parseEvent(data)
	if err == nil {
		err = checkAuth(e, c.challenge, c.host, time.Now())
	}
	if err != nil {
		c.answer(e.ID, false, "invalid: "+err.Error())
		return
	}
	c.authed = true
	c.answer(e.ID, true, "")
}

// checkAuth judges a verified event as the answer to a challenge. The relay's address is compared by host alone: behind
// a proxy we don't know more of our own address.
func checkAuth(e nostr.Event, challenge, host string, now time.Time) error {
	if e.Kind != nostr.KindClientAuthentication {
		return errors.New("AUTH wants an event of kind 22242")
	}
	if age := now.Sub(e.CreatedAt.Time()); age > authWindow || age < -authWindow {
		return errors.New("the time of the event is not now")
	}
	var relayOK, challengeOK bool
	for _, tag := range e.Tags {
		if len(tag) < 2 {
			continue
		}
		switch tag[0] {
		case "challenge":
			challengeOK = challengeOK || tag[1] == challenge
		case "relay":
			u, err := url.Parse(tag[1])
			relayOK = relayOK || err == nil && strings.EqualFold(u.Host, host)
		}
	}
	if !challengeOK {
		return errors.New("the challenge is another")
	}
	if !relayOK {
		return errors.New("the relay is another")
	}
	return nil
}
