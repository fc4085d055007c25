package pgdb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
)

// idle waits until no connection is in use: one that is of no use any more is closed aside.
func idle(t *testing.T, db *pgdb.DB) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); db.Pool().Stat().AcquiredConns() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a connection is in use after all has ended")
		}
	}
}

// Whichever call of a write fails, and however, its error is the one that is told, nothing is kept, and the next write on the
// same connection is answered with its own rows.
func TestAnErrorAnywhereInAFlight(t *testing.T) {
	db, _ := open(t, pgdb.Options{MaxConns: 1})
	const length = 4
	for name, bad := range map[string]pgdb.Call{
		"without rows": call("SELECT refuse('FR002', 'name', 'is taken')"),
		"among rows":   call("SELECT CASE WHEN n = 3 THEN refuse('FR002', 'name', 'is taken') END FROM generate_series(1, 4) AS n"),
		"in binding":   call("SELECT $1::text", "a\x00b"),
		"in encoding":  call("SELECT $1::bigint", struct{}{}),
		"of the end":   call("SELECT pg_terminate_backend(pg_backend_pid())"),
	} {
		for at := range length {
			var seen [length]int
			calls := make([]pgdb.Call, length)
			for i := range calls {
				calls[i] = call("INSERT INTO t VALUES ($1, $1) RETURNING n", i)
				calls[i].Scan = func(r pgx.Rows) error { return r.Scan(&seen[i]) }
			}
			calls[at] = bad
			_, err := db.Write(t.Context(), calls...)
			switch code := freshet.CodeOf(err); {
			case name == "in encoding" && err != nil && strings.Contains(err.Error(), "arguments of"):
			case name == "in binding" && code == freshet.CodeInvalid, name == "of the end" && code == freshet.CodeUnavailable:
			case strings.HasSuffix(name, "rows") && code == freshet.CodeConflict:
			default:
				t.Errorf("%s, call %d: %v", name, at, err)
			}
			for i, n := range seen {
				if n != i && n != 0 {
					t.Errorf("%s, call %d: call %d was answered with %d", name, at, i, n)
				}
			}
			if n := number(t, db, "SELECT count(*) FROM t"); n != 0 {
				t.Fatalf("%s, call %d: %d rows are kept", name, at, n)
			}
			idle(t, db)
		}
	}
}

// A context that ends in the middle of a flight costs a connection, and nobody else notices.
func TestAContextEndsInAFlight(t *testing.T) {
	db, _ := open(t, pgdb.Options{MaxConns: 2})
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := db.Write(ctx, call("INSERT INTO t VALUES (1, 1)"), call("SELECT pg_sleep(30)"))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want the end of the context", err)
		}
		if _, err := db.Write(t.Context(), call("SELECT 1")); err != nil {
			t.Fatal(err)
		}
		idle(t, db)
	}
	if n := number(t, db, "SELECT count(*) FROM t"); n != 0 {
		t.Errorf("%d rows are kept", n)
	}
}

// What has committed is never said not to have been made, also where the question for its position meets nobody.
func TestACommitIsNeverSaidNotToBeMade(t *testing.T) {
	db, url := open(t, pgdb.Options{})
	name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
	_, err := db.Do(t.Context(), func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO t VALUES (1, 1)")
		server.Exec(t, "postgres", fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS false", name))
		db.Pool().Reset() // the connection ends with the transaction
		return err
	})
	if e, ok := errors.AsType[*freshet.Error](err); !ok || e.Code != freshet.CodeUnavailable || e.NotMade {
		t.Errorf("got %#v, want that the store can't be used, and not that nothing was made", err)
	}
	server.Exec(t, "postgres", fmt.Sprintf("ALTER DATABASE %s ALLOW_CONNECTIONS true", name))
	if n := number(t, db, "SELECT count(*) FROM t"); n != 1 {
		t.Errorf("%d rows, want the one that was committed", n)
	}
}
