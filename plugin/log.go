package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unicode"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

// logSink takes one line for lightningd. It must not wait: the log may be asked for from anywhere.
type logSink func(level, line string)

// nodeLog is a slog.Handler that speaks lightningd's `log` notification. A message of several lines becomes several
// notifications; a line over 8 KiB is cut. What a line looks like:
//
//	order taken order=3f2a… from=pending to=waiting-payment
type nodeLog struct {
	sink   logSink
	least  slog.Level
	fields string // " key=value" of every With so far
	group  string // "outer.inner." of every WithGroup so far
}

// newLogger returns a logger whose lines end in lightningd's log, from the given level up.
func newLogger(sink logSink, least slog.Level) *slog.Logger {
	return slog.New(&nodeLog{sink: sink, least: least})
}

func (h *nodeLog) Enabled(_ context.Context, l slog.Level) bool { return l >= h.least }

func (h *nodeLog) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.fields)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, h.group, a)
		return true
	})
	for _, line := range strings.Split(b.String(), "\n") {
		if line = clnio.CleanLine(line); line != "" {
			h.sink(levelName(r.Level), line)
		}
	}
	return nil
}

func (h *nodeLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		writeAttr(&b, h.group, a)
	}
	next := *h
	next.fields += b.String()
	return &next
}

func (h *nodeLog) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := *h
	next.group += name + "."
	return &next
}

// levelName is the word that lightningd knows. It kills a plugin that uses another; these four are understood by every
// version, while "unusual" and "broken", the names in its own log, are not by older ones.
func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warn"
	}
	return "error"
}

func writeAttr(b *strings.Builder, group string, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, inner := range v.Group() {
			writeAttr(b, group, inner)
		}
		return
	}
	fmt.Fprintf(b, " %s%s=%s", group, a.Key, fieldText(v.String()))
}

// fieldText quotes what would not read as one word.
func fieldText(s string) string {
	plain := s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r == ' ' || r == '"' || r == '=' || !unicode.IsPrint(r)
	}) < 0
	if plain {
		return s
	}
	return strconv.Quote(s)
}
