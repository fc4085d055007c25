package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
)

// A reader consumes the change feed from the present on.
type reader struct {
	t    testing.TB
	db   *postgres.DB
	name string
	at   position.Position
}

func read(t testing.TB, db *postgres.DB, name string) *reader {
	t.Helper()
	r := &reader{t: t, db: db, name: name}
	for wait := 100 * time.Millisecond; ; wait *= 2 { // until its slot is made
		got, err := r.next(wait, 1)
		if err == nil && len(got) == 0 {
			return r
		}
		if !errors.Is(err, context.DeadlineExceeded) || wait > 10*time.Second {
			t.Fatalf("a new consumer: %v, %v", got, err)
		}
	}
}

func (r *reader) next(wait time.Duration, limit int) ([]store.Change, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), wait)
	defer cancel()
	return r.db.Changes(ctx, r.name, r.at, limit)
}

// hears reads until n changes have come.
func (r *reader) hears(n int) (all []store.Change) {
	r.t.Helper()
	for len(all) < n {
		got, err := r.next(20*time.Second, n)
		if err != nil || len(got) == 0 {
			r.t.Fatalf("heard %d of %d changes: %v\n%v", len(all), n, err, all)
		}
		all = append(all, got...)
		r.at = all[len(all)-1].At
	}
	return all
}

// hearsNothing asks until it is known that there is nothing to hear: on a slow machine a short wait ends before that.
func (r *reader) hearsNothing() {
	r.t.Helper()
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		got, err := r.next(wait, 1)
		if errors.Is(err, context.DeadlineExceeded) && wait < 20*time.Second {
			continue
		}
		if len(got) > 0 || err != nil {
			r.t.Errorf("heard %v, %v, want nothing", got, err)
		}
		return
	}
}

func (r *reader) confirm() {
	r.t.Helper()
	if err := r.db.Confirm(r.t.Context(), r.name, r.at); err != nil {
		r.t.Fatal(err)
	}
}

// isLost asks until the feed says that it is lost, then begins anew.
func (r *reader) isLost() {
	r.t.Helper()
	if got, err := r.next(20*time.Second, 1); !errors.Is(err, store.ErrFeedLost) {
		r.t.Fatalf("%v, %v, want that the feed is lost", got, err)
	}
	if r.at.IsZero() {
		return
	}
	if _, err := r.next(20*time.Second, 1); !errors.Is(err, store.ErrFeedLost) {
		r.t.Fatalf("without beginning anew: %v", err)
	}
	r.at = position.Position{}
}

