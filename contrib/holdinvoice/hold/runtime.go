package hold

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

const (
	// maxMessage bounds one message of the node in bytes; a hook call has some 4 KB.
	maxMessage = 64 << 20
	// maxCommands bounds the commands that run at once; more are refused.
	maxCommands = 64
)

// role is what the binary does on this node.
type role interface {
	manifest() manifest
	methods() []method
	// init gets ready; an error disables the plugin with its text.
	init(ctx context.Context, p initParams) error
	// begin starts what runs besides; after init was answered.
	begin(ctx context.Context)
	// hook takes an htlc_accepted call. It must not block: everyone's payments pass here.
	hook(id, params json.RawMessage)
	// note takes a notification.
	note(topic string, params json.RawMessage)
	// end closes what is open.
	end()
}

// runtime is the plugin's side of the conversation with the node.
type runtime struct {
	in   *clnio.Reader
	out  Outlet
	log  *slog.Logger
	role role

	ready   bool
	early   []clnio.Message // hook calls before init, of a plugin that was started late
	running chan struct{}   // a token for each command that runs
	wg      sync.WaitGroup
}

func newRuntime(in io.Reader, out Outlet, log *slog.Logger, r role) *runtime {
	return &runtime{
		in: clnio.NewReader(in, maxMessage), out: out, log: log, role: r,
		running: make(chan struct{}, maxCommands),
	}
}

// run serves until the node closes our input or says shutdown. Nil means an orderly end.
func (r *runtime) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		r.wg.Wait()
		r.role.end()
	}()
	for {
		raw, err := r.in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read from the node: %w", err)
		}
		var m clnio.Message
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("read from the node: %w", err)
		}
		if m.Method == "shutdown" && m.IsNotification() {
			return nil
		}
		r.serve(ctx, m)
	}
}

// serve takes one message. Hook calls and notifications are handled here and now, in the
// node's order; commands run beside.
func (r *runtime) serve(ctx context.Context, m clnio.Message) {
	switch {
	case m.Method == "htlc_accepted" && m.IsRequest():
		if !r.ready {
			r.early = append(r.early, m)
			return
		}
		r.hook(m)
	case m.Method == "getmanifest" && m.IsRequest():
		r.reply(m.ID, r.role.manifest(), nil)
	case m.Method == "init" && m.IsRequest():
		r.init(ctx, m)
	case m.IsRequest():
		r.command(ctx, m)
	case m.IsNotification() && r.ready:
		r.guarded(m.Method, func() { r.role.note(m.Method, m.Params) })
	}
}

// hook passes a call on. After a panic on the way the call stays unanswered and thus held:
// the role answers the hashes that it does not know before anything can go wrong.
func (r *runtime) hook(m clnio.Message) {
	r.guarded("hook", func() { r.role.hook(m.ID, m.Params) })
}

func (r *runtime) init(ctx context.Context, m clnio.Message) {
	var p initParams
	err := json.Unmarshal(m.Params, &p)
	if err == nil {
		err = r.role.init(ctx, p)
	}
	if err != nil {
		r.log.Error("disabled", "err", err)
		r.reply(m.ID, map[string]string{"disable": err.Error()}, nil)
		return
	}
	r.reply(m.ID, struct{}{}, nil)
	r.ready = true
	r.role.begin(ctx)
	for _, early := range r.early {
		r.hook(early)
	}
	r.early = nil
}

// command runs an RPC command in its own goroutine, which ends with its answer. What there
// is to run is looked up here: init, which changes it, runs in this goroutine too.
func (r *runtime) command(ctx context.Context, m clnio.Message) {
	methods, ready := r.role.methods(), r.ready
	select {
	case r.running <- struct{}{}:
	default:
		r.reply(m.ID, nil, clnio.Errorf(codeBusy, "%d commands are running already, try again", maxCommands))
		return
	}
	r.wg.Go(func() {
		defer func() { <-r.running }()
		result, err := r.execute(ctx, m, methods, ready)
		r.reply(m.ID, result, err)
	})
}

// execute finds, checks and runs a command. A panic is an internal error.
func (r *runtime) execute(ctx context.Context, m clnio.Message, methods []method, ready bool) (result any, err error) {
	defer func() {
		if v := recover(); v != nil {
			incident := rand.Text()[:8]
			r.log.Error("panic in a command", "method", m.Method, "incident", incident, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = clnio.Errorf(clnio.CodeInternal, "internal error, incident %s in the log", incident)
		}
	}()
	if m.Method == "check" {
		return check(m, methods)
	}
	cmd, err := findMethod(methods, m.Method)
	if err != nil {
		return nil, err
	}
	a, err := cmd.parse(m.Params)
	if err != nil {
		return nil, err
	}
	if !ready {
		return nil, clnio.Errorf(codeNotYet, "plugin is not ready yet")
	}
	return cmd.run(ctx, a)
}

func findMethod(methods []method, name string) (*method, error) {
	for i := range methods {
		if methods[i].name == name {
			return &methods[i], nil
		}
	}
	return nil, clnio.Errorf(clnio.CodeMethodNotFound, "Unknown command '%s'", name)
}

// check answers "would these parameters do?" without doing anything.
func check(m clnio.Message, methods []method) (any, error) {
	name, rest, err := splitCheck(m.Params)
	if err != nil {
		return nil, err
	}
	cmd, err := findMethod(methods, name)
	if err != nil {
		return nil, err
	}
	if _, err := cmd.parse(rest); err != nil {
		return nil, err
	}
	return map[string]string{"command_to_check": name}, nil
}

// splitCheck takes the command's name out of the params of check: the first of an array,
// or the member command_to_check of an object.
func splitCheck(params json.RawMessage) (name string, rest json.RawMessage, err error) {
	var list []json.RawMessage
	if json.Unmarshal(params, &list) == nil && len(list) > 0 {
		if json.Unmarshal(list[0], &name) != nil {
			return "", nil, invalid("command_to_check: should be a string")
		}
		return name, marshaled(list[1:]), nil
	}
	var others []byte
	err = eachMember(params, func(key string, raw json.RawMessage) error {
		if key == "command_to_check" {
			if json.Unmarshal(raw, &name) != nil {
				return invalid("command_to_check: should be a string")
			}
			return nil
		}
		if others != nil {
			others = append(others, ',')
		}
		others = fmt.Appendf(others, "%s:%s", marshaled(key), raw)
		return nil
	})
	if err == nil && name == "" {
		err = invalid("missing required parameter: command_to_check")
	}
	return name, fmt.Appendf(nil, "{%s}", others), err
}

// reply answers a command. An error that is not a JSON-RPC one already becomes internal;
// its text names hashes and labels at most.
func (r *runtime) reply(id json.RawMessage, result any, err error) {
	m := clnio.Message{ID: id}
	var refused *clnio.Error
	switch {
	case errors.As(err, &refused):
		m.Error = refused
	case err != nil:
		m.Error = clnio.Errorf(clnio.CodeInternal, "%s", err)
	default:
		raw, err := json.Marshal(result)
		if err != nil {
			m.Error = clnio.Errorf(clnio.CodeInternal, "result cannot be written: %s", err)
			break
		}
		m.Result = raw
	}
	if err := r.out.Write(m); err != nil {
		r.log.Error("node does not read", "err", err)
	}
}

func (r *runtime) guarded(what string, f func()) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("panic, going on", "in", what, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	f()
}
