package redis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed/feedtest"
	"github.com/freshet/freshet/feed/redis"
	"github.com/freshet/freshet/internal/testenv"
)

// network is a system of a reader, 1, who follows 2 and 3.
func network(t *testing.T, o redis.Options) *system {
	t.Helper()
	s := newSystem(t, o, true)
	s.faulty = true
	s.must(t, s.Follow(1, 2))
	s.must(t, s.Follow(1, 3))
	return s
}

func (s *system) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *system) post(t *testing.T, author int) freshet.ID {
	t.Helper()
	id, err := s.Post(author, "text")
	s.must(t, err)
	return id
}

// check reads the reader's feed on each node.
func (s *system) check(t *testing.T) {
	t.Helper()
	for range s.nodes {
		s.nodes[0], s.nodes[1] = s.nodes[1], s.nodes[0]
		_, err := s.Page(1, 0, s.limit)
		s.must(t, err)
	}
}

// served reads until pages come from timelines.
func (s *system) served(t *testing.T) {
	t.Helper()
	from := func() (n int64) {
		for _, e := range s.nodes {
			n += e.Stats().FromMemory
		}
		return n
	}
	for deadline, before := time.Now().Add(20*time.Second), from(); from() < before+3; time.Sleep(2 * time.Millisecond) {
		s.check(t)
		if time.Now().After(deadline) {
			t.Fatal("no page comes from a timeline")
		}
	}
}

func options(client rueidis.ClientOption) redis.Options {
	return redis.Options{Client: client, Lease: 200 * time.Millisecond, Disorder: 8}
}

// A server that is killed and starts with its last snapshot lacks what was acknowledged since; its timelines say nothing of that.
func TestAServerThatForgot(t *testing.T) {
	server := testenv.StartRedis(t)
	s := network(t, options(clientOf(server.Addr)))
	s.post(t, 2)
	s.served(t)
	save(t, server.Addr)
	s.post(t, 3)
	s.check(t)
	server.Kill()
	s.check(t)
	server.Restart()
	for range 200 {
		s.check(t)
	}
	s.post(t, 2)
	s.served(t)
}

