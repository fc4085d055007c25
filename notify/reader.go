package notify

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet"
)

// reader is a user who watches.
type reader struct {
	id        freshet.ID
	relations *freshet.Relations // nil: not read yet
	loading   bool               // they are being read, or are to be; then all streams are behind
	again     bool               // they changed meanwhile
	streams   []*Stream
}

const (
	loaders     = 16               // that read relations at once
	loadTimeout = 10 * time.Second // for one reader's
	indexed     = 2000             // whom a reader may follow to be found by the author; who follows more is asked with each post
	lookBack    = 10 * time.Second // see the package comment, order over shards
)

// outdate has the relations of readers read again.
func (h *Hub) outdate(users ...freshet.ID) {
	for _, id := range users {
		if r := h.readers[id]; r != nil {
			h.load(r)
		}
	}
}

// load has the relations of a reader read, who is told nothing until they are.
func (h *Hub) load(r *reader) {
	for _, s := range r.streams {
		s.fallBehind(h.ring.next)
	}
	if r.loading {
		r.again = true
		return
	}
	r.loading = true
	h.stale = append(h.stale, r)
	h.signal()
}

func (h *Hub) signal() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run reads relations for the streams until ctx ends.
func (h *Hub) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	for range loaders {
		group.Go(func() {
			for r := h.nextStale(ctx); r != nil; r = h.nextStale(ctx) {
				h.reload(ctx, r)
			}
		})
	}
}

func (h *Hub) nextStale(ctx context.Context) *reader {
	for {
		h.mu.Lock()
		if len(h.stale) > 0 {
			r := h.stale[0]
			if h.stale = h.stale[1:]; len(h.stale) > 0 {
				h.signal()
			}
			h.mu.Unlock()
			return r
		}
		h.mu.Unlock()
		select {
		case <-h.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *Hub) reload(ctx context.Context, r *reader) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	h.mu.Lock()
	at := h.now.token()
	h.mu.Unlock()
	relations, err := h.options.Relations(ctx, r.id, at)
	h.mu.Lock()
	defer h.mu.Unlock()
	r.loading = false
	again := r.again
	r.again = false
	switch {
	case len(r.streams) == 0: // who has gone meanwhile was left to us
		h.forget(r)
	case err != nil:
		h.index(r, nil)
		for _, s := range r.streams {
			s.end(errRelations)
		}
	case again:
		h.load(r)
	default:
		h.related(r, relations)
	}
}

// related notes the relations of a reader, and lets the streams go on.
func (h *Hub) related(r *reader, now *freshet.Relations) {
	before := r.relations
	h.index(r, now)
	for _, s := range r.streams {
		if before != nil && len(h.now) > 1 {
			s.cursor = h.missed(before, now, s.cursor)
		}
		s.signal()
	}
}

// missed is where a stream goes on that is to have what the newly followed wrote just before their follow was heard.
func (h *Hub) missed(before, now *freshet.Relations, cursor uint64) uint64 {
	for seq := h.ring.since(h.ring.next, h.options.Now().Add(-lookBack)); seq < cursor; seq++ {
		if e := h.ring.at(seq); now.Follows(e.Author) && !before.Follows(e.Author) {
			return seq
		}
	}
	return cursor
}

// index has posts of those whom a reader follows find the reader. Both lists rise.
func (h *Hub) index(r *reader, now *freshet.Relations) {
	before := h.indexedBy(r)
	r.relations = now
	after := h.indexedBy(r)
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && before[0] < after[0]:
			h.unfollow(r, before[0])
			before = before[1:]
		case len(before) == 0 || after[0] < before[0]:
			h.followers[after[0]] = append(h.followers[after[0]], r)
			after = after[1:]
		default:
			before, after = before[1:], after[1:]
		}
	}
	if r.relations != nil && len(r.relations.Following) > indexed {
		h.wide[r] = struct{}{}
	} else {
		delete(h.wide, r)
	}
}

func (h *Hub) indexedBy(r *reader) []freshet.ID {
	if r.relations == nil || len(r.relations.Following) > indexed {
		return nil
	}
	return r.relations.Following
}

func (h *Hub) unfollow(r *reader, author freshet.ID) {
	all := h.followers[author]
	i := slices.Index(all, r)
	all[i] = all[len(all)-1]
	all[len(all)-1] = nil
	if all = all[:len(all)-1]; len(all) == 0 {
		delete(h.followers, author)
		return
	}
	h.followers[author] = all
}

// watches finds or makes the reader of a user.
func (h *Hub) watches(user freshet.ID) *reader {
	r := h.readers[user]
	if r == nil {
		r = &reader{id: user}
		h.readers[user] = r
		h.followers[user] = append(h.followers[user], r)
	}
	return r
}

// forget removes a reader who watches no more.
func (h *Hub) forget(r *reader) {
	h.index(r, nil)
	h.unfollow(r, r.id)
	delete(h.readers, r.id)
}
