package app

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/social"
	"github.com/freshet/freshet/store"
)

// The oracle of statistics keeps every view, like and comment as a fact of its
// own and counts them when asked. The clock runs by hand, through many hours.

func TestStatsEqualTheOracle(t *testing.T) {
	for seed := range uint64(testenv.Size(1, 3, 200)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			o := newStatsOracle(t, seed)
			defer func() {
				if err := o.node.Close(); err != nil {
					t.Error(err)
				}
			}()
			for range testenv.Size(300, 500, 1000) {
				if err := o.step(); err != nil {
					t.Fatal(err)
				}
			}
			o.check()
			if _, found, err := o.node.store.Verify(t.Context(), 0, false); err != nil || len(found) > 0 {
				t.Errorf("the data: %v, %v", found, err)
			}
		})
	}
}

// fact is one view, like or comment.
type fact struct {
	post, user, comment freshet.ID // user 0: nobody; comment: the id of one
	hour                freshet.Hour
}

type statsOracle struct {
	*testing.T
	rand *rand.Rand
	cfg  *config.Config
	node *Node
	now  *atomic.Int64 // nanoseconds

	posts                  map[freshet.ID]freshet.ID // their author
	users                  []freshet.ID
	views, likes, comments []fact
}

func newStatsOracle(t *testing.T, seed uint64) *statsOracle {
	o := &statsOracle{
		T: t, rand: rand.New(rand.NewPCG(seed, 0)), cfg: config.Default(), now: new(atomic.Int64), posts: map[freshet.ID]freshet.ID{},
	}
	o.cfg.Data = t.TempDir()
	o.now.Store(time.Date(2026, 11, 23, 7, 30, 0, 0, time.UTC).UnixNano())
	o.open()
	for i := range 6 {
		u, _, err := o.node.social.SignUp(t.Context(), freshet.NewUser{Handle: fmt.Sprint("u", i)}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		o.users = append(o.users, u.ID)
	}
	return o
}

func (o *statsOracle) open() {
	n, err := Open(context.Background(), o.cfg, Options{Now: func() time.Time { return time.Unix(0, o.now.Load()) }})
	if err != nil {
		o.Fatal(err)
	}
	o.node = n
}

func (o *statsOracle) user() freshet.ID { return o.users[o.rand.IntN(len(o.users))] }

// post draws a post; false if there is none.
func (o *statsOracle) post() (freshet.ID, bool) {
	all := slices.Sorted(maps.Keys(o.posts))
	if len(all) == 0 {
		return 0, false
	}
	return all[o.rand.IntN(len(all))], true
}

func (o *statsOracle) hour() freshet.Hour { return freshet.HourOf(time.Unix(0, o.now.Load())) }

func (o *statsOracle) step() error {
	ctx, s := o.Context(), o.node.social
	post, there := o.post()
	switch op := o.rand.IntN(100); {
	case op < 6 || !there:
		author := o.user()
		p, _, err := s.Post(ctx, freshet.NewPost{Author: author, Text: "x"}, store.Write{})
		if err == nil {
			o.posts[p.ID] = author
		}
		return err
	case op < 20:
		o.now.Add(o.rand.Int64N(int64(50 * time.Minute)))
	case op < 50:
		return o.view(post)
	case op < 65:
		return o.like(post)
	case op < 75:
		return o.unlike(post)
	case op < 85:
		user := o.user()
		c, _, err := s.Comment(ctx, freshet.NewComment{Post: post, Author: user, Text: "x"}, store.Write{})
		if err == nil {
			o.comments = append(o.comments, fact{post, user, c.ID, o.hour()})
		}
		return err
	case op < 90:
		return o.uncomment()
	case op < 92:
		author := o.posts[post]
		o.forget(func(f fact) bool { return f.post == post })
		delete(o.posts, post)
		_, err := s.Delete(ctx, author, post, store.Write{})
		return err
	case op < 93:
		return o.erase()
	case op < 95:
		if err := o.node.Close(); err != nil {
			return err
		}
		o.open()
	default:
		o.check()
	}
	return nil
}

// view shows a post to a user or to nobody, alone or in a list.
func (o *statsOracle) view(post freshet.ID) error {
	reader, ctx, s := freshet.ID(0), o.Context(), o.node.social
	if o.rand.IntN(3) > 0 {
		reader = o.user()
	}
	var page social.Page
	if o.rand.IntN(2) > 0 {
		if err := s.ByAuthor(ctx, reader, o.posts[post], 0, 1+o.rand.IntN(5), &page); err != nil {
			return err
		}
	} else {
		p, err := s.PostByID(ctx, reader, post)
		if err != nil {
			return err
		}
		page.Posts = append(page.Posts, *p)
	}
	s.Saw(reader, page.Posts...)
	for _, p := range page.Posts {
		if p.Author.ID != reader {
			o.views = append(o.views, fact{post: p.ID, user: reader, hour: o.hour()})
		}
	}
	return nil
}

func (o *statsOracle) like(post freshet.ID) error {
	user := o.user()
	_, _, err := o.node.social.Like(o.Context(), user, post, store.Write{})
	if !slices.ContainsFunc(o.likes, func(f fact) bool { return f.post == post && f.user == user }) {
		o.likes = append(o.likes, fact{post: post, user: user, hour: o.hour()})
	}
	return err
}

func (o *statsOracle) unlike(post freshet.ID) error {
	user := o.user()
	_, _, err := o.node.social.Unlike(o.Context(), user, post, store.Write{})
	o.likes = slices.DeleteFunc(o.likes, func(f fact) bool { return f.post == post && f.user == user })
	return err
}

func (o *statsOracle) uncomment() error {
	if len(o.comments) == 0 {
		return nil
	}
	i := o.rand.IntN(len(o.comments))
	_, err := o.node.social.Uncomment(o.Context(), o.comments[i].user, o.comments[i].comment, store.Write{})
	o.comments = slices.Delete(o.comments, i, i+1)
	return err
}

// erase ends a user with all that the user did, but for views, which name nobody.
func (o *statsOracle) erase() error {
	if len(o.users) < 3 {
		return nil
	}
	i := o.rand.IntN(len(o.users))
	user := o.users[i]
	o.users = slices.Delete(o.users, i, i+1)
	o.forget(func(f fact) bool { return o.posts[f.post] == user })
	maps.DeleteFunc(o.posts, func(_, author freshet.ID) bool { return author == user })
	own := func(f fact) bool { return f.user == user }
	o.likes, o.comments = slices.DeleteFunc(o.likes, own), slices.DeleteFunc(o.comments, own)
	_, _, err := o.node.social.Erase(o.Context(), user, store.Write{})
	return err
}

func (o *statsOracle) forget(gone func(fact) bool) {
	o.views, o.likes, o.comments = slices.DeleteFunc(o.views, gone), slices.DeleteFunc(o.likes, gone), slices.DeleteFunc(o.comments, gone)
}

// check compares every post with the facts.
func (o *statsOracle) check() {
	o.Helper()
	hours := 1 + o.rand.IntN(social.MaxStatsHours)
	for post := range o.posts {
		want := freshet.PostStats{Post: post}
		first := o.hour() - freshet.Hour(hours-1)
		for i := range hours {
			want.Hours = append(want.Hours, freshet.HourStats{Hour: first + freshet.Hour(i)})
		}
		readers := map[freshet.ID]bool{}
		count := func(facts []fact, total *int64, of func(*freshet.HourStats) *int64) {
			for _, f := range facts {
				if f.post != post {
					continue
				}
				*total++
				if f.hour >= first {
					*of(&want.Hours[f.hour-first])++
				}
			}
		}
		count(o.views, &want.Views, func(h *freshet.HourStats) *int64 { return &h.Views })
		count(o.likes, &want.Likes, func(h *freshet.HourStats) *int64 { return &h.Likes })
		count(o.comments, &want.Comments, func(h *freshet.HourStats) *int64 { return &h.Comments })
		for _, f := range o.views {
			if f.post == post && f.user != 0 {
				readers[f.user] = true
			}
		}
		want.Reach = int64(len(readers))
		got, err := o.node.social.Stats(o.Context(), 0, post, hours)
		if err != nil {
			o.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			o.Fatalf("post %s (-facts +stats):\n%s", post, diff)
		}
	}
}
