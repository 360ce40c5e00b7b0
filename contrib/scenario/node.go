package scenario

import (
	"context"

	"github.com/mostro-cln/mostro/orders"
)

// Node is a Lightning node that runs our plugins. What is said of a plugin by name holds for its process.
type Node interface {
	// Call is a call of the node's RPC, as lightning-cli makes it.
	Call(ctx context.Context, method string, params, result any) error
	// Wallet makes another person's wallet with so many sats that it can pay to our node. A wallet that exists is
	// returned as it is.
	Wallet(ctx context.Context, name string, sats orders.Sats) (Wallet, error)
	// Mine adds blocks to the chain and waits until the node has seen them.
	Mine(ctx context.Context, blocks int) error
	// Kill ends lightningd and the plugins as a power cut would.
	Kill(ctx context.Context) error
	// Stop ends lightningd as its operator does.
	Stop(ctx context.Context) error
	// Start runs lightningd again, with all plugins.
	Start(ctx context.Context) error
	// KillPlugin ends one plugin's process by SIGKILL: "mostro", "holdinvoice" or "holdinvoice-guard".
	KillPlugin(ctx context.Context, name string) error
	// StartExchange runs the exchange's plugin again on the running node, StopExchange ends it in an orderly way.
	StartExchange(ctx context.Context) error
	StopExchange(ctx context.Context) error
	// Alive reports whether lightningd runs.
	Alive() bool
	// Close ends everything.
	Close()
}

// Wallet is a Lightning wallet of somebody else.
type Wallet interface {
	// Invoice asks for a payment.
	Invoice(ctx context.Context, amount orders.Sats, label string) (bolt11 string, err error)
	// Offer is a BOLT 12 offer that any amount can be paid to.
	Offer(ctx context.Context, label string) (bolt12 string, err error)
	// Pay begins to pay an invoice and returns; a hold invoice stays pending for long.
	Pay(ctx context.Context, bolt11 string) error
	// Forge begins to pay an invoice with a fault that only the receiver can see.
	Forge(ctx context.Context, bolt11 string, f Fault) error
	// Payment says how a payment that was begun does.
	Payment(ctx context.Context, bolt11 string) (PaymentState, error)
	// Balance is what the wallet can spend, and what is locked in payments that hang. The sum of both is its own.
	Balance(ctx context.Context) (spendable, locked orders.Msats, err error)
}

// PaymentState is how a payment does.
type PaymentState string

// The states of a payment.
const (
	PaymentPending  PaymentState = "pending"
	PaymentComplete PaymentState = "complete"
	PaymentFailed   PaymentState = "failed"
)

// Fault is what a malicious payer does to the HTLCs of a hold invoice.
type Fault string

// The faults.
const (
	WrongSecret  Fault = "wrong payment secret"
	WrongTotal   Fault = "inflated total" // three times the amount; up to twice it could be a payment in parts
	WrongNextHop Fault = "bogus next hop"
)
