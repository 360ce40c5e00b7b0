package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/mostro-cln/mostro/nostrio"
)

// keyring are real key pairs, made once: every world deals out some of them. What a key has computed with another one
// it remembers, which saves much and changes nothing.
var keyring = sync.OnceValue(func() []*nostrio.Key {
	keys := make([]*nostrio.Key, 1500)
	for i := range keys {
		keys[i] = mustKey("trader", uint64(i))
	}
	return keys
})

// serverKey is the exchange's.
var serverKey = sync.OnceValue(func() *nostrio.Key { return mustKey("server", 0) })

func mustKey(what string, n uint64) *nostrio.Key {
	k, err := nostrio.NewKey(sum(what, binary.BigEndian.AppendUint64(nil, n)))
	if err != nil { // one in 2¹²⁸
		panic("sim: " + err.Error())
	}
	return k
}

func sum(what string, parts ...[]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte(what))
	for _, p := range parts {
		h.Write(p)
	}
	return [32]byte(h.Sum(nil))
}
