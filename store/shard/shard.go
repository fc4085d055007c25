// Package shard makes one store of several: it splits the data over parts by the bucket in every id.
//
//	s, err := shard.Open(ctx, []store.Part{a, b, c}, shard.Options{}) // a is home
//	defer s.Close()                                                   // and then the parts
//	refs, err := s.Home(ctx, me, 0, 50)                               // merged from all
//
// A part is any engine with the capability [store.Part]: a SQLite file, a PostgreSQL database, a primary with replicas. A
// directory, which home keeps, maps 1,024 buckets to parts. What has an id goes to the part that has its bucket, in one
// transaction there; what lists by something else (a reader's home, the posts that a user likes) asks all parts at once and
// merges their pages, so a page costs the same however deep it lies.
//
// # What concerns two parts
//
// A follow or a block between users of two parts is made on the actor's, with a [store.Mirror] in the same transaction. A
// courier for each pair of parts carries mirrors over, in order, many at a time; each is applied once by its id. Whoever made
// the write waits for it: a follow for half a second, after which it is acknowledged all the same, and is carried later; a
// block and an erasure take access away and are not acknowledged until every part has them (unavailable, try again). The token
// names each part that has the write.
//
// Handles and refs are unique over all parts because home claims them; see names.go.
//
// # Moves
//
// Buckets move from part to part while they are in use ([Store.Move]): rows are copied, then what has changed meanwhile, then writes
// pause for some milliseconds while the last changes and the ownership go over; all rows are compared, and the way back stays open for
// a while. Tokens bear the directory's position, so a reader of several processes never goes back to a part that buckets have left.
//
// Invariants: originals and mirrors agree once nothing is pending (Verify checks that), and a bucket is on one part. It is
// not a [store.ChangeFeed]: each part is one, with positions of its own.
package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Options configures a store; the zero value works.
type Options struct {
	// Place chooses the bucket of a new user. Default: [ByName].
	Place func(u freshet.NewUser) int
	// Log takes what goes wrong while nobody waits. Default: slog.Default().
	Log *slog.Logger
	// Sweep is how often is looked for what nobody does, because who began it has died or gave up: mirrors to be carried, a move to be
	// driven (after three times that). The directory is read again as often. Default: 1 s.
	Sweep time.Duration
}

const (
	// followPatience is how long a follow waits for its other half; withdrawalPatience a block and an erasure.
	followPatience     = 500 * time.Millisecond
	withdrawalPatience = 10 * time.Second
	// movedPatience is how long a write waits for a bucket that is on its way.
	movedPatience = 5 * time.Second
	// movedPause is how long it waits before it looks for the first time where the bucket is now, movedPauseMost before later ones:
	// who moves it needs the processors too.
	movedPause, movedPauseMost = 4 * time.Millisecond, 32 * time.Millisecond
)

// Store implements [store.Store] and [store.Verifier] on parts. Methods are safe for concurrent use.
type Store struct {
	parts    []store.Part
	options  Options
	dir      atomic.Pointer[directory]
	looked   atomic.Pointer[time.Time] // when the directory was read last
	couriers [][]*courier              // from, to
	erasures []erasures                // by from
	id       uint32                    // of this process among those that drive moves
	driver   struct {
		sync.Mutex
		at   bool    // this process drives a move
		next *driver // the one to be driven next
	}

	differMost int // see the constant, which it is outside of tests

	ctx     context.Context // ends with the store
	stop    context.CancelFunc
	mu      sync.Mutex // between start and Close
	running sync.WaitGroup
}

var (
	_ store.Store    = (*Store)(nil)
	_ store.Verifier = (*Store)(nil)
)

