package social

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/store"
)

// Memo keeps what a translator made of a cached value, so that it is made once
// per value and not once per read. The zero Memo is empty.
type Memo struct{ made atomic.Pointer[[]byte] }

// Bytes gives what make returned the first time. Where several make it at once
// one of the results stays.
func (m *Memo) Bytes(make func() []byte) []byte {
	if b := m.made.Load(); b != nil {
		return *b
	}
	b := make()
	m.made.CompareAndSwap(nil, &b)
	return *m.made.Load()
}

// Profile is a user as the caches keep it.
type Profile struct {
	freshet.User
	Memo Memo // of the user as an author
}

// Content is a post as the caches keep it, without its counts.
type Content struct {
	freshet.Post
	Memo Memo // of the post without author, counts and liked
}

// likedSet is the newest part of what a user likes: complete down to floor.
type likedSet struct {
	posts []freshet.ID // falling
	floor freshet.ID   // 0: all of them
}

// likedKept is how many likes a likedSet holds at most: 8 KB.
const likedKept = 1000

func newLikedSet(posts []freshet.ID) *likedSet {
	l := &likedSet{posts: posts}
	if len(posts) == likedKept {
		l.floor = posts[len(posts)-1]
	}
	return l
}

func (l *likedSet) has(post freshet.ID) bool {
	_, found := slices.BinarySearchFunc(l.posts, post, func(a, b freshet.ID) int { return int(max(-1, min(1, b-a))) })
	return found
}

// spaces are the kinds of data that are cached, each under the name its policy
// is set by.
type spaces struct {
	users     *cache.Cache[freshet.ID, *Profile]
	posts     *cache.Cache[freshet.ID, *Content]
	counts    *cache.Cache[freshet.ID, freshet.Counts]
	relations *cache.Cache[freshet.ID, *freshet.Relations]
	liked     *cache.Cache[freshet.ID, *likedSet]
	refs      *cache.Cache[string, freshet.ID]
}

func defineSpaces(stack *cache.Stack, db store.Store) spaces {
	const never = -1
	return spaces{
		users: cache.Define(stack, cache.Space[freshet.ID, *Profile]{
			Name:   "user",
			Policy: cache.Policy{TTL: 5 * time.Minute, StaleFor: time.Hour},
			LoadMany: func(ctx context.Context, ids []freshet.ID) (map[freshet.ID]*Profile, error) {
				users, err := db.Users(ctx, ids)
				m := make(map[freshet.ID]*Profile, len(users))
				for _, u := range users {
					m[u.ID] = &Profile{User: u}
				}
				return m, err
			},
		}),
		posts: cache.Define(stack, cache.Space[freshet.ID, *Content]{
			Name:   "post",
			Policy: cache.Policy{TTL: time.Minute},
			LoadMany: func(ctx context.Context, ids []freshet.ID) (map[freshet.ID]*Content, error) {
				posts, err := db.Posts(ctx, ids)
				m := make(map[freshet.ID]*Content, len(posts))
				for _, p := range posts {
					m[p.ID] = &Content{Post: p}
				}
				return m, err
			},
		}),
		counts: cache.Define(stack, cache.Space[freshet.ID, freshet.Counts]{
			Name:     "counts",
			Policy:   cache.Policy{TTL: time.Minute},
			LoadMany: db.Counts,
		}),
		relations: cache.Define(stack, cache.Space[freshet.ID, *freshet.Relations]{
			Name:   "relations",
			Local:  true, // a page's path starts with it: a second round trip there
			Policy: cache.Policy{TTL: 5 * time.Minute},
			Weigh: func(_ freshet.ID, r *freshet.Relations) int {
				return 8 * (len(r.Following) + len(r.Hidden) + len(r.Blocked))
			},
			LoadMany: func(ctx context.Context, ids []freshet.ID) (map[freshet.ID]*freshet.Relations, error) {
				all, err := db.Relations(ctx, ids)
				m := make(map[freshet.ID]*freshet.Relations, len(all))
				for id, r := range all {
					m[id] = &r
				}
				return m, err
			},
		}),
		liked: cache.Define(stack, cache.Space[freshet.ID, *likedSet]{
			Name:   "liked",
			Local:  true,
			Policy: cache.Policy{TTL: 5 * time.Minute},
			Weigh:  func(_ freshet.ID, l *likedSet) int { return 8 * len(l.posts) },
			Equal:  func(a, b *likedSet) bool { return a.floor == b.floor && slices.Equal(a.posts, b.posts) },
			LoadMany: func(ctx context.Context, users []freshet.ID) (map[freshet.ID]*likedSet, error) {
				m := make(map[freshet.ID]*likedSet, len(users))
				for _, u := range users {
					posts, err := db.LikedBy(ctx, u, 0, likedKept)
					if err != nil {
						return nil, err
					}
					m[u] = newLikedSet(posts)
				}
				return m, nil
			},
		}),
		// A user's ref never changes, so an entry is right as long as its user
		// lives. UserByRef checks that at each use, which stands in for a fence: a
		// change names users by id; so an audit would accuse it. An absence is not kept.
		refs: cache.Define(stack, cache.Space[string, freshet.ID]{
			Name:   "ref",
			Local:  true,
			Policy: cache.Policy{TTL: time.Hour, NegativeTTL: never, AuditEvery: never},
			LoadMany: func(ctx context.Context, refs []string) (map[string]freshet.ID, error) {
				m := make(map[string]freshet.ID, len(refs))
				for _, ref := range refs {
					switch id, err := db.UserByRef(ctx, ref); {
					case err == nil:
						m[ref] = id
					case freshet.CodeOf(err) != freshet.CodeNotFound:
						return nil, err
					}
				}
				return m, nil
			},
		}),
	}
}
