package cache

import (
	"runtime"
	"sync"
	"sync/atomic"
	"weak"
)

// A tag joins entries that end together, whatever their keys and spaces. Its epoch is the number of its last fence: numbers
// are drawn from one sequence for all tags, and an entry bears the number that its node knew when its load began. It is
// valid while none of its tags has a higher one:
//
//	node:    knows 7 ── load begins (7) ──────────────── fills: 7 ── read: 8 > 7, a miss
//	writer:                    source = v2 ── tag = 8 ──┘
//
// So a fence of a tag with a million entries is one write, and a read compares numbers that are in memory.
type tag struct {
	last atomic.Uint64
	seq  atomic.Uint64 // what tags.fences was behind its last fence
}

// tagged reports whether no tag has been fenced since epoch.
func tagged(tags []*tag, epoch uint64) bool {
	for _, t := range tags {
		if t.last.Load() > epoch {
			return false
		}
	}
	return true
}

// tagsKept is how many fenced tags a node remembers by name. Of an older one it knows only that its epoch is at most the
// horizon, and takes it to be just that: an entry from before the horizon is then a miss too many, never one too few.
const tagsKept = 1 << 16

// tags are those that a node knows: the fenced ones, and those of entries in memory, which the map does not keep alive.
type tags struct {
	known  atomic.Uint64 // the epoch that loads begin with: all up to it have been told
	fences atomic.Uint64 // counts them, of whatever tag

	mu      sync.Mutex
	byName  map[string]weak.Pointer[tag]
	horizon uint64
	fenced  map[string]*tag
	owed    map[string]bool // fences of this node that the layer does not know of yet
	order   []fencedTag     // as they were told; from next on
	next    int
}

type fencedTag struct {
	name  string
	epoch uint64
}

func newTags() *tags {
	return &tags{byName: make(map[string]weak.Pointer[tag]), fenced: make(map[string]*tag), owed: make(map[string]bool)}
}

// intern returns the tags of names.
func (t *tags) intern(names []string) []*tag {
	if len(names) == 0 {
		return nil
	}
	list := make([]*tag, len(names))
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, name := range names {
		list[i] = t.find(name)
	}
	return list
}

// find returns the tag of name. The caller holds mu.
func (t *tags) find(name string) *tag {
	if found := t.byName[name].Value(); found != nil {
		return found
	}
	made := new(tag)
	made.last.Store(t.horizon)
	place := weak.Make(made)
	t.byName[name] = place
	runtime.AddCleanup(made, func(name string) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.byName[name] == place {
			delete(t.byName, name)
		}
	}, name)
	return made
}

// fence gives a tag an epoch; Unknown stands until the epoch that follows it.
func (t *tags) fence(name string, epoch uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raise(name, epoch)
}

// owe fences a tag until pay gives it the epoch of that fence, whatever other epochs it is given meanwhile.
func (t *tags) owe(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raise(name, Unknown)
	t.owed[name] = true
}

// pay gives a tag the epoch of a fence of this node.
func (t *tags) pay(name string, epoch uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.owed, name)
	t.raise(name, epoch)
}

// raise is fence for a caller who holds mu.
func (t *tags) raise(name string, epoch uint64) {
	defer t.fences.Add(1) // when the tag has its epoch
	tag := t.find(name)
	if old := tag.last.Load(); old == Unknown && !t.owed[name] || old < epoch {
		tag.last.Store(epoch)
	}
	tag.seq.Store(t.fences.Load() + 1)
	if epoch == Unknown {
		t.fenced[name] = tag // until it is known
		return
	}
	t.fenced[name] = tag
	t.order = append(t.order, fencedTag{name, epoch})
	for len(t.order)-t.next > tagsKept {
		t.drop(t.order[t.next])
		t.next++
	}
	if t.next > tagsKept {
		t.order, t.next = append([]fencedTag(nil), t.order[t.next:]...), 0
	}
}

// drop forgets a fenced tag unless it has been fenced again since. The caller holds mu.
func (t *tags) drop(f fencedTag) {
	if tag := t.fenced[f.name]; tag != nil && tag.last.Load() == f.epoch {
		delete(t.fenced, f.name)
		t.horizon = max(t.horizon, f.epoch)
	}
}

// draw fences names with the next epoch of this node, where no remote layer draws them.
func (t *tags) draw(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	epoch := t.known.Load() + 1
	for _, name := range names {
		t.raise(name, epoch)
	}
	t.known.Store(epoch)
}

// told says that all epochs up to known have been told, but for those up to horizon.
func (t *tags) told(known, horizon uint64) {
	t.mu.Lock()
	if t.horizon < horizon {
		t.horizon = horizon
		for _, place := range t.byName { // they may have been fenced before this node was told of anything
			if tag := place.Value(); tag != nil {
				raise(&tag.last, horizon)
			}
		}
	}
	t.mu.Unlock()
	raise(&t.known, known)
}
