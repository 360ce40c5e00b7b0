package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/internal/simtest"
)

// startedProbe is a plugin with the probe exchange that has answered init.
func startedProbe(t *testing.T, env ...string) *host {
	t.Helper()
	h := startHost(t, "probe", env...)
	if m := h.boot(t.TempDir(), nil); string(m.Result) != "{}" {
		t.Fatalf("init: got %s %v, want {}", m.Result, m.Error)
	}
	return h
}

func wantCode(t *testing.T, m clnio.Message, code int, part string) {
	t.Helper()
	if m.Error == nil {
		t.Fatalf("got result %s, want error %d", m.Result, code)
	}
	if m.Error.Code != code || !strings.Contains(m.Error.Message, part) {
		t.Errorf("got %d %q, want %d with %q", m.Error.Code, m.Error.Message, code, part)
	}
}

func TestManifestIsCompleteAndStable(t *testing.T) {
	h := startHost(t, "probe")
	first, second := h.manifest(), h.manifest()
	if string(first.Result) != string(second.Result) {
		t.Error("two manifests differ")
	}
	var indented json.RawMessage = first.Result
	var v any
	if err := json.Unmarshal(indented, &v); err != nil {
		t.Fatal(err)
	}
	pretty, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "manifest.json", append(pretty, '\n'))
}

func TestManifestTouchesNoFile(t *testing.T) {
	h := startHost(t, "probe")
	h.manifest()
	entries, err := os.ReadDir(h.cmd.Dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("getmanifest left %v, %v", entries, err)
	}
}

func TestInitTranscripts(t *testing.T) {
	for _, name := range []string{"boot.txt", "bad-options.txt", "parameters.txt", "check.txt"} {
		t.Run(name, func(t *testing.T) {
			startHost(t, "probe").transcript(t, name, simtest.ShortDir(t))
		})
	}
}

