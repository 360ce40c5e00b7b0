package simln

import (
	"encoding/json"
	"fmt"
	"regexp"
)

// nativeTopics are the notifications that only the node may send.
var nativeTopics = func() map[string]bool {
	m := map[string]bool{}
	for _, t := range []string{
		"connect", "disconnect", "channel_opened", "channel_open_failed", "channel_state_changed", "warning",
		"invoice_payment", "invoice_creation", "forward_event", "sendpay_success", "sendpay_failure",
		"coin_movement", "balance_snapshot", "block_added", "openchannel_peer_sigs", "shutdown", "custommsg",
		"onionmessage_forward_fail", "deprecated_oneshot", "log", "plugin_started", "plugin_stopped",
	} {
		m[t] = true
	}
	return m
}()

// gotManifest takes the reply to getmanifest: accepted, refused with a kill, or disabled by the plugin's own wish.
func (n *Node) gotManifest(p *plugin, reply map[string]json.RawMessage) {
	if p.isGone() {
		return
	}
	result := members(reply["result"])
	if result == nil {
		n.killPlugin(p, levelUnusual, fmt.Sprintf("Invalid/missing result tok in '%s'", marshal(reply)))
		return
	}
	if why, ok := result["disable"]; ok {
		p.important = false
		n.killPlugin(p, levelInfo, "disabled itself: "+text(why))
		return
	}
	if complaint := n.parseManifest(p, result); complaint != "" {
		n.killPlugin(p, levelUnusual, complaint)
		return
	}
	p.state = needsInit
	p.stopTimer()
	if !n.startup && !p.dynamic {
		n.killPlugin(p, levelInfo, "Not a dynamic plugin")
		return
	}
	n.checkManifests()
}

// parseManifest registers what the manifest asks for, and returns lightningd's complaint about the first thing wrong.
// What was registered before the complaint is undone when the plugin is dropped.
func (n *Node) parseManifest(p *plugin, result map[string]json.RawMessage) (complaint string) {
	var complaints []string
	flag := func(name string, into *bool) {
		if raw, ok := result[name]; ok && json.Unmarshal(raw, into) != nil {
			complaints = append(complaints, fmt.Sprintf("getmanifest: invalid %q field %s", name, raw))
		}
	}
	nonNumeric := true
	flag("dynamic", &p.dynamic)
	flag("nonnumericids", &nonNumeric)
	flag("cancheck", &p.canCheck)
	if len(complaints) > 0 {
		return complaints[0]
	}
	if !nonNumeric {
		return "Plugin does not allow nonnumericids"
	}
	for _, step := range []func(*plugin, map[string]json.RawMessage) string{
		n.addFeatures, n.addTopics, n.addOptions, n.addMethods, n.addSubscriptions, n.addHooks, n.addStartOptions,
	} {
		if c := step(p, result); c != "" {
			return c
		}
	}
	return ""
}

var hexText = regexp.MustCompile(`^([0-9a-fA-F]{2})*$`)

func (n *Node) addFeatures(p *plugin, result map[string]json.RawMessage) string {
	wanted := false
	for _, place := range []string{"node", "channel", "init", "invoice"} {
		raw, ok := members(result["featurebits"])[place]
		if !ok {
			continue
		}
		if !hexText.MatchString(text(raw)) {
			return fmt.Sprintf("Featurebits returned by plugin is not a valid hexadecimal string: %s", raw)
		}
		wanted = wanted || text(raw) != ""
	}
	if wanted && p.dynamic {
		return fmt.Sprintf("Custom featurebits only allows for non-dynamic plugins: dynamic=1, featurebits=%s", result["featurebits"])
	}
	return ""
}

// list reads an array; missing reports whether the member is there at all.
func list(raw json.RawMessage) (items []json.RawMessage, missing, ok bool) {
	if raw == nil {
		return nil, true, true
	}
	return items, false, json.Unmarshal(raw, &items) == nil && raw[0] == '['
}

func isString(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '"' }

func (n *Node) addTopics(p *plugin, result map[string]json.RawMessage) string {
	items, _, ok := list(result["notifications"])
	if !ok {
		return `"result.notifications" is not an array`
	}
	for i, item := range items {
		method := members(item)["method"]
		if !isString(method) {
			return fmt.Sprintf(`"result.notifications[%d].name" missing or not a string.`, i)
		}
		if nativeTopics[text(method)] {
			return fmt.Sprintf("plugin attempted to register a native notification topic %q, these may however only be sent by lightningd", text(method))
		}
		p.topics = append(p.topics, text(method))
	}
	return ""
}

func (n *Node) addMethods(p *plugin, result map[string]json.RawMessage) string {
	items, missing, ok := list(result["rpcmethods"])
	if missing {
		return `"result.rpcmethods" missing`
	}
	if !ok {
		return `"result.rpcmethods" is not an array`
	}
	for _, item := range items {
		m := members(item)
		if !isString(m["name"]) {
			return fmt.Sprintf(`rpcmethod does not have a string "name": %s`, item)
		}
		if m["usage"] == nil {
			return `"usage" not provided by plugin`
		}
		if !isString(m["usage"]) {
			return fmt.Sprintf(`"usage" is not a string: %s`, item)
		}
		name := text(m["name"])
		if owner := n.methodOwner(name); owner != "" {
			return fmt.Sprintf("Could not register method %q, a method with that name is already registered by plugin %s", name, owner)
		}
		p.methods = append(p.methods, name)
		p.usages[name] = text(m["usage"])
	}
	return ""
}

// methodOwner names who serves a method already: a plugin's path, or the node.
func (n *Node) methodOwner(name string) string {
	if _, ok := n.commands[name]; ok {
		return "lightningd"
	}
	if p := n.pluginFor(name); p != nil {
		return p.path
	}
	return ""
}

func (n *Node) pluginFor(method string) *plugin {
	for _, p := range n.plugins {
		if _, ok := p.usages[method]; ok {
			return p
		}
	}
	return nil
}

func (n *Node) addSubscriptions(p *plugin, result map[string]json.RawMessage) string {
	items, _, ok := list(result["subscriptions"])
	if !ok {
		return `"result.subscriptions" is not an array`
	}
	for i, item := range items {
		if !isString(item) {
			return fmt.Sprintf("result.subscriptions[%d] is not a string: '%s'", i, item)
		}
		p.subscriptions = append(p.subscriptions, text(item))
	}
	return ""
}

func (n *Node) addHooks(p *plugin, result map[string]json.RawMessage) string {
	items, _, _ := list(result["hooks"])
	for _, item := range items {
		name, m := text(item), members(item)
		if m != nil {
			if m["name"] == nil {
				return fmt.Sprintf("no name in hook obj %s", item)
			}
			name = text(m["name"])
		}
		if c := n.registerHook(p, name, m); c != "" {
			return c
		}
	}
	return ""
}
