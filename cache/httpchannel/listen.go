package httpchannel

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/cache"
)

var errListening = errors.New("httpchannel: this node listens already")

// Listen tells l what all nodes fence, until ctx ends or the Remote is closed.
func (r *Remote) Listen(ctx context.Context, l cache.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended, err := r.beginListening()
	if err != nil {
		return err
	}
	defer r.endListening(ended)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-r.closing:
			cancel(ErrClosed)
		case <-stop:
		}
	}()
	s := &session{r: r, l: l, in: make(chan delivery), follows: make(map[cache.ID]*follow)}
	s.run(ctx)
	return context.Cause(ctx)
}

func (r *Remote) beginListening() (ended chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.closing:
		return nil, ErrClosed
	default:
	}
	if r.listens {
		return nil, errListening
	}
	r.listens, r.listened = true, make(chan struct{})
	r.members.listen(true)
	return r.listened, nil
}

// endListening tells all peers, so that no confirmation waits for this node.
func (r *Remote) endListening(ended chan struct{}) {
	r.members.listen(false)
	r.out.unfollowed(r.id)
	ctx, cancel := context.WithTimeout(context.Background(), r.o.Trust/2)
	defer cancel()
	var all sync.WaitGroup
	for _, p := range r.members.others() {
		all.Go(func() { _, _ = r.ask(ctx, p, ask{kind: askLeave}) }) // else it waits for our trust to run out
	}
	all.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listens = false
	close(ended)
}

// session is one Listen. All of it but the followers' goroutines runs in Listen's:
//
//	run ──▶ board ─────────────────▶ Listen ──▶ listener
//	follow of each peer, and of our own outbox ──▶ in ─┘
type session struct {
	r  *Remote
	l  cache.Listener
	in chan delivery

	follows map[cache.ID]*follow // what Alive needs an answer from
	waits   sync.WaitGroup       // for their goroutines
	pending []look               // looks that are yet to become an Alive, in their order
	last    look
	sound   atomic.Bool  // told Alive, and not Lost since
	recv    atomic.Int64 // of the last look that may become an Alive, in nanoseconds after start: see wait
	start   time.Time

	generation cache.ID
	told       uint64 // epochs up to here have been told, but for those up to horizon
	horizon    uint64
	stale      bool // the board has not been read for Trust, and Lost was told of it
}

// pendingMost is how many looks are kept until all peers have answered what was asked after them.
const pendingMost = 8

func (s *session) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	s.start = time.Now()
	s.l.Lost()
	defer s.l.Lost()
	defer s.waits.Wait()
	defer cancel()
	s.follow(ctx, peer{id: s.r.id})
	check := time.NewTicker(s.r.o.beat())
	defer check.Stop()
	for {
		view, peers, changed := s.r.members.view()
		s.see(ctx, view, peers)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case d := <-s.in:
			s.deliver(d)
		case <-check.C:
		}
	}
}

// see takes the board and the peers as they are now.
func (s *session) see(ctx context.Context, l look, peers map[cache.ID]peer) {
	for id, p := range peers {
		f, over := s.follows[id], !p.gone.IsZero() && time.Since(p.gone) > s.r.o.Trust
		switch {
		case f == nil && !p.left && !over:
			s.follow(ctx, p)
		case over && s.ended(f, p):
			s.unfollow(id)
			s.r.members.buried(id)
		}
	}
	if l.board == nil {
		return
	}
	if l.generation != s.generation {
		s.lose()
		s.generation = l.generation
		s.r.members.goesBy(l.generation)
	}
	switch old := time.Since(l.sent) > s.r.o.Trust; {
	case old && !s.stale:
		s.lose() // tags may have been fenced that nobody could tell
		s.stale = true
	case !old && l.recv != s.last.recv:
		s.look(l)
	}
	s.judge()
}

// ended reports whether there is nothing more to be heard of a peer that can't write fences any more. One that does not answer
// may have written some.
func (s *session) ended(f *follow, p peer) bool {
	silent := p.gone.Add(s.r.o.Trust)
	switch {
	case f == nil, !f.answered.Before(silent):
		return true
	case time.Since(silent) < 2*s.r.o.beat():
		return false
	}
	s.lose()
	return true
}

// look takes what is new on the board.
func (s *session) look(l look) {
	s.last, s.stale = l, false
	if s.told < l.horizon {
		s.horizon = max(s.horizon, l.horizon)
	}
	for _, t := range l.tags {
		if t.epoch > s.told {
			s.l.TagFenced(t.tag, t.epoch)
		}
	}
	s.told = max(s.told, l.epoch)
	if l.active(s.r.id) && !l.young {
		if len(s.pending) == pendingMost {
			s.pending = append(s.pending[:0], s.pending[1:]...)
		}
		s.pending = append(s.pending, l)
		s.recv.Store(int64(l.recv.Sub(s.start)))
	}
}

// lose says that memory is void. The tags on the board will be told again.
func (s *session) lose() {
	s.l.Lost()
	s.sound.Store(false)
	s.told, s.pending, s.last = 0, nil, look{}
}

// deliver tells what a peer, or this node, has fenced.
func (s *session) deliver(d delivery) {
	defer close(d.done)
	f := s.follows[d.from]
	if f == nil {
		return // it was given up
	}
	if d.gap {
		s.lose()
	}
	var keys []string
	for _, e := range d.events {
		if e.epoch == 0 {
			keys = append(keys, e.key)
			continue
		}
		s.r.members.knows(e.epoch)
		s.l.TagFenced(e.tag, e.epoch)
	}
	if len(keys) > 0 {
		s.l.Forget(keys...)
	}
	f.answered = d.sent
	if d.from == s.r.id {
		return
	}
	s.r.members.heard(d.from, time.Now())
	s.r.members.advance(d.applied)
	if d.left {
		s.unfollow(d.from)
		s.r.members.hasLeft(d.from)
	}
}

// judge tells Alive of the last look after which every peer has answered what it was asked:
//
//	this node:  look (sent … recv)      ask each peer ──▶ answers told      Alive(sent)
//	                                    └── after recv
//
// What was fenced before the look was sent was in its writer's outbox by then, and the writer was on the board, or has made
// himself known here, or waits until this node has looked again.
func (s *session) judge() {
	oldest := s.oldest()
	for i := len(s.pending) - 1; i >= 0; i-- {
		if w := s.pending[i]; !w.recv.After(oldest) {
			s.pending = append([]look(nil), s.pending[i+1:]...)
			s.l.Alive(w.sent, cache.Beat{Applied: w.applied, Epoch: w.epoch, Horizon: s.horizon, Generation: generationName(w.generation)})
			s.sound.Store(true)
			return
		}
	}
}

// oldest is when that peer was asked whose last answer was asked for first.
func (s *session) oldest() (t time.Time) {
	first := true
	for _, f := range s.follows {
		if first || f.answered.Before(t) {
			t, first = f.answered, false
		}
	}
	return t
}
