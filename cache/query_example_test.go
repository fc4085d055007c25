package cache_test

import (
	"context"
	"fmt"

	"github.com/freshet/freshet/cache"
)

// A list of a user's posts is kept until that user posts again, whatever others do meanwhile.
func ExampleDefineQuery() {
	posts := map[string][]string{"ada": {"hello"}} // stands for a table

	stack, err := cache.NewStack(cache.Options{})
	if err != nil {
		panic(err)
	}
	defer stack.Close()
	postsBy := cache.DefineQuery(stack, cache.Query[string, []string]{
		Name: "posts by",
		Run: func(_ context.Context, author string) ([]string, error) {
			fmt.Println("  asking the database for", author)
			return posts[author], nil
		},
		Reads: func(author string, _ []string) []cache.Dependency {
			return []cache.Dependency{{Table: "posts", Key: author}}
		},
	})
	ctx := context.Background()
	write := func(author, text string) {
		posts[author] = append(posts[author], text)                       // the source first,
		stack.Changed(ctx, cache.Dependency{Table: "posts", Key: author}) // then what it changed
	}
	read := func() {
		list, _ := postsBy.Get(ctx, "ada")
		fmt.Println(list)
	}

	read()
	write("grace", "hi")
	read()
	write("ada", "again")
	read()
	// Output:
	//   asking the database for ada
	// [hello]
	// [hello]
	//   asking the database for ada
	// [hello again]
}
