package memory

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/freshet/freshet"
)

// tombstones remembers posts that were removed, for as long as anything here
// may still hold them: a timeline, the in-flight set, a build whose source was
// read before the deletion.
type tombstones struct {
	mu    sync.Mutex // of those who add
	bound int
	table atomic.Pointer[table]
}

// table is a set of ids under open addressing, at most half full, that is read
// without a lock. It only grows; when it is full another takes its place, and
// a read keeps the one that it began with.
type table struct {
	used  atomic.Int64
	slots []atomic.Int64 // 0: free
}

func newTombstones(bound int) *tombstones {
	t := &tombstones{bound: bound}
	t.table.Store(new(table))
	return t
}

// view gives the set as a read must take it before it looks anywhere else.
func (t *tombstones) view() *table { return t.table.Load() }

// add enters posts. Where there is no room it calls overflow, which drops all
// that may hold what was removed so far, and only then forgets:
//
//	remove:  overflow: no timeline is left ─── a new, empty table
//	reader:     old table, any timeline   │  new table, timelines built after
func (t *tombstones) add(posts []freshet.ID, overflow func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range posts {
		in := t.table.Load()
		if in.has(id) {
			continue
		}
		switch {
		case in.slots == nil:
			in = newTable(t.bound)
			t.table.Store(in)
		case int(in.used.Load()) == t.bound:
			overflow()
			in = newTable(t.bound)
			t.table.Store(in)
		}
		in.add(id)
	}
}

func newTable(bound int) *table {
	return &table{slots: make([]atomic.Int64, 1<<bits.Len(uint(2*bound-1)))}
}

// has reports whether a post was removed.
func (t *table) has(id freshet.ID) bool {
	if t.used.Load() == 0 {
		return false
	}
	for i := t.slot(id); ; i = t.after(i) {
		switch t.slots[i].Load() {
		case int64(id):
			return true
		case 0:
			return false
		}
	}
}

func (t *table) add(id freshet.ID) {
	i := t.slot(id)
	for t.slots[i].Load() != 0 {
		i = t.after(i)
	}
	t.slots[i].Store(int64(id))
	t.used.Add(1)
}

func (t *table) slot(id freshet.ID) uint64 {
	return mix(id) >> (64 - bits.Len(uint(len(t.slots)-1)))
}

func (t *table) after(i uint64) uint64 { return (i + 1) & uint64(len(t.slots)-1) }
