package hold

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"sync"
	"time"
)

// sealKeyName is what the node derives our key from. Its own secret and this text give the
// same key for ever, so a database can be read as long as the node's backup exists.
const sealKeyName = "holdinvoice preimage v1"

// Node calls commands of lightningd; see clnio.Client for what its errors mean.
type Node interface {
	Call(ctx context.Context, method string, params, result any) error
}

// seal keeps preimages unreadable on disk: AES-256-GCM under a key of the node's, bound to
// the payment hash. The key is asked for once and kept in memory.
type seal struct {
	node  Node
	clock Clock

	mu  sync.Mutex
	gcm cipher.AEAD
}

// Ready fetches the key.
func (s *seal) Ready(ctx context.Context) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gcm != nil {
		return s.gcm, nil
	}
	ctx, cancel := s.clock.Limit(ctx, 10*time.Second)
	defer cancel()
	var out struct{ Secret Secret }
	if err := s.node.Call(ctx, "makesecret", map[string]string{"string": sealKeyName}, &out); err != nil {
		return nil, fmt.Errorf("ask for the key of the preimages: %w", err)
	}
	block, err := aes.NewCipher(out.Secret[:])
	if err != nil {
		return nil, err
	}
	if s.gcm, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, err
	}
	return s.gcm, nil
}

// Close makes a preimage fit for the disk.
func (s *seal) Close(ctx context.Context, p Preimage) ([]byte, error) {
	gcm, err := s.Ready(ctx)
	if err != nil {
		return nil, err
	}
	h := p.Hash()
	return gcm.Seal(nil, nil, p[:], h[:]), nil
}

// Open gives the preimage of h back, and checks that it is.
func (s *seal) Open(ctx context.Context, h Hash, sealed []byte) (p Preimage, err error) {
	gcm, err := s.Ready(ctx)
	if err != nil {
		return p, err
	}
	plain, err := gcm.Open(nil, nil, sealed, h[:])
	if err != nil || copy(p[:], plain) != len(p) || p.Hash() != h {
		return Preimage{}, fmt.Errorf("open the preimage of %.8s: this node's key does not fit", h)
	}
	return p, nil
}

// newPreimage is fresh from the system.
func newPreimage() (p Preimage) {
	rand.Read(p[:])
	return p
}
