package nostrio

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nbd-wtf/go-nostr/nip19"

	"github.com/mostro-cln/mostro/orders"
)

const someSecret = "977b9da8056e6a83a991cb31ac507b0a618fbbee355e36e107e0e348686ab833"

func TestKeysAreReadAsHexAndAsNIP19(t *testing.T) {
	nsec, err := nip19.EncodePrivateKey(someSecret)
	if err != nil {
		t.Fatal(err)
	}
	const pub = "1c71f0a29c9d14198781f36897c6d6c08e2c4f905ba69fc5f8e67d375d705a8a"
	for _, s := range []string{someSecret, strings.ToUpper(someSecret), nsec} {
		if k, err := ParseKey(s); err != nil || k.PubKey().String() != pub {
			t.Errorf("got %v, %v", k, err)
		}
	}
	npub, err := nip19.EncodePublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{pub, npub} {
		k, err := ParsePubKey(s)
		if err != nil || k.String() != pub || Npub(k) != npub {
			t.Errorf("%s: got %v, %v", s, k, err)
		}
	}
}

func TestWhatIsNoKeyIsRefusedWithoutBeingRepeated(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":              "",
		"zero":                 strings.Repeat("0", 64),
		"the order of curve":   "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
		"31 bytes":             someSecret[2:],
		"no hex":               "zz" + someSecret[2:],
		"a broken nsec":        "nsec1" + strings.Repeat("q", 58),
		"a public key as npub": Npub(orders.PubKey(named("x"))),
	} {
		k, err := ParseKey(s)
		if err == nil {
			t.Errorf("%s: became %v", name, k)
		} else if len(s) > 8 && strings.Contains(err.Error(), s[len(s)-8:]) {
			t.Errorf("%s: the error repeats it: %v", name, err)
		}
	}
	if _, err := ParsePubKey(strings.Repeat("f", 64)); err == nil {
		t.Error("a number that is no coordinate passes as public key")
	}
}

func TestKeysNeverPrint(t *testing.T) {
	k := mustKey(t, someSecret)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", k)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", k)
	text := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		text += fmt.Sprintf(verb, k)
	}
	if strings.Contains(strings.ToLower(text), someSecret[:12]) || !strings.Contains(text, "key 1c71f0a2…") {
		t.Errorf("got %s", text)
	}
}

func TestVerifyRefusesWhatIsNoPoint(t *testing.T) {
	k := mustKey(t, someSecret)
	sig := k.Sign(named("d"))
	if !Verify(k.PubKey(), named("d"), sig) {
		t.Fatal("own signature is refused")
	}
	sig[0] ^= 1
	if Verify(k.PubKey(), named("d"), sig) || Verify(orders.PubKey{0xff}, named("d"), sig) || Verify(k.PubKey(), named("d"), [64]byte{}) {
		t.Error("a wrong signature passes")
	}
	if _, err := k.conversation(orders.PubKey{}); err == nil {
		t.Error("a conversation with no point")
	}
}

func TestLRUForgetsTheOldest(t *testing.T) {
	c := newLRU[int, string](2)
	c.put(1, "a")
	c.put(2, "b")
	c.get(1)
	c.put(3, "c")
	if _, ok := c.get(2); ok || c.len() != 2 {
		t.Error("2 was used longest ago and is still there")
	}
	if v, ok := c.get(1); !ok || v != "a" {
		t.Error("1 is gone")
	}
	if !c.put(1, "d") || c.put(4, "e") {
		t.Error("put does not say what was there")
	}
	c.remove(1)
	if _, ok := c.get(1); ok || c.len() != 1 {
		t.Error("1 is still there")
	}
}
