package postgres_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/jobs"
)

// TestAClaimReadsNoBacklog counts what claims read while very many jobs wait
// behind one key, for a worker without order, and for their time.
func TestAClaimReadsNoBacklog(t *testing.T) {
	backlog := testenv.Size(20_000, 50_000, 1_000_000)
	const claims, each = 20, 3
	_, db, _ := open(t, database(t), nil, jobs.Options{})
	ctx := t.Context()
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO jobs (id, kind, key, subject, created_at, state, run_at)
			SELECT n, 'k', CASE WHEN n %% 2 = 0 THEN 'big' ELSE '' END, 0, now(), CASE WHEN n %% 4 = 3 THEN 3 ELSE 0 END, now() + interval '1 hour'
			FROM generate_series(1, %d) n`, backlog),
		"INSERT INTO job_processes VALUES (1, now())",
	} {
		if _, err := db.Pool().Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	var rows, entries int
	if err := pgx.BeginFunc(ctx, db.Pool(), func(tx pgx.Tx) error { // its end would reset the counts
		for range claims {
			for _, sql := range []string{
				fmt.Sprintf("SELECT promote_jobs(NULL, 1000), claim_jobs(1, '{k}', '', %d, 1000, '', false), jobs_busy('{k}', NULL)", each),
				"SET LOCAL enable_seqscan = off",
				`SELECT finish_jobs(array_agg(id), array_agg(runs), array_agg(0), array_agg(1), array_agg(0::bigint), array_agg(''::text), NULL)
					FROM jobs WHERE owner = 1 AND state = 1`,
			} {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return err
				}
			}
		}
		return tx.QueryRow(ctx, `SELECT pg_stat_get_xact_tuples_returned('jobs'::regclass),
			sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = 'jobs'::regclass`).Scan(&rows, &entries)
	}); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := db.Pool().QueryRow(ctx, "SELECT count(*) FROM jobs").Scan(&left); err != nil {
		t.Fatal(err)
	}
	if backlog-left != each*claims {
		t.Errorf("%d jobs were claimed and done, want %d", backlog-left, each*claims)
	}
	if rows > 0 || entries > 10_000 {
		t.Errorf("%d claims read %d rows by scanning and %d index entries", claims, rows, entries)
	}
	t.Logf("%d index entries", entries)
}

// TestTurnsGoRound: each key with work has a turn in every round, and so have the
// jobs without one, however many wait.
func TestTurnsGoRound(t *testing.T) {
	var order strings.Builder
	e, _, _ := open(t, database(t), map[string]jobs.Handler{"k": func(_ context.Context, r jobs.Run) error {
		order.WriteString(cmp.Or(r.Job().Key, "-"))
		return nil
	}}, jobs.Options{Workers: 1})
	for key, n := range map[string]int{"a": 6, "b": 2, "": 5, "c": 3} {
		enqueue(t, e, slices.Repeat([]freshet.Effect{{Kind: "k", Key: key}}, n)...)
	}
	start(t, e)
	settle(t, e)
	if got, want := order.String(), "abc-abc-ac-a-a-a"; got != want {
		t.Errorf("turns went %s, want %s", got, want)
	}
}

// TestVeryManyKeysAreHeld has more keys that nothing can be claimed of than a claim
// looks at: the one that has work is found, and then the engine rests.
func TestVeryManyKeysAreHeld(t *testing.T) {
	ran := make(chan string, 1)
	e, db, _ := open(t, database(t), map[string]jobs.Handler{"k": func(_ context.Context, r jobs.Run) error {
		ran <- r.Job().Key
		return nil
	}}, jobs.Options{})
	e.SetPace(never, never, never)
	ctx := t.Context()
	if _, err := db.Pool().Exec(ctx, `INSERT INTO jobs (id, kind, key, subject, created_at, state, run_at)
		SELECT n, 'k', 'key' || n, 0, now(), 4, now() + interval '1 hour' FROM generate_series(1, 2500) n`); err != nil {
		t.Fatal(err)
	}
	start(t, e)
	for _, key := range []string{"key9a", "key1a"} {
		enqueue(t, e, freshet.Effect{Kind: "k", Key: key})
		if got := receive(t, "the job of "+key, ran); got != key {
			t.Errorf("the job of %s ran, want %s", got, key)
		}
	}
	settle(t, e)
	var was, is time.Time
	for deadline := time.Now().Add(10 * time.Second); is.IsZero() || is != was; time.Sleep(50 * time.Millisecond) {
		was = is
		if err := db.Pool().QueryRow(ctx, "SELECT max(query_start) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").Scan(&is); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the engine never rests")
		}
	}
}

// TestNobodyIsOvertaken has a job get ready, run and fail in another process, all
// between the moment when a claim finds the job behind it at the head of the
// lane and the one when it takes that.
func TestNobodyIsOvertaken(t *testing.T) {
	began := make(chan string, 2)
	e, db, _ := open(t, database(t), map[string]jobs.Handler{"k": func(_ context.Context, r jobs.Run) error {
		began <- string(r.Job().Args)
		return nil
	}}, jobs.Options{})
	ctx := t.Context()
	enqueue(t, e,
		freshet.Effect{Kind: "k", Key: "x", Args: []byte("first"), RunAt: time.Now().Add(time.Hour)},
		freshet.Effect{Kind: "k", Key: "x", Args: []byte("second")})
	tx, err := db.Pool().Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	for _, sql := range []string{
		"UPDATE jobs SET state = 1, runs = 1, owner = 7 WHERE state = 3",
		"UPDATE jobs SET state = 4, attempt = 1, run_at = now() + interval '300 ms' WHERE state = 1",
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	start(t, e)
	for waits := false; !waits; {
		if err := db.Pool().QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())").Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"first", "second"} {
		if got := receive(t, want, began); got != want {
			t.Errorf("%s ran, want %s", got, want)
		}
	}
	settle(t, e)
}

// TestAskedForAgain: what was asked for while an attempt runs, or after one has
// saved a checkpoint, is done from the beginning.
func TestAskedForAgain(t *testing.T) {
	same := freshet.Effect{Kind: "k", Key: "x", Unique: "u"}
	for name, whileRunning := range map[string]bool{"running": true, "waiting": false} {
		t.Run(name, func(t *testing.T) {
			began, leave := make(chan jobs.Run, 2), make(chan error)
			e, _, _ := open(t, database(t), map[string]jobs.Handler{"k": func(ctx context.Context, r jobs.Run) error {
				began <- r
				return errors.Join(r.Save(ctx, []byte("far")), until(ctx, leave))
			}}, jobs.Options{BackoffBase: 200 * time.Millisecond})
			start(t, e)
			enqueue(t, e, same)
			receive(t, "the first attempt", began)
			if whileRunning {
				enqueue(t, e, same)
			}
			leave <- errors.New("not yet")
			settle(t, e)
			if !whileRunning {
				enqueue(t, e, same)
			}
			if r := receive(t, "the second attempt", began); r.Checkpoint() != nil || r.Job().Attempt != 1 {
				t.Errorf("the second attempt begins at %q after %d failures, want the beginning after one", r.Checkpoint(), r.Job().Attempt)
			}
			leave <- nil
			settle(t, e)
			if s := e.Stats(); s.Done != 1 || s.Waiting != 0 {
				t.Errorf("in the end: %+v", s)
			}
		})
	}
}

// TestAnyErrorCanBeKept has handlers fail with what no text of the database holds.
func TestAnyErrorCanBeKept(t *testing.T) {
	e, _, _ := open(t, database(t), map[string]jobs.Handler{"k": func(context.Context, jobs.Run) error {
		return jobs.Final(errors.New("a\x00b\xff" + strings.Repeat("é", 5000)))
	}}, jobs.Options{})
	start(t, e)
	enqueue(t, e, freshet.Effect{Kind: "k"})
	settle(t, e)
	dead, err := e.List(t.Context(), true, 0, 10)
	if err != nil || len(dead) != 1 {
		t.Fatalf("dead: %v, %v", dead, err)
	}
	if got := dead[0].Error; !utf8.ValidString(got) || !strings.HasPrefix(got, "a\uFFFDb") || len(got) < 4000 || len(got) > 4096 {
		t.Errorf("%d bytes are kept: %.20q", len(got), got)
	}
}

// TestTheStoreIsAwayForAWhile cuts all connections in the midst: the outcomes follow.
func TestTheStoreIsAwayForAWhile(t *testing.T) {
	const n = 30
	began, leave := make(chan struct{}, n), make(chan struct{})
	e, db, _ := open(t, database(t), map[string]jobs.Handler{"k": func(context.Context, jobs.Run) error {
		began <- struct{}{}
		<-leave
		return nil
	}}, jobs.Options{Workers: n})
	for range n {
		enqueue(t, e, freshet.Effect{Kind: "k"})
	}
	start(t, e)
	for range n {
		receive(t, "all jobs", began)
	}
	close(leave)
	if _, err := db.Pool().Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"); err != nil {
		t.Fatal(err)
	}
	for e.Idle(t.Context()) != nil {
		if t.Context().Err() != nil {
			t.Fatal("never idle")
		}
	}
	if s := e.Stats(); s.Done != n || s.Waiting+s.Dead != 0 {
		t.Errorf("in the end: %+v", s)
	}
}
