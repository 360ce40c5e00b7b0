package lightning

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/internal/simtest"
)

// drifted is an exchange over a simulated node with the real holder, whose loops a test starts and ends, and with whose
// store and node it meddles.
type drifted struct {
	sim
	dir    string
	store  *orders.Store
	engine *orders.Engine
	holder *Escrow
	recon  *Reconciler
	rules  orders.Rules

	later        time.Duration // how far the reconciler's clock is ahead
	maker, taker orders.Sender
	order        orders.OrderID
	stop         context.CancelFunc
	running      sync.WaitGroup
	request      int64
}

// Nobody listens to this exchange.
type noCourier struct{}

func (noCourier) Deliver(context.Context, orders.Letter) error        { return nil }
func (noCourier) Announce(context.Context, orders.Announcement) error { return nil }
func (noCourier) Rate(context.Context, orders.RatingNote) error       { return nil }
func (noCourier) Dispute(context.Context, orders.DisputeNote) error   { return nil }

func newDrifted(t *testing.T) *drifted {
	t.Helper()
	s := startSim(t)
	s.Must("sim-wallet-new", []any{"seller", "1000000sat"}, nil)
	s.Must("sim-wallet-new", []any{"buyer", "0msat"}, nil)
	d := &drifted{sim: s, dir: t.TempDir(), rules: orders.DefaultRules()}
	d.maker, d.taker = person(), person()
	d.open()
	t.Cleanup(d.close)
	return d
}

func person() (p orders.Sender) {
	rand.Read(p.Trade[:])
	rand.Read(p.Identity[:])
	p.Way = orders.Direct
	return p
}

func (d *drifted) path() string { return filepath.Join(d.dir, "mostro.db") }

// open opens the store; nothing is carried out before run.
func (d *drifted) open() {
	d.T.Helper()
	log := slog.New(slog.DiscardHandler)
	var err error
	if d.store, err = orders.Open(d.path(), [32]byte{1}, time.Second); err != nil {
		d.T.Fatal(err)
	}
	if d.engine, err = orders.NewEngine(d.store, d.rules, log); err != nil {
		d.T.Fatal(err)
	}
	d.holder = d.escrow()
	n := d.client()
	info, err := n.GetInfo(d.T.Context())
	if err != nil {
		d.T.Fatal(err)
	}
	pays := NewPayer(n, log, ParseVersion(info.Version), "s", time.Now)
	d.recon = NewReconciler(d.engine, d.holder, pays, log, func() time.Time { return time.Now().Add(d.later) }, newSeed)
}

// run starts the outbox and the watch.
func (d *drifted) run() {
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.running.Go(func() {
		_ = d.engine.Dispatch(ctx, orders.Ports{
			Escrow: d.holder, Payer: d.recon.payer, Courier: noCourier{}, Now: d.recon.now, NewSeed: newSeed,
		})
	})
	d.running.Go(func() { _ = d.holder.Watch(ctx, EngineBook{d.engine, time.Now, newSeed}) })
}

// close ends the loops and closes the store.
func (d *drifted) close() {
	if d.stop != nil {
		d.stop()
		d.running.Wait()
		d.stop = nil
	}
	d.engine.Close()
	d.store.Close()
}

// says has a party send a message.
func (d *drifted) says(who orders.Sender, act orders.Act) orders.OrderID {
	d.T.Helper()
	d.request++
	request, index := uint64(d.request), d.request
	out, err := d.engine.Do(d.T.Context(), orders.Input{
		ID: newSeed(), At: time.Now().Unix(), Seed: newSeed(), Act: act, From: who, Order: d.order, Request: &request, Index: &index,
	})
	if err != nil || out.Reason != "" {
		d.T.Fatalf("%s: %v, %s", act.On(), err, out.Reason)
	}
	return out.Order
}

func (d *drifted) story() orders.Story {
	d.T.Helper()
	s, ok, err := d.engine.Story(d.order)
	if err != nil || !ok {
		d.T.Fatalf("order %s: %v, %v", d.order, ok, err)
	}
	return s
}

func (d *drifted) await(want orders.Status) {
	d.T.Helper()
	if !simtest.Eventually(d.T, func() bool { return d.story().Order.Status == want }) {
		d.T.Fatalf("the order is %s, want %s", d.story().Order.Status, want)
	}
}

