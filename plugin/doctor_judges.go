package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

// judges look at one thing each. Each finding says what to do about it.
var judges = []func(*vitals) []finding{
	judgeNode, judgeHolder, judgeChannels, judgeCleaner, judgeRelays, judgePrices, judgeClock, judgeDisk, judgeBackups,
	judgeTrades, judgeSettings, judgeOptions, judgePeople,
}

func one(l level, area, what, remedy string) []finding { return []finding{{l, area, what, remedy}} }

func judgeNode(v *vitals) []finding {
	switch {
	case v.nodeErr != nil:
		return one(problem, "node", "lightningd does not answer: "+v.nodeErr.Error(), "look at its log; the exchange goes on by itself when the node does")
	case !v.node.Synced():
		return one(problem, "node", "it is not in step with the chain: "+strings.TrimSpace(v.node.BitcoindSync+" "+v.node.LightningdSync),
			"wait until bitcoind and lightningd have caught up; no new order is taken until then")
	}
	return nil
}

func judgeHolder(v *vitals) (list []finding) {
	switch {
	case v.holdErr != nil:
		return one(problem, "holder", "no hold invoices can be made: "+v.holdErr.Error(), "add important-plugin=/path/to/holdinvoice and plugin=/path/to/holdinvoice-guard to lightningd's config, and start it again")
	case v.hold == lightning.HoldRust:
		list = one(warning, "holder", "this hold plugin can be cheated by a payer, and settles when it dies", "use the holdinvoice plugin that comes with mostro, with its guard, once no trade is under way (mostro-drain)")
	case v.pluginErr != nil:
		list = one(note, "holder", "the node's plugins could not be listed: "+v.pluginErr.Error(), "ask again")
	case !v.guard:
		list = one(warning, "holder", "no holdinvoice-guard is loaded: if the holdinvoice plugin dies, every locked escrow goes back to its seller", "add plugin=/path/to/holdinvoice-guard behind the holdinvoice plugin in lightningd's config, and start lightningd again")
	case !v.important:
		list = one(warning, "holder", "the holdinvoice plugin is not an important one: if it dies, lightningd goes on without it", "load it with important-plugin= instead of plugin=")
	}
	if v.readyErr != nil && v.node.Synced() && v.nodeErr == nil {
		list = append(list, finding{problem, "holder", "no escrow can be made: " + v.readyErr.Error(), "look at lightningd's log"})
	}
	return list
}

// judgeChannels compares what one trade may need with what the channels can carry.
func judgeChannels(v *vitals) (list []finding) {
	if v.capErr != nil {
		return one(warning, "channels", "they could not be listed: "+v.capErr.Error(), "ask again")
	}
	most := v.rules.MaxOrder
	locked := (most + orders.NewFees(most, v.rules.FeeRate, v.rules.FeePayer).Seller).Msats()
	switch c := v.capacity; {
	case c.Usable == 0:
		return one(problem, "channels", "there is no usable channel: no seller can lock anything, and no buyer can be paid", "open channels, and get some inbound capacity")
	case c.Inbound < locked:
		list = one(warning, "channels", fmt.Sprintf("all channels together can receive %s, the largest order needs %s", c.Inbound, locked), "get inbound capacity, or lower the limit (mostro-setlimits)")
	case c.LargestIn < locked:
		list = one(note, "channels", fmt.Sprintf("no single channel can receive the largest order (%s of %s): wallets that cannot pay in parts cannot lock it", c.LargestIn, locked), "get a larger channel, or lower the limit (mostro-setlimits)")
	}
	if c := v.capacity; c.Usable > 0 && c.Outbound < most.Msats() {
		list = append(list, finding{warning, "channels", fmt.Sprintf("all channels together can send %s, the largest payout is %s; an escrow that is settled adds to it, over the channel by which it came", c.Outbound, most.Msats()), "open channels, or lower the limit (mostro-setlimits)"})
	}
	if v.capacity.Offline > 0 {
		list = append(list, finding{note, "channels", fmt.Sprintf("%d channels have a peer that is not connected", v.capacity.Offline), "look whether these peers come back"})
	}
	return list
}

// recordsFor is how long records of payments are needed: longer than any trade and its repair.
const recordsFor = 30 * 24 * time.Hour

