package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
)

// The listener is another plugin of the same node, which subscribes to the exchange's notifications. A program that tells
// stories is its own listener: lightningd runs it under another name.

// listenerName is that name, and that of its command.
const listenerName = "listener-heard"

// IsListener says whether this process was started as the listener.
func IsListener() bool { return filepath.Base(os.Args[0]) == listenerName }

// Listener speaks the plugin protocol until in ends. Its command returns every payload that it has heard, by topic.
func Listener(in io.Reader, out io.Writer) error {
	r, w := clnio.NewReader(in, 16<<20), clnio.NewWriter(out)
	heard := map[string][]json.RawMessage{"mostro_order": {}, "mostro_dispute": {}, "mostro_alert": {}}
	for {
		raw, err := r.Next()
		if err != nil {
			return err
		}
		var m clnio.Message
		if err := json.Unmarshal(raw, &m); err != nil {
			return err
		}
		var answer any
		switch {
		case m.IsNotification():
			if m.Method == "shutdown" {
				return nil
			}
			if _, ours := heard[m.Method]; ours {
				heard[m.Method] = append(heard[m.Method], payload(m))
			}
			continue
		case m.Method == "getmanifest":
			answer = map[string]any{
				"options": []any{}, "hooks": []any{}, "dynamic": true, "subscriptions": []string{"mostro_order", "mostro_dispute", "mostro_alert"},
				"rpcmethods": []any{map[string]string{"name": listenerName, "usage": "", "description": "what was heard"}},
			}
		case m.Method == listenerName:
			answer = heard
		default:
			answer = map[string]any{}
		}
		result, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		if err := w.Write(clnio.Message{ID: m.ID, Result: result}); err != nil {
			return err
		}
	}
}

// payload takes a notification out of what lightningd puts around it, which differs by its version.
func payload(m clnio.Message) json.RawMessage {
	var around map[string]json.RawMessage
	if json.Unmarshal(m.Params, &around) != nil {
		return m.Params
	}
	for _, name := range []string{m.Method, "payload"} {
		if inner, ok := around[name]; ok {
			return inner
		}
	}
	return m.Params
}

// news is what the listener has heard.
type news struct {
	Orders []struct {
		Order  orders.OrderID `json:"order_id"`
		Status orders.Status  `json:"status"`
		Before orders.Status  `json:"old_status"`
	} `json:"mostro_order"`
	Disputes []struct {
		Order orders.OrderID      `json:"order_id"`
		State orders.DisputeState `json:"state"`
	} `json:"mostro_dispute"`
	Alerts []struct {
		Text string `json:"text"`
	} `json:"mostro_alert"`
}

// listen starts the listener on the node, and returns a function that asks what it has heard.
func (w *World) listen(ctx context.Context) (heard func(context.Context) (news, error), stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "listener")
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, listenerName)
	if err = copyProgram(path, self); err == nil {
		err = w.Node.Call(ctx, "plugin", map[string]any{"subcommand": "start", "plugin": path}, nil)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start the listener: %w", err), os.RemoveAll(dir))
	}
	heard = func(ctx context.Context) (n news, err error) {
		err = w.Node.Call(ctx, listenerName, nil, &n)
		return n, err
	}
	stop = func() error {
		err := w.Node.Call(ctx, "plugin", map[string]any{"subcommand": "stop", "plugin": path}, nil)
		return errors.Join(err, os.RemoveAll(dir))
	}
	return heard, stop, nil
}
