package shard_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/shard"
	"github.com/freshet/freshet/store/sqlite"
)

// ledger is what writers of a store were told, to be compared with what it holds. Each writer writes for users of its own, so what
// was acknowledged last counts.
type ledger struct {
	mu      sync.Mutex
	users   []freshet.ID
	posts   map[freshet.ID]string     // by post: its text; "" deleted
	authors map[freshet.ID]freshet.ID // of posts
	likes   map[[2]freshet.ID]bool    // user, post
	follows map[[2]freshet.ID]bool    // actor, target
	writes  atomic.Int64
	slowest atomic.Int64 // of the writes, in nanoseconds
}

func newLedger() *ledger {
	return &ledger{
		posts: make(map[freshet.ID]string), authors: make(map[freshet.ID]freshet.ID),
		likes: make(map[[2]freshet.ID]bool), follows: make(map[[2]freshet.ID]bool),
	}
}

// fill makes users, who follow each other and write a little.
func (l *ledger) fill(t testing.TB, s *shard.Store, users int) {
	t.Helper()
	ctx := t.Context()
	for i := range users {
		u, _, err := s.CreateUser(ctx, freshet.NewUser{Handle: fmt.Sprintf("user_%d", i), Name: "U"}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		l.users = append(l.users, u.ID)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range users {
		for range 3 {
			l.write(t, s, r, l.users[i:i+1])
		}
	}
}

// write makes one random write of one of the actors, and reads what it has made. Any error is a fault: moves may delay, not refuse.
func (l *ledger) write(t testing.TB, s *shard.Store, r *rand.Rand, actors []freshet.ID) {
	ctx, _ := position.WithReading(t.Context(), nil)
	actor, other := actors[r.IntN(len(actors))], l.users[r.IntN(len(l.users))]
	var err error
	defer func(began time.Time) {
		for took := int64(time.Since(began)); ; {
			if last := l.slowest.Load(); took <= last || l.slowest.CompareAndSwap(last, took) {
				return
			}
		}
	}(time.Now())
	switch n := r.IntN(10); {
	case n < 4:
		text := fmt.Sprintf("post %d", r.Int64())
		var p freshet.Post
		if p, _, err = s.CreatePost(ctx, freshet.NewPost{Author: actor, Text: text}, store.Write{}); err != nil {
			break
		}
		l.mu.Lock()
		l.posts[p.ID], l.authors[p.ID] = text, actor
		l.mu.Unlock()
		if back, readErr := s.Posts(ctx, []freshet.ID{p.ID}); readErr != nil || len(back) != 1 || back[0].Text != text {
			t.Errorf("post %s is not there after it was acknowledged: %v, %v", p.ID, back, readErr)
		}
	case n < 5:
		id, ok := l.anyPost(r, func(id freshet.ID) bool { return l.authors[id] == actor && l.posts[id] != "" })
		if !ok {
			return
		}
		if _, err = s.DeletePost(ctx, actor, id, store.Write{}); err != nil {
			break
		}
		l.mu.Lock()
		l.posts[id] = ""
		l.mu.Unlock()
		if back, readErr := s.Posts(ctx, []freshet.ID{id}); readErr != nil || len(back) != 0 {
			t.Errorf("post %s is there after it was deleted: %v, %v", id, back, readErr)
		}
	case n < 8:
		id, ok := l.anyPost(r, func(id freshet.ID) bool { return l.posts[id] != "" })
		if !ok {
			return
		}
		on := r.IntN(3) > 0
		if on {
			_, _, _, err = s.Like(ctx, actor, id, store.Write{})
		} else {
			_, _, _, err = s.Unlike(ctx, actor, id, store.Write{})
		}
		if errors.Is(err, freshet.ErrNotFound) { // deleted meanwhile
			return
		}
		if err == nil {
			l.mu.Lock()
			l.likes[[2]freshet.ID{actor, id}] = on
			l.mu.Unlock()
		}
	default:
		on := r.IntN(3) > 0
		if other == actor {
			return
		}
		if on {
			_, _, err = s.Follow(ctx, actor, other, store.Write{})
		} else {
			_, _, err = s.Unfollow(ctx, actor, other, store.Write{})
		}
		if err == nil {
			l.mu.Lock()
			l.follows[[2]freshet.ID{actor, other}] = on
			l.mu.Unlock()
		}
	}
	if err != nil && t.Context().Err() == nil {
		t.Errorf("a write of %s (bucket %d): %v", actor, actor.Bucket(), err)
	}
	l.writes.Add(1)
}

func (l *ledger) anyPost(r *rand.Rand, fits func(freshet.ID) bool) (freshet.ID, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	skip := r.IntN(8)
	for id := range l.posts {
		if fits(id) {
			if skip--; skip < 0 {
				return id, true
			}
		}
	}
	return 0, false
}

// writers write until stop is called.
func (l *ledger) writers(t testing.TB, s *shard.Store, n int) (stop func()) {
	done, running := make(chan struct{}), new(sync.WaitGroup)
	for i := range n {
		var mine []freshet.ID
		for j := i; j < len(l.users); j += n {
			mine = append(mine, l.users[j])
		}
		running.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for {
				select {
				case <-done:
					return
				default:
					l.write(t, s, r, mine)
				}
			}
		})
	}
	return sync.OnceFunc(func() {
		close(done)
		running.Wait()
	})
}

