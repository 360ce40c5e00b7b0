package trader

import (
	"fmt"
	"strings"
	"testing"
)

const testMnemonic = "leader monkey parrot ring guide accident before fence cannon height naive bean"

// The secrets are vectors that clients of the protocol share.
func TestKeysFollowTheProtocolsDerivation(t *testing.T) {
	ring, err := newKeyring(testMnemonic)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ secret, pub string }{
		{"df5ba9d72ec62e9d39a095f1b86936fe10abfc7d56700caa1652a463a40d19b1", "b4bf6548df043786641d4b63e748eda4b55fce21beae991512d23487c7bd8950"},
		{"977b9da8056e6a83a991cb31ac507b0a618fbbee355e36e107e0e348686ab833", "1c71f0a29c9d14198781f36897c6d6c08e2c4f905ba69fc5f8e67d375d705a8a"},
		{"03c78114b80a2db782bb86be47c8062388d78a0585dfa79b8594e105740758c3", "5011d0e7a57ae27627ab76962537072c6809ef3b9e24c2e3db4e672c61624eef"},
		{"9e4bd9b04472dfcea9fca6c78bef9642bdf5a9d7efda66ba04b046df222eb9d9", "7c4e2fb552dee70caa9f5e7d5d81eb4b14bc2d4369bd473a71774c1072290abe"},
		{"e11bbbdd648f3eaaed73c14f1bdecf84f79fc7c7a2291df2344a5237b9b42929", "e3ea966943deb82f124d51015a2576e4361f1836c5ec3889ba50dc9042f35e6a"},
		{"542fe37421c128dd421289d45f498cd99a06701706f33a1a74926e6d2d32182d", "088bb3266bde36a0d7080b8ae655e86f5c12ac13ec59fa12754f277cdc2c970b"},
	} {
		k, err := ring.key(uint32(i))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", k.secret[:]); got != want.secret {
			t.Errorf("secret %d is %s, want %s", i, got, want.secret)
		}
		if got := k.PubKey().String(); got != want.pub {
			t.Errorf("public key %d is %s, want %s", i, got, want.pub)
		}
	}
}

func TestAnIndexBeyondTheLastIsAnError(t *testing.T) {
	ring, err := newKeyring(testMnemonic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.key(1 << 31); err == nil {
		t.Error("a hardened index was taken")
	}
}

func TestABadMnemonicIsRefusedAndNotRepeated(t *testing.T) {
	bad := strings.Replace(testMnemonic, "bean", "bear", 1)
	if _, err := newKeyring(bad); err == nil || strings.Contains(err.Error(), "bear") {
		t.Errorf("got %v", err)
	}
}

func TestNewMnemonicsAreTwelveWordsThatDerive(t *testing.T) {
	words, err := NewMnemonic()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(words)); n != 12 {
		t.Errorf("%d words, want 12", n)
	}
	if _, err := newKeyring(words); err != nil {
		t.Error(err)
	}
}

func TestKeysPrintNoSecret(t *testing.T) {
	ring, err := newKeyring(testMnemonic)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ring.key(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, k); strings.Contains(got, "977b9da8") || strings.Contains(got, "151, 123") || strings.Contains(got, "151 123") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}
