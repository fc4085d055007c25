package social

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// firstRows is how many rows of a list are kept: those of a page of the greatest
// default limit, and one more that tells whether another page follows.
const firstRows = 101

// Queries declare the first rows of the public lists, by whose or what list it
// is. They hold what everybody may see; what a viewer may not is taken out of the
// page. Each reads one thing, which [RefsOf] names wherever it changes.
type Queries struct {
	Followers, Following cache.Query[freshet.ID, []freshet.Edge]
	Posts                cache.Query[freshet.ID, []freshet.PostRef]
	Comments             cache.Query[freshet.ID, []freshet.Comment]
}

// What the queries read: see [cache.Dependency].
const (
	followersTable = "followers" // by the followed
	followingTable = "following" // by the follower
	postsTable     = "posts"     // by author
	commentsTable  = "comments"  // by post
)

func rowsOf(table string, ids ...freshet.ID) []cache.Dependency {
	deps := make([]cache.Dependency, len(ids))
	for i, id := range ids {
		deps[i] = cache.Dependency{Table: table, Key: id.String()}
	}
	return deps
}

// DeclareQueries declares the queries on a store.
func DeclareQueries(db store.Store) Queries {
	return Queries{
		Followers: firstOf("followers", followersTable, db.Followers),
		Following: firstOf("following", followingTable, db.Following),
		Posts:     firstOf("posts", postsTable, db.ByAuthor),
		Comments:  weighed(firstOf("comments", commentsTable, db.CommentsOn)),
	}
}

// list is one of the store's lists of something, from a key on.
type list[R any] func(ctx context.Context, of, from freshet.ID, limit int) ([]R, error)

func firstOf[R any](name, table string, rows list[R]) cache.Query[freshet.ID, []R] {
	const rowBytes = 16 // two ids
	return cache.Query[freshet.ID, []R]{
		Name:  name,
		Run:   func(ctx context.Context, of freshet.ID) ([]R, error) { return rows(ctx, of, 0, firstRows) },
		Reads: func(of freshet.ID, _ []R) []cache.Dependency { return rowsOf(table, of) },
		Weigh: func(_ freshet.ID, rows []R) int { return rowBytes * len(rows) },
	}
}

// weighed has comments weigh what they are: texts.
func weighed(q cache.Query[freshet.ID, []freshet.Comment]) cache.Query[freshet.ID, []freshet.Comment] {
	const rowBytes = 64
	q.Weigh = func(_ freshet.ID, comments []freshet.Comment) (n int) {
		for _, c := range comments {
			n += rowBytes + len(c.Text)
		}
		return n
	}
	return q
}

// lists are the store's lists whose first rows are cached.
type lists struct {
	followers, following list[freshet.Edge]
	posts                list[freshet.PostRef]
	comments             list[freshet.Comment]
}

func defineLists(stack *cache.Stack, db store.Store) lists {
	q := DeclareQueries(db)
	return lists{
		followers: firstCached(cache.DefineQuery(stack, q.Followers), db.Followers),
		following: firstCached(cache.DefineQuery(stack, q.Following), db.Following),
		posts:     firstCached(cache.DefineQuery(stack, q.Posts), db.ByAuthor),
		comments:  firstCached(cache.DefineQuery(stack, q.Comments), latest(db.CommentsOn)),
	}
}

// latest is a list that a primary is asked for: its rows are shown as they are, and nothing else tells that one was deleted.
func latest[R any](rows list[R]) list[R] {
	return func(ctx context.Context, of, from freshet.ID, limit int) ([]R, error) {
		asker := position.ReadingOf(ctx)
		ctx, reading := position.WithLatest(ctx, asker.Need())
		defer func() { asker.Report(nil, reading.High()) }()
		return rows(ctx, of, from, limit)
	}
}

// firstCached is a list whose first rows come from the cache. Callers must not
// change them.
func firstCached[R any](first *cache.Cache[freshet.ID, []R], rows list[R]) list[R] {
	return func(ctx context.Context, of, from freshet.ID, limit int) ([]R, error) {
		if from != 0 || limit > firstRows {
			return rows(ctx, of, from, limit)
		}
		cached, err := first.Get(ctx, of)
		return cached[:min(limit, len(cached))], err
	}
}
