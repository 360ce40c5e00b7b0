package simln_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
)

// The test binary plays the plugins: started with this variable it joins its stdin and stdout to a socket on which
// the test sits. So the node has a real process with real pipes, and the test says every byte of it.
const puppetSocket = "SIMLN_TEST_PUPPET"

func TestMain(m *testing.M) {
	if socket := os.Getenv(puppetSocket); socket != "" {
		os.Exit(puppet(socket))
	}
	os.Exit(m.Run())
}

func puppet(socket string) int {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintf(conn, "{\"pid\":%d,\"plugin\":%q,\"version\":%q,\"dir\":%q}\n", os.Getpid(), os.Getenv("LIGHTNINGD_PLUGIN"), os.Getenv("LIGHTNINGD_VERSION"), workDir())
	go func() {
		io.Copy(conn, os.Stdin)
		conn.(*net.UnixConn).CloseWrite()
	}()
	io.Copy(os.Stdout, conn) // ends when the test lets go
	return 0
}

func workDir() string { d, _ := os.Getwd(); return d }

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

type message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Origin string          `json:"origin"`
}

// fake is a plugin as the test sees it. Its fields may be changed before the node starts.
type fake struct {
	t        *testing.T
	name     string
	path     string
	listener net.Listener
	socket   string

	manifest   map[string]any
	initResult any
	noManifest bool                         // the test answers getmanifest itself
	noInit     bool                         // the test answers init itself
	ignoreStop bool                         // stays when told to shut down
	auto       map[string]func(message) any // answers given at once, by method

	calls chan message // what is not answered by itself, hooks and notifications and methods
	hello map[string]any
	marks int
	inits chan message

	mu   sync.Mutex
	conn net.Conn
}

func newFake(t *testing.T, name string, hooks ...any) *fake {
	t.Helper()
	dir := t.TempDir()
	exe, err := os.Executable()
	check(t, err)
	path := filepath.Join(dir, name)
	check(t, copyFile(exe, path))
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	check(t, err)
	f := &fake{
		t: t, name: name, path: path, listener: l, socket: socket,
		manifest:   map[string]any{"options": []any{}, "rpcmethods": []any{}, "hooks": hooks, "subscriptions": []string{"shutdown"}, "dynamic": false},
		initResult: map[string]any{},
		calls:      make(chan message, 1000), inits: make(chan message, 1000), auto: map[string]func(message) any{},
	}
	go f.accept()
	t.Cleanup(func() {
		l.Close()
		f.drop()
	})
	return f
}

func copyFile(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o700)
}

func (f *fake) spec() simln.Plugin {
	// A binary built with -race sleeps a second before it exits, unless told not to.
	return simln.Plugin{Path: f.path, Env: []string{puppetSocket + "=" + f.socket, "GORACE=atexit_sleep_ms=0"}}
}

func (f *fake) important() simln.Plugin {
	p := f.spec()
	p.Important = true
	return p
}

func (f *fake) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		dec := json.NewDecoder(conn)
		var hello map[string]any
		if dec.Decode(&hello) != nil {
			conn.Close()
			continue
		}
		f.mu.Lock()
		f.conn, f.hello = conn, hello
		f.mu.Unlock()
		go f.read(conn, dec)
	}
}

func (f *fake) read(conn net.Conn, dec *json.Decoder) {
	defer conn.Close()
	for {
		var m message
		if dec.Decode(&m) != nil {
			return
		}
		switch {
		case m.Method == "getmanifest" && !f.noManifest:
			f.writeTo(conn, reply(m, f.manifest))
		case m.Method == "init":
			f.inits <- m
			if !f.noInit {
				f.writeTo(conn, reply(m, f.initResult))
			}
		case m.Method == "shutdown" && !f.ignoreStop:
			return
		case f.auto[m.Method] != nil:
			f.writeTo(conn, reply(m, f.auto[m.Method](m)))
		default:
			f.calls <- m
		}
	}
}

func reply(m message, result any) string {
	b, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": m.ID, "result": result})
	return string(b)
}

func (f *fake) writeTo(conn net.Conn, s string) { io.WriteString(conn, s+"\n\n") }

// write sends text to the node as it is.
func (f *fake) write(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn != nil {
		f.writeTo(f.conn, s)
	}
}

// drop ends the plugin's process.
func (f *fake) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn != nil {
		f.conn.Close()
	}
}

// next waits for a message with that method; others that come before are passed over.
func (f *fake) next(method string) message {
	f.t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case m := <-f.calls:
			if m.Method == method {
				return m
			}
		case <-timeout:
			f.t.Fatalf("%s: no %s came", f.name, method)
		}
	}
}

// sync returns when the node has processed all that the plugin has written so far, or is dead.
func (f *fake) sync(w *world) {
	f.t.Helper()
	f.marks++
	mark := fmt.Sprintf("mark %d of %s", f.marks, f.name)
	f.write(fmt.Sprintf(`{"jsonrpc":"2.0","method":"log","params":{"level":"debug","message":"%s"}}`, mark))
	ctx, cancel := context.WithCancel(testContext(f.t))
	defer cancel()
	go func() {
		select {
		case <-w.Died():
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := w.log.wait(ctx, mark); err != nil && !w.isDead() {
		f.t.Fatal(err)
	}
}

// silent proves that nothing with that method comes of what this plugin wrote before.
func (f *fake) silent(w *world, method string) {
	f.t.Helper()
	f.sync(w)
	w.call("getinfo", nil, nil)
	for {
		select {
		case m := <-f.calls:
			if m.Method == method {
				f.t.Fatalf("%s: unexpected %s %s", f.name, method, m.Params)
			}
		default:
			return
		}
	}
}

func (f *fake) answer(m message, result any) { f.write(reply(m, result)) }

// logBuffer is a log that a test can wait on.
type logBuffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written chan struct{} // closed at the next write
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.written != nil {
		close(l.written)
		l.written = nil
	}
	return l.b.Write(p)
}

// wait blocks until the log has s in it.
func (l *logBuffer) wait(ctx context.Context, s string) error {
	for {
		l.mu.Lock()
		if strings.Contains(l.b.String(), s) {
			l.mu.Unlock()
			return nil
		}
		if l.written == nil {
			l.written = make(chan struct{})
		}
		written := l.written
		l.mu.Unlock()
		select {
		case <-written:
		case <-ctx.Done():
			return fmt.Errorf("the log never said %q", s)
		}
	}
}

func (l *logBuffer) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), s)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type world struct {
	*simln.Node
	t   *testing.T
	log *logBuffer
	cfg simln.Config
}