// check compares a store with the ledger: nothing is lost, doubled or back from the dead.
func (l *ledger) check(t testing.TB, s *shard.Store) {
	t.Helper()
	ctx := t.Context()
	byAuthor, likes, following := make(map[freshet.ID][]freshet.ID), make(map[freshet.ID][]freshet.ID), make(map[freshet.ID][]freshet.ID)
	for id, text := range l.posts {
		if text != "" {
			byAuthor[l.authors[id]] = append(byAuthor[l.authors[id]], id)
		}
	}
	for f, on := range l.likes {
		if on && l.posts[f[1]] != "" {
			likes[f[0]] = append(likes[f[0]], f[1])
		}
	}
	for f, on := range l.follows {
		if on {
			following[f[0]] = append(following[f[0]], f[1])
		}
	}
	want := func(what string, user freshet.ID, got, want []freshet.ID, err error) {
		t.Helper()
		slices.Sort(want)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s of %s (bucket %d): %d, want %d (%v)", what, user, user.Bucket(), len(got), len(want), err)
		}
	}
	for _, user := range l.users {
		refs, err := s.ByAuthor(ctx, user, 0, 100_000)
		want("posts", user, ids(refs, func(r freshet.PostRef) freshet.ID { return r.ID }), byAuthor[user], err)
		liked, err := s.LikedBy(ctx, user, 0, 100_000)
		want("likes", user, liked, likes[user], err)
		edges, err := s.Following(ctx, user, 0, 100_000)
		want("follows", user, ids(edges, func(e freshet.Edge) freshet.ID { return e.User }), following[user], err)
	}
	posts, err := s.Posts(ctx, slices.Collect(maps.Keys(l.posts)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range posts {
		if l.posts[p.ID] != p.Text {
			t.Errorf("post %s is %q, want %q", p.ID, p.Text, l.posts[p.ID])
		}
	}
	if _, found, err := s.Verify(ctx, 0, false); err != nil || len(found) > 0 {
		t.Errorf("verify: %d violations, %v: %.5v", len(found), err, found)
	}
	all, err := s.ListUsers(ctx, 0, 100_000)
	want("all users", 0, ids(all, func(u freshet.User) freshet.ID { return u.ID }), slices.Clone(l.users), err)
}

func ids[T any](list []T, id func(T) freshet.ID) (out []freshet.ID) {
	for _, v := range list {
		out = append(out, id(v))
	}
	return out
}

// moved waits until a move has come to an end.
func moved(t testing.TB, s *shard.Store) *shard.Move {
	t.Helper()
	return until(t, s, shard.Done, shard.Undone)
}

// until waits until a move has come to one of the steps.
func until(t testing.TB, s *shard.Store, steps ...shard.Step) *shard.Move {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		m, err := s.Moving(t.Context())
		if err == nil && slices.Contains(steps, m.Step) {
			return m
		}
		if time.Now().After(deadline) {
			t.Fatalf("the move stands still: %+v, %v", m, err)
		}
	}
}

