package orders

import (
	"context"
	"encoding/json"
	"fmt"
)

// Record is one row of the audit: who did what for the server, and when. Rows are never changed.
type Record struct {
	Number  uint64    `json:"-"` // key, rising
	At      int64     `json:"at"`
	By      Actor     `json:"by"`
	What    string    `json:"what"` // an On, or a word of the caller of Record
	Order   OrderID   `json:"order,omitzero"`
	Dispute DisputeID `json:"dispute,omitzero"`
	Subject PubKey    `json:"subject,omitzero"` // the user or solver that it is about
	Detail  string    `json:"detail,omitempty"`
	Refused Reason    `json:"refused,omitempty"` // empty: it was done
}

// recordAct notes what an official asked for and what became of it. Strangers are not noted: they could fill the disk.
func (s *step) recordAct(refused Reason) {
	if s.actor.Role == "" {
		return
	}
	r := Record{At: s.in.At, By: s.actor, What: string(s.in.Act.On()), Order: s.o.ID, Refused: refused}
	if r.Order.IsZero() {
		r.Order = s.in.Order
	}
	if d := s.o.Dispute; d != nil {
		r.Dispute = d.ID
	}
	switch a := s.in.Act.(type) {
	case AddSolver:
		r.Order, r.Subject, r.Detail = OrderID{}, a.Key, string(a.Level)
	case AdminSettle:
		r.Detail = a.Note
	case AdminCancel:
		r.Detail = a.Note
	case AdminTake:
		if r.Dispute.IsZero() {
			r.Dispute = a.Dispute
		}
	}
	s.records = append(s.records, r)
}

func (t *tx) addRecord(r Record) {
	b := t.b.Bucket(auditBucket)
	b.FillPercent = appended
	n, err := b.NextSequence()
	if err != nil {
		panic(fault{fmt.Errorf("store audit: %w", err)})
	}
	t.put(auditBucket, number(n), r)
}

// Record appends a row to the audit, for acts that the engine does not know.
func (e *Engine) Record(ctx context.Context, r Record) error {
	return e.submit(ctx, "audit", func(t *tx) (after, error) {
		t.addRecord(r)
		return after{}, nil
	})
}

// RecordQuery chooses rows for Records. Zero values choose all.
type RecordQuery struct {
	Order   OrderID
	Subject PubKey // or the key of who did it
	What    string
	Before  uint64 // number of the last row of the page before; 0 starts at the newest
	Limit   int    // at least 1
}

func (q *RecordQuery) takes(r *Record) bool {
	return (q.Order.IsZero() || q.Order == r.Order) && (q.What == "" || q.What == r.What) &&
		(q.Subject.IsZero() || q.Subject == r.Subject || q.Subject == r.By.Key)
}

// Records returns rows of the audit from the newest to the oldest, and the number for the next page, 0 at the end.
func (e *Engine) Records(q RecordQuery) (page []Record, next uint64, err error) {
	err = e.read(func(t *tx) {
		c := t.b.Bucket(auditBucket).Cursor()
		k, v := c.Last()
		if q.Before != 0 {
			if k, _ = c.Seek(number(q.Before)); k == nil {
				k, v = c.Last()
			} else {
				k, v = c.Prev()
			}
		}
		for ; k != nil && len(page) < max(q.Limit, 1); k, v = c.Prev() {
			r := Record{}
			if err := json.Unmarshal(v, &r); err != nil {
				panic(fault{fmt.Errorf("read audit %x: %w", k, err)})
			}
			r.Number = uint64(timeOf(k))
			next = r.Number
			if q.takes(&r) {
				page = append(page, r)
			}
		}
		if k == nil {
			next = 0
		}
	})
	return page, next, err
}
