package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/jobs/postgres"
)

const never = time.Duration(math.MaxInt32) * time.Second

func start(t testing.TB, e *postgres.Engine) {
	t.Helper()
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func enqueue(t testing.TB, e *postgres.Engine, effects ...freshet.Effect) {
	t.Helper()
	if err := e.Enqueue(t.Context(), effects...); err != nil {
		t.Fatal(err)
	}
}

func settle(t *testing.T, e *postgres.Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := e.Idle(ctx); err != nil {
		t.Fatalf("Idle: %v; stats %+v", err, e.Stats())
	}
}

func receive[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for: %s", what)
	}
	return v
}

// until waits in a handler for the test, or for the end of it.
func until(ctx context.Context, c <-chan error) error {
	select {
	case err := <-c:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestTwoProcesses shares 1,000 jobs between two engines: each runs once, and a
// key keeps its order across both.
func TestTwoProcesses(t *testing.T) {
	const n, keys = 1000, 12 // key 0 is none
	url := database(t)
	var mu sync.Mutex
	ran, last, running, by := map[string]int{}, map[string]int{}, map[string]int{}, [2]int{}
	engine := func(who int) *postgres.Engine {
		e, _, _ := open(t, url, map[string]jobs.Handler{"k": func(_ context.Context, r jobs.Run) error {
			key, seq := r.Job().Key, 0
			fmt.Sscan(string(r.Job().Args), &seq)
			mu.Lock()
			defer mu.Unlock()
			by[who]++
			ran[string(r.Job().Args)]++
			if key == "" {
				return nil
			}
			if running[key]++; running[key] > 1 {
				t.Errorf("two jobs of key %s run at once", key)
			}
			mu.Unlock()
			time.Sleep(time.Millisecond) // the work: the other process has time to look at the key
			mu.Lock()
			running[key]--
			if seq < last[key] {
				t.Errorf("key %s: %d ran after %d", key, seq, last[key])
			}
			last[key] = seq
			return nil
		}}, jobs.Options{Workers: 4})
		e.SetPace(time.Millisecond, time.Second, time.Minute)
		start(t, e)
		return e
	}
	a, b := engine(0), engine(1)
	var effects []freshet.Effect
	for i := range n {
		f := freshet.Effect{Kind: "k", Args: fmt.Append(nil, i), Subject: freshet.NewID(1, i%freshet.Buckets, 0)}
		if i%keys > 0 {
			f.Key = fmt.Sprint(i % keys)
		}
		effects = append(effects, f)
	}
	enqueue(t, a, effects[:n/2]...)
	enqueue(t, b, effects[n/2:]...)
	settle(t, a)
	mu.Lock()
	defer mu.Unlock()
	for i := range n {
		if got := ran[fmt.Sprint(i)]; got != 1 {
			t.Errorf("job %d ran %d times", i, got)
		}
	}
	if by[0] == 0 || by[1] == 0 {
		t.Errorf("the engines ran %v jobs: one had no share", by)
	}
	if done := a.Stats().Done + b.Stats().Done; done != n {
		t.Errorf("%d are counted as done, want %d", done, n)
	}
}

// TestFence has a process that seems dead end its attempt after all, while the
// one that took its job over runs it.
func TestFence(t *testing.T) {
	for name, late := range map[string]error{"done": nil, "failed": errors.New("once more"), "dead": jobs.Final(errors.New("no"))} {
		t.Run(name, func(t *testing.T) {
			url := database(t)
			began, leave := make(chan jobs.Run, 1), make(chan error)
			a, _, end := open(t, url, map[string]jobs.Handler{"k": func(ctx context.Context, r jobs.Run) error {
				began <- r
				return until(ctx, leave)
			}}, jobs.Options{Workers: 1})
			a.SetPace(never, never, never) // no beat: it looks dead
			start(t, a)
			enqueue(t, a, freshet.Effect{Kind: "k", Key: "x"})
			zombie := receive(t, "the first process", began)
			if err := zombie.Save(t.Context(), []byte("a")); err != nil {
				t.Fatal(err)
			}

			beganB, leaveB := make(chan jobs.Run, 1), make(chan error)
			b, _, _ := open(t, url, map[string]jobs.Handler{"k": func(ctx context.Context, r jobs.Run) error {
				beganB <- r
				return errors.Join(until(ctx, leaveB), r.Save(ctx, []byte("b")))
			}}, jobs.Options{Workers: 1})
			b.SetPace(never, 10*time.Millisecond, 50*time.Millisecond)
			start(t, b)
			r := receive(t, "the second process to take over", beganB)
			if string(r.Checkpoint()) != "a" || r.Job().Attempt != 0 {
				t.Errorf("it goes on at %q, attempt %d; want %q and none", r.Checkpoint(), r.Job().Attempt, "a")
			}
			if err := zombie.Save(t.Context(), []byte("z")); err == nil {
				t.Error("the first process saved a checkpoint of a job that another runs")
			}
			leave <- late
			for a.Stats().Running > 0 {
				time.Sleep(time.Millisecond)
			}
			end() // all that it has to write is written
			left, err := b.List(t.Context(), false, 0, 10)
			if err != nil || len(left) != 1 || left[0].Attempt != 0 || left[0].Error != "" {
				t.Errorf("there are %+v, %v; want the job as it was", left, err)
			}
			close(leaveB)
			settle(t, b)
			if s := b.Stats(); s.Done != 1 || s.Waiting+s.Dead != 0 {
				t.Errorf("after the second process: %+v", s)
			}
		})
	}
}

// TestALateEndOfAJobThatWaits has an attempt end after its job was taken back and
// before anybody runs it.
func TestALateEndOfAJobThatWaits(t *testing.T) {
	began, leave := make(chan jobs.Run, 2), make(chan error)
	e, db, _ := open(t, database(t), map[string]jobs.Handler{"k": func(ctx context.Context, r jobs.Run) error {
		began <- r
		return until(ctx, leave)
	}}, jobs.Options{Workers: 1}) // and that one is busy: it does not notice
	e.SetPace(never, never, never)
	start(t, e)
	enqueue(t, e, freshet.Effect{Kind: "k", Key: "x"})
	r := receive(t, "the attempt", began)
	takeBack(t, db)
	if err := r.Save(t.Context(), []byte("late")); err == nil {
		t.Error("a checkpoint was saved after the job was taken back")
	}
	leave <- nil
	if r := receive(t, "the next attempt", began); r.Checkpoint() != nil {
		t.Errorf("it goes on at %q", r.Checkpoint())
	}
	leave <- nil
	settle(t, e)
}

// takeBack does what another process does that holds this one for dead.
func takeBack(t *testing.T, db *pgdb.DB) {
	t.Helper()
	if _, err := db.Pool().Exec(t.Context(), "WITH gone AS (DELETE FROM job_processes RETURNING id) SELECT release_jobs(id) FROM gone"); err != nil {
		t.Fatal(err)
	}
}

// TestALostProcessBeginsAnew has a process find that its jobs were taken: its
// attempts end, and under a new name it runs jobs again.
func TestALostProcessBeginsAnew(t *testing.T) {
	began, ended := make(chan freshet.ID, 2), make(chan error, 2)
	first := true // jobs of one key: one at a time
	e, db, _ := open(t, database(t), map[string]jobs.Handler{"k": func(ctx context.Context, r jobs.Run) error {
		began <- r.Job().ID
		if first {
			first = false
			<-ctx.Done()
		}
		ended <- context.Cause(ctx)
		return ctx.Err()
	}}, jobs.Options{})
	e.SetPace(never, 10*time.Millisecond, time.Minute)
	start(t, e)
	enqueue(t, e, freshet.Effect{Kind: "k", Key: "x"})
	id := receive(t, "the attempt", began)
	takeBack(t, db)
	if err := receive(t, "the end of the attempt", ended); err == nil {
		t.Error("the attempt ended without a cause")
	}
	if got := receive(t, "the next attempt", began); got != id {
		t.Errorf("job %d ran, want %d", got, id)
	}
	settle(t, e)
	if s := e.Stats(); s.Failed != 0 || s.Dead+s.Waiting != 0 {
		t.Errorf("after both attempts: %+v", s)
	}
}

// TestAClaimWhoseAnswerWasLost has the process own a job that it does not know of.
func TestAClaimWhoseAnswerWasLost(t *testing.T) {
	ran := make(chan freshet.ID, 1)
	e, db, _ := open(t, database(t), map[string]jobs.Handler{"k": func(_ context.Context, r jobs.Run) error {
		ran <- r.Job().ID
		return nil
	}}, jobs.Options{})
	e.SetPace(10*time.Millisecond, time.Minute, time.Minute)
	enqueue(t, e, freshet.Effect{Kind: "k", Key: "x", RunAt: time.Now().Add(time.Hour)})
	start(t, e)
	if _, err := db.Pool().Exec(t.Context(), "UPDATE jobs SET state = 1, runs = 1, owner = (SELECT id FROM job_processes)"); err != nil {
		t.Fatal(err)
	}
	receive(t, "the job", ran)
	settle(t, e)
}
