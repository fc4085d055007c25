package memory

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// Options configures an [Engine]. Source and Graph are needed; the zero value
// of every other field takes its default.
type Options struct {
	Mode   feed.Mode   // Push or Pull; default Push
	Source feed.Source // where posts and followers come from
	Graph  feed.Graph  // whom a reader follows and hides

	Length     int // posts that a timeline holds, 4 bytes each; default 800
	Readers    int // timelines at most, the least recently read goes first; default 100,000
	InFlight   int // posts whose fan-out has not ended; default 10,000
	Chunk      int // followers between two checkpoints of a fan-out; default 1,000
	Tombstones int // deleted posts remembered; default 65,536

	// Posts bounds the different posts in all timelines, at most 38 bytes each. By
	// default there is one for every 16 entries of full timelines, and no fewer
	// than 65,536.
	Posts int
}

func (o Options) withDefaults() Options {
	def := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	def(&o.Length, 800)
	def(&o.Readers, 100_000)
	def(&o.InFlight, 10_000)
	def(&o.Chunk, 1_000)
	def(&o.Tombstones, 65_536)
	def(&o.Posts, max(o.Readers*o.Length/16, 65_536))
	o.Posts = min(o.Posts, 1<<30)
	if o.Mode == "" {
		o.Mode = feed.Push
	}
	return o
}

// Engine is a [feed.Engine] whose timelines live in this process.
type Engine struct {
	o          Options
	generation atomic.Uint64 // how often everything was dropped; changes under all stripes of inFlight
	inFlight   *inFlight
	removed    *tombstones
	posts      *posts
	shards     []shard

	delivered, fromMemory, pulled, voided atomic.Int64
}

var _ feed.Engine = (*Engine)(nil)

// New makes an engine that holds nothing yet. It panics if the mode is neither
// push nor pull.
func New(o Options) *Engine {
	o = o.withDefaults()
	if o.Mode != feed.Push && o.Mode != feed.Pull {
		panic(fmt.Sprintf("feed/memory: no mode %q", o.Mode))
	}
	posts := newPosts(o.Posts)
	return &Engine{
		o:        o,
		inFlight: newInFlight(o.InFlight),
		removed:  newTombstones(o.Tombstones),
		posts:    posts,
		shards:   newShards(o.Readers, posts),
	}
}

// Page gives a page of a reader's home feed.
func (e *Engine) Page(ctx context.Context, q feed.Query) (feed.Page, error) {
	dead := e.removed.view()
	relations, err := e.o.Graph.Relations(ctx, q.Reader)
	if err != nil {
		return feed.Page{}, fmt.Errorf("read relations of %s: %w", q.Reader, err)
	}
	s := newScan(q, relations, dead)
	if e.o.Mode == feed.Pull {
		err = e.pull(ctx, &s)
	} else {
		err = e.read(ctx, &s)
	}
	if err != nil {
		return feed.Page{}, fmt.Errorf("read feed of %s: %w", q.Reader, err)
	}
	return s.page(), nil
}

// Publish makes a committed post part of every read from here on.
func (e *Engine) Publish(post freshet.PostRef) {
	if e.o.Mode == feed.Pull {
		return // a pull finds it
	}
	if !e.inFlight.enter(post) {
		// Without timelines a post need not be in flight: every read that begins from
		// here on pulls, and the post was committed before.
		e.voided.Add(1)
		e.VoidAll()
	}
}

// Remove takes posts out of every read from here on.
func (e *Engine) Remove(posts ...freshet.ID) {
	e.removed.add(posts, func() {
		e.voided.Add(1)
		e.VoidAll()
	})
}

// Void drops readers' timelines, also those that are being built: a build reads
// follows at some moment that may lie before their change.
//
//	build:   opens timeline ── source reads follows ──────────── installs? no: not in its shard any more
//	writer:                            commit follow ── Void
func (e *Engine) Void(readers ...freshet.ID) {
	for _, r := range readers {
		e.shard(r).remove(r)
	}
}

// VoidAll drops every timeline, and with them the need for posts in flight.
//
// The generation ends before posts leave the in-flight set: who misses them
// there meets no timeline of before. It ends while no post can enter: a post
// that stays out was committed before every build of the next generation.
func (e *Engine) VoidAll() {
	e.inFlight.clear(func() { e.generation.Add(1) })
	for i := range e.shards {
		e.shards[i].clear()
	}
}

// Stats tells what the engine holds.
func (e *Engine) Stats() feed.Stats {
	s := feed.Stats{
		InFlight:   int(e.inFlight.posts.Load()),
		Delivered:  e.delivered.Load(),
		FromMemory: e.fromMemory.Load(),
		Pulled:     e.pulled.Load(),
		Voided:     e.voided.Load(),
	}
	for i := range e.shards {
		timelines, entries := e.shards[i].size()
		s.Timelines += timelines
		s.Entries += entries
	}
	return s
}
