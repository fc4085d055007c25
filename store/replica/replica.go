// Package replica is a store with read replicas that shows nobody its own past.
//
//	s, err := replica.Open(ctx, []replica.Node{a, b, c}, replica.Options{})
//	defer s.Close()
//	ctx, reading := position.WithReading(ctx, token) // of the session
//	posts, err := s.Posts(ctx, ids)
//	token = token.Merge(reading.High())
//
// A read says in its context what it must see: the session's token. It goes to a replica that is known to have reached that,
// else to the primary. What is known of a replica can only be older than what is true, so no question is asked before a read;
// how far the replica was goes in the flight of the answer. A session that raises its token by what it read reads its own
// writes and never goes back in time, on whatever replica its next request arrives, in whatever process.
//
//	read, token 41 ──▶ a: at 40     behind
//	                   b: at 43     ◀── reads here: low 43, high 44
//	                   p: primary   where none has reached it, or nothing is asked
//
// A read whose context says nothing, or that it wants the latest, goes to the primary. Positions of another timeline have reached nothing, so after a
// promotion the primary answers until replicas follow it.
//
// A replica that fails is left alone until it answers a probe again; one that lags by more than MaxLag gets no reads that ask for
// nothing. The primary is the node that takes writes, on the highest timeline: an old one that comes back does not count. A
// write that met none and was certainly not made waits up to FailoverWait for the next.
//
// Package postgres is such a node. What is routed are the ports of package store; nothing here knows SQL.
package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Node is one server: a primary or a replica, which it is can change.
type Node interface {
	store.Part
	store.BucketMover
	store.PartImporter
	store.Verifier
	// Where is how far the node is, and whether it takes writes.
	Where(ctx context.Context) (at position.Position, writable bool, err error)
	// Known is how far it is at least, as was last heard with whatever answer.
	Known() position.Position
	// Forget ends idle connections, because they may lead to who was the primary.
	Forget()
	Close() error
}

