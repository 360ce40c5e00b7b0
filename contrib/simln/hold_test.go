package simln_test

import (
	"fmt"
	"testing"
)

var fail400f = map[string]any{"result": "fail", "failure_message": "400f"}

func resolve(preimage string) map[string]any {
	return map[string]any{"result": "resolve", "payment_key": preimage}
}

func TestHeldHTLCIsPaidByResolveAndRefusedByFail(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	w := start(t, holder.spec())
	i := w.holdInvoice(50_000_000)
	w.pay(i, map[string]any{"parts": 2})
	first, second := holder.next("htlc_accepted"), holder.next("htlc_accepted")
	if a := w.audit(); a.Locked != 50_000_000 || a.Wallets["seller"].Available != 950_000_000 {
		t.Fatalf("while held: %+v", a)
	}
	if field(first, "onion", "payment_secret") != i.Secret || field(second, "htlc", "payment_hash") != i.Hash {
		t.Fatalf("hook shows %s", first.Params)
	}
	if w.paymentStatus(i) != "pending" {
		t.Fatal("not pending while held")
	}
	holder.answer(first, resolve(testPreimage))
	holder.answer(second, resolve(testPreimage))
	if p := w.outcome(i); p.Status != "complete" || p.Preimage != testPreimage {
		t.Fatalf("after resolve: %+v", p)
	}
	if a := w.audit(); a.Node != 10_050_000_000 || a.Locked != 0 {
		t.Fatalf("after resolve: %+v", a)
	}
	w.pay(i, nil)
	holder.answer(holder.next("htlc_accepted"), fail400f)
	if p := w.outcome(i); p.Status != "failed" || p.Code != 203 {
		t.Fatalf("after fail: %+v", p)
	}
	if a := w.audit(); a.Wallets["seller"].Available != 950_000_000 {
		t.Fatalf("after fail: %+v", a)
	}
}

func TestReplayAfterKillAndAfterStop(t *testing.T) {
	for _, how := range []string{"kill", "stop"} {
		t.Run(how, func(t *testing.T) {
			holder := newFake(t, "holder", "htlc_accepted")
			holder.manifest["subscriptions"] = []string{"shutdown", "block_added"}
			w := start(t, holder.spec())
			i := w.holdInvoice(50_000_000)
			w.pay(i, nil)
			first := holder.next("htlc_accepted")
			if how == "kill" {
				w.Kill()
			} else {
				w.Stop()
			}
			w = w.again(nil)
			second := <-holder.calls
			if second.Method != "htlc_accepted" {
				t.Fatalf("before the replay came %s", second.Method)
			}
			if string(second.ID) == string(first.ID) {
				t.Error("the replay has the old id")
			}
			before, after := field(first, "htlc", "cltv_expiry_relative"), field(second, "htlc", "cltv_expiry_relative")
			if fmt.Sprint(before) != "47" || fmt.Sprint(after) != "77" {
				t.Errorf("cltv_expiry_relative %v, at the replay %v; want 47 and 77", before, after)
			}
			for range 30 {
				holder.next("block_added")
			}
			holder.answer(second, resolve(testPreimage))
			if p := w.outcome(i); p.Status != "complete" {
				t.Fatalf("after the replay: %+v", p)
			}
			w.audit()
		})
	}
}
