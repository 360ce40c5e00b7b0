package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// payoutList is the result of mostro-listpayouts.
type payoutList struct {
	Payouts []payoutLine `json:"payouts" about:"the page"`
	Next    string       `json:"next_before,omitempty" about:"for the next page; absent on the last one"`
}

type payoutLine struct {
	Order     string       `json:"order_id" about:"the order's id"`
	Status    string       `json:"status" about:"owed or paid"`
	Amount    orders.Msats `json:"amount_msat" about:"what the buyer gets"`
	Hash      string       `json:"payment_hash,omitempty" about:"of the invoice; absent while his address was not asked for one"`
	SettledAt int64        `json:"settled_at" about:"since when it is his"`
	PaidAt    int64        `json:"paid_at,omitempty" about:"when it reached him"`
	Attempts  int          `json:"attempts" about:"that have failed"`
	InFlight  bool         `json:"in_flight" about:"an attempt is owed or under way"`
	NextAt    int64        `json:"next_at,omitempty" about:"when the next attempt is due"`
	Given     bool         `json:"invoice_given" about:"false: the buyer has to give an invoice first"`
}

func listPayouts(_ context.Context, m market, r request) (payoutList, error) {
	q := orders.PayoutQuery{Paid: r.text("status", "owed") == "paid", Period: r.period(r.now)}
	q.Limit, q.Cursor = r.page()
	page, next, err := m.Exchange().Payouts(q)
	if err != nil {
		return payoutList{}, fmt.Errorf("list payouts: %w", err)
	}
	list := payoutList{Payouts: make([]payoutLine, len(page)), Next: hexCursor(next)}
	for i, p := range page {
		row := payoutLine{
			Order: p.Order.String(), Status: "owed", Amount: p.Amount, SettledAt: p.Since, PaidAt: p.PaidAt,
			Attempts: p.Payout.Attempts, InFlight: p.Payout.InFlight, NextAt: p.Payout.NextAt, Given: p.Payout.Given(),
		}
		hash := p.Payout.Hash
		if q.Paid {
			row.Status, hash, row.Given = "paid", p.Hash, true
		}
		if !hash.IsZero() {
			row.Hash = hash.String()
		}
		list.Payouts[i] = row
	}
	return list, nil
}

// figures is the result of mostro-stats.
type figures struct {
	Since    int64          `json:"since" about:"from then on, unix seconds"`
	Until    int64          `json:"until" about:"before that"`
	Made     int            `json:"orders_made" about:"put on the book"`
	Ended    map[string]int `json:"orders_ended" about:"status → how many came to their end"`
	Locked   int            `json:"escrows_locked" about:"in the period"`
	Trades   int            `json:"trades" about:"that ended well"`
	Volume   []volume       `json:"volume" about:"of these, by currency"`
	Amount   orders.Msats   `json:"amount_msat" about:"of these, without fees"`
	Fees     orders.Msats   `json:"fees_msat" about:"kept, routing not yet subtracted"`
	Routing  orders.Msats   `json:"routing_msat" about:"what paying the buyers has cost"`
	Earned   orders.Msats   `json:"earned_msat" about:"fees less routing"`
	Disputes int            `json:"disputes" about:"opened"`
	Rate     string         `json:"dispute_rate" about:"disputes by escrows locked, as a fraction; 0 without any"`
	Payouts  delays         `json:"release_to_payout_seconds" about:"how long buyers waited for their sats after the release"`
}

type volume struct {
	Currency string       `json:"currency" about:"code"`
	Trades   int          `json:"trades" about:"that ended well"`
	Fiat     int64        `json:"fiat_amount" about:"in whole units of the currency"`
	Amount   orders.Msats `json:"amount_msat" about:"without fees"`
}

type delays struct {
	Count   int   `json:"count" about:"trades that were measured"`
	Median  int64 `json:"median" about:"half of them took no longer"`
	P90     int64 `json:"p90" about:"nine of ten took no longer"`
	Longest int64 `json:"max" about:"the longest"`
}

// statsDays is the period of mostro-stats if none is given.
const statsDays = 30

func stats(_ context.Context, m market, r request) (figures, error) {
	p := r.period(r.now)
	if _, given := r.args["since"]; !given {
		p.Since = max(r.now.AddDate(0, 0, -statsDays).Unix(), 0)
	}
	if p.Until == 0 {
		p.Until = r.now.Unix() + 1
	}
	s, err := m.Exchange().Stats(p)
	if err != nil {
		return figures{}, fmt.Errorf("compute figures: %w", err)
	}
	f := figures{
		Since: p.Since, Until: p.Until, Made: s.Made, Ended: map[string]int{}, Locked: s.Locked, Trades: s.Ended[orders.Success],
		Volume: []volume{}, Fees: s.Money[orders.Kept], Routing: s.Money[orders.Routed], Disputes: s.Disputes, Rate: "0",
		Payouts: delays(s.Payouts),
	}
	f.Earned = f.Fees - f.Routing
	for status, n := range s.Ended {
		f.Ended[string(status)] = n
	}
	for _, code := range slices.Sorted(maps.Keys(s.Trades)) {
		v := s.Trades[code]
		f.Volume = append(f.Volume, volume{code, v.Trades, v.Fiat, v.Amount.Msats()})
		f.Amount += v.Amount.Msats()
	}
	if s.Locked > 0 {
		f.Rate = orders.PPM(int64(s.Disputes) * 1_000_000 / int64(s.Locked)).Decimal()
	}
	return f, nil
}

