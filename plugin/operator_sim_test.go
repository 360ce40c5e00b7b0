package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/contrib/simln"
	"github.com/mostro-cln/mostro/orders"
)

// refuses makes a call that has to fail with a code, and returns the message.
func (s sim) refuses(code int, method string, params any) string {
	s.T.Helper()
	err := s.Call(s.T.Context(), method, params, nil)
	var told *simln.RPCError
	if !errors.As(err, &told) || told.Code != code {
		s.T.Fatalf("%s %v: got %v, want code %d", method, params, err, code)
	}
	return told.Message
}

const someKey = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"

func TestSimSettingsAreKeptOverRestarts(t *testing.T) {
	s := startSim(t)
	var now settingsNow
	s.Must("mostro-setfee", map[string]any{"fee": "0.02", "by": "me"}, &now)
	s.Must("mostro-setlimits", []any{"1000sat", "0.002btc"}, &now)
	s.Must("mostro-pause", []any{"new disk"}, &now)
	s.Stop()
	s.Start()
	var info overview
	s.Must("mostro-info", nil, &info)
	if info.Fee != "0.02" || info.MinOrder != 1_000_000 || info.MaxOrder != 200_000_000 || info.Open || info.Pause == nil || info.Pause.Reason != "new disk" {
		t.Errorf("after a restart: %+v", info)
	}
	s.refuses(codeWrongState, "mostro-setlimits", map[string]any{"min_order": "1btc"})
	for _, wrong := range []any{[]any{"0.2"}, []any{"1e-3"}, []any{-1}, nil} {
		s.refuses(-32602, "mostro-setfee", wrong)
	}
	s.Must("mostro-resume", nil, &now)
	s.Must("mostro-setfee", []any{"default"}, &now)
	now = settingsNow{}
	s.Must("mostro-setlimits", []any{"default", "default"}, &now)
	if now.Fee != "0.01" || now.MinOrder != now.MinOption || now.MaxOrder != now.MaxOption || now.Pause != nil {
		t.Errorf("taken back: %+v", now)
	}
	var a auditPage
	s.Must("mostro-audit", map[string]any{"limit": 3}, &a)
	if len(a.Records) != 3 || a.Next == 0 || a.Records[0].What != "set-limits" || a.Records[2].What != "resume" {
		t.Errorf("the audit: %+v", a)
	}
	var rest auditPage
	s.Must("mostro-audit", map[string]any{"before": a.Next, "what": "set-fee"}, &rest)
	if len(rest.Records) != 1 || rest.Records[0].Detail != "0.02" || !strings.HasSuffix(rest.Records[0].Name, " me") || rest.Next != 0 {
		t.Errorf("its next page: %+v", rest)
	}
}

func TestSimSolversAndBans(t *testing.T) {
	s := startSim(t)
	s.Must("mostro-addsolver", []any{someKey, "read"}, nil)
	s.Must("mostro-addsolver", []any{someKey}, nil) // changes the level
	var solvers solverList
	s.Must("mostro-listsolvers", nil, &solvers)
	if len(solvers.Solvers) != 1 || solvers.Solvers[0].Level != "read-write" || len(solvers.Admins) != 1 || !strings.HasPrefix(solvers.Solvers[0].Npub, "npub1") {
		t.Errorf("got %+v", solvers)
	}
	s.Must("mostro-removesolver", []any{solvers.Solvers[0].Npub}, nil)
	s.refuses(codeNotFound, "mostro-removesolver", []any{someKey})

	s.Must("mostro-banuser", map[string]any{"user": someKey, "reason": "spam", "until": "2100-01-01"}, nil)
	s.refuses(-32602, "mostro-banuser", map[string]any{"user": someKey, "until": "7d"})
	var users userList
	s.Must("mostro-listusers", map[string]any{"banned": true}, &users)
	if len(users.Users) != 1 || users.Users[0].Ban == nil || !users.Users[0].Ban.Holds || users.Users[0].Ban.Reason != "spam" {
		t.Errorf("got %+v", users)
	}
	s.refuses(codeOrderNotFound, "mostro-banuser", []any{idKnown.String() + ":seller"})
	s.Must("mostro-unbanuser", []any{someKey}, nil)
	s.refuses(codeNotFound, "mostro-unbanuser", []any{someKey})
	s.refuses(codeNotFound, "mostro-listusers", map[string]any{"user": someKey})
}

func TestSimVerdictsOnNothing(t *testing.T) {
	s := startSim(t)
	for _, method := range []string{"mostro-settleorder", "mostro-cancelorder"} {
		s.refuses(codeOrderNotFound, method, []any{idKnown.String(), "1100"})
	}
	s.refuses(codeNotFound, "mostro-takedispute", []any{idKnown.String()})
}

