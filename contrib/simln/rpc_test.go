package simln_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// client is one connection on which a test sends text as it likes.
type client struct {
	t    *testing.T
	conn net.Conn
	dec  *json.Decoder
}

func dial(w *world) *client {
	w.t.Helper()
	conn, err := net.Dial("unix", w.RPCPath())
	check(w.t, err)
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	w.t.Cleanup(func() { conn.Close() })
	return &client{w.t, conn, json.NewDecoder(conn)}
}

func (c *client) send(s string) { io.WriteString(c.conn, s) }

func (c *client) read() string {
	c.t.Helper()
	var raw json.RawMessage
	if err := c.dec.Decode(&raw); err != nil {
		c.t.Fatalf("read: %v", err)
	}
	return string(raw)
}

func TestMalformedRequests(t *testing.T) {
	w := start(t)
	for name, c := range map[string]struct{ request, want string }{
		"no id":                    {`{"jsonrpc":"2.0","method":"getinfo","params":[]}`, `"id":null,"error":{"code":-32600,"message":"No id"`},
		"an id that is an object":  {`{"jsonrpc":"2.0","id":{},"method":"getinfo","params":[]}`, "Expected string/primitive for id"},
		"no jsonrpc":               {`{"id":1,"method":"getinfo","params":[]}`, `must be specified in the request`},
		"no params":                {`{"jsonrpc":"2.0","id":1,"method":"getinfo"}`, `"id":1,"error":{"code":-32600,"message":"No params"`},
		"no method":                {`{"jsonrpc":"2.0","id":"a","params":[]}`, `"id":"a","error":{"code":-32600,"message":"No method"`},
		"an unknown method":        {`{"jsonrpc":"2.0","id":1,"method":"nope","params":[]}`, `-32601,"message":"Unknown command 'nope'"`},
		"an array":                 {`[1]`, "Expected {} for json command"},
		"no JSON":                  {`hello`, "-32600"},
		"params that are a string": {`{"jsonrpc":"2.0","id":1,"method":"getinfo","params":"x"}`, "Expected array or object for params"},
		"too many parameters":      {`{"jsonrpc":"2.0","id":1,"method":"getinfo","params":[1]}`, "too many parameters: got 1, expected 0"},
		"a parameter twice":        {`{"jsonrpc":"2.0","id":1,"method":"help","params":{"command":"a","command":"b"}}`, "duplicate json names: command"},
		"a parameter missing":      {`{"jsonrpc":"2.0","id":1,"method":"decode","params":{"string":null}}`, "missing required parameter: string"},
		"a parameter unknown":      {`{"jsonrpc":"2.0","id":1,"method":"decode","params":{"strin":"x"}}`, "unknown parameter: strin"},
		"a parameter of bad type":  {`{"jsonrpc":"2.0","id":1,"method":"waitblockheight","params":["x"]}`, `blockheight: should be an integer: invalid token '\"x\"'`},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			conn := dial(w)
			conn.send(c.request)
			if got := conn.read(); !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s in it", got, c.want)
			}
		})
	}
}

