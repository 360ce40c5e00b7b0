package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// readPrefixes are names of methods that only ever read, whatever comes later. The other ones that read are named one by
// one.
var readPrefixes = []string{"mostro-list", "mostro-show"}

// solverMethods are what a solver needs who works over the node's RPC.
var solverMethods = []string{"mostro-listdisputes", "mostro-showorder", "mostro-takedispute", "mostro-settleorder", "mostro-cancelorder"}

// dashboardRune lets its bearer read. (Core Lightning docs, createrune: the restrictions of one list are alternatives, and
// one of each list must hold.)
func dashboardRune() [][]string {
	var either []string
	for _, p := range readPrefixes {
		either = append(either, "method^"+p)
	}
	for _, m := range methods {
		if m.nature == reads && !slices.ContainsFunc(readPrefixes, func(p string) bool { return strings.HasPrefix(m.name, p) }) {
			either = append(either, "method="+m.name)
		}
	}
	return [][]string{either}
}

// solverRune lets its bearer settle disputes, under that name in the audit.
func solverRune(name string) [][]string {
	var all, free []string
	for _, s := range solverMethods {
		all = append(all, "method="+s)
	}
	for _, m := range methods {
		if m.nature == reads && slices.Contains(solverMethods, m.name) {
			free = append(free, "method="+m.name)
		}
	}
	return [][]string{all, append(free, "pnameby="+name)}
}

// writeRunes prints the part of contrib/docs/runes.md that follows from the table.
func writeRunes(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| command | nature | dashboard | solver |\n|---|---|---|---|\n")
	mark := map[bool]string{true: "yes", false: ""}
	for _, m := range methods {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.name, natureWords[m.nature], mark[m.nature == reads], mark[slices.Contains(solverMethods, m.name)])
	}
	for _, r := range []struct {
		title string
		rune  [][]string
	}{{"A dashboard that reads", dashboardRune()}, {"The solver alice", solverRune("alice")}} {
		raw, err := json.Marshal(r.rune)
		if err != nil {
			return fmt.Errorf("print runes: %w", err)
		}
		// json.Marshal escapes nothing of ours but < > &, of which there is none.
		fmt.Fprintf(&b, "\n%s:\n\n```\nlightning-cli createrune restrictions='%s'\n```\n", r.title, raw)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
