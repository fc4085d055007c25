package memory

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// FanOut delivers a post to those of its readers who have a timeline, and then
// ends its being in flight. Dormant readers get nothing: they pull when they
// return. The checkpoint is the edge after which to go on.
func (e *Engine) FanOut(ctx context.Context, post freshet.PostRef, p feed.Progress) error {
	if e.o.Mode == feed.Pull {
		return nil
	}
	if err := e.deliver(ctx, post, p); err != nil {
		return fmt.Errorf("fan out %s: %w", post.ID, err)
	}
	e.inFlight.land(post)
	return nil
}

func (e *Engine) deliver(ctx context.Context, post freshet.PostRef, p feed.Progress) error {
	generation := e.generation.Load() // before the post is known to live
	alive, err := e.alive(ctx, post)
	if err != nil || !alive {
		return err
	}
	o, ok := e.pin(post)
	if !ok {
		return nil // that ended the generation, and with it what could miss the post
	}
	defer e.posts.unpin(o)
	group := groups{post: post.ID, ordinal: o, generation: generation}
	e.enter(&group, freshet.Edge{User: post.Author})
	for before := position(p.Checkpoint()); ; {
		edges, err := e.o.Source.Followers(ctx, post.Author, before, e.o.Chunk)
		if err != nil {
			return err
		}
		e.enter(&group, edges...)
		if len(edges) < e.o.Chunk || e.generation.Load() != generation {
			return nil
		}
		before = edges[len(edges)-1].ID
		if err := p.Save(ctx, checkpoint(before)); err != nil {
			return err
		}
	}
}

// alive reports whether a post is still to be delivered. A tombstone may have
// been forgotten while the fan-out of its post waited; but then the post is not
// in flight any more either, and the store knows. A removal from here on
// leaves a tombstone that outlives every timeline of this generation.
func (e *Engine) alive(ctx context.Context, post freshet.PostRef) (bool, error) {
	if e.removed.view().has(post.ID) {
		return false, nil
	}
	if e.inFlight.has(post) {
		return true, nil
	}
	refs, err := e.home(ctx, post.Author, post.ID+1, 1)
	return len(refs) == 1 && refs[0].ID == post.ID, err
}

// pin gives the ordinal under which a post is delivered. Where the post table
// has no room for it, everything is dropped.
func (e *Engine) pin(post freshet.PostRef) (o ordinal, ok bool) {
	e.posts.help(e.shards)
	if o, ok = e.posts.pin(post); ok {
		return o, true
	}
	e.posts.reclaim(e.shards)
	if o, ok = e.posts.pin(post); !ok {
		e.voided.Add(1)
		e.VoidAll()
	}
	return o, ok
}

// groups is a delivery of one post, with memory for its followers by shard.
type groups struct {
	post       freshet.ID
	ordinal    ordinal
	generation uint64
	readers    []freshet.ID
}

// enter delivers to the users of edges, shard by shard (counting sort): each
// lock is taken once, and within a shard the waits for memory overlap.
func (e *Engine) enter(g *groups, edges ...freshet.Edge) {
	var ends [shardCount]int
	for _, edge := range edges {
		ends[e.shardOf(edge.User)]++
	}
	for i := 1; i < len(e.shards); i++ {
		ends[i] += ends[i-1]
	}
	g.readers = slices.Grow(g.readers[:0], len(edges))[:len(edges)]
	for _, edge := range edges {
		i := e.shardOf(edge.User)
		ends[i]--
		g.readers[ends[i]] = edge.User
	}
	delivered, end := 0, len(edges)
	for i := len(e.shards) - 1; i >= 0; i-- {
		if begin := ends[i]; begin < end {
			delivered += e.shards[i].deliver(g.readers[begin:end], g.ordinal, g.post, g.generation, e.o.Length)
			end = begin
		}
	}
	e.delivered.Add(int64(delivered))
}

func checkpoint(edge freshet.ID) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(edge))
}

// position reads a checkpoint. Anything but one starts over, which is harmless.
func position(checkpoint []byte) freshet.ID {
	if len(checkpoint) != 8 {
		return 0
	}
	return freshet.ID(binary.BigEndian.Uint64(checkpoint))
}
