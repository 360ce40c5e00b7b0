//go:build failpoints

package main

import (
	"encoding/json"
	"io"

	"github.com/mostro-cln/mostro/orders/failpoint"
)

// marked puts a point on both sides of every message to the node: answers to hooks, answers to commands, notifications.
func marked(out io.Writer) io.Writer { return markedPipe{out} }

type markedPipe struct{ io.Writer }

func (p markedPipe) Write(b []byte) (int, error) {
	what, which := message(b)
	if what == "" {
		return p.Writer.Write(b)
	}
	failpoint.Hit("before", what, which)
	defer failpoint.Hit("after", what, which)
	return p.Writer.Write(b)
}

// message says what a message is, and nothing of one that only goes to the log.
func message(b []byte) (what, which string) {
	var m struct {
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
		Error  json.RawMessage `json:"error"`
		Result json.RawMessage `json:"result"`
	}
	if json.Unmarshal(b, &m) != nil || m.Method == "log" {
		return "", ""
	}
	var note struct {
		State struct {
			State string `json:"state"`
		} `json:"holdinvoice_state"`
	}
	var hook struct {
		Result string `json:"result"`
	}
	switch {
	case m.Method != "":
		_ = json.Unmarshal(m.Params, &note) // one without a state has none
		return "tell", m.Method + " " + note.State.State
	case len(m.Error) > 0:
		return "reply", "error"
	case json.Unmarshal(m.Result, &hook) == nil && hook.Result != "":
		return "answer", hook.Result
	}
	return "reply", "result"
}
