package trader

import (
	"errors"
	"testing"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
)

var dispute1 = orders.DisputeID{0xe1, 0xa2, 6: 0x4f, 8: 0x81}

func TestASolverWorksUnderItsIdentityKey(t *testing.T) {
	for _, way := range []orders.Way{orders.GiftWrap, orders.Direct} {
		srv := listen(t)
		m := newMostro(t, srv.URL)
		m.speak(way)
		tr := open1(t, m, nil, srv.URL)
		office := tr.Office()
		answer := func(want nostrio.Action, a nostrio.Action, p nostrio.Payload) func() {
			return func() {
				r := m.next(want)
				if r.Sender != tr.Identity() || r.Identity != tr.Identity() || r.Message.Wrapper != nostrio.WrapDispute {
					t.Errorf("%s by %s in %s, want the identity key and a dispute", want, r.Sender, r.Message.Wrapper)
				}
				if err := r.Message.CheckShape(); err != nil {
					t.Error(err)
				}
				m.reply(r, a, p)
			}
		}
		err := during(t, func() error { return office.AddSolver(within(t), tr.Identity(), orders.LevelRead) },
			answer(nostrio.ActAdminAddSolver, nostrio.ActAdminAddSolver, nil))
		if err != nil {
			t.Error(err)
		}
		info := nostrio.SolverDisputeInfo{ID: nostrio.UUID(order1), Kind: "sell", Status: "dispute", OrderPreviousStatus: "active"}
		var got nostrio.SolverDisputeInfo
		err = during(t, func() (err error) { got, err = office.Take(within(t), dispute1); return err },
			answer(nostrio.ActAdminTakeDispute, nostrio.ActAdminTookDispute, nostrio.Dispute{ID: nostrio.UUID(dispute1), Info: &info}))
		if err != nil || got.ID != info.ID {
			t.Errorf("took %v: %v", got, err)
		}
		err = during(t, func() error { return office.Settle(within(t), order1) }, answer(nostrio.ActAdminSettle, nostrio.ActAdminSettled, nil))
		if err != nil {
			t.Error(err)
		}
		err = during(t, func() error { return office.Cancel(within(t), order1) },
			answer(nostrio.ActAdminCancel, nostrio.ActCantDo, nostrio.CantDo{Reason: "not_authorized"}))
		if !errors.Is(err, orders.NotAuthorized) {
			t.Errorf("a refused verdict: %v", err)
		}
		m.tell(tr.Identity(), way, order1, nostrio.ActSendDM, nostrio.TextMessage("Dispute waits."))
		if msg, err := office.Expect(within(t), nostrio.ActSendDM); err != nil || msg.Text() != "Dispute waits." {
			t.Errorf("heard %q: %v", msg.Text(), err)
		}
	}
}

func TestTheDocketShowsTheNewestOfEachDispute(t *testing.T) {
	srv := listen(t)
	m := newMostro(t, srv.URL)
	tr := open1(t, m, nil, srv.URL)
	other := orders.DisputeID{1}
	publish := func(id orders.DisputeID, s orders.DisputeState, at int64) {
		m.publish(nostrio.DisputeEvent{ID: id, Status: s, Initiator: orders.Buyer, OpenedAt: 1000, Expiration: at + 1000, CreatedAt: at}.Event(m.key))
	}
	now := time.Now().Unix()
	publish(dispute1, orders.DisputeInitiated, now-5)
	publish(other, orders.DisputeInitiated, now-4)
	d, err := tr.Docket(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if open := d.Open(); len(open) != 2 || open[0].ID != other || open[1].Initiator != orders.Buyer || open[1].OpenedAt != 1000 {
		t.Errorf("open: %+v", open)
	}
	publish(other, orders.DisputeSettled, now)
	if err := d.Await(within(t), other, orders.DisputeSettled); err != nil {
		t.Fatal(err)
	}
	if open := d.Open(); len(open) != 1 || open[0].ID != dispute1 {
		t.Errorf("open: %+v", open)
	}
}

func TestADisputeEventThatMakesNoSenseIsDropped(t *testing.T) {
	for name, tags := range map[string]nostr.Tags{
		"no id": {{"s", "initiated"}}, "an id that is none": {{"d", "x"}}, "a time that is none": {{"d", dispute1.String()}, {"created_at", "now"}},
	} {
		if c, err := parseDispute(nostr.Event{Tags: tags}); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
