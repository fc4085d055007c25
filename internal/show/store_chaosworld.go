package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet/freshet/internal/testenv"
)

// chaosWorld is three app processes over a primary, two replicas, of which one has each commit before it is acknowledged, and a Redis.
type chaosWorld struct {
	servers  [3]*testenv.Postgres // the primary, r1, r2
	database string
	nodes    [3]*node
	replicas []*pgxpool.Pool // for the router that knows nothing

	tell      func(format string, args ...any)
	clients   []*chaosClient
	strangers []*stranger
	board     chaosBoard

	reads, unseen, back, resurrected, strange, writes, failed atomic.Int64
	random, randomStale                                       atomic.Int64
	slowest                                                   atomic.Int64
}

const (
	chaosClients   = 16
	chaosStrangers = 2
	chaosPatience  = 20 * time.Second // of one request
)

// chaosRun is one run: chaos until the clients have read so often.
func (l *lab) chaosRun(ctx context.Context, wanted int64, seed uint64) (*chaosFound, error) {
	var servers testenv.Scope
	defer servers.Close()
	w, err := l.openChaos(ctx, &servers)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if err := w.populate(ctx); err != nil {
		return nil, err
	}
	before, err := w.routed(ctx)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	for i, c := range w.clients {
		all.Go(func() { c.run(running, seed<<8|uint64(i)) })
	}
	for i, s := range w.strangers {
		all.Go(func() { s.run(running, seed<<8|128|uint64(i)) })
	}
	failover, next, err := w.faults(ctx, &servers, wanted)
	stop()
	all.Wait()
	if err != nil {
		return nil, err
	}
	after, err := w.routed(ctx)
	if err != nil {
		return nil, err
	}
	lost, err := w.lost(ctx, next)
	return &chaosFound{
		reads: w.reads.Load(), unseen: w.unseen.Load(), back: w.back.Load(), resurrected: w.resurrected.Load(), strangers: w.strange.Load(),
		writes: w.writes.Load(), failed: w.failed.Load(), lost: lost, random: w.random.Load(), randomStale: w.randomStale.Load(),
		onReplicas: after[0] - before[0], onPrimary: after[1] - before[1], failover: failover, slowest: time.Duration(w.slowest.Load()),
	}, err
}

// openChaos starts everything.
func (l *lab) openChaos(ctx context.Context, servers *testenv.Scope) (w *chaosWorld, err error) {
	settings := []string{"wal_level=logical", "max_connections=300", "wal_keep_size=256MB", "hot_standby_feedback=on"}
	w = &chaosWorld{tell: l.say}
	w.board.deleted = make(map[string]time.Time)
	primary := testenv.StartPostgres(servers, settings...)
	w.servers = [3]*testenv.Postgres{primary, primary.StartReplica(servers, "r1"), primary.StartReplica(servers, "r2")}
	primary.Exec(servers, "postgres", "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (r1, r2)'")
	primary.Exec(servers, "postgres", "SELECT pg_reload_conf()")
	redis := testenv.StartRedis(servers)
	u, err := url.Parse(primary.CreateDatabase(servers))
	if err != nil {
		return nil, err
	}
	w.database = u.Path[1:]
	shard := fmt.Sprintf("[{primary: %q, replicas: [%q, %q]}]", primary.URL(w.database), w.servers[1].URL(w.database), w.servers[2].URL(w.database))
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	for i := range w.nodes {
		if w.nodes[i], err = l.serve(ctx, l.folder("chaos"), "FRESHET_FEED_MODE=pull", "FRESHET_CACHE_REMOTE=redis://"+redis.Addr, "FRESHET_STORE_SHARDS="+shard); err != nil {
			return w, err
		}
	}
	for _, s := range w.servers[1:] {
		pool, err := bare(ctx, s.URL(w.database), 4, pgx.QueryExecModeCacheStatement)
		if err != nil {
			return w, err
		}
		w.replicas = append(w.replicas, pool)
	}
	return w, nil
}

func (w *chaosWorld) close() {
	for _, n := range w.nodes {
		if n != nil {
			n.kill()
		}
	}
	for _, pool := range w.replicas {
		pool.Close()
	}
}

// populate makes the clients, of whom each follows three others; every other one keeps cookies, as a browser does, and the rest send
// a session's token and nothing else.
func (w *chaosWorld) populate(ctx context.Context) error {
	transport := &http.Transport{MaxIdleConnsPerHost: chaosClients, DisableCompression: true}
	ask := func(h *http.Client, auth string) (to [3]*client) {
		for i, n := range w.nodes {
			to[i] = &client{url: n.url, auth: auth, http: h}
		}
		return to
	}
	plain := &http.Client{Timeout: chaosPatience, Transport: transport}
	for i := range chaosClients {
		handle := fmt.Sprintf("chaos%d", i)
		auth, err := signUp(ctx, ask(plain, "")[0], handle)
		if err != nil {
			return err
		}
		c := &chaosClient{world: w, posts: make(map[string]*chaosPost), seen: make(map[string]int), to: ask(plain, auth)}
		var me userJSON
		if err := c.to[0].get(ctx, "/v1/users/me", "", &me); err != nil {
			return err
		}
		c.id = me.ID
		if i%2 == 0 {
			if c.to, err = c.withCookies(transport, ask); err != nil {
				return err
			}
		}
		w.clients = append(w.clients, c)
	}
	for i, c := range w.clients {
		for j := range 3 {
			if err := c.to[0].do(ctx, request{method: http.MethodPut, path: "/v1/users/" + w.clients[(i+j+1)%chaosClients].id + "/follow"}, nil); err != nil {
				return err
			}
		}
	}
	for range chaosStrangers {
		w.strangers = append(w.strangers, &stranger{world: w, to: ask(plain, "")})
	}
	return nil
}

