package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/sqlite"
)

func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "freshet")
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(ctx, filepath.Join(dir, "freshet.db"), sqlite.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	ada, _, _ := db.CreateUser(ctx, freshet.NewUser{Handle: "ada", Name: "Ada"}, store.Write{})
	bob, _, _ := db.CreateUser(ctx, freshet.NewUser{Handle: "bob", Name: "Bob"}, store.Write{})
	db.Follow(ctx, bob.ID, ada.ID, store.Write{})
	db.CreatePost(ctx, freshet.NewPost{Author: ada.ID, Text: "hello"}, store.Write{})

	refs, _ := db.Home(ctx, bob.ID, 0, 50)
	posts, _ := db.Posts(ctx, []freshet.ID{refs[0].ID})
	fmt.Println(len(refs), posts[0].Text)
	// Output: 1 hello
}
