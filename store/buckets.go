package store

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/freshet/freshet"
)

// Buckets is a set of buckets; the zero value is empty. Two of them compare by ==.
type Buckets [freshet.Buckets / 64]uint64

// AllBuckets is every bucket.
func AllBuckets() (b Buckets) {
	for i := range b {
		b[i] = ^uint64(0)
	}
	return b
}

// ParseBuckets reads numbers and ranges between commas, or "all": "7,0-511".
func ParseBuckets(s string) (b Buckets, err error) {
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "all" {
			b = AllBuckets()
			continue
		}
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || from < 0 || to >= freshet.Buckets || from > to {
			return Buckets{}, fmt.Errorf("buckets: %q is no bucket (0 to %d), range (0-511) or %q", part, freshet.Buckets-1, "all")
		}
		for n := from; n <= to; n++ {
			b.Add(n)
		}
	}
	return b, nil
}

// Has reports whether a bucket is in the set.
func (b *Buckets) Has(bucket int) bool { return b[bucket/64]>>(bucket%64)&1 == 1 }

// Add puts a bucket into the set.
func (b *Buckets) Add(bucket int) { b[bucket/64] |= 1 << (bucket % 64) }

// Remove takes a bucket out of the set.
func (b *Buckets) Remove(bucket int) { b[bucket/64] &^= 1 << (bucket % 64) }

// Len is how many buckets are in the set.
func (b *Buckets) Len() (n int) {
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}

// Complement is every bucket that is not in the set.
func (b *Buckets) Complement() (rest Buckets) {
	for i, word := range b {
		rest[i] = ^word
	}
	return rest
}

// List is the numbers in the set, rising.
func (b *Buckets) List() (list []int) {
	for n := range freshet.Buckets {
		if b.Has(n) {
			list = append(list, n)
		}
	}
	return list
}

// String is what [ParseBuckets] reads; "" for none.
func (b Buckets) String() string {
	if b == AllBuckets() {
		return "all"
	}
	var parts []string
	for n := 0; n < freshet.Buckets; n++ {
		if !b.Has(n) {
			continue
		}
		last := n
		for last+1 < freshet.Buckets && b.Has(last+1) {
			last++
		}
		part := strconv.Itoa(n)
		if last > n {
			part += "-" + strconv.Itoa(last)
		}
		parts, n = append(parts, part), last
	}
	return strings.Join(parts, ",")
}
