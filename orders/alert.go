package orders

import "context"

// Bell is an alert as the operator's other programs hear it.
type Bell struct {
	Number uint64 // of the outbox row: the same alert has the same number
	Order  OrderID
	Text   string
}

func (d *dispatcher) alert(r *Row, a *Alert) {
	order := ""
	if !r.Order.IsZero() {
		order = r.Order.String()
	}
	d.e.log.Error("alert", "order", order, "text", a.Text)
	if d.p.Bell != nil {
		d.p.Bell(Bell{r.Number, r.Order, a.Text})
	}
}

// Alert owes the operator an alert from outside of the life cycle. order is zero where it is about none.
func (e *Engine) Alert(ctx context.Context, order OrderID, text string) error {
	return e.submit(ctx, func(t *tx) (after, error) {
		r := &Row{Order: order, Effect: &Alert{Text: text}}
		t.addRow(r)
		return after{rows: []*Row{r}}, nil
	})
}
