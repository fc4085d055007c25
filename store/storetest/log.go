package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// Played is a store that a log is played to.
type Played struct {
	Name  string
	Store store.Store
	// Context is what everything that is asked of it bears, made anew for each operation and page. Default: that.
	Context func(context.Context) context.Context
}

// Clock is the time of all the stores that one log is played to; their writes are made at Now. The zero value works.
type Clock struct{ since atomic.Int64 } // its beginning

// Now gives the time.
func (c *Clock) Now() time.Time {
	return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.since.Load()))
}

// PlayLog makes the same random operations on several stores, and wants the same answers of all, word for word: results, refusals,
// times and counters, and now and then, as at the end, all lists and records of a user, page by page.
func PlayLog(t *testing.T, clock *Clock, operations int, stores ...Played) {
	var kinds []int
	for kind, often := range weights {
		for range often {
			kinds = append(kinds, kind)
		}
	}
	sides := make([]*side, len(stores))
	for i, p := range stores {
		sides[i] = newSide(p)
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	pages, refused := 0, 0
	same := func(when string, ask func(*side) string) string {
		t.Helper()
		want := ask(sides[0])
		for _, s := range sides[1:] {
			if got := ask(s); got != want {
				t.Fatalf("seed %d, %s: %s says\n%s\n%s\n%s", seed, when, s.name, got, sides[0].name, want)
			}
		}
		return want
	}
	for n := range operations {
		clock.since.Add(int64(1+random.IntN(5)) * int64(time.Millisecond))
		op := operation{kinds[random.IntN(len(kinds))], random.IntN(1000), random.IntN(1000)}
		switch freshet.Code(same(fmt.Sprintf("operation %d, %+v", n, op), func(s *side) string { return s.play(s.context(t.Context()), n, op) })) {
		case freshet.CodeNotFound, freshet.CodeConflict, freshet.CodeInvalid:
			refused++
		}
		if n%20 == 19 {
			who := random.IntN(1000)
			same(fmt.Sprintf("after operation %d", n), func(s *side) string { return s.page(s.context(t.Context()), who) })
			pages++
		}
	}
	for who := range sides[0].users {
		same("at the end", func(s *side) string { return s.page(s.context(t.Context()), who) })
		pages++
	}
	if refused == 0 || len(sides[0].posts) == 0 || len(sides[0].comments) == 0 {
		t.Errorf("the log is of no use: %d refused, %d posts, %d comments", refused, len(sides[0].posts), len(sides[0].comments))
	}
	t.Logf("one log of %d operations, %d of them refused, on %d stores: every answer equal, and %d times all lists and records of a user", operations, refused, len(sides), pages)
}

// operation is a line of a log; what its numbers name depends on the kind.
type operation struct {
	kind, a, b int
}

// side is a store with what the log has made there. Ids are drawn by the engine, so what it says is said with names: p7 is the
// eighth post that the log made.
type side struct {
	store.Store
	name                   string
	context                func(context.Context) context.Context
	users, posts, comments []freshet.ID
	names                  map[freshet.ID]string
	authors                map[freshet.ID]freshet.ID
}

func newSide(p Played) *side {
	if p.Context == nil {
		p.Context = func(ctx context.Context) context.Context { return ctx }
	}
	return &side{Store: p.Store, name: p.Name, context: p.Context, names: map[freshet.ID]string{}, authors: map[freshet.ID]freshet.ID{}}
}

func (s *side) named(list *[]freshet.ID, id freshet.ID, err error, letter string) {
	if err == nil {
		s.names[id] = fmt.Sprintf("%s%d", letter, len(*list))
		*list = append(*list, id)
	}
}

// at is the n-th of a list, over and over; the zero id of an empty one.
func at(list []freshet.ID, n int) freshet.ID {
	if len(list) == 0 {
		return 0
	}
	return list[n%len(list)]
}

// play makes one operation and says what came of it.
func (s *side) play(ctx context.Context, n int, op operation) string {
	a, b := at(s.users, op.a), at(s.users, op.b)
	post, text := at(s.posts, op.b), fmt.Sprintf("text %d", n)
	author := a
	if op.a%4 > 0 {
		author = s.authors[post]
	}
	var w store.Write
	var did any
	var err error
	switch op.kind {
	case 0:
		var u freshet.User
		u, _, err = s.CreateUser(ctx, freshet.NewUser{Handle: fmt.Sprintf("User%d", op.a%60), Name: text}, w)
		s.named(&s.users, u.ID, err, "u")
		did = []any{u.Handle, u.Name, u.CreatedAt}
	case 1:
		var u freshet.User
		u, _, err = s.UpdateUser(ctx, a, freshet.UserPatch{Name: &text}, w)
		did = u.Name
	case 2:
		did, _, err = s.Follow(ctx, a, b, w)
	case 3:
		did, _, err = s.Unfollow(ctx, a, b, w)
	case 4:
		did, _, err = s.Block(ctx, a, b, w)
	case 5:
		did, _, err = s.Unblock(ctx, a, b, w)
	case 6:
		did, _, err = s.Mute(ctx, a, b, w)
	case 7:
		did, _, err = s.Unmute(ctx, a, b, w)
	case 8:
		var p freshet.Post
		p, _, err = s.CreatePost(ctx, freshet.NewPost{Author: a, Text: text, Ref: []string{"", "", fmt.Sprint(op.b % 9)}[op.b%3]}, w)
		s.named(&s.posts, p.ID, err, "p")
		s.authors[p.ID] = a
		did = []any{p.Ref, p.Text, p.CreatedAt}
	case 9:
		var p freshet.Post
		p, _, err = s.EditPost(ctx, author, post, freshet.PostPatch{Text: &text}, w)
		did = []any{p.Text, p.EditedAt}
	case 10:
		_, err = s.DeletePost(ctx, author, post, w)
	case 11:
		var changed bool
		did, changed, _, err = s.Like(ctx, a, post, w)
		did = []any{did, changed}
	case 12:
		var changed bool
		did, changed, _, err = s.Unlike(ctx, a, post, w)
		did = []any{did, changed}
	case 13:
		var c freshet.Comment
		c, _, err = s.CreateComment(ctx, freshet.NewComment{Post: post, Author: a, Text: text}, w)
		s.named(&s.comments, c.ID, err, "c")
		did = []any{c.Text, c.CreatedAt}
	case 14:
		_, _, err = s.DeleteComment(ctx, a, at(s.comments, op.b), w)
	case 15:
		var e store.Erased
		if op.b%10 > 0 { // seldom
			return "nothing"
		}
		e, _, err = s.EraseUser(ctx, a, w)
		did = []any{len(e.Posts), len(e.Neighbors), len(e.Parents), len(e.Sessions)}
	case 16:
		var u freshet.User
		private := op.b%3 == 0
		u, _, err = s.UpdateUser(ctx, a, freshet.UserPatch{Private: &private}, w)
		did = u.Private
	case 17:
		var needed, changed bool
		needed, changed, _, err = s.RequestFollow(ctx, a, b, w)
		did = []any{needed, changed}
	case 18:
		did, _, err = s.WithdrawRequest(ctx, a, b, w)
	case 19:
		did, _, err = s.AcceptRequest(ctx, a, s.asking(ctx, a, b), w)
	case 20:
		_, err = s.RefuseRequest(ctx, a, s.asking(ctx, a, b), w)
	case 21:
		did, _, err = s.CompleteFollow(ctx, a, b, w)
	}
	return s.said(did, err)
}

// asking is the newest of those who ask a user for a follow, or somebody else.
func (s *side) asking(ctx context.Context, user, other freshet.ID) freshet.ID {
	if edges, err := s.FollowRequests(ctx, user, 0, 1); err == nil && len(edges) > 0 {
		return edges[0].User
	}
	return other
}

// weights is how often each kind comes.
var weights = []int{4, 2, 16, 5, 3, 3, 3, 2, 24, 4, 4, 16, 6, 10, 4, 1, 3, 12, 1, 8, 1, 5}

// said is a result, or its refusal.
func (s *side) said(what any, err error) string {
	if err != nil {
		if freshet.CodeOf(err) == "" {
			return err.Error() // nobody is to be told that: it ends the test, on the other side there is no such text
		}
		return string(freshet.CodeOf(err))
	}
	return fmt.Sprint(what)
}

// page is what a user's lists and records say, each list walked in pages.
func (s *side) page(ctx context.Context, n int) string {
	u := at(s.users, n)
	var out strings.Builder
	list := func(what string, page func(from freshet.ID, limit int) ([]freshet.ID, []freshet.ID, error)) {
		fmt.Fprintf(&out, "%s:", what)
		const limit = 7
		for from := freshet.ID(0); ; {
			ids, keys, err := page(from, limit)
			for _, id := range ids {
				out.WriteString(" " + s.names[id])
			}
			if err != nil || len(ids) < limit {
				fmt.Fprintln(&out, s.said("", err))
				return
			}
			from = keys[limit-1]
		}
	}
	edges := func(read func(context.Context, freshet.ID, freshet.ID, int) ([]freshet.Edge, error)) func(freshet.ID, int) ([]freshet.ID, []freshet.ID, error) {
		return func(from freshet.ID, limit int) (ids, keys []freshet.ID, err error) {
			all, err := read(ctx, u, from, limit)
			for _, e := range all {
				ids, keys = append(ids, e.User), append(keys, e.ID)
			}
			return ids, keys, err
		}
	}
	refs := func(read func(context.Context, freshet.ID, freshet.ID, int) ([]freshet.PostRef, error)) func(freshet.ID, int) ([]freshet.ID, []freshet.ID, error) {
		return func(from freshet.ID, limit int) (ids, _ []freshet.ID, err error) {
			all, err := read(ctx, u, from, limit)
			for _, r := range all {
				ids = append(ids, r.ID)
			}
			return ids, ids, err
		}
	}
	list("home", refs(s.Home))
	list("by author", refs(s.ByAuthor))
	list("liked", func(from freshet.ID, limit int) ([]freshet.ID, []freshet.ID, error) {
		ids, err := s.LikedBy(ctx, u, from, limit)
		return ids, ids, err
	})
	list("followers", edges(s.Followers))
	list("following", edges(s.Following))
	list("blocks", edges(s.Blocks))
	list("mutes", edges(s.Mutes))
	list("requests", edges(s.FollowRequests))
	list("notified by", func(from freshet.ID, limit int) (ids, keys []freshet.ID, err error) {
		all, err := s.Notifications(ctx, u, from, limit)
		for _, n := range all {
			ids, keys = append(ids, n.Actor), append(keys, n.ID)
		}
		return ids, keys, err
	})
	unseen, unseenErr := s.Unseen(ctx, u, 5)
	fmt.Fprintln(&out, "unseen", unseen, s.said("", unseenErr))
	post := at(s.posts, n)
	comments := func(read func(context.Context, freshet.ID, freshet.ID, int) ([]freshet.Comment, error), of freshet.ID) func(freshet.ID, int) ([]freshet.ID, []freshet.ID, error) {
		return func(from freshet.ID, limit int) (ids, _ []freshet.ID, err error) {
			all, err := read(ctx, of, from, limit)
			for _, c := range all {
				ids = append(ids, c.ID)
			}
			return ids, ids, err
		}
	}
	list("comments on", comments(s.CommentsOn, post))
	list("comments by", comments(s.CommentsBy, u))
	users, err := s.Users(ctx, []freshet.ID{u})
	for _, r := range users {
		fmt.Fprintln(&out, r.Handle, r.Name, r.FollowersCount, r.FollowingCount, r.PostsCount, r.CreatedAt, r.Private)
	}
	posts, postsErr := s.Posts(ctx, []freshet.ID{post})
	for _, p := range posts {
		fmt.Fprintln(&out, s.names[p.Author], p.Ref, p.Text, p.CreatedAt, p.EditedAt)
	}
	counts, countsErr := s.Counts(ctx, []freshet.ID{post})
	fmt.Fprintln(&out, counts[post], s.said("", err), s.said("", postsErr), s.said("", countsErr))
	return out.String()
}