func buckets(t testing.TB, text string) store.Buckets {
	t.Helper()
	b, err := store.ParseBuckets(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMovesUnderLoad: whatever the engines, buckets go there and back while they are written, and nothing is lost, doubled or back
// from the dead.
func TestMovesUnderLoad(t *testing.T) {
	moves, keep := testenv.Size(1, 2, 20), 200*time.Millisecond // the way back is open for longer than a read may take
	kinds := map[string]func(t *testing.T) []store.Part{
		"two files":     func(t *testing.T) []store.Part { return openFiles(t, 2, nil).parts },
		"two databases": func(t *testing.T) []store.Part { return openDatabases(t, 2, nil).parts },
		"file, database": func(t *testing.T) []store.Part {
			return append(openFiles(t, 1, nil).parts, openDatabases(t, 1, nil).parts...)
		},
	}
	if testing.Short() { // what is concurrent in this process is the same whatever the engines
		delete(kinds, "two databases")
		delete(kinds, "file, database")
	}
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, open(t), shard.Options{Sweep: 50 * time.Millisecond})
			l := newLedger()
			l.fill(t, s, 60)
			stop := l.writers(t, s, 16)
			defer stop()
			began, written := time.Now(), l.writes.Load()
			for n := range moves {
				leg := []struct {
					buckets string
					to      int
				}{{"0-255", 1}, {"100-900", 0}, {"all", 1}, {"0-511", 0}}[n%4]
				if n == moves-1 {
					leg.buckets, leg.to = "all", 1
				}
				l.slowest.Store(0)
				if _, err := s.Move(t.Context(), buckets(t, leg.buckets), leg.to, keep); err != nil {
					t.Fatal(err)
				}
				m := moved(t, s)
				if m.Step != shard.Done || m.Wrong > 0 || m.Copied == 0 || m.Checked == 0 {
					t.Errorf("move %s to %d: %+v", leg.buckets, leg.to, m)
				}
				t.Logf("moved %s to %d: %d rows copied, %d changed meanwhile, %d compared, pause %.1f ms, slowest write %.1f ms",
					leg.buckets, leg.to, m.Copied, m.Changed, m.Checked, m.Pause.Seconds()*1000, float64(l.slowest.Load())/1e6)
			}
			stop()
			t.Logf("%.0f writes a second", float64(l.writes.Load()-written)/time.Since(began).Seconds())
			l.check(t, s)
			if d := s.Directory(); d.Home() != 1 {
				t.Errorf("home is %d, want 1: bucket 0 has moved", d.Home())
			}
			if _, _, err := s.CreateUser(t.Context(), freshet.NewUser{Handle: "user_1"}, store.Write{}); freshet.CodeOf(err) != freshet.CodeConflict {
				t.Errorf("a handle that is taken, after home has moved: %v", err)
			}
		})
	}
}

// counted is a real part that counts what a mover asks of it, and breaks off at a call: before it, or after it was made.
type counted struct {
	*sqlite.DB
	calls *atomic.Int64
	last  int64 // of calls; 0: all
	after bool
	end   func()
}

var errKilled = errors.New("the process was killed")

func (c *counted) call(make func() error) error {
	n := c.calls.Add(1)
	if c.last > 0 && n > c.last || n == c.last && !c.after {
		c.end()
		return errKilled
	}
	err := make()
	if n == c.last {
		c.end()
		return errKilled
	}
	return err
}

func (c *counted) BeginMove(ctx context.Context, term uint64, b store.Buckets) (now time.Time, err error) {
	err = c.call(func() (err error) { now, err = c.DB.BeginMove(ctx, term, b); return err })
	return now, err
}

func (c *counted) EndMove(ctx context.Context, term uint64) error {
	return c.call(func() error { return c.DB.EndMove(ctx, term) })
}

func (c *counted) PutRows(ctx context.Context, term uint64, changes []store.TableRows) error {
	return c.call(func() error { return c.DB.PutRows(ctx, term, changes) })
}

func (c *counted) ForgetNotes(ctx context.Context, term uint64, notes []int64) error {
	return c.call(func() error { return c.DB.ForgetNotes(ctx, term, notes) })
}

func (c *counted) Fence(ctx context.Context, term uint64, lease time.Duration) (now time.Time, err error) {
	err = c.call(func() (err error) { now, err = c.DB.Fence(ctx, term, lease); return err })
	return now, err
}

