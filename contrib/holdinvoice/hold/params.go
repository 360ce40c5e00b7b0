package hold

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// method is one RPC command: its parameters in positional order, and what it does.
type method struct {
	name   string
	about  string
	params []param
	run    func(ctx context.Context, a args) (any, error)
}

// param is one parameter; read turns its JSON into a value or says what it should be.
type param struct {
	name     string
	required bool
	secret   bool // errors must not repeat it
	read     func(raw json.RawMessage) (any, error)
}

// args are the parameters that were given, by name.
type args map[string]any

// arg returns a parameter, or the zero value if it was not given.
func arg[T any](a args, name string) T {
	v, _ := a[name].(T)
	return v
}

// usage is the line that the node shows: names in order, optional ones in brackets.
func (m *method) usage() string {
	words := make([]string, len(m.params))
	for i, p := range m.params {
		words[i] = p.name
		if !p.required {
			words[i] = "[" + p.name + "]"
		}
	}
	return strings.Join(words, " ")
}

// parse reads params, an array or an object, as Core Lightning does: null is absent, and
// what is missing, unknown, doubled or too much is an error.
func (m *method) parse(params json.RawMessage) (args, error) {
	given, err := m.split(params)
	if err != nil {
		return nil, err
	}
	a := args{}
	for _, p := range m.params {
		raw, ok := given[p.name]
		if !ok {
			if p.required {
				return nil, invalid("missing required parameter: %s", p.name)
			}
			continue
		}
		v, err := p.read(raw)
		if err != nil && p.secret {
			return nil, invalid("%s: %s", p.name, err)
		}
		if err != nil {
			return nil, invalid("%s: %s: invalid token '%s'", p.name, err, short(raw))
		}
		a[p.name] = v
	}
	return a, nil
}

// split gives each parameter its name.
func (m *method) split(params json.RawMessage) (map[string]json.RawMessage, error) {
	given := map[string]json.RawMessage{}
	params = bytes.TrimSpace(params)
	if len(params) == 0 {
		return given, nil
	}
	if params[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(params, &list); err != nil {
			return nil, invalid("params: %s", err)
		}
		if len(list) > len(m.params) {
			return nil, invalid("too many parameters: got %d, expected %d", len(list), len(m.params))
		}
		for i, raw := range list {
			if !absent(raw) {
				given[m.params[i].name] = raw
			}
		}
		return given, nil
	}
	return given, eachMember(params, func(name string, raw json.RawMessage) error {
		if !m.knows(name) {
			return invalid("unknown parameter: %s", short([]byte(name)))
		}
		if _, twice := given[name]; twice {
			return invalid("duplicate parameter: %s", name)
		}
		if !absent(raw) {
			given[name] = raw
		}
		return nil
	})
}

func (m *method) knows(name string) bool {
	for _, p := range m.params {
		if p.name == name {
			return true
		}
	}
	return false
}

// eachMember walks an object in order, doubled names included.
func eachMember(object json.RawMessage, f func(name string, raw json.RawMessage) error) error {
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return invalid("params: should be an array or an object")
	}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return invalid("params: should be an array or an object")
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return invalid("params: %s", err)
		}
		if err := f(name, raw); err != nil {
			return err
		}
	}
	return nil
}

func invalid(format string, a ...any) error {
	return clnio.Errorf(clnio.CodeInvalidParams, format, a...)
}

// short is what an error repeats of a parameter.
func short(raw []byte) string {
	s := strings.Trim(strings.ToValidUTF8(string(raw), "?"), `"`)
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// text is a string; a number gives its digits, since lightning-cli sends all-digit words
// bare.
func text(raw json.RawMessage) (string, error) {
	if raw[0] == '"' {
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	}
	if raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9' {
		return string(raw), nil
	}
	return "", fmt.Errorf("should be a string")
}

func readText(limit int) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		s, err := text(raw)
		if err != nil {
			return nil, fmt.Errorf("should be a string")
		}
		if len(s) > limit || !utf8.ValidString(s) {
			return nil, fmt.Errorf("should be at most %d bytes of UTF-8", limit)
		}
		return s, nil
	}
}

