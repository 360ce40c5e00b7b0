package sim

import (
	"context"

	"github.com/mostro-cln/mostro/orders"
)

// Dispute implements orders.Courier.
func (c *courier) Dispute(context.Context, orders.DisputeNote) error {
	_, err := c.fares()
	return err
}
