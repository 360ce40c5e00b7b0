package simln

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// The key, the payee and the hash of most examples in BOLT 11.
const (
	exampleKey   = "e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734"
	examplePayee = "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad"
	exampleHash  = "0001020304050607080900010203040506070809000102030405060708090102"
)

func examples(t testing.TB) (valid, refused []string) {
	f, err := os.Open("testdata/bolt11.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		switch kind, s, _ := strings.Cut(scanner.Text(), " "); kind {
		case "valid":
			valid = append(valid, s)
		case "refused":
			refused = append(refused, s)
		}
	}
	if len(valid) < 9 || len(refused) < 8 {
		t.Fatalf("%d and %d examples", len(valid), len(refused))
	}
	return valid, refused
}

func TestExamplesOfBOLT11(t *testing.T) {
	valid, refused := examples(t)
	for i, want := range []struct {
		prefix, payee, hash, description, descHash string
		amount                                     Msat
		expiry                                     uint64
		hops                                       int
		features, metadata                         string
	}{
		{"bc", examplePayee, exampleHash, "Please consider supporting this project", "", 0, 3600, 0, "4100", ""},
		{"bc", examplePayee, exampleHash, "1 cup coffee", "", 250_000_000, 60, 0, "4100", ""},
		{"bc", examplePayee, exampleHash, "", "3925b6f67e2c340036ed12093dd44e0368df1b6ea26c53dbe4811f58fd5db8c1", 2_000_000_000, 3600, 0, "4100", ""},
		{prefix: "bc", payee: examplePayee, hash: exampleHash, descHash: "3925b6f67e2c340036ed12093dd44e0368df1b6ea26c53dbe4811f58fd5db8c1", amount: 2_000_000_000, expiry: 3600, features: "4100"},
		{prefix: "tb", payee: examplePayee, hash: "850aeaf5f69670e8889936fc2e0cff3ceb0c3b5eab8f04ae57767118db673a91", amount: 3_000_000_000, expiry: 8 * 3600},
		{prefix: "bc", payee: examplePayee, hash: exampleHash, description: "coffee beans", amount: 2_500_000_000, expiry: 3600},
		{prefix: "bc", payee: examplePayee, hash: exampleHash, description: "coffee beans", amount: 2_500_000_000, expiry: 3600},
		{prefix: "bc", payee: "03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad", hash: "462264ede7e14047e9b249da94fefc47f41f7d02ee9b091815a5506bc8abf75f", amount: 967_878_534, expiry: 604800, hops: 1},
		{prefix: "bc", payee: examplePayee, hash: exampleHash, description: "payment metadata inside", amount: 1_000_000_000, expiry: 3600, metadata: "01fafaf0"},
	} {
		inv, err := DecodeInvoice(valid[i])
		if err != nil {
			t.Errorf("example %d: %v", i+1, err)
			continue
		}
		got := []any{inv.Prefix, hexOf(inv.Payee), hexOf(inv.PaymentHash[:]), inv.Amount, inv.Expiry, hexOf(inv.Metadata), len(inv.Routes)}
		for k, w := range []any{want.prefix, want.payee, want.hash, want.amount, want.expiry, want.metadata, want.hops} {
			if got[k] != w {
				t.Errorf("example %d: got %v, want %v", i+1, got[k], w)
			}
		}
		if want.description != "" && *inv.Description != want.description || want.descHash != "" && hexOf(inv.DescriptionHash[:]) != want.descHash {
			t.Errorf("example %d: description %v, hash %v", i+1, inv.Description, inv.DescriptionHash)
		}
		if want.features != "" && hexOf(inv.Features) != want.features {
			t.Errorf("example %d: features %x", i+1, inv.Features)
		}
	}
	for i, s := range refused {
		if inv, err := DecodeInvoice(s); err == nil {
			t.Errorf("refused example %d was taken: %+v", i+1, inv)
		}
	}
}

func TestEncodeGivesTheExamplesBack(t *testing.T) {
	valid, _ := examples(t)
	k, _ := hex.DecodeString(exampleKey)
	key := secp256k1.PrivKeyFromBytes(k)
	for i, s := range valid[:3] {
		inv, err := DecodeInvoice(s)
		if err != nil {
			t.Fatal(err)
		}
		inv.MinFinalCLTV = 0 // the examples have no such field
		got, err := inv.Encode(key)
		if err != nil || got != s {
			t.Errorf("example %d: %v\n got %s\nwant %s", i+1, err, got, s)
		}
	}
}

func TestAmountsAreWrittenInTheShortestForm(t *testing.T) {
	for amount, want := range map[Msat]string{
		0: "", 1: "10p", 10: "100p", 100: "1n", 123: "1230p", 100_000: "1u", 250_000_000: "2500u", 100_000_000: "1m", 100_000_000_000: "1", 2_000_000_000: "20m",
	} {
		if got := amountString(amount); got != want {
			t.Errorf("%d msat: got %q, want %q", amount, got, want)
		}
		if back, err := parseAmount(want); err != nil || back != amount {
			t.Errorf("%q: got %d, %v", want, back, err)
		}
	}
	for _, bad := range []string{"1x", "m", "1p", "15p", "99999999999999999999", "999999999999999999m"} {
		if got, err := parseAmount(bad); err == nil {
			t.Errorf("%q was taken as %d", bad, got)
		}
	}
}

func FuzzDecodeInvoice(f *testing.F) {
	valid, refused := examples(f)
	for _, s := range append(valid, refused...) {
		f.Add(s)
	}
	key := deriveKey([32]byte{}, "fuzz")
	f.Fuzz(func(t *testing.T, s string) {
		inv, err := DecodeInvoice(s)
		if err != nil {
			return
		}
		again, err := inv.Encode(key)
		if err != nil {
			return // a field that was too long for us to write anew
		}
		back, err := DecodeInvoice(again)
		if err != nil {
			t.Fatalf("%s became %s, which is refused: %v", s, again, err)
		}
		if back.PaymentHash != inv.PaymentHash || back.Amount != inv.Amount || back.Expiry != inv.Expiry || !bytes.Equal(back.Features, inv.Features) {
			t.Fatalf("%+v became %+v", inv, back)
		}
	})
}

func TestSignedMessageIsRecovered(t *testing.T) {
	key := deriveKey([32]byte{1}, "node")
	sig := signMessage(key, "hello")
	b, err := zbaseDecode(zbaseEncode(sig))
	if err != nil || !bytes.Equal(b, sig) {
		t.Fatalf("zbase32 gave %x, %v; want %x", b, err, sig)
	}
	if got, err := recoverMessageKey("hello", b); err != nil || got != pubHex(key) {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := recoverMessageKey("hullo", b); err == nil && got == pubHex(key) {
		t.Error("another text gave the same key")
	}
	if _, err := zbaseDecode("l"); err == nil {
		t.Error("l is no zbase32 letter")
	}
}