// ledgerPage is the result of mostro-ledger.
type ledgerPage struct {
	Entries []ledgerLine `json:"entries" about:"the page, as JSON"`
	CSV     string       `json:"csv,omitempty" about:"the page as text, with a line of names on the first page"`
	Next    string       `json:"next_after,omitempty" about:"for the next page; absent on the last one"`
}

type ledgerLine struct {
	entryRow
	Order      string `json:"order_id" about:"the order's id"`
	Kind       string `json:"kind" about:"of the order: buy or sell"`
	FiatCode   string `json:"fiat_code" about:"of the order"`
	FiatAmount int64  `json:"fiat_amount" about:"of the order"`
}

func ledger(_ context.Context, m market, r request) (p ledgerPage, err error) {
	p.Entries = []ledgerLine{}
	q := orders.LedgerQuery{Period: r.period(r.now)}
	q.Limit, _ = r.page()
	q.After = r.cursor("after")
	page, next, err := m.Exchange().Ledger(q)
	if err != nil {
		return p, fmt.Errorf("read the ledger: %w", err)
	}
	p.Next = hexCursor(next)
	if r.text("format", "json") == "csv" {
		p.CSV, err = ledgerCSV(page, q.After == nil)
		return p, err
	}
	p.Entries = make([]ledgerLine, len(page))
	for i, e := range page {
		p.Entries[i] = ledgerLine{
			entryRow{e.At, string(e.What), e.Msats, e.Hash.String()}, e.Order.String(), string(e.Kind), e.Fiat.Code, e.Fiat.Amount,
		}
	}
	return p, nil
}

// ledgerCSV writes rows as RFC 4180 has it.
func ledgerCSV(rows []orders.LedgerRow, named bool) (string, error) {
	var b strings.Builder
	w := csv.NewWriter(&b)
	if named {
		_ = w.Write([]string{"time", "what", "amount_msat", "order_id", "kind", "fiat_code", "fiat_amount", "payment_hash"}) // Error below
	}
	for _, e := range rows {
		_ = w.Write([]string{
			time.Unix(e.At, 0).UTC().Format(time.RFC3339), string(e.What), strconv.FormatInt(int64(e.Msats), 10), e.Order.String(), string(e.Kind),
			noFormula(e.Fiat.Code), strconv.FormatInt(e.Fiat.Amount, 10), e.Hash.String(),
		})
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return "", fmt.Errorf("write CSV: %w", err)
	}
	return b.String(), nil
}

// noFormula keeps a stranger's text from being a formula in somebody's spreadsheet.
func noFormula(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// auditPage is the result of mostro-audit.
type auditPage struct {
	Records []auditRow `json:"records" about:"the page"`
	Next    uint64     `json:"next_before,omitempty" about:"for the next page; absent on the last one"`
}

type auditRow struct {
	Number  uint64 `json:"number" about:"rising, without a gap"`
	At      int64  `json:"at" about:"when"`
	Role    string `json:"role" about:"operator, admin or solver"`
	Key     string `json:"key,omitempty" about:"identity of an admin or solver"`
	Name    string `json:"name,omitempty" about:"of an operator: the way by which he came, and who he said he is"`
	What    string `json:"what" about:"the act"`
	Order   string `json:"order_id,omitempty" about:"on which order"`
	Dispute string `json:"dispute_id,omitempty" about:"on which dispute"`
	Subject string `json:"subject,omitempty" about:"on which user or solver"`
	Detail  string `json:"detail,omitempty" about:"note, reason or value"`
	Refused string `json:"refused,omitempty" about:"why it was not done; absent: it was"`
}

func audit(_ context.Context, m market, r request) (auditPage, error) {
	limit := int(r.count("limit", defaultListed))
	q := orders.RecordQuery{Subject: r.key("key"), What: r.text("what", ""), Before: r.count("before", 0), Limit: limit}
	if _, ok := r.args["order_id"]; ok {
		q.Order = r.order("order_id")
	}
	page, next, err := m.Exchange().Records(q)
	if err != nil {
		return auditPage{}, fmt.Errorf("read the audit: %w", err)
	}
	list := auditPage{Records: make([]auditRow, len(page)), Next: next}
	for i := range page {
		list.Records[i] = newAuditRow(&page[i])
	}
	return list, nil
}

func newAuditRow(r *orders.Record) auditRow {
	row := auditRow{
		Number: r.Number, At: r.At, Role: string(r.By.Role), Name: r.By.Name, What: r.What, Detail: r.Detail, Refused: string(r.Refused),
	}
	if !r.By.Key.IsZero() {
		row.Key = r.By.Key.String()
	}
	if !r.Order.IsZero() {
		row.Order = r.Order.String()
	}
	if !r.Dispute.IsZero() {
		row.Dispute = r.Dispute.String()
	}
	if !r.Subject.IsZero() {
		row.Subject = r.Subject.String()
	}
	return row
}
