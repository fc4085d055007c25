package postgres_test

import (
	"context"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/jobs/postgres"
)

// An effect commits with the write that causes it, and then runs in one of the
// processes that have the database open.
func Example() {
	var scope testenv.Scope // a PostgreSQL for this example; yours runs already
	defer scope.Close()
	url := testenv.StartPostgres(&scope).URL("postgres")

	ctx := context.Background()
	db, err := pgdb.Open(ctx, url, pgdb.Options{Migrations: []pgdb.Migrations{postgres.Migrations()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	engine := postgres.New(db, jobs.Options{}, map[string]jobs.Handler{
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

	if err := engine.Enqueue(ctx, freshet.Effect{Kind: "greet", Key: "user:1", Args: []byte("ada")}); err != nil {
		fmt.Println(err)
	}
	engine.Idle(ctx)
	fmt.Println("done:", engine.Stats().Done)
	// Output:
	// hello, ada
	// done: 1
}
