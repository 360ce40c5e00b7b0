package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// initParams is what we read of `init`.
type initParams struct {
	Options       map[string]json.RawMessage `json:"options"`
	Configuration struct {
		LightningDir string `json:"lightning-dir"`
		RPCFile      string `json:"rpc-file"`
		Startup      bool   `json:"startup"`
		Network      string `json:"network"`
		Proxy        *struct {
			Address string `json:"address"`
			Port    uint16 `json:"port"`
		} `json:"proxy"`
		AlwaysProxy bool `json:"always_use_proxy"`
	} `json:"configuration"`
}

// init mends what lightningd says and hands it to the library, which calls boot. The answer comes through answered.
func (f *front) init(ctx context.Context, m clnio.Message) {
	var p initParams
	if err := json.Unmarshal(m.Params, &p); err != nil {
		f.disable(ctx, m.ID, fmt.Sprintf("init of lightningd is not readable: %v", err))
		return
	}
	if f.begun.Swap(true) {
		f.reply(ctx, m.ID, answer{Error: clnio.Errorf(clnio.CodeInvalidRequest, "init was asked before")})
		return
	}
	given := map[string]string{}
	for _, o := range options {
		if text, ok := optionText(p.Options[o.name]); ok {
			given[o.name] = text
		} else {
			given[o.name] = o.value // the library cannot tell "not given" from ""
		}
	}
	id, ok := f.begin(m)
	if !ok {
		f.disable(ctx, m.ID, "too many requests before init")
		return
	}
	c := p.Configuration
	if c.Proxy != nil && c.Proxy.Address != "" {
		f.lib.proxy = net.JoinHostPort(c.Proxy.Address, strconv.Itoa(int(c.Proxy.Port)))
		f.lib.proxyAll = c.AlwaysProxy
	}
	err := f.lib.ask(id, "init", map[string]any{
		"options": given,
		"configuration": map[string]any{ // no more than the library reads: it chokes on what it does not expect
			"lightning-dir": c.LightningDir, "rpc-file": c.RPCFile, "startup": c.Startup, "network": c.Network,
		},
	})
	if err != nil {
		f.end(id)
		f.disable(ctx, m.ID, err.Error())
	}
}

// optionText is an option's value as text, whatever type lightningd gave it.
func optionText(raw json.RawMessage) (string, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return "", false
	}
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err == nil
	case '[':
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			return "", false
		}
		var parts []string
		for _, item := range list {
			if s, ok := optionText(item); ok {
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, ","), true
	}
	return string(raw), true
}

func (f *front) initAnswered(ctx context.Context, p pendingCall, m clnio.Message) {
	if m.Error != nil {
		f.disable(ctx, p.id, "glightning refused init: "+m.Error.Message)
		return
	}
	if err := f.lib.bootError(); err != nil {
		f.disable(ctx, p.id, err.Error())
		return
	}
	f.ready.Store(true)
	f.reply(ctx, p.id, answer{Result: json.RawMessage(`{}`)})
}

// disable answers init so that lightningd goes on without us and says why, on one line.
func (f *front) disable(ctx context.Context, id json.RawMessage, why string) {
	line := "mostro does not start: " + clnio.CleanLine(strings.ReplaceAll(why, "\n", " "))
	f.refused.Store(&line)
	f.log.Error(line)
	raw, _ := json.Marshal(map[string]string{"disable": line}) // a string: cannot fail
	f.reply(ctx, id, answer{Result: raw})
}

// nodeOf is the part of Config that lightningd gives.
func nodeOf(dir, rpcFile, network string, startup bool) Config {
	if !filepath.IsAbs(rpcFile) {
		rpcFile = filepath.Join(dir, rpcFile)
	}
	return Config{LightningDir: dir, RPCFile: rpcFile, Network: network, Startup: startup}
}
