package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mostro-cln/mostro/nostrio"
	"github.com/mostro-cln/mostro/orders"
	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/lightning"
	"github.com/mostro-cln/mostro/plugin/prices"
)

// diagnosis is the result of mostro-doctor.
type diagnosis struct {
	Healthy  bool      `json:"healthy" about:"there is no problem and no warning"`
	Findings []finding `json:"findings" about:"the worst first"`
}

type finding struct {
	Level  level  `json:"level" about:"problem: trades suffer; warning: they may; note: worth knowing"`
	Area   string `json:"area" about:"what it is about"`
	What   string `json:"finding" about:"in words"`
	Remedy string `json:"remedy" about:"what to do"`
}

// level says how bad a finding is.
type level string

const (
	problem level = "problem"
	warning level = "warning"
	note    level = "note"
)

var levels = []level{problem, warning, note}

func doctor(ctx context.Context, m market, _ request) (diagnosis, error) { return m.Doctor(ctx) }

// vitals is what the doctor has measured. Judging it is another matter, and needs neither node nor network.
type vitals struct {
	now   time.Time
	rules orders.Rules
	base  orders.Rules // as the options have them
	set   orders.Settings
	c     *Config

	node      lightning.Info
	nodeErr   error
	hold      lightning.HoldKind
	holdErr   error
	readyErr  error
	guard     bool
	important bool // the hold plugin's death ends the node, which then starts again
	pluginErr error
	capacity  lightning.Capacity
	capErr    error
	cleaner   lightning.Cleaner
	cleanErr  error

	relays     []nostrio.RelayStatus
	sources    []prices.SourceStatus
	currencies int
	skew       time.Duration // our clock less that of others
	skewOf     int           // how many others
	free       int64         // bytes on the disk of the database; -1: not known
	full       string        // why nothing new is begun for want of room
	file       int64         // bytes of the database
	backupAt   time.Time     // zero: there is none
	backupErr  error

	trades  troubled
	solvers int
}

// troubled are trades that need a person, or more time than they should.
type troubled struct {
	frozen, settling, unpaid, undecided []orders.OrderID
	more                                bool // than were looked at
}

// Doctor implements market.
func (h *house) Doctor(ctx context.Context) (diagnosis, error) {
	v, err := h.examine(ctx)
	if err != nil {
		return diagnosis{}, err
	}
	return diagnose(v), nil
}

// examine measures. What cannot be measured is a finding; only a fault of the store is an error.
func (h *house) examine(ctx context.Context) (v vitals, err error) {
	v = vitals{now: time.Now(), rules: h.Rules(), c: &h.config, relays: h.pool.Status(), sources: h.book.Status()}
	v.set, v.base = h.Settings()
	v.currencies = len(h.book.Available(v.now))
	v.node, v.nodeErr = h.node.GetInfo(ctx)
	v.hold, v.holdErr = h.escrow.Kind(ctx)
	v.readyErr = h.escrow.Ready()
	v.guard, v.important, v.pluginErr = h.holders(ctx)
	v.capacity, v.capErr = h.node.Capacity(ctx)
	v.cleaner, v.cleanErr = h.node.Cleaner(ctx)
	v.skew, v.skewOf = h.clocks.skew()
	if v.free, err = freeSpace(h.config.DataDir); err != nil {
		v.free = -1
	}
	v.full = h.disk.Full()
	if v.file, err = h.store.Size(); err != nil {
		return v, err
	}
	var times []int64
	if times, v.backupErr = h.copies.list(); len(times) > 0 {
		v.backupAt = time.Unix(times[len(times)-1], 0)
	}
	solvers, err := h.Solvers()
	if err != nil {
		return v, err
	}
	v.solvers = len(solvers)
	v.trades, err = troubledTrades(h.Engine, v.now.Unix())
	return v, err
}

// holders looks for the guard behind the holder.
func (h *house) holders(ctx context.Context) (guard, important bool, err error) {
	plugins, err := h.node.ListPlugins(ctx)
	for _, p := range plugins {
		guard = guard || strings.HasSuffix(p.Name, "holdinvoice-guard") && p.Active
	}
	if err != nil {
		return false, false, err
	}
	important, err = h.node.IsImportant(ctx, "holdinvoice")
	return guard, important, err
}

// How long a trade may stay so before it is worth a word, seconds.
const (
	settlingLate  = 600
	unpaidLate    = 3600
	undecidedLate = 24 * 3600
)

// lookAtMost bounds the open orders that the doctor reads, of each status.
const lookAtMost = 1000

func troubledTrades(e *orders.Engine, now int64) (t troubled, err error) {
	late := func(s orders.Status, list *[]orders.OrderID, after int64) error {
		page, next, err := e.Orders(orders.Query{Status: s, Open: true, Limit: lookAtMost})
		for _, o := range page {
			if now-o.UpdatedAt >= after {
				*list = append(*list, o.ID)
			}
		}
		t.more = t.more || next != nil
		return err
	}
	err = errors.Join(
		late(orders.Frozen, &t.frozen, 0), late(orders.Settling, &t.settling, settlingLate),
		late(orders.SettledHoldInvoice, &t.unpaid, unpaidLate), late(orders.InDispute, &t.undecided, undecidedLate),
	)
	if err != nil {
		return t, fmt.Errorf("look for trades that need somebody: %w", err)
	}
	return t, nil
}

// diagnose judges what was measured.
func diagnose(v vitals) diagnosis {
	d := diagnosis{Findings: []finding{}}
	for _, judge := range judges {
		d.Findings = append(d.Findings, judge(&v)...)
	}
	slices.SortStableFunc(d.Findings, func(a, b finding) int { return slices.Index(levels, a.Level) - slices.Index(levels, b.Level) })
	d.Healthy = !slices.ContainsFunc(d.Findings, func(f finding) bool { return f.Level != note })
	for i := range d.Findings {
		d.Findings[i].What = clnio.CleanLine(d.Findings[i].What)
	}
	return d
}

// clocks remembers what the web says of the time, by host.
type clocks struct {
	mu    sync.Mutex
	ahead map[string]time.Duration // our clock less theirs
}

// maxClocks bounds the hosts; they are the operator's own price sources.
const maxClocks = 64

func (c *clocks) note(host string, at time.Time) {
	ahead := time.Since(at)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead == nil {
		c.ahead = map[string]time.Duration{}
	}
	if _, known := c.ahead[host]; known || len(c.ahead) < maxClocks {
		c.ahead[host] = ahead
	}
}

// skew is the median of all, and how many there are.
func (c *clocks) skew() (time.Duration, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []time.Duration
	for _, d := range c.ahead {
		all = append(all, d)
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], len(all)
}
