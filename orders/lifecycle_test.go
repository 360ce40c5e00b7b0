package orders

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// The life cycle as an operator can read it. A change of the table is a change of this file.
func TestLifecyclePageIsFresh(t *testing.T) {
	const path = "../contrib/docs/lifecycle.md"
	got := lifecyclePage()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is stale: run go test ./orders -run Lifecycle -update\n%s", path, got)
	}
}

func lifecyclePage() string {
	var b strings.Builder
	b.WriteString("# Life cycle of an order\n\nWritten by `go test ./orders -run Lifecycle -update` from the table in `orders/lifecycle.go`.\n" +
		"Within a status the first row that fits wins. What no row takes changes nothing.\n\n")
	b.WriteString("| status | input | by | when | becomes | done and owed |\n|---|---|---|---|---|---|\n")
	for _, s := range append([]Status{newborn}, Statuses...) {
		for _, r := range lifecycle[s] {
			var acts []string
			for _, a := range r.do {
				acts = append(acts, funcName(a))
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", name(s), r.on, r.by, funcName(r.when), r.to, strings.Join(acts, ", "))
		}
	}
	b.WriteString("\n```mermaid\nstateDiagram-v2\n")
	for _, s := range append([]Status{newborn}, Statuses...) {
		drawn := map[string]bool{}
		for _, r := range lifecycle[s] {
			line := fmt.Sprintf("    %s --> %s: %s\n", node2(s), node2(r.to), r.on)
			if s != r.to && !drawn[line] {
				b.WriteString(line)
				drawn[line] = true
			}
		}
		if s.Final() {
			fmt.Fprintf(&b, "    %s --> [*]\n", node2(s))
		}
	}
	b.WriteString("```\n")
	return b.String()
}

func name(s Status) string {
	if s == newborn {
		return "(new)"
	}
	return string(s)
}

func node2(s Status) string {
	if s == newborn {
		return "[*]"
	}
	return strings.ReplaceAll(string(s), "-", "_")
}

func funcName(f any) string {
	n := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	return n[strings.LastIndex(n, ".")+1:]
}

func TestNoRowLeavesAFinalStatus(t *testing.T) {
	for s, rows := range lifecycle {
		for _, r := range rows {
			if s.Final() && r.to != s {
				t.Errorf("%s → %s on %s", s, r.to, r.on)
			}
			if r.to == Settling && r.on != OnRelease && r.on != OnAdminSettle {
				t.Errorf("%s settles on %s", s, r.on)
			}
			if r.to == Success && s != SettledHoldInvoice && s != Success {
				t.Errorf("%s → success", s)
			}
		}
	}
}
