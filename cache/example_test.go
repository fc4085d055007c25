package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet/cache"
)

// user and users stand for a table in a database.
type user struct{ Name string }

var users = map[int64]*user{1: {"Ada"}, 2: {"Grace"}}

func usersByID(_ context.Context, ids []int64) (map[int64]*user, error) {
	fmt.Println("  asking the database for", ids)
	found := make(map[int64]*user)
	for _, id := range ids {
		if u, ok := users[id]; ok {
			found[id] = u
		}
	}
	return found, nil
}

func Example() {
	stack, err := cache.NewStack(cache.Options{})
	if err != nil {
		panic(err)
	}
	defer stack.Close()
	cached := cache.Define(stack, cache.Space[int64, *user]{
		Name:     "user",
		Policy:   cache.Policy{TTL: 5 * time.Minute, StaleFor: time.Hour},
		LoadMany: usersByID,
	})
	ctx := context.Background()

	u, _ := cached.Get(ctx, 1)
	fmt.Println(u.Name)
	u, _ = cached.Get(ctx, 1)
	fmt.Println(u.Name)

	users[1] = &user{"Ada Lovelace"} // the source first,
	cached.Invalidate(ctx, 1)        // the cache after
	u, _ = cached.Get(ctx, 1)
	fmt.Println(u.Name)
	// Output:
	//   asking the database for [1]
	// Ada
	// Ada
	//   asking the database for [1]
	// Ada Lovelace
}

func ExampleCache_GetMany() {
	stack, err := cache.NewStack(cache.Options{})
	if err != nil {
		panic(err)
	}
	defer stack.Close()
	cached := cache.Define(stack, cache.Space[int64, *user]{Name: "user", LoadMany: usersByID})
	ctx := context.Background()

	cached.Get(ctx, 2)
	found, _ := cached.GetMany(ctx, []int64{2, 3, 4})
	fmt.Println(len(found), "found")
	_, err = cached.Get(ctx, 3)
	fmt.Println(errors.Is(err, cache.ErrNotFound))
	// Output:
	//   asking the database for [2]
	//   asking the database for [3 4]
	// 1 found
	// true
}

func ExampleFunc() {
	stack, err := cache.NewStack(cache.Options{})
	if err != nil {
		panic(err)
	}
	defer stack.Close()
	length := func(_ context.Context, word string) (int, error) {
		fmt.Println("  counting", word)
		return len(word), nil
	}
	cached := cache.Func(stack, "length", cache.Policy{TTL: time.Hour}, length)

	for range 2 {
		n, _ := cached.Get(context.Background(), "freshet")
		fmt.Println(n)
	}
	// Output:
	//   counting freshet
	// 7
	// 7
}

func ExampleOptions_policies() {
	stack, err := cache.NewStack(cache.Options{
		// cache.policies.user.ttl: 30s, cache.policies.user.negative_ttl: off
		Policies: map[string]cache.Policy{"user": {TTL: 30 * time.Second, NegativeTTL: -1}},
	})
	if err != nil {
		panic(err)
	}
	defer stack.Close()
	cached := cache.Define(stack, cache.Space[int64, *user]{
		Name:     "user",
		Policy:   cache.Policy{TTL: 5 * time.Minute},
		LoadMany: usersByID,
	})
	for range 2 {
		_, err := cached.Get(context.Background(), 9)
		fmt.Println(err)
	}
	// Output:
	//   asking the database for [9]
	// cache: not found
	//   asking the database for [9]
	// cache: not found
}
