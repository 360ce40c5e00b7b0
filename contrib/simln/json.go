package simln

import (
	"bytes"
	"encoding/json"
)

// object is a JSON object that keeps the order in which its members were added.
type object struct {
	names  []string
	values []any
}

func obj(pairs ...any) *object {
	o := &object{}
	for i := 0; i+1 < len(pairs); i += 2 {
		o.add(pairs[i].(string), pairs[i+1])
	}
	return o
}

func (o *object) add(name string, value any) *object {
	o.names = append(o.names, name)
	o.values = append(o.values, value)
	return o
}

// addIf adds the member only where the node would print it.
func (o *object) addIf(cond bool, name string, value any) *object {
	if cond {
		o.add(name, value)
	}
	return o
}

func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range o.names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(marshal(name))
		b.WriteByte(':')
		b.Write(marshal(o.values[i]))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// marshal encodes without HTML escapes. Only values made in this package come here, so an error is a bug.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("simln: cannot encode: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// members splits a JSON object into its members as raw text; nil if raw is no object.
func members(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

// text gives a JSON string's content, and any other token as it stands in the message.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil && len(raw) > 0 && raw[0] == '"' {
		return s
	}
	return string(raw)
}

// rawText is the token between its quotes, escapes left as they are: Core Lightning compares ids so.
func rawText(raw json.RawMessage) string {
	if len(raw) >= 2 && raw[0] == '"' {
		return string(raw[1 : len(raw)-1])
	}
	return string(raw)
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