func (c *counted) Leave(ctx context.Context, term uint64) (at position.Token, err error) {
	err = c.call(func() (err error) { at, err = c.DB.Leave(ctx, term); return err })
	return at, err
}

func (c *counted) Join(ctx context.Context, term uint64) (at position.Token, err error) {
	err = c.call(func() (err error) { at, err = c.DB.Join(ctx, term); return err })
	return at, err
}

func (c *counted) DropRows(ctx context.Context, term uint64, limit int) (n int, err error) {
	err = c.call(func() (err error) { n, err = c.DB.DropRows(ctx, term, limit); return err })
	return n, err
}

func (c *counted) SetDirectory(ctx context.Context, d store.Directory) error {
	return c.call(func() error { return c.DB.SetDirectory(ctx, d) })
}

// TestAMoverDiesAtEachCall: whoever comes next goes on, and all is as if nothing had happened. The one that died has stopped for good
// here; that one which only seemed so does no harm is [TestAMoverThatWasOvertaken].
func TestAMoverDiesAtEachCall(t *testing.T) {
	f := openFiles(t, 2, nil)
	l := newLedger()
	open := func(parts []store.Part, sweep time.Duration) *shard.Store {
		s, err := shard.Open(t.Context(), parts, shard.Options{Sweep: sweep})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	closed := func(s *shard.Store) {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(f.parts, time.Hour)
	l.fill(t, s, 30)
	closed(s)
	stride := int64(testenv.Size(7, 1, 1))
	died := 0
	for last, to := int64(1), 1; ; last += stride {
		calls, over := new(atomic.Int64), make(chan struct{})
		end := sync.OnceFunc(func() { close(over) })
		var parts []store.Part
		for _, p := range f.parts {
			parts = append(parts, &counted{DB: p.(*sqlite.DB), calls: calls, last: last, after: last%2 == 0, end: end})
		}
		s = open(parts, time.Hour)
		if _, err := s.Move(t.Context(), buckets(t, "1-255"), to, 0); err != nil {
			t.Fatal(err)
		}
		killed := false
		for done := false; !done; {
			select {
			case <-over:
				killed, done = true, true
			case <-time.After(time.Millisecond):
				m, err := s.Moving(t.Context())
				done = err == nil && m.Step == shard.Done
			}
		}
		closed(s)
		s = open(f.parts, 5*time.Millisecond) // takes over
		l.write(t, s, rand.New(rand.NewPCG(uint64(last), 3)), l.users)
		if m := moved(t, s); m.Step != shard.Done || m.Wrong > 0 {
			t.Fatalf("died at call %d: %+v", last, m)
		}
		if owner := s.Directory().Owners[7]; int(owner) != to {
			t.Fatalf("died at call %d: bucket 7 is on %d, want %d", last, owner, to)
		}
		closed(s)
		if to = 1 - to; !killed {
			break
		}
		died++
	}
	s = open(f.parts, time.Hour)
	defer closed(s)
	l.check(t, s)
	if died < 12/int(stride) {
		t.Errorf("died only %d times", died)
	}
	t.Logf("the mover died %d times", died)
}

// TestAMoverThatWasOvertaken: what it still does has no effect.
func TestAMoverThatWasOvertaken(t *testing.T) {
	f := openFiles(t, 2, nil)
	l := newLedger()
	slow := &gatedMover{DB: f.parts[1].(*sqlite.DB), entered: make(chan struct{}), leave: make(chan struct{})}
	s := openStore(t, []store.Part{f.parts[0], slow}, shard.Options{Sweep: time.Hour})
	l.fill(t, s, 30)
	if _, err := s.Move(t.Context(), buckets(t, "0-255"), 1, 0); err != nil {
		t.Fatal(err)
	}
	<-slow.entered // a page is on its way, and stays so
	other := openStore(t, f.parts, shard.Options{Sweep: 5 * time.Millisecond})
	m := moved(t, other)
	if m.Step != shard.Done || m.Term < 2 {
		t.Fatalf("%+v", m)
	}
	l.write(t, other, rand.New(rand.NewPCG(9, 9)), l.users)
	close(slow.leave)
	if err := <-slow.result(); !errors.Is(err, store.ErrTerm) {
		t.Errorf("the page of the mover that was overtaken: %v", err)
	}
	l.check(t, other)
}

// gatedMover is a real part whose first PutRows waits.
type gatedMover struct {
	*sqlite.DB
	once           sync.Once
	entered, leave chan struct{}
	got            chan error
	mu             sync.Mutex
}

func (g *gatedMover) result() chan error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.got == nil {
		g.got = make(chan error, 1)
	}
	return g.got
}

func (g *gatedMover) PutRows(ctx context.Context, term uint64, changes []store.TableRows) (err error) {
	first := false
	g.once.Do(func() {
		first = true
		close(g.entered)
		<-g.leave
	})
	err = g.DB.PutRows(ctx, term, changes)
	if first {
		g.result() <- err
	}
	return err
}

// TestAMoveIsUndone: before the switch the target forgets what it has, after it the source has the buckets back, with what was
// written meanwhile.
func TestAMoveIsUndone(t *testing.T) {
	for name, step := range map[string]shard.Step{"before the switch": shard.Copying, "while the way back is open": shard.Keeping} {
		t.Run(name, func(t *testing.T) {
			f := openFiles(t, 2, nil)
			l := newLedger()
			slow := &gatedMover{DB: f.parts[1].(*sqlite.DB), entered: make(chan struct{}), leave: make(chan struct{})}
			if step == shard.Keeping {
				close(slow.leave)
			}
			s := openStore(t, []store.Part{f.parts[0], slow}, shard.Options{Sweep: 20 * time.Millisecond})
			l.fill(t, s, 30)
			before := s.Directory().Owners
			if err := s.AbortMove(t.Context()); !errors.Is(err, shard.ErrNoMove) {
				t.Errorf("abort of nothing: %v", err)
			}
			if _, err := s.Move(t.Context(), buckets(t, "0-255"), 1, time.Hour); err != nil {
				t.Fatal(err)
			}
			until(t, s, step)
			if _, err := s.Move(t.Context(), buckets(t, "300"), 1, time.Hour); freshet.CodeOf(err) != freshet.CodeConflict {
				t.Errorf("a second move: %v", err)
			}
			stop := l.writers(t, s, 4)
			defer stop()
			for n := l.writes.Load(); l.writes.Load() < n+100; time.Sleep(time.Millisecond) {
			}
			if err := s.AbortMove(t.Context()); err != nil {
				t.Fatal(err)
			}
			if step == shard.Copying {
				close(slow.leave)
			}
			if m := moved(t, s); m.Step != shard.Undone {
				t.Errorf("%+v", m)
			}
			stop()
			if s.Directory().Owners != before {
				t.Error("the buckets are not where they were")
			}
			l.check(t, s)
		})
	}
}

// TestARouterThatHasNotHeardOfAMove: what its reader has seen elsewhere tells it, and a write finds its way.
func TestARouterThatHasNotHeardOfAMove(t *testing.T) {
	f := openFiles(t, 2, nil)
	s := openStore(t, f.parts, shard.Options{Sweep: 20 * time.Millisecond})
	l := newLedger()
	l.fill(t, s, 30)
	reader, writer := openStore(t, f.parts, shard.Options{Sweep: time.Hour}), openStore(t, f.parts, shard.Options{Sweep: time.Hour})
	user := l.users[slices.IndexFunc(l.users, func(id freshet.ID) bool { return id.Bucket() < 256 })]
	if _, err := s.Move(t.Context(), buckets(t, "0-255"), 1, time.Hour); err != nil {
		t.Fatal(err)
	}
	until(t, s, shard.Keeping)
	post, at, err := s.CreatePost(t.Context(), freshet.NewPost{Author: user, Text: "after the move"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, reading := position.WithReading(t.Context(), at)
	if posts, err := reader.Posts(ctx, []freshet.ID{post.ID}); err != nil || len(posts) != 1 {
		t.Errorf("read at the token: %v, %v", posts, err)
	}
	if d := reader.Directory(); reading.High().At(d.Position().System) != d.Position() {
		t.Errorf("what was read does not tell the directory: %v", reading.High())
	}
	if _, _, err := writer.EditPost(t.Context(), user, post.ID, freshet.PostPatch{Text: new(string)}, store.Write{}); freshet.CodeOf(err) == freshet.CodeUnavailable {
		t.Errorf("a write of who has not heard: %v", err)
	}
}
