package replica_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/replica"
)

// told is a node that is where the test says.
type told struct {
	replica.Node // what no test here calls

	mu       sync.Mutex
	at       position.Position
	writable bool
	down     bool
	read     int
	wrote    int
}

func (n *told) set(at position.Position, writable, down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at, n.writable, n.down = at, writable, down
}

var errDown = &freshet.Error{Code: freshet.CodeUnavailable, Message: "down", NotMade: true}

func (n *told) Where(context.Context) (position.Position, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return position.Position{}, false, errors.New("down")
	}
	return n.at, n.writable, nil
}

func (n *told) Known() position.Position {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.at
}

func (n *told) UserByRef(context.Context, string) (freshet.ID, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return 0, errDown
	}
	n.read++
	return 1, nil
}

func (n *told) DeletePost(context.Context, freshet.ID, freshet.ID, store.Write) (position.Token, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down || !n.writable {
		return nil, errDown
	}
	n.wrote++
	return position.Token{n.at}, nil
}

func (n *told) Forget()      {}
func (n *told) Close() error { return nil }

func at(system uint64, timeline uint32, offset uint64) position.Position {
	return position.Position{System: system, Timeline: timeline, Offset: offset}
}

// route runs a test of a router over nodes that are where it says, in a time of its own.
func route(t *testing.T, nodes []*told, test func(*testing.T, *replica.Store)) {
	synctest.Test(t, func(t *testing.T) {
		var all []replica.Node
		for _, n := range nodes {
			all = append(all, n)
		}
		s, err := replica.Open(t.Context(), all, replica.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		time.Sleep(time.Second)
		test(t, s)
	})
}

// A node that was down at the start and turns out to hold another database gets neither reads nor writes, even where no other
// takes writes.
func TestAStrangerThatComesLateIsLeftAlone(t *testing.T) {
	p, stranger := &told{at: at(1, 1, 5), writable: true}, &told{down: true}
	route(t, []*told{p, stranger}, func(t *testing.T, s *replica.Store) {
		stranger.set(at(2, 9, 9), true, false)
		p.set(at(1, 1, 5), true, true)
		time.Sleep(time.Second)
		if _, err := s.DeletePost(t.Context(), 1, 1, store.Write{}); freshet.CodeOf(err) != freshet.CodeUnavailable {
			t.Errorf("got %v, want that nobody takes writes", err)
		}
		if stranger.wrote > 0 || s.Stats().Failovers > 0 || s.Stats().Ejected != 2 {
			t.Errorf("%d writes went to another database: %+v", stranger.wrote, s.Stats())
		}
	})
}

// What a token of another system stands for only the primary can know.
func TestATokenOfAnotherSystemAsksThePrimary(t *testing.T) {
	p, r := &told{at: at(1, 1, 5), writable: true}, &told{at: at(1, 1, 5)}
	route(t, []*told{p, r}, func(t *testing.T, s *replica.Store) {
		for i, need := range []position.Token{nil, {at(1, 1, 5)}, {at(2, 1, 1)}, {at(1, 2, 5)}, {at(1, 1, 6)}} {
			before := r.read
			ctx, _ := position.WithReading(t.Context(), need)
			if _, err := s.UserByRef(ctx, ""); err != nil {
				t.Fatal(err)
			}
			if onReplica := r.read > before; onReplica != (i < 2) {
				t.Errorf("a read that needs %v was on a replica: %t", need, onReplica)
			}
		}
	})
}

// Where there are only floors, a replica that has passed its own and is not too old may answer, on a later timeline too; those of
// other systems are no concern of it.
func TestAFloorIsPassed(t *testing.T) {
	p, r := &told{at: at(1, 2, 5), writable: true}, &told{at: at(1, 2, 5)}
	route(t, []*told{p, r}, func(t *testing.T, s *replica.Store) {
		read := func(need, floor position.Token) (onReplica bool) {
			before := r.read
			ctx, reading := position.WithReading(t.Context(), need)
			reading.Floor(floor)
			if _, err := s.UserByRef(ctx, ""); err != nil {
				t.Fatal(err)
			}
			return r.read > before
		}
		floors := []position.Token{{at(2, 1, 1)}, {at(1, 2, 5)}, {at(1, 1, 9)}, {at(1, 2, 6)}}
		for i, floor := range floors {
			if onReplica := read(nil, floor); onReplica != (i < 3) {
				t.Errorf("a read above %v was on a replica: %t", floor, onReplica)
			}
		}
		if !read(position.Token{at(2, 1, 1)}, position.Token{at(2, 1, 2)}) || read(position.Token{at(2, 1, 3)}, position.Token{at(2, 1, 2)}) {
			t.Error("a need of another system counts unless a floor stands for it")
		}
		p.set(at(1, 2, 9), true, false)
		time.Sleep(time.Minute)
		for _, floor := range floors[:3] {
			if read(nil, floor) {
				t.Errorf("a read above %v was on a replica that is too old", floor)
			}
		}
	})
}

// A promotion that another process has seen is waited for: who took writes before it may not know yet.
func TestAReadOfALaterTimelineWaitsForItsPrimary(t *testing.T) {
	old, next := &told{at: at(1, 1, 5), writable: true}, &told{at: at(1, 1, 5)}
	route(t, []*told{old, next}, func(t *testing.T, s *replica.Store) {
		next.set(at(1, 2, 6), true, false)
		ctx, _ := position.WithReading(t.Context(), position.Token{at(1, 2, 7)})
		if _, err := s.UserByRef(ctx, ""); err != nil {
			t.Fatal(err)
		}
		if old.read > 0 || next.read != 1 {
			t.Errorf("%d reads on the old primary, %d on the new one", old.read, next.read)
		}
		// Nobody comes: the primary answers all the same.
		ctx, _ = position.WithReading(t.Context(), position.Token{at(1, 3, 1)})
		if _, err := s.UserByRef(ctx, ""); err != nil || next.read != 2 {
			t.Errorf("%v, %d reads", err, next.read)
		}
	})
}

// With nobody who takes writes the last primary stays, an old one that comes back does not count, and a write is made once.
func TestAWriteMeetsTheNextPrimary(t *testing.T) {
	a, b := &told{at: at(1, 1, 5), writable: true}, &told{at: at(1, 1, 5)}
	route(t, []*told{a, b}, func(t *testing.T, s *replica.Store) {
		a.set(at(1, 1, 5), false, true)
		go func() {
			time.Sleep(time.Second)
			b.set(at(1, 2, 6), true, false)
		}()
		if _, err := s.DeletePost(t.Context(), 1, 1, store.Write{}); err != nil || b.wrote != 1 {
			t.Errorf("%v, %d writes", err, b.wrote)
		}
		b.set(at(1, 2, 6), true, true)
		a.set(at(1, 1, 9), true, false) // it does not know
		began := time.Now()
		if _, err := s.DeletePost(t.Context(), 1, 1, store.Write{}); err == nil || a.wrote > 0 {
			t.Errorf("%v, %d writes on who was replaced", err, a.wrote)
		}
		if took := time.Since(began); took < 2*time.Second || took > 2100*time.Millisecond {
			t.Errorf("waited %v for a primary, want FailoverWait", took)
		}
	})
}
