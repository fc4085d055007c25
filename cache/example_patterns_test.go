package cache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// Cache-aside: the caller reads through the cache, writes past it, and invalidates after.
func ExampleCache_Invalidate() {
	stack, _ := cache.NewStack(cache.Options{})
	defer stack.Close()
	table := map[string]string{"motd": "hello"}
	messages := cache.Func(stack, "message", cache.Policy{TTL: time.Hour}, func(_ context.Context, key string) (string, error) {
		fmt.Println("  reading", key)
		return table[key], nil
	})
	ctx := context.Background()
	show := func() {
		m, _ := messages.Get(ctx, "motd")
		fmt.Println(m)
	}
	show()
	table["motd"] = "good night" // the source first,
	show()
	messages.Invalidate(ctx, "motd") // the cache after
	show()
	// Output:
	//   reading motd
	// hello
	// hello
	//   reading motd
	// good night
}

// Read-through: a batch asks the source once, for what is missing.
func ExampleCache_GetInto() {
	stack, _ := cache.NewStack(cache.Options{})
	defer stack.Close()
	squares := cache.Define(stack, cache.Space[int, int]{
		Name: "square",
		LoadMany: func(_ context.Context, keys []int) (map[int]int, error) {
			fmt.Println("  computing", keys)
			m := make(map[int]int)
			for _, k := range keys {
				m[k] = k * k
			}
			return m, nil
		},
	})
	ctx := context.Background()
	values, found := make([]int, 3), make([]bool, 3)
	squares.GetInto(ctx, []int{1, 2, 3}, values, found)
	fmt.Println(values)
	squares.GetInto(ctx, []int{2, 3, 4}, values, found)
	fmt.Println(values)
	// Output:
	//   computing [1 2 3]
	// [1 4 9]
	//   computing [4]
	// [4 9 16]
}

// Write-through: the writer puts what he has committed, with the position of the commit, and the next reader asks nobody.
func ExampleCache_Put() {
	stack, _ := cache.NewStack(cache.Options{})
	defer stack.Close()
	cached := cache.Define(stack, cache.Space[int64, *user]{Name: "user", LoadMany: usersByID})
	ctx := context.Background()

	committed := position.Token{{System: 1, Timeline: 1, Offset: 42}} // what the database says of the commit
	cached.Put(cache.At(ctx, committed), 1, &user{"Ada King"})
	u, _ := cached.Get(ctx, 1)
	fmt.Println(u.Name)
	// Output:
	// Ada King
}

// Refresh-ahead of named keys: they are in memory before anybody reads them, and stay there.
func ExampleSpace_hot() {
	stack, _ := cache.NewStack(cache.Options{})
	defer stack.Close()
	loaded := make(chan []string, 1)
	pages := cache.Define(stack, cache.Space[string, string]{
		Name:   "page",
		Policy: cache.Policy{TTL: time.Hour},
		Hot:    func(context.Context) ([]string, error) { return []string{"/"}, nil },
		LoadMany: func(_ context.Context, paths []string) (map[string]string, error) {
			loaded <- paths
			return map[string]string{"/": "<h1>Welcome</h1>"}, nil
		},
	})
	fmt.Println("loaded", <-loaded)
	page, _ := pages.Get(context.Background(), "/")
	fmt.Println(page)
	// Output:
	// loaded [/]
	// <h1>Welcome</h1>
}

