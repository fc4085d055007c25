package app

import (
	"testing"

	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
	"github.com/freshet/freshet/internal/testenv"
)

// The oracle again, with the store and the jobs on PostgreSQL; each system has a
// database of its own.

// A restart takes seconds here, so there is one stream; users at once restart nothing.
func TestHomeFeedsEqualTheOracleOnPostgres(t *testing.T) {
	open := postgresOracle(t)
	feedtest.Run(t, func(t feedtest.T, users int) map[string]feedtest.System {
		systems := map[string]feedtest.System{}
		for _, mode := range []feed.Mode{feed.Push, feed.Pull, feed.Hybrid, feed.Adaptive} {
			systems[string(mode)] = open(t, mode, users)
		}
		return systems
	}, feedtest.Options{Checks: testenv.Size(1, 1, 200), Ops: testenv.Size(20, 60, 150)})
}

func TestHomeFeedsEqualTheOracleOnPostgresUnderConcurrency(t *testing.T) {
	open := postgresOracle(t)
	for _, mode := range []feed.Mode{feed.Push, feed.Pull, feed.Hybrid, feed.Adaptive} {
		t.Run(string(mode), func(t *testing.T) {
			feedtest.RunConcurrent(t, func(t feedtest.T, users int) map[string]feedtest.System {
				return map[string]feedtest.System{string(mode): open(t, mode, users)}
			}, feedtest.Options{Ops: testenv.Size(60, 240, 50_000)})
		})
	}
}

// postgresOracle starts a server and gives what opens nodes on it.
func postgresOracle(t *testing.T) func(t feedtest.T, mode feed.Mode, users int) *oracle {
	server := testenv.StartPostgres(t, "wal_level=logical")
	return func(of feedtest.T, mode feed.Mode, users int) *oracle {
		url := server.CreateDatabase(t)
		return openOracleOn(of, mode, users, func(c *config.Config) {
			c.Store.Shards = config.Shards{{Primary: url}}
		})
	}
}
