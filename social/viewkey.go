package social

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/store"
)

// viewKey is what is added up in the journal: views of a post in an hour, or
// one reader of a post.
type viewKey struct {
	post   freshet.ID
	hour   freshet.Hour // 0: of a reader
	reader uint64       // hash; 0: views of an hour
}

// mix spreads the bits of a number evenly, no two numbers to the same (Steele et
// al., Fast Splittable Pseudorandom Number Generators, 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// readerHash is a reader as the journal and the store know it: nothing in them
// names who saw what.
func readerHash(post, reader freshet.ID) uint64 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(post))
	binary.BigEndian.PutUint64(b[8:], uint64(reader))
	sum := sha256.Sum256(b[:])
	return max(1, binary.BigEndian.Uint64(sum[:8]))
}

// viewBatchOf gathers what a batch says of each post; its entries are sorted by
// post.
func viewBatchOf(b cache.Batch[viewKey, int64]) store.ViewBatch {
	out := store.ViewBatch{Journal: b.ID.Journal, Seq: b.ID.Seq}
	for _, e := range b.Entries {
		if n := len(out.Posts); n == 0 || out.Posts[n-1].Post != e.Key.post {
			out.Posts = append(out.Posts, store.ViewedPost{Post: e.Key.post})
		}
		p := &out.Posts[len(out.Posts)-1]
		if e.Key.reader != 0 {
			p.Readers = append(p.Readers, e.Key.reader)
			continue
		}
		p.Hours = append(p.Hours, store.ViewedHour{Hour: e.Key.hour, Views: e.Value})
	}
	return out
}

// viewKeys writes keys so that those of a post stand together.
type viewKeys struct{}

const viewKeySize = 8 + 8 + 8

func (viewKeys) Append(buf []byte, k viewKey) ([]byte, error) {
	buf = binary.BigEndian.AppendUint64(buf, uint64(k.post))
	buf = binary.BigEndian.AppendUint64(buf, uint64(k.hour))
	return binary.BigEndian.AppendUint64(buf, k.reader), nil
}

func (viewKeys) Decode(data []byte) (k viewKey, err error) {
	if len(data) != viewKeySize {
		return k, fmt.Errorf("a key of %d bytes", len(data))
	}
	return viewKey{
		post:   freshet.ID(binary.BigEndian.Uint64(data)),
		hour:   freshet.Hour(binary.BigEndian.Uint64(data[8:])),
		reader: binary.BigEndian.Uint64(data[16:]),
	}, nil
}
