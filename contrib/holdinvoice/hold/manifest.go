package hold

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// manifest is the answer to getmanifest. CLN docs, "A day in the life of a plugin".
type manifest struct {
	Options       []option       `json:"options"`
	Methods       []manifestCall `json:"rpcmethods"`
	Subscriptions []string       `json:"subscriptions"`
	Hooks         []manifestHook `json:"hooks"`
	Topics        []manifestNote `json:"notifications,omitempty"`
	Dynamic       bool           `json:"dynamic"` // false: a plugin that can be stopped gives its holds away
	NonNumericIDs bool           `json:"nonnumericids"`
	CanCheck      bool           `json:"cancheck"`
}

type option struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Default     int    `json:"default"`
	Description string `json:"description"`
}

type manifestCall struct {
	Name        string `json:"name"`
	Usage       string `json:"usage"`
	Description string `json:"description"`
}

type manifestHook struct {
	Name   string   `json:"name"`
	Before []string `json:"before,omitempty"`
	After  []string `json:"after,omitempty"`
}

type manifestNote struct {
	Method string `json:"method"`
}

// calls lists methods for the manifest.
func calls(methods []method) (list []manifestCall) {
	for _, m := range methods {
		list = append(list, manifestCall{m.name, m.usage(), m.about})
	}
	return list
}

// initParams are the params of init that we look at.
type initParams struct {
	Options map[string]json.RawMessage `json:"options"`
	Config  struct {
		Dir     string `json:"lightning-dir"`
		RPCFile string `json:"rpc-file"`
		Startup bool   `json:"startup"` // false: the node was running already
		Network string `json:"network"`
	} `json:"configuration"`
}

const (
	optSettleMin = "holdinvoice-settle-min-blocks"
	optCancelAt  = "holdinvoice-cancel-blocks"
	optKeep      = "holdinvoice-keep-days"
)

// Floors are the limits on a network where blocks cost money. A settle needs the blocks in
// which our node would force the channel closed, 17 by default, and some to spare; a cancel
// must reach the peer before it goes to the chain.
var Floors = Limits{SettleMin: 24, CancelAt: 20}

// holderOptions are the options of the holder.
func holderOptions() []option {
	return []option{
		{optSettleMin, "int", int(Floors.SettleMin), "Fewest blocks before its expiry at which a held payment may be settled"},
		{optCancelAt, "int", int(Floors.CancelAt), "Blocks before its expiry at which a held payment that nobody settled is given back"},
		{optKeep, "int", int(KeepRecords / day), "Days after its end for which a hold invoice is kept whole; then how it ended is all that stays"},
	}
}

// readLimits takes the limits from the options. A value that is not safe is mended and
// complained of, never refused: a holder that does not start gives every hold away.
func (p *initParams) readLimits() (l Limits, complaints []string) {
	test := p.Config.Network == "regtest"
	read := func(name string, floor, lowest Height) Height {
		if !test {
			lowest = floor
		}
		n, complaint := p.readInt(name, int64(floor), int64(lowest), 1000)
		complaints = append(complaints, complaint...)
		return Height(n)
	}
	l.SettleMin = read(optSettleMin, Floors.SettleMin, 2)
	l.CancelAt = read(optCancelAt, Floors.CancelAt, 1)
	if l.CancelAt >= l.SettleMin {
		complaints = append(complaints, fmt.Sprintf("%s=%d is not below %s=%d, using %d", optCancelAt, l.CancelAt, optSettleMin, l.SettleMin, l.SettleMin-1))
		l.CancelAt = l.SettleMin - 1
	}
	return l, complaints
}

const day = 24 * time.Hour

// readKeep takes the time for which ended invoices are kept, and mends it likewise.
func (p *initParams) readKeep() (time.Duration, []string) {
	days, complaints := p.readInt(optKeep, int64(KeepRecords/day), 1, 10_000)
	return time.Duration(days) * day, complaints
}

// readInt reads an option as the node sends it, a number or a string. One that is not
// between low and high is as good as not given, with a complaint.
func (p *initParams) readInt(name string, otherwise, low, high int64) (int64, []string) {
	raw, given := p.Options[name]
	if !given {
		return otherwise, nil
	}
	var n int64
	if err := json.Unmarshal(raw, &n); err != nil {
		if _, err := fmt.Sscan(strings.Trim(string(raw), `"`), &n); err != nil {
			n = -1
		}
	}
	if n < low || n > high {
		return otherwise, []string{fmt.Sprintf("%s=%s is not between %d and %d, using %d", name, raw, low, high, otherwise)}
	}
	return n, nil
}
