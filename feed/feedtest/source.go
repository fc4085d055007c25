package feedtest

import (
	"context"
	"slices"

	"github.com/freshet/freshet"
)

// Home is the pull query of [feed.Source].
func (m *Model) Home(ctx context.Context, reader, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var refs []freshet.PostRef
	for _, p := range m.below(before) {
		if len(refs) == limit {
			break
		}
		if m.concerns(reader, p) {
			refs = append(refs, freshet.PostRef{ID: p.ID, Author: p.Author})
		}
	}
	return refs, ctx.Err()
}

// ByAuthor lists an author's posts.
func (m *Model) ByAuthor(ctx context.Context, author, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var refs []freshet.PostRef
	for _, p := range m.below(before) {
		if len(refs) < limit && p.Author == author && !p.Deleted {
			refs = append(refs, freshet.PostRef{ID: p.ID, Author: author})
		}
	}
	return refs, ctx.Err()
}

// Refs gives those of posts that were not deleted.
func (m *Model) Refs(ctx context.Context, posts []freshet.ID) ([]freshet.PostRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var refs []freshet.PostRef
	for _, id := range posts {
		if id < 1 || int(id) > len(m.posts) {
			continue
		}
		if p := m.posts[id-1]; !p.Deleted {
			refs = append(refs, freshet.PostRef{ID: p.ID, Author: p.Author})
		}
	}
	return refs, ctx.Err()
}

// Audience counts who follows each of users.
func (m *Model) Audience(ctx context.Context, users []freshet.ID) ([]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := make([]int64, len(users))
	for e := range m.edges {
		if i := slices.Index(users, e.to); i >= 0 && e.relation == follows {
			counts[i]++
		}
	}
	return counts, ctx.Err()
}

// Relations gives whom a reader follows and hides.
func (m *Model) Relations(ctx context.Context, reader freshet.ID) (*freshet.Relations, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var r freshet.Relations
	for e := range m.edges {
		switch {
		case e.relation == follows && e.from == reader:
			r.Following = append(r.Following, e.to)
		case e.relation == mutes && e.from == reader:
			r.Hidden = append(r.Hidden, e.to)
		case e.relation == blocks && e.from == reader:
			r.Hidden, r.Blocked = append(r.Hidden, e.to), append(r.Blocked, e.to)
		case e.relation == blocks && e.to == reader:
			r.Hidden, r.Blocked = append(r.Hidden, e.from), append(r.Blocked, e.from)
		}
	}
	for _, list := range []*[]freshet.ID{&r.Following, &r.Hidden, &r.Blocked} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return &r, ctx.Err()
}
