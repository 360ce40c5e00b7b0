package simln

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// rpcError is a JSON-RPC error as the node prints it.
type rpcError struct {
	code    int
	message string
	data    any
}

func (e *rpcError) Error() string { return e.message }

func failf(code int, format string, args ...any) *rpcError {
	return &rpcError{code: code, message: fmt.Sprintf(format, args...)}
}

// params are a request's parameters after the check: what is in them has the type that the usage declares.
type params struct{ values map[string]json.RawMessage }

type paramSpec struct {
	name, kind string
	optional   bool
}

// parseUsage reads a declaration such as "label:label [expiry:u64]": positional order, optional ones in brackets.
func parseUsage(usage string) []paramSpec {
	var specs []paramSpec
	for word := range strings.FieldsSeq(usage) {
		inner := strings.Trim(word, "[]")
		name, kind, _ := strings.Cut(inner, ":")
		specs = append(specs, paramSpec{name: name, kind: kind, optional: inner != word})
	}
	return specs
}

// shownUsage is the usage without types, as help prints it.
func shownUsage(specs []paramSpec) string {
	var words []string
	for _, s := range specs {
		if s.optional {
			words = append(words, "["+s.name+"]")
		} else {
			words = append(words, s.name)
		}
	}
	return strings.Join(words, " ")
}

func parseParams(specs []paramSpec, raw json.RawMessage) (*params, *rpcError) {
	p := &params{values: map[string]json.RawMessage{}}
	if items, _, ok := list(raw); ok && raw != nil {
		if len(items) > len(specs) {
			return nil, failf(codeInvalidParams, "too many parameters: got %d, expected %d", len(items), len(specs))
		}
		for i, item := range items {
			p.values[specs[i].name] = item
		}
	} else if err := p.byName(specs, raw); err != nil {
		return nil, err
	}
	for _, s := range specs {
		value := p.values[s.name]
		if isNull(value) {
			delete(p.values, s.name)
			if !s.optional {
				return nil, failf(codeInvalidParams, "missing required parameter: %s", s.name)
			}
			continue
		}
		if should := paramKinds[s.kind].complaint(value); should != "" {
			return nil, failf(codeInvalidParams, "%s: should be %s: invalid token '%s'", s.name, should, value)
		}
	}
	return p, nil
}

func (p *params) byName(specs []paramSpec, raw json.RawMessage) *rpcError {
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return failf(codeInvalidParams, "Expected array or object for params")
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return failf(codeInvalidParams, "Expected array or object for params")
		}
		name := t.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return failf(codeInvalidParams, "Expected array or object for params")
		}
		known := false
		for _, s := range specs {
			known = known || s.name == name
		}
		if !known {
			return failf(codeInvalidParams, "unknown parameter: %s, this may be caused by a failure to autodetect key=value-style parameters. Please try using the -k flag and explicit key=value pairs of parameters.", name)
		}
		if _, twice := p.values[name]; twice {
			return failf(codeInvalidParams, "duplicate json names: %s", name)
		}
		p.values[name] = value
	}
	return nil
}

// paramKind judges a token; what a good one looks like is the end of "should be …".
type paramKind struct {
	should string
	ok     func(raw json.RawMessage) bool
}

func (k paramKind) complaint(raw json.RawMessage) string {
	if k.ok == nil || k.ok(raw) {
		return ""
	}
	return k.should
}

var (
	scidText   = regexp.MustCompile(`^\d+x\d+x\d+$`)
	numberText = regexp.MustCompile(`^\d+$`)
	pubkeyText = regexp.MustCompile(`^0[23][0-9a-f]{64}$`)
)

func isUint(bits int) func(json.RawMessage) bool {
	return func(raw json.RawMessage) bool {
		_, err := strconv.ParseUint(text(raw), 10, bits)
		return err == nil
	}
}

func isHex(n int) func(json.RawMessage) bool {
	return func(raw json.RawMessage) bool {
		b, err := hex.DecodeString(text(raw))
		return err == nil && isString(raw) && (n == 0 || len(b) == n)
	}
}

