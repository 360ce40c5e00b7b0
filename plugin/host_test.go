package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/internal/simtest"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestMain lets the test binary be the plugin: with MOSTRO_AS_PLUGIN set it runs main's code with its real streams.
func TestMain(m *testing.M) {
	switch os.Getenv("MOSTRO_AS_PLUGIN") {
	case "":
		os.Exit(simtest.Main(m))
	case "probe":
		os.Exit(mainCode(startProbe))
	default:
		os.Exit(mainCode(startExchange))
	}
}

// host does what lightningd does to a plugin: runs it, writes to its stdin, reads its stdout. What lightningd would
// kill a plugin for fails the test.
type host struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	ended chan struct{}

	mu      sync.Mutex
	waiting map[string]chan clnio.Message
	notes   []clnio.Message
	noted   *sync.Cond
	stderr  bytes.Buffer
}

// startHost runs this binary as the plugin. kind "probe" runs it with the exchange of probe_test.go.
func startHost(t *testing.T, kind string, env ...string) *host {
	t.Helper()
	h := &host{t: t, ended: make(chan struct{}), waiting: map[string]chan clnio.Message{}}
	h.noted = sync.NewCond(&h.mu)
	h.cmd = exec.Command(os.Args[0])
	h.cmd.Dir = t.TempDir()
	h.cmd.Env = append(os.Environ(), append(env, "MOSTRO_AS_PLUGIN="+kind, "LIGHTNINGD_PLUGIN=1", "LIGHTNINGD_VERSION=v26.06", "GORACE=atexit_sleep_ms=0")...)
	h.cmd.Stderr = &h.stderr
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go h.read(out)
	t.Cleanup(func() {
		h.in.Close()
		select {
		case <-h.ended:
		case <-time.After(simtest.Deadline):
			h.cmd.Process.Kill()
			t.Errorf("plugin does not end when stdin closes")
		}
		h.cmd.Wait()
		if t.Failed() && h.stderr.Len() > 0 {
			t.Logf("stderr of the plugin:\n%s", h.stderr.String())
		}
	})
	return h
}

// read takes the plugin's messages apart as strictly as lightningd does.
func (h *host) read(out io.Reader) {
	defer close(h.ended)
	r := clnio.NewReader(out, 64<<20)
	for {
		raw, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			h.t.Errorf("plugin would be killed: stdout is not JSON: %v", err)
			return
		}
		var v struct {
			Version string `json:"jsonrpc"`
			clnio.Message
		}
		if err := json.Unmarshal(raw, &v); err != nil || v.Version != "2.0" {
			h.t.Errorf("plugin would be killed: not JSON-RPC 2.0: %s", raw)
			return
		}
		h.mu.Lock()
		if v.Method != "" {
			h.notes = append(h.notes, v.Message)
			h.noted.Broadcast()
			h.checkNote(v.Message)
		} else if c := h.waiting[string(v.ID)]; c != nil {
			delete(h.waiting, string(v.ID))
			c <- v.Message
		} else {
			h.t.Errorf("plugin answers an id that nobody waits for: %s", raw)
		}
		h.mu.Unlock()
	}
}

func (h *host) checkNote(m clnio.Message) {
	if m.Method != "log" {
		return
	}
	var p struct{ Level, Message string }
	if err := json.Unmarshal(m.Params, &p); err != nil {
		h.t.Errorf("log notification: %v", err)
	}
	switch p.Level {
	case "debug", "info", "warn", "error":
	default:
		h.t.Errorf("plugin would be killed: log level %q", p.Level)
	}
	if strings.Contains(p.Message, "\n") || len(p.Message) > clnio.MaxLine {
		h.t.Errorf("log line has %d bytes or a line break", len(p.Message))
	}
}

// write sends bytes as they are.
func (h *host) write(text string) {
	h.t.Helper()
	if _, err := io.WriteString(h.in, text); err != nil {
		h.t.Fatalf("write to the plugin: %v", err)
	}
}