func TestSimRepairsAndBackupsAreAudited(t *testing.T) {
	s := startSim(t)
	s.Must("mostro-backup", map[string]any{"by": "cron"}, nil)
	s.Must("mostro-reconcile", map[string]any{"repair": true}, nil)
	s.Must("mostro-reconcile", nil, nil)
	var a auditPage
	s.Must("mostro-audit", nil, &a)
	if len(a.Records) != 2 || a.Records[0].What != "reconcile" || a.Records[1].What != "backup" || a.Records[1].Detail == "" {
		t.Errorf("got %+v", a)
	}
}

// A client that has enabled notifications hears how a long call goes on, and in the end its answer.
func TestSimLongCallsTellOfTheirProgress(t *testing.T) {
	s := startSim(t)
	conn, err := net.Dial("unix", s.RPCPath())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, `{"jsonrpc":"2.0","id":"n","method":"notifications","params":[true]}`)
	dec := json.NewDecoder(bufio.NewReader(conn))
	type line struct {
		ID     string
		Method string
		Params struct {
			ID      string
			Level   string
			Message string
		}
		Result json.RawMessage
	}
	next := func() (l line) {
		t.Helper()
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := next(); l.ID != "n" {
		t.Fatalf("got %+v", l)
	}
	fmt.Fprint(conn, `{"jsonrpc":"2.0","id":"<c&1>","method":"mostro-check","params":[]}`)
	said := next()
	if said.Method != "message" || said.Params.ID != "<c&1>" || said.Params.Level != "info" || said.Params.Message == "" {
		t.Errorf("got %+v", said)
	}
	if l := next(); l.ID != "<c&1>" || !strings.Contains(string(l.Result), `"sound":true`) {
		t.Errorf("got %+v", l)
	}
}

func TestSimHelpAndEmptyLists(t *testing.T) {
	s := startSim(t)
	var h helpList
	s.Must("mostro-help", nil, &h)
	if len(h.Help) != len(methods) || h.Manual != "" {
		t.Errorf("got %d commands", len(h.Help))
	}
	s.Must("mostro-help", []any{"settleorder"}, &h)
	if len(h.Help) != 1 || !strings.Contains(h.Manual, "confirm") {
		t.Errorf("got %+v", h)
	}
	s.refuses(codeNotFound, "mostro-help", []any{"withdraw"})
	var nodes struct {
		Help []struct{ Command string } `json:"help"`
	}
	s.Must("help", nil, &nodes)
	listed := map[string]bool{}
	for _, c := range nodes.Help {
		listed[strings.Fields(c.Command)[0]] = true
	}
	for _, m := range methods {
		if !listed[m.name] {
			t.Errorf("the node's help lacks %s", m.name)
		}
	}
	for method, list := range map[string]string{
		"mostro-listorders": "orders", "mostro-listdisputes": "disputes", "mostro-listsolvers": "solvers", "mostro-listusers": "users",
		"mostro-listpayouts": "payouts", "mostro-ledger": "entries", "mostro-audit": "records", "mostro-relays": "relays",
	} {
		var r map[string]json.RawMessage
		s.Must(method, nil, &r)
		if raw := string(r[list]); !strings.HasPrefix(raw, "[") {
			t.Errorf("%s: %s is %q", method, list, raw)
		}
	}
	var f figures
	s.Must("mostro-stats", nil, &f)
	if f.Since == 0 || f.Until <= f.Since || f.Rate != "0" || f.Volume == nil {
		t.Errorf("got %+v", f)
	}
	var d drained
	s.Must("mostro-drain", map[string]any{"wait": 5}, &d)
	if !d.Safe || d.PausedAt == 0 {
		t.Errorf("got %+v", d)
	}
}

func TestLedgerAsCSV(t *testing.T) {
	rows := []orders.LedgerRow{
		{Entry: orders.Entry{At: 1_767_225_600, What: orders.Kept, Msats: 60_000}, Kind: orders.Sell, Fiat: orders.Fiat{Code: "=1+1", Amount: 50}},
		{Entry: orders.Entry{At: 1_767_225_601, What: orders.Paid, Msats: 1}, Kind: orders.Buy, Fiat: orders.Fiat{Code: `E"U,R`, Amount: 1}},
	}
	text, err := ledgerCSV(rows, true)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "ledger.csv", []byte(text))
	if more, err := ledgerCSV(rows, false); err != nil || !strings.HasSuffix(text, more) || strings.HasPrefix(more, "time") {
		t.Errorf("a further page: %q, %v", more, err)
	}
}
