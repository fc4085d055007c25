package pgdb_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
)

// pair is a primary and a replica.
func pair(t *testing.T) (primary, follower *pgdb.DB) {
	t.Helper()
	first := testenv.StartPostgres(t)
	servers := []*testenv.Postgres{first, first.StartReplica(t, "r1")}
	var both [2]*pgdb.DB
	for i := range both {
		deadline := time.Now().Add(20 * time.Second)
		for {
			db, err := pgdb.Open(t.Context(), servers[i].URL("postgres"), pgdb.Options{})
			if err == nil {
				t.Cleanup(func() { db.Close() })
				both[i] = db
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	if _, err := both[0].Write(t.Context(), pgdb.Call{SQL: "CREATE TABLE t (n bigint)"}); err != nil {
		t.Fatal(err)
	}
	return both[0], both[1]
}

// arrive waits until a replica has reached a position.
func arrive(t *testing.T, db *pgdb.DB, at position.Position, within time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(within); ; {
		w, err := db.Where(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if w.At.Reached(at) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the replica is at %+v and does not come to %+v", w.At, at)
		}
	}
}

// A position that is asked for in the transaction of the write stands before its commit: a replica that has reached it may
// not show the write.
func TestAPositionIsBehindItsCommit(t *testing.T) {
	primary, follower := pair(t)
	for n := range 300 {
		at, err := primary.Write(t.Context(), pgdb.Call{SQL: "INSERT INTO t VALUES ($1)", Args: []any{n}})
		if err != nil {
			t.Fatal(err)
		}
		arrive(t, follower, at, 10*time.Second)
		seen := 0
		if err := follower.Read(t.Context(), "SELECT count(*) FROM t WHERE n = $1", []any{n}, func(r pgx.Rows) error { return r.Scan(&seen) }); err != nil {
			t.Fatal(err)
		}
		if seen != 1 {
			t.Fatalf("write %d is not there where its position has been reached", n)
		}
	}
}

// The insert position at the end of a page stands behind the next page's header, where no replica comes until somebody else
// writes. The flushed one does not.
func TestAPositionAtTheEndOfAPageIsReached(t *testing.T) {
	const page = 8192
	primary, follower := pair(t)
	message := func(length uint64) uint64 {
		at, err := primary.Write(t.Context(), pgdb.Call{SQL: "SELECT pg_logical_emit_message(true, 'x', $1)", Args: []any{strings.Repeat("x", int(length))}})
		if err != nil {
			t.Fatal(err)
		}
		arrive(t, follower, at, 2*time.Second)
		return at.Offset
	}
	ends := 0
	for try := 0; try < 400 && ends < 3; try++ {
		before := message(8)
		grown := message(8) - before // of the shortest, with its commit
		left := page - (before+grown)%page
		if left < grown+8 || left > page-512 {
			continue
		}
		if message(8+left-grown)%page == 0 {
			ends++
		}
	}
	if ends == 0 {
		t.Fatal("no write ended on a page's end: the test shows nothing")
	}
}

// A primary whose commits wait for a standby has flushed what nobody sees yet: its reads must not claim to have it.
func TestAPrimaryClaimsNoLow(t *testing.T) {
	first := testenv.StartPostgres(t)
	replica := first.StartReplica(t, "r1")
	for i, s := range []*testenv.Postgres{first, replica} {
		db, err := pgdb.Open(t.Context(), s.URL("postgres"), pgdb.Options{})
		for deadline := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
			db, err = pgdb.Open(t.Context(), s.URL("postgres"), pgdb.Options{})
		}
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		ctx, reading := position.WithReading(t.Context(), nil)
		if err := db.Read(ctx, "SELECT 1", nil, func(pgx.Rows) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if _, claims := reading.Low(); claims != (i == 1) || len(reading.High()) != 1 {
			t.Errorf("server %d: claims a low: %v; high %v", i, claims, reading.High())
		}
	}
}

// A replica shows a commit that the primary does not show yet, because it waits for a standby. Who has seen it is not told by the
// primary that it is not there.
func TestAPrimaryShowsWhatAReplicaHasShown(t *testing.T) {
	primary, follower := pair(t)
	set := func(names string) {
		t.Helper()
		for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + names + "'", "SELECT pg_reload_conf()"} {
			if _, err := primary.Pool().Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	row := 0
	count := func(db *pgdb.DB, need position.Token) (n int, high position.Token) {
		ctx, reading := position.WithReading(t.Context(), need)
		if err := db.Read(ctx, "SELECT count(*) FROM t WHERE n = $1", []any{row}, func(r pgx.Rows) error { return r.Scan(&n) }); err != nil {
			t.Error(err)
		}
		return n, reading.High()
	}
	set("nobody")
	defer set("")
	written := make(chan error, 1)
	for waits := false; !waits; { // the server takes its time to hear of the setting
		row--
		go func(row int) {
			_, err := primary.Write(context.Background(), pgdb.Call{SQL: "INSERT INTO t VALUES ($1)", Args: []any{row}})
			written <- err
		}(row)
		select {
		case err := <-written:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(200 * time.Millisecond):
			waits = true
		}
	}
	var seen position.Token
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		n, high := count(follower, nil)
		if seen = high; n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the replica does not show the commit")
		}
	}
	if n, _ := count(primary, nil); n != 0 {
		t.Fatal("the primary shows what waits for a standby: the test shows nothing")
	}
	shown := make(chan int, 1)
	go func() {
		n, _ := count(primary, seen)
		shown <- n
	}()
	select {
	case n := <-shown:
		t.Fatalf("the primary has answered while the commit waited: it shows %d", n)
	case <-time.After(20 * time.Millisecond):
	}
	set("")
	if n := <-shown; n != 1 {
		t.Error("the primary does not show what was seen on a replica")
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// A commit is on its way from the flush to its end, too, and nothing says so but that its transaction is under way.
func TestAReadAtAPositionWaitsForWriters(t *testing.T) {
	primary, _ := pair(t)
	row := 0
	// beside reads, as somebody who has seen the latest, while a statement that writes row is under way.
	beside := func(sql string) (shows int, over bool) {
		t.Helper()
		row--
		number := row
		ended := make(chan error, 1)
		go func() {
			_, err := primary.Write(context.Background(), pgdb.Call{SQL: sql, Args: []any{number}})
			ended <- err
		}()
		for deadline, n := time.Now().Add(20*time.Second), 0; n == 0; time.Sleep(time.Millisecond) {
			if err := primary.Pool().QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND query = $1", sql).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if time.Now().After(deadline) {
				t.Fatal("the writer does not begin")
			}
		}
		at, err := primary.Write(t.Context(), pgdb.Call{SQL: "INSERT INTO t VALUES (0)"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, _ := position.WithReading(t.Context(), position.Token{at})
		if err := primary.Read(ctx, "SELECT count(*) FROM t WHERE n = $1", []any{number}, func(r pgx.Rows) error { return r.Scan(&shows) }); err != nil {
			t.Fatal(err)
		}
		select {
		case err = <-ended:
			over = true
		default:
			_, cancel := primary.Pool().Exec(t.Context(), "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = $1 AND state = 'active'", sql)
			if err = <-ended; err != nil {
				err = cancel
			}
		}
		if err != nil {
			t.Error(err)
		}
		return shows, over
	}
	const write = "WITH w AS (INSERT INTO t VALUES ($1) RETURNING n) SELECT n, pg_sleep(%g) FROM w"
	for try := 1; ; try++ { // on a busy machine the writer may look older than it is
		shows, over := beside(fmt.Sprintf(write, 0.05))
		if shows == 1 && over {
			break
		}
		if try == 5 {
			t.Fatalf("a writer was not waited for: %d, %t", shows, over)
		}
	}
	if shows, over := beside(fmt.Sprintf(write, 3.0)); shows != 0 || over {
		t.Errorf("an import was waited for: %d, %t", shows, over)
	}
	lock, err := primary.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Rollback(context.Background())
	if _, err := lock.Exec(t.Context(), "SELECT pg_advisory_xact_lock(7)"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	const locked = "WITH w AS (INSERT INTO t VALUES ($1) RETURNING n) SELECT n, pg_advisory_xact_lock(7) FROM w"
	if shows, over := beside(locked); shows != 0 || over || time.Since(began) > 10*time.Second {
		t.Errorf("a writer who waits for a lock was waited for: %d, %t", shows, over)
	}
}
