package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWithoutTheProgramsItSaysSoAndSucceeds(t *testing.T) {
	cases := []struct{ name, programs, want string }{
		{"nothing is there", "", "interop: skipped, since PATH has no mostro-cli, nostr-rs-relay.\n"},
		{"only a relay is there", "nostr-rs-relay", "interop: skipped, since PATH has no mostro-cli.\n"},
		{"only the client is there", "mostro-cli", "interop: skipped, since PATH has no nostr-rs-relay.\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.programs != "" {
				if err := os.WriteFile(filepath.Join(dir, c.programs), []byte("#!/bin/sh\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", dir)
			var out, bad bytes.Buffer
			if code := run(t.Context(), nil, &out, &bad); code != 0 || bad.Len() != 0 {
				t.Fatalf("exit code %d, %s", code, &bad)
			}
			if out.String() != c.want {
				t.Errorf("it says %q", &out)
			}
		})
	}
}

// script is a client that prints its surroundings and what is in a file, and ends with code 3.
func script(t *testing.T) (*client, func(text string)) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "mostro-cli")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nread answer\necho \"$HOME $RELAYS $answer $*\"\ncat text\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("cat"); err != nil {
		t.Skip("no cat")
	}
	c := &client{program: path, home: dir, env: []string{"RELAYS=ws://r"}, seen: map[string]int{}}
	return c, func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "text"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClientGetsItsSurroundingsAndItsExitCodeIsNoError(t *testing.T) {
	c, prints := script(t)
	prints("\x1b[1mbold\x1b[0m\r\n")
	s, err := c.run(t.Context(), "getdm", "-s", "5")
	if err != nil {
		t.Fatal(err)
	}
	if want := c.home + " ws://r y getdm -s 5\nbold\n"; s.text != want || s.code != 3 {
		t.Errorf("code %d, said %q, want %q", s.code, s.text, want)
	}
}

func TestClientThatIsNotThereIsAnError(t *testing.T) {
	c := &client{program: filepath.Join(t.TempDir(), "none"), home: t.TempDir(), seen: map[string]int{}}
	if s, err := c.run(t.Context(), "getdm"); err == nil {
		t.Errorf("it said %q", s.text)
	}
}

func TestMessagesAreShownOnce(t *testing.T) {
	c := &client{seen: map[string]int{}}
	steps := []struct{ name, text, want string }{
		{"a first list is shown whole", "head\n📄 Message 1:\none\n📄 Message 2:\ntwo\n", "head\none\ntwo\n"},
		{"what was shown is left out, wherever it stands", "head\n📄 Message 1:\nnew\n📄 Message 2:\ntwo\n📄 Message 3:\none\n", "head\nnew\n"},
		{"a second message of the same words is new", "📄 Message 1:\none\n📄 Message 2:\none\n", "one\n"},
		{"the same list again has nothing", "📄 Message 1:\none\n📄 Message 2:\none\n", ""},
		{"what is no list stays", "Order saved\n", "Order saved\n"},
	}
	for _, s := range steps {
		if got := c.fresh(s.text); got != s.want {
			t.Errorf("%s: %q, want %q", s.name, got, s.want)
		}
	}
}

func TestTrim(t *testing.T) {
	text := "Checking for legacy token columns...\n\n┌───┬──┐\n│ a ┆ b  │\n═══════\nword\n" + strings.Repeat("x", 200) + "\n"
	got := trim(text, false)
	want := []string{"a b", "word", strings.Repeat("x", shownWidth) + "…"}
	if !slices.Equal(got, want) {
		t.Errorf("trimmed to %q", got)
	}
	many := strings.Repeat("line\n", shownLines+3)
	if got := trim(many, false); len(got) != shownLines+1 || got[0] != "… 3 lines" {
		t.Errorf("many lines are trimmed to %q", got)
	}
	if got := trim(many, true); len(got) != shownLines+3 {
		t.Errorf("all lines are %d", len(got))
	}
}

func TestWhatAPersonWouldCopy(t *testing.T) {
	const id = "5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11"
	key, data := strings.Repeat("ab", 32), strings.Repeat("pq9", 30)
	cases := []struct{ name, got, want string }{
		{"the order's id", last(shownOrder, "Order "+id+" created\n"), id},
		{"the order's id in a list", last(shownOrder, "📋 Order ID: "+id+"\n"), id},
		{"the last invoice", last(shownInvoice, "lnbcrt1"+data+"\n lnbcrt500u1"+data+"x\n"), "lnbcrt500u1" + data + "x"},
		{"the other's key", last(shownPeer, "   👤 Peer: "+key+"\n"), key},
		{"the amount to invoice", last(shownAmount, "💰 Required Amount: 49850 sats\n"), "49850"},
		{"the amount in a list", last(shownAmount, "   📋 Order: "+id+" 30000 sats (USD)\n"), "30000"},
		{"the dispute's id", last(shownDispute, "🆔 Dispute ID: "+id+"\n"), id},
		{"nothing", last(shownInvoice, "no invoice"), ""},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
	if got := shorten("takesell -o " + id + " -i " + key); got != "takesell -o 5c6f8a52… -i abababab…" {
		t.Errorf("shortened to %q", got)
	}
}

func TestCurrencyListIsServedForItsHostAlone(t *testing.T) {
	r, err := listenRates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pem, err := os.ReadFile(r.ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	proxy := &url.URL{Scheme: "http", Host: r.Addr().String()}
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool},
	}}
	a, err := c.Get("https://" + ratesHost + "/currencies")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil || string(body) != currencies {
		t.Errorf("the list is %q, %v", body, err)
	}
	if b, err := c.Get("https://example.com/"); err == nil {
		b.Body.Close()
		t.Error("another host is answered, too")
	}
}

func TestEveryStoryHasAnEndThatCanBeReached(t *testing.T) {
	for _, s := range stories {
		if len(s.steps) == 0 {
			t.Errorf("%s: no steps", s.name)
		}
		for _, st := range s.steps {
			if !slices.Contains([]person{alice, bob, admin, solver}, st.who) {
				t.Errorf("%s: %q is typed by %q", s.name, st.types, st.who)
			}
			for _, b := range blank.FindAllStringSubmatch(st.types, -1) {
				if !slices.Contains([]string{"order", "peer", "address", "invoice", "dispute", "solver"}, b[1]) {
					t.Errorf("%s: %q has an unknown %s", s.name, st.types, b[0])
				}
			}
		}
	}
}
