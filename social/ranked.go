package social

import (
	"context"
	"slices"

	"github.com/freshet/freshet"
)

// Tally is how a post fares, for those who rank it.
type Tally struct {
	Post   freshet.ID
	Author freshet.ID
	freshet.Counts
}

// Tallies gives the tallies of those of the posts that are there.
func (s *Service) Tallies(ctx context.Context, posts []freshet.ID) ([]Tally, error) {
	contents, counts, found := make([]*Content, len(posts)), make([]freshet.Counts, len(posts)), make([]bool, len(posts))
	if err := s.spaces.posts.GetInto(ctx, posts, contents, found); err != nil {
		return nil, err
	}
	if err := s.spaces.counts.GetInto(ctx, posts, counts, found); err != nil {
		return nil, err
	}
	var out []Tally
	for i, p := range contents {
		if p != nil {
			out = append(out, Tally{p.ID, p.Author, counts[i]})
		}
	}
	return out, nil
}

// Audiences gives how many follow each of users; who is not there is left out.
func (s *Service) Audiences(ctx context.Context, users []freshet.ID) (map[freshet.ID]int64, error) {
	profiles, err := s.profiles(ctx, users)
	out := make(map[freshet.ID]int64, len(users))
	for _, u := range profiles {
		if u != nil {
			out[u.ID] = u.FollowersCount
		}
	}
	return out, err
}

// RankedPosts gives those of the posts that viewer may see (0: nobody signed in), in the order given. Who may see a post that
// nobody is led to by its author is decided here.
func (s *Service) RankedPosts(ctx context.Context, viewer freshet.ID, ids []freshet.ID, page *Page) error {
	page.reset()
	contents, found := make([]*Content, len(ids)), make([]bool, len(ids))
	if err := s.spaces.posts.GetInto(ctx, ids, contents, found); err != nil {
		return err
	}
	hidden, err := s.blockedFor(ctx, viewer)
	if err != nil {
		return err
	}
	page.refs = page.refs[:0]
	for _, p := range contents {
		if p != nil && !hidden.Blocks(p.Author) {
			page.refs = append(page.refs, freshet.PostRef{ID: p.ID, Author: p.Author})
		}
	}
	err = s.hydrate(ctx, viewer, page.refs, page)
	page.Posts = slices.DeleteFunc(page.Posts, func(p PostView) bool { return p.Author.Private })
	return err
}

// RankedUsers gives those of the users whom viewer may see, in the order given.
func (s *Service) RankedUsers(ctx context.Context, viewer freshet.ID, ids []freshet.ID) ([]*Profile, error) {
	users, err := s.profiles(ctx, ids)
	if err != nil {
		return nil, err
	}
	hidden, err := s.blockedFor(ctx, viewer)
	if err != nil {
		return nil, err
	}
	shown := users[:0]
	for _, u := range users {
		if u != nil && !u.Private && !hidden.Blocks(u.ID) {
			shown = append(shown, u)
		}
	}
	return shown, nil
}
