package replica_test

import (
	"context"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
	"github.com/freshet/freshet/store/replica"
)

func Example() {
	var scope testenv.Scope // a primary and a replica for this example; yours run already
	defer scope.Close()
	primary := testenv.StartPostgres(&scope)
	urls := []string{primary.URL("postgres"), primary.StartReplica(&scope, "r1").URL("postgres")}

	ctx := context.Background()
	var nodes []replica.Node
	for _, url := range urls {
		n, err := postgres.Open(ctx, url, postgres.Options{})
		if err != nil {
			fmt.Println(err)
			return
		}
		nodes = append(nodes, n)
	}
	db, err := replica.Open(ctx, nodes, replica.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	ada, token, _ := db.CreateUser(ctx, freshet.NewUser{Handle: "ada"}, store.Write{})

	// The next request, perhaps in another process: it has the token, and so it sees what was written.
	ctx, reading := position.WithReading(ctx, token)
	users, _ := db.Users(ctx, []freshet.ID{ada.ID})
	token = token.Merge(reading.High())
	fmt.Println(users[0].Handle, len(token))
	// Output: ada 1
}
