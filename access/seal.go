package access

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// seal encrypts saved answers, which may hold the token of a session. The key is
// made of the server's secret and of the client's idempotency key, of which the
// store has the hash only: whoever has the data, the secret in it included,
// still lacks the client's part.
type seal struct{ secret []byte }

// close gives a random nonce and AES-256-GCM over the answer, bound to the
// request and the status.
func (s seal) close(t *Try, status int, answer []byte) ([]byte, error) {
	c, err := s.cipher(t)
	if err != nil {
		return nil, err
	}
	return c.Seal(nil, nil, answer, sealedFor(t, status)), nil
}

// open gives the answer that close sealed for the same request and status.
func (s seal) open(t *Try, status int, sealed []byte) ([]byte, bool) {
	c, err := s.cipher(t)
	if err != nil {
		return nil, false
	}
	answer, err := c.Open(nil, nil, sealed, sealedFor(t, status))
	return answer, err == nil
}

func (s seal) cipher(t *Try) (cipher.AEAD, error) {
	h := hmac.New(sha256.New, s.secret)
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(t.scope))))
	h.Write([]byte(t.scope))
	h.Write([]byte(t.text))
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func sealedFor(t *Try, status int) []byte {
	b := append(t.id.Key[:], t.id.Hash[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(status))
}
