package simln

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// pluginState is how far the handshake of a plugin is.
type pluginState int

const (
	awaitingManifest pluginState = iota
	needsInit
	awaitingInit
	pluginReady
)

func (s pluginState) String() string {
	return [...]string{
		"before replying to getmanifest", "before we sent init", "before replying to init", "during normal operation",
	}[s]
}

// plugin is a child process with the node's side of its two pipes. Its fields belong to Node.mu, but for the queue.
type plugin struct {
	path, name         string
	important, dynamic bool
	canCheck           bool
	state              pluginState
	index              int
	given              map[string]any // options set by the operator
	opts               []*pluginOption
	methods            []string
	usages             map[string]string
	subscriptions      []string
	topics             []string
	pending            map[string]*pluginRequest // by id, quotes off
	startCmd           *command                  // the "plugin start" that waits for it
	stopTimer          func()
	process            *os.Process
	stdin, stdout      *os.File
	out                *outQueue
	ready              chan struct{} // closed when it has answered init
	gone               chan struct{} // closed when the node has let go of it
	exited             chan struct{} // closed when the process is gone
}

type pluginRequest struct {
	seq     uint64
	answer  func(reply map[string]json.RawMessage)
	command *command // for message and progress notifications
}

// Error codes of lightningd.
const (
	codeOther          = -1
	codePluginError    = -3
	codePluginDied     = -4
	codeShutdown       = -5
	codeInvalidRequest = -32600
	codeNoMethod       = -32601
	codeInvalidParams  = -32602
)

// startPlugin spawns a binary and sends getmanifest. It is run by do.
func (n *Node) startPlugin(spec Plugin, startCmd *command) error {
	path, err := filepath.EvalSymlinks(spec.Path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return err
	}
	for _, p := range n.plugins {
		if p.path == path {
			return fmt.Errorf("%s: already registered", path)
		}
	}
	p := &plugin{
		path: path, name: filepath.Base(path), important: spec.Important, given: spec.Options, index: n.pluginIndex,
		usages: map[string]string{}, pending: map[string]*pluginRequest{}, startCmd: startCmd,
		ready: make(chan struct{}), gone: make(chan struct{}), exited: make(chan struct{}),
	}
	if err := n.spawn(p, spec); err != nil {
		return err
	}
	n.pluginIndex++
	n.plugins = append(n.plugins, p)
	n.everyPlugin = append(n.everyPlugin, p)
	n.logf(levelDebug, "plugin-manager", "started(%d) %s", p.process.Pid, p.path)
	prefix := ""
	if startCmd != nil {
		prefix = startCmd.prefix()
	}
	p.stopTimer = n.pluginTimer(p)
	n.request(p, prefix, "getmanifest", obj("allow-deprecated-apis", n.cfg.AllowDeprecated), func(reply map[string]json.RawMessage) {
		n.gotManifest(p, reply)
	})
	return nil
}

func (n *Node) spawn(p *plugin, spec Plugin) error {
	args := spec.Args
	if n.cfg.Developer {
		args = append([]string{"--developer"}, args...)
	}
	cmd := exec.Command(p.path, args...)
	cmd.Dir = n.dir
	cmd.Env = append(os.Environ(), "LIGHTNINGD_PLUGIN=1", "LIGHTNINGD_VERSION="+Version)
	cmd.Env = append(cmd.Env, spec.Env...)
	childIn, in, err := os.Pipe()
	if err != nil {
		return err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		return errors.Join(err, childIn.Close(), in.Close())
	}
	cmd.Stdin, cmd.Stdout = childIn, childOut
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	childIn.Close()
	childOut.Close()
	if err != nil {
		return errors.Join(err, in.Close(), out.Close())
	}
	p.process, p.stdin, p.stdout = cmd.Process, in, out
	p.out = newOutQueue(in)
	go p.out.run()
	go n.readPlugin(p)
	go func() { // ends with the process: stderr is drained first, as Wait closes it
		scanner := bufio.NewScanner(stderr)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			n.logf(levelUnusual, "plugin-"+p.name, "stderr: %s", scanner.Text())
		}
		io.Copy(io.Discard, stderr)
		cmd.Wait()
		close(p.exited)
	}()
	return nil
}

