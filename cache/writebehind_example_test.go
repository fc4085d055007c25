package cache_test

import (
	"context"
	"fmt"
	"os"

	"github.com/freshet/freshet/cache"
)

// A profile table that is slower than those who write to it.
func ExampleDefineWriteBehind() {
	dir, _ := os.MkdirTemp("", "profiles")
	defer os.RemoveAll(dir)
	profiles, err := cache.DefineWriteBehind(cache.WriteBehindOptions[int64, user]{
		Name: "profile",
		Dir:  dir,
		Write: func(_ context.Context, b cache.Batch[int64, user]) error {
			// One transaction: unless b.ID is stored already, store it and write the rows; see cache.Batch.
			fmt.Println("  batch", b.ID.Seq, b.Entries)
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()

	profiles.Put(ctx, 2, user{"Grace"}) // nil: it is on disk
	profiles.Put(ctx, 1, user{"Ada"})
	profiles.Put(ctx, 1, user{"Ada Lovelace"})
	u, pending := profiles.Get(1)
	fmt.Println(u.Name, pending)

	profiles.Flush(ctx)
	_, pending = profiles.Get(1)
	fmt.Println("pending:", pending)
	fmt.Println(profiles.Close(ctx))
	// Output:
	// Ada Lovelace true
	//   batch 1 [{1 {Ada Lovelace}} {2 {Grace}}]
	// pending: false
	// <nil>
}

// Views of posts: a row in a table would be locked by each of them.
func ExampleDefineCounter() {
	dir, _ := os.MkdirTemp("", "views")
	defer os.RemoveAll(dir)
	totals, last := map[int64]int64{7: 1000}, uint64(0) // stand for two tables in one database
	views, err := cache.DefineCounter(cache.CounterOptions[int64]{
		Name: "views",
		Dir:  dir,
		Write: func(_ context.Context, b cache.Batch[int64, int64]) error {
			fmt.Println("  batch", b.ID.Seq, b.Entries)
			for _, e := range b.Entries {
				totals[e.Key] += e.Value
			}
			last = b.ID.Seq
			return nil
		},
		Load: func(_ context.Context, _ [16]byte, posts []int64) (map[int64]int64, uint64, error) {
			found := make(map[int64]int64)
			for _, post := range posts {
				found[post] = totals[post]
			}
			return found, last, nil
		},
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()

	fmt.Println(views.Get(ctx, 7))
	for range 3 {
		total, _ := views.Add(ctx, 7, 1) // returns when it is on disk
		fmt.Println(total)
	}
	views.Add(ctx, 5, 1)
	fmt.Println(views.Get(ctx, 5, 7))
	fmt.Println("in the table:", totals[7])
	views.Close(ctx)
	fmt.Println("in the table:", totals[7])
	// Output:
	// map[7:1000] <nil>
	// 1001
	// 1002
	// 1003
	// map[5:1 7:1003] <nil>
	// in the table: 1000
	//   batch 1 [{5 1} {7 3}]
	// in the table: 1003
}
