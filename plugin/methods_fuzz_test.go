package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/internal/simtest"
)

// desk is the plugin in this process, behind its real front, with the probe exchange over a real engine.
type desk struct {
	in    *io.PipeWriter
	write *clnio.Writer
	done  chan struct{}

	mu      sync.Mutex
	n       int
	waiting map[string]chan clnio.Message
	junk    []string // what lightningd would kill the plugin for
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	in, toPlugin := io.Pipe()
	fromPlugin, out := io.Pipe()
	d := &desk{in: toPlugin, write: clnio.NewWriter(toPlugin), done: make(chan struct{}), waiting: map[string]chan clnio.Message{}}
	go d.read(fromPlugin)
	go func() {
		defer close(d.done)
		if err := runPlugin(context.Background(), streams{in, out, os.Stderr}, startProbe); err != nil {
			slog.Error("the plugin ended", "err", err)
		}
		out.Close()
	}()
	t.Cleanup(func() { d.in.Close(); <-d.done })
	dir := t.TempDir()
	init := fmt.Sprintf(`{"options":{},"configuration":{"lightning-dir":%q,"rpc-file":"rpc","startup":true,"network":"regtest"}}`, dir)
	if m := d.ask(t, "init", init); string(m.Result) != "{}" {
		t.Fatalf("init: %s %v", m.Result, m.Error)
	}
	return d
}

func (d *desk) read(out io.Reader) {
	r := clnio.NewReader(out, 64<<20)
	for {
		raw, err := r.Next()
		if err != nil {
			return
		}
		var m clnio.Message
		err = json.Unmarshal(raw, &m)
		d.mu.Lock()
		switch c := d.waiting[string(m.ID)]; {
		case err != nil:
			d.junk = append(d.junk, string(raw))
		case m.Method != "":
		case c == nil:
			d.junk = append(d.junk, "nobody waits for "+string(raw))
		default:
			delete(d.waiting, string(m.ID))
			c <- m
		}
		d.mu.Unlock()
	}
}