func TestPluginMethodIsForwardedUnderAnIdOfTheNode(t *testing.T) {
	p := newFake(t, "p")
	p.manifest["rpcmethods"] = []any{method("my-method", "a [b]"), method("other", "")}
	w := start(t, p.spec())
	c := dial(w)
	c.send(`{"jsonrpc":"2.0","id":"me:x#7","method":"my-method","params":{"a":12345678901234567890}}{"jsonrpc":"2.0","id":5,"method":"getinfo","params":[]}`)
	m := p.next("my-method")
	if id := textID(m); !strings.HasPrefix(id, "me:x#7/cln:my-method#") {
		t.Errorf("id %s", id)
	}
	if string(m.Params) != `{"a":12345678901234567890}` {
		t.Errorf("params %s", m.Params)
	}
	if got := c.read(); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":5,"result":{"id":"`) {
		t.Errorf("the quick answer did not overtake: %s", got)
	}
	p.write(rawReply(m, `,"error":{"code":3001,"message":"no such order","data":{"order_id":"x"}}`))
	if got := c.read(); got != `{"jsonrpc":"2.0","id":"me:x#7","error":{"code":3001,"message":"no such order","data":{"order_id":"x"}}}` {
		t.Errorf("got %s", got)
	}
	c.send(`{"jsonrpc":"2.0","id":"a\"b","method":"other","params":[]}`)
	if id := textID(p.next("other")); !strings.HasPrefix(id, "weird-id/cln:other#") {
		t.Errorf("id %s", id)
	}
	check(t, w.KillPlugin(testContext(t), "p"))
	if got := c.read(); !strings.Contains(got, `"id":"a\"b"`) || !strings.Contains(got, `{"code":-4,"message":"Plugin terminated before replying to RPC call."}`) {
		t.Errorf("got %s", got)
	}
	w.refused(-32601, "my-method", nil)
}

func textID(m message) string {
	var s string
	json.Unmarshal(m.ID, &s)
	return s
}

func TestCheckIsAnsweredByWhoeverCan(t *testing.T) {
	can, cannot := newFake(t, "can"), newFake(t, "cannot")
	can.manifest["rpcmethods"], can.manifest["cancheck"] = []any{method("careful", "a")}, true
	cannot.manifest["rpcmethods"] = []any{method("careless", "a")}
	can.auto["check"] = func(m message) any { return map[string]any{"command_to_check": "careful", "seen": m.Params} }
	w := start(t, can.spec(), cannot.spec())
	var r struct {
		Command string `json:"command_to_check"`
		Seen    json.RawMessage
	}
	w.call("check", map[string]any{"command_to_check": "careful", "a": 1}, &r)
	if r.Command != "careful" || string(r.Seen) != `{"a":1,"command_to_check":"careful"}` {
		t.Errorf("got %+v %s", r, r.Seen)
	}
	w.call("check", []any{"careless", "anything"}, nil)
	w.call("check", []any{"invoice", 1000, "label", "d"}, nil)
	w.refused(-32602, "check", []any{"invoice", 1000})
	var l struct{ Invoices []any }
	w.call("listinvoices", nil, &l)
	if len(l.Invoices) != 0 {
		t.Error("the check made an invoice")
	}
}

func TestProgressReachesOnlyWhoWantsIt(t *testing.T) {
	p := newFake(t, "p")
	p.manifest["rpcmethods"] = []any{method("slow", "")}
	w := start(t, p.spec())
	for _, enabled := range []bool{false, true} {
		c := dial(w)
		c.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"notifications","params":[%v]}`, enabled))
		c.read()
		c.send(`{"jsonrpc":"2.0","id":"mine","method":"slow","params":[]}`)
		m := p.next("slow")
		p.write(fmt.Sprintf(`{"jsonrpc":"2.0","method":"message","params":{"id":%s,"level":"info","message":"half way"}}`, m.ID))
		p.answer(m, map[string]any{"done": true})
		got := c.read()
		if strings.Contains(got, "half way") != enabled {
			t.Errorf("notifications %v: got %s", enabled, got)
		}
		if enabled && !strings.Contains(got, `"id":"mine"`) {
			t.Errorf("the message has not the caller's id: %s", got)
		}
	}
}

func TestStopAnswersWhenAllIsDone(t *testing.T) {
	p := newFake(t, "p")
	p.ignoreStop = true
	p.manifest["rpcmethods"] = []any{method("slow", "")}
	w := start(t, p.spec())
	c, stop := dial(w), dial(w)
	c.send(`{"jsonrpc":"2.0","id":1,"method":"getinfo","params":[]}`)
	c.read()
	stop.send(`{"jsonrpc":"2.0","id":9,"method":"stop","params":[]}`)
	p.next("shutdown")
	c.send(`{"jsonrpc":"2.0","id":2,"method":"getinfo","params":[]}`)
	if got := c.read(); !strings.Contains(got, `"code":-5`) {
		t.Errorf("while it stops: %s", got)
	}
	if _, err := net.Dial("unix", w.RPCPath()); err == nil {
		t.Error("the socket takes new connections")
	}
	p.drop()
	if got := stop.read(); !strings.Contains(got, `"result":"Shutdown complete"`) {
		t.Errorf("got %s", got)
	}
	if d := w.waitDeath(); d.Code != 0 || d.Reason != "stopped" {
		t.Errorf("death %+v", d)
	}
}

func TestCommandOutlivesItsConnection(t *testing.T) {
	w := start(t)
	i := w.buyerInvoice(1_000_000)
	c := dial(w)
	c.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"xpay","params":["%s"]}`, i.Bolt11))
	w.call("wait", []any{"sendpays", "created", 1}, nil)
	c.conn.Close()
	if row := w.waitRow(i); row.Status != "complete" {
		t.Errorf("row %+v", row)
	}
}

func TestTornLastLineOfTheJournalIsDropped(t *testing.T) {
	w := start(t)
	w.invoice(1000)
	w.Kill()
	f, err := os.OpenFile(w.Dir()+"/simln.journal", os.O_APPEND|os.O_WRONLY, 0)
	check(t, err)
	io.WriteString(f, `{"invoice/hold":null,"meta/0":{"Cha`)
	f.Close()
	w = w.again(nil)
	var l struct{ Invoices []struct{ Label string } }
	w.call("listinvoices", nil, &l)
	if len(l.Invoices) != 1 || l.Invoices[0].Label != "hold" {
		t.Errorf("invoices %+v", l)
	}
	w.audit()
}
