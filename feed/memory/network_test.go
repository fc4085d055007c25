package memory_test

import (
	"context"
	"slices"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/feedtest"
	"github.com/freshet/freshet/feed/memory"
	"github.com/freshet/freshet/position"
)

// network is a model and an engine on it, with hooks where the engine waits for
// its source: what another goroutine could do there is done there, so that each
// race is run the same way every time.
type network struct {
	feedtest.Model
	*memory.Engine
	t *testing.T

	afterHome     func() // runs once, when posts were read and are not yet returned
	afterByAuthor func() // the same of an author's
	homeErr       error
	behind        int // how many of a read's newest posts a replica has not got yet
	relations     func(*freshet.Relations) *freshet.Relations
}

const (
	reader freshet.ID = 1
	alice  freshet.ID = 2
	bob    freshet.ID = 3
	carol  freshet.ID = 4
)

// newNetwork makes one in which reader follows alice and bob, and everybody has
// written two posts that no engine was told of.
func newNetwork(t *testing.T, o memory.Options) *network {
	n := &network{t: t}
	o.Source, o.Graph = n, n
	n.Engine = memory.New(o)
	n.Follow(reader, alice)
	n.Follow(reader, bob)
	for range 2 {
		for _, author := range []freshet.ID{alice, bob, carol} {
			n.Model.Post(author, "of old")
		}
	}
	return n
}

// lagging makes posts what a replica gives, for who may ask one.
func (n *network) lagging(ctx context.Context, refs *[]freshet.PostRef) {
	if !position.ReadingOf(ctx).Latest() {
		*refs = (*refs)[min(n.behind, len(*refs)):]
	}
}

func once(hook *func()) {
	if f := *hook; f != nil {
		*hook = nil
		f()
	}
}

func (n *network) Home(ctx context.Context, reader, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	refs, err := n.Model.Home(ctx, reader, before, limit)
	n.lagging(ctx, &refs)
	once(&n.afterHome)
	if n.homeErr != nil {
		return nil, n.homeErr
	}
	return refs, err
}

func (n *network) ByAuthor(ctx context.Context, author, before freshet.ID, limit int) ([]freshet.PostRef, error) {
	refs, err := n.Model.ByAuthor(ctx, author, before, limit)
	n.lagging(ctx, &refs)
	once(&n.afterByAuthor)
	if n.homeErr != nil {
		return nil, n.homeErr
	}
	return refs, err
}

func (n *network) Relations(ctx context.Context, reader freshet.ID) (*freshet.Relations, error) {
	r, err := n.Model.Relations(ctx, reader)
	if n.relations != nil {
		r = n.relations(r)
	}
	return r, err
}

// Page is the engine's; the model's is what it is compared with.
func (n *network) Page(ctx context.Context, q feed.Query) (feed.Page, error) {
	return n.Engine.Page(ctx, q)
}

// publish commits a post and enters it.
func (n *network) publish(author freshet.ID) freshet.PostRef {
	post := freshet.PostRef{ID: n.Model.Post(author, "new"), Author: author}
	n.Publish(post)
	return post
}

// progress is a job that is never interrupted.
type progress []byte

func (p *progress) Checkpoint() []byte { return *p }

func (p *progress) Save(_ context.Context, checkpoint []byte) error {
	*p = checkpoint
	return nil
}

func (n *network) fanOut(post freshet.PostRef) {
	n.t.Helper()
	if err := n.FanOut(context.Background(), post, new(progress)); err != nil {
		n.t.Fatal(err)
	}
}

// fanOutAfter delivers a post, and does something when its readers are listed
// and chunks of them are done.
func (n *network) fanOutAfter(post freshet.PostRef, chunks int, do func()) {
	n.t.Helper()
	if err := n.FanOut(&asked{Context: context.Background(), left: chunks, do: do}, post, new(progress)); err != nil {
		n.t.Fatal(err)
	}
}

// asked is a context that does something when it is asked whether it has ended:
// a fan-out asks before each chunk. Where do is nil it ends then.
type asked struct {
	context.Context
	left int
	do   func()
}

func (a *asked) Err() error {
	if a.left--; a.left != -1 {
		return a.Context.Err()
	}
	if a.do == nil {
		return context.Canceled
	}
	a.do()
	return a.Context.Err()
}

// publishAll commits, enters and delivers posts.
func (n *network) publishAll(author freshet.ID, count int) (posts []freshet.PostRef) {
	n.t.Helper()
	for range count {
		posts = append(posts, n.publish(author))
		n.fanOut(posts[len(posts)-1])
	}
	return posts
}

func (n *network) delete(post freshet.ID) {
	n.Model.Delete(post)
	n.Remove(post)
}

func (n *network) page(q feed.Query) feed.Page {
	n.t.Helper()
	page, err := n.Page(context.Background(), q)
	if err != nil {
		n.t.Fatal(err)
	}
	return page
}

// check walks a user's feed with small and large pages and compares each with
// the model's.
func (n *network) check(user freshet.ID) {
	n.t.Helper()
	for _, limit := range []int{50, 1, 3} {
		for q := (feed.Query{Reader: user, Limit: limit}); ; {
			got := n.page(q)
			want, _ := n.Model.Page(context.Background(), q)
			if !slices.Equal(got.Refs, want.Refs) || got.Scanned != want.Scanned {
				n.t.Fatalf("user %s reads %d below %s:\n got %v\nwant %v", user, limit, q.Before, got, want)
			}
			if q.Before = got.Scanned; q.Before == 0 {
				break
			}
		}
	}
}

// fromMemory checks a user's feed and that its first page needed no source.
func (n *network) fromMemory(user freshet.ID) {
	n.t.Helper()
	before := n.Stats().Pulled
	n.page(feed.Query{Reader: user, Limit: 3})
	if pulled := n.Stats().Pulled - before; pulled != 0 {
		n.t.Errorf("user %s: the page read the source %d times", user, pulled)
	}
	n.check(user)
}
