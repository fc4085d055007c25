package redis_test

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
	"github.com/freshet/freshet/feed/redis"
)

// A page is right with Redis and without.
func ExampleOpen() {
	const ann, ben = 1, 2
	var network feedtest.Model // in production: the store, and the relations of package social
	network.Follow(ann, ben)
	_, err := redis.Open(redis.Options{
		Client: rueidis.ClientOption{InitAddress: []string{"127.0.0.1:1"}}, Mode: "guess", Source: &network, Graph: &network,
	})
	fmt.Println(err)

	network.Post(ben, "hello")
	page, _ := network.Page(context.Background(), feed.Query{Reader: ann, Limit: 50})
	fmt.Println(page.Refs[0].Author == freshet.ID(ben))
	// Output:
	// feed/redis: no mode "guess"
	// true
}
