package clnio

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLine bounds a line of the log, bytes.
const MaxLine = 8 << 10

// CleanLine makes a text of somebody else's fit for a line of the log or an error: valid UTF-8, no control characters,
// not too long.
func CleanLine(s string) string {
	s = strings.ToValidUTF8(s, "�")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) <= MaxLine {
		return strings.TrimRight(s, " ")
	}
	cut := MaxLine - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Shorten cuts a text after limit bytes, and marks that it did.
func Shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
