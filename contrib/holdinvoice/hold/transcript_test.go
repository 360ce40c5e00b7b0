package hold

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file, or rewrites it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; see the change with: go test -run '%s' -update . && git diff testdata\ngot:\n%s", path, t.Name(), got)
	}
}

func TestManifestIsAsRecorded(t *testing.T) {
	for _, name := range []string{"holdinvoice", "holdinvoice-guard"} {
		p := spawn(t, newFakeNode(t), "/x/"+name)
		m := p.request("getmanifest", `{"allow-deprecated-apis":false}`)
		var b bytes.Buffer
		if err := json.Indent(&b, m.Result, "", "  "); err != nil {
			t.Fatal(err)
		}
		b.WriteByte('\n')
		golden(t, "manifest-"+name+".json", b.Bytes())
		p.stop()
	}
}

// clockWords are the members of a result that differ from run to run.
var clockWords = regexp.MustCompile(`"(created_at|expires_at|ended_at|first_seen_at)":\d+`)

// A transcript's file holds lines "> method params", which are run against the real plugin,
// and after each what it answered. Lines "@ …" make things happen in the node:
//
//	@ pay PREIMAGE-BYTE AMOUNT TOTAL BLOCKS   an HTLC comes in
//	@ blocks HEIGHT                           a block comes in
//	@ finish                                  the peers answer every removal
//	@ until STATE PREIMAGE-BYTE               waits for the notification
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir, n := t.TempDir(), newFakeNode(t)
			n.serve(dir)
			p := boot(t, n, dir, "holdinvoice")
			var out strings.Builder
			for _, line := range strings.Split(string(raw), "\n") {
				switch {
				case strings.HasPrefix(line, "< "), line == "":
					continue
				case strings.HasPrefix(line, "> "):
					method, params, _ := strings.Cut(line[2:], " ")
					fmt.Fprintf(&out, "%s\n%s\n\n", line, shown(p.request(method, params)))
				case strings.HasPrefix(line, "@ "):
					fmt.Fprintf(&out, "%s\n\n", line)
					p.happen(strings.Fields(line[2:]))
				default:
					fmt.Fprintf(&out, "%s\n", line) // a comment
				}
			}
			golden(t, filepath.Join("transcripts", filepath.Base(file)), []byte(out.String()))
			p.stop()
		})
	}
}

func shown(m clnio.Message) string {
	if m.Error != nil {
		return strings.TrimSpace(fmt.Sprintf("< error %d %s %s", m.Error.Code, m.Error.Message, m.Error.Data))
	}
	return "< " + clockWords.ReplaceAllString(string(m.Result), `"$1":0`)
}

func (p *process) happen(words []string) {
	var pre Preimage
	var amount, total Msat
	var blocks Height
	switch line := strings.Join(words, " "); words[0] {
	case "pay":
		fmt.Sscan(strings.Join(words[1:], " "), &pre[0], &amount, &total, &blocks)
		p.hook(p.node.pay(pre, amount, total, blocks))
	case "blocks":
		fmt.Sscan(words[1], &blocks)
		p.block(uint32(blocks))
	case "finish":
		p.node.finish()
	case "until":
		fmt.Sscan(words[2], &pre[0])
		p.untilState(pre.Hash(), State(words[1]))
	default:
		p.t.Fatalf("unknown line: @ %s", line)
	}
}

// block mines up to a height and tells the plugin.
func (p *process) block(height uint32) {
	p.node.mu.Lock()
	p.node.height = height
	p.node.mu.Unlock()
	p.in.Write(clnio.Message{Method: "block_added", Params: marshaled(map[string]any{
		"block_added": map[string]any{"hash": "00", "height": height},
	})})
}
