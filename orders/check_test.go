package orders

import (
	"bytes"
	"strings"
	"testing"
)

// A row that is lost, or one too many, in any bucket is found. What cannot be missed from the rest of the store is named.
func TestCheckFindsALostRowInEachBucket(t *testing.T) {
	w := newWorld(t)
	w.newTrade(Sell).to(Success)
	w.newTrade(Buy).to(CoopCanceled)
	w.newTrade(Buy).to(CanceledByAdmin)
	w.newTrade(Sell).to(InDispute)
	w.newTrade(Buy).to(WaitingPayment)
	w.newTrade(Sell).to(WaitingBuyerInvoice)
	w.newTrade(Sell).to(Settling)
	w.deaf = true
	w.newTrade(Sell).open()
	if err := w.store.Check(); err != nil {
		t.Fatal(err)
	}
	deleted := 0
	for _, name := range allBuckets {
		var keys, values [][]byte
		must(t, w.store.view(func(t *tx) error {
			t.each(name, nil, func(k, v []byte) bool {
				keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(v))
				return true
			})
			return nil
		}))
		if string(name) == "solvers" || string(name) == "bans" {
			continue // an operator's words, from which nothing follows
		}
		if len(keys) == 0 {
			t.Errorf("%s is empty: this test says nothing of it", name)
		}
		for i, k := range keys {
			if string(name) == "meta" || string(name) == "outbox" && !bytes.Contains(values[i], []byte("-hold\"")) {
				continue // letters and announcements leave no trace until they are carried out
			}
			must(t, w.store.update(func(t *tx) error { t.drop(name, k); return nil }))
			if err := w.store.Check(); err == nil {
				t.Errorf("%s: the row %x = %s is lost, and nobody sees it", name, k, values[i])
			}
			must(t, w.store.update(func(t *tx) error { t.set(name, k, values[i]); return nil }))
			deleted++
		}
	}
	if err := w.store.Check(); err != nil {
		t.Errorf("with all rows put back: %v", err)
	}
	t.Logf("%d rows were lost and found", deleted)
}

func TestCheckFindsARowTooMany(t *testing.T) {
	w, id, _ := tradeIn(t, FiatSent)
	nobody := OrderID{1}
	hash := Hash{1}
	for _, c := range []struct {
		bucket, key, value []byte
		want               string
	}{
		{openBucket, nobody[:], nil, "open order"},
		{timelineBucket, timeKey(1, nobody[:]), nil, "timeline"},
		{deadlinesBucket, timeKey(1, id[:]), nil, "deadline"},
		{dutiesBucket, join(hash[:], id[:]), nil, "duty"},
		{partiesBucket, join(hash[:], timeKey(1, id[:])), nil, "party"},
		{liveBucket, hash[:], nil, "live hold"},
		{invoicesBucket, hash[:], nobody[:], "payout invoice"},
		{usersBucket, hash[:], []byte("{}"), "user"},
		{historyBucket, join(nobody[:], number(1)), []byte("{}"), "history"},
		{ledgerBucket, join(nobody[:], number(1)), []byte("{}"), "ledger"},
		{ledgerBucket, join(id[:], number(1<<40)), []byte(`{"what":"routed"}`), "not given yet"},
		{outboxBucket, number(1 << 40), []byte(`{"kind":"alert","order":"` + id.String() + `","effect":{"text":"x"}}`), "not given yet"},
		{seenBucket, hash[:], []byte("{}"), "never be forgotten"},
		{seenAgeBucket, timeKey(1, hash[:]), nil, "by their time"},
	} {
		must(t, w.store.update(func(t *tx) error { t.set(c.bucket, c.key, c.value); return nil }))
		if err := w.store.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want something about %q", c.bucket, err, c.want)
		}
		must(t, w.store.update(func(t *tx) error { t.drop(c.bucket, c.key); return nil }))
	}
	must(t, w.store.update(func(t *tx) error { return t.b.Bucket(timelineBucket).SetSequence(7) }))
	if err := w.store.Check(); err == nil || !strings.Contains(err.Error(), "7 orders are counted, there are 1") {
		t.Errorf("a wrong count: %v", err)
	}
	must(t, w.store.update(func(t *tx) error { return t.b.Bucket(timelineBucket).SetSequence(1) }))
}