// Open serves parts, the first of which is home. The first time it spreads the buckets evenly, unless home has users already: then
// it has all buckets, and [store.Buckets] are moved from there. Close ends what it started, not the parts.
func Open(ctx context.Context, parts []store.Part, o Options) (*Store, error) {
	if o.Place == nil {
		o.Place = ByName
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Sweep <= 0 {
		o.Sweep = time.Second
	}
	s := &Store{parts: parts, options: o, id: rand.Uint32(), differMost: differMost, couriers: make([][]*courier, len(parts)), erasures: make([]erasures, len(parts))}
	if err := s.readDirectory(ctx); err != nil {
		return nil, err
	}
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	for from := range parts {
		s.couriers[from] = make([]*courier, len(parts))
		for to := range parts {
			if to != from {
				s.couriers[from][to] = &courier{store: s, from: from, to: to}
			}
		}
	}
	s.start(s.sweep)
	return s, nil
}

// Close ends the couriers. What is pending then is carried by whoever opens the parts next.
func (s *Store) Close() error {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

var errClosed = errors.New("the store is closed")

// start runs a goroutine that Close waits for; false: the store is closed.
func (s *Store) start(run func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.running.Go(run)
	return true
}

// Parts are the parts, home first.
func (s *Store) Parts() []store.Part { return s.parts }

// homeID is an id in the bucket of home.
const homeID freshet.ID = 0

// owner is the part that has the bucket of an id.
func (s *Store) owner(id freshet.ID) int { return s.dir.Load().owner(id) }

// made is on for a write with a token, which then bears the directory too: whoever has seen the write goes by no earlier one.
func (s *Store) made(ctx context.Context, id freshet.ID, at *position.Token, write func(store.Part) error) error {
	var by *directory
	err := s.on(ctx, id, func(p store.Part) error {
		by = s.dir.Load()
		return write(p)
	})
	if err == nil {
		*at = at.Raise(by.at)
	}
	return err
}

// on runs a write where a bucket is. While the bucket is on its way to another part, the write waits.
func (s *Store) on(ctx context.Context, id freshet.ID, write func(store.Part) error) error {
	return s.moving(ctx, func(dir *directory) error {
		err := write(s.parts[dir.owner(id)])
		if errors.Is(err, store.ErrMoved) {
			err = fmt.Errorf("bucket %d is not on part %d: %w", id.Bucket(), dir.owner(id), err)
		}
		return err
	})
}

// moving runs what goes by the directory, again while a bucket is elsewhere than that says.
func (s *Store) moving(ctx context.Context, write func(*directory) error) error {
	began, pause := time.Now(), movedPause
	for {
		dir := s.dir.Load()
		err := write(dir)
		if !errors.Is(err, store.ErrMoved) {
			return err
		}
		if time.Since(began) > movedPatience {
			return &freshet.Error{
				Code: freshet.CodeUnavailable, Message: "this part of the data is being moved", RetryAfter: time.Second,
				NotMade: true, Err: err,
			}
		}
		select {
		case <-dir.over:
			continue
		case <-time.After(pause):
			pause = min(2*pause, movedPauseMost)
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.refresh(ctx, dir); err != nil {
			return err
		}
	}
}

// each runs a call for all parts at once and joins their errors.
func (s *Store) each(call func(i int, p store.Part) error) error {
	errs := make([]error, len(s.parts))
	var calls sync.WaitGroup
	for i, p := range s.parts[1:] {
		calls.Go(func() { errs[i+1] = call(i+1, p) })
	}
	errs[0] = call(0, s.parts[0])
	calls.Wait()
	for i, err := range errs {
		if err != nil && !isTold(err) {
			errs[i] = fmt.Errorf("part %d: %w", i, err)
		}
	}
	return first(errs)
}

// isTold reports whether an error is one that a caller may be told as it is.
func isTold(err error) bool {
	_, ok := errors.AsType[*freshet.Error](err)
	return ok
}

// first is the first of errors that is one.
func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Ready reports whether every part can be read and written, and which one can't.
func (s *Store) Ready(ctx context.Context) error {
	errs := make([]error, len(s.parts))
	_ = s.each(func(i int, p store.Part) error {
		if err := p.Ready(ctx); err != nil {
			errs[i] = fmt.Errorf("part %d: %w", i, err)
		}
		return nil
	})
	return errors.Join(append(errs, s.dir.Load().nowhere())...)
}

// unavailable is told to whoever must not believe that access was taken away.
func unavailable(what string, err error) error {
	return &freshet.Error{
		Code: freshet.CodeUnavailable, Message: what + " has not reached all of the store yet", RetryAfter: time.Second, Err: err,
	}
}
