package simln

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// datum is one entry of the node's key-value store.
type datum struct {
	Key        []string
	Hex        string
	Generation uint64
}

func (d *datum) id() string { return strings.Join(d.Key, "\x00") }

func (d *datum) rowKey() string { return "data/" + d.id() }

func (d *datum) object() *object {
	o := obj("key", d.Key, "generation", d.Generation, "hex", d.Hex)
	b, _ := hex.DecodeString(d.Hex)
	printable := utf8.Valid(b) && !slices.ContainsFunc(b, func(c byte) bool { return c < 0x20 || c == 0x7f })
	return o.addIf(printable, "string", string(b))
}

func (n *Node) cmdDatastore(c *command) (any, error) {
	if c.has("hex") == c.has("string") {
		return nil, failf(codeInvalidParams, "Must have either hex or string")
	}
	key, mode := c.strings("key"), c.strOr("mode", "must-create")
	if !slices.Contains([]string{"must-create", "must-replace", "create-or-replace", "must-append", "create-or-append"}, mode) {
		return nil, failf(codeInvalidParams, "mode: should be 'must-create', 'must-replace', 'create-or-replace', 'must-append', or 'create-or-append': invalid token '%s'", c.values["mode"])
	}
	if c.has("generation") && !strings.HasPrefix(mode, "must-") || c.has("generation") && mode == "must-create" {
		return nil, failf(codeInvalidParams, "generation only valid with must-replace or must-append")
	}
	d := &datum{Key: key}
	old := n.st.data[d.id()]
	switch {
	case old != nil && mode == "must-create":
		return nil, failf(1202, "Key already exists")
	case old == nil && (mode == "must-replace" || mode == "must-append"):
		return nil, failf(1203, "Key does not exist")
	case old != nil && c.has("generation") && old.Generation != c.uintOr("generation", 0):
		return nil, failf(1204, "generation is different")
	}
	for _, other := range n.st.data {
		if len(other.Key) > len(key) && slices.Equal(other.Key[:len(key)], key) {
			return nil, failf(1205, "Key has children")
		}
		if len(other.Key) < len(key) && slices.Equal(other.Key, key[:len(other.Key)]) {
			return nil, failf(1206, "Parent key [%s] exists", strings.Join(other.Key, ","))
		}
	}
	d.Hex = strings.ToLower(c.strOr("hex", hexOf([]byte(c.str("string")))))
	if old != nil {
		d.Generation = old.Generation + 1
		if strings.HasSuffix(mode, "append") {
			d.Hex = old.Hex + d.Hex
		}
	}
	n.st.data[d.id()] = d
	n.st.put(d)
	return d.object(), nil
}

// cmdListDatastore shows an entry, or the next level below a key: names that have more below them come without a value.
func (n *Node) cmdListDatastore(c *command) (any, error) {
	var key []string
	if c.has("key") {
		key = c.strings("key")
	}
	out := []*object{}
	var lastParent string
	for _, id := range sortedKeys(n.st.data) {
		d := n.st.data[id]
		if len(d.Key) < len(key) || !slices.Equal(d.Key[:len(key)], key) {
			continue
		}
		if len(d.Key) <= len(key)+1 {
			out = append(out, d.object())
			continue
		}
		if parent := strings.Join(d.Key[:len(key)+1], "\x00"); parent != lastParent || len(out) == 0 {
			lastParent = parent
			out = append(out, obj("key", d.Key[:len(key)+1]))
		}
	}
	return obj("datastore", out), nil
}

func (n *Node) cmdDelDatastore(c *command) (any, error) {
	d := n.st.data[(&datum{Key: c.strings("key")}).id()]
	if d == nil {
		return nil, failf(1200, "Key does not exist")
	}
	if c.has("generation") && d.Generation != c.uintOr("generation", 0) {
		return nil, failf(1201, "generation is different")
	}
	delete(n.st.data, d.id())
	n.st.remove(d)
	return d.object(), nil
}
