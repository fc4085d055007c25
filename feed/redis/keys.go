package redis

import (
	"fmt"
	"strconv"
)

// keyspace names keys. All of a stripe lie in one slot of a cluster, by the hash tag.
type keyspace string

const stripeBits = 3

// stripes is how many parts holders are divided into: so many owners there can be.
const stripes = 1 << stripeBits

// stripeOf spreads ids, whose lower bits are a bucket and a sequence (Fibonacci hashing). A reader and the ring of the same user
// lie in one stripe.
func stripeOf(h holder) int {
	return int(uint64(max(h, -h)) * 0x9E3779B97F4A7C15 >> (64 - stripeBits))
}

func (k keyspace) in(stripe int, what string) string {
	return fmt.Sprintf("%s{t%x}%s", string(k), stripe, what)
}

func (k keyspace) log(stripe int) string   { return k.in(stripe, "log") }
func (k keyspace) lease(stripe int) string { return k.in(stripe, "owner") }

// timeline is under its epoch, so that what an owner writes who has lost the stripe is read by nobody.
func (k keyspace) timeline(epoch uint64, h holder) string {
	return k.in(stripeOf(h), strconv.FormatUint(epoch, 36)+":"+strconv.FormatInt(int64(h), 36))
}

// build is there while somebody builds a timeline; parcel is what the builder hands to the owner.
func (k keyspace) build(h holder) string {
	return k.in(stripeOf(h), "b:"+strconv.FormatInt(int64(h), 36))
}

func (k keyspace) parcel(h holder, kind byte, token uint64) string {
	return k.in(stripeOf(h), string(kind)+":"+strconv.FormatUint(token, 36))
}

func (k keyspace) nodes() string { return k.in(0, "nodes") }
