package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// param is one parameter of an RPC method. The order of a method's params is the positional order.
type param struct {
	name     string
	optional bool
	kind     paramKind
	about    string // half a sentence for the manual
}

// paramKind judges one value and brings it into its canonical text.
type paramKind struct {
	wants string
	read  func(token string, isText bool) (text string, ok bool)
}

// args are a method's parameters after they were judged: name → canonical text. What was not given is not there.
type args map[string]string

// Kinds of parameters. lightning-cli sends an all-digit argument as a number and anything else as a string, so each
// kind takes both.
var (
	countParam = paramKind{"an unsigned 64 bit integer", func(token string, _ bool) (string, bool) {
		n, err := strconv.ParseUint(token, 10, 64)
		return strconv.FormatUint(n, 10), err == nil
	}}

	boolParam = paramKind{"true or false", func(token string, _ bool) (string, bool) {
		return token, token == "true" || token == "false"
	}}

	orderParam = paramKind{"an order id (a UUID)", func(token string, isText bool) (string, bool) {
		id, err := orders.ParseOrderID(token)
		return id.String(), err == nil
	}}
)

// usage is the line that `help` shows: required names, then optional ones in brackets.
func usage(params []param) string {
	words := make([]string, len(params))
	for i, p := range params {
		words[i] = p.name
		if p.optional {
			words[i] = "[" + p.name + "]"
		}
	}
	return strings.Join(words, " ")
}

// mend turns a request's params, positional or named, into args. Null means "not given". The error is what lightningd
// itself would answer: code −32602 and a sentence that names the parameter.
func mend(raw json.RawMessage, params []param) (args, *clnio.Error) {
	given, wrong := readParams(raw, params)
	if wrong != nil {
		return nil, wrong
	}
	out := args{}
	for _, p := range params {
		token, ok := given[p.name]
		if !ok || string(token) == "null" {
			if !p.optional {
				return nil, clnio.Errorf(clnio.CodeInvalidParams, "missing required parameter: %s", p.name)
			}
			continue
		}
		text, ok := p.kind.judge(token)
		if !ok {
			return nil, clnio.Errorf(clnio.CodeInvalidParams, "%s: should be %s: invalid token '%s'", p.name, p.kind.wants, clnio.CleanLine(shorten(string(token))))
		}
		out[p.name] = text
	}
	return out, nil
}

// readParams sorts the tokens by name, and refuses what has no place.
func readParams(raw json.RawMessage, params []param) (map[string]json.RawMessage, *clnio.Error) {
	raw = bytes.TrimSpace(raw)
	given := map[string]json.RawMessage{}
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return given, nil
	case raw[0] == '[':
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, clnio.Errorf(clnio.CodeInvalidParams, "params: not readable")
		}
		if len(list) > len(params) {
			return nil, clnio.Errorf(clnio.CodeInvalidParams, "too many parameters: got %d, expected %d", len(list), len(params))
		}
		for i, token := range list {
			given[params[i].name] = token
		}
		return given, nil
	case raw[0] != '{':
		return nil, clnio.Errorf(clnio.CodeInvalidParams, "params: should be an array or an object")
	}
	fields, err := readObject(raw)
	if err != nil {
		return nil, clnio.Errorf(clnio.CodeInvalidParams, "params: %v", err)
	}
	for name := range fields {
		if !hasParam(params, name) {
			return nil, clnio.Errorf(clnio.CodeInvalidParams, "unknown parameter: '%s'", clnio.CleanLine(shorten(name)))
		}
	}
	return fields, nil
}

func hasParam(params []param, name string) bool {
	for _, p := range params {
		if p.name == name {
			return true
		}
	}
	return false
}

// readObject reads an object's fields and refuses a name that stands twice.
func readObject(raw []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("not readable")
	}
	fields := map[string]json.RawMessage{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not readable")
		}
		name, _ := key.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("not readable")
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("duplicate parameter: '%s'", clnio.CleanLine(shorten(name)))
		}
		fields[name] = value
	}
	if _, err := dec.Token(); err != nil && err != io.EOF {
		return nil, fmt.Errorf("not readable")
	}
	return fields, nil
}

// judge takes strings, numbers and booleans by their literal text, so that no digit is lost; lists and objects never.
func (k paramKind) judge(token json.RawMessage) (string, bool) {
	text := string(token)
	isText := len(token) > 0 && token[0] == '"'
	switch {
	case isText:
		if json.Unmarshal(token, &text) != nil {
			return "", false
		}
	case len(token) == 0 || token[0] == '[' || token[0] == '{':
		return "", false
	}
	return k.read(text, isText)
}

func shorten(s string) string { return clnio.Shorten(s, 100) }

// text returns a parameter, or what it is when not given.
func (a args) text(name, otherwise string) string {
	if v, ok := a[name]; ok {
		return v
	}
	return otherwise
}

// count returns a parameter of kind countParam.
func (a args) count(name string, otherwise uint64) uint64 {
	v, ok := a[name]
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}

// order returns a parameter of kind orderParam, which is never optional.
func (a args) order(name string) orders.OrderID {
	id, _ := orders.ParseOrderID(a[name]) // judged before
	return id
}
