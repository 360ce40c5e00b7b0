package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// client is one person's mostro-cli with its home directory, where it keeps a mnemonic and the orders.
type client struct {
	program string
	home    string
	env     []string
	seen    map[string]int // messages that getdm has shown, and how often
}

// commandLimit ends a client that hangs; it gives up waiting for an answer after 15 seconds.
const commandLimit = time.Minute

// said is what the client printed.
type said struct {
	text string // plain, without escapes; of a list of messages only those not shown before
	code int    // exit code
	took time.Duration
}

// run types one command. A client that ends with an exit code is no error.
func (c *client) run(ctx context.Context, args ...string) (said, error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, args...)
	cmd.Env = append([]string{"HOME=" + c.home, "PATH=" + os.Getenv("PATH")}, c.env...)
	cmd.Dir = c.home
	cmd.Stdin = strings.NewReader("y\n") // it asks once before it makes an order
	cmd.WaitDelay = time.Second
	begun := time.Now()
	out, err := cmd.CombinedOutput()
	s := said{text: c.fresh(plain(string(out))), code: cmd.ProcessState.ExitCode(), took: time.Since(begun)}
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		return s, fmt.Errorf("mostro-cli %s: %w", args[0], errors.Join(err, ctx.Err()))
	}
	return s, nil
}

var messageHead = regexp.MustCompile(`(?m)^📄 Message \d+:\n`)

// fresh leaves out the messages of a list that were in an earlier list.
func (c *client) fresh(text string) string {
	blocks := messageHead.Split(text, -1)
	kept, now := []string{blocks[0]}, map[string]int{}
	for _, b := range blocks[1:] {
		if now[b]++; now[b] > c.seen[b] {
			kept = append(kept, b)
		}
	}
	for b, n := range now {
		c.seen[b] = max(c.seen[b], n)
	}
	return strings.Join(kept, "")
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

func plain(text string) string {
	return strings.ReplaceAll(escapes.ReplaceAllString(text, ""), "\r", "")
}

// chatter is what mostro-cli prints whatever it does.
var chatter = []string{"Checking for legacy", "No legacy token", "Creating database", "💡 Action:", "🎯 Mostro PubKey"}

const (
	shownLines = 14
	shownWidth = 110
)

// trim makes the text fit for a reader: no frames, no blank lines, its last lines only unless all is wanted.
func trim(text string, all bool) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.Map(withoutFrame, line))
		line = strings.Join(strings.Fields(line), " ")
		if line == "" || hasAny(line, chatter) {
			continue
		}
		if r := []rune(line); len(r) > shownWidth {
			line = string(r[:shownWidth]) + "…"
		}
		lines = append(lines, line)
	}
	if n := len(lines); n > shownLines && !all {
		lines = append([]string{fmt.Sprintf("… %d lines", n-shownLines)}, lines[n-shownLines:]...)
	}
	return lines
}

// withoutFrame drops the characters that tables and headings are drawn with (U+2500 to U+257F).
func withoutFrame(r rune) rune {
	if r >= 0x2500 && r <= 0x257f {
		return ' '
	}
	return r
}

func hasAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// What the client shows and a person would copy.
var (
	shownOrder   = regexp.MustCompile(`Order(?: ID:)? ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})`)
	shownInvoice = regexp.MustCompile(`\bln(?:bcrt|tbs|tb|bc)(?:\d+[munp]?)?1[02-9ac-hj-np-z]{50,}`)
	shownDispute = regexp.MustCompile(`Dispute ID: ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})`)
	shownPeer    = regexp.MustCompile(`👤 Peer: ([0-9a-f]{64})`)
)

// last is the last match in a text, its group if the expression has one.
func last(re *regexp.Regexp, text string) string {
	all := re.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return ""
	}
	m := all[len(all)-1]
	return m[len(m)-1]
}
