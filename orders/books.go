package orders

import "bytes"

// Period is a span of time, unix seconds: from Since on, before Until. An Until of 0 has no end.
type Period struct{ Since, Until int64 }

func (p Period) before(at int64) bool { return at < p.Since }
func (p Period) past(at int64) bool   { return p.Until != 0 && at >= p.Until }

// span walks the rows of an index by time that lie in the period, from the oldest, until fn returns false. Where after
// is not nil it begins behind that key.
func (t *tx) span(bucket []byte, p Period, after []byte, fn func(k []byte) bool) {
	c := t.b.Bucket(bucket).Cursor()
	from := timeKey(p.Since, nil)
	if bytes.Compare(after, from) > 0 {
		from = after
	}
	k, _ := c.Seek(from)
	if after != nil && bytes.Equal(k, after) {
		k, _ = c.Next()
	}
	for ; k != nil && !p.past(timeOf(k)); k, _ = c.Next() {
		if !fn(k) {
			return
		}
	}
}

// back walks the rows of an index by time that lie in the period, from the newest, until fn returns false. Where before
// is not nil it begins in front of that key.
func (t *tx) back(bucket, prefix []byte, p Period, before []byte, fn func(k []byte) bool) {
	c := t.b.Bucket(bucket).Cursor()
	end := before
	if end == nil {
		end = append(bytes.Clone(prefix), bytes.Repeat([]byte{0xff}, 32)...)
		if p.Until != 0 {
			end = join(prefix, timeKey(p.Until, nil))
		}
	}
	k, _ := c.Seek(end)
	if k == nil {
		k, _ = c.Last()
	} else {
		k, _ = c.Prev()
	}
	for ; k != nil && bytes.HasPrefix(k, prefix) && !p.before(timeOf(k[len(prefix):])); k, _ = c.Prev() {
		if !fn(k) {
			return
		}
	}
}

// LedgerRow is a row of the ledger with its order.
type LedgerRow struct {
	Entry
	Order OrderID
	Kind  Kind
	Fiat  Fiat
}

// LedgerQuery chooses rows of the ledger.
type LedgerQuery struct {
	Period
	// After is the cursor of the last row of the page before; nil starts at the oldest.
	After []byte
	Limit int // at least 1
}

// Ledger returns rows of the ledger of all orders from the oldest to the newest, and the cursor for the next page, nil
// at the end.
func (e *Engine) Ledger(q LedgerQuery) (page []LedgerRow, next []byte, err error) {
	err = e.read(func(t *tx) {
		t.span(moneyBucket, q.Period, q.After, func(k []byte) bool {
			if len(page) == max(q.Limit, 1) {
				return false
			}
			page = append(page, t.ledgerRow(k))
			next = append(next[:0], k...)
			return true
		})
		t.span(moneyBucket, q.Period, next, func([]byte) bool {
			q.Limit = -1 // there is more
			return false
		})
	})
	if q.Limit != -1 {
		next = nil
	}
	return page, next, err
}

func (t *tx) ledgerRow(k []byte) LedgerRow {
	r := LedgerRow{Order: OrderID(k[8:24])}
	t.get(ledgerBucket, k[8:], &r.Entry)
	if o, ok := t.order(r.Order); ok {
		r.Kind, r.Fiat = o.Kind, o.Fiat
	}
	return r
}

// PayoutRow is one payout, owed or paid.
type PayoutRow struct {
	Order  OrderID
	Payout Payout
	Amount Msats
	Since  int64 // unix seconds: since when it is owed
	PaidAt int64 // 0: it is owed
	Hash   Hash  // of the payment, where it is paid
}

// PayoutQuery chooses payouts.
type PayoutQuery struct {
	Paid   bool   // those that were paid, from the newest; else those that are owed, by order id
	Period        // of the payment; for paid ones only
	Cursor []byte // of the last payout of the page before
	Limit  int    // at least 1
}

// Payouts returns payouts, and the cursor for the next page, nil at the end. A page may be short, or empty, before the
// end.
func (e *Engine) Payouts(q PayoutQuery) (page []PayoutRow, next []byte, err error) {
	err = e.read(func(t *tx) {
		if q.Paid {
			page, next = t.paidOut(q)
		} else {
			page, next = t.toPayOut(q)
		}
	})
	return page, next, err
}

// maxScan bounds the rows that one page looks at.
const maxScan = 20_000

func (t *tx) paidOut(q PayoutQuery) (page []PayoutRow, next []byte) {
	looked, more := 0, false
	t.back(moneyBucket, nil, q.Period, q.Cursor, func(k []byte) bool {
		if more = len(page) == max(q.Limit, 1) || looked == maxScan; more {
			return false
		}
		looked++
		next = append(next[:0], k...)
		r := t.ledgerRow(k)
		if r.What != Paid {
			return true
		}
		p := PayoutRow{Order: r.Order, Amount: r.Msats, PaidAt: r.At, Hash: r.Hash}
		if o, ok := t.order(r.Order); ok {
			p.Payout, p.Since = o.Payout, t.settledAt(o)
		}
		page = append(page, p)
		return true
	})
	if !more {
		next = nil
	}
	return page, next
}

func (t *tx) toPayOut(q PayoutQuery) (page []PayoutRow, next []byte) {
	looked := 0
	c := t.b.Bucket(openBucket).Cursor()
	k, _ := c.Seek(q.Cursor)
	if q.Cursor != nil && bytes.Equal(k, q.Cursor) {
		k, _ = c.Next()
	}
	for ; k != nil && len(page) < max(q.Limit, 1) && looked < maxScan; k, _ = c.Next() {
		looked++
		next = append(next[:0], k...)
		if o, ok := t.order(OrderID(k)); ok && o.Status == SettledHoldInvoice {
			page = append(page, PayoutRow{Order: o.ID, Payout: o.Payout, Amount: o.PaidOut().Msats(), Since: t.settledAt(o)})
		}
	}
	if k == nil {
		next = nil
	}
	return page, next
}

// settledAt is when the escrow's money became ours to pay out, 0 if it never did.
func (t *tx) settledAt(o *Order) int64 {
	for _, h := range list[Transition](t, historyBucket, o.ID[:]) {
		if h.To == SettledHoldInvoice && h.From != SettledHoldInvoice {
			return h.At
		}
	}
	return 0
}
