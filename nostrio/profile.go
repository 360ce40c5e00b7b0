package nostrio

import (
	"github.com/nbd-wtf/go-nostr"
)

// Profile is how a node presents itself to people: kind 0 (NIP-01). Empty fields are left out.
type Profile struct {
	Name      string
	About     string
	Website   string
	Picture   string
	CreatedAt int64 // unix seconds
}

// Empty reports whether there is nothing to say.
func (p Profile) Empty() bool { return p.Name+p.About+p.Website+p.Picture == "" }

// Event makes the signed event: a pure function of the value and the key.
func (p Profile) Event(k *Key) nostr.Event {
	content := []byte("{")
	for _, f := range [][2]string{{"name", p.Name}, {"about", p.About}, {"website", p.Website}, {"picture", p.Picture}} {
		if f[1] == "" {
			continue
		}
		if len(content) > 1 {
			content = append(content, ',')
		}
		content = appendString(append(appendString(content, f[0]), ':'), f[1])
	}
	return publication(k, KindProfile, p.CreatedAt, nostr.Tags{}, string(append(content, '}')))
}

// RelayList says at which relays a node can be found: kind 10002 (NIP-65), for reading and writing alike.
type RelayList struct {
	Relays    []string
	CreatedAt int64 // unix seconds
}

// Event makes the signed event: a pure function of the value and the key.
func (l RelayList) Event(k *Key) nostr.Event {
	tags := nostr.Tags{}
	for _, r := range l.Relays {
		tags = append(tags, nostr.Tag{"r", r})
	}
	return publication(k, KindRelayList, l.CreatedAt, tags, "")
}
