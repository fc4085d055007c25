package social

import (
	"context"
	"errors"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// graph is the feed engine's view of relations: the cached ones.
type graph struct{ s *Service }

func (g graph) Relations(ctx context.Context, reader freshet.ID) (*freshet.Relations, error) {
	if r := position.ReadingOf(ctx); r != nil && r.Latest() { // what follows from it is kept, and others read it
		ctx = cache.Fresh(ctx)
	}
	return g.s.Relations(ctx, reader)
}

// Relations gives the relations of a reader, as a read of the home feed that began now would see them.
func (s *Service) Relations(ctx context.Context, reader freshet.ID) (*freshet.Relations, error) {
	return s.spaces.relations.Get(ctx, reader)
}

// source is what the feed engine reads of the store, and which posts there are of what the caches know.
type source struct {
	store.Store
	posts *cache.Cache[freshet.ID, *Content]
}

// Refs gives those of posts that are there. A page shows them next.
func (s source) Refs(ctx context.Context, posts []freshet.ID) ([]freshet.PostRef, error) {
	there, found := make([]*Content, len(posts)), make([]bool, len(posts))
	if err := s.posts.GetInto(ctx, posts, there, found); err != nil {
		return nil, err
	}
	refs := make([]freshet.PostRef, 0, len(posts))
	for i, p := range there {
		if found[i] {
			refs = append(refs, freshet.PostRef{ID: p.ID, Author: p.Author})
		}
	}
	return refs, nil
}

// Audience gives how many follow each of users, 0 for who is not there.
func (s source) Audience(ctx context.Context, users []freshet.ID) ([]int64, error) {
	found, err := s.Users(ctx, users)
	if err != nil {
		return nil, err
	}
	at := make(map[freshet.ID]int64, len(found))
	for _, u := range found {
		at[u.ID] = u.FollowersCount
	}
	counts := make([]int64, len(users))
	for i, id := range users {
		counts[i] = at[id]
	}
	return counts, nil
}

// edge is one of the store's writes on an edge between two users.
type edge func(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error)

func (s *Service) relate(ctx context.Context, write edge, kind store.ChangeKind, actor, target freshet.ID, w store.Write) (position.Token, error) {
	if actor == target {
		return nil, errSelf
	}
	changed, at, err := write(ctx, actor, target, w)
	if err != nil || !changed {
		return at, err
	}
	return at, s.committed(ctx, at, store.Change{Kind: kind, Subject: actor, Object: target})
}

// Follow lets actor see target's posts, old ones too, or asks a private target
// for that. Whoever is blocked in either direction is not found.
func (s *Service) Follow(ctx context.Context, actor, target freshet.ID, w store.Write) (requested bool, at position.Token, err error) {
	r, err := s.spaces.relations.Get(ctx, actor)
	if err != nil {
		return false, nil, err
	}
	if len(r.Following) >= s.limits.Follows && !r.Follows(target) {
		return false, nil, freshet.Invalid("id", "is one more than the %d users that you may follow", s.limits.Follows)
	}
	at, err = s.relate(ctx, s.store.Follow, store.FollowChanged, actor, target, w)
	if errors.Is(err, store.ErrPrivate) {
		return s.request(ctx, actor, target, w)
	}
	return false, at, err
}

// Unfollow ends a follow, or takes back that one was asked for; all of target's
// posts leave actor's feed.
func (s *Service) Unfollow(ctx context.Context, actor, target freshet.ID, w store.Write) (position.Token, error) {
	if actor == target {
		return nil, errSelf
	}
	for range 2 { // between the two writes a request may have become the follow
		changed, at, err := s.store.Unfollow(ctx, actor, target, w)
		if err != nil {
			return nil, err
		}
		if changed {
			return at, s.committed(ctx, at, store.Change{Kind: store.FollowChanged, Subject: actor, Object: target})
		}
		changed, at, err = s.store.WithdrawRequest(ctx, actor, target, w)
		if err != nil {
			return nil, err
		}
		if changed {
			return at, s.committed(ctx, at, store.Change{Kind: store.RequestChanged, Subject: target, Object: actor})
		}
	}
	return nil, nil
}

// Block ends both follows and hides the two from each other.
func (s *Service) Block(ctx context.Context, actor, target freshet.ID, w store.Write) (position.Token, error) {
	at, err := s.relate(ctx, s.store.Block, store.BlockChanged, actor, target, w)
	if err != nil {
		return at, err
	}
	return at, s.Confirm(ctx) // also of a block that was there: it may have been made just now, and not been confirmed
}

// Unblock lifts a block; the follows it ended stay ended.
func (s *Service) Unblock(ctx context.Context, actor, target freshet.ID, w store.Write) (position.Token, error) {
	return s.relate(ctx, s.store.Unblock, store.BlockChanged, actor, target, w)
}

// Mute hides target's posts from actor's home feed.
func (s *Service) Mute(ctx context.Context, actor, target freshet.ID, w store.Write) (position.Token, error) {
	return s.relate(ctx, s.store.Mute, store.MuteChanged, actor, target, w)
}

// Unmute lifts a mute.
func (s *Service) Unmute(ctx context.Context, actor, target freshet.ID, w store.Write) (position.Token, error) {
	return s.relate(ctx, s.store.Unmute, store.MuteChanged, actor, target, w)
}

// UserList is a page of users; go on with the store's list before Next, 0 at the end.
type UserList struct {
	Users []*Profile
	Next  freshet.ID
}

// Followers lists who follows a user, newest follow first, as viewer sees it
// (0: nobody signed in). The other lists work alike.
func (s *Service) Followers(ctx context.Context, viewer, user, before freshet.ID, limit int) (UserList, error) {
	return s.shown(ctx, s.lists.followers, viewer, user, before, limit)
}

// Following lists whom a user follows.
func (s *Service) Following(ctx context.Context, viewer, user, before freshet.ID, limit int) (UserList, error) {
	return s.shown(ctx, s.lists.following, viewer, user, before, limit)
}

// Blocks lists whom a user blocks; it is the one list that shows them.
func (s *Service) Blocks(ctx context.Context, user, before freshet.ID, limit int) (UserList, error) {
	return s.edges(ctx, s.store.Blocks, user, before, limit, func(*Profile) bool { return false })
}

// Mutes lists whom a user mutes.
func (s *Service) Mutes(ctx context.Context, user, before freshet.ID, limit int) (UserList, error) {
	return s.shown(ctx, s.store.Mutes, user, user, before, limit)
}

// FollowRequests lists who asks a user for a follow, newest request first.
func (s *Service) FollowRequests(ctx context.Context, user, before freshet.ID, limit int) (UserList, error) {
	return s.shown(ctx, s.store.FollowRequests, user, user, before, limit)
}

// shown is a list of a user's, without those whom viewer may not see.
func (s *Service) shown(ctx context.Context, list list[freshet.Edge], viewer, user, before freshet.ID, limit int) (UserList, error) {
	if err := s.open(ctx, viewer, user); err != nil {
		return UserList{}, err
	}
	hidden, err := s.blockedFor(ctx, viewer)
	if err != nil {
		return UserList{}, err
	}
	return s.edges(ctx, list, user, before, limit, func(u *Profile) bool {
		return hidden.Blocks(u.ID) || viewer == 0 && u.Private
	})
}

func (s *Service) edges(ctx context.Context, list list[freshet.Edge], user, before freshet.ID, limit int, hides func(*Profile) bool) (UserList, error) {
	var out UserList
	var err error
	out.Users, out.Next, err = collect(before, limit,
		func(from freshet.ID, n int) ([]freshet.Edge, error) { return list(ctx, user, from, n) },
		func(e freshet.Edge) freshet.ID { return e.ID },
		func(edges []freshet.Edge) ([]*Profile, error) {
			ids := make([]freshet.ID, len(edges))
			for i, e := range edges {
				ids[i] = e.User
			}
			users, err := s.profiles(ctx, ids)
			for i, u := range users {
				if u != nil && hides(u) {
					users[i] = nil
				}
			}
			return users, err
		})
	return out, err
}

// blockedFor gives the relations of a viewer; nobody signed in blocks nobody.
func (s *Service) blockedFor(ctx context.Context, viewer freshet.ID) (*freshet.Relations, error) {
	if viewer <= 0 {
		return &freshet.Relations{}, nil
	}
	return s.spaces.relations.Get(ctx, viewer)
}
