package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/plugin/internal/simtest"
	"github.com/mostro-cln/mostro/plugin/webpage"
)

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// The web client stands beside the exchange: a port that is taken stops no trade, and it is served once the port is
// free.
func TestSimWebClientWaitsForItsPort(t *testing.T) {
	if testing.Short() {
		t.Skip("runs binaries")
	}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	mostro := mostroPlugin(t)
	mostro.Options["mostro-web-listen"] = other.Addr().String()
	mostro.Options["mostro-name"] = "Café"
	s := simtest.Run(t, append(simtest.Holder(t), mostro)...)
	var info overview
	if !simtest.Eventually(t, func() bool {
		s.Must("mostro-info", nil, &info)
		return info.Open && info.WarningWeb != ""
	}) || info.Web != "" || !strings.Contains(info.WarningWeb, "address already in use") {
		t.Fatalf("got web %q, warning_web %q, open %v", info.Web, info.WarningWeb, info.Open)
	}
	other.Close()
	url := "http://" + other.Addr().String()
	if !simtest.Eventually(t, func() bool {
		info = overview{}
		s.Must("mostro-info", nil, &info)
		return info.Web == url
	}) || info.WarningWeb != "" {
		t.Fatalf("got web %q, warning_web %q", info.Web, info.WarningWeb)
	}
	if status, body := fetch(t, url+"/"); status != 200 || !strings.Contains(body, "<title>") {
		t.Errorf("status %d, %.80q", status, body)
	}
	var about webpage.About
	if _, body := fetch(t, url+"/server.json"); json.Unmarshal([]byte(body), &about) != nil ||
		about.PubKey != info.Pubkey || about.Name != "Café" || len(about.Relays) != 1 || about.Relays[0] != "ws://127.0.0.1:1" {
		t.Errorf("got %s", body)
	}
	if err := s.StopPlugin(t.Context(), mostro.Path); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(url); err == nil {
		t.Error("it is still served")
	}
}

func TestSimWebClientIsOffByDefault(t *testing.T) {
	s := startSim(t)
	var raw map[string]json.RawMessage
	s.Must("mostro-info", nil, &raw)
	for name := range raw {
		if strings.Contains(name, "web") {
			t.Errorf("mostro-info has %s", name)
		}
	}
}
