package httpchannel

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet/cache"
)

// run keeps this node on the board until ctx ends.
func (r *Remote) run(ctx context.Context) {
	ticker := time.NewTicker(r.o.beat())
	defer ticker.Stop()
	var broken fault
	absent := make(map[cache.ID]time.Time) // peers that have stopped beating, since when
	for {
		broken.note(ctx, r.o.Broken, r.round(ctx))
		r.bury(ctx, absent)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// fault is told of once, when it begins.
type fault struct{ on bool }

func (f *fault) note(ctx context.Context, broken func(error), err error) {
	if err != nil && !f.on && ctx.Err() == nil {
		broken(err)
	}
	f.on = err != nil
}

// round says that this node lives, reads the board, and writes on it what is missing there.
func (r *Remote) round(running context.Context) error {
	ctx, cancel := context.WithTimeout(running, r.o.Trust/2)
	defer cancel()
	var beat sync.WaitGroup
	beat.Go(func() { _ = r.Remote.Beat(ctx, r.id, 2*r.o.Trust) }) // where it is not known, nobody dies of it alone
	defer beat.Wait()
	l, err := r.register.read(ctx)
	if err != nil {
		return err
	}
	r.members.saw(l)
	if r.unfinished(l.board) {
		if l, err = r.register.update(ctx, r.finish); err != nil {
			return err
		}
		r.members.saw(l)
	}
	if l, term, is := r.members.newcomer(); is {
		r.running.Go(func() { r.introduce(running, l, term) })
	}
	return nil
}

// unfinished reports whether there is something to be written on the board.
func (r *Remote) unfinished(b *board) bool {
	m := r.members
	m.mu.Lock()
	defer m.mu.Unlock()
	return b == nil || !m.mine(b) || b.epoch < m.highest || b.young && m.overdue(m.youngSince) ||
		time.Since(m.sameSince) > touchAfter || slices.ContainsFunc(b.members, m.ended)
}

func (m *membership) overdue(since time.Time) bool {
	return !since.IsZero() && time.Since(since) > m.trust
}

// ended reports whether a condemned member must have read so by now, or has lost its permit. The caller holds mu.
func (m *membership) ended(on member) bool {
	p, known := m.peers[on.id]
	return on.condemned && known && p.term == on.term && m.overdue(p.gone)
}

// finish writes on the board what is missing there: this node, what this node knows of epochs, and that what had to be waited
// for is over.
func (r *Remote) finish(b *board) (*board, error) {
	m := r.members
	m.mu.Lock()
	defer m.mu.Unlock()
	if b == nil {
		b = &board{young: true}
		rand.Read(b.generation[:])
	}
	b.raise(m.highest)
	if b.young && m.last.board != nil && m.last.generation == b.generation && m.overdue(m.youngSince) {
		b.young = false
	}
	b.members = slices.DeleteFunc(b.members, m.ended)
	if m.mine(b) {
		return b, nil
	}
	return b, m.enter(b, r.o.URL)
}

// enter writes this node on the board. What else is there at its URL is a process that it replaces, unless this node was there
// first. The caller holds mu.
func (m *membership) enter(b *board, url string) error {
	b.remove(m.self)
	active := 0
	for i := range b.members {
		on := &b.members[i]
		if on.url == url && !on.condemned && m.term > 0 {
			return fmt.Errorf("join board: another node has URL %s", url)
		}
		on.condemned = on.condemned || on.url == url
		if !on.condemned {
			active++
		}
	}
	if active >= maxMembers || len(b.members) >= 2*maxMembers {
		return ErrFull
	}
	m.introduced = false
	m.term++
	b.members = append(b.members, member{id: m.self, term: m.term, url: url})
	return nil
}

// introduce has all who are on the board know this node, so that whoever trusts his memory asks for its fences. Who does not
// answer has read the board when Trust has passed, or can't trust his memory.
func (r *Remote) introduce(running context.Context, joined look, term uint32) {
	ctx, cancel := context.WithDeadline(running, joined.recv.Add(r.o.Trust))
	defer cancel()
	var all sync.WaitGroup
	for _, on := range joined.members {
		if on.id != r.id {
			all.Go(func() { r.tellOf(ctx, peer{id: on.id, url: on.url}, term) })
		}
	}
	all.Wait()
	if running.Err() == nil {
		r.members.known(term)
	}
}

// tellOf returns when a peer knows this node, or with ctx.
func (r *Remote) tellOf(ctx context.Context, p peer, term uint32) {
	switch a, err := r.ask(ctx, p, ask{kind: askKnow, term: term, url: r.o.URL}); {
	case err != nil:
		<-ctx.Done()
	case a.listening:
		r.out.followed(p.id, 0)
	}
}

// bury has peers off the board that neither answer nor beat. One that was killed is condemned when it was not seen to beat for
// Trust, and has lost what permit it could have when Trust has passed since; one that beats stays, and keeps this node from
// trusting its memory.
func (r *Remote) bury(ctx context.Context, absent map[cache.ID]time.Time) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Trust/2)
	defer cancel()
	silent := r.members.silent()
	for id := range absent {
		if !slices.Contains(silent, id) {
			delete(absent, id)
		}
	}
	for _, id := range silent {
		beats, err := r.Remote.Beating(ctx, id)
		since, known := absent[id]
		switch {
		case err != nil:
		case beats:
			delete(absent, id)
		case !known:
			absent[id] = time.Now()
		case time.Since(since) > r.o.Trust:
			r.condemn(ctx, id)
		}
	}
}

func (r *Remote) condemn(ctx context.Context, id cache.ID) {
	l, err := r.register.update(ctx, func(b *board) (*board, error) {
		if b == nil || !b.active(id) {
			return nil, errNoChange
		}
		b.find(id).condemned = true
		return b, nil
	})
	if err == nil {
		r.members.saw(l)
	}
}
