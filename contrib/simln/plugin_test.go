package simln_test

import (
	"context"
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mostro-cln/mostro/contrib/simln"
)

func method(name, usage string) map[string]any { return map[string]any{"name": name, "usage": usage} }

func option(name, kind string, more ...any) map[string]any {
	o := map[string]any{"name": name, "type": kind, "description": "d"}
	for i := 0; i+1 < len(more); i += 2 {
		o[more[i].(string)] = more[i+1]
	}
	return o
}

func TestManifestThatGetsThePluginKilled(t *testing.T) {
	for name, c := range map[string]struct {
		change map[string]any
		log    string
	}{
		"no options":                   {map[string]any{"options": nil}, ""},
		"methods are no array":         {map[string]any{"rpcmethods": 1}, "\"result.rpcmethods\" is not an array"},
		"a method without usage":       {map[string]any{"rpcmethods": []any{map[string]any{"name": "x"}}}, `"usage" not provided by plugin`},
		"a method of the node":         {map[string]any{"rpcmethods": []any{method("getinfo", "")}}, "already registered"},
		"a method twice":               {map[string]any{"rpcmethods": []any{method("x", ""), method("x", "")}}, "already registered"},
		"an unknown hook":              {map[string]any{"hooks": []any{"nonsense"}}, "Unknown hook name nonsense"},
		"a hook twice":                 {map[string]any{"hooks": []any{"htlc_accepted", "htlc_accepted"}}, "multiple times"},
		"filters on htlc_accepted":     {map[string]any{"hooks": []any{map[string]any{"name": "htlc_accepted", "filters": []string{"x"}}}}, "does not allow filters"},
		"a native notification topic":  {map[string]any{"notifications": []any{map[string]any{"method": "block_added"}}}, "native notification topic"},
		"numeric ids wanted":           {map[string]any{"nonnumericids": false}, "does not allow nonnumericids"},
		"an unknown option type":       {map[string]any{"options": []any{option("x", "float")}}, `Only "string"`},
		"a flag that defaults to true": {map[string]any{"options": []any{option("x", "flag", "default", true)}}, "flag default must be 'false'"},
		"a bad integer default":        {map[string]any{"options": []any{option("x", "int", "default", "ten")}}, "Invalid default"},
		"an upper case option":         {map[string]any{"options": []any{option("X", "string")}}, "lowercase"},
		"an option without text":       {map[string]any{"options": []any{map[string]any{"name": "x", "type": "int"}}}, "missing either"},
		"dynamic with feature bits":    {map[string]any{"dynamic": true, "featurebits": map[string]any{"node": "01"}}, "non-dynamic"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFake(t, "p")
			maps.Copy(p.manifest, c.change)
			w := start(t, p.spec())
			var l struct{ Plugins []any }
			w.call("plugin", []any{"list"}, &l)
			if len(l.Plugins) != 0 || !w.log.has("Killing plugin: ") || !w.log.has(c.log) {
				t.Errorf("plugins %v, log lacks %q:\n%s", l.Plugins, c.log, w.log.b.String())
			}
		})
	}
}

func TestInitCarriesTypedOptions(t *testing.T) {
	p := newFake(t, "p")
	p.manifest["options"] = []any{
		option("p-name", "string", "default", "mary"), option("p-int", "int", "default", 7), option("p-bool", "bool", "default", true),
		option("p-flag", "flag"), option("p-unset", "string"), option("p-many", "string", "multi", true), option("p-secret", "string-conceal"),
	}
	w := startWith(t, simln.Config{
		Plugins: []simln.Plugin{p.spec()},
		Options: map[string]any{"p-int": 42, "p-bool": "no", "p-flag": true, "p-many": []string{"a", "b"}, "p-secret": "s"},
	})
	var got struct {
		Options       map[string]any
		Configuration struct {
			Dir     string `json:"lightning-dir"`
			RPC     string `json:"rpc-file"`
			Startup bool
			Network string
		}
	}
	check(t, json.Unmarshal((<-p.inits).Params, &got))
	want := `{"p-bool":false,"p-flag":true,"p-int":42,"p-many":["a","b"],"p-name":"mary","p-secret":"s"}`
	if b, _ := json.Marshal(got.Options); string(b) != want {
		t.Errorf("options %s, want %s", b, want)
	}
	if c := got.Configuration; c.Dir != w.Dir() || filepath.Join(c.Dir, c.RPC) != w.RPCPath() || !c.Startup || c.Network != "regtest" {
		t.Errorf("configuration %+v", c)
	}
	if p.hello["plugin"] != "1" || p.hello["version"] != simln.Version || p.hello["dir"] != w.Dir() {
		t.Errorf("environment %v", p.hello)
	}
	var l struct {
		Configs map[string]struct {
			Str    string `json:"value_str"`
			Int    int    `json:"value_int"`
			Source string
		}
	}
	w.call("listconfigs", nil, &l)
	if l.Configs["p-int"].Int != 42 || l.Configs["p-name"].Source != "default" || l.Configs["p-secret"].Str != "..." {
		t.Errorf("listconfigs %+v", l.Configs)
	}
}

