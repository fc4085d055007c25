package replica_test

import (
	"context"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
	"github.com/freshet/freshet/store/replica"
	"github.com/freshet/freshet/store/storetest"
)

// cluster is a primary and two replicas.
type cluster struct {
	servers []*testenv.Postgres
}

var shared *cluster

func TestMain(m *testing.M) {
	var scope testenv.Scope
	shared = startCluster(&scope)
	code := m.Run()
	scope.Close()
	os.Exit(code)
}

func startCluster(t testenv.TB) *cluster {
	p := testenv.StartPostgres(t, "max_connections=300", "hot_standby_feedback=on", "wal_receiver_status_interval=1s", "wal_keep_size=256MB")
	return &cluster{servers: []*testenv.Postgres{p, p.StartReplica(t, "r1"), p.StartReplica(t, "r2")}}
}

// open gives the store of a new database on the cluster.
func (c *cluster) open(t testing.TB, o replica.Options) *replica.Store {
	t.Helper()
	return c.openDatabase(t, c.createDatabase(t), o)
}

// createDatabase makes a database on the primary and gives its name.
func (c *cluster) createDatabase(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(c.servers[0].CreateDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	return u.Path[1:]
}

// openDatabase waits for the replicas to have replayed the making of the database.
func (c *cluster) openDatabase(t testing.TB, name string, o replica.Options) *replica.Store {
	t.Helper()
	var nodes []replica.Node
	for _, s := range c.servers {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		for {
			n, err := postgres.Open(ctx, s.URL(name), postgres.Options{})
			if err == nil {
				nodes = append(nodes, n)
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}
	s, err := replica.Open(t.Context(), nodes, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestContract(t *testing.T) {
	name := shared.createDatabase(t)
	s := shared.openDatabase(t, name, replica.Options{})
	var began position.Token
	storetest.Run(t, func(t *testing.T) store.Store {
		shared.servers[0].Empty(t, name)
		at, _, err := s.Where(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began = position.Token{at}
		return s
	}, storetest.Options{Context: func(ctx context.Context) context.Context {
		ctx, _ = position.WithReading(ctx, began) // all that a test does is one session
		return ctx
	}})
	if s.Stats().OnReplicas == 0 {
		t.Error("no read went to a replica")
	}
}
