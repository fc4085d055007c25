package load_test

import (
	"fmt"
	"time"

	"github.com/freshet/freshet/load"
)

// A small network and its first events on a Monday evening.
func Example() {
	net, err := load.New(load.Options{Users: 1_000, Follows: 20, Seed: 1, Mix: load.ReadHeavy()})
	if err != nil {
		fmt.Println(err)
		return
	}
	monday := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	deliveries, reads := 0, 0
	for e := range net.Events(monday, time.Hour, 1) {
		switch e.Kind {
		case load.Post:
			deliveries += len(net.Followers(int(e.User)))
		case load.Read:
			reads++
		}
	}
	fmt.Println(net.Users(), "users,", net.Edges() > 19_000, deliveries > 500, reads > 800)
	// Output:
	// 1000 users, true true true
}
