package hold

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// maxLine bounds a log line in bytes.
const maxLine = 8 << 10

// nodeLog is a slog.Handler that speaks Core Lightning's "log" notification.
type nodeLog struct {
	out  Outlet
	with string
}

// newLog returns a logger that writes to the node's log.
func newLog(out Outlet) *slog.Logger { return slog.New(&nodeLog{out: out}) }

func (l *nodeLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *nodeLog) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(l.with)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, a)
		return true
	})
	line := b.String()
	if len(line) > maxLine {
		line = strings.ToValidUTF8(line[:maxLine], "") + "…"
	}
	return l.out.Write(clnio.Message{Method: "log", Params: marshaled(map[string]string{
		"level": levelName(r.Level), "message": line,
	})})
}

func (l *nodeLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(l.with)
	for _, a := range attrs {
		writeAttr(&b, a)
	}
	return &nodeLog{l.out, b.String()}
}

// WithGroup is not needed here: keys come from one short list.
func (l *nodeLog) WithGroup(string) slog.Handler { return l }

func writeAttr(b *strings.Builder, a slog.Attr) {
	v := a.Value.Resolve().String()
	if v == "" {
		return
	}
	if strings.ContainsAny(v, " \"\n") {
		v = fmt.Sprintf("%q", v)
	}
	fmt.Fprintf(b, " %s=%s", a.Key, v)
}

// levelName is a name that the node knows; it kills a plugin that uses another.
func levelName(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "error"
	case l >= slog.LevelWarn:
		return "warn"
	case l >= slog.LevelInfo:
		return "info"
	}
	return "debug"
}