func TestInitRefusedByTheExchangeDisablesOnOneLine(t *testing.T) {
	h := startHost(t, "probe")
	m := h.boot(t.TempDir(), map[string]any{"mostro-name": "refuse"})
	if got, want := string(m.Result), `{"disable":"mostro does not start: open the store: it is newer than this program"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	wantCode(t, h.ask("1", "mostro-info", "[]"), codeNotReady, "it is newer than this program")
}

func TestPanicAtStartDisables(t *testing.T) {
	h := startHost(t, "probe")
	m := h.boot(t.TempDir(), map[string]any{"mostro-name": "panic"})
	if !strings.Contains(string(m.Result), `"disable"`) {
		t.Errorf("got %s, want a disable", m.Result)
	}
}

func TestSecondInitIsRefused(t *testing.T) {
	h := startedProbe(t)
	wantCode(t, h.ask("9", "init", `{"options":{},"configuration":{}}`), clnio.CodeInvalidRequest, "before")
}

func TestOptionsOfAnyTypeReachTheConfig(t *testing.T) {
	h := startHost(t, "probe")
	m := h.boot(t.TempDir(), map[string]any{"mostro-trade-hours": 48, "mostro-fee": 0.01, "mostro-relays": []string{"ws://a:1", "ws://b:2"}, "mostro-about": nil, "not-ours": true})
	if string(m.Result) != "{}" {
		t.Fatalf("init: %s", m.Result)
	}
	var o overview
	if err := json.Unmarshal(h.ask("1", "mostro-info", "{}").Result, &o); err != nil {
		t.Fatal(err)
	}
	if o.HoldCLTV != 374 || o.Fee != "0.01" {
		t.Errorf("got cltv %d, fee %s; want 374, 0.01", o.HoldCLTV, o.Fee)
	}
}

// lightningd finds its request by the id's bytes. glightning sends < > & back as \u003c….
func TestIDsComeBackByteForByte(t *testing.T) {
	h := startedProbe(t)
	for _, id := range []string{`"cli:<x>&#1/cln:mostro-info#2"`, `"a\"b"`, `7`, `18446744073709551615`, `1.50`, `""`, `"é\u00e9"`} {
		if m := h.ask(id, "mostro-info", "[]"); m.Error != nil {
			t.Errorf("id %s: %v", id, m.Error)
		}
	}
}

// glightning waits for two newlines for ever.
func TestFramingDoesNotMatter(t *testing.T) {
	h := startedProbe(t)
	c := make(chan clnio.Message, 2)
	h.mu.Lock()
	h.waiting["1"], h.waiting["2"] = c, c
	h.mu.Unlock()
	h.write(`{"jsonrpc":"2.0","id":1,` + "\n\n" + ` "method":"mostro-info","params":[]}{"jsonrpc":"2.0","id":2,"method":"mostro-info","params":[]}`)
	h.await("first", c)
	h.await("second", c)
}

// The hook's answer must never be an error, whatever the payload: lightningd dies of one.
func TestHookIsAlwaysAnsweredContinue(t *testing.T) {
	h := startHost(t, "probe")
	const want = `{"result":"continue"}`
	for _, params := range []string{`{"payment":{"label":"x","preimage":"00","msat":9007199254740993}}`, `{}`, `[]`, `null`, `"x"`} {
		if m := h.ask(`"cln:invoice_payment#1"`, "invoice_payment", params); string(m.Result) != want {
			t.Errorf("before init, %s: got %s %v", params, m.Result, m.Error)
		}
	}
	h.boot(t.TempDir(), nil)
	if m := h.ask("1", "invoice_payment", `{"payment":{"label":"x","msat":1}}`); string(m.Result) != want {
		t.Errorf("after init: got %s %v", m.Result, m.Error)
	}
}

// glightning turns 9007199254740993 into …992.
func TestIntegersBeyond2To53StayExact(t *testing.T) {
	h := startedProbe(t)
	m := h.ask("1", "mostro-listorders", `{"before":9007199254740993}`)
	if text := string(m.Result); !strings.Contains(text, `"next_before":"999007199254740993"`) || !strings.Contains(text, `"created_at":9007199254740993`) {
		t.Errorf("got %s %v", m.Result, m.Error)
	}
}

// glightning makes "1.234567e+06" of a number that was meant as text.
func TestAllDigitIDGivenAsNumber(t *testing.T) {
	h := startedProbe(t)
	m := h.ask("1", "mostro-showorder", `[12345678901234567890123456789012]`)
	if !strings.Contains(string(m.Result), idDigits.String()) {
		t.Errorf("got %s %v", m.Result, m.Error)
	}
}

// glightning knows one error code, -1, and no data.
func TestErrorCodeAndDataReachTheCaller(t *testing.T) {
	h := startedProbe(t)
	m := h.ask("1", "mostro-showorder", `["99000000-0000-0000-0000-000000000000"]`)
	wantCode(t, m, codeOrderNotFound, "not found")
	if got, want := string(m.Error.Data), `{"order_id":"99000000-0000-0000-0000-000000000000"}`; got != want {
		t.Errorf("data: got %s, want %s", got, want)
	}
}

func TestPanicInAMethodIsAnIncident(t *testing.T) {
	h := startedProbe(t)
	m := h.ask("1", "mostro-showorder", fmt.Sprintf("[%q]", idPanics))
	wantCode(t, m, clnio.CodeInternal, "incident")
	incident := strings.Fields(strings.SplitN(m.Error.Message, "incident ", 2)[1])[0]
	if level := h.logged(strings.Trim(incident, ":")); level != "error" {
		t.Errorf("logged at %s, want error", level)
	}
	if m := h.ask("2", "mostro-info", "[]"); m.Error != nil {
		t.Errorf("after the panic: %v", m.Error)
	}
}

func TestFaultOfOursIsNotToldToTheCaller(t *testing.T) {
	h := startedProbe(t)
	m := h.ask("1", "mostro-showorder", fmt.Sprintf("[%q]", idFaults))
	wantCode(t, m, clnio.CodeInternal, "incident")
	if strings.Contains(m.Error.Message, "disk") {
		t.Errorf("the caller hears %q", m.Error.Message)
	}
	h.logged("disk says no")
}

func TestPanicInANotificationIsLogged(t *testing.T) {
	h := startedProbe(t)
	h.notify("channel_state_changed", `{"channel_state_changed":{}}`)
	h.logged("notification handler has a fault")
	h.ask("1", "mostro-info", "[]")
}

// A line over 64 KiB kills glightning's log pipe, and the process with it; a print of its own ends up on stdout.
func TestPrintsAndLongLinesDoNoHarm(t *testing.T) {
	h := startedProbe(t)
	for i := range 3 {
		if m := h.ask(fmt.Sprint(i), "mostro-showorder", fmt.Sprintf("[%q]", idPrints)); m.Error != nil {
			t.Fatal(m.Error)
		}
	}
	h.logged("second line")
	h.in.Close()
	h.exit()
	if !strings.Contains(h.stderr.String(), "a library prints") {
		t.Error("the print went nowhere")
	}
}

// With these set, glightning logs each write, and each log write again; and refuses parameters.
func TestGlightningSwitchesHaveNoEffect(t *testing.T) {
	h := startedProbe(t, "GOLIGHT_DEBUG_IO=1", "GOLIGHT_DEBUG_IO_IN=1", "GOLIGHT_STRICT_MODE=1", "GOLIGHT_DEBUG_LOGFILE="+filepath.Join(t.TempDir(), "x"))
	for i := range 20 {
		if m := h.ask(fmt.Sprint(i), "mostro-info", "{}"); m.Error != nil {
			t.Fatal(m.Error)
		}
	}
}

// glightning runs each notification in a goroutine of its own, in no order.
func TestNotificationsComeInOrder(t *testing.T) {
	h := startedProbe(t)
	const blocks = 200
	for i := range blocks {
		h.notify("block_added", fmt.Sprintf(`{"block_added":{"hash":"00","height":%d}}`, 100+i))
	}
	for try := 0; ; try++ {
		var o overview
		if err := json.Unmarshal(h.ask(fmt.Sprintf(`"t%d"`, try), "mostro-info", "[]").Result, &o); err != nil {
			t.Fatal(err)
		}
		if !o.Open {
			t.Fatal("blocks out of order")
		}
		if o.Orders["blocks"] == blocks {
			return
		}
	}
}

func TestSlowMethodDelaysNobodyAndTooManyAreRefused(t *testing.T) {
	h := startedProbe(t)
	slow := make([]<-chan clnio.Message, maxCalls)
	for i := range slow {
		slow[i] = h.begin(fmt.Sprintf(`"slow%d"`, i), "mostro-listorders", `{"limit":77}`)
	}
	wantCode(t, h.ask(`"more"`, "mostro-listorders", `{"limit":77}`), codeOther, "try again")
	if m := h.ask(`"check"`, "check", `["mostro-info"]`); m.Error != nil {
		t.Error(m.Error)
	}
	h.notify("invoice_payment", `{"invoice_payment":{"label":"x"}}`) // lets the slow ones go
	for _, c := range slow {
		if m := h.await("slow", c); m.Error != nil {
			t.Error(m.Error)
		}
	}
	if m := h.ask(`"again"`, "mostro-listorders", `{"limit":77}`); m.Error != nil {
		t.Errorf("once they are done: %v", m.Error)
	}
}

func TestJunkFromTheNodeIsPassedOver(t *testing.T) {
	h := startedProbe(t)
	h.write(`[{"jsonrpc":"2.0","id":1,"method":"mostro-info","params":[]}]` + "\n\n")
	h.write(`"text" 17 null {"jsonrpc":"2.0","id":"nobody","result":{}}` + "\n\n")
	h.notify("no-such-topic", `[1,2]`)
	wantCode(t, h.ask("1", "no-such-method", "[]"), clnio.CodeMethodNotFound, "no-such-method")
	h.ask("2", "mostro-info", "[]")
}

func TestEndOfStdinEndsTheProcess(t *testing.T) {
	h := startedProbe(t)
	h.in.Close()
	if code := h.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	h.logged("probe is down")
}

func TestEndOfStdinBeforeInit(t *testing.T) {
	h := startHost(t, "probe")
	h.in.Close()
	if code := h.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestShutdownEndsTheProcessWithItsCallsOpen(t *testing.T) {
	h := startedProbe(t)
	h.begin(`"open"`, "mostro-listorders", `{"limit":77}`)
	h.notify("shutdown", `{"shutdown":{}}`)
	begun := time.Now()
	if code := h.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	h.logged("probe is down")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestSignalEndsTheProcessCleanly(t *testing.T) {
	h := startedProbe(t)
	if err := h.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := h.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	h.logged("probe is down")
}

func TestNotificationPayloads(t *testing.T) {
	for in, want := range map[string]string{
		`{"block_added":{"height":1}}`:                              `{"height":1}`,
		`{"origin":"x","payload":{"state":"OPEN"}}`:                 `{"state":"OPEN"}`,
		`{"origin":"x","payload":{"block_added":{"state":"OPEN"}}}`: `{"state":"OPEN"}`,
		`{"state":"OPEN"}`:                                          `{"state":"OPEN"}`,
		`[1]`:                                                       `[1]`,
	} {
		if got := string(unwrap("block_added", json.RawMessage(in))); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
