package memcached

import (
	"crypto/sha256"
	"encoding/base64"
)

// maxKey is the longest key in a command, as written (KEY_MAX_LENGTH in memcached.h); in base64 too.
const maxKey = 250

// wireKey is a key as a command writes it.
type wireKey struct {
	text   string
	base64 bool   // text is base64 of the key: the flag b
	bears  string // text is made of a hash: the whole key, which the record bears
}

// keys makes wire keys.
type keys struct {
	prefix string
	hash   func(key string) [sha256.Size]byte
}

// wire is the shortest way to write a key that memcached takes: as it is; in base64, where it has spaces or bytes that are
// no printable ASCII; its hash, where it is too long. A key that is written as it is could look like a hash; the records
// under both say which they are.
func (k keys) wire(key string) wireKey {
	full := k.prefix + key
	switch {
	case full != "" && len(full) <= maxKey && plain(full):
		return wireKey{text: full}
	case full != "" && base64.StdEncoding.EncodedLen(len(full)) <= maxKey && !plain(full):
		return wireKey{text: base64.StdEncoding.EncodeToString([]byte(full)), base64: true}
	}
	sum := k.hash(full)
	return wireKey{text: k.prefix + "#" + base64.RawURLEncoding.EncodeToString(sum[:]), bears: "=" + full}
}

// plain tells whether memcached takes a key as it is written, and whether all see the same in it.
func plain(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] >= 0x7f {
			return false
		}
	}
	return true
}
