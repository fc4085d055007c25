package shard_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/shard"
	"github.com/freshet/freshet/store/sqlite"
)

// A part takes buckets before the directory says so. Whoever hears of that from the part's feed goes on when the directory has it.
func TestWhoHearsOfAMoveWaitsForTheDirectory(t *testing.T) {
	f, ctx := openFiles(t, 2, nil), t.Context()
	s := openStore(t, f.parts, shard.Options{Sweep: time.Hour})
	if err := s.Arrived(ctx, 1, position.Position{}); err != nil {
		t.Fatalf("nothing has moved: %v", err)
	}
	var b store.Buckets
	b.Add(5)
	source, target := f.parts[0].(store.BucketMover), f.parts[1].(store.BucketMover)
	for _, p := range []store.BucketMover{target, source} {
		_, err := p.BeginMove(ctx, 1, b)
		if err == nil {
			_, err = p.Fence(ctx, 1, time.Minute)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, left := source.Leave(ctx, 1)
	token, joined := target.Join(ctx, 1)
	if err := errors.Join(left, joined); err != nil {
		t.Fatal(err)
	}
	at := token[0]
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := s.Arrived(soon, 1, at); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the directory does not say so yet: %v", err)
	}
	if err := s.Arrived(ctx, 0, position.Position{}); err != nil {
		t.Errorf("nothing has come to the other part: %v", err)
	}
	d := s.Directory()
	d.Epoch, d.Owners[5] = d.Epoch+1, 1
	d.Since = []position.Position{{}, at}
	if err := f.parts[0].SetDirectory(ctx, d); err != nil {
		t.Fatal(err)
	}
	if err := s.Arrived(ctx, 1, at); err != nil || s.Directory().Owners[5] != 1 {
		t.Errorf("the directory says so: %v, epoch %d", err, s.Directory().Epoch)
	}
}

// While buckets are on their way the parts are named as they were: a plan goes by their numbers.
func TestThePartsStayWhileAMoveIsUnderWay(t *testing.T) {
	f, ctx := openFiles(t, 3, nil), t.Context()
	s := openStore(t, f.parts[:2], shard.Options{})
	var b store.Buckets
	b.Add(5)
	if _, err := s.Move(ctx, b, 1, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if more, err := shard.Open(ctx, f.parts, shard.Options{}); err == nil {
		more.Close()
		t.Fatal("a part was added while a move was under way")
	}
	s = openStore(t, f.parts[:2], shard.Options{Sweep: time.Millisecond})
	if err := s.AbortMove(ctx); err != nil {
		t.Fatal(err)
	}
	for m, err := s.Moving(ctx); m.Step != shard.Undone; m, err = s.Moving(ctx) {
		if time.Sleep(time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, f.parts, shard.Options{})
}

// asked is a real part that notes what its reads must have reached.
type asked struct {
	*sqlite.DB
	need, floor position.Token
}

func (a *asked) Posts(ctx context.Context, ids []freshet.ID) ([]freshet.Post, error) {
	a.need, a.floor = position.ReadingOf(ctx).Wants()
	return a.DB.Posts(ctx, ids)
}

// A directory asks nothing of a part but where it must have come to, so that replicas may answer as if there were none; whoever has
// read by it is told all the same.
func TestADirectoryIsNoNeed(t *testing.T) {
	f := openFiles(t, 2, nil)
	target := &asked{DB: f.parts[1].(*sqlite.DB)}
	s := openStore(t, []store.Part{f.parts[0], target}, shard.Options{Sweep: 5 * time.Millisecond})
	user, b := userOf(t, s, 0)
	if _, err := s.Move(t.Context(), b, 1, 0); err != nil {
		t.Fatal(err)
	}
	moved(t, s)
	var seen position.Token
	for range 2 { // and again with what it has been told
		ctx, reading := position.WithReading(t.Context(), seen)
		if _, err := s.Posts(ctx, []freshet.ID{user}); err != nil {
			t.Fatal(err)
		}
		system, err := target.System(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d := s.Directory()
		if len(target.need) > 0 || target.floor.At(system) != d.Since[1] {
			t.Errorf("needed are %v, and %v", target.need, target.floor)
		}
		seen = position.Token{reading.High().At(d.Position().System)}
		if seen.At(d.Position().System) != d.Position() {
			t.Errorf("the reader has seen %v", reading.High())
		}
	}
}
