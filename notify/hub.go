package notify

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Options says what a [Hub] works with. Shards and Relations are required; other zero fields take their defaults.
type Options struct {
	Shards int // whose feeds are published
	// Relations gives a reader's relations as they were at a position, or later.
	Relations func(ctx context.Context, reader freshet.ID, at position.Token) (*freshet.Relations, error)

	Keep    int              // events in the ring; default 65,536
	KeepFor time.Duration    // how long they stay there; default 5 min
	Streams int              // at once; default 10,000
	PerUser int              // of one user; default 10
	Now     func() time.Time // default time.Now
}

func (o Options) withDefaults() Options {
	def := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	def(&o.Shards, 1)
	def(&o.Keep, 65_536)
	def(&o.Streams, 10_000)
	def(&o.PerUser, 10)
	if o.KeepFor <= 0 {
		o.KeepFor = 5 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Hub tells streams what they watch for. Methods are safe for concurrent use.
type Hub struct {
	options Options
	newest  atomic.Uint64 // number of the event to come
	metrics metrics

	mu        sync.Mutex
	ring      ring
	now       vector        // what was heard of each shard
	floor     vector        // all events after it are in the ring
	current   []bool        // shards of which all was heard, once
	caughtUp  int           // how many that are
	ready     chan struct{} // closed while that is all of them
	readers   map[freshet.ID]*reader
	followers map[freshet.ID][]*reader // of those whose relations are known, by whom they follow; and by themselves
	wide      map[*reader]struct{}     // who follow too many to be in followers
	streams   int
	stale     []*reader     // whose relations are to be read; each once
	wake      chan struct{} // a signal that there are some
	drained   bool
}

// New makes a hub. Nothing is told before [Hub.Begin] and without [Hub.Run].
func New(o Options) *Hub {
	o = o.withDefaults()
	return &Hub{
		options: o, ring: newRing(o.Keep),
		now: make(vector, o.Shards), floor: make(vector, o.Shards), current: make([]bool, o.Shards), ready: make(chan struct{}),
		readers: make(map[freshet.ID]*reader), followers: make(map[freshet.ID][]*reader), wide: make(map[*reader]struct{}),
		wake: make(chan struct{}, 1),
	}
}

// Begin says that all that a shard's feed has after a position is going to be published. Streams are let in once it was all.
func (h *Hub) Begin(shard int, after position.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now[shard] = place{after, whole}
	h.floor[shard] = h.now[shard]
}

// Lost says that changes of a shard will not be told. Streams are ended, and who comes back begins with a reset. Begin goes on.
func (h *Hub) Lost(shard int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.ring.base < h.ring.next {
		h.evict()
	}
	if h.caughtUp == len(h.now) {
		h.ready = make(chan struct{})
	}
	if h.current[shard] {
		h.current[shard] = false
		h.caughtUp--
	}
	h.cut(errLost, func(*Stream) bool { return true })
}

// Publish tells changes of a shard's feed, in its order, all those of a position together. upTo, if it is not zero, is a
// position up to which that was all. Changes that are old were published by an earlier run of this node; those who resume may
// still lack them. It never waits for a reader or for the store.
func (h *Hub) Publish(shard int, changes []store.Change, upTo position.Position, old bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.options.Now()
	for h.ring.base < h.ring.next && now.Sub(h.ring.at(h.ring.base).heard) > h.options.KeepFor {
		h.evict()
	}
	for _, c := range changes {
		if h.now[shard].has(c.At) {
			continue // it is told again
		}
		h.now[shard] = h.now[shard].after(c.At)
		if e := eventOf(c); e != nil {
			e.ID, e.shard, e.place, e.heard, e.old = h.now.text(), shard, h.now[shard], now, old
			h.add(e)
		}
		h.note(shard, c)
	}
	h.now[shard].n = whole
	if !upTo.IsZero() {
		h.reach(shard, place{upTo, whole})
	}
}

// reach notes that all of a shard was heard up to a place. The lock is held, as in what follows.
func (h *Hub) reach(shard int, all place) {
	if h.now[shard].before(all) {
		h.now[shard] = all
	}
	if h.current[shard] {
		return
	}
	h.current[shard] = true
	if h.caughtUp++; h.caughtUp == len(h.now) {
		close(h.ready)
	}
}

// add puts an event into the ring and the queues.
func (h *Hub) add(e *Event) {
	if h.ring.full() {
		h.evict()
	}
	h.ring.push(e)
	h.newest.Store(h.ring.next)
	if h.ring.next-h.ring.base > framesKept {
		h.ring.at(h.ring.next - framesKept - 1).frame.Store(nil)
	}
	h.deliver(e)
}

func (h *Hub) evict() {
	e := h.ring.pop()
	if h.floor[e.shard].before(e.place) {
		h.floor[e.shard] = e.place
	}
}

// deliver hands an event to those who keep up. Who is behind finds it in the ring.
func (h *Hub) deliver(e *Event) {
	if e.Kind == Notified {
		if r := h.readers[e.User]; r != nil {
			h.offer(r, e)
		}
		return
	}
	for _, r := range h.followers[e.Author] {
		h.offer(r, e)
	}
	for r := range h.wide {
		if r.relations.Follows(e.Author) {
			h.offer(r, e)
		}
	}
}

func (h *Hub) offer(r *reader, e *Event) {
	if r.relations == nil || r.relations.Hides(e.Author) {
		return
	}
	for _, s := range r.streams {
		s.push(e)
	}
}

// concerns reports whether a reader whose relations are known is to be told an event.
func (r *reader) concerns(e *Event) bool {
	if e.Kind == Notified {
		return e.User == r.id
	}
	return e.everyone || (e.Author == r.id || r.relations.Follows(e.Author)) && !r.relations.Hides(e.Author)
}

// note does what a change means for those who watch.
func (h *Hub) note(shard int, c store.Change) {
	switch c.Kind {
	case store.FollowChanged, store.MuteChanged:
		h.outdate(c.Subject)
	case store.BlockChanged:
		h.outdate(c.Subject, c.Object)
	case store.Imported:
		h.outdate(c.Also...)
	case store.UserErased:
		h.eraseAuthor(shard, c)
		h.outdate(c.Also...)
		h.cut(errRevoked, func(s *Stream) bool { return s.watcher.User == c.Subject })
	case store.SessionEnded:
		h.cut(errRevoked, func(s *Stream) bool { return s.watcher.Session == c.Subject })
	case store.KeyRevoked:
		h.cut(errRevoked, func(s *Stream) bool { return s.watcher.Key == c.Subject })
	}
}

// eraseAuthor has the deletions that an erasure brings with it told to whoever may have seen the posts: nobody follows the
// author any more.
func (h *Hub) eraseAuthor(shard int, c store.Change) {
	for seq := h.ring.next; seq > h.ring.base; seq-- {
		e := h.ring.at(seq - 1)
		if e.shard != shard {
			continue
		}
		if e.place.at != c.At {
			return
		}
		if e.Kind == Deleted && e.Author == c.Subject {
			e.everyone = true
		}
	}
}

// Drain ends all streams, and lets nobody in any more: the node stops.
func (h *Hub) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drained = true
	h.cut(errDrained, func(*Stream) bool { return true })
}

func (h *Hub) cut(why error, which func(*Stream) bool) {
	for _, r := range h.readers {
		for _, s := range r.streams {
			if s.err == nil && which(s) {
				s.end(why)
				h.metrics.cut.Add(1)
			}
		}
	}
}
