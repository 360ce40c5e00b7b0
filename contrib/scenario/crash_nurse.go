package scenario

import (
	"context"
	"fmt"
	"time"
)

// nurse brings back what a failpoint has killed, as an operator or his service manager would.
type nurse struct {
	w      *World
	points *Failpoints
	cared  int // orders that were obeyed and are dealt with
}

// nursed does something while the nurse watches. The nurse's trouble is an error of its own.
func (w *World) nursed(ctx context.Context, points *Failpoints, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	n := &nurse{w: w, points: points}
	watch, stop := context.WithCancel(ctx)
	over := make(chan error, 1)
	go func() {
		err := n.run(watch)
		if err != nil {
			cancel(err)
		}
		over <- err
	}()
	err := do(ctx)
	stop()
	if nerr := <-over; nerr != nil {
		return fmt.Errorf("what was killed does not come back: %w", nerr)
	}
	return err
}

// run looks until ctx ends. Nothing tells us that a process of somebody else has died, so it looks often.
func (n *nurse) run(ctx context.Context) error {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		// What has begun is brought to its end also where the story is over.
		if err := n.look(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
}

// comeBack is more than a node takes for its start.
const comeBack = 90 * time.Second

func (n *nurse) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, comeBack)
	defer cancel()
	hurt, err := n.bury(ctx)
	if err != nil || !hurt {
		return err
	}
	return until(ctx, "the exchange is back", func() (bool, error) {
		if _, err := n.bury(ctx); err != nil { // another one died of the start
			return false, err
		}
		return n.revive(ctx)
	})
}

// bury waits until the dead are seen to be dead: the node knows of its plugin's end, or is at its own. The node itself it
// kills where that was ordered.
func (n *nurse) bury(ctx context.Context) (hurt bool, err error) {
	done, err := n.points.Done()
	if err != nil || len(done) <= n.cared {
		return false, err
	}
	for _, v := range done[n.cared:] {
		n.cared++
		n.w.say("fate", "%s", v)
		if v.Deed == KillNode {
			if err := n.cut(ctx); err != nil {
				return true, err
			}
			continue
		}
		err := until(ctx, "the node has seen the end of "+v.Program(), func() (bool, error) {
			if !n.w.Node.Alive() {
				return true, nil
			}
			if v.Program() != "mostro" {
				return false, nil // the holder is an important plugin: lightningd goes down with it
			}
			there, err := hasPlugin(ctx, n.w.Node, v.Program())
			return err == nil && !there, err
		})
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

// cut ends the node with the plugin that waits at a point. Where there are real processes, that one would stay too long
// if it were left to go by itself.
func (n *nurse) cut(ctx context.Context) error {
	if node, ok := n.w.Node.(interface{ Cut(context.Context) error }); ok {
		return node.Cut(ctx)
	}
	return n.w.Node.Kill(ctx)
}

// startTry bounds one attempt, which may be in vain: a plugin can die of its start.
const startTry = 30 * time.Second

func (n *nurse) revive(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, startTry)
	defer cancel()
	if !n.w.Node.Alive() {
		if err := n.w.Node.Start(ctx); err != nil {
			return false, err
		}
	}
	there, err := hasPlugin(ctx, n.w.Node, "mostro")
	if err != nil {
		return false, err
	}
	if !there {
		if err := n.w.Node.StartExchange(ctx); err != nil {
			return false, err
		}
	}
	var info Info
	err = n.w.Node.Call(ctx, "mostro-info", nil, &info)
	return info.Open, err
}
