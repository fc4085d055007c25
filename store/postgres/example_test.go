package postgres_test

import (
	"context"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
)

func Example() {
	var scope testenv.Scope // a PostgreSQL for this example; yours runs already
	defer scope.Close()
	url := testenv.StartPostgres(&scope).URL("postgres")

	ctx := context.Background()
	db, err := postgres.Open(ctx, url, postgres.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	ada, _, _ := db.CreateUser(ctx, freshet.NewUser{Handle: "ada", Name: "Ada"}, store.Write{})
	post, at, _ := db.CreatePost(ctx, freshet.NewPost{Author: ada.ID, Text: "hello"}, store.Write{})
	home, _ := db.Home(ctx, ada.ID, 0, 50)
	fmt.Println(len(at), len(home), home[0].ID == post.ID)
	// Output: 1 1 true
}
