package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

var changeCases = []testCase{
	{"EachWriteIsInTheChangeFeed", testChanges},
	{"ConfirmedChangesAreNotSeenAgain", testConfirm},
	{"TheChangesOfOneCommitStayTogether", testChangesTogether},
	{"AWaitForChangesEndsWithItsContext", testChangesWait},
	{"TheHeadOfTheFeedReachesEachToken", testFeedHead},
}

// consumer reads the change feed as one consumer.
type consumer struct {
	e    *env
	feed store.ChangeFeed
	name string
	at   position.Position
}

// subscribe makes a consumer that hears of every later write: it is known to
// the store once it has heard of one. nil: the store has no change feed.
func (e *env) subscribe(name string) *consumer {
	if _, ok := e.Store.(store.ChangeFeed); !ok {
		e.lacks("change feed (no store.ChangeFeed)")
		return nil
	}
	return e.subscribeBy(name, e.user("marker"))
}

// subscribeBy is subscribe with an author of its own.
func (e *env) subscribeBy(name string, author freshet.ID) *consumer {
	c := &consumer{e: e, feed: e.Store.(store.ChangeFeed), name: name}
	heard := make(chan []store.Change, 1)
	go func() {
		changes, err := c.feed.Changes(e.Context(), name, position.Position{}, 100)
		if err != nil {
			e.Error(err)
		}
		heard <- changes
	}()
	for {
		e.post(author, "marker")
		select {
		case changes := <-heard:
			c.confirm(changes)
			e.mark(c, author)
			return c
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// mark reads up to a new post, so that everything before it was heard.
func (e *env) mark(c *consumer, author freshet.ID) (heard []store.Change) {
	e.Helper()
	last := e.post(author, "last")
	for {
		changes := c.next(100)
		heard = append(heard, changes...)
		c.confirm(changes)
		for _, ch := range changes {
			if ch.Kind == store.PostCreated && ch.Subject == last {
				return heard
			}
		}
	}
}

func (c *consumer) next(limit int) []store.Change {
	c.e.Helper()
	ctx, cancel := context.WithTimeout(c.e.Context(), 30*time.Second)
	defer cancel()
	changes, err := c.feed.Changes(ctx, c.name, c.at, limit)
	c.e.ok(err)
	if len(changes) == 0 {
		c.e.Fatal("Changes returned none and no error")
	}
	for i := 1; i < len(changes); i++ {
		if order, ok := changes[i-1].At.Compare(changes[i].At); ok && order > 0 {
			c.e.Fatalf("positions fall: %+v", changes)
		}
	}
	c.at = changes[len(changes)-1].At
	return changes
}

func (c *consumer) confirm(changes []store.Change) {
	c.e.Helper()
	if len(changes) == 0 {
		c.e.Fatal("nothing to confirm")
	}
	c.e.ok(c.feed.Confirm(c.e.Context(), c.name, changes[len(changes)-1].At))
}

func testChanges(e *env) {
	ctx := e.Context()
	c := e.subscribe("cache")
	if c == nil {
		return
	}
	marker, other := e.user("marker"), e.user("b")
	u, _, err := e.CreateUser(ctx, freshet.NewUser{Handle: e.handle("a")}, store.Write{})
	e.ok(err)
	a := u.ID
	want := []store.Change{{Kind: store.UserChanged, Subject: a}}
	wants := func(kind store.ChangeKind, subject, object freshet.ID) {
		want = append(want, store.Change{Kind: kind, Subject: subject, Object: object})
	}
	for range 2 { // what changes nothing is not in the feed
		_, _, err = e.UpdateUser(ctx, a, freshet.UserPatch{Name: ptr("x")}, store.Write{})
		e.ok(err)
	}
	wants(store.UserChanged, a, 0)
	post := e.post(a, "x")
	wants(store.PostCreated, post, a)
	_, _, err = e.EditPost(ctx, a, post, freshet.PostPatch{Text: ptr("y")}, store.Write{})
	e.ok(err)
	wants(store.PostEdited, post, a)
	for range 2 {
		_, _, _, err = e.Like(ctx, a, post, store.Write{})
		e.ok(err)
	}
	wants(store.LikeChanged, post, a)
	_, _, _, err = e.Unlike(ctx, a, post, store.Write{})
	e.ok(err)
	wants(store.LikeChanged, post, a)
	comment := e.comment(post, a, "x")
	wants(store.CommentChanged, post, comment)
	_, _, err = e.DeleteComment(ctx, a, comment, store.Write{})
	e.ok(err)
	wants(store.CommentChanged, post, comment)
	for _, x := range e.edgeWrites() {
		kind := map[string]store.ChangeKind{"follow": store.FollowChanged, "block": store.BlockChanged, "mute": store.MuteChanged}[x.name]
		for range 2 {
			_, _, err := x.on(ctx, a, other, store.Write{})
			e.ok(err)
		}
		wants(kind, a, other)
		_, _, err := x.off(ctx, a, other, store.Write{})
		e.ok(err)
		wants(kind, a, other)
	}
	s := e.session(a, 1)
	_, _, err = e.EndSession(ctx, a, s.ID, store.Write{})
	e.ok(err)
	wants(store.SessionEnded, s.ID, a)
	s = e.session(a, 2)
	_, err = e.SetPassword(ctx, a, "x", false)
	e.ok(err)
	wants(store.SessionEnded, s.ID, a)
	_, err = e.DeletePost(ctx, a, post, store.Write{})
	e.ok(err)
	wants(store.PostDeleted, post, a)

	// In their order, each once, though other rows may stand between.
	heard := e.mark(c, marker)
	for _, ch := range heard {
		ch.At, ch.Also = position.Position{}, nil
		if len(want) > 0 && ch.Kind == want[0].Kind && ch.Subject == want[0].Subject && ch.Object == want[0].Object {
			want = want[1:]
		}
	}
	if len(want) > 0 {
		e.Fatalf("%d changes were not heard in their order, the first: %+v\nheard: %+v", len(want), want[0], heard)
	}

	k, err := e.CreateKey(ctx, freshet.APIKey{Name: e.handle("key"), Hash: hash(5)})
	e.ok(err)
	_, err = e.RevokeKey(ctx, k.Name, instant)
	e.ok(err)
	post = e.post(other, "x")
	_, _, err = e.EraseUser(ctx, other, store.Write{})
	e.ok(err)
	// These may belong to other shards: no order is wanted.
	missing := map[store.ChangeKind]freshet.ID{store.KeyRevoked: k.ID, store.PostDeleted: post, store.UserErased: other}
	for _, ch := range e.mark(c, marker) {
		if missing[ch.Kind] == ch.Subject {
			delete(missing, ch.Kind)
		}
	}
	e.same("changes not heard", len(missing), 0)
}

func testConfirm(e *env) {
	c := e.subscribe("one")
	if c == nil {
		return
	}
	slow := e.subscribe("two")
	a := e.user("a")
	post := e.post(a, "x")
	has := func(changes []store.Change) bool {
		for _, ch := range changes {
			if ch.Subject == post && ch.Kind == store.PostCreated {
				return true
			}
		}
		return false
	}
	var first []store.Change
	for !has(first) {
		first = append(first, c.next(1)...)
	}
	// A consumer that starts again without having confirmed hears it again.
	c.at = position.Position{}
	var again []store.Change
	for !has(again) {
		again = append(again, c.next(1)...)
	}
	c.confirm(again)
	c.at = position.Position{}
	heard := e.mark(c, a)
	if has(heard) {
		e.Fatal("a confirmed change was heard again")
	}
	if !has(e.mark(slow, a)) {
		e.Fatal("a change was removed before every consumer had confirmed it")
	}
}

func testChangesTogether(e *env) {
	ctx := e.Context()
	c := e.subscribe("cache")
	if c == nil {
		return
	}
	a := e.user("a")
	for range 5 {
		e.post(a, "x")
	}
	_, _, err := e.EraseUser(ctx, a, store.Write{})
	e.ok(err)
	var last position.Position
	for erased := false; !erased; {
		changes := c.next(1)
		if order, ok := last.Compare(changes[0].At); ok && order >= 0 {
			e.Fatalf("the changes at %+v were split", last)
		}
		last = changes[len(changes)-1].At
		for _, ch := range changes {
			erased = erased || ch.Kind == store.UserErased && ch.Subject == a
		}
	}
}

func testChangesWait(e *env) {
	c := e.subscribe("cache")
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(e.Context(), 20*time.Millisecond)
	defer cancel()
	changes, err := c.feed.Changes(ctx, c.name, c.at, 10)
	if len(changes) > 0 || err != nil {
		e.Fatalf("got %v and %v at the end of the wait, want none and no error", changes, err)
	}
	ended, end := context.WithCancel(e.Context())
	end()
	if _, err := c.feed.Changes(ended, c.name, c.at, 10); !errors.Is(err, context.Canceled) {
		e.Fatalf("got %v, want the end of the context", err)
	}
}

func testFeedHead(e *env) {
	c := e.subscribe("cache")
	if c == nil {
		return
	}
	a := e.user("a")
	for range 5 {
		_, token, err := e.CreatePost(e.Context(), freshet.NewPost{Author: a, Text: "x"}, store.Write{})
		e.ok(err)
		head, err := c.feed.FeedHead(e.Context())
		e.ok(err)
		if want := token.At(head.System); !want.IsZero() && !head.Reached(want) {
			e.Fatalf("the head %+v is below the token %+v of a write before", head, want)
		}
		for _, ch := range c.next(100) { // fewer: all up to the head
			if order, ok := ch.At.Compare(token.At(ch.At.System)); ok && order > 0 {
				e.Fatalf("the change at %+v is above the token %+v of its write", ch.At, token)
			}
		}
	}
	head, err := c.feed.FeedHead(e.Context())
	e.ok(err)
	ctx, cancel := context.WithTimeout(e.Context(), 100*time.Millisecond)
	defer cancel()
	if changes, err := c.feed.Changes(ctx, c.name, c.at, 100); len(changes) > 0 || err != nil || head.IsZero() {
		e.Fatalf("up to the head %+v there are %v, %v, want none", head, changes, err)
	}
}
