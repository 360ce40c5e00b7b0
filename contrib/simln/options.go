package simln

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pluginOption is one entry of a manifest's options, with what the operator set.
type pluginOption struct {
	name, kind       string // kind: string, string-conceal, int, bool or flag
	multi, dynamic   bool
	def              string
	hasDefault, seen bool
	values           []string // as given; a flag's only value is "true"
}

var (
	optionName  = regexp.MustCompile(`^[0-9a-z_-]*$`)
	optionKinds = []string{"string", "string-conceal", "int", "bool", "flag"}
	boolWords   = map[string]bool{"true": true, "yes": true, "on": true, "1": true, "false": false, "no": false, "off": false, "0": false}
)

func (n *Node) addOptions(p *plugin, result map[string]json.RawMessage) string {
	items, missing, ok := list(result["options"])
	if missing {
		return `"result.options" was not found in the manifest`
	}
	if !ok {
		return `"result.options" is not an array`
	}
	for _, item := range items {
		if c := n.addOption(p, members(item)); c != "" {
			return c
		}
	}
	return ""
}

func (n *Node) addOption(p *plugin, m map[string]json.RawMessage) string {
	if m["name"] == nil || m["type"] == nil || m["description"] == nil {
		return `An option is missing either "name", "description" or "type"`
	}
	o := &pluginOption{name: text(m["name"]), kind: text(m["type"])}
	if !optionName.MatchString(o.name) {
		return `Option "name" must be lowercase alphanumeric, plus _ or -'`
	}
	if owner, _ := n.findOption(o.name); owner != nil || lightningdOption(o.name) {
		if n.startup {
			n.fatal("error starting plugin '%s': option name '%s' is already taken", p.path, o.name)
		}
		return fmt.Sprintf("Option %q already registered", o.name)
	}
	for name, into := range map[string]*bool{"multi": &o.multi, "dynamic": &o.dynamic} {
		if raw, ok := m[name]; ok && json.Unmarshal(raw, into) != nil {
			return fmt.Sprintf("--%s: invalid %q field %s", o.name, name, raw)
		}
	}
	if !slices.Contains(optionKinds, o.kind) {
		return `Only "string", "int", "bool", and "flag" options are supported`
	}
	if o.multi && (o.kind == "flag" || o.kind == "bool") {
		return o.kind + " type cannot be multi"
	}
	if c := o.takeDefault(m["default"]); c != "" {
		return c
	}
	p.opts = append(p.opts, o)
	return ""
}

func (o *pluginOption) takeDefault(raw json.RawMessage) string {
	if raw == nil {
		return ""
	}
	if o.kind == "flag" {
		if string(raw) != "false" {
			return fmt.Sprintf("--%s type flag default must be 'false' not %s", o.name, raw)
		}
		return ""
	}
	if isNull(raw) {
		return ""
	}
	o.def, o.hasDefault = text(raw), true
	if err := o.check(o.def); err != nil {
		return fmt.Sprintf("Invalid default '%s': %v", o.def, err)
	}
	return ""
}

func (o *pluginOption) check(value string) error {
	switch o.kind {
	case "int":
		if _, err := strconv.ParseInt(value, 0, 64); err != nil {
			return fmt.Errorf("'%s' is not a number", value)
		}
	case "bool":
		if _, ok := boolWords[strings.ToLower(value)]; !ok {
			return fmt.Errorf("Invalid argument '%s'", value)
		}
	}
	return nil
}

func (n *Node) findOption(name string) (*plugin, *pluginOption) {
	for _, p := range n.plugins {
		for _, o := range p.opts {
			if o.name == name {
				return p, o
			}
		}
	}
	return nil, nil
}

