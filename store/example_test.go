package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/sqlite"
)

// A request that is repeated finds its own claim instead of writing twice.
func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "freshet")
	defer os.RemoveAll(dir)
	var db store.Store
	file, err := sqlite.Open(ctx, filepath.Join(dir, "freshet.db"), sqlite.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	db = file

	ada, _, _ := db.CreateUser(ctx, freshet.NewUser{Handle: "ada", Name: "Ada"}, store.Write{})
	w := store.Write{
		Effects:     []freshet.Effect{{Kind: "fanout"}},
		Idempotency: &freshet.Idempotency{Key: [32]byte{1}},
	}
	post, _, _ := db.CreatePost(ctx, freshet.NewPost{Author: ada.ID, Text: "hello"}, w)
	_, _, err = db.CreatePost(ctx, freshet.NewPost{Author: ada.ID, Text: "hello"}, w)
	claim, _ := db.Claim(ctx, w.Idempotency.Key)
	fmt.Println(errors.Is(err, store.ErrClaimed), claim.Subject == post.ID)
	// Output: true true
}
