package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/jobs/sqlite"
)

// An effect commits with the write that causes it, and then runs.
func Example() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "jobs")
	defer os.RemoveAll(dir)
	db, err := litedb.Open(ctx, filepath.Join(dir, "freshet.db"), litedb.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	engine := sqlite.New(db, jobs.Options{}, map[string]jobs.Handler{
		"greet": func(_ context.Context, r jobs.Run) error {
			fmt.Printf("hello, %s\n", r.Job().Args)
			return nil
		},
	})
	if err := engine.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close()

	if _, err := db.Write(ctx, func(tx *litedb.Tx) error {
		// … the write itself …
		return tx.Emit(freshet.Effect{Kind: "greet", Key: "user:1", Args: []byte("ada")}, 1)
	}); err != nil {
		fmt.Println(err)
	}
	engine.Idle(ctx)
	fmt.Println("done:", engine.Stats().Done)
	// Output:
	// hello, ada
	// done: 1
}
