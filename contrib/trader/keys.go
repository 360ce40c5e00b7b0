package trader

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/tyler-smith/go-bip39"

	"github.com/mostro-cln/mostro/nostrio"
)

// NewMnemonic makes twelve new words (BIP-39, English). They are the trader's whole identity.
func NewMnemonic() (string, error) {
	entropy, err := bip39.NewEntropy(128)
	if err != nil {
		return "", fmt.Errorf("new mnemonic: %w", err)
	}
	return bip39.NewMnemonic(entropy)
}

// keyring derives the keys of one mnemonic: m/44'/1237'/38383'/0/i (Mostro protocol, "Keys management"; NIP-06 with
// its own account). Index 0 is the identity key, each trade takes the next.
type keyring struct {
	chain *hdkeychain.ExtendedKey // m/44'/1237'/38383'/0
}

// key is a trade key or the identity key. It prints as its embedded Key does, without the secret.
type key struct {
	*nostrio.Key
	secret [32]byte // for reading: see open.go
}

var errMnemonic = errors.New("not a mnemonic: want 12 or more English words of BIP-39 with a right checksum")

func newKeyring(mnemonic string) (keyring, error) {
	seed, err := bip39.NewSeedWithErrorChecking(mnemonic, "")
	if err != nil {
		return keyring{}, errMnemonic // the library's error would show the words
	}
	k, err := hdkeychain.NewMaster(seed, &chaincfg.MainNetParams) // the network does not enter into the keys
	for _, i := range []uint32{
		hdkeychain.HardenedKeyStart + 44, hdkeychain.HardenedKeyStart + 1237, hdkeychain.HardenedKeyStart + 38383, 0,
	} {
		if err == nil {
			k, err = k.Derive(i)
		}
	}
	if err != nil {
		return keyring{}, fmt.Errorf("derive the account of the mnemonic: %w", err)
	}
	return keyring{chain: k}, nil
}

// key derives the key of an index below 2³¹.
func (r keyring) key(index uint32) (key, error) {
	if index >= hdkeychain.HardenedKeyStart {
		return key{}, fmt.Errorf("trade index %d: the last one is 2³¹−1", index)
	}
	child, err := r.chain.Derive(index)
	if err != nil {
		return key{}, fmt.Errorf("derive key %d: %w", index, err)
	}
	priv, err := child.ECPrivKey()
	if err != nil {
		return key{}, fmt.Errorf("derive key %d: %w", index, err)
	}
	secret := [32]byte(priv.Serialize())
	k, err := nostrio.NewKey(secret)
	if err != nil {
		return key{}, fmt.Errorf("derive key %d: %w", index, err)
	}
	return key{Key: k, secret: secret}, nil
}
