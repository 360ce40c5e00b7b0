package main

import (
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mostro-cln/mostro/plugin/clnio"
	"github.com/mostro-cln/mostro/plugin/lightning"
)

func TestLogLines(t *testing.T) {
	type line struct{ level, text string }
	var got []line
	log := newLogger(func(level, text string) { got = append(got, line{level, text}) }, slog.LevelDebug)

	log.Debug("quiet")
	log.Info("order taken", "order", "3f2a", "note", "two words", "empty", "", "n", 7)
	log.Warn("relay is away", "err", errors.New("dial: no route"))
	log.Error("two\nlines\n\nand a \x1b[31mcontrol\tone")
	log.With("order", "1").WithGroup("node").With("v", 2).Info("grouped", slog.Group("in", "x", 1))
	log.Info("secret", "key", lightning.Secret{1, 2, 3})
	log.Info("bad \xff utf8")

	want := []line{
		{"debug", `quiet`},
		{"info", `order taken order=3f2a note="two words" empty="" n=7`},
		{"warn", `relay is away err="dial: no route"`},
		{"error", `two`}, {"error", `lines`}, {"error", `and a  [31mcontrol one`},
		{"info", `grouped order=1 node.v=2 node.in.x=1`},
		{"info", `secret key=` + lightning.Secret{1, 2, 3}.String()},
		{"info", "bad � utf8"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLogLineIsCutBetweenCharacters(t *testing.T) {
	for _, pad := range []int{0, 1, 2, 3} {
		var got string
		newLogger(func(_, text string) { got = text }, slog.LevelInfo).Info(strings.Repeat("x", pad) + strings.Repeat("é", clnio.MaxLine))
		if len(got) > clnio.MaxLine || len(got) < clnio.MaxLine-4 || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("pad %d: %d bytes, valid %v, ends %q", pad, len(got), utf8.ValidString(got), got[len(got)-8:])
		}
	}
}

func TestLogBelowTheLevelIsNotMade(t *testing.T) {
	log := newLogger(func(_, text string) { t.Errorf("logged %q", text) }, slog.LevelInfo)
	log.Debug("quiet")
}
