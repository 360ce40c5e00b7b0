package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

const indent = "   "

// value is a JSON value that remembers the order of members and the text of numbers.
type value struct {
	text    string // of a string or a literal
	names   []string
	items   []value
	object  bool
	isArray bool
}

func parseValue(dec *json.Decoder) (value, error) {
	t, err := dec.Token()
	if err != nil {
		return value{}, err
	}
	open, ok := t.(json.Delim)
	if !ok {
		if t == nil {
			return value{text: "null"}, nil
		}
		return value{text: fmt.Sprint(t)}, nil
	}
	v := value{object: open == '{', isArray: open == '['}
	for dec.More() {
		if v.object {
			name, err := dec.Token()
			if err != nil {
				return value{}, err
			}
			v.names = append(v.names, name.(string))
		}
		item, err := parseValue(dec)
		if err != nil {
			return value{}, err
		}
		v.items = append(v.items, item)
	}
	_, err = dec.Token()
	return v, err
}

func (o *options) printError(w io.Writer, failure json.RawMessage) {
	if o.raw {
		fmt.Fprintf(w, "%s\n", failure)
		return
	}
	printJSON(w, failure)
}

func printJSON(w io.Writer, raw json.RawMessage) {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", indent) != nil {
		b.Reset()
		b.Write(raw)
	}
	fmt.Fprintf(w, "%s\n", b.Bytes())
}

// print shows a result. Without a flag the reply's format-hint chooses, and the list of commands has a form of its own.
func (o *options) print(w io.Writer, raw json.RawMessage) error {
	if o.raw {
		fmt.Fprintf(w, "%s\n", raw)
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	v, err := parseValue(dec)
	if err != nil {
		return fmt.Errorf("malformed result: %w", err)
	}
	simple := v.dropHint()
	switch {
	case o.json:
		printJSON(w, raw)
	case o.flat:
		printFlat(w, "", v)
	case o.method == "help" && len(o.args) == 0 && !o.human:
		printHelp(w, v)
	case o.human || simple:
		printHuman(w, v, "\n")
	default:
		printJSON(w, raw)
	}
	return nil
}

// dropHint takes format-hint out and says whether it asked for the simple form.
func (v *value) dropHint() (simple bool) {
	i := slices.Index(v.names, "format-hint")
	if i < 0 {
		return false
	}
	simple = v.items[i].text == "simple"
	v.names, v.items = slices.Delete(v.names, i, i+1), slices.Delete(v.items, i, i+1)
	return simple
}

// printHuman writes members as NAME=VALUE lines, and an object of one member as that member's value alone.
func printHuman(w io.Writer, v value, end string) {
	switch {
	case v.object && len(v.items) == 1:
		printHuman(w, v.items[0], "\n")
	case v.object:
		for i, name := range v.names {
			fmt.Fprint(w, name, "=")
			printHuman(w, v.items[i], "\n")
		}
	case v.isArray:
		for _, item := range v.items {
			printHuman(w, item, "\n")
		}
	default:
		fmt.Fprint(w, v.text, end)
	}
}

func printFlat(w io.Writer, prefix string, v value) {
	switch {
	case v.object:
		for i, name := range v.names {
			if prefix != "" {
				name = prefix + "." + name
			}
			printFlat(w, name, v.items[i])
		}
	case v.isArray:
		for i, item := range v.items {
			printFlat(w, fmt.Sprintf("%s[%d]", prefix, i), item)
		}
	default:
		fmt.Fprintf(w, "%s=%s\n", prefix, v.text)
	}
}

func printHelp(w io.Writer, v value) {
	printHuman(w, v, "\n")
	fmt.Fprint(w, "---\nrun `simln-cli help <command>` for more information on a specific command\n")
}
