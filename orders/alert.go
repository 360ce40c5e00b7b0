package orders

import (
	"context"
	"fmt"
)

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

// copyAlerts owes the admins, as far as they are other people, what the operator's log will say: an alert, and that there
// is a dispute. Whoever runs the exchange may not look at its log for days.
func (s *step) copyAlerts() {
	var texts []string
	for _, w := range s.effects {
		if a, ok := w.effect.(*Alert); ok {
			texts = append(texts, a.Text)
		}
	}
	if d := s.o.Dispute; d != nil && s.moved && s.dispute == "" && len(texts) == 0 {
		texts = append(texts, fmt.Sprintf("order %s: dispute %s was opened by the %s", s.o.ID, d.ID, d.By))
	}
	for _, text := range texts {
		for _, k := range s.rules.Admins {
			if !s.foreign(k) || s.isParty(k) {
				continue
			}
			l := s.letter(Sender{Trade: k, Way: s.adminWay(k)}, SayText)
			l.Order, l.Text = s.o.ID, "Alert: "+text
			s.owe(l)
		}
	}
}

// adminWay is the transport to an admin: that of the dispute that he has taken, else the direct one.
func (s *step) adminWay(k PubKey) Way {
	if d := s.o.Dispute; d != nil && d.Solver == k && d.Way != 0 {
		return d.Way
	}
	return Direct
}

// Alert owes the operator an alert from outside of the life cycle, at a time in unix seconds, with a fresh seed. order is
// zero where it is about none.
func (e *Engine) Alert(ctx context.Context, order OrderID, text string, at int64, seed Seed) error {
	return e.submit(ctx, "alert", func(t *tx) (after, error) {
		in := &Input{At: at, Seed: seed, Order: order}
		s := &step{in: in, rules: e.rules.Load(), o: &Order{ID: order}}
		s.owe(&Alert{Text: text})
		return after{rows: s.saveOwed(t)}, nil
	})
}