func (n *Node) pluginTimer(p *plugin) (stop func()) {
	return n.clock.after(n.cfg.PluginTimeout, func() {
		n.do(func() {
			if p.isGone() || p.state == pluginReady {
				return
			}
			startup := n.startup
			n.killPlugin(p, levelUnusual, "timed out "+p.state.String())
			if startup {
				n.fatal("Can't recover from plugin failure, terminating.")
			}
		})
	})
}

// readPlugin runs until the plugin's stdout ends: one JSON value after the other, each in a transaction of its own.
func (n *Node) readPlugin(p *plugin) {
	dec := json.NewDecoder(p.stdout)
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		n.do(func() {
			if p.isGone() {
				return
			}
			var syntax *json.SyntaxError
			switch {
			case errors.As(err, &syntax):
				n.killPlugin(p, levelUnusual, "Failed to parse RPC JSON response")
			case err != nil:
				level := levelInfo
				if n.stopping {
					level = levelDebug
				}
				n.killPlugin(p, level, "exited "+p.state.String())
			default:
				n.pluginMessage(p, raw)
			}
		})
		if err != nil || p.isGone() {
			return
		}
	}
}

func (n *Node) pluginMessage(p *plugin, raw json.RawMessage) {
	msg := members(raw)
	if _, ok := msg["jsonrpc"]; !ok {
		n.killPlugin(p, levelUnusual, fmt.Sprintf("JSON-RPC message does not contain \"jsonrpc\" field: '%s'", raw))
		return
	}
	if id, ok := msg["id"]; ok {
		r := p.pending[rawText(id)]
		if r == nil {
			return // answered already, or never asked
		}
		delete(p.pending, rawText(id))
		r.answer(msg)
		return
	}
	method, params := msg["method"], msg["params"]
	if method == nil || params == nil {
		n.killPlugin(p, levelUnusual, fmt.Sprintf("Malformed JSON-RPC notification missing \"method\" or \"params\": %s", raw))
		return
	}
	if complaint := n.pluginNotification(p, text(method), params); complaint != "" {
		n.killPlugin(p, levelUnusual, complaint)
	}
}

func (n *Node) pluginNotification(p *plugin, topic string, params json.RawMessage) (complaint string) {
	switch topic {
	case "log":
		return n.pluginLog(p, members(params))
	case "message", "progress":
		id, ok := members(params)["id"]
		if !ok {
			return `JSON-RPC notify "id"-field is not present`
		}
		if r := p.pending[rawText(id)]; r != nil && r.command != nil {
			r.command.progress(topic, params)
		}
		return ""
	}
	if !slices.Contains(p.topics, topic) {
		n.logf(levelUnusual, "plugin-"+p.name, "Plugin attempted to send a notification to topic %q it hasn't declared in its manifest, not forwarding to subscribers.", topic)
		return ""
	}
	line := marshal(obj("jsonrpc", "2.0", "method", topic, "origin", p.name, "params", params))
	for _, q := range n.plugins {
		if q.state == pluginReady && q.subscribed(topic) {
			n.send(q, line)
		}
	}
	return ""
}

var pluginLogLevels = map[string]string{
	"trace": levelTrace, "debug": levelDebug, "info": levelInfo,
	"warn": levelUnusual, "unusual": levelUnusual, "error": levelBroken, "broken": levelBroken,
}

func (n *Node) pluginLog(p *plugin, params map[string]json.RawMessage) (complaint string) {
	var message string
	if json.Unmarshal(params["message"], &message) != nil || params["message"][0] != '"' {
		return `Log notification from plugin doesn't have a string "message" field`
	}
	level := levelInfo
	if raw, ok := params["level"]; ok {
		if level, ok = pluginLogLevels[text(raw)]; !ok {
			return fmt.Sprintf(`Unknown log-level %s, valid values are "trace", "debug", "info", "warn", or "error".`, raw)
		}
	}
	for line := range strings.SplitSeq(message, "\n") {
		n.logf(level, "plugin-"+p.name, "%s", line)
	}
	return ""
}

