package hold

import (
	"encoding/json"
	"fmt"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// The four answers to htlc_accepted that exist here. The node stops itself on an answer
// that it does not understand, on an error, and on a "fail" without a message, so nothing
// else may ever be built. CLN docs, "htlc_accepted".

var replyContinue = json.RawMessage(`{"result":"continue"}`)

// replyUnknownDetails refuses for good: incorrect_or_unknown_payment_details (BOLT 4).
func replyUnknownDetails(amount Msat, height Height) json.RawMessage {
	return fmt.Appendf(nil, `{"result":"fail","failure_message":"400f%016x%08x"}`, uint64(amount), uint32(height))
}

// replyTryLater refuses with a code that carries no data and that a payer may retry.
func replyTryLater(code failCode) json.RawMessage {
	return fmt.Appendf(nil, `{"result":"fail","failure_message":"%04x"}`, uint16(code))
}

// replyResolve claims the part. It gives the preimage away.
func replyResolve(p Preimage) json.RawMessage {
	return json.RawMessage(`{"result":"resolve","payment_key":"` + p.Hex() + `"}`)
}

// failCode is a BOLT 4 failure code without data.
type failCode uint16

const (
	mppTimeout           failCode = 0x0017
	temporaryNodeFailure failCode = 0x2002
)

// Outlet takes messages to the node: clnio.Message with ID and Result, the answer to a hook
// call, or with Method Topic and Params, the notification of a change of state. An error
// means that the node is gone.
type Outlet interface{ Write(v any) error }

// answer sends a reply. A write fails only when the node is gone, and then there is nobody to
// tell: the process ends with its input, and the node replays what it holds.
func answer(out Outlet, id, result json.RawMessage) {
	_ = out.Write(clnio.Message{ID: id, Result: result})
}
