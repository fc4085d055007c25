package postgres_test

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/jobs"
	"github.com/freshet/freshet/jobs/postgres"
)

// TestKill kills a process that makes and runs jobs, again and again at random
// moments, and lets the last one finish what is left, once it has taken over what
// the killed ones ran. The children tell on their standard output what was
// acknowledged to them and what their handlers did: the ledger, which survives them.
//
//	parent: start ──▶ child: Enqueue, "acked"; handler, "ran"; Save, "saved"
//	   ▲               │
//	   └── read all ◀──┴── SIGKILL after a random time
func TestKill(t *testing.T) {
	kills := testenv.Size(2, 4, 300)
	url := database(t)
	var ledger ledger
	for life := range kills {
		ledger.live(t, url, life, true)
	}
	ledger.live(t, url, kills, false)
	ledger.check(t)
}

const (
	childURL  = "FRESHET_TEST_CHILD_URL"
	childLife = "FRESHET_TEST_CHILD_LIFE"
	childEnds = "FRESHET_TEST_CHILD_ENDS"
)

type ledger struct{ lines []string }

// live runs one child and kills it, or lets it end.
func (l *ledger) live(t *testing.T, url string, life int, kill bool) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childURL+"="+url, fmt.Sprintf("%s=%d", childLife, life))
	if !kill {
		child.Env = append(child.Env, childEnds+"=1")
	}
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Process.Kill() })
	lines := bufio.NewReader(out)
	began := false
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF || err != nil && strings.Contains(err.Error(), "file already closed") {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		l.lines = append(l.lines, strings.TrimSuffix(line, "\n"))
		if kill && !began && strings.HasPrefix(line, "ran") {
			began = true
			time.AfterFunc(time.Duration(rand.Int64N(int64(100*time.Millisecond))), func() { child.Process.Kill() })
		}
	}
	if err := child.Wait(); err != nil && !kill {
		t.Fatalf("the last child: %v", err)
	}
}

// check reads the ledger: every acknowledged job ran; jobs of one key ran for
// the first time in the order of their making; no part of a job that was saved
// was done again after that, and each part was done.
func (l *ledger) check(t *testing.T) {
	ran, saved, last := map[string]int{}, map[string]int{}, map[string][2]int{}
	parts := map[string]map[int]bool{}
	var acked []string
	for _, line := range l.lines {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		var part, life, seq int
		var key string
		fmt.Sscan(f[2], &part)
		switch name := f[1]; f[0] {
		case "acked":
			acked = append(acked, name)
		case "part":
			if part < saved[name] {
				t.Errorf("%s: part %d was done again after %d were saved", name, part, saved[name])
			}
			if parts[name] == nil {
				parts[name] = map[int]bool{}
			}
			parts[name][part] = true
		case "saved":
			saved[name] = part
		case "ran":
			if ran[name]++; ran[name] > 1 {
				continue
			}
			fmt.Sscanf(strings.ReplaceAll(name, "/", " "), "%s %d %d", &key, &life, &seq)
			now := [2]int{life, seq}
			if was := last[key]; cmp.Or(cmp.Compare(was[0], now[0]), cmp.Compare(was[1], now[1])) > 0 {
				t.Errorf("key %s: %v ran after %v", key, now, was)
			}
			last[key] = now
		}
	}
	twice := 0
	for _, name := range acked {
		if ran[name] == 0 {
			t.Errorf("%s was acknowledged and never ran", name)
		}
		if ran[name] > 1 {
			twice++
		}
		for part := range childParts {
			if !parts[name][part] {
				t.Errorf("%s: part %d was never done", name, part)
			}
		}
	}
	if len(acked) < 20 {
		t.Errorf("only %d jobs were acknowledged, the test proves nothing", len(acked))
	}
	t.Logf("%d acknowledged, %d ran more than once", len(acked), twice)
}

const (
	childParts = 3
	childJobs  = 25 // of a key, at most: a life makes more than it runs
)

// liveAsChild makes and runs jobs until the parent kills it, or runs what is
// left, the dead ones' jobs too, and ends.
func liveAsChild(ctx context.Context, url, life string, ends bool) error {
	say := func(what, name string, part int) { fmt.Fprintf(os.Stdout, "%s %s %d\n", what, name, part) }
	db, err := openURL(ctx, url)
	if err != nil {
		return err
	}
	e := postgres.New(db, jobs.Options{}, map[string]jobs.Handler{"k": func(ctx context.Context, r jobs.Run) error {
		name, from := string(r.Job().Args), len(r.Checkpoint())
		for part := from; part < childParts; part++ {
			say("part", name, part)
			if err := r.Save(ctx, make([]byte, part+1)); err != nil {
				return err
			}
			say("saved", name, part+1)
		}
		say("ran", name, 0)
		return nil
	}})
	e.SetPace(50*time.Millisecond, 50*time.Millisecond, 300*time.Millisecond)
	if err := e.Start(ctx); err != nil {
		return err
	}
	if ends {
		return errors.Join(e.Idle(ctx), e.Close(), db.Close())
	}
	failed := make(chan error)
	for key := range 6 {
		go func() {
			for seq := range childJobs {
				name := fmt.Sprintf("%d/%s/%d", key, life, seq)
				if err := e.Enqueue(ctx, freshet.Effect{Kind: "k", Key: fmt.Sprint(key), Args: []byte(name)}); err != nil {
					failed <- err
					return
				}
				say("acked", name, 0)
			}
		}()
	}
	return <-failed
}
