package replica_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
	"github.com/freshet/freshet/store/replica"
)

// traveller is a user who writes ever higher numbers into the own profile and reads them, each time by another process, with
// nothing but a token in the hand.
type traveller struct {
	id           freshet.ID
	token        position.Token
	acknowledged int // the last number whose write was acknowledged
	seen         int // the highest number that was read
}

// chaos is what all travellers found.
type chaos struct {
	reads, stale, back, errors, writes atomic.Int64
	randomReads, randomStale           atomic.Int64
}

// step writes or reads once, by one of several routers over the same servers.
func (c *chaos) step(ctx context.Context, u *traveller, routers []*replica.Store, replicas []*postgres.DB) {
	router := routers[rand.IntN(len(routers))]
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ctx, reading := position.WithReading(ctx, u.token)
	if rand.IntN(10) == 0 {
		name := strconv.Itoa(u.acknowledged + 1)
		_, at, err := router.UpdateUser(ctx, u.id, freshet.UserPatch{Name: &name}, store.Write{})
		if err != nil {
			c.errors.Add(1) // it may have been made all the same, so the next is the same again
			return
		}
		c.writes.Add(1)
		u.acknowledged++
		u.token = u.token.Merge(at)
		return
	}
	users, err := router.Users(ctx, []freshet.ID{u.id})
	if err != nil || len(users) != 1 {
		c.errors.Add(1)
		return
	}
	u.token = u.token.Merge(reading.High())
	n, _ := strconv.Atoi(users[0].Name)
	c.reads.Add(1)
	if n < u.acknowledged {
		c.stale.Add(1)
	}
	if n < u.seen {
		c.back.Add(1)
	}
	u.seen = max(u.seen, n)
	if rand.IntN(4) > 0 { // what a router that knows nothing would have found
		return
	}
	bare, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	users, err = replicas[rand.IntN(len(replicas))].Users(bare, []freshet.ID{u.id})
	if err != nil || len(users) != 1 {
		return
	}
	c.randomReads.Add(1)
	if n, _ := strconv.Atoi(users[0].Name); n < u.acknowledged {
		c.randomStale.Add(1)
	}
}

// TestNobodySeesTheOwnPast is the promise under faults: a replica that stands still, one that dies, a primary that dies and a
// promotion, over three routers that share nothing but their users' tokens.
func TestNobodySeesTheOwnPast(t *testing.T) {
	c := startSynchronous(t)
	name := c.createDatabase(t)
	var routers []*replica.Store
	for range 3 {
		routers = append(routers, c.openDatabase(t, name, replica.Options{FailoverWait: 10 * time.Second}))
	}
	var replicas []*postgres.DB
	for _, s := range c.servers[1:] {
		n, err := postgres.Open(t.Context(), s.URL(name), postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		replicas = append(replicas, n)
	}
	var found chaos
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	var travellers []*traveller
	for i := range 16 {
		u, at, err := routers[0].CreateUser(ctx, freshet.NewUser{Handle: "u" + strconv.Itoa(i), Name: "0"}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		me := &traveller{id: u.ID, token: at}
		travellers = append(travellers, me)
		all.Go(func() {
			for ctx.Err() == nil {
				found.step(ctx, me, routers, replicas)
			}
		})
	}
	wanted := int64(testenv.Size(4_000, 20_000, 200_000))
	primary, r1, r2 := c.servers[0], c.servers[1], c.servers[2]
	for found.reads.Load() < wanted {
		r1.Exec(t, "postgres", "SELECT pg_wal_replay_pause()")
		time.Sleep(300 * time.Millisecond)
		r2.Kill()
		r1.Exec(t, "postgres", "SELECT pg_wal_replay_resume()")
		time.Sleep(100 * time.Millisecond)
		r2.Restart()
		time.Sleep(200 * time.Millisecond)
		r2.Pause()
		time.Sleep(200 * time.Millisecond)
		r2.Resume()
		time.Sleep(300 * time.Millisecond)
	}
	before := found.writes.Load()
	primary.Kill()
	// The most advanced one is promoted: it has every write that was acknowledged.
	next, other, otherName := r1, r2, "r2"
	if c.received(t, r2) > c.received(t, r1) {
		next, other, otherName = r2, r1, "r1"
	}
	next.Promote(t)
	promoted := time.Now()
	other.Follow(t, next, otherName)
	for found.writes.Load() == before {
		if time.Since(promoted) > 20*time.Second {
			t.Fatal("no write succeeded after the promotion")
		}
		time.Sleep(time.Millisecond)
	}
	took := time.Since(promoted)
	for reads := found.reads.Load(); found.reads.Load() < reads+wanted/10; {
		time.Sleep(time.Millisecond)
	}
	primary.Restart() // it takes writes, and does not know that it is nobody's primary any more
	time.Sleep(300 * time.Millisecond)
	for reads := found.reads.Load(); found.reads.Load() < reads+wanted/10; {
		time.Sleep(time.Millisecond)
	}
	stop()
	all.Wait()

	var onReplicas, onPrimary int64
	for _, r := range routers {
		s := r.Stats()
		onReplicas, onPrimary = onReplicas+s.OnReplicas, onPrimary+s.OnPrimary
		if s.Failovers == 0 || c.servers[s.Primary] != next {
			t.Errorf("a router takes server %d for the primary, after %d promotions", s.Primary, s.Failovers)
		}
	}
	lost := 0
	for _, u := range travellers { // nothing asked for: the primary answers
		users, err := routers[0].Users(t.Context(), []freshet.ID{u.id})
		if err != nil || len(users) != 1 {
			t.Fatalf("user %d: %v, %v", u.id, users, err)
		}
		n, _ := strconv.Atoi(users[0].Name)
		lost += max(0, u.acknowledged-n)
	}
	share := float64(onReplicas) / float64(onReplicas+onPrimary)
	t.Logf("%d reads, %d without an own write, %d back in time; %d writes acknowledged, %d lost; %d errors; %.1f %% on replicas; a random replica: %d of %d stale; first write %v after the promotion",
		found.reads.Load(), found.stale.Load(), found.back.Load(), found.writes.Load(), lost, found.errors.Load(), 100*share,
		found.randomStale.Load(), found.randomReads.Load(), took)
	if found.stale.Load() > 0 || found.back.Load() > 0 {
		t.Errorf("%d reads missed an own write, %d went back in time", found.stale.Load(), found.back.Load())
	}
	if lost > 0 {
		t.Errorf("%d acknowledged writes are lost", lost)
	}
	if found.randomStale.Load() == 0 {
		t.Error("the faults were none: a random replica was never behind")
	}
	if share < 0.5 {
		t.Errorf("replicas answered %.1f %% of the reads", 100*share)
	}
}

// startSynchronous starts a cluster whose commits wait for one replica: what was acknowledged outlives the primary.
func startSynchronous(t testenv.TB) *cluster {
	p := testenv.StartPostgres(t, "max_connections=300", "wal_keep_size=256MB", "hot_standby_feedback=on")
	c := &cluster{servers: []*testenv.Postgres{p, p.StartReplica(t, "r1"), p.StartReplica(t, "r2")}}
	for _, s := range c.servers[:1] {
		s.Exec(t, "postgres", "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (r1, r2)'")
		s.Exec(t, "postgres", "SELECT pg_reload_conf()")
	}
	return c
}

// received is how much WAL a replica has.
func (c *cluster) received(t testing.TB, s *testenv.Postgres) int {
	rows := s.Exec(t, "postgres", "SELECT (pg_last_wal_receive_lsn() - '0/0')::bigint")
	n, err := strconv.Atoi(rows[0][0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
