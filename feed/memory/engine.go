package memory

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// Options configures an [Engine]. Source and Graph are needed; the zero value
// of every other field takes its default.
type Options struct {
	Mode   feed.Mode   // default Push
	Source feed.Source // where posts and followers come from
	Graph  feed.Graph  // whom a reader follows and hides

	Length     int // posts that a timeline holds, 4 bytes each; default 800
	Readers    int // timelines at most, the least recently read goes first; default 100,000
	InFlight   int // posts whose fan-out has not ended; default 10,000
	Chunk      int // readers between two looks at whether a fan-out is to go on; default 1,000
	Tombstones int // deleted posts remembered; default 65,536

	// Rings is how many authors' newest posts are kept for those who merge them at
	// read time, the least recently read go first; Ring is how many of each. Default
	// 100,000 and 64. Negative in mode Pull: none, and every page is the source's.
	// That is for several processes, which do not hear of each other's posts, and
	// for a store that may commit a post whose writer hears nothing: what nobody
	// publishes and no fan-out names enters no ring.
	Rings, Ring int
	Threshold   int // followers from which mode Hybrid does not push; default 10,000

	Costs feed.Costs       // by which mode Adaptive decides; default feed.MemoryCosts()
	Now   func() time.Time // default time.Now

	// Posts bounds the different posts in all timelines and rings, at most 38 bytes
	// each. By default there is one for every 4 entries of full timelines and one
	// for each of full rings, and no fewer than 65,536.
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
	def(&o.Ring, 64)
	def(&o.Threshold, 10_000)
	if o.Costs == (feed.Costs{}) {
		o.Costs = feed.MemoryCosts()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rings == 0 {
		o.Rings = 100_000
	}
	def(&o.Posts, max(o.Readers*o.Length/4+max(0, o.Rings)*o.Ring, 65_536))
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
	shards     []shard // timelines, by reader
	rings      []shard // rings, by author; none where every page is the source's
	all        []shard // both
	audiences  *audiences

	reads, writes *feed.Rates // by reader, by author; in mode Adaptive

	delivered, fromMemory, pulled, voided atomic.Int64
}

var _ feed.Engine = (*Engine)(nil)

// New makes an engine that holds nothing yet. It panics if there is no such
// mode, if it has to merge rings and may keep none, and for costs that are none.
func New(o Options) *Engine {
	o = o.withDefaults()
	switch {
	case !slices.Contains([]feed.Mode{feed.Push, feed.Pull, feed.Hybrid, feed.Adaptive}, o.Mode):
		panic(fmt.Sprintf("feed/memory: no mode %q", o.Mode))
	case (o.Mode == feed.Hybrid || o.Mode == feed.Adaptive) && o.Rings < 0:
		panic(fmt.Sprintf("feed/memory: mode %q without rings", o.Mode))
	}
	if err := o.Costs.Check(); err != nil {
		panic("feed/memory: " + err.Error())
	}
	posts := newPosts(o.Posts)
	e := &Engine{
		o:        o,
		inFlight: newInFlight(o.InFlight),
		removed:  newTombstones(o.Tombstones),
		posts:    posts,
	}
	e.all = newShards(min(o.Readers, shardCount*(maxReaders/2)), posts)
	timelines := len(e.all)
	if o.Rings > 0 && o.Mode != feed.Push {
		e.all = append(e.all, newShards(o.Rings, posts)...)
	}
	e.shards, e.rings = e.all[:timelines], e.all[timelines:]
	if o.Mode == feed.Adaptive {
		e.reads, e.writes = feed.NewRates(o.Now(), feed.RatesOptions{}), feed.NewRates(o.Now(), feed.RatesOptions{})
	}
	e.audiences = newAudiences(func(h handle, author freshet.ID, generation uint64) bool {
		return e.shards[h.shard()].wants(h, author, generation)
	})
	return e
}

// Page gives a page of a reader's home feed.
func (e *Engine) Page(ctx context.Context, q feed.Query) (feed.Page, error) {
	dead := e.removed.view()
	relations, err := e.o.Graph.Relations(ctx, q.Reader)
	if err != nil {
		return feed.Page{}, fmt.Errorf("read relations of %s: %w", q.Reader, err)
	}
	s := newPage(q, relations, dead)
	if e.reads != nil && s.FromTop {
		e.reads.Add(q.Reader, 1, e.o.Now())
	}
	switch {
	case e.o.Mode != feed.Pull:
		err = e.read(ctx, &s)
	case len(e.rings) > 0:
		err = e.merge(ctx, &s, s.Relations.Following)
	default:
		err = e.pull(ctx, &s)
	}
	if err != nil {
		return feed.Page{}, fmt.Errorf("read feed of %s: %w", q.Reader, err)
	}
	return s.Page(), nil
}

// Publish makes a committed post part of every read from here on.
func (e *Engine) Publish(post freshet.PostRef) {
	if e.writes != nil {
		e.writes.Add(post.Author, 1, e.o.Now())
	}
	if len(e.rings) > 0 {
		e.enterRing(post)
	}
	if e.o.Mode == feed.Pull {
		return // a ring has it, or the source
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
	for i := range e.all {
		e.all[i].clear()
	}
	e.audiences.forget(e.generation.Load())
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
	for i := range e.rings {
		rings, _ := e.rings[i].size()
		s.Rings += rings
	}
	s.Audience = e.audiences.size()
	return s
}
