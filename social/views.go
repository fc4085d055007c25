package social

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/feed"
)

// PostView is a post as a viewer sees it.
type PostView struct {
	*Content
	Author *Profile
	freshet.Counts
	Liked bool // by the viewer
}

// Page is a part of a list of posts. A Page that is used again keeps its
// memory: what it held before is no longer valid.
type Page struct {
	Posts []PostView
	Next  freshet.ID // go on before this id; 0: the list ends

	refs    []freshet.PostRef
	ids     []freshet.ID
	authors []freshet.ID
	posts   []*Content
	users   []*Profile
	counts  []freshet.Counts
	found   []bool
}

// visible gives a post that viewer may see.
func (s *Service) visible(ctx context.Context, viewer, id freshet.ID) (*Content, error) {
	p, err := s.spaces.posts.Get(ctx, id)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, freshet.NotFound("post")
	}
	if err != nil {
		return nil, err
	}
	if err := s.open(ctx, viewer, p.Author); err != nil {
		if code := freshet.CodeOf(err); code == freshet.CodeNotFound || code == freshet.CodeForbidden {
			err = freshet.NotFound("post")
		}
		return nil, err
	}
	return p, nil
}

// PostByID gives a post as viewer sees it (0: nobody signed in).
func (s *Service) PostByID(ctx context.Context, viewer, id freshet.ID) (*PostView, error) {
	p, err := s.visible(ctx, viewer, id)
	if err != nil {
		return nil, err
	}
	return s.view(ctx, viewer, p)
}

// view gives a post as viewer sees it, who may.
func (s *Service) view(ctx context.Context, viewer freshet.ID, p *Content) (*PostView, error) {
	var page Page
	if err := s.hydrate(ctx, viewer, []freshet.PostRef{{ID: p.ID, Author: p.Author}}, &page); err != nil {
		return nil, err
	}
	if len(page.Posts) == 0 {
		return nil, freshet.NotFound("post")
	}
	return &page.Posts[0], nil
}

// Told gives a post as everybody is told who may see it: as its author does, without what depends on the viewer. Who may be told
// is the caller's to know.
func (s *Service) Told(ctx context.Context, id freshet.ID) (*PostView, error) {
	p, err := s.spaces.posts.Get(ctx, id)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, freshet.NotFound("post")
	}
	if err != nil {
		return nil, err
	}
	return s.view(ctx, 0, p)
}

// ByAuthor lists an author's posts from the newest, below an id, as viewer sees them.
func (s *Service) ByAuthor(ctx context.Context, viewer, author, before freshet.ID, limit int, page *Page) error {
	page.reset()
	if err := s.open(ctx, viewer, author); err != nil {
		return err
	}
	for {
		want := limit - len(page.Posts) + 1
		refs, err := s.lists.posts(ctx, author, before, want)
		if err != nil {
			return err
		}
		ended := len(refs) < want
		if !ended {
			refs = refs[:want-1]
		}
		if err := s.hydrate(ctx, viewer, refs, page); err != nil {
			return err
		}
		if ended {
			return nil
		}
		if len(refs) > 0 {
			before = refs[len(refs)-1].ID
		}
		if len(page.Posts) == limit {
			page.Next = before
			return nil
		}
	}
}

// Home gives a page of the reader's home feed, below an id.
func (s *Service) Home(ctx context.Context, reader, before freshet.ID, limit int, page *Page) error {
	page.reset()
	for {
		missing := limit - len(page.Posts)
		p, err := s.feed.Page(ctx, feed.Query{Reader: reader, Before: before, Limit: missing, Into: page.refs})
		if err != nil {
			return err
		}
		page.refs = p.Refs[:0] // the engine may have had to grow it
		if err := s.hydrate(ctx, reader, p.Refs, page); err != nil {
			return err
		}
		page.Next = p.Scanned
		if p.Scanned == 0 || len(p.Refs) < missing || len(page.Posts) == limit {
			return nil
		}
		before = p.Scanned // what was deleted since the engine chose is made up for
	}
}

// hydrate appends the posts of refs to a page, with one read of each cache.
// What was deleted since refs were chosen is left out.
func (s *Service) hydrate(ctx context.Context, viewer freshet.ID, refs []freshet.PostRef, page *Page) error {
	n := len(refs)
	if n == 0 {
		return nil
	}
	page.size(n)
	for i, r := range refs {
		page.ids[i], page.authors[i] = r.ID, r.Author
	}
	if err := s.spaces.posts.GetInto(ctx, page.ids, page.posts, page.found); err != nil {
		return err
	}
	if err := s.spaces.users.GetInto(ctx, page.authors, page.users, page.found); err != nil {
		return err
	}
	if err := s.spaces.counts.GetInto(ctx, page.ids, page.counts, page.found); err != nil {
		return err
	}
	likes, err := s.likesOf(ctx, viewer, slices.Min(page.ids))
	if freshet.CodeOf(err) == freshet.CodeUnavailable { // where posts lie that are not on this page, perhaps
		likes = new(likedSet)
		likes.posts, err = s.store.Liked(ctx, viewer, page.ids)
		slices.SortFunc(likes.posts, func(a, b freshet.ID) int { return cmp.Compare(b, a) })
	}
	if err != nil {
		return err
	}
	for i := range n {
		if page.posts[i] == nil || page.users[i] == nil {
			continue
		}
		page.Posts = append(page.Posts, PostView{
			Content: page.posts[i], Author: page.users[i], Counts: page.counts[i],
			Liked: likes.has(page.ids[i]),
		})
	}
	return nil
}

// likesOf gives the posts that viewer likes, complete down to an id.
func (s *Service) likesOf(ctx context.Context, viewer, down freshet.ID) (*likedSet, error) {
	if viewer <= 0 {
		return &likedSet{}, nil
	}
	l, err := s.spaces.liked.Get(ctx, viewer)
	if err != nil || l.floor <= down {
		return l, err
	}
	older := &likedSet{posts: append([]freshet.ID(nil), l.posts...), floor: l.floor}
	for older.floor > down {
		more, err := s.store.LikedBy(ctx, viewer, older.floor, likedKept)
		if err != nil {
			return nil, err
		}
		older.posts = append(older.posts, more...)
		older.floor = newLikedSet(more).floor
	}
	return older, nil
}

func (p *Page) reset() { p.Posts, p.Next = p.Posts[:0], 0 }

func (p *Page) size(n int) {
	p.ids = grow(p.ids, n)
	p.authors = grow(p.authors, n)
	p.posts = grow(p.posts, n)
	p.users = grow(p.users, n)
	p.counts = grow(p.counts, n)
	p.found = grow(p.found, n)
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
