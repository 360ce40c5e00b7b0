package clnio

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Codes of JSON-RPC 2.0 that this side of the wire gives or hears.
const (
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603

	// CodePluginTerminated and CodeShuttingDown come from the node in place of a plugin
	// that is gone, or when the node stops: the command may or may not have run.
	CodePluginTerminated = -4
	CodeShuttingDown     = -5
)

// Message is any JSON-RPC 2.0 message: a request has ID and Method, a notification only
// Method, a reply ID and either Result or Error. Empty fields are left out on the wire;
// "jsonrpc":"2.0" is always written, since the node kills a plugin that forgets it.
type Message struct {
	ID     json.RawMessage `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// MarshalJSON writes the message with its version first. HTML characters stay as they are.
func (m Message) MarshalJSON() ([]byte, error) {
	type fields Message
	return marshal(struct {
		Version string `json:"jsonrpc"`
		fields
	}{"2.0", fields(m)})
}

// IsRequest says that an answer is owed.
func (m *Message) IsRequest() bool { return m.Method != "" && len(m.ID) > 0 }

// IsNotification says that no answer is owed, and none is allowed.
func (m *Message) IsNotification() bool { return m.Method != "" && len(m.ID) == 0 }

// Error is the error member of a reply. Message is a sentence for people, Code is for
// programs, Data is whatever the other side adds.
type Error struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

// Errorf makes an [*Error] with a formatted message.
func Errorf(code int, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// marshal is json.Marshal without the escapes for HTML: an id that holds '<' must go back
// byte for byte, or the node never finds the request that it belongs to.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decode is json.Unmarshal that keeps numbers as they were written when they land in an
// interface: group ids and amounts exceed 2^53.
func decode(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	return dec.Decode(v)
}