func isLiteral(raw json.RawMessage) bool { return isString(raw) || numberText.Match(raw) }

var paramKinds = map[string]paramKind{
	"":       {}, // a string; lightningd takes any token's text
	"any":    {},
	"label":  {"a string or number", isLiteral},
	"u64":    {"an unsigned 64 bit integer", isUint(64)},
	"u32":    {"an integer", isUint(32)},
	"u16":    {"a 16 bit integer", isUint(16)},
	"int":    {"an integer", func(raw json.RawMessage) bool { _, err := strconv.ParseInt(text(raw), 10, 64); return err == nil }},
	"hash":   {"a 32 byte hex value", isHex(32)},
	"secret": {"a 32 byte hex value", isHex(32)},
	"hex":    {"a hex value", isHex(0)},
	"pubkey": {"a pubkey", func(raw json.RawMessage) bool { return pubkeyText.MatchString(text(raw)) }},
	"scid":   {"a short_channel_id of form NxNxN", func(raw json.RawMessage) bool { return scidText.MatchString(text(raw)) }},
	"bool":   {"'true' or 'false'", func(raw json.RawMessage) bool { t := text(raw); return t == "true" || t == "false" }},
	"array":  {"an array", func(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '[' }},
	"msat":   {"a millisatoshi amount", func(raw json.RawMessage) bool { _, ok := parseMsat(text(raw)); return ok }},
	"msat+any": {"positive msat or 'any'", func(raw json.RawMessage) bool {
		v, ok := parseMsat(text(raw))
		return text(raw) == "any" || ok && v > 0
	}},
}

// parseMsat reads an amount as lightningd takes it: 1000, "1000msat", "1sat", "0.00000001btc".
func parseMsat(s string) (Msat, bool) {
	for _, unit := range []struct {
		suffix   string
		factor   int64
		decimals int
	}{{"msat", 1, 0}, {"sat", 1000, 3}, {"btc", 1e11, 11}} {
		num, ok := strings.CutSuffix(s, unit.suffix)
		if !ok {
			continue
		}
		whole, frac, _ := strings.Cut(num, ".")
		if whole == "" || len(frac) > unit.decimals || !numberText.MatchString(whole+frac) {
			return 0, false
		}
		v, _ := new(big.Int).SetString(whole+frac, 10)
		v.Mul(v, big.NewInt(unit.factor))
		v.Div(v, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(frac))), nil))
		return Msat(v.Uint64()), v.IsUint64()
	}
	v, err := strconv.ParseUint(s, 10, 64)
	return Msat(v), err == nil
}

func (p *params) has(name string) bool { _, ok := p.values[name]; return ok }

func (p *params) str(name string) string {
	if !p.has(name) {
		return ""
	}
	return text(p.values[name])
}

// strOr gives def where the parameter is absent; the same goes for the other …Or getters.
func (p *params) strOr(name, def string) string {
	if !p.has(name) {
		return def
	}
	return p.str(name)
}

func (p *params) uintOr(name string, def uint64) uint64 {
	v, err := strconv.ParseUint(p.str(name), 10, 64)
	if err != nil {
		return def
	}
	return v
}

func (p *params) intOr(name string, def int64) int64 {
	v, err := strconv.ParseInt(p.str(name), 10, 64)
	if err != nil {
		return def
	}
	return v
}

func (p *params) bool(name string) bool { return p.str(name) == "true" }

func (p *params) msat(name string) Msat {
	v, _ := parseMsat(p.str(name))
	return v
}

func (p *params) hex32(name string) (out [32]byte) {
	out, _ = decodeHex32(strings.ToLower(p.str(name)))
	return out
}

// strings reads an array of strings, or one string as an array of one.
func (p *params) strings(name string) []string {
	items, _, ok := list(p.values[name])
	if !ok {
		return []string{p.str(name)}
	}
	var out []string
	for _, item := range items {
		out = append(out, text(item))
	}
	return out
}
