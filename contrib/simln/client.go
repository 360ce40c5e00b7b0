package simln

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

type jsonText = json.RawMessage

// RPCError is an error that a command answered with.
type RPCError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

func (e *RPCError) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

// Call asks the node through its socket, as any client does. Params is a slice, a map or nil; out may be nil.
// An *RPCError is the command's own answer; any other error leaves open what happened.
func (n *Node) Call(ctx context.Context, method string, params, out any) error {
	return Call(ctx, n.RPCPath(), method, params, out)
}

// Call is one request on a connection of its own to any lightning-rpc socket.
func Call(ctx context.Context, socket, method string, params, out any) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", socket, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	defer stop()
	if params == nil {
		params = []any{}
	}
	request, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": "simln:" + method, "method": method, "params": params})
	if err != nil {
		return fmt.Errorf("encode %s: %w", method, err)
	}
	if _, err := conn.Write(append(request, "\n\n"...)); err != nil {
		return fmt.Errorf("send %s: %w", method, err)
	}
	var reply struct {
		Result json.RawMessage `json:"result"`
		Error  *RPCError       `json:"error"`
	}
	if err := json.NewDecoder(conn).Decode(&reply); err != nil {
		return fmt.Errorf("read the answer to %s: %w", method, err)
	}
	if reply.Error != nil {
		return reply.Error
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(reply.Result, out); err != nil {
		return fmt.Errorf("decode the answer to %s: %w", method, err)
	}
	return nil
}