// withCookies has a client who is signed in go on as a browser.
func (c *chaosClient) withCookies(transport *http.Transport, ask func(*http.Client, string) [3]*client) (to [3]*client, err error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return to, err
	}
	u, err := url.Parse(c.to[0].url)
	if err != nil {
		return to, err
	}
	jar.SetCookies(u, []*http.Cookie{{Name: "freshet_session", Value: c.to[0].auth[len("Bearer "):], Path: "/"}})
	return ask(&http.Client{Timeout: chaosPatience, Transport: transport, Jar: jar}, ""), nil
}

// faults has replicas stand still, die and return until most of the reads are done, then the primary die and the most advanced
// replica be promoted. It gives how long after that the first write succeeded, and who is the primary.
func (w *chaosWorld) faults(ctx context.Context, servers *testenv.Scope, wanted int64) (time.Duration, *testenv.Postgres, error) {
	primary, r1, r2 := w.servers[0], w.servers[1], w.servers[2]
	deadline := time.Now().Add(time.Minute + time.Duration(wanted)*10*time.Millisecond)
	for w.reads.Load() < wanted*7/10 {
		if time.Now().After(deadline) {
			return 0, nil, fmt.Errorf("%d of %d reads in all this time", w.reads.Load(), wanted)
		}
		r1.Exec(servers, "postgres", "SELECT pg_wal_replay_pause()")
		nap(ctx, 300*time.Millisecond)
		r2.Kill()
		r1.Exec(servers, "postgres", "SELECT pg_wal_replay_resume()")
		nap(ctx, 100*time.Millisecond)
		r2.Restart()
		nap(ctx, 300*time.Millisecond)
		r2.Pause()
		nap(ctx, 200*time.Millisecond)
		r2.Resume()
		nap(ctx, 700*time.Millisecond)
	}
	primary.Kill()
	before := w.writes.Load()
	// The most advanced one has every write that was acknowledged.
	next, other, otherName := r1, r2, "r2"
	if received(servers, r2) > received(servers, r1) {
		next, other, otherName = r2, r1, "r1"
	}
	next.Promote(servers)
	promoted := time.Now()
	other.Follow(servers, next, otherName)
	var took time.Duration
	for w.reads.Load() < wanted || took == 0 {
		if took == 0 && w.writes.Load() > before {
			took = time.Since(promoted)
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return took, next, errors.New("no end after the promotion: no write, or too few reads")
		}
		nap(ctx, time.Millisecond)
	}
	return took, next, nil
}

// received is how much WAL a replica has.
func received(servers *testenv.Scope, s *testenv.Postgres) int {
	n, _ := strconv.Atoi(s.Exec(servers, "postgres", "SELECT (pg_last_wal_receive_lsn() - '0/0')::bigint")[0][0])
	return n
}

// routed adds up where the nodes' database reads went: to replicas, to the primary.
func (w *chaosWorld) routed(ctx context.Context) (sum [2]float64, err error) {
	for _, n := range w.nodes {
		c := newClient(n.url, "", 1)
		for i, name := range []string{"freshet_store_replica_reads_total", "freshet_store_primary_reads_total"} {
			v, err := c.metric(ctx, name)
			if err != nil {
				return sum, err
			}
			sum[i] += v
		}
		c.close()
	}
	return sum, nil
}

// lost counts the acknowledged writes that the primary does not have.
func (w *chaosWorld) lost(ctx context.Context, primary *testenv.Postgres) (lost int64, err error) {
	pool, err := bare(ctx, primary.URL(w.database), 1, pgx.QueryExecModeCacheStatement)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	rows, err := pool.Query(ctx, "SELECT id, text FROM freshet.posts")
	if err != nil {
		return 0, err
	}
	versions := make(map[string]int)
	var id int64
	var text string
	if _, err := pgx.ForEachRow(rows, []any{&id, &text}, func() error {
		versions[strconv.FormatInt(id, 10)] = versionOf(text)
		return nil
	}); err != nil {
		return 0, err
	}
	for _, c := range w.clients {
		for id, p := range c.posts {
			version, there := versions[id]
			switch {
			case p.deleted && there, !p.deleted && !p.doomed && !there:
				lost++
			case there && version < p.acked:
				lost += int64(p.acked - version)
			}
		}
	}
	return lost, nil
}

func nap(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
