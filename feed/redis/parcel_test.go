package redis_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
	"github.com/freshet/freshet/feed/redis"
	"github.com/freshet/freshet/internal/testenv"
)

// A timeline whose authors never reached its owner, because Redis has evicted them, gets no posts: so it is none.
func TestAuthorsThatAreEvicted(t *testing.T) {
	server := testenv.StartRedis(t)
	relay := testenv.StartRelay(t, server.Addr)
	source := &late{Model: new(feedtest.Model)}
	o := options(clientOf(relay.Addr))
	o.Lease, o.Source, o.Graph = 20*time.Second, source, source.Model
	owner, err := redis.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = owner.Run(ctx) }()
	defer owner.Close()
	defer func() { stop(); <-done }()
	o.Client = clientOf(server.Addr)
	other, err := redis.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	source.Follow(1, 2)
	post := func() freshet.ID {
		id := source.Post(2, "text")
		other.Publish(freshet.PostRef{ID: id, Author: 2})
		return id
	}
	page := func() []freshet.PostRef {
		p, err := other.Page(t.Context(), feed.Query{Reader: 1, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return p.Refs
	}
	time.Sleep(200 * time.Millisecond) // for stripes to be taken
	post()
	time.Sleep(100 * time.Millisecond)
	relay.Pause()
	evicted := false
	source.then = func() { evicted = deleted(t, server.Addr, "*}A:*") > 0 }
	page()
	relay.Resume()
	if !evicted {
		t.Fatal("nothing was built")
	}
	time.Sleep(100 * time.Millisecond)
	page()
	id := post()
	time.Sleep(500 * time.Millisecond) // for the log to forget it
	if refs := page(); !slices.ContainsFunc(refs, func(p freshet.PostRef) bool { return p.ID == id }) {
		t.Errorf("the page %v lacks %d", refs, id)
	}
}

// deleted deletes the keys of a pattern and says how many there were.
func deleted(t *testing.T, addr, pattern string) int {
	t.Helper()
	c, err := rueidis.NewClient(clientOf(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	keys, err := c.Do(t.Context(), c.B().Keys().Pattern(pattern).Build()).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		command(t, addr, "DEL", key)
	}
	return len(keys)
}