func judgeCleaner(v *vitals) (list []finding) {
	if v.cleanErr != nil {
		return one(note, "autoclean", "its settings could not be read: "+v.cleanErr.Error(), "see to it that it deletes no succeeded payments and no invoices younger than 30 days")
	}
	for _, row := range v.cleaner {
		if row.Age < recordsFor && row.Matters {
			list = append(list, finding{problem, "autoclean", fmt.Sprintf("the node deletes %s after %s: the records that keep a payout from being paid twice, or an escrow from being lost", row.Kind, row.Age), "set autoclean-" + row.Kind + "-age=2592000 or more, or 0 to switch it off"})
		}
	}
	return list
}

func judgeRelays(v *vitals) (list []finding) {
	up := 0
	for _, r := range v.relays {
		switch {
		case !r.Connected:
			why := ""
			if r.LastError != "" {
				why = ": " + r.LastError
			}
			list = append(list, finding{note, "relays", r.URL + " is not connected" + why, "wait, or take another relay (mostro-relays)"})
			continue
		case r.Queued > 100:
			list = append(list, finding{note, "relays", fmt.Sprintf("%s has not taken %d events", r.URL, r.Queued), "look at mostro-relays; it may ask for less, or refuse us"})
		}
		up++
	}
	switch {
	case up == 0:
		list = append(list, finding{problem, "relays", "no relay is connected: nobody can reach the exchange", "look at the network, at the proxy, and at the option mostro-relays"})
	case len(v.relays) == 1:
		list = append(list, finding{warning, "relays", "there is one relay only: when it is down, nobody can reach the exchange", "name more of them in mostro-relays"})
	case up == 1:
		list = append(list, finding{warning, "relays", "one relay only is connected", "look at mostro-relays"})
	}
	return list
}

func judgePrices(v *vitals) (list []finding) {
	working := 0
	for _, s := range v.sources {
		if s.Failures == 0 && !s.Last.IsZero() {
			working++
		} else if s.Problem != nil {
			list = append(list, finding{note, "prices", "source " + s.ID + " does not answer: " + s.Problem.Error(), "wait, or name other sources in mostro-price-sources"})
		}
	}
	switch {
	case len(v.sources) == 0:
		list = append(list, finding{note, "prices", "there is no source of prices: orders at the market price are refused", "name some in mostro-price-sources, if you want such orders"})
	case v.currencies == 0:
		list = append(list, finding{problem, "prices", "no price is fresh: orders at the market price are refused", "look at the network, and at mostro-price-sources"})
	case working == 1 && len(v.sources) > 1:
		list = append(list, finding{warning, "prices", "one source only answers: what it says is believed", "name other sources in mostro-price-sources"})
	}
	return list
}

// How far the clock may be off. Relays refuse events from the future, and clients give up those that are too old.
const (
	clockWarning = 30 * time.Second
	clockProblem = 5 * time.Minute
)

func judgeClock(v *vitals) []finding {
	off := v.skew.Abs()
	if v.skewOf == 0 || off < clockWarning {
		return nil
	}
	l, way := warning, "ahead"
	if off >= clockProblem {
		l = problem
	}
	if v.skew < 0 {
		way = "behind"
	}
	return one(l, "clock", fmt.Sprintf("this machine is %s %s of %d servers on the web", off.Round(time.Second), way, v.skewOf), "let the machine keep its time by NTP; relays and clients refuse messages of another time")
}

func judgeDisk(v *vitals) []finding {
	need := max(10*v.file, 1024*mib)
	switch {
	case v.full != "":
		return one(problem, "disk", "no new order is taken: "+v.full, "make room where mostro-data-dir is; trades under way go on")
	case v.free < 0 || v.free >= need:
		return nil
	case v.free < 2*v.file+64*mib:
		return one(problem, "disk", fmt.Sprintf("%d MiB are free where the database is, which has %d MiB: trades stop when it is full", v.free/mib, v.file/mib), "make room, or move mostro-data-dir")
	}
	return one(warning, "disk", fmt.Sprintf("%d MiB are free where the database is", v.free/mib), "make room, or keep fewer backups there (mostro-backup-keep)")
}

func judgeBackups(v *vitals) []finding {
	every := v.c.BackupEvery
	switch {
	case v.backupErr != nil:
		return one(warning, "backups", v.backupErr.Error(), "look at the directory `backups` in mostro-data-dir")
	case every == 0 && (v.backupAt.IsZero() || v.now.Sub(v.backupAt) > 7*24*time.Hour):
		return one(warning, "backups", "none is made by itself, and there is none of the last week", "call mostro-backup, or set mostro-backup-hours")
	case every > 0 && v.backupAt.IsZero():
		return one(note, "backups", "there is none yet", "the first one is made some moments after the start; else look at the log")
	case every > 0 && v.now.Sub(v.backupAt) > 2*every+time.Hour:
		return one(warning, "backups", fmt.Sprintf("the newest is of %s, and one is due every %s", v.backupAt.UTC().Format(time.DateTime), every), "look at the log why; call mostro-backup")
	}
	return nil
}

