package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/internal/testenv"
)

// serveMoves brings the real data from the embedded file to a PostgreSQL while it is served: once with readers, of whom each must be
// answered, and once killing the process at each step of the move. After each every feed is walked and compared with the naive query.
func (l *lab) serveMoves(ctx context.Context) (string, error) {
	d, err := l.realData()
	if err != nil {
		return "", err
	}
	var servers testenv.Scope
	defer servers.Close()
	server := testenv.StartPostgres(&servers, "fsync=on", "max_connections=200", "wal_level=logical")
	feeds, requests, kills := 0, int64(0), 0
	for _, kill := range []bool{false, true} {
		data, _, err := l.firstImport(ctx, d)
		if err != nil {
			return "", err
		}
		m := &servedMove{lab: l, data: data, handles: d.users, shards: fmt.Sprintf("FRESHET_STORE_SHARDS=[{primary: sqlite}, {primary: %q}]", server.CreateDatabase(&servers))}
		if err := m.run(ctx, kill); err != nil {
			return "", err
		}
		w, err := walkFeeds(ctx, m.node, m.key, d)
		if err != nil {
			return "", err
		}
		feeds, requests, kills = w.users, requests+m.answered.Load(), kills+m.kills
		if _, err := l.verify(ctx, data); err != nil {
			return "", err
		}
		if err := m.node.stop(); err != nil {
			return "", err
		}
		l.drop(data)
	}
	return fmt.Sprintf("%d feeds equal the naive query after all buckets had gone from SQLite to PostgreSQL, %d of %d requests answered meanwhile, and again after %d times kill -9",
		feeds, requests, requests, kills), nil
}

// servedMove is a node whose data moves.
type servedMove struct {
	*lab
	data, shards string
	handles      []string
	node         *node
	key          string
	answered     atomic.Int64
	kills        int
}

func (m *servedMove) start(ctx context.Context) (err error) {
	m.node, err = m.serve(ctx, m.data, "FRESHET_FEED_MODE=pull", m.shards)
	return err
}

func (m *servedMove) run(ctx context.Context, kill bool) (err error) {
	if err := m.start(ctx); err != nil {
		return err
	}
	if m.key, err = m.lab.key(ctx, m.data, "move"); err != nil {
		return err
	}
	began := time.Now()
	if _, err := m.must(ctx, "shard", "move", "all", "--to", "1", "--keep", "10s", "--detach", "--data", m.data); err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var readers sync.WaitGroup
	var failed error
	if !kill {
		readers.Go(func() { failed = m.read(reading) })
	}
	killed := make(map[string]bool)
	for deadline := time.Now().Add(5 * time.Minute); ; {
		step, err := m.step(ctx)
		if err != nil {
			return err
		}
		if step == "" {
			break
		}
		if kill && !killed[step] {
			killed[step] = true
			m.node.kill()
			m.kills++
			if err := m.start(ctx); err != nil {
				return fmt.Errorf("after kill -9 while %s: %w", step, err)
			}
		}
		if time.Now().After(deadline) {
			return errors.New("the move does not end: " + step)
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	readers.Wait()
	if failed != nil {
		return failed
	}
	m.detail("moved in %s; killed at %d steps", time.Since(began).Round(100*time.Millisecond), m.kills)
	return nil
}

// step is that of the move under way; "": it has ended.
func (m *servedMove) step(ctx context.Context) (string, error) {
	r, err := m.must(ctx, "shard", "list", "--json", "--data", m.data)
	if err != nil {
		return "", err
	}
	var list struct {
		Move *struct{ Step string } `json:"move"`
	}
	if err := json.Unmarshal([]byte(r.out), &list); err != nil || list.Move == nil {
		return "", err
	}
	return list.Move.Step, nil
}

// read asks for feeds until ctx ends. An answer that is no feed is an error.
func (m *servedMove) read(ctx context.Context) error {
	c := newClient(m.node.url, "Bearer "+m.key, 2)
	defer c.close()
	var users []string
	for i := 0; i < len(m.handles) && len(users) < 500; i += len(m.handles)/500 + 1 {
		var u userJSON
		if err := c.get(ctx, "/v1/users/by-handle/"+m.handles[i], "", &u); err != nil {
			return fmt.Errorf("find a user: %w", err)
		}
		users = append(users, u.ID)
	}
	for i := 0; ctx.Err() == nil; i = (i + 1) % len(users) {
		a, err := c.send(ctx, request{method: http.MethodGet, path: "/v1/feed", actFor: users[i]})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil || a.status != http.StatusOK {
			return fmt.Errorf("a feed while buckets move: %d, %v\n%s", a.status, err, a.body)
		}
		m.answered.Add(1)
	}
	return nil
}
