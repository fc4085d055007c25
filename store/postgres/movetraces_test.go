package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
)

// moving moves buckets between two parts as package shard does, one step at a time.
type moving struct {
	*pair
	t        *testing.T
	src, dst int
	term     uint64
	b        store.Buckets
	next     int // the first bucket that nobody lives in
	opened   []pgx.Tx
}

func startMoving(t *testing.T) *moving {
	m := &moving{pair: openPair(t), t: t, dst: 1, term: 1, next: 100}
	t.Cleanup(m.rollBack)
	return m
}

// rollBack ends the transactions that are open.
func (m *moving) rollBack() {
	for _, tx := range m.opened {
		_ = tx.Rollback(context.WithoutCancel(m.t.Context()))
	}
	m.opened = nil
}

func (m *moving) ok(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// live signs somebody up on a part, in a bucket of its own.
func (m *moving) live(part int) freshet.ID {
	m.t.Helper()
	bucket := part*freshet.Buckets/2 + m.next
	m.next++
	id, err := m.db[part].DrawUserID(m.t.Context(), bucket)
	m.ok(err)
	c := store.NameClaim{ID: id, User: id, Handle: fmt.Sprintf("m%d", bucket)}
	_, err1 := m.db[0].ClaimNames(m.t.Context(), c)
	_, _, err2 := m.db[part].CreateNamed(m.t.Context(), id, freshet.NewUser{Handle: c.Handle}, store.Write{})
	_, err3 := m.db[0].SettleNames(m.t.Context(), c, true)
	m.ok(errors.Join(err1, err2, err3))
	return id
}

// run is a subtest, at whose end no transaction is open and no move is on.
func (m *moving) run(name string, test func(t *testing.T)) {
	whole := m.t
	whole.Run(name, func(t *testing.T) {
		m.t = t
		defer func() { // also where the test has failed
			m.rollBack()
			for _, db := range m.db {
				if err := db.EndMove(t.Context(), m.term); err != nil {
					t.Error(err)
				}
			}
		}()
		test(t)
	})
	m.t = whole
}

// begin begins to move the buckets of users from the first part.
func (m *moving) begin(users ...freshet.ID) {
	m.t.Helper()
	m.src, m.dst, m.b = 0, 1, store.Buckets{}
	for _, id := range users {
		m.b.Add(id.Bucket())
	}
	for _, db := range []*postgres.DB{m.db[1], m.db[0]} {
		_, err := db.BeginMove(m.t.Context(), m.term, m.b)
		m.ok(err)
	}
}

func (m *moving) copy() {
	m.t.Helper()
	for _, table := range store.Tables() {
		for after, more := store.Row(nil), true; more; {
			page, err := m.db[m.src].Rows(m.t.Context(), table, after, 50)
			m.ok(err)
			if more = len(page) == 50; len(page) > 0 {
				m.ok(m.db[m.dst].PutRows(m.t.Context(), m.term, []store.TableRows{{Table: table, Rows: page}}))
				after = page[len(page)-1]
			}
		}
	}
	m.drain()
}

func (m *moving) drain() {
	m.t.Helper()
	for {
		noted, err := m.db[m.src].Noted(m.t.Context(), 0, 100)
		m.ok(err)
		if len(noted.Notes) == 0 {
			return
		}
		m.ok(m.db[m.dst].PutRows(m.t.Context(), m.term, noted.Changes))
		m.ok(m.db[m.src].ForgetNotes(m.t.Context(), m.term, noted.Notes))
	}
}

func (m *moving) leave() {
	m.t.Helper()
	_, err := m.db[m.src].Fence(m.t.Context(), m.term, time.Minute)
	m.ok(err)
	m.drain()
	_, err = m.db[m.src].Leave(m.t.Context(), m.term)
	m.ok(err)
}

func (m *moving) join() {
	m.t.Helper()
	_, err := m.db[m.dst].Join(m.t.Context(), m.term)
	m.ok(err)
}

func (m *moving) post(part int, author freshet.ID) freshet.ID {
	m.t.Helper()
	p, _, err := m.db[part].CreatePost(m.t.Context(), freshet.NewPost{Author: author, Text: "text"}, store.Write{})
	m.ok(err)
	return p.ID
}

// open begins a transaction on a part, and runs statements in it.
func (m *moving) open(part int, calls ...string) pgx.Tx {
	m.t.Helper()
	tx, err := m.file[part].Pool().Begin(m.t.Context())
	m.ok(err)
	m.opened = append(m.opened, tx)
	for _, sql := range calls {
		_, err := tx.Exec(m.t.Context(), sql)
		m.ok(err)
	}
	return tx
}

func isMoved(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "FR005"
}

// A flip and other writes, one under way while the other begins.
func TestFlipRaces(t *testing.T) {
	m := startMoving(t)
	m.run("AFenceWaitsForWritesAndRefusesOthersMeanwhile", func(t *testing.T) {
		a := m.live(0)
		m.begin(a)
		post := m.post(0, a)
		during(t, m.file[0], func() error {
			_, err := m.db[0].Fence(t.Context(), m.term, time.Minute)
			return err
		}, "UPDATE posts SET text = 'by hand' WHERE id = $1", int64(post))
		m.copy()
		rows, err := m.db[1].Rows(t.Context(), store.PostsTable, nil, 10)
		if err != nil || len(rows) != 1 || rows[0][5] != "by hand" {
			t.Fatal(err, rows)
		}
		// The one that waits is the last one to have a say.
		_, err = m.db[0].Fence(t.Context(), m.term, 0)
		m.ok(err)
		held := m.open(0, fmt.Sprintf("UPDATE posts SET text = 'again' WHERE id = %d", post))
		fenced := make(chan error, 1)
		go func() {
			_, err := m.db[0].Fence(t.Context(), m.term, time.Minute)
			fenced <- err
		}()
		waits(t, m.file[0])
		if _, _, err := m.db[0].CreatePost(t.Context(), freshet.NewPost{Author: a, Text: "late"}, store.Write{}); !errors.Is(err, store.ErrMoved) {
			t.Errorf("a write while a fence is made: %v, want ErrMoved", err)
		}
		m.ok(held.Commit(t.Context()))
		m.ok(<-fenced)
	})
	m.run("NothingIsWrittenBetweenTheFenceAndTheEnd", func(t *testing.T) {
		a := m.live(0)
		m.begin(a)
		_, err := m.db[0].Fence(t.Context(), m.term, 200*time.Millisecond)
		m.ok(err)
		leaving := m.open(0, fmt.Sprintf("SELECT leave_buckets(%d)", m.term)) // in time, but it commits later
		write := func() error {
			_, _, err := m.db[0].CreatePost(t.Context(), freshet.NewPost{Author: a, Text: "late"}, store.Write{})
			return err
		}
		for over := false; !over; {
			m.ok(m.file[0].Pool().QueryRow(t.Context(), "SELECT fenced < clock_timestamp() FROM move").Scan(&over))
			if err := write(); !errors.Is(err, store.ErrMoved) {
				t.Fatalf("a write while a part leaves buckets: %v, want ErrMoved", err)
			}
		}
		if err := write(); !errors.Is(err, store.ErrMoved) {
			t.Fatalf("a write when the fence is over: %v, want ErrMoved", err)
		}
		m.ok(leaving.Rollback(t.Context()))
		m.ok(write()) // had it failed
	})
	m.run("AMirrorForWhoJoinsIsToldOrRefused", func(t *testing.T) {
		a, s1, s2 := m.live(0), m.live(1), m.live(1)
		m.begin(a)
		m.copy()
		late := m.open(1, fmt.Sprintf("SELECT lock_pair(%d, %d)", s2, a)) // takes the target to be elsewhere
		m.leave()
		during(t, m.file[1], func() error {
			_, err := m.db[1].Join(t.Context(), m.term)
			return err
		}, "SELECT follow($1, $2, NULL)", int64(s1), int64(a))
		if _, err := late.Exec(t.Context(), "SELECT tell(1, $1, $2, 1)", int64(s2), int64(a)); !isMoved(err) {
			t.Errorf("a mirror for somebody who is here: %v, want a refusal", err)
		}
		m.ok(late.Rollback(t.Context()))
		users, err := m.db[1].Users(t.Context(), []freshet.ID{a})
		if err != nil || len(users) != 1 || users[0].FollowersCount != 1 {
			t.Fatal(err, users)
		}
		m.has[0].Remove(a.Bucket())
		m.has[1].Add(a.Bucket())
		sound(t, m.db[1])
	})
	m.run("NothingOfWhoMovedOutlivesTheErasure", func(t *testing.T) {
		a, s0, s1 := m.live(0), m.live(0), m.live(1)
		posts := []freshet.ID{m.post(0, s0), m.post(1, s1)}
		m.begin(a)
		m.copy()
		// Two likes that are under way for so long: one takes the user to be elsewhere, one to be here.
		likes := []pgx.Tx{
			m.open(0, fmt.Sprintf("SELECT like_post(%d, %d, NULL)", a, posts[0])),
			m.open(1, fmt.Sprintf("SELECT like_post(%d, %d, NULL)", a, posts[1])),
		}
		m.leave()
		m.join()
		behind(t, m.file[1], likes[1], func() error {
			_, _, err := m.db[1].EraseUser(t.Context(), a, store.Write{})
			return err
		})
		list, err := m.db[1].Pending(t.Context(), m.has[0], 100)
		if err != nil || len(list) == 0 || list[len(list)-1].Kind != store.Erasure {
			t.Fatal(err, list)
		}
		behind(t, m.file[0], likes[0], func() error {
			_, _, err := m.db[0].Apply(t.Context(), list)
			return err
		})
		for part, post := range posts {
			counts, err := m.db[part].Counts(t.Context(), []freshet.ID{post})
			if err != nil || counts[post].Likes != 0 {
				t.Errorf("part %d: likes are left: %v %v", part, counts, err)
			}
		}
	})
	m.run("LikesThatAFenceHasMetRefuseNoOthers", func(t *testing.T) {
		a, s := m.live(0), m.live(0)
		moves, stays, first := m.post(0, a), m.post(0, s), m.post(0, s)
		m.begin(a)
		like := func(post freshet.ID) chan error {
			done := make(chan error, 1)
			go func() {
				_, _, _, err := m.db[0].Like(t.Context(), s, post, store.Write{})
				done <- err
			}()
			return done
		}
		row := "SELECT FROM post_counts WHERE id = %d FOR UPDATE"
		one, two := m.open(0, fmt.Sprintf(row, first)), m.open(0, fmt.Sprintf(row, moves))
		alone := like(first)
		waits(t, m.file[0])
		refused, made := like(moves), like(stays) // together, behind the first
		for n := 0; n < 2; n = m.db[0].Likers() {
			runtime.Gosched()
		}
		m.ok(one.Commit(t.Context()))
		m.ok(<-alone)
		waits(t, m.file[0])
		_, err := m.db[0].Fence(t.Context(), m.term, time.Minute)
		m.ok(err)
		m.ok(two.Commit(t.Context()))
		if err := <-refused; !errors.Is(err, store.ErrMoved) {
			t.Errorf("a like behind the fence: %v, want ErrMoved", err)
		}
		if err := <-made; err != nil {
			t.Errorf("a like beside it: %v", err)
		}
	})
	m.run("WhoPutsRowsIsWaitedForByTheNextMover", func(t *testing.T) {
		a := m.live(0)
		m.begin(a)
		m.term++
		during(t, m.file[1], func() error {
			_, err := m.db[1].BeginMove(t.Context(), m.term, m.b)
			return err
		}, "SELECT begin_silent($1)", int64(m.term-1))
		_, err := m.db[0].BeginMove(t.Context(), m.term, m.b)
		m.ok(err)
		m.copy()
		m.leave()
		m.join()
		gone := []store.TableRows{{Table: store.UsersTable, Gone: []store.Row{{int64(a)}}}}
		if err := m.db[1].PutRows(t.Context(), m.term-1, gone); !errors.Is(err, store.ErrTerm) {
			t.Errorf("rows of an old mover: %v", err)
		}
		if err := m.db[1].PutRows(t.Context(), m.term, gone); err == nil || errors.Is(err, store.ErrMoved) {
			t.Errorf("rows for buckets that are in use: %v", err)
		}
	})
}

func TestWritesByPlainSQLAreNoted(t *testing.T) {
	m := startMoving(t)
	a, s := m.live(0), m.live(0)
	m.begin(a)
	post := m.post(0, a)
	exec(t, m.file[0], "INSERT INTO likes (post, user_id, id) VALUES ($1, 7, 8)", int64(post))
	m.copy()
	for _, sql := range []string{
		"UPDATE posts SET text = 'by hand' WHERE id = $1",
		"UPDATE likes SET user_id = 9 WHERE post = $1 AND user_id = 7", "UPDATE post_counts SET likes = 1 WHERE id = $1",
	} {
		exec(t, m.file[0], sql, int64(post))
	}
	noted, err := m.db[0].Noted(t.Context(), 0, 100)
	m.ok(err)
	for i, c := range noted.Changes {
		slices.SortFunc(noted.Changes[i].Gone, func(a, b store.Row) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		if c.Table == store.PostsTable && (len(c.Rows) != 1 || c.Rows[0][5] != "by hand" || c.Rows[0][7] != int64(1)) {
			t.Errorf("the post is %v", c.Rows)
		}
		if c.Table == store.LikesTable && fmt.Sprint(c.Gone, c.Rows) != fmt.Sprintf("[[%[1]d 7]] [[%[1]d 9 8]]", post) {
			t.Errorf("the like: gone %v, now %v", c.Gone, c.Rows)
		}
	}
	if len(noted.Changes) != 2 {
		t.Errorf("%d tables have changed, want 2: %v", len(noted.Changes), noted)
	}
	// Its snapshot would be from before a fence that it does not know of.
	old := m.open(0, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
	if _, err := old.Exec(t.Context(), "UPDATE posts SET text = '' WHERE id = $1", int64(post)); err == nil {
		t.Error("a transaction with an old view of the move has written")
	}
	m.ok(old.Rollback(t.Context()))
	exec(t, m.file[0], "UPDATE users SET name = 'S' WHERE id = $1", int64(s)) // who stays is not noted
	if again, err := m.db[0].Noted(t.Context(), 0, 100); err != nil || len(again.Notes) != len(noted.Notes) {
		t.Errorf("%d notes, want %d: %v", len(again.Notes), len(noted.Notes), err)
	}
}

// A guard waits for who writes its table, and lets others pass while it does not succeed.
func TestAMoveBeginsBehindLongTransactions(t *testing.T) {
	m := startMoving(t)
	a := m.live(0)
	m.b.Add(a.Bucket())
	long := m.open(0, "UPDATE user_counts SET posts = posts WHERE id = 1")
	begun := make(chan error, 1)
	go func() {
		_, err := m.db[0].BeginMove(t.Context(), m.term, m.b)
		begun <- err
	}()
	waits(t, m.file[0])
	m.post(0, a) // it needs what the guard waits for
	select {
	case err := <-begun:
		t.Fatalf("a move has begun beside a transaction: %v", err)
	default:
	}
	m.ok(long.Commit(t.Context()))
	m.ok(<-begun)
	m.ok(m.db[0].EndMove(t.Context(), m.term))

	defer postgres.SetGuardWaits(1, 1)()
	long = m.open(0, "UPDATE user_counts SET posts = posts WHERE id = 1")
	_, err := m.db[0].BeginMove(t.Context(), m.term, m.b)
	e, told := errors.AsType[*freshet.Error](err)
	if !told || e.Code != freshet.CodeUnavailable || !strings.Contains(e.Message, "user_counts") {
		t.Errorf("behind a transaction that does not end: %v", err)
	}
	m.ok(long.Commit(t.Context()))
	_, err = m.db[0].BeginMove(t.Context(), m.term, m.b)
	m.ok(err)
	m.ok(m.db[0].EndMove(t.Context(), m.term))
	var triggers int
	m.ok(m.file[0].Pool().QueryRow(t.Context(), "SELECT count(*) FROM pg_trigger WHERE tgname = 'freshet_move'").Scan(&triggers))
	if triggers > 0 {
		t.Errorf("%d guards are left", triggers)
	}
}

// Mirrors keep their order where they come, and those that are written there follow.
func TestMirrorsThatComeKeepTheirOrder(t *testing.T) {
	m := startMoving(t)
	a := m.live(0)
	m.begin(a)
	s := m.live(1)
	other := m.live(0)
	var rows []store.Row
	for i := range int64(3) {
		id := int64(a) + 3 - i // the other way round
		rows = append(rows, store.Row{id, 1000 + i, int64(store.FollowEnded), int64(a), int64(s), id, []byte(nil)})
	}
	m.ok(m.db[1].PutRows(t.Context(), m.term, []store.TableRows{{Table: store.MirrorsTable, Rows: rows}}))
	_, _, err := m.db[1].Follow(t.Context(), s, other, store.Write{})
	m.ok(err)
	var order []int64
	found, err := m.file[1].Pool().Query(t.Context(), "SELECT seq FROM mirrors ORDER BY seq")
	m.ok(err)
	order, err = pgx.CollectRows(found, pgx.RowTo[int64])
	if err != nil || !slices.Equal(order, []int64{1000, 1001, 1002, 1003}) {
		t.Errorf("the order is %v: %v", order, err)
	}
	if list, err := m.db[1].Pending(t.Context(), store.AllBuckets(), 100); err != nil || len(list) != 1 || list[0].Actor != s {
		t.Errorf("pending are %v: %v", list, err) // the others are listed where they are
	}
}
