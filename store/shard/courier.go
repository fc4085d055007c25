package shard

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

const (
	carriedMost  = 500 // mirrors in one call
	roundTimeout = 10 * time.Second
)

// A courier carries mirrors from one part to another. Those who wait while it is under way share the next round, as writes share
// a commit. Several processes may carry the same mirrors at a time: each is applied once.
type courier struct {
	store    *Store
	from, to int

	mu      sync.Mutex
	running bool
	next    *round // nobody has begun it; nil: nobody waits
}

// round is all that was pending when it began, on its way. What it says counts once done is closed.
type round struct {
	done    chan struct{}
	err     error
	at      position.Token
	refused map[edge]bool
	touched map[freshet.ID]store.Applied // by whom was erased
	back    bool                         // the other part has something to tell now
}

func newRound() *round {
	return &round{done: make(chan struct{}), refused: make(map[edge]bool), touched: make(map[freshet.ID]store.Applied)}
}

// edge is what a mirror tells of.
type edge struct {
	kind          store.MirrorKind
	actor, target freshet.ID
}

// flush carries all that was pending when it was called.
func (c *courier) flush(ctx context.Context) (*round, error) {
	c.mu.Lock()
	if c.next == nil {
		c.next = newRound()
	}
	r := c.next
	if !c.running {
		if c.running = c.store.start(c.run); !c.running {
			c.mu.Unlock()
			return nil, errClosed
		}
	}
	c.mu.Unlock()
	select {
	case <-r.done:
		return r, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run makes rounds until nobody waits for one.
func (c *courier) run() {
	for {
		c.mu.Lock()
		r := c.next
		if c.next = nil; r == nil {
			c.running = false
		}
		c.mu.Unlock()
		if r == nil {
			return
		}
		ctx, cancel := context.WithTimeout(c.store.ctx, roundTimeout)
		c.carry(ctx, r)
		cancel()
		c.pass(r)
	}
}

// pass tells the next round what this one did: whoever waits for that one may have written just before this one looked.
func (c *courier) pass(r *round) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		return
	}
	c.next.at, c.next.back = c.next.at.Merge(r.at), c.next.back || r.back
	maps.Copy(c.next.refused, r.refused)
	maps.Copy(c.next.touched, r.touched)
}

// carry makes one round. Those who wait go on once all is applied; that it was is noted after that.
func (c *courier) carry(ctx context.Context, r *round) {
	from, to := c.store.parts[c.from], c.store.parts[c.to]
	settled := func() bool { return false }
	defer func() {
		if errors.Is(r.err, store.ErrMoved) {
			_ = c.store.refresh(ctx, c.store.dir.Load()) // the next round goes by it
		}
		close(r.done)
		settled()
	}()
	for {
		var pending []store.Mirror
		limit := carriedMost + c.store.erasures[c.from].len()
		if pending, r.err = from.Pending(ctx, c.store.dir.Load().buckets[c.to], limit); r.err != nil {
			return
		}
		all := len(pending) < limit
		pending = c.store.erasures[c.from].without(pending, c.to, all)
		if len(pending) == 0 && len(r.at) > 0 {
			return
		}
		// Where there is nothing to apply another process was sooner: the token is to name this part all the same.
		applied, at, err := to.Apply(ctx, pending)
		if r.err = err; err != nil {
			return
		}
		r.at = r.at.Merge(at)
		if len(pending) == 0 {
			return
		}
		done, undo := c.read(r, pending, applied)
		settle := func() bool {
			_, err := from.Settle(ctx, done)
			return err == nil // else they are carried again, and left out there
		}
		if all && !undo {
			settled = settle
			return
		}
		if settle(); all {
			return
		}
	}
}

// read notes what came of mirrors, and says which of them no part needs any more, and whether any is to be undone.
func (c *courier) read(r *round, pending []store.Mirror, applied []store.Applied) (done []store.Settled, undo bool) {
	for i, m := range pending {
		switch a := applied[i]; {
		case m.Kind == store.Erasure:
			if len(a.Parents) > 0 || len(a.Neighbors) > 0 {
				r.touched[m.Actor] = a
			}
			if !c.store.erasures[c.from].applied(m.ID, c.to, len(c.store.parts)-1) {
				continue
			}
			done = append(done, store.Settled{ID: m.ID})
		default:
			if undo = undo || a.Refused; a.Refused {
				r.refused[edge{m.Kind, m.Actor, m.Target}] = true
			}
			r.back = r.back || m.Kind == store.BlockMade
			done = append(done, store.Settled{ID: m.ID, Refused: a.Refused})
		}
	}
	return done, undo
}

// sweep carries what nobody carries, and looks where the buckets are.
func (s *Store) sweep() {
	ticker := time.NewTicker(s.options.Sweep)
	defer ticker.Stop()
	var seen uint64 // the plan of a move, as it was last seen
	var since time.Time
	for {
		err := s.Refresh(s.ctx)
		if err == nil { // so the plan is where home is
			err = s.watchMove(s.ctx, &seen, &since)
		}
		if err := errors.Join(err, s.deliver(s.ctx)); err != nil && s.ctx.Err() == nil {
			s.options.Log.WarnContext(s.ctx, "follows and blocks can't be carried to another part of the store", "error", err)
		}
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
	}
}

// deliver carries all that is pending, and what comes back, between all parts that can be reached.
func (s *Store) deliver(ctx context.Context) error {
	return s.each(func(from int, p store.Part) error {
		own := s.dir.Load().buckets[from]
		pending, err := p.Pending(ctx, own.Complement(), 1)
		if err != nil || len(pending) == 0 {
			return err
		}
		errs := make([]error, len(s.parts))
		var flushes sync.WaitGroup
		for to, c := range s.couriers[from] {
			if c == nil {
				continue
			}
			flushes.Go(func() {
				r, err := c.flush(ctx)
				if err == nil && r.back {
					_, err = s.couriers[to][from].flush(ctx)
				}
				errs[to] = err
			})
		}
		flushes.Wait()
		return errors.Join(errs...)
	})
}

// erasures are those of one part that some others have applied and others not. After a restart all are asked again, which does
// no harm.
type erasures struct {
	mu   sync.Mutex
	open map[freshet.ID]map[int]bool // by mirror: the parts that have it
}

func (e *erasures) len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.open)
}

// applied notes that a part has an erasure, and tells whether all others have it now.
func (e *erasures) applied(mirror freshet.ID, to, others int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open == nil {
		e.open = make(map[freshet.ID]map[int]bool)
	}
	if e.open[mirror] == nil {
		e.open[mirror] = make(map[int]bool)
	}
	e.open[mirror][to] = true
	all := len(e.open[mirror]) == others
	if all {
		delete(e.open, mirror)
	}
	return all
}

// without leaves out the erasures that a part has. Where all that is pending is given and none is among it, none is open.
func (e *erasures) without(pending []store.Mirror, to int, all bool) (rest []store.Mirror) {
	e.mu.Lock()
	defer e.mu.Unlock()
	none := true
	for _, m := range pending {
		if m.Kind == store.Erasure {
			if none = false; e.open[m.ID][to] {
				continue
			}
		}
		rest = append(rest, m)
	}
	if all && none {
		clear(e.open)
	}
	return rest
}
