package storetest

import (
	"errors"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

var writeCases = []testCase{
	{"EffectsCommitWithTheirFact", testEffects},
	{"AClaimStopsTheSecondWrite", testClaims},
	{"AClaimThatMadeNothingStopsNothing", testEmptyClaims},
	{"AnAnswerIsKept", testAnswers},
	{"OldClaimsArePurged", testPurgeClaims},
	{"TokensRise", testTokens},
}

func testEffects(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	if e.effects(); e.options.Effects == nil {
		return
	}
	effect := func(kind string, subject freshet.ID) store.Write {
		return store.Write{Effects: []freshet.Effect{{
			Kind: kind, Key: "k", Args: []byte(kind), Subject: subject, RunAt: instant,
		}}}
	}
	var want []freshet.Effect
	wants := func(kind string, subject freshet.ID) {
		want = append(want, freshet.Effect{Kind: kind, Key: "k", Args: []byte(kind), Subject: subject, RunAt: instant})
	}
	post, _, err := e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "x", Ref: "r"}, effect("post", 0))
	e.ok(err)
	wants("post", post.ID)
	_, _, err = e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "x", Ref: "r"}, effect("post", 0))
	e.code(err, freshet.CodeConflict)
	_, _, err = e.EditPost(ctx, a, post.ID, freshet.PostPatch{Text: ptr("x")}, effect("nothing changed", 0))
	e.ok(err)
	comment, _, err := e.CreateComment(ctx, freshet.NewComment{Post: post.ID, Author: b, Text: "x"}, effect("comment", 0))
	e.ok(err)
	wants("comment", comment.ID)
	for range 2 {
		_, _, _, err = e.Like(ctx, b, post.ID, effect("like", 7))
		e.ok(err)
		_, _, err = e.Follow(ctx, b, a, effect("follow", 8))
		e.ok(err)
	}
	wants("like", 7)
	wants("follow", 8)
	_, _, err = e.UpdateUser(ctx, a, freshet.UserPatch{Name: ptr("new")}, effect("update", a))
	e.ok(err)
	wants("update", a)
	_, _, err = e.UpdateUser(ctx, a, freshet.UserPatch{Name: ptr("new")}, effect("update", a))
	e.ok(err)
	_, _, err = e.DeleteComment(ctx, b, comment.ID, effect("uncomment", comment.ID))
	e.ok(err)
	wants("uncomment", comment.ID)
	_, err = e.DeletePost(ctx, a, post.ID, effect("delete", post.ID))
	e.ok(err)
	wants("delete", post.ID)
	user, _, err := e.CreateUser(ctx, freshet.NewUser{Handle: e.handle("c")}, effect("user", 0))
	e.ok(err)
	wants("user", user.ID)
	session, _, err := e.CreateSession(ctx, freshet.Session{User: a, Hash: hash(1), ExpiresAt: instant}, effect("session", 0))
	e.ok(err)
	wants("session", session.ID)
	_, _, err = e.EraseUser(ctx, b, effect("erase", b))
	e.ok(err)
	wants("erase", b)

	got := e.effects()
	for i := range got {
		got[i].RunAt = got[i].RunAt.UTC()
	}
	e.same("effects", got, want)
}

func claim(n byte) *freshet.Idempotency {
	return &freshet.Idempotency{Key: hash(n), Hash: hash(n, n)}
}

// claimedAs checks what a claim knows.
func (e *env) claimedAs(n byte, subject freshet.ID) {
	e.Helper()
	c, err := e.Claim(e.Context(), hash(n))
	e.ok(err)
	e.same("claim", c, freshet.Claim{Hash: hash(n, n), Subject: subject})
}

