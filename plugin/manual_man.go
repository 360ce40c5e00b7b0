package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeManPages writes a page of section 7 for each command, and one for all of them, as `lightning-cli help` looks for
// them: lightning-mostro-info.7.
func writeManPages(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write manual pages: %w", err)
	}
	pages := map[string]string{"lightning-mostro.7": manOverview()}
	for _, m := range methods {
		pages["lightning-"+m.name+".7"] = m.man()
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write manual pages: %w", err)
		}
	}
	return nil
}

// page is a manual page in the making (man(7) macros).
type page struct{ strings.Builder }

func newPage(name, about string) *page {
	p := &page{}
	fmt.Fprintf(p, ".TH %q 7 \"\" \"mostro\" \"\"\n", strings.ToUpper("lightning-"+name))
	p.section("NAME")
	p.text(name + " -- " + about)
	return p
}

func (p *page) section(title string) { fmt.Fprintf(p, ".SH %s\n", title) }

// text is a paragraph.
func (p *page) text(s string) { fmt.Fprintf(p, ".LP\n%s\n", roff(s)) }

// item is a term with what it means.
func (p *page) item(term, s string) { fmt.Fprintf(p, ".TP\n\\fB%s\\fR\n%s\n", roff(term), roff(s)) }

// code are lines as they are typed.
func (p *page) code(lines ...string) {
	p.WriteString(".LP\n.EX\n")
	for _, l := range lines {
		fmt.Fprintf(p, "%s\n", roff(l))
	}
	p.WriteString(".EE\n")
}

// roff keeps a text from being read as markup.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", "", "*", "").Replace(s)
	var ascii strings.Builder
	for _, r := range s {
		if r < 128 {
			ascii.WriteRune(r)
		} else {
			fmt.Fprintf(&ascii, `\[u%04X]`, r) // groff_char(7)
		}
	}
	lines := strings.Split(ascii.String(), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

func (m *method) man() string {
	p := newPage(m.name, m.about)
	p.section("SYNOPSIS")
	p.code(m.synopsis())
	p.section("DESCRIPTION")
	p.text(m.about + ". It " + natureWords[m.nature] + ".")
	if m.more != "" {
		p.text(m.more)
	}
	for _, q := range m.params {
		p.item(q.name, q.kind.wants+"; "+q.about)
	}
	p.section("RETURN VALUE")
	p.text("On success, an object:")
	for _, f := range resultFields(m.run.result, "") {
		p.item(f.path, f.typeWords()+": "+f.about)
	}
	p.section("ERRORS")
	for _, code := range m.codes() {
		p.item(fmt.Sprint(code), codeWords[code])
	}
	p.section("EXAMPLES")
	for _, e := range m.examples {
		p.code("lightning-cli " + e)
	}
	p.section("SEE ALSO")
	p.text("lightning-mostro(7), lightning-commando-rune(7)")
	return p.String()
}

func manOverview() string {
	p := newPage("mostro", "commands of a Mostro exchange on this node")
	p.section("DESCRIPTION")
	p.text("A Mostro exchange lets people trade bitcoin for other money over Nostr; this node holds what the seller locks, and pays the buyer.")
	for _, c := range chapters {
		p.section(strings.ToUpper(c.title))
		for _, m := range methods {
			if m.nature == c.nature {
				p.item(m.synopsis(), m.about)
			}
		}
	}
	p.section("NOTIFICATIONS")
	for _, t := range topics {
		p.item(t.name, t.about)
	}
	return p.String()
}