// Tags: one call ends all that depends on something, in every space.
func ExampleStack_InvalidateTags() {
	stack, _ := cache.NewStack(cache.Options{})
	defer stack.Close()
	price := 10
	type item struct{ shop, name string }
	tags := func(i item, _ string) []string { return []string{"shop:" + i.shop} }
	labels := cache.Define(stack, cache.Space[item, string]{
		Name: "label", Tags: tags, Key: func(i item) string { return i.shop + "/" + i.name },
		LoadMany: func(_ context.Context, items []item) (map[item]string, error) {
			m := make(map[item]string)
			for _, i := range items {
				m[i] = fmt.Sprintf("%s at %s: %d", i.name, i.shop, price)
			}
			return m, nil
		},
	})
	ctx := context.Background()
	show := func(shop string) {
		l, _ := labels.Get(ctx, item{shop, "tea"})
		fmt.Println(l)
	}
	show("north")
	show("south")
	price = 12
	stack.InvalidateTags(ctx, "shop:north")
	show("north")
	show("south")
	// Output:
	// tea at north: 10
	// tea at south: 10
	// tea at north: 12
	// tea at south: 10
}

// Tokens: a reader who bears the position of a write sees it, also where the cache has not heard of it yet.
func ExampleAt() {
	stack, _ := cache.NewStack(cache.Options{})
	defer stack.Close()
	name := "Ada"
	names := cache.Func(stack, "name", cache.Policy{TTL: time.Hour}, func(ctx context.Context, _ int) (string, error) {
		fmt.Println("  reading at", len(cache.Need(ctx)), "positions or later")
		return name, nil
	})
	ctx := context.Background()
	names.Get(ctx, 1)
	name = "Ada King" // by a writer who got this token
	token := position.Token{{System: 1, Timeline: 1, Offset: 7}}

	old, _ := names.Get(ctx, 1)
	fmt.Println(old)
	own, _ := names.Get(cache.At(ctx, token), 1)
	fmt.Println(own)
	// Output:
	//   reading at 0 positions or later
	// Ada
	//   reading at 1 positions or later
	// Ada King
}

// The change feed as a channel: what another node has written is forgotten here when the feed tells of it.
func ExampleStack_Followed() {
	stack, _ := cache.NewStack(cache.Options{Feed: true})
	defer stack.Close()
	table, feed := map[string]string{"motd": "hello"}, []string{}
	messages := cache.Func(stack, "message", cache.Policy{TTL: time.Hour}, func(_ context.Context, key string) (string, error) {
		fmt.Println("  reading", key)
		return table[key], nil
	})
	ctx := context.Background()
	read := 0
	consume := func() { // over and over, a few times in MaxStale
		sent := time.Now() // before the feed is asked
		messages.Invalidate(ctx, feed[read:]...)
		read = len(feed)
		stack.Followed(sent, position.Token{{System: 1, Timeline: 1, Offset: uint64(read)}})
	}
	show := func() {
		m, _ := messages.Get(ctx, "motd")
		fmt.Println(m)
	}
	consume() // from here on memory is trusted
	show()
	show()
	table["motd"], feed = "good night", append(feed, "motd") // another node writes
	consume()
	show()
	// Output:
	//   reading motd
	// hello
	// hello
	//   reading motd
	// good night
}

// The auditor finds a change that nobody told the cache of.
func ExampleStaleObserver() {
	alarms := make(chan cache.StaleRead, 1)
	stack, _ := cache.NewStack(cache.Options{
		AuditEvery: 1, MaxStale: time.Millisecond, RemoteTimeout: time.Millisecond, // 10,000 and the defaults in production
		Observe: func(string) cache.Observer { return alarm(alarms) },
	})
	defer stack.Close()
	stock := make(chan int, 1)
	stock <- 3
	items := cache.Func(stack, "stock", cache.Policy{TTL: time.Hour}, func(context.Context, string) (int, error) {
		n := <-stock
		stock <- n
		return n, nil
	})
	ctx := context.Background()
	items.Get(ctx, "tea")
	<-stock
	stock <- 2 // and no Invalidate
	items.Get(ctx, "tea")
	found := <-alarms
	fmt.Println(found.Space, found.Key)
	// Output:
	// stock tea
}

type alarm chan<- cache.StaleRead

func (alarm) Loaded(int, time.Duration, error)  {}
func (alarm) ServedStale(time.Duration)         {}
func (a alarm) FoundStale(read cache.StaleRead) { a <- read }