func save(t *testing.T, addr string) {
	t.Helper()
	c, err := rueidis.NewClient(clientOf(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Do(t.Context(), c.B().Arbitrary("SAVE").Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// command sends a command as somebody else.
func command(t *testing.T, addr string, words ...string) {
	t.Helper()
	c, err := rueidis.NewClient(clientOf(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Do(t.Context(), c.B().Arbitrary(words...).Build()).Error(); err != nil && !rueidis.IsRedisNil(err) {
		t.Fatal(err)
	}
}

// Everything that Redis holds may be gone at any moment, and comes back.
func TestAServerThatIsEmptied(t *testing.T) {
	server := testenv.StartRedis(t)
	s := network(t, options(clientOf(server.Addr)))
	for range 5 {
		s.post(t, 2)
		s.served(t)
		command(t, server.Addr, "FLUSHALL")
		s.check(t)
		s.post(t, 3)
		s.check(t)
	}
}

// An owner dies: its timelines go on being read, with what is in the log, until another has its stripes.
func TestAnOwnerThatDies(t *testing.T) {
	o := options(clientOf(testenv.StartRedis(t).Addr))
	s := network(t, o)
	s.post(t, 2)
	s.served(t)
	dead := s.nodes[0]
	dead.Close()
	dead.stop()
	<-dead.done
	s.nodes[0] = s.nodes[1]
	for end := time.Now().Add(3 * o.Lease); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		s.post(t, 2)
		s.check(t)
	}
	s.served(t)
	s.nodes[0] = nil
}

// A server that hangs holds nobody up, and what was written meanwhile is told to all when it goes on.
func TestAServerThatHangs(t *testing.T) {
	server := testenv.StartRedis(t)
	s := network(t, options(clientOf(server.Addr)))
	s.post(t, 2)
	s.served(t)
	server.Pause()
	id := freshet.PostRef{Author: 2}
	id.ID = s.Model.Post(2, "while it hangs")
	s.nodes[0].Publish(id)
	began := time.Now()
	s.nodes[1], s.nodes[0] = s.nodes[0], s.nodes[1]
	if _, err := s.pageOf(s.nodes[1]); err != nil { // the node that published
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a page took %v", took)
	}
	server.Resume()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, err := s.pageOf(s.nodes[0])
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	s.served(t)
}

// pageOf reads the reader's feed on one node.
func (s *system) pageOf(n *node) (any, error) {
	rest := s.nodes
	defer func() { s.nodes = rest }()
	s.nodes = [2]*node{n, n}
	return s.Page(1, 0, s.limit)
}

// A post that becomes visible long after those that are newer is in every page, though a ring in order has no place for it.
func TestAPostThatComesLate(t *testing.T) {
	o := options(clientOf(testenv.StartRedis(t).Addr))
	o.Length, o.Disorder = 8, 2
	s := network(t, o)
	s.limit = 3
	s.post(t, 3)
	s.served(t)
	late := freshet.PostRef{ID: s.Model.Post(2, "late"), Author: 2}
	for range 30 {
		id := s.Model.Post(3, "sooner")
		s.nodes[0].Publish(freshet.PostRef{ID: id, Author: 3})
	}
	s.served(t)
	s.nodes[1].Publish(late)
	time.Sleep(20 * time.Millisecond) // for the owner to enter it
	s.limit = 8
	for range 50 {
		s.check(t)
		time.Sleep(time.Millisecond)
	}
}

// late is a source that has somebody post when it has just been read.
type late struct {
	*feedtest.Model
	then func()
}

func (l *late) Home(ctx context.Context, reader, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	refs, err := l.Model.Home(ctx, reader, before, limit)
	if then := l.then; then != nil && limit > 100 {
		l.then = nil
		then()
	}
	return refs, err
}

// A post that is written while a timeline is built, after the store was read, is on it.
func TestAPostDuringABuild(t *testing.T) {
	o := options(clientOf(testenv.StartRedis(t).Addr))
	source := new(late)
	o.Source = source
	s := newSystem(t, o, true)
	source.Model = s.Model
	s.must(t, s.Follow(1, 2))
	for author := 3; author < 6; author++ {
		s.post(t, 2)
		s.served(t)
		s.must(t, s.Follow(1, author))
		source.then = func() { s.post(t, 2) }
		for deadline := time.Now().Add(10 * time.Second); source.then != nil && time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
			s.Page(1, 0, 10) // which may or may not show what is written during it
		}
		if source.then != nil {
			t.Fatal("nothing was built")
		}
		time.Sleep(400 * time.Millisecond) // for the log to forget it
		s.served(t)
	}
}

// What is followed is there at once, also while the timeline from before is.
func TestAFollowIsSeenAtOnce(t *testing.T) {
	s := network(t, options(clientOf(testenv.StartRedis(t).Addr)))
	for author := 4; author < 34; author++ {
		s.post(t, author)
		s.served(t)
		s.must(t, s.Follow(1, author))
		s.check(t)
	}
}

// Everything is dropped, and comes back.
func TestVoidAll(t *testing.T) {
	s := network(t, options(clientOf(testenv.StartRedis(t).Addr)))
	for range 3 {
		s.post(t, 2)
		s.served(t)
		s.nodes[0].VoidAll()
		s.check(t)
	}
	s.served(t)
}

// A node that is cut off from Redis shows its own posts at once, and the others see them when it gets through.
func TestANodeThatIsCutOff(t *testing.T) {
	server := testenv.StartRedis(t)
	relay := testenv.StartRelay(t, server.Addr)
	o := options(clientOf(server.Addr))
	o.Lease = 20 * time.Second // its stripes stay its own
	s := &system{strict: true, clients: [2]rueidis.ClientOption{clientOf(relay.Addr), {}}}
	s = begin(t, s, o)
	s.must(t, s.Follow(1, 2))
	s.post(t, 2)
	s.served(t)
	alone, other := s.nodes[0], s.nodes[1]
	relay.Pause()
	alone.Publish(freshet.PostRef{ID: s.Model.Post(2, "alone"), Author: 2})
	if _, err := s.pageOf(alone); err != nil {
		t.Fatal(err)
	}
	relay.Cut() // and what waits in the relay is lost
	relay.Resume()
	for range 100 { // its reads come from timelines again before it has said what it had to
		if _, err := s.pageOf(alone); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := s.pageOf(other); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	s.served(t)
}

// A timeline that Redis has evicted is built anew.
func TestATimelineThatIsGone(t *testing.T) {
	server := testenv.StartRedis(t)
	s := network(t, options(clientOf(server.Addr)))
	for range 3 {
		s.post(t, 2)
		s.served(t)
		evict(t, server.Addr)
		s.post(t, 2)
		time.Sleep(20 * time.Millisecond) // delivered to a ring that is gone
		s.check(t)
	}
	s.served(t)
}

func evict(t *testing.T, addr string) {
	t.Helper()
	keys := timelines(t, addr)
	if len(keys) == 0 {
		t.Fatal("there is no timeline")
	}
	command(t, addr, append([]string{"DEL"}, keys...)...)
}

// timelines are the keys of all timelines.
func timelines(t *testing.T, addr string) []string {
	t.Helper()
	c, err := rueidis.NewClient(clientOf(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	keys, err := c.Do(t.Context(), c.B().Keys().Pattern("*{t?}??????????:*").Build()).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Who does not read any more has no timeline after a while, and nothing is written for them.
func TestWhoDoesNotReadGetsNothing(t *testing.T) {
	server := testenv.StartRedis(t)
	o := options(clientOf(server.Addr))
	o.Idle = time.Second
	s := network(t, o)
	s.post(t, 2)
	s.served(t)
	for deadline := time.Now().Add(20 * time.Second); len(timelines(t, server.Addr)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a timeline that nobody reads stays")
		}
	}
	s.post(t, 2)
	time.Sleep(300 * time.Millisecond)
	s.post(t, 2)
	time.Sleep(300 * time.Millisecond)
	if left := timelines(t, server.Addr); len(left) > 0 {
		t.Errorf("deliveries to nobody have made %q", left)
	}
	s.served(t)
}

// What was delivered stays in the log for as long as a page may take that has looked at the timeline before.
func TestTheLogKeepsWhatWasJustDelivered(t *testing.T) {
	server := testenv.StartRedis(t)
	s := network(t, options(clientOf(server.Addr)))
	s.served(t)
	c, err := rueidis.NewClient(clientOf(server.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	logs, err := c.Do(t.Context(), c.B().Keys().Pattern("*}log").Build()).AsStrSlice()
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	length := func() (n int64) {
		for _, key := range logs {
			n = max(n, must(c.Do(t.Context(), c.B().Llen().Key(key).Build()).AsInt64()))
		}
		return n
	}
	for try := 0; ; try++ {
		for length() > 1 { // what was there has gone
			time.Sleep(10 * time.Millisecond)
		}
		began := time.Now()
		s.post(t, 2)
		time.Sleep(50 * time.Millisecond)
		n, took := length(), time.Since(began)
		if took < 150*time.Millisecond {
			if n < 2 {
				t.Errorf("the log does not have the post any more after %v", took)
			}
			return
		}
		if try == 20 {
			t.Fatal("this machine is too busy")
		}
	}
}

// A cluster has each stripe on one of its masters.
func TestACluster(t *testing.T) {
	cluster := testenv.StartRedisCluster(t)
	o := options(clientOf(cluster.Addrs()...))
	s := network(t, o)
	for range 20 {
		s.post(t, 2)
		s.post(t, 3)
		s.check(t)
	}
	s.served(t)
	s.must(t, s.Unfollow(1, 3))
	s.served(t)
}

// Open does not wait for a server that is not there, and says so.
func TestNoServer(t *testing.T) {
	_, err := redis.Open(redis.Options{Client: clientOf("127.0.0.1:1")})
	if err == nil || errors.Is(err, redis.ErrResting) {
		t.Errorf("a server that is not there gives %v", err)
	}
}

func must(n int64, err error) int64 {
	if err != nil {
		panic(err)
	}
	return n
}