// Options configures a store; the zero value works.
type Options struct {
	Probe        time.Duration // between two questions to a node for its position; default 20 ms
	ProbeTimeout time.Duration // after which a node that does not answer has failed; default 500 ms
	MaxLag       time.Duration // beyond which a replica gets no reads that ask for nothing; default 10 s
	FailoverWait time.Duration // how long a write waits for a primary; default 2 s
	Log          *slog.Logger  // hears of ejections, returns and promotions; default: nobody
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{{&o.Probe, 20 * time.Millisecond}, {&o.ProbeTimeout, 500 * time.Millisecond}, {&o.MaxLag, 10 * time.Second}, {&o.FailoverWait, 2 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store implements [store.Part], and so [store.Store], on a primary and its replicas. Methods are safe for concurrent use.
type Store struct {
	opts    Options
	nodes   []*node
	primary atomic.Pointer[node] // never nil
	system  uint64               // that all nodes belong to; set before the probes begin
	stop    context.CancelFunc
	probes  sync.WaitGroup

	mu      sync.Mutex // of elections
	changed chan struct{}

	onReplicas, onPrimary, retried, failovers atomic.Int64
}

var (
	_ store.Part     = (*Store)(nil)
	_ store.Verifier = (*Store)(nil)

	_ store.BucketMover  = (*Store)(nil)
	_ store.PartImporter = (*Store)(nil)
)

// node is what is known of a Node.
type node struct {
	Node
	number   int
	answered atomic.Bool // ever
	writable atomic.Bool
	ejected  atomic.Bool
	busy     atomic.Int64 // reads under way
	level    atomic.Int64 // when it had last reached what the primary was known to have, Unix nanoseconds
	life     atomic.Pointer[life]
	kick     chan struct{} // ask soon
}

// life is the time between two ejections of a node.
type life struct {
	ctx context.Context
	end context.CancelFunc
}

func (n *node) live() {
	ctx, end := context.WithCancel(context.Background())
	n.life.Store(&life{ctx, end})
}

// Open serves nodes of one database. One of them must take writes, all must belong to one system; a replica that does not answer
// is ejected, and returns when it does. The nodes belong to the store from then on: Close closes them.
func Open(ctx context.Context, nodes []Node, o Options) (*Store, error) {
	s := &Store{opts: o.withDefaults(), changed: make(chan struct{})}
	for i, n := range nodes {
		s.nodes = append(s.nodes, &node{Node: n, number: i, kick: make(chan struct{}, 1)})
		s.nodes[i].live()
	}
	for _, n := range s.nodes {
		switch err := s.probe(ctx, n); {
		case err == nil && s.system == 0:
			s.system = n.Known().System
		case errors.Is(err, errStranger):
			return nil, errors.Join(fmt.Errorf("replica: node %d holds another database than those before it, not a replica of it: check store.shards", n.number), s.closeNodes())
		}
	}
	if s.primary.Load() == nil {
		return nil, errors.Join(errors.New("replica: none of the nodes takes writes: store.shards must name the primary, and it must be up at the start"), s.closeNodes())
	}
	watching, stop := context.WithCancel(context.Background())
	s.stop = stop
	for _, n := range s.nodes {
		s.probes.Go(func() { s.watch(watching, n) })
	}
	return s, nil
}

// Close ends the probes and closes the nodes.
func (s *Store) Close() error {
	s.stop()
	s.probes.Wait()
	return s.closeNodes()
}

func (s *Store) closeNodes() error {
	var errs []error
	for _, n := range s.nodes {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}

// Stats counts where reads went, and what went wrong.
type Stats struct {
	OnReplicas, OnPrimary int64 // reads
	Retried               int64 // reads that failed on a replica and were asked elsewhere
	Failovers             int64 // changes of the primary
	Ejected               int   // nodes that don't answer
	Primary               int   // by its place in Open's list
}

// Stats gives the counts since Open.
func (s *Store) Stats() Stats {
	out := Stats{
		OnReplicas: s.onReplicas.Load(), OnPrimary: s.onPrimary.Load(), Retried: s.retried.Load(), Failovers: s.failovers.Load(),
		Primary: s.primary.Load().number,
	}
	for _, n := range s.nodes {
		if n.ejected.Load() {
			out.Ejected++
		}
	}
	return out
}

// Where is how far the primary is.
func (s *Store) Where(ctx context.Context) (position.Position, bool, error) {
	return s.primary.Load().Where(ctx)
}

// Ready reports whether there is a primary that can be written.
func (s *Store) Ready(ctx context.Context) error { return s.primary.Load().Ready(ctx) }

// read runs op on a replica that has reached what its context asks for, else on the primary. Where a replica fails, the next is
// asked.
func (s *Store) read(ctx context.Context, op func(context.Context, store.Store) error) error {
	reading := position.ReadingOf(ctx)
	if reading.Latest() {
		s.onPrimary.Add(1)
		return op(ctx, s.primaryFor(ctx, reading.Need()))
	}
	var tried uint64
	for {
		need, floor := reading.Wants()
		n := s.pick(need, floor, tried)
		if n == nil {
			s.onPrimary.Add(1)
			return op(ctx, s.primaryFor(ctx, reading.Need()))
		}
		err := n.ask(ctx, op)
		if err == nil || !elsewhere(ctx, err) {
			s.onReplicas.Add(1)
			return err
		}
		s.retried.Add(1)
		tried |= 1 << n.number
		n.probeNow()
	}
}

// primaryFor is the primary. Where another process has seen a later timeline than this one knows of, who took writes here has been
// replaced: the next is waited for, but not for longer than a node has time to answer.
func (s *Store) primaryFor(ctx context.Context, need position.Token) *node {
	timeline := need.At(s.system).Timeline
	if p := s.primary.Load(); p.Known().Timeline >= timeline {
		return p
	}
	deadline, again := time.NewTimer(s.opts.ProbeTimeout), time.NewTicker(s.opts.Probe)
	defer deadline.Stop()
	defer again.Stop()
	for {
		changed, p := s.election()
		if p.Known().Timeline >= timeline {
			return p
		}
		for _, n := range s.nodes {
			n.probeNow()
		}
		select {
		case <-changed:
		case <-again.C:
		case <-deadline.C:
			return p
		case <-ctx.Done():
			return p
		}
	}
}

// ask runs op on a replica until that is ejected: one that hangs must not hold up its readers for as long as they would wait.
func (n *node) ask(ctx context.Context, op func(context.Context, store.Store) error) error {
	n.busy.Add(1)
	defer n.busy.Add(-1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.life.Load().ctx, cancel)()
	return op(ctx, n)
}

// elsewhere reports whether another node may know better: what a caller may be told is true here as there, unless it says that
// the store can't be used.
func elsewhere(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	code := freshet.CodeOf(err)
	return code == "" || code == freshet.CodeUnavailable
}

// pick chooses the least busy of the replicas that may answer; nil: none may.
func (s *Store) pick(need, floor position.Token, tried uint64) (best *node) {
	primary := s.primary.Load()
	for _, n := range s.nodes {
		if n == primary || tried&(1<<n.number) != 0 || n.ejected.Load() || !s.reached(n, need, floor) {
			continue
		}
		if best == nil || n.busy.Load() < best.busy.Load() {
			best = n
		}
	}
	return best
}

// reached reports whether a replica is known to have what a read needs. What a position of another system stands for is not
// known here. Who needs nothing, or what has been reached by now under a floor, still gets nothing that is older than MaxLag.
func (s *Store) reached(n *node, need, floor position.Token) bool {
	if !n.answered.Load() {
		return false
	}
	at := n.Known()
	// A floor was acknowledged, so it stands on the timelines that come after its own.
	if order, ok := at.Compare(floor.At(at.System)); ok && order < 0 {
		n.probeNow()
		return false
	}
	if want := need.At(at.System); !want.IsZero() {
		if at.Reached(want) {
			return true
		}
		n.probeNow() // it may be there by now, for the next
		return false
	}
	if len(need) > 0 {
		return false
	}
	return time.Since(time.Unix(0, n.level.Load())) <= s.opts.MaxLag
}

// write runs op on the primary. Where there is none, and the write was certainly not made, it waits for the next.
func (s *Store) write(ctx context.Context, op func(context.Context, store.Store) error) error {
	deadline := time.NewTimer(s.opts.FailoverWait)
	defer deadline.Stop()
	for {
		changed, p := s.election()
		err := op(ctx, p)
		if err == nil {
			return nil
		}
		if e, ok := errors.AsType[*freshet.Error](err); !ok || !e.NotMade {
			return err
		}
		p.Forget()
		for _, n := range s.nodes {
			n.probeNow()
		}
		again := time.NewTimer(s.opts.Probe) // the same may take writes again
		select {
		case <-changed:
		case <-again.C:
		case <-deadline.C:
			again.Stop()
			return err
		case <-ctx.Done():
			again.Stop()
			return ctx.Err()
		}
		again.Stop()
	}
}
