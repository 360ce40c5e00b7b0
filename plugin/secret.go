package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/bech32"

	"github.com/mostro-cln/mostro/plugin/lightning"
)

// What lightningd's makesecret is asked for. The answers follow from the node's seed, so the node's backup is the
// exchange's too; a changed text would be another exchange.
const (
	nostrKeyText   = "mostro nostr key v1"
	storageKeyText = "mostro storage key v1"
)

// loadKeys returns the exchange's Nostr key, from the operator's file or from the node, and the key that seals secrets
// in the database, always from the node.
func loadKeys(ctx context.Context, n *lightning.Node, nsecFile string) (nostr, storage lightning.Secret, err error) {
	if storage, err = n.MakeSecret(ctx, storageKeyText); err != nil {
		return lightning.Secret{}, lightning.Secret{}, fmt.Errorf("derive the storage key: %w", err)
	}
	if nsecFile != "" {
		nostr, err = readKeyFile(nsecFile)
		return nostr, storage, err
	}
	if nostr, err = n.MakeSecret(ctx, nostrKeyText); err != nil {
		return lightning.Secret{}, lightning.Secret{}, fmt.Errorf("derive the nostr key: %w", err)
	}
	if !validKey(nostr) {
		return lightning.Secret{}, lightning.Secret{}, fmt.Errorf("derive the nostr key: the node's secret is no key of the curve")
	}
	return nostr, storage, nil
}

// readKeyFile reads a Nostr secret key, nsec1… (NIP-19) or 64 hex characters. The file must be an ordinary one that
// nobody but its owner can open. Errors name the file and never its content.
func readKeyFile(path string) (lightning.Secret, error) {
	const most = 1024
	info, err := os.Stat(path)
	if err != nil {
		return lightning.Secret{}, fmt.Errorf("%s (%s)", quote(path), fileProblem(err))
	}
	if !info.Mode().IsRegular() {
		return lightning.Secret{}, fmt.Errorf("%s (not an ordinary file)", quote(path))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return lightning.Secret{}, fmt.Errorf("%s (mode %04o: others can open it)", quote(path), info.Mode().Perm())
	}
	if info.Size() > most {
		return lightning.Secret{}, fmt.Errorf("%s (%d bytes)", quote(path), info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return lightning.Secret{}, fmt.Errorf("%s (%s)", quote(path), fileProblem(err))
	}
	key, ok := parseKey(strings.TrimSpace(string(text)))
	if !ok {
		return lightning.Secret{}, fmt.Errorf("%s (its content is no key)", quote(path))
	}
	return key, nil
}

// fileProblem is the cause without the path, which the sentence around it has said already.
func fileProblem(err error) string {
	switch {
	case os.IsNotExist(err):
		return "no such file"
	case os.IsPermission(err):
		return "lightningd's user may not read it"
	}
	return err.Error()
}

func parseKey(text string) (lightning.Secret, bool) {
	var raw []byte
	if strings.HasPrefix(text, "nsec1") {
		prefix, words, err := bech32.Decode(text)
		if err != nil || prefix != "nsec" {
			return lightning.Secret{}, false
		}
		if raw, err = bech32.ConvertBits(words, 5, 8, false); err != nil {
			return lightning.Secret{}, false
		}
	} else {
		var err error
		if raw, err = hex.DecodeString(text); err != nil {
			return lightning.Secret{}, false
		}
	}
	if len(raw) != len(lightning.Secret{}) {
		return lightning.Secret{}, false
	}
	key := lightning.Secret(raw)
	return key, validKey(key)
}

// validKey says whether the bytes are a private key of secp256k1: neither zero nor beyond the group's order.
func validKey(s lightning.Secret) bool {
	var k btcec.ModNScalar
	return !k.SetByteSlice(s[:]) && !k.IsZero()
}