// set stores what the operator gave.
func (o *pluginOption) set(value any) error {
	var values []string
	switch v := value.(type) {
	case []string:
		values = v
	case []any:
		for _, x := range v {
			values = append(values, fmt.Sprint(x))
		}
	case nil:
		values = []string{"true"}
	case float64: // from JSON
		values = []string{strconv.FormatFloat(v, 'f', -1, 64)}
	default:
		values = []string{fmt.Sprint(v)}
	}
	if o.kind == "flag" {
		if len(values) != 1 || values[0] != "true" && values[0] != "" {
			return fmt.Errorf("--%s: doesn't allow an argument", o.name)
		}
		values = []string{"true"}
	}
	for _, v := range values {
		if err := o.check(v); err != nil {
			return fmt.Errorf("--%s: %w", o.name, err)
		}
	}
	if len(values) > 1 && !o.multi {
		values = values[len(values)-1:]
	}
	o.values, o.seen = values, true
	return nil
}

// addStartOptions sets the options given with "plugin start"; at boot checkOptions does this for all plugins at once.
func (n *Node) addStartOptions(p *plugin, _ map[string]json.RawMessage) string {
	if n.startup {
		return ""
	}
	for name, value := range p.given {
		owner, o := n.findOption(name)
		if owner != p {
			return "unknown parameter " + name
		}
		if err := o.set(value); err != nil {
			return err.Error()
		}
	}
	return ""
}

// checkOptions gives every option of the command line to its plugin. An option that no plugin has is an error,
// as is a value of the wrong type: lightningd then does not start.
func (n *Node) checkOptions() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	set := func(name string, value any) {
		_, o := n.findOption(name)
		if o == nil {
			errs = append(errs, fmt.Errorf("--%s: unrecognized option", name))
			return
		}
		if err := o.set(value); err != nil {
			errs = append(errs, err)
		}
	}
	for name, value := range n.cfg.Options {
		set(name, value)
	}
	for _, p := range n.plugins {
		for name, value := range p.given {
			set(name, value)
		}
	}
	return errors.Join(errs...)
}

// typed writes a value as lightningd hands it to the plugin.
func (o *pluginOption) typed(value string) any {
	switch o.kind {
	case "int":
		return json.RawMessage(value)
	case "bool", "flag":
		return boolWords[strings.ToLower(value)]
	}
	return value
}

// optionValues is the options object of init: a set value, or the default, or nothing.
func (p *plugin) optionValues() *object {
	out := obj()
	for _, o := range p.opts {
		values := o.values
		if !o.seen {
			if !o.hasDefault {
				continue
			}
			values = []string{o.def}
		}
		if !o.multi {
			out.add(o.name, o.typed(values[len(values)-1]))
			continue
		}
		typed := []any{}
		for _, v := range values {
			typed = append(typed, o.typed(v))
		}
		out.add(o.name, typed)
	}
	return out
}

// lightningdOption says whether the node itself has an option of that name.
func lightningdOption(name string) bool {
	switch name {
	case "network", "lightning-dir", "rpc-file", "plugin", "important-plugin", "allow-deprecated-apis", "log-level",
		"log-file", "alias", "rgb", "addr", "proxy", "cltv-final", "cltv-delta", "fee-base", "fee-per-satoshi",
		"rescan", "wallet", "conf", "developer", "regtest", "testnet", "signet", "mainnet", "daemon", "offline":
		return true
	}
	return false
}

// cmdSetConfig sets an option that its plugin declared as dynamic; the plugin is asked and may refuse.
func (n *Node) cmdSetConfig(c *command) (any, error) {
	p, o := n.findOption(c.str("config"))
	if o == nil || !o.dynamic {
		return nil, failf(codeInvalidParams, "%s: should be a dynamic config option: invalid token '%s'", "config", c.values["config"])
	}
	value := c.str("val")
	if o.kind == "flag" {
		value = "true"
	}
	if err := o.check(value); err != nil {
		return nil, failf(codeInvalidParams, "Invalid value: %v", err)
	}
	n.request(p, c.prefix(), "setconfig", obj("config", o.name, "val", value), func(reply map[string]json.RawMessage) {
		if raw, ok := reply["error"]; ok && !isNull(raw) {
			e := members(raw)
			code, err := strconv.Atoi(string(e["code"]))
			if err != nil {
				code = codeOther
			}
			c.fail(code, text(e["message"]), nil)
			return
		}
		o.values, o.seen = []string{value}, true
		c.reply(obj("config", o.config(p.path).add("config", o.name)))
	})
	return nil, errLater
}
