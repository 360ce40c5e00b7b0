package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/mostro-cln/mostro/orders"
)

// The manual in its three forms, mostro-help, contrib/docs/admin.md and man pages, is printed from the tables of methods
// and of topics.

// resultField is a field of a result, as the manual names it: `orders[].order_id`.
type resultField struct {
	path, kind, about string
	optional          bool
}

// resultFields lists what a result can have, in the order of its JSON. Lists are marked by [].
func resultFields(t reflect.Type, prefix string) (list []resultField) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			list = append(list, resultFields(f.Type, prefix)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		inner, kind := kindOf(f.Type, name)
		list = append(list, resultField{prefix + name, kind, f.Tag.Get("about"), options == "omitempty"})
		if inner != nil {
			mark := "."
			if f.Type.Kind() == reflect.Slice {
				mark = "[]."
			}
			list = append(list, resultFields(inner, prefix+name+mark)...)
		}
	}
	return list
}

// kindOf names a field's JSON type; inner is what an object, or each object of a list, is made of.
func kindOf(t reflect.Type, name string) (inner reflect.Type, kind string) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[orders.Msats]():
		return nil, "msat"
	case t.Kind() == reflect.Struct:
		return t, "object"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return t.Elem(), "array of objects"
	case t.Kind() == reflect.Slice:
		return nil, "array of strings"
	case t.Kind() == reflect.Map:
		return nil, "object of numbers"
	case t.Kind() == reflect.Bool:
		return nil, "boolean"
	case t.Kind() == reflect.String:
		return nil, "string"
	case t.Kind() == reflect.Float64:
		return nil, "number"
	case strings.HasSuffix(name, "_at") || name == "at" || name == "since" || name == "until":
		return nil, "unix seconds"
	}
	return nil, "integer"
}

// natureWords say what a nature means.
var natureWords = map[nature]string{
	reads: "reads", acts: "acts, moves no sats", pays: "decides where sats go",
}

// synopsis is the whole command line.
func (m *method) synopsis() string { return strings.TrimSpace(m.name + " " + usage(m.params)) }

// codes are all that the method can answer with, once each.
func (m *method) codes() []int {
	all := slices.Concat(commonCodes, m.errors)
	slices.Sort(all)
	return slices.Compact(all)
}

// chapters are the natures in the order of the manual.
var chapters = []struct {
	nature nature
	title  string
}{
	{reads, "Commands that read"},
	{acts, "Commands that act"},
	{pays, "Commands that decide where sats go"},
}

const manualIntro = `# Commands of the exchange

Written by ` + "`make golden`" + ` from the tables in plugin/commands.go and plugin/topics.go, which the program itself uses.

` + "```" + `
lightning-cli mostro-help                 # the list
lightning-cli mostro-help settleorder     # one of them
lightning-cli help mostro-settleorder     # the same as a manual page, after make install
lightning-cli -k mostro-listorders currency=EUR since=7d
` + "```" + `

Results are JSON objects. Amounts are integers in msat, times unix seconds, keys and hashes hex in lower case. What has
no value is left out where the list says *perhaps*. Parameters go by position or by name. Where a list ends with
` + "`next_before` or `next_after`" + `, its value goes into the parameter ` + "`before` or `after`" + ` of the next call.

A name that begins with ` + "`mostro-list` or `mostro-show`" + ` only ever reads; [runes.md](runes.md) has the other ones that do, and
runes for a dashboard and for a solver. What decides about sats wants ` + "`confirm`" + `, the first characters of the order's id, and
can be repeated when an answer was lost. Whatever acts is written into the audit (` + "`mostro-audit`" + `).

Calls that take long tell of it, if the client wants to hear (` + "`lightning-cli -N info …`" + `).
`

