package simln

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// builtin is a command of the node itself. Run returns a result, an error (an *rpcError keeps its code), or
// errLater when the command will call reply or fail some time.
type builtin struct {
	specs []paramSpec
	loose bool // reads its parameters from the raw request
	run   func(n *Node, c *command) (any, error)
}

var errLater = errors.New("answered later")

// command is one request on the socket, or one by "check", which ends before anything is done.
type command struct {
	n      *Node
	conn   *rpcConn
	id     json.RawMessage
	method string
	raw    map[string]json.RawMessage
	*params
	done bool
	lose bool // cut the connection when the answer is ready
}

// rpcConn is one client. Its requests run one after the other, their answers go out as they come.
type rpcConn struct {
	conn   net.Conn
	out    *outQueue
	notify bool // the client enabled notifications
}

const maxSocketPath = 107

func (n *Node) listen() error {
	if len(n.RPCPath()) > maxSocketPath {
		return fmt.Errorf("rpc socket path %s is longer than %d bytes", n.RPCPath(), maxSocketPath)
	}
	os.Remove(n.RPCPath()) // left by a node that was killed
	l, err := net.Listen("unix", n.RPCPath())
	if err != nil {
		return fmt.Errorf("listen for rpc: %w", err)
	}
	n.mu.Lock()
	n.listener = l
	n.mu.Unlock()
	go func() { // ends when die or shutdown closes the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n.serve(conn)
		}
	}()
	return nil
}

func (n *Node) serve(conn net.Conn) {
	c := &rpcConn{conn: conn, out: newOutQueue(conn)}
	if !n.do(func() { n.conns[c] = true }) {
		conn.Close()
		return
	}
	go c.out.run()
	go func() { // ends with the connection
		defer n.forgetConn(c)
		dec := json.NewDecoder(conn)
		for {
			var raw json.RawMessage
			if err := dec.Decode(&raw); err != nil {
				var syntax *json.SyntaxError
				if errors.As(err, &syntax) {
					n.do(func() { n.malformed(c, "Invalid token in json input") })
					c.flush()
				}
				return
			}
			if !n.do(func() { n.rpcRequest(c, raw) }) {
				return
			}
		}
	}()
}

func (n *Node) forgetConn(c *rpcConn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
	c.abort()
}

func (c *rpcConn) abort() {
	c.out.close()
	c.conn.Close()
}

func (c *rpcConn) flush() {
	c.conn.SetWriteDeadline(time.Now().Add(time.Second))
	c.out.flush()
}

func (n *Node) flushConns() {
	n.mu.Lock()
	conns := slices.Collect(maps.Keys(n.conns))
	n.mu.Unlock()
	for _, c := range conns {
		c.flush()
	}
}

func (n *Node) malformed(c *rpcConn, why string) {
	n.sendConn(c, obj("jsonrpc", "2.0", "id", nil, "error", obj("code", codeInvalidRequest, "message", why)))
}

func (n *Node) sendConn(c *rpcConn, message *object) {
	line := append(marshal(message), "\n\n"...)
	n.then(func() {
		if !c.out.push(line) {
			c.abort()
		}
	})
}

func (n *Node) rpcRequest(conn *rpcConn, raw json.RawMessage) {
	m := members(raw)
	if m == nil {
		n.malformed(conn, "Expected {} for json command")
		return
	}
	id := m["id"]
	switch {
	case id == nil:
		n.malformed(conn, "No id")
		return
	case id[0] == '{' || id[0] == '[':
		n.malformed(conn, "Expected string/primitive for id")
		return
	case !isString(m["jsonrpc"]) || text(m["jsonrpc"]) != "2.0":
		n.malformed(conn, `jsonrpc: "2.0" must be specified in the request`)
		return
	}
	c := &command{n: n, conn: conn, id: id, raw: m}
	switch {
	case m["method"] == nil:
		c.fail(codeInvalidRequest, "No method", nil)
	case m["params"] == nil:
		c.fail(codeInvalidRequest, "No params", nil)
	case !isString(m["method"]):
		c.fail(codeInvalidRequest, "Expected string for method", nil)
	case n.stopping:
		c.fail(codeShutdown, "lightningd is shutting down", nil)
	default:
		c.method = text(m["method"])
		n.dispatch(c)
	}
}