// request sends a call to a plugin. Answer gets the whole reply; if the plugin dies first, an error -4.
func (n *Node) request(p *plugin, prefix, method string, params any, answer func(map[string]json.RawMessage)) *pluginRequest {
	id := n.newID(prefix, method)
	r := &pluginRequest{seq: n.nextID, answer: answer}
	p.pending[id] = r
	n.send(p, marshal(obj("jsonrpc", "2.0", "id", id, "method", method, "params", params)))
	return r
}

// newID makes an id as lightningd does: what the caller called it, a slash, who asks for what, a running number.
func (n *Node) newID(prefix, method string) string {
	n.nextID++
	id := fmt.Sprintf("cln:%s#%d", method, n.nextID)
	if prefix != "" {
		id = prefix + "/" + id
	}
	return id
}

func (n *Node) notify(p *plugin, topic string, params *object) {
	n.send(p, marshal(obj("jsonrpc", "2.0", "method", topic, "params", obj(topic, params))))
}

// broadcast sends one of the node's own topics to those who subscribed and have answered init.
func (n *Node) broadcast(topic string, params *object) {
	for _, p := range n.plugins {
		if p.state == pluginReady && p.subscribed(topic) {
			n.notify(p, topic, params)
		}
	}
}

func (n *Node) send(p *plugin, line []byte) {
	framed := slices.Concat(line, []byte("\n\n")) // a copy: several plugins may get the same line
	n.then(func() {
		if !p.out.push(framed) {
			n.logf(levelUnusual, "plugin-"+p.name, "does not read its input, killing")
			p.process.Kill()
		}
	})
}

func (p *plugin) subscribed(topic string) bool {
	return slices.Contains(p.subscriptions, topic) || slices.Contains(p.subscriptions, "*")
}

func (p *plugin) isGone() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// killPlugin ends a plugin that misbehaved or died. It is run by do.
func (n *Node) killPlugin(p *plugin, level, why string) {
	n.logf(level, "plugin-"+p.name, "Killing plugin: %s", why)
	p.process.Kill()
	if c := p.startCmd; c != nil {
		p.startCmd = nil
		c.fail(codePluginError, p.path+": "+why, nil)
	}
	n.dropPlugin(p)
}

