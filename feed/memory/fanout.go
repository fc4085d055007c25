package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// FanOut delivers a post to those of its readers who have a timeline and do not
// merge its author, and then ends its being in flight. Dormant readers get
// nothing: they pull when they return. It needs no checkpoint, because what it
// has written does not outlive the process either.
func (e *Engine) FanOut(ctx context.Context, post freshet.PostRef, _ feed.Progress) error {
	if e.o.Mode == feed.Pull {
		return nil
	}
	if err := e.deliver(ctx, post); err != nil {
		return fmt.Errorf("fan out %s: %w", post.ID, err)
	}
	e.inFlight.land(post)
	return nil
}

func (e *Engine) deliver(ctx context.Context, post freshet.PostRef) error {
	generation := e.generation.Load() // before the post is known to live
	alive, err := e.alive(ctx, post)
	if err != nil || !alive {
		return err
	}
	if len(e.rings) > 0 {
		e.enterRing(post) // its writer may not have heard that it was committed, and then publishes nothing
	}
	o, ok := e.pin(post)
	if !ok {
		return nil // that ended the generation, and with it what could miss the post
	}
	defer e.posts.unpin(o)
	readers := e.audiences.of(post.Author, generation)
	if e.o.Mode == feed.Hybrid && len(readers) >= e.o.Threshold {
		for _, reader := range readers { // what was delivered to them stays, and is met twice
			e.shards[reader.shard()].merge(reader, post.Author, generation)
		}
	}
	g := groups{post: post, ordinal: o, generation: generation}
	vain := 0
	for rest := readers; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := rest[:min(len(rest), e.o.Chunk)]
		rest = rest[len(part):]
		vain += e.enter(&g, part)
		if len(rest) == 0 || e.generation.Load() != generation {
			break // of that generation no timeline is left
		}
	}
	e.audiences.inVain(post.Author, vain)
	return nil
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
	latest, read := keeping(ctx)
	refs, err := e.home(latest, post.Author, post.ID+1, 1)
	read()
	return len(refs) == 1 && refs[0].ID == post.ID, err
}

// pin gives the ordinal under which a post is delivered. Where the post table
// has no room for it, everything is dropped.
func (e *Engine) pin(post freshet.PostRef) (o ordinal, ok bool) {
	e.posts.help(e.all)
	if o, ok = e.posts.pin(post); ok {
		return o, true
	}
	e.posts.reclaim(e.all)
	if o, ok = e.posts.pin(post); !ok {
		e.voided.Add(1)
		e.VoidAll()
	}
	return o, ok
}

// groups is a delivery of one post, with memory for its readers by shard.
type groups struct {
	post       freshet.PostRef
	ordinal    ordinal
	generation uint64
	readers    []handle
}

// enter delivers to readers, shard by shard (counting sort): each lock is taken
// once, and within a shard the waits for memory overlap. It gives how many have
// no use for it.
func (e *Engine) enter(g *groups, readers []handle) (vain int) {
	var ends [shardCount]int
	for _, reader := range readers {
		ends[reader.shard()]++
	}
	for i := 1; i < len(e.shards); i++ {
		ends[i] += ends[i-1]
	}
	g.readers = slices.Grow(g.readers[:0], len(readers))[:len(readers)]
	for _, reader := range readers {
		i := reader.shard()
		ends[i]--
		g.readers[ends[i]] = reader
	}
	delivered, end := 0, len(readers)
	for i := len(e.shards) - 1; i >= 0; i-- {
		if begin := ends[i]; begin < end {
			entered, unwanted := e.shards[i].deliver(g.readers[begin:end], g.ordinal, g.post, g.generation, e.o.Length)
			delivered, vain, end = delivered+entered, vain+unwanted, begin
		}
	}
	e.delivered.Add(int64(delivered))
	return vain
}
