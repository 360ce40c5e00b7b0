package main

import "encoding/json"

// subscriptions are the notifications that wake us. They are hints: none survives a restart, so every loop polls too.
var subscriptions = []string{
	"block_added",
	"channel_state_changed",
	"holdinvoice_state", // of the holdinvoice plugin in contrib
	"invoice_payment",
	"sendpay_failure",
	"sendpay_success",
	"shutdown",
}

// hookInvoicePayment is the one hook that we have; the front answers it by itself, always with "continue". We have no
// htlc_accepted hook on purpose: a plugin with that hook cannot be restarted while the node runs.
const hookInvoicePayment = "invoice_payment"

type manifest struct {
	Options       []manifestOption `json:"options"`
	Methods       []manifestMethod `json:"rpcmethods"`
	Subscriptions []string         `json:"subscriptions"`
	Hooks         []manifestHook   `json:"hooks"`
	Notifications []manifestTopic  `json:"notifications"`
	Dynamic       bool             `json:"dynamic"`
	NonNumericIDs bool             `json:"nonnumericids"`
	CanCheck      bool             `json:"cancheck"`
}

type manifestOption struct {
	Name        string  `json:"name"`
	Type        string  `json:"type"`
	Default     *string `json:"default,omitempty"`
	Description string  `json:"description"`
}

type manifestMethod struct {
	Name        string `json:"name"`
	Usage       string `json:"usage"`
	Description string `json:"description"`
	Category    string `json:"category"`
}

type manifestHook struct {
	Name string `json:"name"`
}

type manifestTopic struct {
	Method string `json:"method"`
}

// newManifest is the answer to getmanifest. It depends on our tables alone, touches no file, and its order is stable.
func newManifest(methods []*method) (json.RawMessage, error) {
	m := manifest{
		Subscriptions: subscriptions,
		Hooks:         []manifestHook{{hookInvoicePayment}},
		Dynamic:       true,
		NonNumericIDs: true,
		CanCheck:      true,
	}
	for _, o := range options {
		row := manifestOption{Name: o.name, Type: "string", Description: o.about}
		if o.value != "" {
			row.Default = &o.value
		}
		m.Options = append(m.Options, row)
	}
	for _, t := range topics {
		m.Notifications = append(m.Notifications, manifestTopic{t.name})
	}
	for _, r := range methods {
		m.Methods = append(m.Methods, manifestMethod{Name: r.name, Usage: usage(r.params), Description: r.about, Category: "mostro"})
	}
	return json.Marshal(m)
}
