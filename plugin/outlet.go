package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// outlet is the only way to lightningd: one goroutine writes what others queue.
//
// Its queue is bounded. When it is full, because lightningd does not read, replies wait, and so does who gives them;
// log lines and our own notifications are dropped and counted, since nobody may have to wait for a log.
type outlet struct {
	queue   chan clnio.Message
	dropped atomic.Int64
	stop    chan struct{} // closed by close: write what is queued, then end
	ended   chan struct{} // closed when the writer is gone
	once    sync.Once
	err     error // why the writer ended; read it after ended
}

const outletSize = 1024

func newOutlet(w io.Writer) *outlet {
	o := &outlet{queue: make(chan clnio.Message, outletSize), stop: make(chan struct{}), ended: make(chan struct{})}
	go o.run(clnio.NewWriter(w))
	return o
}

// run ends with close, or with the first write that fails: lightningd is gone then.
func (o *outlet) run(w *clnio.Writer) {
	defer close(o.ended)
	for {
		select {
		case m := <-o.queue:
			if o.err = o.write(w, m); o.err != nil {
				return
			}
		case <-o.stop:
			for {
				select {
				case m := <-o.queue:
					if o.err = o.write(w, m); o.err != nil {
						return
					}
				default:
					return
				}
			}
		}
	}
}

func (o *outlet) write(w *clnio.Writer, m clnio.Message) error {
	if n := o.dropped.Swap(0); n > 0 {
		line := fmt.Sprintf("%d lines dropped: lightningd did not read them in time", n)
		if err := w.Write(logMessage("warn", line)); err != nil {
			return err
		}
	}
	return w.Write(m)
}

// reply queues an answer and waits for room. It gives up when the writer is gone or ctx ends.
func (o *outlet) reply(ctx context.Context, m clnio.Message) {
	select {
	case o.queue <- m:
	case <-o.ended:
	case <-ctx.Done():
	}
}

// notify queues a notification if there is room.
func (o *outlet) notify(topic string, params any) {
	raw, err := plainJSON(params)
	if err != nil {
		o.log("error", "notification "+topic+" not sent: "+err.Error())
		return
	}
	o.offer(clnio.Message{Method: topic, Params: raw})
}

// plainJSON leaves < > & as they are: lightningd compares the ids in progress notifications byte by byte.
func plainJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// log is a logSink.
func (o *outlet) log(level, line string) { o.offer(logMessage(level, line)) }

func (o *outlet) offer(m clnio.Message) {
	select {
	case o.queue <- m:
	default:
		o.dropped.Add(1)
	}
}

// close writes what is queued and ends the writer; it waits for that until ctx ends.
func (o *outlet) close(ctx context.Context) {
	o.once.Do(func() { close(o.stop) })
	select {
	case <-o.ended:
	case <-ctx.Done():
	}
}

func logMessage(level, line string) clnio.Message {
	raw, _ := json.Marshal(map[string]string{"level": level, "message": line}) // two strings: cannot fail
	return clnio.Message{Method: "log", Params: raw}
}
