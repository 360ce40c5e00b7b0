package simln_test

import (
	"testing"

	"github.com/mostro-cln/mostro/contrib/simln"
)

type channels struct {
	Channels []struct {
		Scid      string `json:"short_channel_id"`
		State     string
		Connected bool `json:"peer_connected"`
		HTLCs     []struct {
			State, Status string
		}
	}
}

// heldOn gives the state of the only channel with HTLCs, and that of its first HTLC.
func heldOn(w *world) (channel, htlc string) {
	w.t.Helper()
	var l channels
	w.call("listpeerchannels", nil, &l)
	for _, c := range l.Channels {
		if len(c.HTLCs) > 0 {
			return c.State, c.HTLCs[0].State
		}
	}
	return "", ""
}

func TestUnansweredHTLCIsTakenBackOnChainOneBlockAfterItsExpiry(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	holder.manifest["subscriptions"] = []string{"channel_state_changed", "block_added"}
	w := start(t, holder.spec())
	i := w.holdInvoice(1_000_000)
	w.pay(i, map[string]any{"shadow": 0}) // expires at 241
	m := holder.next("htlc_accepted")
	w.Mine(41)
	if channel, _ := heldOn(w); channel != "CHANNELD_NORMAL" {
		t.Fatalf("closed at expiry already: %s", channel)
	}
	w.Mine(1)
	if got := textOf(field(holder.next("channel_state_changed"), "channel_state_changed", "old_state")); got != "CHANNELD_NORMAL" {
		t.Errorf("old state %s", got)
	}
	if channel, htlc := heldOn(w); channel != "ONCHAIN" || htlc != "RCVD_ADD_ACK_REVOCATION" {
		t.Errorf("channel %s, HTLC %s: want a dangling one", channel, htlc)
	}
	if p := w.outcome(i); p.Status != "failed" {
		t.Errorf("payer: %+v", p)
	}
	if a := w.audit(); a.Wallets["seller"].Available != 1_000_000_000 {
		t.Errorf("money: %+v", a)
	}
	w.Mine(100) // the channel is forgotten
	holder.answer(m, fail400f)
	if d := w.waitDeath(); d.Code != 134 {
		t.Errorf("death: %+v", d)
	}
}

func TestLateAnswerBeforeTheChannelIsForgottenIsDropped(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	w := start(t, holder.spec())
	i := w.holdInvoice(1_000_000)
	w.pay(i, map[string]any{"shadow": 0})
	m := holder.next("htlc_accepted")
	w.Mine(50)
	holder.answer(m, resolve(testPreimage))
	holder.silent(w, "htlc_accepted")
	if a := w.audit(); a.Wallets["seller"].Available != 1_000_000_000 {
		t.Errorf("the late resolve took money: %+v", a)
	}
	w.pay(i, nil) // over a new channel
	holder.answer(holder.next("htlc_accepted"), resolve(testPreimage))
	if p := w.outcome(i); p.Status != "complete" {
		t.Errorf("payer: %+v", p)
	}
}

func TestResolvedHTLCOfAnAbsentPeerIsClaimedOnChain(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	w := start(t, holder.spec())
	i := w.holdInvoice(1_000_000)
	w.pay(i, map[string]any{"shadow": 0})
	m := holder.next("htlc_accepted")
	w.call("sim-wallet-connect", []any{"seller", false}, nil)
	holder.answer(m, resolve(testPreimage))
	holder.silent(w, "htlc_accepted")
	if _, htlc := heldOn(w); htlc != "SENT_REMOVE_HTLC" {
		t.Fatalf("state %s", htlc)
	}
	w.Mine(37)
	if channel, _ := heldOn(w); channel != "CHANNELD_NORMAL" {
		t.Fatalf("closed with 4 blocks left: %s", channel)
	}
	w.Mine(1)
	var moves struct {
		Chainmoves []struct {
			Tag    string `json:"primary_tag"`
			Hash   string `json:"payment_hash"`
			Credit int    `json:"credit_msat"`
		}
		Channelmoves []any
	}
	w.call("listchainmoves", nil, &moves)
	if len(moves.Chainmoves) != 1 || moves.Chainmoves[0].Tag != "htlc_fulfill" || moves.Chainmoves[0].Credit != 1_000_000 || moves.Chainmoves[0].Hash != i.Hash {
		t.Errorf("chain moves: %+v", moves)
	}
	w.call("listchannelmoves", nil, &moves)
	if len(moves.Channelmoves) != 0 {
		t.Errorf("channel moves: %+v", moves)
	}
	if a := w.audit(); a.Node != 10_001_000_000 {
		t.Errorf("money: %+v", a)
	}
}

