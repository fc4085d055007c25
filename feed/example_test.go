package feed_test

import (
	"context"
	"fmt"

	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
)

// A feed is walked by asking for what lies below the page before.
func Example() {
	const me, alice = 1, 2
	var engine feedtest.Model // any engine pages like this
	engine.Follow(me, alice)
	for range 5 {
		engine.Post(alice, "hello")
	}

	q := feed.Query{Reader: me, Limit: 2}
	for more := true; more; more = q.Before != 0 {
		page, err := engine.Page(context.Background(), q)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, ref := range page.Refs {
			fmt.Printf("post %s by user %s\n", ref.ID, ref.Author)
		}
		q.Before, q.Into = page.Scanned, page.Refs
	}
	// Output:
	// post 5 by user 2
	// post 4 by user 2
	// post 3 by user 2
	// post 2 by user 2
	// post 1 by user 2
}
