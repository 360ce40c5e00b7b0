package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// check answers whether a command's parameters are right, and does nothing.
func (f *front) check(raw json.RawMessage) answer {
	name, rest, wrong := checkedCommand(raw)
	if wrong != nil {
		return answer{Error: wrong}
	}
	m := f.methods[name]
	if m == nil {
		return answer{Error: clnio.Errorf(clnio.CodeMethodNotFound, "unknown command '%s'", clnio.CleanLine(shorten(name)))}
	}
	if _, wrong := mend(rest, m.params); wrong != nil {
		return answer{Error: wrong}
	}
	raw, _ = json.Marshal(map[string]string{"command_to_check": name}) // a string: cannot fail
	return answer{Result: raw}
}

// checkedCommand splits the params of `check` into the command's name and the command's own params.
func checkedCommand(raw json.RawMessage) (name string, rest json.RawMessage, wrong *clnio.Error) {
	missing := clnio.Errorf(clnio.CodeInvalidParams, "missing required parameter: command_to_check")
	raw = bytes.TrimSpace(raw)
	if len(raw) > 0 && raw[0] == '[' {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil || len(list) == 0 || json.Unmarshal(list[0], &name) != nil {
			return "", nil, missing
		}
		rest, err := json.Marshal(list[1:])
		if err != nil {
			return "", nil, missing
		}
		return name, rest, nil
	}
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &fields) != nil || json.Unmarshal(fields["command_to_check"], &name) != nil {
		return "", nil, missing
	}
	delete(fields, "command_to_check")
	rest, err := json.Marshal(fields)
	if err != nil {
		return "", nil, missing
	}
	return name, rest, nil
}

// call judges a method's parameters and hands it to the library.
func (f *front) call(ctx context.Context, m clnio.Message) {
	if !f.ready.Load() {
		f.reply(ctx, m.ID, answer{Error: f.notReady()})
		return
	}
	a, wrong := mend(m.Params, f.methods[m.Method].params)
	if wrong != nil {
		f.reply(ctx, m.ID, answer{Error: wrong})
		return
	}
	text, _ := json.Marshal(a) // strings: cannot fail
	id, ok := f.begin(m)
	if !ok {
		f.reply(ctx, m.ID, answer{Error: clnio.Errorf(codeOther, "%d mostro commands are at work already, try again in a moment", maxCalls)})
		return
	}
	if err := f.lib.ask(id, m.Method, map[string]string{"args": string(text), "caller": string(m.ID)}); err != nil {
		f.end(id)
		f.reply(ctx, m.ID, answer{Error: incident(f.log, m.Method, err)})
	}
}

func (f *front) notReady() *clnio.Error {
	if why := f.refused.Load(); why != nil {
		return clnio.Errorf(codeNotReady, "%s", *why)
	}
	return clnio.Errorf(codeNotReady, "mostro is still starting, try again in a moment")
}

// begin gives a request a number of ours; false when too many are at work.
func (f *front) begin(m clnio.Message) (int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pending) >= maxCalls {
		return 0, false
	}
	f.lastID++
	f.pending[f.lastID] = pendingCall{m.ID, m.Method}
	return f.lastID, true
}

func (f *front) end(id int64) (pendingCall, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.pending[id]
	delete(f.pending, id)
	return p, ok
}

// answered takes one reply of the library.
func (f *front) answered(ctx context.Context, m clnio.Message) {
	var id int64
	if json.Unmarshal(m.ID, &id) != nil {
		f.log.Debug("glightning answered nobody")
		return
	}
	p, ok := f.end(id)
	if !ok {
		f.log.Debug("glightning answered twice")
		return
	}
	if p.method == "init" {
		f.initAnswered(ctx, p, m)
		return
	}
	var a answer
	switch {
	case m.Error != nil:
		a.Error = incident(f.log, p.method, m.Error)
	case json.Unmarshal(m.Result, &a) != nil || len(a.Result) == 0 && a.Error == nil:
		a = answer{Error: incident(f.log, p.method, errors.New("glightning lost the result"))}
	}
	f.reply(ctx, p.id, a)
}
