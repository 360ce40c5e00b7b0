package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mostro-cln/mostro/plugin/lightning"
)

// The pair is the test vector of NIP-19.
const (
	vectorNsec = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5"
	vectorHex  = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa"
)

func writeKey(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKeyFileHoldsNsecOrHex(t *testing.T) {
	for _, content := range []string{vectorNsec, vectorNsec + "\n", vectorHex, " " + strings.ToUpper(vectorHex) + "\r\n"} {
		key, err := readKeyFile(writeKey(t, content, 0o600))
		if err != nil || hex.EncodeToString(key[:]) != vectorHex {
			t.Errorf("%q: %v", content, err)
		}
	}
	if _, err := readKeyFile(writeKey(t, vectorHex, 0o400)); err != nil {
		t.Errorf("mode 0400: %v", err)
	}
}

func TestKeyFileIsRefused(t *testing.T) {
	const order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
	for name, content := range map[string]string{
		"empty": "", "short": vectorHex[:62], "zero": strings.Repeat("0", 64), "the group's order": order,
		"a public key": "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg",
		"bad checksum": vectorNsec[:60] + "qqq", "huge": strings.Repeat(vectorHex, 100),
	} {
		_, err := readKeyFile(writeKey(t, content, 0o600))
		if err == nil {
			t.Errorf("%s is accepted", name)
		} else if content != "" && strings.Contains(err.Error(), content) {
			t.Errorf("%s: the error shows the content", name)
		}
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o610, 0o666} {
		if _, err := readKeyFile(writeKey(t, vectorHex, mode)); err == nil {
			t.Errorf("mode %04o is accepted", mode)
		}
	}
}

func TestSecretNeverPrintsItself(t *testing.T) {
	raw, _ := hex.DecodeString(vectorHex)
	s := lightning.Secret(raw)
	asJSON, err := json.Marshal(struct{ Key lightning.Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		s.String(), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %x %d %s %q", s, s, s, s, s, s, s), fmt.Sprint([]lightning.Secret{s}),
		fmt.Sprintf("%+v", struct{ Key lightning.Secret }{s}), string(asJSON),
	} {
		if strings.Contains(text, vectorHex[:16]) || strings.Contains(text, "103 222 162") || !strings.Contains(text, "secret:") {
			t.Errorf("prints %s", text)
		}
	}
}
