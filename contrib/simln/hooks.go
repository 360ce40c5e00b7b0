package simln

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// hookChain is one hook with the plugins that registered it, and the bookkeeping of lightningd's plugin_hook.c,
// its defect included: a call that ends in anything but "continue" is never counted out. From then on a plugin
// that comes late is asked last whatever it wished, and the next one that is refused takes the node down.
type hookChain struct {
	name    string
	filters byte         // 's': strings, 'i': integers, 0: none allowed
	hooks   []*hookEntry // in calling order; nil where a plugin left
	next    []*hookEntry // the order that waits for users to fall to 0
	pending bool         // next is set
	users   int
}

type hookEntry struct {
	plugin        *plugin
	before, after []string
}

// hookCall is one event on its way through a chain.
type hookCall struct {
	chain  *hookChain
	at     int
	params func(p *plugin) *object
	answer func(result json.RawMessage) (goOn bool) // takes a reply's result; calls fatal for what the node can't take
	final  func()                                   // all said continue
}

func newHookChains() map[string]*hookChain {
	m := map[string]*hookChain{}
	for _, name := range []string{
		"htlc_accepted", "invoice_payment", "db_write", "peer_connected", "commitment_revocation", "openchannel",
		"openchannel2", "openchannel2_changed", "openchannel2_sign", "rbf_channel", "onion_message_recv",
		"onion_message_recv_secret", "recover",
	} {
		m[name] = &hookChain{name: name}
	}
	m["rpc_command"] = &hookChain{name: "rpc_command", filters: 's'}
	m["custommsg"] = &hookChain{name: "custommsg", filters: 'i'}
	return m
}

func (n *Node) registerHook(p *plugin, name string, m map[string]json.RawMessage) (complaint string) {
	chain := n.hooks[name]
	if chain == nil {
		return "Unknown hook name " + name
	}
	if filters, ok := m["filters"]; ok {
		if chain.filters == 0 {
			return fmt.Sprintf("Hook %s does not allow filters", name)
		}
		if _, _, isArray := list(filters); !isArray {
			return "filters token must be an array"
		}
	}
	for _, h := range chain.hooks {
		if h != nil && h.plugin == p {
			return fmt.Sprintf("Registered for hook %s multiple times", name)
		}
	}
	h := &hookEntry{plugin: p}
	for field, into := range map[string]*[]string{"before": &h.before, "after": &h.after} {
		items, _, _ := list(m[field])
		for _, item := range items {
			*into = append(*into, text(item))
		}
	}
	chain.hooks = append(chain.hooks, h)
	return ""
}

// removeHooks empties the plugin's places. One that is not in the order that waits to be taken over aborts the node.
func (n *Node) removeHooks(p *plugin) {
	for _, chain := range n.hooks {
		i := chain.find(chain.hooks, p)
		if i < 0 {
			continue
		}
		chain.hooks[i] = nil
		if !chain.pending {
			continue
		}
		k := chain.find(chain.next, p)
		if k < 0 {
			n.fatal("%s in remove_hook_instance: plugin %s is not in the new order of hook %s", mssgFatal, p.name, chain.name)
		}
		chain.next[k] = nil
	}
}

func (c *hookChain) find(in []*hookEntry, p *plugin) int {
	return slices.IndexFunc(in, func(h *hookEntry) bool { return h != nil && h.plugin == p })
}

// orderHooks sorts every chain by what plugins asked for, else by load order, and returns the plugins in a circle.
func (n *Node) orderHooks() (failed []*plugin) {
	for _, chain := range n.hooks {
		done, circle := chain.sorted()
		if len(circle) > 0 {
			failed = append(failed, circle...)
			continue
		}
		if len(done) == 0 {
			continue
		}
		chain.next, chain.pending = done, true
		if chain.users == 0 {
			chain.takeOver()
		} else {
			n.logf(levelUnusual, "lightningd", "Deferring registration of hook %s until it's not in use.", chain.name)
		}
	}
	return failed
}

func (c *hookChain) takeOver() { c.hooks, c.next, c.pending = c.next, nil, false }

func (c *hookChain) sorted() (done []*hookEntry, circle []*plugin) {
	var nodes []*hookEntry
	for _, h := range c.hooks {
		if h != nil {
			nodes = append(nodes, h)
		}
	}
	edges, incoming := map[*hookEntry][]*hookEntry{}, map[*hookEntry]int{}
	edge := func(from, to *hookEntry) {
		edges[from] = append(edges[from], to)
		incoming[to]++
	}
	for _, h := range nodes {
		for _, name := range h.before {
			if other := findEntry(nodes, name); other != nil {
				edge(h, other)
			}
		}
		for _, name := range h.after {
			if other := findEntry(nodes, name); other != nil {
				edge(other, h)
			}
		}
	}
	for len(nodes) > 0 {
		best := -1
		for i, h := range nodes {
			if incoming[h] == 0 && (best < 0 || h.plugin.index < nodes[best].plugin.index) {
				best = i
			}
		}
		if best < 0 {
			for _, h := range nodes {
				circle = append(circle, h.plugin)
			}
			return nil, circle
		}
		h := nodes[best]
		done = append(done, h)
		for _, to := range edges[h] {
			incoming[to]--
		}
		nodes = slices.Delete(nodes, best, best+1)
	}
	return done, nil
}

// findEntry matches as lightningd does: a bare name against the file name, suffix and all; a path as a path.
func findEntry(nodes []*hookEntry, name string) *hookEntry {
	for _, h := range nodes {
		if h.plugin.matches(name) {
			return h
		}
	}
	return nil
}

func (p *plugin) matches(name string) bool {
	if !strings.Contains(name, "/") {
		return p.name == name
	}
	canon, err := filepath.EvalSymlinks(name)
	return p.path == name || err == nil && p.path == canon
}

// callHook starts a call through the chain.
func (n *Node) callHook(name string, call *hookCall) {
	call.chain, call.at = n.hooks[name], -1
	call.chain.users++
	n.callNext(call)
}

func (n *Node) callNext(call *hookCall) {
	chain := call.chain
	for {
		call.at++
		if call.at >= len(chain.hooks) {
			n.hookDone(call)
			return
		}
		if chain.hooks[call.at] != nil {
			break
		}
	}
	p := chain.hooks[call.at].plugin
	n.request(p, "", chain.name, call.params(p), func(reply map[string]json.RawMessage) {
		n.hookReply(call, p, reply)
	})
}

func (n *Node) hookDone(call *hookCall) {
	chain := call.chain
	chain.users--
	if chain.users == 0 && chain.pending {
		n.logf(levelUnusual, "lightningd", "Updating hooks for %s now usage is done.", chain.name)
		chain.takeOver()
	}
	call.final()
}

func (n *Node) hookReply(call *hookCall, p *plugin, reply map[string]json.RawMessage) {
	var failure struct{ Code int }
	if json.Unmarshal(reply["error"], &failure) == nil && failure.Code == codePluginDied || call.chain.hooks[call.at] == nil {
		n.logf(levelDebug, "lightningd", "Plugin died from %s hook call", call.chain.name)
		n.callNext(call)
		return
	}
	result, ok := reply["result"]
	if !ok {
		n.fatal("Plugin %s for %s returned non-result response %s", p.name, call.chain.name, marshal(reply))
	}
	if call.answer(result) {
		n.callNext(call)
	}
}
