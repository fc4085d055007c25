package shard_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/shard"
	"github.com/freshet/freshet/store/sqlite"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "shards")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	var parts []store.Part
	for _, name := range []string{"home.db", "second.db"} {
		db, err := sqlite.Open(ctx, filepath.Join(dir, name), sqlite.Options{})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer db.Close()
		parts = append(parts, db)
	}
	db, err := shard.Open(ctx, parts, shard.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	ada, _, _ := db.CreateUser(ctx, freshet.NewUser{Handle: "ada"}, store.Write{})
	zoe, _, _ := db.CreateUser(ctx, freshet.NewUser{Handle: "zoe"}, store.Write{})
	_, token, _ := db.Follow(ctx, ada.ID, zoe.ID, store.Write{})
	post, _, _ := db.CreatePost(ctx, freshet.NewPost{Author: zoe.ID, Text: "hello"}, store.Write{})
	home, _ := db.Home(ctx, ada.ID, 0, 50)
	owners := db.Directory().Owners
	fmt.Println(owners[ada.ID.Bucket()], owners[zoe.ID.Bucket()], len(token), home[0].ID == post.ID) // of both parts, and the directory
	// Output: 0 1 3 true
}
