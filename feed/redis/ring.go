package redis

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/freshet/freshet"
)

// ring is a timeline as it lies in Redis: ids of 8 bytes in a circle, in the order in which they arrived. Its owner knows where
// the next goes and writes nothing else, so a delivery is one SETRANGE. Where the newest is, a reader sees from the ids.
//
//	0   4      5      8      16     24      28       32    40     48                              n-8
//	FT01 flags ───── │token │floor │places │merged  │made │reads │ id id id …  │ merged authors … │ 10TF
//
// The end is never written to, so the length that SETRANGE answers tells whether the ring was still there.
type ring struct {
	token  uint64
	all    bool         // every author is merged: there are no entries
	floor  freshet.ID   // complete for ids from here on when it was filled; 0: it held the whole feed
	places int          // room for so many ids
	ids    []freshet.ID // as they lie: zero where nothing has been written
	merged []freshet.ID // authors whose posts are not delivered here; ids rise
	made   time.Time    // when the plan was made by which it is kept; to the second
	reads  float64      // pages an hour the reader read then
}

const (
	ringHead = 48
	ringTail = 8
	ringMin  = 16

	ringMagic = "FT01"
	ringEnd   = "10TF10TF"

	flagAll = 1
)

// placesFor is the room of a ring for n ids: it doubles up to length.
func placesFor(n, length int) int {
	places := ringMin
	for places < n {
		places *= 2
	}
	return min(places, length)
}

// offset is where the i-th id lies.
func offset(i int) int { return ringHead + 8*i }

func (r *ring) size() int { return offset(r.places) + 8*len(r.merged) + ringTail }

func (r *ring) encode() []byte {
	b := make([]byte, offset(0), r.size())
	copy(b, ringMagic)
	if r.all {
		b[4] = flagAll
	}
	binary.BigEndian.PutUint64(b[8:], r.token)
	binary.BigEndian.PutUint64(b[16:], uint64(r.floor))
	binary.BigEndian.PutUint32(b[24:], uint32(r.places))
	binary.BigEndian.PutUint32(b[28:], uint32(len(r.merged)))
	if !r.made.IsZero() {
		binary.BigEndian.PutUint64(b[32:], uint64(r.made.Unix()))
	}
	binary.BigEndian.PutUint64(b[40:], math.Float64bits(r.reads))
	b = appendIDs(b, r.ids)
	b = append(b, make([]byte, 8*(r.places-len(r.ids)))...)
	return append(appendIDs(b, r.merged), ringEnd...)
}

func appendIDs(b []byte, ids []freshet.ID) []byte {
	for _, id := range ids {
		b = binary.BigEndian.AppendUint64(b, uint64(id))
	}
	return b
}

func takeIDs(text string, n int) []freshet.ID {
	ids := make([]freshet.ID, n)
	for i := range ids {
		ids[i] = freshet.ID(number(text[8*i:]))
	}
	return ids
}

// parseRing reads a ring. ok is false for what is none: what a late delivery has made of one that was gone, for instance.
func parseRing(text string) (r ring, ok bool) {
	if len(text) < ringHead+ringTail || text[:4] != ringMagic || text[len(text)-ringTail:] != ringEnd {
		return ring{}, false
	}
	places, merged := int(binary.BigEndian.Uint32([]byte(text[24:28]))), int(binary.BigEndian.Uint32([]byte(text[28:32])))
	if len(text) != offset(places)+8*merged+ringTail {
		return ring{}, false
	}
	r = ring{
		token: number(text[8:]), all: text[4] == flagAll, floor: freshet.ID(number(text[16:])), places: places,
		reads: math.Float64frombits(number(text[40:])),
	}
	if made := number(text[32:]); made != 0 {
		r.made = time.Unix(int64(made), 0)
	}
	r.ids, r.merged = takeIDs(text[ringHead:], places), takeIDs(text[offset(places):], merged)
	return r, true
}

// posts gives the ids from the newest, each once, and the one from which on they are complete. It changes the ring.
//
// Ids arrive nearly in their order: each at most disorder below the highest that came before it (see stripe.late). What was
// overwritten came before the lowest that is here, so it lies at most disorder above that.
func (r *ring) posts(disorder freshet.ID) (ids []freshet.ID, floor freshet.ID) {
	ids, floor = r.ids, r.floor
	if free := slices.Index(ids, 0); free >= 0 {
		ids = slices.DeleteFunc(ids, func(id freshet.ID) bool { return id == 0 })
		slices.Sort(ids)
	} else if len(ids) > 0 {
		newest := 0
		for i, id := range ids {
			if id > ids[newest] {
				newest = i
			}
		}
		slices.Reverse(ids[:newest+1]) // what is left to sort is nearly sorted
		slices.Reverse(ids[newest+1:])
		slices.Reverse(ids)
		slices.Sort(ids)
		floor = max(floor, ids[0]+disorder+1)
	}
	slices.Reverse(ids)
	return slices.Compact(ids), floor
}

// fill makes the ids of a ring from what a pull gave (ids fall) and what was collected meanwhile, in the order of their arrival.
func (r *ring) fill(pulled, collected []freshet.ID, length int) {
	all := slices.Concat(pulled, collected)
	slices.SortFunc(all, func(a, b freshet.ID) int { return cmp.Compare(a, b) })
	all = slices.Compact(all)
	if len(all) > length {
		all = all[len(all)-length:]
		r.floor = max(r.floor, all[0])
	}
	r.ids, r.places = all, placesFor(len(all)+1, length) // one that is full looks as if something had been overwritten
}
