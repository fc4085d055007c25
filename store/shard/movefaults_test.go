package shard_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/shard"
	"github.com/freshet/freshet/store/sqlite"
)

// faulty is a real part that does something around some of its calls.
type faulty struct {
	*sqlite.DB
	blocked   func()                                        // after a block
	plan      func(step string) error                       // before a plan is kept
	directory func(ctx context.Context, epoch uint64) error // before a directory is
}

func (f *faulty) Block(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	changed, at, err := f.DB.Block(ctx, actor, target, w)
	if f.blocked != nil {
		f.blocked()
	}
	return changed, at, err
}

func (f *faulty) SetMovePlan(ctx context.Context, plan []byte, version uint64) error {
	if f.plan != nil {
		_, step, _ := strings.Cut(string(plan), `"step":"`)
		step, _, _ = strings.Cut(step, `"`)
		if err := f.plan(step); err != nil {
			return err
		}
	}
	return f.DB.SetMovePlan(ctx, plan, version)
}

func (f *faulty) SetDirectory(ctx context.Context, d store.Directory) error {
	if f.directory != nil {
		if err := f.directory(ctx, d.Epoch); err != nil {
			return err
		}
	}
	return f.DB.SetDirectory(ctx, d)
}

// userOf makes a user on a part, and gives the user's bucket too.
func userOf(t *testing.T, s *shard.Store, part int) (freshet.ID, store.Buckets) {
	t.Helper()
	w := &world{T: t, Store: s}
	id := w.userOn(part, fmt.Sprintf("faulty%d", part))
	return id, buckets(t, fmt.Sprint(id.Bucket()))
}

// A block whose bucket leaves while it is carried is not acknowledged: it is carried from where the bucket goes.
func TestABlockWhoseBucketLeaves(t *testing.T) {
	f := openFiles(t, 3, nil)
	source := &faulty{DB: f.parts[0].(*sqlite.DB)}
	s := openStore(t, []store.Part{source, f.parts[1], f.parts[2]}, shard.Options{Sweep: time.Hour})
	actor, b := userOf(t, s, 0)
	target, _ := userOf(t, s, 1)
	for _, p := range []store.Part{f.parts[2], f.parts[0]} {
		if _, err := p.(store.BucketMover).BeginMove(t.Context(), 1, b); err != nil {
			t.Fatal(err)
		}
	}
	source.blocked = func() {
		_, err := source.Fence(t.Context(), 1, time.Minute)
		if err == nil {
			_, err = source.Leave(t.Context(), 1)
		}
		if err != nil {
			t.Error(err)
		}
	}
	if _, _, err := s.Block(t.Context(), actor, target, store.Write{}); freshet.CodeOf(err) != freshet.CodeUnavailable {
		t.Errorf("got %v, want unavailable", err)
	}
}

// What follows from a step is not done before the plan says so: who comes next goes by the plan.
func TestAPlanIsKeptBeforeWhatFollows(t *testing.T) {
	f := openFiles(t, 3, nil)
	var down atomic.Bool
	refused := errors.New("home is down")
	home := &faulty{
		DB: f.parts[0].(*sqlite.DB),
		plan: func(step string) error {
			if step == string(shard.Switching) {
				down.Store(true)
			}
			if down.Load() {
				return refused
			}
			return nil
		},
		directory: func(context.Context, uint64) error {
			if down.Load() {
				return refused
			}
			return nil
		},
	}
	s, err := shard.Open(t.Context(), []store.Part{home, f.parts[1], f.parts[2]}, shard.Options{Sweep: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	user, b := userOf(t, s, 1)
	if _, err := s.Move(t.Context(), b, 2, 0); err != nil {
		t.Fatal(err)
	}
	for !down.Load() {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // in which it must not go on
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, f.parts, shard.Options{Sweep: 5 * time.Millisecond})
	if m := moved(t, s); m.Step != shard.Done {
		t.Errorf("%+v", m)
	}
	if _, _, err := s.CreatePost(t.Context(), freshet.NewPost{Author: user, Text: "x"}, store.Write{}); err != nil {
		t.Error(err)
	}
}

// A mover that was overtaken writes no directory, however long it slept before that.
func TestAnOvertakenMoverWritesNoDirectory(t *testing.T) {
	f := openFiles(t, 2, nil)
	entered, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	slow := &faulty{DB: f.parts[0].(*sqlite.DB), directory: func(_ context.Context, epoch uint64) error {
		if epoch > 1 {
			once.Do(func() {
				close(entered)
				<-leave
			})
		}
		return nil
	}}
	s, err := shard.Open(t.Context(), []store.Part{slow, f.parts[1]}, shard.Options{Sweep: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	user, b := userOf(t, s, 0)
	if _, err := s.Move(t.Context(), b, 1, time.Hour); err != nil {
		t.Fatal(err)
	}
	<-entered
	other := openStore(t, f.parts, shard.Options{Sweep: 5 * time.Millisecond})
	until(t, other, shard.Keeping)
	if err := other.AbortMove(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, other, shard.Undone)
	close(leave)
	for range 30 { // it has time to do what it should not
		time.Sleep(10 * time.Millisecond)
		if err := other.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if d := other.Directory(); d.Owners[user.Bucket()] != 0 {
		t.Errorf("the directory (epoch %d) names a part that does not have the bucket", d.Epoch)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// An end that was accepted while the way back was open is one, also where the driver was about to drop it.
func TestAnAbortThatWasAcceptedCounts(t *testing.T) {
	f := openFiles(t, 2, nil)
	other := openStore(t, f.parts, shard.Options{Sweep: time.Hour})
	var once sync.Once
	home := &faulty{DB: f.parts[0].(*sqlite.DB), plan: func(step string) error {
		if step == string(shard.Dropping) {
			once.Do(func() {
				if err := other.AbortMove(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		return nil
	}}
	s := openStore(t, []store.Part{home, f.parts[1]}, shard.Options{Sweep: 5 * time.Millisecond})
	_, b := userOf(t, s, 0)
	if _, err := s.Move(t.Context(), b, 1, 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if m := moved(t, s); m.Step != shard.Undone {
		t.Errorf("%+v", m)
	}
}