// writeAdminMarkdown prints contrib/docs/admin.md.
func writeAdminMarkdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString(manualIntro)
	b.WriteString("\n| command | nature | |\n|---|---|---|\n")
	for _, m := range methods {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", m.name, m.name, m.nature, m.about)
	}
	for _, c := range chapters {
		fmt.Fprintf(&b, "\n## %s\n", c.title)
		for _, m := range methods {
			if m.nature == c.nature {
				m.markdown(&b)
			}
		}
	}
	b.WriteString("\n## Errors\n\n| code | when |\n|---|---|\n")
	for _, code := range slices.Sorted(maps.Keys(codeWords)) {
		fmt.Fprintf(&b, "| %d | %s |\n", code, codeWords[code])
	}
	topicsMarkdown(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (m *method) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s\n\n%s.\n\n```\n%s\n```\n", m.name, m.about, m.synopsis())
	if m.more != "" {
		fmt.Fprintf(b, "\n%s\n", m.more)
	}
	if len(m.params) > 0 {
		b.WriteString("\n| parameter | wants | |\n|---|---|---|\n")
		for _, p := range m.params {
			name := p.name
			if p.optional {
				name = "[" + name + "]"
			}
			fmt.Fprintf(b, "| %s | %s | %s |\n", name, p.kind.wants, p.about)
		}
	}
	b.WriteString("\n| result | is | |\n|---|---|---|\n")
	for _, f := range resultFields(m.run.result, "") {
		fmt.Fprintf(b, "| %s | %s | %s |\n", f.path, f.typeWords(), f.about)
	}
	if len(m.errors) > 0 {
		fmt.Fprintf(b, "\nErrors beside the common ones: %s.\n", joinInts(m.errors))
	}
	b.WriteString("\n```\n")
	for _, e := range m.examples {
		fmt.Fprintf(b, "lightning-cli %s\n", e)
	}
	b.WriteString("```\n")
}

func (f *resultField) typeWords() string {
	if f.optional {
		return f.kind + ", perhaps"
	}
	return f.kind
}

func joinInts(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = fmt.Sprint(n)
	}
	return strings.Join(words, ", ")
}

// helpList is the result of mostro-help.
type helpList struct {
	Help   []helpRow `json:"help" about:"the commands"`
	Manual string    `json:"manual,omitempty" about:"all about the one that was asked for, as text"`
}

type helpRow struct {
	Command string `json:"command" about:"name and parameters"`
	Nature  string `json:"nature" about:"read, act or money"`
	About   string `json:"description" about:"in a sentence"`
}

func help(_ context.Context, _ market, r request) (helpList, error) {
	name, one := r.args["command"]
	name = "mostro-" + strings.TrimPrefix(name, "mostro-")
	list := helpList{Help: []helpRow{}}
	for _, m := range methods {
		if one && m.name != name {
			continue
		}
		list.Help = append(list.Help, helpRow{m.synopsis(), string(m.nature), m.about})
		if one {
			list.Manual = m.plain()
		}
	}
	if one && len(list.Help) == 0 {
		return list, refusal(codeNotFound, nil, "there is no command %s; mostro-help lists all", name)
	}
	return list, nil
}

// plain is the manual of one command as text for a terminal.
func (m *method) plain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s. It %s.\n", m.synopsis(), m.about, natureWords[m.nature])
	if m.more != "" {
		fmt.Fprintf(&b, "\n%s\n", m.more)
	}
	if len(m.params) > 0 {
		b.WriteString("\nPARAMETERS\n")
		for _, p := range m.params {
			fmt.Fprintf(&b, "  %s: %s; %s\n", p.name, p.kind.wants, p.about)
		}
	}
	b.WriteString("\nRESULT\n")
	for _, f := range resultFields(m.run.result, "") {
		fmt.Fprintf(&b, "  %s (%s): %s\n", f.path, f.typeWords(), f.about)
	}
	b.WriteString("\nERRORS\n")
	for _, code := range m.codes() {
		fmt.Fprintf(&b, "  %d: %s\n", code, codeWords[code])
	}
	b.WriteString("\nEXAMPLES\n")
	for _, e := range m.examples {
		fmt.Fprintf(&b, "  lightning-cli %s\n", e)
	}
	return b.String()
}