// trade brings a sale as far as the escrow.
func (d *drifted) trade() {
	d.T.Helper()
	d.run()
	d.order = d.says(d.maker, orders.NewOrder{Terms: orders.Terms{Kind: orders.Sell, Amount: 10_000, FiatCode: "EUR", FiatAmount: 10, PaymentMethod: "SEPA"}})
	o, _, err := d.engine.Order(d.order)
	if err != nil {
		d.T.Fatal(err)
	}
	var made struct {
		Bolt11 string `json:"bolt11"`
	}
	d.Must("sim-wallet-invoice", map[string]any{"wallet": "buyer", "amount_msat": o.PaidOut().Msats(), "label": "payout", "expiry": 7 * 86400}, &made)
	n := d.client()
	self, err := n.GetInfo(d.T.Context())
	if err != nil {
		d.T.Fatal(err)
	}
	inv, err := n.DecodePayout(d.T.Context(), self, made.Bolt11)
	if err != nil || inv.Problem != "" {
		d.T.Fatalf("%+v, %v", inv, err)
	}
	d.says(d.taker, orders.TakeSell{Invoice: &inv})
	if !simtest.Eventually(d.T, func() bool { return d.story().Hold.State == orders.HoldOpen }) {
		d.T.Fatal("no hold invoice")
	}
	d.Pay("seller", d.story().Hold.Bolt11, 2)
	if !simtest.Eventually(d.T, func() bool {
		d.holder.Poke(d.story().Hold.Hash)
		return d.story().Order.Status == orders.Active
	}) {
		d.T.Fatal("the escrow is never locked")
	}
}

