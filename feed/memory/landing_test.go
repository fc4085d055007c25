package memory_test

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
)

// TestLandingDuringRead lands posts while pages are read that must show them.
// A read that looked in flight after the timeline would now and then find a
// post in neither. Others' posts, which stay in flight, make the look take long
// enough for that, and the worker's start sweeps over the read.
func TestLandingDuringRead(t *testing.T) {
	rounds := 5_000
	if testing.Short() {
		rounds = 1_000
	}
	s := newStatic(1_000, 1, 60)
	e := s.engine(memory.Options{})
	for i := range 900 {
		e.Publish(freshet.PostRef{ID: freshet.ID(1 + i), Author: author(5_000 + i)})
	}
	race{static: s, engine: e, rounds: rounds, readers: 1, sweep: 4096}.run(t, func(post freshet.PostRef) error {
		return e.FanOut(t.Context(), post, new(progress))
	})
}

// TestDropDuringRead drops everything while pages are read that must show what
// is in flight. Were the in-flight set emptied before the generation ends, a
// read between the two would meet neither the post there nor a pull.
func TestDropDuringRead(t *testing.T) {
	rounds := 20_000
	if testing.Short() {
		rounds = 1_500
	}
	s := newStatic(10, 1, 60)
	e := s.engine(memory.Options{})
	race{static: s, engine: e, rounds: rounds, readers: 16, sweep: 64}.run(t, func(freshet.PostRef) error {
		e.VoidAll()
		return nil
	})
}

// race publishes post after post, does something to each in another goroutine,
// and meanwhile reads pages that must show the post.
type race struct {
	static  *static
	engine  *memory.Engine
	rounds  int
	readers int // who read one after the other while it is done
	sweep   int // how much later it starts from round to round, about 5 ns each
}

var spin atomic.Int64

func (r race) run(t *testing.T, do func(freshet.PostRef) error) {
	posts, done := make(chan freshet.PostRef), make(chan error)
	go func() {
		for post := range posts {
			for i := range int(post.ID) % r.sweep {
				spin.Store(int64(i))
			}
			done <- do(post)
		}
	}()
	defer close(posts)
	q := feed.Query{Limit: 2, Into: make([]freshet.PostRef, 0, 2)}
	for i := range r.rounds {
		warm(t, r.engine, r.readers)
		post := freshet.PostRef{ID: freshet.ID(1000 + i), Author: author(i % 10)}
		r.static.posts = append([]freshet.PostRef{post}, r.static.posts[:60]...)
		r.engine.Publish(post)
		posts <- post
		for reader := range r.readers {
			q.Reader = follower(reader)
			page, err := r.engine.Page(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(page.Refs, post) {
				t.Fatalf("round %d: %v is not on the page %v", i, post, page.Refs)
			}
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}
