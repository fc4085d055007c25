package redis

import (
	"encoding/hex"
	"hash/crc32"
	"strings"
	"unsafe"

	"github.com/freshet/freshet/cache"
)

// keyspace names keys of Redis. It is the prefix of all.
type keyspace string

const hexDigits = "0123456789abcdef"

// tagLen is the length of {h}, the hash tag of a cache key.
const tagLen = 5

// tag is {h} of a cache key: what two keys of Redis share that are to be in one slot. Three digits spread keys over 4,096
// slots; the whole key cannot be the tag, since one that holds a brace would be cut there (Redis Cluster specification,
// "Hash tags").
func tag(key string) [tagLen]byte {
	sum := crc32.ChecksumIEEE(unsafe.Slice(unsafe.StringData(key), len(key))) // it only reads them
	return [tagLen]byte{'{', hexDigits[sum>>8&15], hexDigits[sum>>4&15], hexDigits[sum&15], '}'}
}

// under allocates once: it is on the way of every hit.
func (p keyspace) under(kind, key string) string {
	t := tag(key)
	return string(p) + kind + string(t[:]) + key
}

func (p keyspace) record(key string) string    { return p.under("v:", key) }
func (p keyspace) tombstone(key string) string { return p.under("t:", key) }
func (p keyspace) mark(key string) string      { return p.under("m:", key) }
func (p keyspace) holder(h cache.ID) string    { return string(p) + "h:" + hex.EncodeToString(h[:]) }

// tracked is the prefix that the channel is told of.
func (p keyspace) tracked() string { return string(p) + "t:" }

// What is one for the whole layer lies in one slot, on the control master.
func (p keyspace) meta() string    { return string(p) + "{tags}meta" }
func (p keyspace) log() string     { return string(p) + "{tags}log" }
func (p keyspace) applied() string { return string(p) + "{tags}applied" }
func (p keyspace) nodes() string   { return string(p) + "{tags}nodes" }
func (p keyspace) pulse() string   { return string(p) + "t:{tags}s" }
func (p keyspace) advance() string { return string(p) + "t:{tags}a" }
func (p keyspace) tagged() string  { return string(p) + "t:{tags}t" }

// What a push is about.
type pushed struct {
	key   string // of a tombstone
	tag   string // of a tag's pulse, if tagged
	kind  pushKind
	valid bool
}

type pushKind uint8

const (
	ofKey pushKind = iota
	ofTag
	ofConfirm
	ofAdvance
)

// parse tells what a pushed key of Redis stands for.
func (p keyspace) parse(raw string) pushed {
	rest, found := strings.CutPrefix(raw, p.tracked())
	if !found {
		return pushed{}
	}
	if own, found := strings.CutPrefix(rest, "{tags}"); found {
		switch {
		case own == "s":
			return pushed{kind: ofConfirm, valid: true}
		case own == "a":
			return pushed{kind: ofAdvance, valid: true}
		case strings.HasPrefix(own, "t"):
			return pushed{kind: ofTag, tag: own[1:], valid: true}
		}
		return pushed{}
	}
	if len(rest) < tagLen || rest[0] != '{' || rest[tagLen-1] != '}' {
		return pushed{}
	}
	return pushed{kind: ofKey, key: rest[tagLen:], valid: true}
}