// lose deletes the outbox rows of a kind from the file, as no part of the exchange does.
func (d *drifted) lose(kind string) {
	d.T.Helper()
	db, err := bbolt.Open(d.path(), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		d.T.Fatal(err)
	}
	defer db.Close()
	lost := 0
	err = db.Update(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte("outbox")).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			var row struct {
				Kind string `json:"kind"`
			}
			if err := json.Unmarshal(v, &row); err != nil {
				return err
			}
			if row.Kind == kind {
				lost++
				if err := c.Delete(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil || lost != 1 {
		d.T.Fatalf("%d rows lost, %v", lost, err)
	}
}

// finds has the reconciler look, and wants one finding.
func (d *drifted) finds(repair bool, do remedy, alarm bool) Found {
	d.T.Helper()
	all, looked, err := d.recon.Pass(d.T.Context(), repair)
	if err != nil || looked == 0 || len(all) != 1 {
		d.T.Fatalf("found %+v in %d holds, %v", all, looked, err)
	}
	f := all[0]
	if f.Do != do || f.Alarm != alarm || f.Err != nil || f.Done != (repair && do != leave && !f.Waits) {
		d.T.Fatalf("found %+v", f)
	}
	return f
}

func (d *drifted) findsNothing() {
	d.T.Helper()
	if all, _, err := d.recon.Pass(d.T.Context(), false); err != nil || len(all) != 0 {
		d.T.Errorf("found %+v, %v", all, err)
	}
}

// A release whose row is deleted would wait for ever. It is found, and a dry run leaves it alone.
func TestSimReconcileFindsWhatNobodyOwes(t *testing.T) {
	d := newDrifted(t)
	d.trade()
	d.says(d.taker, orders.SendFiat{})
	d.findsNothing()
	d.close()
	d.open()
	d.says(d.maker, orders.Release{})
	d.findsNothing() // the settle is owed
	d.later = overdue
	d.finds(true, leave, true) // and late
	d.later = 0
	d.close()
	d.lose("settle-hold")
	d.open()
	d.run()
	if f := d.finds(false, oweAgain, false); f.Order != d.order {
		t.Errorf("found %+v", f)
	}
	if s := d.story(); s.Order.Status != orders.Settling {
		t.Errorf("a dry run has changed the order: %s", s.Order.Status)
	}
	d.finds(true, oweAgain, false)
	d.await(orders.Success)
	d.findsNothing()
	d.Must("sim-audit", nil, nil)
}

// The operator cancels an escrow at the holder, behind the exchange's back.
func TestSimReconcileHearsOfACancelByHand(t *testing.T) {
	d := newDrifted(t)
	d.trade()
	hash := d.story().Hold.Hash
	d.close() // or the watch would be faster
	d.open()
	d.Must("holdinvoicecancel", map[string]any{"payment_hash": hash}, nil)
	if f := d.finds(false, lookNow, true); f.Hash != hash {
		t.Errorf("found %+v", f)
	}
	d.run()
	d.await(orders.Canceled)
	d.findsNothing()
	d.Must("sim-audit", nil, nil)
}

// The operator pays the buyer by hand, between two attempts of the exchange.
func TestSimReconcileHearsOfAPayoutByHand(t *testing.T) {
	d := newDrifted(t)
	d.trade()
	invoice := d.story().Order.Payout
	d.Must("sim-pay-script", map[string]any{"match": invoice.Hash.String(), "mode": "fail", "code": 205, "times": 1}, nil)
	d.says(d.taker, orders.SendFiat{})
	d.says(d.maker, orders.Release{})
	if !simtest.Eventually(t, func() bool { return d.story().Order.Payout.Attempts == 1 }) {
		t.Fatal("the first attempt does not fail")
	}
	d.findsNothing()
	d.Must("xpay", map[string]any{"invstring": invoice.Invoice}, nil)
	d.finds(true, tellEngine, false)
	d.await(orders.Success)
	d.findsNothing()
	d.Must("sim-audit", nil, nil)
}

// A payment that is in flight and lost its row is not made twice, whatever became of it.
func TestSimReconcileOfAPayoutInFlight(t *testing.T) {
	d := newDrifted(t)
	d.trade()
	invoice := d.story().Order.Payout
	d.Must("sim-pay-script", map[string]any{"match": invoice.Hash.String(), "mode": "hold"}, nil)
	d.says(d.taker, orders.SendFiat{})
	d.says(d.maker, orders.Release{})
	if !simtest.Eventually(t, func() bool {
		r, err := d.recon.payer.Ask(t.Context(), invoice.Hash)
		return err == nil && r.State == orders.PayUnknown
	}) {
		t.Fatal("no part is under way")
	}
	d.close()
	d.lose("pay")
	d.open()
	d.finds(true, oweAgain, false)
	d.findsNothing()
	d.Must("sim-pay-release", map[string]any{"payment_hash": invoice.Hash.String(), "outcome": "complete"}, nil)
	d.later = time.Duration(d.recon.payer.Patience()+1) * time.Second
	d.run()
	d.await(orders.Success)
	d.Must("sim-audit", nil, nil)
}

// Holds that bear the exchange's label and are not in its store: one that nobody has paid goes at once, a paid one when
// the operator has had time to see the alarm.
func TestSimReconcileCancelsStrangers(t *testing.T) {
	d := newDrifted(t)
	for label, paid := range map[string]bool{"mostro/by-hand": false, "mostro/paid": true, "shop/1": true} {
		var made holdMade
		d.Must("holdinvoice", map[string]any{"amount_msat": 1000_000, "label": label, "description": "x", "cltv": 200}, &made)
		if paid {
			d.Pay("seller", made.Bolt11, 1)
		}
		want := stateOpen
		if paid {
			want = stateAccepted
		}
		if !simtest.Eventually(t, func() bool {
			s, err := d.holder.plugin.lookup(t.Context(), made.PaymentHash)
			return err == nil && s.State == want
		}) {
			t.Fatalf("%s is never %s", label, want)
		}
	}
	all, _, err := d.recon.Pass(t.Context(), true)
	if err != nil || len(all) != 2 {
		t.Fatalf("found %+v, %v", all, err)
	}
	for _, f := range all {
		if f.Do != cancelAgain || !f.Alarm || f.Done == f.Waits || !f.Order.IsZero() || f.Err != nil {
			t.Errorf("found %+v", f)
		}
	}
	if f := d.finds(true, cancelAgain, true); !f.Waits {
		t.Errorf("found %+v", f)
	}
	d.later = overdue
	d.finds(true, cancelAgain, true)
	if all, looked, err := d.recon.Pass(t.Context(), false); err != nil || len(all) != 0 || looked != 0 {
		t.Errorf("found %+v in %d, %v", all, looked, err)
	}
	d.Must("sim-audit", nil, nil)
}

func newSeed() (s orders.Seed) {
	rand.Read(s[:])
	return s
}
