package hold

import (
	"context"
	"log/slog"
	"math"
	"time"
)

// job is work that comes up again and again: after a pause, or at once when woken.
type job struct {
	name string
	at   time.Duration // of the clock's Elapsed: when it is due; never or over
	wake chan struct{} // capacity one; nil: nobody wakes it
	// run does it once and says how long to pause. A panic is survived, and costs a second.
	run func(ctx context.Context, woken bool) (pause time.Duration)
}

const (
	// never is a job that only runs when it is woken.
	never = time.Duration(math.MaxInt64)
	// over is a job that is done for good.
	over = time.Duration(math.MinInt64)
)

// jobs run side by side, each in a goroutine of its own, or one after the other whenever
// step is called. The work and its order in time are the same either way.
type jobs struct {
	clock Clock
	log   *slog.Logger
	list  []*job
}

// add puts a job in that is due after a pause.
func (js *jobs) add(name string, pause time.Duration, wake chan struct{}, run func(ctx context.Context, woken bool) time.Duration) {
	js.list = append(js.list, &job{name: name, at: js.after(pause), wake: wake, run: run})
}

// after is the moment when a pause that begins now ends.
func (js *jobs) after(pause time.Duration) time.Duration {
	if pause == never || pause == over {
		return pause
	}
	return js.clock.Elapsed() + pause
}

// start runs every job in a goroutine; each ends with ctx or when its work is over.
func (js *jobs) start(ctx context.Context) {
	for _, j := range js.list {
		go js.keepRunning(ctx, j)
	}
}

func (js *jobs) keepRunning(ctx context.Context, j *job) {
	for j.at != over {
		limit := j.at
		if limit != never {
			limit = max(0, j.at-js.clock.Elapsed())
		}
		woken := js.clock.Wait(ctx, j.wake, limit)
		if ctx.Err() != nil {
			return
		}
		js.runOne(ctx, j, woken)
	}
}

// step runs once each job that is due, in the order in which they were added.
func (js *jobs) step(ctx context.Context) {
	for _, j := range js.list {
		woken := false
		if j.at != over {
			select {
			case <-j.wake:
				woken = true
			default:
			}
		}
		if woken || j.at != over && j.at <= js.clock.Elapsed() {
			js.runOne(ctx, j, woken)
		}
	}
}

// due is when step has something to do next, or never.
func (js *jobs) due() time.Duration {
	next := never
	for _, j := range js.list {
		switch {
		case j.at == over:
		case len(j.wake) > 0:
			next = min(next, js.clock.Elapsed())
		default:
			next = min(next, j.at)
		}
	}
	return next
}

// runOne runs a job. Its next time counts from the end of this one.
func (js *jobs) runOne(ctx context.Context, j *job, woken bool) {
	pause := time.Second
	guarded(js.log, j.name, func() { pause = j.run(ctx, woken) })
	j.at = js.after(pause)
}