func TestDecisionReachesAPeerThatComesBack(t *testing.T) {
	holder := newFake(t, "holder", "htlc_accepted")
	w := start(t, holder.spec())
	i := w.holdInvoice(1_000_000)
	w.pay(i, nil)
	m := holder.next("htlc_accepted")
	w.call("sim-wallet-connect", []any{"seller", false}, nil)
	holder.answer(m, resolve(testPreimage))
	holder.silent(w, "htlc_accepted")
	w.Kill()
	w = w.again(nil)
	holder.silent(w, "htlc_accepted") // decided: no replay
	if w.paymentStatus(i) != "pending" {
		t.Fatal("the payer heard of it off line")
	}
	w.call("sim-wallet-connect", []any{"seller", true}, nil)
	if p := w.outcome(i); p.Status != "complete" {
		t.Errorf("payer: %+v", p)
	}
}

func TestHeightAndSyncWarningsAfterARestart(t *testing.T) {
	type info struct {
		Height    int    `json:"blockheight"`
		Lightning string `json:"warning_lightningd_sync"`
		Bitcoind  string `json:"warning_bitcoind_sync"`
	}
	blocks := newFake(t, "blocks")
	blocks.manifest["subscriptions"] = []string{"block_added", "shutdown"}
	w := start(t, blocks.spec())
	w.Mine(3)
	w.Stop()
	w = w.again(func(c *simln.Config) { c.OfflineBlocks, c.SyncDelay = 5, 300_000_000 })
	var before, after info
	w.call("getinfo", nil, &before)
	if before.Height != 173 || before.Lightning == "" {
		t.Errorf("right after the start: %+v", before)
	}
	w.call("waitblockheight", []any{208}, nil)
	w.SetBitcoindSync(false)
	w.call("getinfo", nil, &after)
	if after.Height != 208 || after.Lightning != "" || after.Bitcoind == "" {
		t.Errorf("after the sync: %+v", after)
	}
	w.refused(2000, "waitblockheight", []any{300, 0})
	w.SetHeight(206) // a reorganisation
	w.call("getinfo", nil, &after)
	if after.Height != 206 {
		t.Errorf("after the reorganisation: %+v", after)
	}
}

func TestExpiryTooSoonIsRefusedOnlyBelowCLTVFinal(t *testing.T) {
	for blocks, code := range map[uint32]int{31: 0, 32: 203} { // relative expiry 41: 10 and 9 blocks are left
		holder := newFake(t, "holder", "htlc_accepted")
		w := start(t, holder.spec())
		i := w.invoice(1_000_000)
		w.pay(i, map[string]any{"shadow": 0})
		m := holder.next("htlc_accepted")
		w.Mine(blocks)
		holder.answer(m, goOn)
		if p := w.outcome(i); p.Code != code {
			t.Errorf("%d blocks later: %+v", blocks, p)
		}
	}
}

func TestInvoicePaymentHookDecidesTheWholeSet(t *testing.T) {
	for name, c := range map[string]struct {
		answer any
		code   int
	}{
		"continue":          {goOn, 0},
		"reject":            {map[string]any{"result": "reject"}, 203},
		"a failure message": {map[string]any{"failure_message": "2002"}, 209},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFake(t, "watch", "invoice_payment")
			p.manifest["subscriptions"] = []string{"invoice_payment", "invoice_creation", "coin_movement"}
			w := start(t, p.spec())
			i := w.invoice(1_000_000)
			if got := textOf(field(p.next("invoice_creation"), "invoice_creation", "preimage")); got != testPreimage {
				t.Errorf("invoice_creation with preimage %s", got)
			}
			w.pay(i, map[string]any{"parts": 2})
			m := p.next("invoice_payment")
			if textOf(field(m, "payment", "msat")) != "1000000" || textOf(field(m, "payment", "label")) != "hold" {
				t.Errorf("hook: %s", m.Params)
			}
			p.answer(m, c.answer)
			if got := w.outcome(i); got.Code != c.code {
				t.Errorf("payer: %+v", got)
			}
			if c.code == 0 {
				if n := p.next("invoice_payment"); n.ID != nil || textOf(field(n, "invoice_payment", "label")) != "hold" {
					t.Errorf("notification: %s", n.Params)
				}
				if n := p.next("coin_movement"); textOf(field(n, "coin_movement", "credit_msat")) != "500000" {
					t.Errorf("notification: %s", n.Params)
				}
			}
		})
	}
}
