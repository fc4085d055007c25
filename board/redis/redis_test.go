package redis_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/board"
	"github.com/freshet/freshet/board/boardtest"
	"github.com/freshet/freshet/board/redis"
	"github.com/freshet/freshet/internal/testenv"
)

func open(t testing.TB, addrs ...string) rueidis.Client {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: addrs, DisableCache: true, ForceSingleClient: len(addrs) == 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestContract(t *testing.T) {
	cluster := testenv.StartRedisCluster(t)
	var addrs []string
	for _, m := range cluster.Masters {
		addrs = append(addrs, m.Addr)
	}
	var boards atomic.Int64
	for name, client := range map[string]rueidis.Client{"one": open(t, testenv.StartRedis(t).Addr), "cluster": open(t, addrs...)} {
		t.Run(name, func(t *testing.T) {
			boardtest.Run(t, func(_ *testing.T, keep int, now func() time.Time) board.Board {
				return redis.New(client, redis.Options{Prefix: fmt.Sprintf("t%d:", boards.Add(1)), Keep: keep, Now: now})
			})
		})
	}
}

// Two nodes tell the same board what both have heard.
func TestTwoNodesTellOneBoard(t *testing.T) {
	client, now := open(t, testenv.StartRedis(t).Addr), time.Now()
	one, two := redis.New(client, redis.Options{}), redis.New(client, redis.Options{})
	for value := range int64(10) {
		for _, b := range []board.Board{one, two} {
			if err := b.Observe(t.Context(), now, []board.Seen{{List: board.Posts, ID: 7, Author: 9, Value: value, Touched: 1}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, list := range board.Lists {
		first, err := one.Top(t.Context(), list, board.Day, board.Rank{}, 10)
		if err != nil || len(first) != 1 {
			t.Fatal(first, err)
		}
		if points := board.Day.Points(first[0].Score, now); points < 8.99 || points > 9.01 {
			t.Errorf("%s: %v points, want 9", list, points)
		}
		if second, err := two.Top(t.Context(), list, board.Day, board.Rank{}, 10); !slices.Equal(first, second) {
			t.Errorf("%v and %v, %v", first, second, err)
		}
	}
}

// Where the server is away that is said, so that a client comes back.
func TestAway(t *testing.T) {
	server := testenv.StartRedis(t)
	b := redis.New(open(t, server.Addr), redis.Options{})
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := b.Top(ctx, board.Posts, board.Day, board.Rank{}, 10); freshet.CodeOf(err) != freshet.CodeUnavailable {
		t.Errorf("error is %v", err)
	}
}

func Example() {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{"127.0.0.1:1"}, DisableCache: true})
	if err != nil {
		fmt.Println("no Redis there")
		return
	}
	defer client.Close()
	b := redis.New(client, redis.Options{})
	_, _ = b.Top(context.Background(), board.Posts, board.Day, board.Rank{}, 10)
	// Output: no Redis there
}