// dispatch runs a request, unless a fault was laid for its method.
func (n *Node) dispatch(c *command) {
	if n.faulty(c) {
		return
	}
	n.execute(c)
}

func (n *Node) execute(c *command) {
	if b := n.commands[c.method]; b != nil {
		if !b.loose {
			p, err := parseParams(b.specs, c.raw["params"])
			if err != nil {
				c.fail(err.code, err.message, nil)
				return
			}
			c.params = p
		}
		c.finish(b.run(n, c))
		return
	}
	p := n.pluginFor(c.method)
	if p == nil {
		c.fail(codeNoMethod, fmt.Sprintf("Unknown command '%s'", c.method), nil)
		return
	}
	n.forward(p, c, c.method)
}

// finish answers a builtin.
func (c *command) finish(result any, err error) {
	var re *rpcError
	switch {
	case errors.Is(err, errLater):
	case errors.As(err, &re):
		c.fail(re.code, re.message, re.data)
	case err != nil:
		c.fail(codeOther, err.Error(), nil)
	default:
		c.reply(result)
	}
}

// forward sends the request to a plugin under an id of the node's own, and the reply back under the caller's.
func (n *Node) forward(p *plugin, c *command, method string) {
	id := n.newID(c.prefix(), method)
	p.pending[id] = &pluginRequest{seq: n.nextID, command: c, answer: func(reply map[string]json.RawMessage) {
		out := obj("jsonrpc", "2.0", "id", c.id)
		for _, name := range []string{"result", "error"} {
			if raw, ok := reply[name]; ok {
				out.add(name, raw)
			}
		}
		c.send(out)
	}}
	out := obj("jsonrpc", "2.0", "id", id, "method", method, "params", c.raw["params"])
	if filter, ok := c.raw["filter"]; ok {
		out.add("filter", filter)
	}
	n.send(p, marshal(out))
}

// prefix is the caller's id as it stands before the slash of ours.
func (c *command) prefix() string {
	id := rawText(c.id)
	if strings.ContainsAny(id, `"\`) {
		return "weird-id"
	}
	return id
}

func (c *command) send(message *object) {
	if c.done {
		return
	}
	if c.lose {
		c.cut()
		return
	}
	c.done = true
	c.n.sendConn(c.conn, message)
}

func (c *command) reply(result any) {
	c.send(obj("jsonrpc", "2.0", "id", c.id, "result", result))
}

func (c *command) fail(code int, message string, data any) {
	e := obj("code", code, "message", message)
	if data != nil {
		e.add("data", data)
	}
	c.send(obj("jsonrpc", "2.0", "id", c.id, "error", e))
}

// cut closes the caller's connection in place of an answer.
func (c *command) cut() {
	c.done = true
	c.n.then(c.conn.abort)
}

func (c *command) progress(topic string, raw json.RawMessage) {
	if !c.conn.notify || c.done {
		return
	}
	m := members(raw)
	out := obj("id", c.id)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if name != "id" {
			out.add(name, m[name])
		}
	}
	c.n.sendConn(c.conn, obj("jsonrpc", "2.0", "method", topic, "params", out))
}

// check runs "check": parameters of a builtin are judged here, a plugin that declared cancheck is asked.
func (n *Node) check(c *command) (any, error) {
	var target string
	var rest json.RawMessage
	if items, _, ok := list(c.raw["params"]); ok {
		if len(items) == 0 {
			return nil, failf(codeInvalidParams, "missing required parameter: command_to_check")
		}
		target, rest = text(items[0]), marshal(items[1:])
	} else {
		m := members(c.raw["params"])
		if m["command_to_check"] == nil {
			return nil, failf(codeInvalidParams, "missing required parameter: command_to_check")
		}
		target = text(m["command_to_check"])
		delete(m, "command_to_check")
		rest = marshal(m)
	}
	if b := n.commands[target]; b != nil {
		if !b.loose {
			if _, err := parseParams(b.specs, rest); err != nil {
				return nil, err
			}
		}
		return obj("command_to_check", target), nil
	}
	p := n.pluginFor(target)
	if p == nil {
		return nil, failf(codeInvalidParams, "Unknown command '%s'", target)
	}
	if p.canCheck {
		n.forward(p, c, "check")
		return nil, errLater
	}
	n.logf(levelUnusual, "plugin-"+p.name, "Plugin does not support check command for %s (id %s)", target, c.id)
	return obj("command_to_check", target), nil
}