// start runs a node in a new directory with a seller who has a million sats and a buyer who has none.
func start(t *testing.T, plugins ...simln.Plugin) *world {
	t.Helper()
	return startWith(t, simln.Config{Plugins: plugins})
}

func startWith(t *testing.T, cfg simln.Config) *world {
	t.Helper()
	w := tryStart(t, cfg)
	w.call("sim-wallet-new", []any{"seller", 1_000_000_000}, nil)
	w.call("sim-wallet-new", []any{"buyer", 0}, nil)
	return w
}

func tryStart(t *testing.T, cfg simln.Config) *world {
	t.Helper()
	w := &world{t: t, log: &logBuffer{}}
	if cfg.Dir == "" {
		cfg.Dir = shortDir(t)
	}
	cfg.Log = w.log
	w.cfg = cfg
	n, err := simln.Start(testContext(t), cfg)
	if err != nil {
		t.Fatalf("start: %v\n%s", err, w.log.b.String())
	}
	w.Node = n
	t.Cleanup(n.Kill)
	return w
}

// shortDir keeps the socket's path below the limit of 107 bytes whatever the test is called.
func shortDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "simln")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// again starts a node on the same directory.
func (w *world) again(change func(*simln.Config)) *world {
	w.t.Helper()
	cfg := w.cfg
	if change != nil {
		change(&cfg)
	}
	return tryStart(w.t, cfg)
}

func (w *world) call(method string, params, out any) {
	w.t.Helper()
	if err := w.Call(testContext(w.t), method, params, out); err != nil {
		w.t.Fatalf("%s %v: %v", method, params, err)
	}
}

// refused wants the command to fail with that code, and returns the message.
func (w *world) refused(code int, method string, params any) string {
	w.t.Helper()
	err := w.Call(testContext(w.t), method, params, nil)
	var re *simln.RPCError
	if !errors.As(err, &re) || re.Code != code {
		w.t.Fatalf("%s %v: got %v, want code %d", method, params, err, code)
	}
	return re.Message
}

type invoice struct {
	Bolt11 string `json:"bolt11"`
	Hash   string `json:"payment_hash"`
	Secret string `json:"payment_secret"`
}

const testPreimage = "0101010101010101010101010101010101010101010101010101010101010101"

// holdInvoice makes an invoice and deletes its row, as a hold invoice plugin does.
func (w *world) holdInvoice(msat int) invoice {
	w.t.Helper()
	i := w.invoice(msat)
	w.call("delinvoice", []any{"hold", "unpaid"}, nil)
	return i
}

func (w *world) invoice(msat int) invoice {
	w.t.Helper()
	var i invoice
	w.call("invoice", map[string]any{"amount_msat": msat, "label": "hold", "description": "d", "preimage": testPreimage, "cltv": 40}, &i)
	return i
}

func (w *world) pay(i invoice, extra map[string]any) {
	w.t.Helper()
	params := map[string]any{"wallet": "seller", "bolt11": i.Bolt11}
	for k, v := range extra {
		params[k] = v
	}
	w.call("sim-wallet-pay", params, nil)
}

type walletPayment struct {
	Status   string `json:"status"`
	Code     int    `json:"code"`
	Preimage string `json:"preimage"`
	FailMsg  string `json:"failure_message"`
}

// outcome waits for the end of the seller's payment.
func (w *world) outcome(i invoice) walletPayment {
	w.t.Helper()
	var p walletPayment
	w.call("sim-wallet-wait", map[string]any{"wallet": "seller", "payment_hash": i.Hash, "timeout": 10}, &p)
	return p
}

func (w *world) paymentStatus(i invoice) string {
	w.t.Helper()
	var p walletPayment
	w.call("sim-wallet-status", []any{"seller", i.Hash}, &p)
	return p.Status
}

type audit struct {
	Total   uint64 `json:"total_msat"`
	Minted  uint64 `json:"minted_msat"`
	Node    uint64 `json:"node_msat"`
	Routing uint64 `json:"routing_msat"`
	Locked  uint64 `json:"locked_msat"`
	Wallets map[string]struct {
		Available uint64 `json:"available_msat"`
		Locked    uint64 `json:"locked_msat"`
	} `json:"wallets"`
}

// audit proves that no msat came or went.
func (w *world) audit() audit {
	w.t.Helper()
	var a audit
	w.call("sim-audit", nil, &a)
	if a.Total != a.Minted {
		w.t.Fatalf("money is not conserved: %+v", a)
	}
	return a
}

func (w *world) waitDeath() simln.Death {
	w.t.Helper()
	select {
	case <-w.Died():
		return w.Death()
	case <-time.After(10 * time.Second):
		w.t.Fatal("the node lives on")
		return simln.Death{}
	}
}

func field(m message, path ...string) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(m.Params))
	d.UseNumber()
	d.Decode(&v)
	for _, p := range path {
		o, _ := v.(map[string]any)
		v = o[p]
	}
	return v
}
