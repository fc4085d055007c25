// Package social holds the use cases of an activity feed: users, follows,
// posts, likes, comments and the home feed, over a store, a feed engine and a
// cache.
//
//	svc, err := social.New(social.Options{Store: db, Stack: stack, Engine: newEngine, Views: views})
//	post, at, err := svc.Post(ctx, freshet.NewPost{Author: me, Text: "hello"}, store.Write{})
//	var page social.Page
//	err = svc.Home(ctx, me, 0, 50, &page)
//
// # The order of a write
//
//	check ─▶ store: fact + counters + effects commit ─▶ fence: RefsOf(change) ─▶ acknowledge
//
// A read that begins after the acknowledgement therefore sees the write in every
// cache and in the feed. [RefsOf] alone says what a change touches; the write
// path and the change feed both ask it, and fencing twice is harmless. What
// takes something away (a deletion, an erasure, a block, going private) is acknowledged when
// every node has confirmed the fence; where that takes too long the use case
// fails with [cache.ErrUnconfirmed], though it is done, and [Service.Confirm]
// asks again.
//
// Invariants: what is deleted, or blocked in either direction, is
// [freshet.ErrNotFound] for whoever asks, and so are the posts of a private user
// for whoever does not follow it; values returned are shared and not
// changed; every method is safe for concurrent use.
//
// It is not a translation: nothing here knows of HTTP or JSON, and who may ask
// is settled before it is called.
package social

import (
	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/store"
)

// Limits bounds what people write. Zero fields take their defaults.
type Limits struct {
	Text    int // characters of a post; default 5,000
	Data    int // bytes of a post's JSON; default 8 KiB
	Comment int // characters of a comment; default 2,000
	Name    int // characters of a name; default 100
	Bio     int // characters of a bio; default 500
	Follows int // users that one user may follow; default 100,000
}

func (l Limits) withDefaults() Limits {
	def := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	def(&l.Text, 5000)
	def(&l.Data, 8<<10)
	def(&l.Comment, 2000)
	def(&l.Name, 100)
	def(&l.Bio, 500)
	def(&l.Follows, 100_000)
	return l
}

// Options says what a [Service] works with.
type Options struct {
	Store  store.Store
	Stack  *cache.Stack
	Engine func(feed.Source, feed.Graph) (feed.Engine, error) // called once
	Mode   feed.Mode                                          // Pull: posts bear no fan-out effect
	Views  *Views                                             // counts what is shown; the caller closes it
	Limits Limits
}

// Write is what commits together with a use case: see [store.Write].
type Write = store.Write

// Service carries out the use cases.
type Service struct {
	store  store.Store
	stack  *cache.Stack
	feed   feed.Engine
	mode   feed.Mode
	views  *Views
	limits Limits
	spaces spaces
	lists  lists
}

// New makes a service and the engine that serves its feed.
func New(o Options) (*Service, error) {
	s := &Service{store: o.Store, stack: o.Stack, mode: o.Mode, views: o.Views, limits: o.Limits.withDefaults()}
	s.spaces, s.lists = defineSpaces(o.Stack, o.Store), defineLists(o.Stack, o.Store)
	var err error
	s.feed, err = o.Engine(source{o.Store, s.spaces.posts}, graph{s})
	return s, err
}

// Feed is the engine behind Home.
func (s *Service) Feed() feed.Engine { return s.feed }

// Limits gives the limits in force.
func (s *Service) Limits() Limits { return s.limits }

var errSelf = freshet.Invalid("id", "is yourself")
