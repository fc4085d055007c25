package cache

import (
	"fmt"
	"hash/maphash"
	"reflect"
	"strconv"
	"unsafe"
)

// A key is a key of any space as the layers know it: an integer as n, everything else as the text s. That is what keeps the
// engine free of type parameters, which would have every package that defines a space compile an engine of its own (5 s).
type key struct {
	n int64
	s string
}

// keyKind says how the keys of a space become a key.
type keyKind uint8

const (
	keyText  keyKind = iota // K is a kind of string
	keyWord                 // K is a kind of integer of 64 bits
	keyBytes                // K is an array of bytes
	keyCoded                // by Space.Key
)

// kindOf finds the kind of K; ok is false where only Space.Key can tell.
func kindOf[K comparable]() (kind keyKind, ok bool) {
	switch t := reflect.TypeFor[K](); t.Kind() {
	case reflect.String:
		return keyText, true
	case reflect.Int64, reflect.Uint64, reflect.Int, reflect.Uint:
		return keyWord, t.Size() == 8
	case reflect.Array:
		return keyBytes, t.Elem().Kind() == reflect.Uint8
	}
	return keyCoded, false
}

// key returns k for the layers. It allocates for arrays, and what Space.Key does.
func (c *Cache[K, V]) key(k K) key {
	switch c.kind {
	case keyWord:
		return key{n: word(k)}
	case keyText:
		return key{s: *(*string)(unsafe.Pointer(&k))} // K's kind is string
	case keyBytes:
		return key{s: string(unsafe.Slice((*byte)(unsafe.Pointer(&k)), unsafe.Sizeof(k)))} // K's kind is [n]byte
	}
	return key{s: c.keyOf(k)}
}

// word returns a key whose kind is an integer of 8 bytes.
func word[K comparable](k K) int64 { return *(*int64)(unsafe.Pointer(&k)) }

// remoteText writes k as the remote layer knows it.
func (c *Cache[K, V]) remoteText(k key) string { return c.remoteKey("", k) }

// remoteKey writes k behind a prefix.
func (c *Cache[K, V]) remoteKey(prefix string, k key) string {
	if c.kind == keyWord {
		var digits [20]byte
		return prefix + c.name + ":" + string(strconv.AppendInt(digits[:0], k.n, 10))
	}
	return prefix + c.name + ":" + k.s
}

// text writes k as parseRemoteText reads it.
func (c *Cache[K, V]) text(k key) string {
	if c.kind == keyWord {
		return strconv.FormatInt(k.n, 10)
	}
	return k.s
}

// parseRemoteText is what remoteText wrote behind the name of the space.
func (c *Cache[K, V]) parseRemoteText(text string) (key, error) {
	if c.kind != keyWord {
		return key{s: text}, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return key{}, fmt.Errorf("%w: %q is not a number, as the keys of %s are", ErrKey, text, c.name)
	}
	return key{n: n}, nil
}

// hash places k on the fence.
func (c *Cache[K, V]) hash(k key) uint64 {
	if c.kind == keyWord {
		return c.mixWord(k.n) >> 16
	}
	return maphash.String(seed, k.s) ^ c.salt
}

// mixWord mixes the bits of a word by a multiplier of 2^64 over the golden ratio: the high bits are the good ones (Knuth, TAOCP
// 3, 6.4).
func (c *Cache[K, V]) mixWord(n int64) uint64 { return (uint64(n) ^ c.salt) * 0x9e3779b97f4a7c15 }

var seed = maphash.MakeSeed()
