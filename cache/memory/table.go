package memory

import (
	"container/list"
	"time"

	"github.com/freshet/freshet/cache/internal/record"
)

// itemBytes is what a record takes besides its key and its value: itself, its place in a list, and its share of a map of
// which a third is empty.
const itemBytes = 320

// table keeps records within a bound in bytes. It is not safe for concurrent use.
//
//	live    records with a value or a lease, the one used longest ago last
//	fences  tombstones, in the order in which they came; the first to come is the first to go
//
// A live record that is evicted becomes a tombstone if it bears a fence. Only where nothing live is left does a tombstone
// go before its end.
type table struct {
	items        map[string]*list.Element // of *item
	live, fences *list.List
	bytes, most  int64
	lost         uint64 // tombstones evicted before their end
}

type item struct {
	key    string
	record record.Record
	bytes  int64
	in     *list.List
}

func newTable(most int64) table {
	return table{items: make(map[string]*list.Element), live: list.New(), fences: list.New(), most: most}
}

// get returns what is in force under a key, and marks it as used.
func (t *table) get(key string, now time.Time) record.Record {
	e, ok := t.items[key]
	if !ok {
		return record.Record{}
	}
	it := e.Value.(*item)
	if it.in == t.live {
		t.live.MoveToFront(e)
	}
	return it.record.At(now)
}

// put stores a record in place of what is under its key; the zero Record removes it.
func (t *table) put(key string, r record.Record, now time.Time) {
	if e, ok := t.items[key]; ok {
		t.remove(e)
	}
	if r.End() != 0 {
		t.add(key, r)
	}
	t.expire(now)
	for t.bytes > t.most {
		t.evict(now)
	}
}

// tooLarge tells whether a record can't be kept even alone.
func (t *table) tooLarge(key string, r record.Record) bool { return size(key, r) > t.most }

func (t *table) add(key string, r record.Record) {
	it := &item{key: key, record: r, bytes: size(key, r), in: t.live}
	if r.LeaseUntil == 0 && r.ValueUntil == 0 {
		it.in = t.fences
	}
	t.items[key] = it.in.PushFront(it)
	t.bytes += it.bytes
}

func (t *table) remove(e *list.Element) {
	it := e.Value.(*item)
	it.in.Remove(e)
	delete(t.items, it.key)
	t.bytes -= it.bytes
}

// expire removes tombstones that have ended, a few at a time: two for each that comes, so that they can't gather.
func (t *table) expire(now time.Time) {
	for range 2 {
		e := t.fences.Back()
		if e == nil || e.Value.(*item).record.End() > now.UnixNano() {
			return
		}
		t.remove(e)
	}
}

// evict makes room by one record.
func (t *table) evict(now time.Time) {
	if e := t.live.Back(); e != nil {
		it := e.Value.(*item)
		t.remove(e)
		if fence := it.record.At(now).Fenced(); fence.End() != 0 {
			t.add(it.key, fence)
		}
		return
	}
	e := t.fences.Back()
	if e.Value.(*item).record.End() > now.UnixNano() {
		t.lost++
	}
	t.remove(e)
}

func size(key string, r record.Record) int64 { return itemBytes + int64(len(key)+len(r.Value)) }
