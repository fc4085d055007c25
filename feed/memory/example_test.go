package memory_test

import (
	"context"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
	"github.com/freshet/freshet/feed/memory"
)

func Example() {
	const me, alice = 1, 2
	var store feedtest.Model // a store, in earnest
	store.Follow(me, alice)
	engine := memory.New(memory.Options{Source: &store, Graph: &store})

	show := func(when string) {
		page, err := engine.Page(context.Background(), feed.Query{Reader: me, Limit: 10})
		stats := engine.Stats()
		fmt.Printf("%s: %d posts, %d in flight, %d read of the store %v\n",
			when, len(page.Refs), stats.InFlight, stats.Pulled, err)
	}
	show("at first")

	post := freshet.PostRef{Author: alice}
	post.ID = store.Post(alice, "hello") // committed …
	engine.Publish(post)                 // … in every feed …
	show("published")                    // … and acknowledged

	if err := engine.FanOut(context.Background(), post, new(progress)); err != nil {
		fmt.Println(err)
	}
	show("delivered")

	store.Delete(post.ID)
	engine.Remove(post.ID)
	show("deleted")
	// Output:
	// at first: 0 posts, 0 in flight, 1 read of the store <nil>
	// published: 1 posts, 1 in flight, 1 read of the store <nil>
	// delivered: 1 posts, 0 in flight, 1 read of the store <nil>
	// deleted: 0 posts, 0 in flight, 1 read of the store <nil>
}