func exec(t testing.TB, file *pgdb.DB, sql string, args ...any) {
	t.Helper()
	if _, err := file.Pool().Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func newUser(t testing.TB, db *postgres.DB, handle string) freshet.ID {
	t.Helper()
	u, _, err := db.CreateUser(t.Context(), freshet.NewUser{Handle: handle}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

func TestWritesByPlainSQLAreHeard(t *testing.T) {
	db, file := open(t)
	ada := newUser(t, db, "ada")
	r := read(t, db, "cache")
	bulk := strings.Repeat("0123456789abcdef", 4000) // large enough to be kept out of the row
	var want []store.Change
	run := func(sql string, changes ...store.Change) {
		t.Helper()
		exec(t, file, strings.ReplaceAll(sql, "BULK", bulk))
		want = append(want, changes...)
	}
	is := func(kind store.ChangeKind, subject, object freshet.ID) store.Change {
		return store.Change{Kind: kind, Subject: subject, Object: object}
	}
	run("INSERT INTO users VALUES (1, now(), false, 'bob', '', 'Bob', '', '', '', '')", is(store.UserChanged, 1, 0))
	run("UPDATE users SET bio = 'BULK' WHERE id = 1", is(store.UserChanged, 1, 0))
	run("UPDATE users SET name = 'Robert' WHERE id = 1", is(store.UserChanged, 1, 0))
	run("DELETE FROM users WHERE id = 1", is(store.UserErased, 1, 0))
	run("INSERT INTO posts VALUES (10, 1, now(), NULL, '', 'BULK', NULL), (9000000000000000, 2, now(), NULL, '', 'BULK', NULL)",
		is(store.PostCreated, 10, 1), is(store.PostCreated, 9000000000000000, 2))
	run("UPDATE posts SET edited_at = now() WHERE id = 10", is(store.PostEdited, 10, 1))
	run("UPDATE posts SET author = 3 WHERE id = 10", is(store.PostEdited, 10, 1), is(store.PostEdited, 10, 3))
	run("DELETE FROM posts WHERE id > 10", is(store.PostDeleted, 9000000000000000, 2))
	run("DELETE FROM posts", is(store.PostDeleted, 10, 3))
	for _, x := range []struct {
		table, a, b string
		kind        store.ChangeKind
	}{
		{"follows", "follower", "followee", store.FollowChanged},
		{"blocks", "blocker", "blocked", store.BlockChanged},
		{"mutes", "muter", "muted", store.MuteChanged},
		{"likes", "post", "user_id", store.LikeChanged},
	} {
		run(fmt.Sprintf("INSERT INTO %s (%s, %s, id) VALUES (5, 6, 7)", x.table, x.a, x.b), is(x.kind, 5, 6))
		run(fmt.Sprintf("UPDATE %s SET %s = 8", x.table, x.b), is(x.kind, 5, 6), is(x.kind, 5, 8))
		run("DELETE FROM "+x.table, is(x.kind, 5, 8))
	}
	run("INSERT INTO comments VALUES (20, 10, 1, now(), 'BULK')", is(store.CommentChanged, 10, 20))
	run("DELETE FROM comments", is(store.CommentChanged, 10, 20))
	run("INSERT INTO sessions VALUES (30, 1, '\\x00', false, '', now(), now(), now())")
	run("UPDATE sessions SET used_at = now()")
	run("DELETE FROM sessions", is(store.SessionEnded, 30, 1))
	run("INSERT INTO api_keys VALUES (40, 'ci', '\\x00', false, now())")
	run("UPDATE api_keys SET revoked_at = now()", is(store.KeyRevoked, 40, 0))
	// Counters and what hangs on facts are none; nor is what is rolled back.
	run("UPDATE user_counts SET followers = 7; DELETE FROM handles WHERE handle = 'bob'")
	run("DO $$ BEGIN INSERT INTO likes VALUES (1, 1, 1); RAISE EXCEPTION 'x'; EXCEPTION WHEN others THEN NULL; END $$")
	// Where a function has spoken, it has said all.
	run(fmt.Sprintf("DO $$ BEGIN UPDATE users SET bio = 'x'; PERFORM set_password(%d, 'x', false); END $$", ada), is(store.UserChanged, ada, 0))

	got := r.hears(len(want))
	for i := range got {
		got[i].At = position.Position{}
	}
	if !slices.EqualFunc(got, want, func(a, b store.Change) bool {
		return a.Kind == b.Kind && a.Subject == b.Subject && a.Object == b.Object && len(a.Also)+len(b.Also) == 0
	}) {
		t.Errorf("heard\n%v, want\n%v", got, want)
	}
}

// What is not known to have been heard is not missed: writers, and a consumer that is killed. The next one knows nothing and is
// told all that was not confirmed.
func TestNothingIsMissed(t *testing.T) {
	url := server.CreateDatabase(t)
	db, file := openAt(t, url, pgdb.Options{})
	consumer, _ := openAt(t, url, pgdb.Options{})
	const writers = 20
	each := testenv.Size(50, 250, 5_000)
	authors := make([]freshet.ID, writers)
	for i := range authors {
		authors[i] = newUser(t, db, fmt.Sprintf("user%d", i))
	}
	r := read(t, consumer, "cache")
	var wg sync.WaitGroup
	made := make(chan freshet.ID, writers*each)
	for _, a := range authors {
		wg.Go(func() {
			for range each {
				p, _, err := db.CreatePost(t.Context(), freshet.NewPost{Author: a, Text: "x"}, store.Write{})
				if err != nil {
					t.Error(err)
					return
				}
				made <- p.ID
			}
		})
	}
	began, heard, again, kills := time.Now(), make(map[freshet.ID]bool), 0, 0
	for len(heard) < writers*each {
		before := r.at
		for _, c := range r.hears(1) {
			if order, ok := before.Compare(c.At); ok && order > 0 {
				t.Fatalf("%v comes after %v", c.At, before)
			}
			if before = c.At; heard[c.Subject] {
				again++
			}
			heard[c.Subject] = true
		}
		if len(heard)%7 == 0 {
			r.confirm()
		}
		if len(heard) > (kills+1)*writers*each/3 && kills < 2 {
			kills++
			exec(t, file, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database()")
			if err := consumer.Close(); err != nil {
				t.Fatal(err)
			}
			consumer, _ = openAt(t, url, pgdb.Options{})
			r = &reader{t: t, db: consumer, name: "cache"}
		}
	}
	wg.Wait()
	close(made)
	missed := 0
	for id := range made {
		if !heard[id] {
			missed++
			t.Errorf("post %d was not heard", id)
		}
	}
	t.Logf("%d commits heard in %v, %d missed, %d kills, %d heard again", len(heard), time.Since(began).Round(time.Millisecond), missed, kills, again)
	r.confirm()
}

// Fewer than the limit are all that had committed, also for who begins where much has happened since.
func TestFewerChangesThanTheLimitAreAll(t *testing.T) {
	url := server.CreateDatabase(t)
	db, file := openAt(t, url, pgdb.Options{})
	read(t, db, "cache")
	if err := db.Confirm(t.Context(), "cache", position.Position{}); err == nil {
		t.Error("no position was confirmed")
	}
	const posts = 3000
	exec(t, file, fmt.Sprintf("DO $$ BEGIN FOR i IN 1..%d LOOP INSERT INTO posts VALUES (i, 1, now(), NULL, '', 'x', NULL); COMMIT; END LOOP; END $$", posts))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, _ = openAt(t, url, pgdb.Options{})
	r := &reader{t: t, db: db, name: "cache"}
	if got, err := r.next(20*time.Second, posts+1); err != nil || len(got) != posts {
		t.Errorf("%d changes at once, %v, want %d", len(got), err, posts)
	}
}

func TestATokenIsReached(t *testing.T) {
	db, file := open(t)
	r := read(t, db, "cache")
	ctx := t.Context()
	u, token, err := db.CreateUser(ctx, freshet.NewUser{Handle: "ada"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	c := r.hears(1)[0]
	if c.Subject != u.ID || !token[0].Reached(c.At) {
		t.Errorf("heard %+v, which stands above the token %v of its write", c, token)
	}
	r.confirm()
	confirmed := func() (at uint64) {
		if err := file.Pool().QueryRow(ctx, "SELECT (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots WHERE database = current_database()").Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	// The WAL goes on without changes: the head is reached, and the slot does not keep what nobody needs.
	for deadline := time.Now().Add(10 * time.Second); ; {
		exec(t, file, "UPDATE user_counts SET followers = followers + 1")
		head, err := db.FeedHead(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !head.Reached(token[0]) {
			t.Fatalf("the head %v has not reached the token %v", head, token)
		}
		if got, err := r.next(50*time.Millisecond, 10); len(got) > 0 || err != nil {
			t.Fatalf("without changes: %v, %v", got, err)
		}
		if confirmed() > r.at.Offset {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the slot does not move past WAL without changes")
		}
	}
	r.at = c.At // though the slot is past it, nothing is missing after it, also not on a new connection
	exec(t, file, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database()")
	name := "Ada"
	if _, _, err := db.UpdateUser(ctx, u.ID, freshet.UserPatch{Name: &name}, store.Write{}); err != nil {
		t.Fatal(err)
	}
	if got := r.hears(1); got[0].Subject != u.ID {
		t.Errorf("heard %v", got)
	}
}

// TestAFlushWithinARecord: the server flushes whole pages now and then, so a token may lie in the middle of a record, and the
// server's answer below it until somebody writes.
func TestAFlushWithinARecord(t *testing.T) {
	db, file := open(t)
	r := read(t, db, "cache")
	tx, err := file.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	for range 20 {
		if _, err := tx.Exec(t.Context(), "SELECT pg_logical_emit_message(false, 'x', repeat('x', 30001))"); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(500 * time.Millisecond); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if head, err := db.FeedHead(t.Context()); err != nil {
				t.Fatal(err)
			} else if head.Offset%8192 == 0 {
				if got, err := r.next(300*time.Millisecond, 1); len(got) > 0 || err != nil {
					t.Errorf("at %X: %v, %v, want to know that there is nothing", head.Offset, got, err)
				}
				return
			}
		}
	}
	t.Fatal("the server does not flush whole pages")
}

func TestASlotThatKeepsTooMuchIsDropped(t *testing.T) {
	url := server.CreateDatabase(t)
	db, file := openAt(t, url, pgdb.Options{MaxFeedWAL: 4 << 20})
	slow := read(t, db, "slow")
	ada := newUser(t, db, "ada")
	slow.hears(1)
	exec(t, file, "SELECT pg_logical_emit_message(true, 'x', repeat('x', 6000000))")
	read(t, db, "other") // its stream looks after all slots
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		all, err := db.Consumers(t.Context())
		if err != nil || len(all) != 2 || all[0].Lost {
			t.Fatalf("consumers %+v, %v", all, err)
		}
		if all[1].Lost {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("consumers %+v", all)
		}
	}
	slow.isLost()
	slow = read(t, db, "slow") // anew
	newUser(t, db, "bob")
	if got := slow.hears(1); got[0].Subject == ada {
		t.Errorf("begun anew it tells %v", got)
	}

	// A process that starts hears of the loss too: what others hold was filled before it.
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, file = openAt(t, url, pgdb.Options{})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) { // until its reader has ended
		_, err := file.Pool().Exec(t.Context(), "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	slow = &reader{t: t, db: db, name: "slow"}
	slow.isLost()
	read(t, db, "slow")
}

func TestWhatOthersConfirmedIsLost(t *testing.T) {
	url := server.CreateDatabase(t)
	db, _ := openAt(t, url, pgdb.Options{})
	r := read(t, db, "cache")
	newUser(t, db, "ada")
	before := r.hears(1)[0].At
	newUser(t, db, "bob")
	r.hears(1)
	if err := db.Confirm(t.Context(), "cache", position.Position{System: 1}); err == nil {
		t.Error("a position of another database was confirmed")
	}
	r.confirm()
	late := &reader{t: t, db: db, name: "cache", at: before}
	late.isLost()
	read(t, db, "cache")

	// Another process: it waits until the slot is free. Without a stream a position is confirmed as well.
	other, file := openAt(t, url, pgdb.Options{})
	second := &reader{t: t, db: other, name: "cache"}
	if _, err := second.next(100*time.Millisecond, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second reader of a slot: %v", err)
	}
	id := newUser(t, db, "cid")
	freed := make(chan error)
	go func() { freed <- db.Close() }()
	if got := second.hears(1); got[0].Subject != id {
		t.Errorf("heard %v, want %v", got, id)
	}
	if err := <-freed; err != nil {
		t.Fatal(err)
	}
	at := second.at
	exec(t, file, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database()")
	second.confirm()
	second.at = before
	second.isLost()
	second.at = at
	second.at.Timeline++
	second.isLost()
	second.at = position.Position{}
	second.hearsNothing()

	if err := other.RemoveConsumer(t.Context(), "cache"); err != nil {
		t.Fatal(err)
	}
	second.at = at
	second.isLost()
	read(t, other, "cache")
}

// TestATruncationIsALoss: nobody can say what was in the table.
func TestATruncationIsALoss(t *testing.T) {
	url := server.CreateDatabase(t)
	db, file := openAt(t, url, pgdb.Options{})
	r := read(t, db, "cache")
	ada := newUser(t, db, "ada")
	r.hears(1)
	exec(t, file, "TRUNCATE posts, likes")
	r.isLost()
	bob := newUser(t, db, "bob")
	if got := r.hears(2); got[0].Subject != ada || got[1].Subject != bob {
		t.Errorf("begun anew it tells %v, want what was not confirmed", got)
	}
	r.confirm()
	exec(t, file, "TRUNCATE likes")
	if err := db.Close(); err != nil { // before it was told
		t.Fatal(err)
	}
	db, _ = openAt(t, url, pgdb.Options{})
	r = &reader{t: t, db: db, name: "cache"}
	r.isLost()
	r.hearsNothing()
}

func TestWhatAServerNeedsForTheFeedIsSaid(t *testing.T) {
	want := func(db *postgres.DB, hint string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := db.Changes(ctx, "cache", position.Position{}, 1); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%v, want %q", err, hint)
		}
	}
	plain := testenv.StartPostgres(t)
	db, _ := openAt(t, plain.CreateDatabase(t), pgdb.Options{})
	want(db, "set wal_level = logical and restart the server")

	url := server.CreateDatabase(t)
	name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
	server.Exec(t, "postgres", "CREATE ROLE app_"+name+" LOGIN")
	server.Exec(t, "postgres", "GRANT CREATE ON DATABASE "+name+" TO app_"+name)
	db, _ = openAt(t, strings.Replace(url, "postgres@", "app_"+name+"@", 1), pgdb.Options{})
	want(db, "ALTER ROLE … REPLICATION")
}

// BenchmarkChangeFeed says how long after its acknowledgement a change was heard, at 500 writes/s.
func BenchmarkChangeFeed(b *testing.B) {
	db, _ := open(b)
	ada := newUser(b, db, "ada")
	r := read(b, db, "cache")
	var mu sync.Mutex
	acked, heard := make(map[freshet.ID]time.Time), make(map[freshet.ID]time.Time)
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for range b.N {
			<-ticker.C
			wg.Go(func() {
				p, _, err := db.CreatePost(b.Context(), freshet.NewPost{Author: ada, Text: "x"}, store.Write{})
				if err != nil {
					b.Error(err)
				}
				mu.Lock()
				acked[p.ID] = time.Now()
				mu.Unlock()
			})
		}
	})
	for len(heard) < b.N {
		for _, c := range r.hears(1) {
			heard[c.Subject] = time.Now()
		}
	}
	wg.Wait()
	took := make([]time.Duration, 0, b.N)
	early := 0
	for id, at := range heard {
		if d := at.Sub(acked[id]); d < 0 {
			early++
		} else {
			took = append(took, d)
		}
	}
	took = append(took, 0)
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(100*float64(early)/float64(b.N), "%-before-ack")
}
