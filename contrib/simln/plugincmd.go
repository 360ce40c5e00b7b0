package simln

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cmdPlugin is "plugin start|stop|startdir|rescan|list".
func (n *Node) cmdPlugin(c *command) (any, error) {
	var words []string
	options := map[string]any{}
	if items, _, ok := list(c.raw["params"]); ok {
		for _, item := range items {
			words = append(words, text(item))
		}
	} else {
		m := members(c.raw["params"])
		for _, name := range []string{"subcommand", "plugin", "directory"} {
			if raw, ok := m[name]; ok {
				words = append(words, text(raw))
			}
		}
		for name, raw := range m {
			if !slices.Contains([]string{"subcommand", "plugin", "directory", "options"}, name) {
				options[name] = text(raw)
			}
		}
		items, _, _ := list(m["options"])
		for _, item := range items {
			words = append(words, text(item))
		}
	}
	if len(words) == 0 {
		return nil, failf(codeInvalidParams, "missing required parameter: subcommand")
	}
	if words[0] == "list" {
		return n.pluginList("list"), nil
	}
	if words[0] != "rescan" && len(words) < 2 {
		return nil, failf(codeInvalidParams, "missing required parameter: plugin")
	}
	switch words[0] {
	case "start":
		for _, word := range words[2:] {
			name, value, hasValue := strings.Cut(word, "=")
			options[name] = value
			if !hasValue {
				options[name] = true
			}
		}
		return n.pluginStart(c, words[1], options)
	case "stop":
		return n.pluginStop(c, words[1])
	case "startdir":
		return n.pluginStartDir(words[1])
	case "rescan":
		return n.pluginList("rescan"), nil
	}
	return nil, failf(codeInvalidParams, "Unknown subcommand '%s'", words[0])
}

func (n *Node) pluginList(subcommand string) *object {
	out := []*object{}
	for _, p := range n.plugins {
		out = append(out, obj("name", p.path, "active", p.state == pluginReady, "dynamic", p.dynamic))
	}
	return obj("command", subcommand, "plugins", out)
}

func (n *Node) pluginStart(c *command, path string, options map[string]any) (any, error) {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return nil, failf(codeInvalidParams, "%s: No such file or directory", path)
	}
	if err := n.startPlugin(Plugin{Path: path, Options: options}, c); err != nil {
		return nil, failf(codePluginError, "%v", err)
	}
	return nil, errLater
}

func (n *Node) pluginStartDir(dir string) (any, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, failf(codeInvalidParams, "Failed to open plugin-dir %s: %v", dir, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			if err := n.startPlugin(Plugin{Path: filepath.Join(dir, e.Name())}, nil); err != nil {
				return nil, failf(codePluginError, "%v", err)
			}
		}
	}
	return n.pluginList("startdir"), nil
}

// pluginStop asks a plugin that subscribed to shutdown to go, and kills any other at once.
func (n *Node) pluginStop(c *command, name string) (any, error) {
	i := slices.IndexFunc(n.plugins, func(p *plugin) bool { return p.matches(name) })
	if i < 0 {
		return nil, failf(codeInvalidParams, "Could not find plugin %s", name)
	}
	p := n.plugins[i]
	if !p.dynamic {
		return nil, failf(codeInvalidParams, "%s cannot be managed when lightningd is up", p.name)
	}
	stopped := obj("command", "stop", "result", fmt.Sprintf("Successfully stopped %s.", p.name))
	if !p.subscribed("shutdown") {
		n.killPlugin(p, levelInfo, "stopped by lightningd via RPC")
		return stopped, nil
	}
	n.notify(p, "shutdown", obj())
	n.waiters = append(n.waiters, &waiter{c: c, ready: func() *object {
		if !p.isGone() {
			return nil
		}
		return stopped
	}})
	n.clock.after(30*time.Second, func() {
		n.do(func() {
			if !p.isGone() {
				n.killPlugin(p, levelDebug, "stopped by lightningd via RPC after it did not exit")
			}
		})
	})
	return nil, errLater
}

// KillPlugin kills a plugin's process (SIGKILL), by file name or path, and waits until the node has noticed.
func (n *Node) KillPlugin(ctx context.Context, name string) error {
	for _, p := range n.livePlugins() {
		if !p.matches(name) {
			continue
		}
		if err := p.process.Kill(); err != nil {
			return fmt.Errorf("kill plugin %s: %w", name, err)
		}
		select {
		case <-p.gone:
		case <-n.diedCh:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return nil
	}
	return fmt.Errorf("kill plugin %s: not running", name)
}

// StartPlugin is "plugin start" with Plugin's environment and arguments. Nil means that it has answered init.
func (n *Node) StartPlugin(ctx context.Context, spec Plugin) error {
	var p *plugin
	var err error
	alive := n.do(func() {
		if err = n.startPlugin(spec, nil); err == nil {
			p = n.plugins[len(n.plugins)-1]
		}
	})
	if err != nil {
		return fmt.Errorf("start plugin: %w", err)
	}
	if !alive {
		return fmt.Errorf("start plugin: node is dead")
	}
	select {
	case <-p.ready:
		return nil
	case <-p.gone:
		return fmt.Errorf("start plugin %s: the node refused it", p.name)
	case <-n.diedCh:
		return fmt.Errorf("start plugin %s: %s", p.name, n.Death().Reason)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// StopPlugin is "plugin stop", with its rule that a plugin must be dynamic.
func (n *Node) StopPlugin(ctx context.Context, name string) error {
	return n.Call(ctx, "plugin", []any{"stop", name}, nil)
}
