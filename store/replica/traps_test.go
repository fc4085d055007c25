package replica_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
	"github.com/freshet/freshet/store/replica"
)

// pair is the primary and one replica of the shared cluster, without a router.
func pair(t *testing.T) (primary, follower *pgdb.DB) {
	t.Helper()
	name := shared.createDatabase(t)
	var both [2]*pgdb.DB
	for i := range both {
		deadline := time.Now().Add(20 * time.Second)
		for {
			db, err := pgdb.Open(t.Context(), shared.servers[i].URL(name), pgdb.Options{})
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

// A replica that hangs gives its readers back within the time of a probe.
func TestReadersLeaveAReplicaThatHangs(t *testing.T) {
	s := shared.open(t, replica.Options{ProbeTimeout: 300 * time.Millisecond})
	u, token, err := s.CreateUser(t.Context(), freshet.NewUser{Handle: "ada"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	read := func() time.Duration {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		ctx, _ = position.WithReading(ctx, token)
		began := time.Now()
		if users, err := s.Users(ctx, []freshet.ID{u.ID}); err != nil || len(users) != 1 {
			t.Fatalf("got %v, %v", users, err)
		}
		return time.Since(began)
	}
	for before := s.Stats().OnReplicas; s.Stats().OnReplicas == before; {
		read()
	}
	for _, r := range shared.servers[1:] {
		r.Pause()
		defer r.Resume()
	}
	if took := read(); took > 5*time.Second {
		t.Errorf("a read took %v", took)
	}
	for s.Stats().Ejected < 2 {
		time.Sleep(time.Millisecond)
	}
	for _, r := range shared.servers[1:] {
		r.Resume()
	}
	for before := s.Stats().OnReplicas; s.Stats().OnReplicas == before; { // they come back
		read()
		time.Sleep(time.Millisecond)
	}
}

// Two databases are no replicas of each other, also where their clusters were made from one copy.
func TestAStrangerIsRefused(t *testing.T) {
	stranger := testenv.StartPostgres(t).URL("postgres")
	name := shared.createDatabase(t)
	var nodes []replica.Node
	for _, url := range []string{shared.servers[0].URL(name), stranger} {
		n, err := postgres.Open(t.Context(), url, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	if _, err := replica.Open(context.Background(), nodes, replica.Options{}); err == nil || !strings.Contains(err.Error(), "not a replica of it") {
		t.Errorf("got %v", err)
	}
}