func TestStartRefuses(t *testing.T) {
	a, b := newFake(t, "a"), newFake(t, "b")
	a.manifest["options"] = []any{option("same", "int")}
	b.manifest["options"] = []any{option("other", "string")}
	clash := newFake(t, "clash")
	clash.manifest["options"] = []any{option("other", "string")}
	for name, c := range map[string]struct {
		cfg  simln.Config
		want string
	}{
		"an option that nobody has":   {simln.Config{Plugins: []simln.Plugin{a.spec()}, Options: map[string]any{"nobody": 1}}, "--nobody: unrecognized option"},
		"a value of the wrong type":   {simln.Config{Plugins: []simln.Plugin{a.spec()}, Options: map[string]any{"same": "x"}}, "'x' is not a number"},
		"an option of two plugins":    {simln.Config{Plugins: []simln.Plugin{b.spec(), clash.spec()}}, "option name 'other' is already taken"},
		"a binary that is not there":  {simln.Config{Plugins: []simln.Plugin{{Path: "/nowhere/x"}}}, "/nowhere/x"},
		"a network that nobody knows": {simln.Config{Network: "moon"}, `unknown network "moon"`},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Dir = shortDir(t)
			n, err := simln.Start(testContext(t), c.cfg)
			if err == nil {
				n.Kill()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestPluginThatDisablesItselfLeavesTheNodeAlone(t *testing.T) {
	for _, where := range []string{"getmanifest", "init"} {
		for _, important := range []bool{false, true} {
			p := newFake(t, "p")
			if where == "init" {
				p.initResult = map[string]any{"disable": "no licence"}
			} else {
				p.manifest = map[string]any{"disable": "no licence"}
			}
			spec := p.spec()
			spec.Important = important
			w := start(t, spec)
			if !w.log.has("disabled itself") || !w.log.has("no licence") {
				t.Errorf("%s, important %v: log %s", where, important, w.log.b.String())
			}
		}
	}
}

func TestImportantPluginThatIsKilledAtStartStopsTheNode(t *testing.T) {
	p := newFake(t, "p")
	p.manifest["hooks"] = []any{"nonsense"}
	if n, err := simln.Start(testContext(t), simln.Config{Dir: shortDir(t), Plugins: []simln.Plugin{p.important()}}); err == nil {
		n.Kill()
		t.Fatal("started")
	}
}

func TestPluginThatNeverAnswersIsTimedOut(t *testing.T) {
	p := newFake(t, "p")
	p.noManifest = true
	_, err := simln.Start(testContext(t), simln.Config{Dir: shortDir(t), Plugins: []simln.Plugin{p.spec()}, PluginTimeout: 50 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "Can't recover from plugin failure") {
		t.Errorf("got %v", err)
	}
}

func TestTopicsOfPluginsReachTheirSubscribers(t *testing.T) {
	from, to, all, undeclared := newFake(t, "from.py"), newFake(t, "to"), newFake(t, "all"), newFake(t, "undeclared")
	from.manifest["notifications"] = []any{map[string]any{"method": "news"}}
	to.manifest["subscriptions"] = []string{"news", "block_added", "nosuch"}
	all.manifest["subscriptions"] = []string{"*"}
	w := start(t, from.spec(), to.spec(), all.spec(), undeclared.spec())
	undeclared.write(`{"jsonrpc":"2.0","method":"news","params":{"n":0}}`)
	from.write(`{"jsonrpc":"2.0","method":"news","params":{"n":12345678901234567890}}`)
	undeclared.sync(w)
	for _, f := range []*fake{to, all} {
		if m := f.next("news"); m.Origin != "from.py" || string(m.Params) != `{"n":12345678901234567890}` {
			t.Errorf("%s got %+v", f.name, m)
		}
	}
	w.Mine(1)
	if m := to.next("block_added"); textOf(field(m, "block_added", "height")) != "201" || len(textOf(field(m, "block_added", "hash"))) != 64 {
		t.Errorf("block_added %s", m.Params)
	}
	if !w.log.has("topic 'nosuch' is not a known notification topic") || !w.log.has("hasn't declared in its manifest") {
		t.Error("the log does not complain")
	}
}

func TestHookCircleKillsThosePluginsOnly(t *testing.T) {
	a := newFake(t, "a", map[string]any{"name": "htlc_accepted", "before": []string{"b"}})
	b := newFake(t, "b", map[string]any{"name": "htlc_accepted", "before": []string{"a"}})
	c := newFake(t, "c", "htlc_accepted")
	w := start(t, a.spec(), b.spec(), c.spec())
	var l struct{ Plugins []struct{ Name string } }
	w.call("plugin", []any{"list"}, &l)
	if len(l.Plugins) != 1 || l.Plugins[0].Name != c.path {
		t.Errorf("plugins: %+v", l)
	}
}

func TestOptionsOfPluginStart(t *testing.T) {
	w := start(t)
	p := newFake(t, "p")
	p.manifest["dynamic"] = true
	p.manifest["options"] = []any{option("p-int", "int", "default", 1)}
	spec := p.spec()
	spec.Options = map[string]any{"p-int": 5}
	check(t, w.StartPlugin(testContext(t), spec))
	init := <-p.inits
	if textOf(field(init, "options", "p-int")) != "5" || field(init, "configuration", "startup") != false {
		t.Errorf("init %s", init.Params)
	}
	if err := w.StartPlugin(context.Background(), spec); err == nil || !strings.Contains(err.Error(), "already registered") {
		t.Errorf("the second start: %v", err)
	}
}
