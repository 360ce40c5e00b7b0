package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

func TestUsageLine(t *testing.T) {
	got := usage([]param{{name: "order_id"}, {name: "reason", optional: true}, {name: "force", optional: true}})
	if want := "order_id [reason] [force]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBoolAndTextParameters(t *testing.T) {
	params := []param{{name: "note", kind: lineParam(100)}, {name: "force", optional: true, kind: boolParam}}
	a, wrong := mend(json.RawMessage(`["007",true]`), params)
	if wrong != nil || a.text("note", "") != "007" || a.text("force", "") != "true" {
		t.Errorf("got %v, %v", a, wrong)
	}
	if _, wrong = mend(json.RawMessage(`{"note":"x","force":1}`), params); wrong == nil || wrong.Code != clnio.CodeInvalidParams {
		t.Errorf("force=1: got %v", wrong)
	}
}

// glightning answers nothing at all when a result cannot be marshalled, and neither result nor error when it is nil.
func TestMethodWithoutAUsableResultIsAnIncident(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for name, result := range map[string]any{"nil": nil, "a channel": make(chan int)} {
		m := &method{name: "x", run: work{call: func(context.Context, market, request) (any, error) { return result, nil }}}
		a := runMethod(t.Context(), log, &probe{}, m, request{}, "{}")
		if a.Error == nil || a.Error.Code != clnio.CodeInternal {
			t.Errorf("%s: got %s %v", name, a.Result, a.Error)
		}
	}
}

func TestLibraryOutputThatIsNoMessageIsDropped(t *testing.T) {
	lib := &library{log: slog.New(slog.DiscardHandler)}
	var got []string
	answered := func(_ context.Context, m clnio.Message) { got = append(got, string(m.ID)) }
	for _, line := range []string{"ERR\n", "map[start:x]\n", `{"a":` + "\n", "[1]\n", `{"jsonrpc":"2.0","method":"log","params":{}}` + "\n", `{"jsonrpc":"2.0","id":7,"result":{}}` + "\n"} {
		lib.line(t.Context(), []byte(line), answered)
	}
	if strings.Join(got, " ") != "7" {
		t.Errorf("answered %q, want 7 alone", got)
	}
}

func FuzzMend(f *testing.F) {
	for _, s := range []string{`{"order_id":"a","order_id":"b"}`, `[1,null,{}]`, `{}`, `"x"`, ``, `{"limit":1e9999}`, `{"a":`, `null`} {
		f.Add(s)
	}
	params := []param{{name: "order_id", kind: orderParam}, {name: "limit", optional: true, kind: countParam}}
	f.Fuzz(func(t *testing.T, s string) {
		a, wrong := mend(json.RawMessage(s), params)
		if (a == nil) == (wrong == nil) {
			t.Fatalf("got %v and %v", a, wrong)
		}
		if wrong == nil {
			return
		}
		if wrong.Code != clnio.CodeInvalidParams || strings.ContainsAny(wrong.Message, "\n\r") {
			t.Errorf("got %v", wrong)
		}
	})
}

func TestCallersAreNamedByTheirWay(t *testing.T) {
	for id, want := range map[string]string{
		`"cli:mostro-pause#7/cln:mostro-pause#12"`:                                 "cli ann",
		`"x:commando#1/cln:commando#2/commando:mostro-pause#3/cln:mostro-pause#4"`: "commando ann",
		`"cli:mostro-pause#7"`: "cli ann",
		`7`:                    "rpc ann",
		`null`:                 "rpc ann",
		`""`:                   "rpc ann",
		`"/"`:                  "rpc ann",
		`"<b>:x/cln:y#1"`:      "rpc ann",
	} {
		if got := (request{id: json.RawMessage(id), args: args{"by": "ann"}}).caller(); got != want {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
}
