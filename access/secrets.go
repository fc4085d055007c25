package access

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/freshet/freshet/store"
)

// Label says what a derived key is for. A label never changes: what was signed
// under its key would be refused.
type Label string

// The keys that are derived from the one master secret.
const (
	ForCursors    Label = "cursor"      // [freshet.NewCursors]
	ForPositions  Label = "token"       // [position.NewSigner]
	ForUserTokens Label = "user token"  // Options.Secret
	ForAnswers    Label = "idempotency" // IdempotencyOptions.Secret
)

// Secrets derives independent keys from one master secret, so that a store
// keeps a single one and a leak of one key tells nothing about another.
type Secrets struct{ master []byte }

const minSecret = 32

// LoadSecrets reads the master secret, of at least 32 bytes, which the store
// makes at first use.
func LoadSecrets(ctx context.Context, from store.Secrets) (*Secrets, error) {
	master, err := from.Secret(ctx, "master")
	if err != nil {
		return nil, fmt.Errorf("read master secret: %w", err)
	}
	if len(master) < minSecret {
		return nil, fmt.Errorf("master secret has %d bytes, wants at least %d", len(master), minSecret)
	}
	return &Secrets{master: master}, nil
}

func requireSecret(s []byte) {
	if len(s) < minSecret {
		panic(fmt.Sprintf("access: a secret has %d bytes, wants at least %d", len(s), minSecret))
	}
}

// Key gives the 32 bytes for a label: HKDF-SHA-256 (RFC 5869) with the label in info.
func (s *Secrets) Key(label Label) []byte {
	key, err := hkdf.Key(sha256.New, s.master, nil, "freshet "+string(label), 32)
	if err != nil { // only for lengths that can't occur here
		panic("access: derive " + string(label) + ": " + err.Error())
	}
	return key
}
