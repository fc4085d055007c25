package feedtest_test

import (
	"context"
	"fmt"

	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
)

// The model says what a page must hold.
func ExampleModel() {
	const me, alice, bob = 1, 2, 3
	var m feedtest.Model
	m.Post(alice, "before anybody followed")
	m.Follow(me, alice)
	m.Follow(me, bob)
	m.Post(bob, "of no interest")
	m.Post(me, "my own")
	m.Mute(me, bob)

	page, _ := m.Page(context.Background(), feed.Query{Reader: me, Limit: 10})
	for _, ref := range page.Refs {
		fmt.Println(m.Get(ref.ID).Text)
	}
	// Output:
	// my own
	// before anybody followed
}