// readLabel also refuses an empty string.
func readLabel(raw json.RawMessage) (any, error) {
	s, err := readText(200)(raw)
	if err == nil && s == "" {
		return nil, fmt.Errorf("should not be empty")
	}
	return s, err
}

func readHash(raw json.RawMessage) (any, error) {
	var h Hash
	s, err := text(raw)
	if err != nil {
		return nil, fmt.Errorf("should be 64 hex digits")
	}
	return h, h.UnmarshalText([]byte(s))
}

func readPreimage(raw json.RawMessage) (any, error) {
	s, err := text(raw)
	if err != nil {
		return nil, fmt.Errorf("should be 64 hex digits")
	}
	p, err := parsePreimage(s)
	return &p, err
}

// maxAmount in msat: all the bitcoin there will be.
const maxAmount = 21_000_000 * 100_000_000 * 1000

// readMsat reads 1000, "1000msat", "1sat" or "0.00000001btc".
func readMsat(raw json.RawMessage) (any, error) {
	wrong := fmt.Errorf("should be a millisatoshi amount above zero")
	s, err := text(raw)
	if err != nil {
		return nil, wrong
	}
	unit := int64(1)
	switch {
	case strings.HasSuffix(s, "msat"):
		s = strings.TrimSuffix(s, "msat")
	case strings.HasSuffix(s, "sat"):
		s, unit = strings.TrimSuffix(s, "sat"), 1000
	case strings.HasSuffix(s, "btc"):
		s, unit = strings.TrimSuffix(s, "btc"), 100_000_000_000
	}
	if len(s) > 32 || strings.Trim(s, "0123456789.") != "" || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") {
		return nil, wrong
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, wrong
	}
	r.Mul(r, new(big.Rat).SetInt64(unit))
	if !r.IsInt() || r.Sign() <= 0 || r.Cmp(new(big.Rat).SetInt64(maxAmount)) > 0 {
		return nil, wrong
	}
	return Msat(r.Num().Uint64()), nil
}

// readNumber reads a whole number between low and high.
func readNumber(low, high uint64) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		wrong := fmt.Errorf("should be a whole number between %d and %d", low, high)
		s, err := text(raw)
		if err != nil || len(s) > 20 || strings.Trim(s, "0123456789") != "" || s == "" {
			return nil, wrong
		}
		n, ok := new(big.Int).SetString(s, 10)
		if !ok || !n.IsUint64() || n.Uint64() < low || n.Uint64() > high {
			return nil, wrong
		}
		return n.Uint64(), nil
	}
}

func readBool(raw json.RawMessage) (any, error) {
	switch string(raw) {
	case "true", `"true"`:
		return true, nil
	case "false", `"false"`:
		return false, nil
	}
	return nil, fmt.Errorf("should be 'true' or 'false'")
}

// readStrings reads an array of strings and keeps it as JSON.
func readStrings(raw json.RawMessage) (any, error) {
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
		return nil, fmt.Errorf("should be an array of strings")
	}
	if len(list) > 100 || slices.ContainsFunc(list, func(s string) bool { return len(s) > 200 }) {
		return nil, fmt.Errorf("should be at most 100 strings of at most 200 bytes")
	}
	return json.Marshal(list)
}

// readExpose reads a boolean, a channel or a list of channels, and keeps it as JSON.
func readExpose(raw json.RawMessage) (any, error) {
	if b, err := readBool(raw); err == nil {
		return json.Marshal(b)
	}
	if list, err := readStrings(raw); err == nil {
		return list, nil
	}
	if s, err := text(raw); err == nil && strings.Count(s, "x") == 2 {
		return json.Marshal([]string{s})
	}
	return nil, fmt.Errorf("should be a boolean, a short_channel_id or an array of them")
}

// marshaled is v as JSON; v is one of our own types, of which none can fail.
func marshaled(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return b
}