// ask calls a method with raw params, which must be JSON.
func (d *desk) ask(t testing.TB, method, params string) clnio.Message {
	t.Helper()
	c := make(chan clnio.Message, 1)
	d.mu.Lock()
	d.n++
	id := fmt.Sprintf(`"fuzz:%s#%d"`, method, d.n)
	d.waiting[id] = c
	d.mu.Unlock()
	if err := d.write.Write(clnio.Message{ID: json.RawMessage(id), Method: method, Params: json.RawMessage(params)}); err != nil {
		t.Fatalf("write: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), simtest.Deadline)
	defer cancel()
	select {
	case m := <-c:
		return m
	case <-ctx.Done():
		t.Fatalf("%s %s: no answer", method, clnio.Shorten(params, 300))
	case <-d.done:
		t.Fatalf("%s %s: the plugin ended", method, clnio.Shorten(params, 300))
	}
	return clnio.Message{}
}

// judge says what is wrong with an answer: a caller's mistakes are never an incident, and every error has a code that the
// manual knows for that method and a sentence.
func (d *desk) judge(m *method, answer clnio.Message) string {
	d.mu.Lock()
	junk := d.junk
	d.mu.Unlock()
	e := answer.Error
	switch {
	case len(junk) > 0:
		return "lightningd would kill the plugin: " + junk[0]
	case e == nil && (len(answer.Result) < 2 || answer.Result[0] != '{'):
		return "the result is no object: " + string(answer.Result)
	case e == nil:
		return ""
	case e.Code == clnio.CodeInternal:
		return "an incident: " + e.Message
	case !slices.Contains(m.codes(), e.Code):
		return fmt.Sprintf("code %d is not in its manual: %s", e.Code, e.Message)
	case len(e.Message) < 8 || len(e.Message) > 1000 || strings.ContainsAny(e.Message, "\n\x00"):
		return fmt.Sprintf("message %q", clnio.Shorten(e.Message, 2000))
	}
	return ""
}

// harmless are calls that a fuzzer may make for real: not those that write files all over the disk.
func harmless(m *method, params string) bool {
	return m.name != "mostro-backup" || !strings.Contains(params, "/")
}

// tricky are values of every type, wrong in every way.
var tricky = []string{
	`null`, `true`, `false`, `0`, `-1`, `1`, `1e5`, `1.5`, `9007199254740993`, `18446744073709551616`, `""`, `" "`, `"x"`, `"-1"`, `"\u0000"`,
	`"\ud800"`, `"../../etc/passwd"`, `"'; drop table orders; --"`, `"<script>"`, `"%s%n%x"`, `"default"`, `"open"`, `"true"`, `[]`, `{}`, `[[[[]]]]`,
	`{"a":{"b":[1,2,{"c":null}]}}`, `"11000000-0000-0000-0000-000000000000"`, `11000000000000000000000000000000`,
	`"11000000-0000-0000-0000-000000000000:buyer"`, `"11000000-0000-0000-0000-000000000000:nobody"`,
	`"0000000000000000000000000000000000000000000000000000000000000000"`, `"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"`,
	`"npub1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"`, `"0.006"`, `"0.0000001"`, `"1000msat"`, `"1sat"`, `"0.00000001btc"`, `"21000001btc"`,
	`"2026-02-30"`, `"2026-01-31"`, `"7d"`, `"99999d"`, `99999999999999999999`, `"` + strings.Repeat("ü", 70_000) + `"`, `"` + strings.Repeat("9", 400) + `"`,
}

// Missing, extra, wrong-typed, huge and hostile arguments of every parameter of every method.
func TestBadArgumentsOfEveryMethod(t *testing.T) {
	d := newDesk(t)
	calls := 0
	for _, m := range methods {
		var good []string
		for _, p := range m.params {
			good = append(good, `"`+p.name+`":`+goodValue(p))
		}
		lines := []string{`null`, `[]`, `{}`, `"x"`, `7`, `{"no such":1}`, `{"":null}`, `[` + strings.Repeat(`1,`, len(m.params)) + `1]`, `{"` + strings.Repeat("n", 50_000) + `":1}`, `{` + strings.Join(append(good, `"twice":1,"twice":1`), ",") + `}`}
		for i, p := range m.params {
			lines = append(lines, `{`+strings.Join(append(slices.Clone(good), good[i]), ",")+`}`)
			for _, value := range tricky {
				mixed := slices.Clone(good)
				mixed[i] = `"` + p.name + `":` + value
				lines = append(lines, `{`+strings.Join(mixed, ",")+`}`, `[`+strings.Repeat("null,", i)+value+`]`)
			}
		}
		for _, params := range lines {
			if !harmless(m, params) {
				continue
			}
			calls++
			if wrong := d.judge(m, d.ask(t, m.name, params)); wrong != "" {
				t.Errorf("%s %s: %s", m.name, clnio.Shorten(params, 300), wrong)
			}
		}
	}
	t.Logf("%d calls of %d methods", calls, len(methods))
}

// goodValue is a value that the parameter takes.
func goodValue(p param) string {
	for _, value := range []string{
		`"11000000-0000-0000-0000-000000000000"`, `"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"`,
		`"1100"`, `"2026-01-31"`, `"0.006"`, `"1000sat"`, `1`, `"true"`, `"ab"`, `"buy"`, `"read"`, `"open"`, `"owed"`, `"json"`, `"EUR"`, `"/x"`, `"mostro-info"`,
	} {
		if _, ok := p.kind.judge(json.RawMessage(value)); ok {
			return value
		}
	}
	panic("no value for " + p.name)
}

// FuzzMethods calls any method with any JSON through the real front.
func FuzzMethods(f *testing.F) {
	for i := range methods {
		for j, value := range tricky {
			if (i+j)%7 == 0 { // the test above has them all
				f.Add(uint8(i), `[`+value+`]`)
			}
		}
		f.Add(uint8(i), `{}`)
	}
	d := newDesk(f)
	f.Fuzz(func(t *testing.T, which uint8, params string) {
		m := methods[int(which)%len(methods)]
		if !json.Valid([]byte(params)) || !harmless(m, params) || strings.Contains(params, fmt.Sprint(slowLimit)) || hasTrap(params) {
			return
		}
		if wrong := d.judge(m, d.ask(t, m.name, params)); wrong != "" {
			t.Errorf("%s %s: %s", m.name, clnio.Shorten(params, 300), wrong)
		}
	})
}

// hasTrap: on these orders the probe has faults of its own.
func hasTrap(params string) bool {
	digits := strings.NewReplacer("-", "", "\\", "").Replace(params)
	return slices.ContainsFunc([]orders.OrderID{idPanics, idFaults, idPrints}, func(id orders.OrderID) bool {
		return strings.Contains(digits, strings.ReplaceAll(id.String(), "-", ""))
	})
}
