package memory

import (
	"testing"

	"github.com/freshet/freshet"
)

// rig is posts and timelines without an engine, so that a sweep can be
// stopped where its guards matter.
type rig struct {
	*testing.T
	posts  *posts
	shards []shard
	next   freshet.ID
}

func newRig(t *testing.T, bound, readers int) *rig {
	p := newPosts(bound)
	return &rig{T: t, posts: p, shards: newShards(readers, p), next: 1}
}

// post is one that the table does not know.
func (g *rig) post() freshet.PostRef {
	g.next++
	return freshet.PostRef{ID: g.next, Author: g.next + 1}
}

// build makes a reader's timeline of one post.
func (g *rig) build(reader freshet.ID, post freshet.PostRef) {
	g.Helper()
	h := &g.shards[0]
	h.mu.Lock()
	t := h.open(reader, 0)
	h.mu.Unlock()
	h.install(t, []freshet.PostRef{post}, true, 10)
	h.abandon(t)
	g.holds(reader, post)
}

func (g *rig) holds(reader freshet.ID, post freshet.PostRef) {
	g.Helper()
	var got [2]freshet.PostRef
	t := g.shards[0].find(reader)
	if t == nil {
		g.Fatalf("reader %s has no timeline", reader)
	}
	if n := t.below(1<<60, g.posts, got[:]); n != 1 || got[0] != post {
		g.Errorf("the timeline of %s holds %v, want %v", reader, got[:n], post)
	}
}

// fill gives all that is free away.
func (g *rig) fill() (given int) {
	for {
		o, ok := g.posts.pin(g.post())
		if !ok {
			return given
		}
		g.posts.unpin(o)
		given++
	}
}

// What is built behind the sweep's back stays.
func TestBuildDuringSweep(t *testing.T) {
	g := newRig(t, 1_000, 1_000)
	for r := freshet.ID(1); r <= 2*sweepStep; r++ {
		g.build(r, g.post())
	}
	g.posts.begin()
	g.posts.help(g.shards)
	g.shards[0].remove(1)
	post := g.post()
	g.build(1, post)
	g.posts.reclaim(g.shards)
	g.fill()
	g.holds(1, post)
	for r := freshet.ID(2); r <= 2*sweepStep; r++ {
		g.holds(r, freshet.PostRef{ID: r + 1, Author: r + 2})
	}
}

// A post whose ordinal is free but was not given away yet takes it back.
func TestPostIsFoundAgain(t *testing.T) {
	g := newRig(t, 100, 100)
	post := g.post()
	g.build(1, post)
	g.shards[0].remove(1)
	g.posts.begin()
	g.posts.reclaim(g.shards)
	g.build(2, post)
	if given := g.fill(); given != 99 {
		t.Errorf("%d of 100 were free beside one in use", given)
	}
	g.holds(2, post)
}

// Each cycle gives all away that no timeline holds.
func TestSweepFreesAll(t *testing.T) {
	g := newRig(t, 5_000, 100)
	for r := freshet.ID(1); r <= 50; r++ {
		g.build(r, g.post())
		g.fill()
		g.posts.reclaim(g.shards)
		g.posts.begin()
		g.posts.reclaim(g.shards)
		if used := g.posts.used; used != int(r) {
			t.Fatalf("after a sweep %d are in use, want %d", used, r)
		}
	}
	if given := g.fill(); given != 4_950 {
		t.Errorf("%d of 5,000 were free beside 50 in use", given)
	}
}

// A sweep has a part of the room left to end in.
func TestSweepBeginsEarly(t *testing.T) {
	g := newRig(t, 1_000, 100)
	pinned := 0
	for ; !g.posts.sweep.running.Load(); pinned++ {
		g.posts.pin(g.post())
	}
	if pinned > 750 {
		t.Errorf("the sweep begins at post %d of 1,000", pinned)
	}
}

// What the table keeps without need is as much as what timelines hold, though
// it may have far more.
func TestPostTableIsAsLargeAsNeeded(t *testing.T) {
	g := newRig(t, 1<<24, 100)
	for range 10 * firstGoal {
		o, _ := g.posts.pin(g.post())
		g.posts.unpin(o)
		g.posts.help(g.shards)
	}
	if made := g.posts.cursor; made > firstGoal {
		t.Errorf("for one post at a time the table has grown to %d", made)
	}
	known := 0
	for i := range g.posts.parts {
		known += g.posts.parts[i].used
	}
	if known > firstGoal {
		t.Errorf("a table of %d posts knows the ordinals of %d", firstGoal, known)
	}
}
