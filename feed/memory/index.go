package memory

import (
	"math/bits"

	"github.com/freshet/freshet"
)

// index is a set of numbers from 1 on, each under a tag of 32 bits: an
// open-addressing table with linear probing, at most three quarters full. One
// word holds tag and number, so that a look-up that finds nothing costs one
// line of memory. Tags are parts of hashes and may coincide; whoever looks up
// checks what the number stands for.
type index struct {
	words []uint64 // tag << 32 | number; 0: free
	shift uint8    // a tag's place is its uppermost bits
	used  int
}

const indexMin = 16

// tag is what an index knows of an id. The bits above it choose a shard or a
// part of the post table.
func tag(id freshet.ID) uint32 { return uint32(mix(id) >> (64 - max(shardBits, partBits) - 32)) }

// first gives the first number under a tag and the place to look on from; 0: none.
func (x *index) first(tag uint32) (number uint32, next int) {
	if len(x.words) == 0 {
		return 0, 0
	}
	return x.next(tag, int(tag>>x.shift))
}

// next gives the next number under a tag.
func (x *index) next(tag uint32, at int) (number uint32, next int) {
	mask := len(x.words) - 1
	for {
		word := x.words[at&mask]
		at++
		if word == 0 || uint32(word>>32) == tag {
			return uint32(word), at
		}
	}
}

func (x *index) add(tag, number uint32) {
	if x.used*4 >= len(x.words)*3 {
		x.grow()
	}
	x.used++
	x.put(uint64(tag)<<32 | uint64(number))
}

func (x *index) put(word uint64) {
	mask := len(x.words) - 1
	at := int(word >> 32 >> x.shift)
	for x.words[at&mask] != 0 {
		at++
	}
	x.words[at&mask] = word
}

func (x *index) grow() {
	old := x.words
	x.words = make([]uint64, max(indexMin, 2*len(old)))
	x.shift = uint8(32 - bits.TrailingZeros(uint(len(x.words))))
	for _, word := range old {
		if word != 0 {
			x.put(word)
		}
	}
}

// remove takes a number out, which must be there. What was pushed on by it
// moves back, so that there are no tombstones.
func (x *index) remove(tag, number uint32) {
	mask := len(x.words) - 1
	at := int(tag >> x.shift)
	for x.words[at&mask] != uint64(tag)<<32|uint64(number) {
		at++
	}
	x.used--
	hole := at & mask
	for at = hole + 1; ; at++ {
		word := x.words[at&mask]
		if word == 0 {
			x.words[hole] = 0
			return
		}
		// It may move if its own place does not lie between the hole and where it is.
		home := int(word >> 32 >> x.shift)
		if (at-home)&mask >= (at-hole)&mask {
			x.words[hole] = word
			hole = at & mask
		}
	}
}