func judgeTrades(v *vitals) (list []finding) {
	add := func(ids []orders.OrderID, l level, what, remedy string) {
		if len(ids) == 0 {
			return
		}
		some := make([]string, min(len(ids), 5))
		for i := range some {
			some[i] = ids[i].String()
		}
		more := ""
		if len(ids) > len(some) {
			more = ", …"
		}
		list = append(list, finding{l, "trades", fmt.Sprintf("%d %s: %s%s", len(ids), what, strings.Join(some, ", "), more), remedy})
	}
	add(v.trades.frozen, problem, "trades are frozen, since their escrow was lost after the buyer said that he had paid", "look at the node's books (mostro-showorder), then decide: mostro-settleorder or mostro-cancelorder")
	add(v.trades.settling, problem, "releases are not carried out for more than 10 minutes", "call mostro-reconcile; the log says why the settle fails")
	add(v.trades.unpaid, warning, "buyers wait for their sats for more than an hour", "look at mostro-listpayouts; the buyer may have to give another invoice, or the node needs outbound capacity")
	add(v.trades.undecided, warning, "disputes are undecided for more than a day", "look at mostro-listdisputes, and decide before the escrow ends")
	return list
}

// judgeSettings is about what was changed while the exchange ran.
func judgeSettings(v *vitals) (list []finding) {
	if p := v.set.Pause; p != nil {
		list = one(note, "settings", "the exchange is paused since "+time.Unix(p.At, 0).UTC().Format(time.DateTime)+": new orders and takes are refused", "mostro-resume ends it")
	}
	differs := v.set.FeeRate != nil && v.rules.FeeRate != *v.set.FeeRate || v.set.MinOrder != nil && v.rules.MinOrder != *v.set.MinOrder ||
		v.set.MaxOrder != nil && v.rules.MaxOrder != *v.set.MaxOrder
	if differs {
		list = append(list, finding{warning, "settings", "what was set by mostro-setfee or mostro-setlimits does not go together with the options of this start, and is left out", "set it again, or take it back with `default`"})
	}
	return list
}

// judgeOptions finds options that are each possible and do not go well together.
func judgeOptions(v *vitals) (list []finding) {
	add := func(l level, what, remedy string) { list = append(list, finding{l, "options", what, remedy}) }
	c, r := v.c, v.rules
	if r.RoutingRate > r.FeeRate {
		add(warning, fmt.Sprintf("a payout may cost %s of its amount, the fee is %s: trades may lose money", r.RoutingRate.Decimal(), r.FeeRate.Decimal()), "lower mostro-max-routing-fee, or raise the fee (mostro-setfee)")
	}
	if r.MinOrder < 1000 && r.FeeRate > 0 && r.FeeRate.Of(r.MinOrder) == 0 {
		add(note, fmt.Sprintf("the smallest order of %s pays no fee, since it is less than half a sat", r.MinOrder), "raise the least amount (mostro-setlimits)")
	}
	if c.TradeTime < 2*c.WaitingLife {
		add(warning, "the sats are locked for mostro-trade-hours only, of which mostro-expiration-seconds may take half", "raise mostro-trade-hours, or lower mostro-expiration-seconds")
	}
	if c.InvoiceWindow < c.WaitingLife {
		add(warning, "a buyer's invoice may run out while the seller still has time to pay", "raise mostro-invoice-window-seconds above mostro-expiration-seconds")
	}
	if c.PriceMaxAge < 2*c.PriceInterval && len(c.PriceSources) > 0 {
		add(warning, "prices are too old after one look that failed", "raise mostro-price-max-age-seconds to two or more times mostro-price-interval-seconds")
	}
	if c.PoWFirstContact > 24 {
		add(note, fmt.Sprintf("a first message needs %d bits of work: minutes on a phone", c.PoWFirstContact), "lower mostro-pow-first-contact")
	}
	return list
}

func judgePeople(v *vitals) []finding {
	if v.solvers == 0 && len(v.rules.Admins) <= 1 {
		return one(note, "people", "there is no solver, and nobody hears of disputes and alerts over Nostr: they stand in lightningd's log", "set mostro-admins to your own key, or name solvers (mostro-addsolver)")
	}
	return nil
}