// dropPlugin does what must follow when a plugin is gone, in lightningd's order: its requests fail (held HTLCs go
// to the next in the chain, or on), its hooks leave, and only then an important plugin takes the node with it.
func (n *Node) dropPlugin(p *plugin) {
	if p.isGone() {
		return
	}
	close(p.gone)
	p.closePipes()
	n.plugins = slices.DeleteFunc(n.plugins, func(q *plugin) bool { return q == p })
	if p.stopTimer != nil {
		p.stopTimer()
	}
	if !n.stopping {
		n.failPending(p)
	}
	n.removeHooks(p)
	if p.state == awaitingManifest {
		n.checkManifests()
	}
	if n.stopping {
		return
	}
	if p.state == awaitingInit {
		n.checkInitted()
	}
	if p.important {
		n.logf(levelBroken, "plugin-"+p.name, "Plugin marked as important, shutting down lightningd!")
		n.beginStop(1)
		return
	}
	n.broadcast("plugin_stopped", obj("plugin_name", p.name, "plugin_path", p.path, "methods", nonNil(p.methods)))
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (n *Node) failPending(p *plugin) {
	var waiting []*pluginRequest
	for _, r := range p.pending {
		waiting = append(waiting, r)
	}
	clear(p.pending)
	slices.SortFunc(waiting, func(a, b *pluginRequest) int { return int(a.seq) - int(b.seq) })
	died := map[string]json.RawMessage{"error": marshal(obj("code", codePluginDied, "message", "Plugin terminated before replying to RPC call."))}
	for _, r := range waiting {
		r.answer(died)
	}
}

func (p *plugin) closePipes() {
	p.out.close()
	p.stdin.Close()
	p.stdout.Close()
}

// checkManifests goes on when no plugin owes its manifest: the hooks get their order, late plugins their init.
func (n *Node) checkManifests() {
	if slices.ContainsFunc(n.plugins, func(p *plugin) bool { return p.state == awaitingManifest }) {
		return
	}
	for _, p := range n.orderHooks() {
		if p.state == needsInit {
			n.killPlugin(p, levelUnusual, "Cannot meet required hook dependencies")
		}
	}
	for _, p := range n.plugins {
		for _, topic := range p.subscriptions {
			if topic != "*" && !nativeTopics[topic] && !n.topicDeclared(topic) {
				n.logf(levelUnusual, "plugin-"+p.name, "topic '%s' is not a known notification topic", topic)
			}
		}
	}
	if n.startup {
		n.endPhase()
	} else {
		n.configurePlugins()
	}
}

func (n *Node) topicDeclared(topic string) bool {
	return slices.ContainsFunc(n.plugins, func(p *plugin) bool { return slices.Contains(p.topics, topic) })
}

func (n *Node) endPhase() {
	select {
	case <-n.phaseDone:
	default:
		close(n.phaseDone)
	}
}

// configurePlugins sends init to each plugin that has its manifest accepted.
func (n *Node) configurePlugins() {
	for _, p := range n.plugins {
		if p.state != needsInit {
			continue
		}
		p.state = awaitingInit
		p.stopTimer = n.pluginTimer(p)
		n.request(p, "", "init", n.initParams(p), func(reply map[string]json.RawMessage) { n.gotInit(p, reply) })
	}
}

func (n *Node) initParams(p *plugin) *object {
	return obj("options", p.optionValues(), "configuration", obj(
		"lightning-dir", n.dir, "rpc-file", "lightning-rpc", "startup", n.startup, "network", n.cfg.Network,
		"feature_set", featureSet()))
}

func featureSet() *object {
	return obj("init", "08a0880a8a59a1", "node", "88a0880a8a59a1", "channel", "", "invoice", "02024100")
}

func (n *Node) gotInit(p *plugin, reply map[string]json.RawMessage) {
	if why, ok := members(reply["result"])["disable"]; ok {
		p.important = false
		n.killPlugin(p, levelDebug, "disabled itself at init: "+text(why))
		return
	}
	if p.isGone() {
		return
	}
	p.state = pluginReady
	close(p.ready)
	p.stopTimer()
	if c := p.startCmd; c != nil {
		p.startCmd = nil
		c.reply(n.pluginList("start"))
	}
	n.broadcast("plugin_started", obj("plugin_name", p.name, "plugin_path", p.path, "methods", nonNil(p.methods)))
	n.checkInitted()
}

func (n *Node) checkInitted() {
	if slices.ContainsFunc(n.plugins, func(p *plugin) bool { return p.state != pluginReady }) {
		return
	}
	if n.startup {
		n.startup = false
		n.endPhase()
	}
}

// maxQueued bounds what is written to a reader that does not read; lightningd has no such bound.
const maxQueued = 1 << 28

// outQueue writes messages in order in a goroutine of its own, so that the node never waits for a reader.
type outQueue struct {
	w      io.Writer
	mu     sync.Mutex
	change sync.Cond
	items  [][]byte
	size   int
	busy   bool
	closed bool
}

func newOutQueue(w io.Writer) *outQueue {
	q := &outQueue{w: w}
	q.change.L = &q.mu
	return q
}

// push is false when the bound is passed.
func (q *outQueue) push(item []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return true
	}
	q.items = append(q.items, item)
	q.size += len(item)
	q.change.Broadcast()
	return q.size <= maxQueued
}

func (q *outQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.change.Broadcast()
}

// flush waits until all is written or the reader is gone.
func (q *outQueue) flush() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed && (len(q.items) > 0 || q.busy) {
		q.change.Wait()
	}
}

func (q *outQueue) run() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		for len(q.items) == 0 && !q.closed {
			q.change.Wait()
		}
		if q.closed {
			return
		}
		item := q.items[0]
		q.items, q.size, q.busy = q.items[1:], q.size-len(item), true
		q.mu.Unlock()
		_, err := q.w.Write(item)
		q.mu.Lock()
		q.busy = false
		if err != nil {
			q.closed = true
		}
		q.change.Broadcast()
	}
}