// begin sends a request with a raw id and params; the reply comes on the channel.
func (h *host) begin(id, method, params string) <-chan clnio.Message {
	h.t.Helper()
	c := make(chan clnio.Message, 1)
	h.mu.Lock()
	h.waiting[id] = c
	h.mu.Unlock()
	h.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":%s}`+"\n\n", id, method, params))
	return c
}

// ask sends a request and waits for its reply.
func (h *host) ask(id, method, params string) clnio.Message {
	h.t.Helper()
	return h.await(method, h.begin(id, method, params))
}

func (h *host) await(what string, c <-chan clnio.Message) clnio.Message {
	h.t.Helper()
	select {
	case m := <-c:
		return m
	case <-h.ended:
		h.t.Fatalf("%s: the plugin ended without an answer", what)
	case <-time.After(simtest.Deadline):
		h.t.Fatalf("%s: no answer", what)
	}
	return clnio.Message{}
}

func (h *host) notify(topic, params string) {
	h.t.Helper()
	h.write(fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":%s}`+"\n\n", topic, params))
}

// logged waits until the log has a line that contains text, and returns the line's level.
func (h *host) logged(text string) (level string) {
	h.t.Helper()
	timer := time.AfterFunc(simtest.Deadline, func() { h.noted.Broadcast() })
	defer timer.Stop()
	until := time.Now().Add(simtest.Deadline)
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		for _, m := range h.notes {
			var p struct{ Level, Message string }
			if m.Method == "log" && json.Unmarshal(m.Params, &p) == nil && strings.Contains(p.Message, text) {
				return p.Level
			}
		}
		if time.Now().After(until) {
			h.t.Fatalf("the log never says %q", text)
		}
		h.noted.Wait()
	}
}

// manifest asks for the manifest, as lightningd does first.
func (h *host) manifest() clnio.Message {
	h.t.Helper()
	return h.ask(`"cln:getmanifest#1"`, "getmanifest", `{"allow-deprecated-apis":false}`)
}

// boot does getmanifest and init with an RPC socket at dir/lightning-rpc.
func (h *host) boot(dir string, opts map[string]any) clnio.Message {
	h.t.Helper()
	h.manifest()
	given, err := json.Marshal(opts)
	if err != nil {
		h.t.Fatal(err)
	}
	if opts == nil {
		given = []byte("{}")
	}
	return h.ask(`"cln:init#2"`, "init", fmt.Sprintf(
		`{"options":%s,"configuration":{"lightning-dir":%q,"rpc-file":"lightning-rpc","startup":true,"network":"regtest","feature_set":{"init":"08a000","node":"08a000","channel":"","invoice":"02"},"proxy":{"type":"ipv4","address":"127.0.0.1","port":9050},"torv3-enabled":true,"always_use_proxy":false}}`, given, dir))
}

// exit waits for the end and returns the exit code.
func (h *host) exit() int {
	h.t.Helper()
	select {
	case <-h.ended:
	case <-time.After(simtest.Deadline):
		h.t.Fatal("the plugin does not end")
	}
	h.cmd.Wait()
	return h.cmd.ProcessState.ExitCode()
}

// golden compares got with a file of testdata; -update writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// transcript plays a file: a line "> …" is written to the plugin, "< …" is the reply to the request before it, "# …"
// is prose. With -update the replies are written anew. $DIR stands for dir.
func (h *host) transcript(t *testing.T, name, dir string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(script))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "< ") {
			continue
		}
		fmt.Fprintln(&got, line)
		sent, ok := strings.CutPrefix(line, "> ")
		if !ok {
			continue
		}
		var m clnio.Message
		text := strings.ReplaceAll(sent, "$DIR", dir)
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatalf("%s: %q: %v", path, sent, err)
		}
		if m.IsNotification() {
			h.write(text + "\n\n")
			continue
		}
		c := make(chan clnio.Message, 1)
		h.mu.Lock()
		h.waiting[string(m.ID)] = c
		h.mu.Unlock()
		h.write(text + "\n\n")
		reply, err := json.Marshal(h.await(sent, c))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "< %s\n", strings.ReplaceAll(string(reply), dir, "$DIR"))
	}
	golden(t, name, got.Bytes())
}