func testClaims(e *env) {
	ctx := e.Context()
	a := e.user("a")
	handle := e.handle("made")
	post := e.post(a, "x")
	writes := []func(w store.Write) (freshet.ID, error){
		func(w store.Write) (freshet.ID, error) {
			p, _, err := e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "x"}, w)
			return p.ID, err
		},
		func(w store.Write) (freshet.ID, error) {
			c, _, err := e.CreateComment(ctx, freshet.NewComment{Post: post, Author: a, Text: "x"}, w)
			return c.ID, err
		},
		func(w store.Write) (freshet.ID, error) {
			u, _, err := e.CreateUser(ctx, freshet.NewUser{Handle: handle}, w)
			return u.ID, err
		},
		func(w store.Write) (freshet.ID, error) {
			s, _, err := e.CreateSession(ctx, freshet.Session{User: a, Hash: hash(77), ExpiresAt: instant}, w)
			return s.ID, err
		},
		func(w store.Write) (freshet.ID, error) {
			u, _, _, err := e.UpsertUser(ctx, freshet.NewUser{Ref: handle}, w)
			return u.ID, err
		},
	}
	for i, write := range writes {
		w := store.Write{Idempotency: claim(byte(i)), Effects: []freshet.Effect{{Kind: "made"}}}
		_, err := e.Claim(ctx, w.Idempotency.Key)
		e.code(err, freshet.CodeNotFound)
		id, err := write(w)
		e.ok(err)
		for range 2 {
			if _, err := write(w); !errors.Is(err, store.ErrClaimed) {
				e.Fatalf("write %d: got %v, want ErrClaimed", i, err)
			}
		}
		e.claimedAs(byte(i), id)
	}
	e.counted(a, 0, 0, 2)
	e.counts(post, 0, 1)
	if effects := e.effects(); effects != nil {
		e.same("effects", len(effects), len(writes))
	}
	_, _, err := e.CreatePost(ctx, freshet.NewPost{Author: 42, Text: "x"}, store.Write{Idempotency: claim(99)})
	e.code(err, freshet.CodeNotFound)
	_, err = e.Claim(ctx, hash(99))
	e.code(err, freshet.CodeNotFound)
}

func testEmptyClaims(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	w := store.Write{Idempotency: claim(1)}
	for i := range 2 {
		changed, _, err := e.Follow(ctx, a, b, w)
		e.ok(err)
		e.same("changed", changed, i == 0)
		e.claimedAs(1, 0)
	}
	// The same claim with a write that makes something is claimed from then on.
	_, _, err := e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "x"}, w)
	e.ok(err)
	_, _, err = e.Unfollow(ctx, a, b, w)
	if !errors.Is(err, store.ErrClaimed) {
		e.Fatalf("got %v, want ErrClaimed", err)
	}
	e.counted(a, 0, 1, 1)
}

func testAnswers(e *env) {
	ctx := e.Context()
	a := e.user("a")
	p, _, err := e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "x"}, store.Write{Idempotency: claim(1)})
	e.ok(err)
	e.ok(e.SaveAnswer(ctx, *claim(1), 201, []byte("made")))
	e.ok(e.SaveAnswer(ctx, *claim(2), 404, nil))
	for n, want := range map[byte]freshet.Claim{
		1: {Hash: hash(1, 1), Subject: p.ID, Status: 201, Answer: []byte("made")},
		2: {Hash: hash(2, 2), Status: 404},
	} {
		c, err := e.Claim(ctx, hash(n))
		e.ok(err)
		e.same("claim", c, want)
	}
}

func testPurgeClaims(e *env) {
	ctx := e.Context()
	for n := range byte(3) {
		e.ok(e.SaveAnswer(ctx, *claim(n), 200, []byte("x")))
	}
	n, err := e.PurgeClaims(ctx, time.Now().Add(-time.Hour))
	e.ok(err)
	e.same("purged of an hour ago", n, 0)
	n, err = e.PurgeClaims(ctx, time.Now().Add(time.Hour))
	e.ok(err)
	e.same("purged", n, 3)
	_, err = e.Claim(ctx, hash(1))
	e.code(err, freshet.CodeNotFound)
}

// testTokens: in every system, a later write of one caller stands no earlier.
func testTokens(e *env) {
	ctx := e.Context()
	a, b := e.user("a"), e.user("b")
	var seen position.Token
	note := func(at position.Token, moved bool, err error) {
		e.Helper()
		e.ok(err)
		if len(at) == 0 {
			e.Fatal("no token")
		}
		rose := false
		for _, p := range at {
			before := seen.At(p.System)
			order, _ := p.Compare(before)
			if !before.IsZero() && order < 0 {
				e.Fatalf("token %v after %v", at, seen)
			}
			rose = rose || order > 0 || before.IsZero()
		}
		if moved && !rose {
			e.Fatalf("token %v of a write that changed something, after %v", at, seen)
		}
		seen = seen.Merge(at)
	}
	for range size(20, 5) {
		post, at, err := e.CreatePost(ctx, freshet.NewPost{Author: a, Text: "x"}, store.Write{})
		note(at, true, err)
		_, _, at, err = e.Like(ctx, b, post.ID, store.Write{})
		note(at, true, err)
		_, _, at, err = e.Like(ctx, b, post.ID, store.Write{})
		note(at, false, err)
		_, at, err = e.Follow(ctx, a, b, store.Write{})
		note(at, true, err)
		_, at, err = e.Unfollow(ctx, a, b, store.Write{})
		note(at, true, err)
		at, err = e.DeletePost(ctx, a, post.ID, store.Write{})
		note(at, true, err)
	}
}
