package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var noteCases = []moveCase{
	{name: "EveryKindOfWriteIsNoted", test: testWritesNoted},
	{name: "WhatChangesNothingIsNotNoted", test: testNothingNoted},
	{name: "NotesAreForgottenOneByOne", test: testForgetNotes},
	{name: "ARowTakesThePlaceOfOneThatWasLikeIt", test: testRowInPlace},
}

// write is a change of what goes.
type write struct {
	name string
	op   func(p store.Part) error
}

// writes are of what lies in the buckets that go: who has not got these refuses them.
func (s *scene) writes() []write {
	ctx, w := s.ctx, store.Write{}
	claim, told := s.draw(0), s.follows(s.t, s.b)
	s.claims(store.NameClaim{ID: s.drawn, User: s.drawn, Handle: s.handle + "2"})
	return []write{
		{"update", func(p store.Part) error { return third(p.UpdateUser(ctx, s.a, freshet.UserPatch{Name: ptr("new")}, w)) }},
		{"password", func(p store.Part) error { return second(p.SetPassword(ctx, s.b, "$new", true)) }},
		{"follow", func(p store.Part) error { return third(p.Follow(ctx, s.a, s.u, w)) }},
		{"unfollow", func(p store.Part) error { return third(p.Unfollow(ctx, s.a, s.s, w)) }},
		{"block", func(p store.Part) error { return third(p.Block(ctx, s.a, s.t, w)) }},
		{"unblock", func(p store.Part) error { return third(p.Unblock(ctx, s.b, s.u, w)) }},
		{"mute", func(p store.Part) error { return third(p.Mute(ctx, s.b, s.a, w)) }},
		{"unmute", func(p store.Part) error { return third(p.Unmute(ctx, s.a, s.s, w)) }},
		{"post", func(p store.Part) error {
			return third(p.CreatePost(ctx, freshet.NewPost{Author: s.a, Text: "x", Ref: "new"}, store.Write{Idempotency: s.key()}))
		}},
		{"edit", func(p store.Part) error {
			return third(p.EditPost(ctx, s.a, s.post, freshet.PostPatch{Text: ptr("y"), Data: ptr([]byte("{}"))}, w))
		}},
		{"like", func(p store.Part) error { return fourth(p.Like(ctx, s.a, s.second, w)) }},
		{"unlike", func(p store.Part) error { return fourth(p.Unlike(ctx, s.s, s.post, w)) }},
		{"comment", func(p store.Part) error {
			return third(p.CreateComment(ctx, freshet.NewComment{Post: s.post, Author: s.s, Text: "x"}, w))
		}},
		{"uncomment", func(p store.Part) error { return third(p.DeleteComment(ctx, s.s, s.said, w)) }},
		{"views", func(p store.Part) error { return p.CountViews(ctx, s.seen(s.post)) }},
		{"session", func(p store.Part) error {
			return third(p.CreateSession(ctx, freshet.Session{User: s.b, Hash: s.unique(), ExpiresAt: instant}, w))
		}},
		{"touch", func(p store.Part) error {
			return p.TouchSession(ctx, s.session.ID, instant.Add(time.Minute), instant.Add(time.Hour))
		}},
		{"end session", func(p store.Part) error { return third(p.EndSession(ctx, s.a, s.other.ID, w)) }},
		{"answer", func(p store.Part) error { return p.SaveAnswer(ctx, s.claim, 202, []byte("another")) }},
		{"mirror", func(p store.Part) error {
			return third(p.Apply(ctx, told))
		}},
		{"sign up", func(p store.Part) error {
			return third(p.CreateNamed(ctx, s.drawn, freshet.NewUser{Handle: s.handle + "2"}, w)) // stays pending
		}},
		{"rename", func(p store.Part) error {
			return third(p.UpdateNamed(ctx, s.a, freshet.UserPatch{Handle: ptr(s.handle)}, claim, w))
		}},
		{"end claim", func(p store.Part) error { return third(p.EndClaim(ctx, s.ended, s.ended)) }},
		{"delete", func(p store.Part) error { return second(p.DeletePost(ctx, s.a, s.third, w)) }},
		{"erase", func(p store.Part) error { return third(p.EraseUser(ctx, s.b, w)) }},
	}
}

// follows makes a user of the target follow one, and gives what the source is to be told.
func (s *scene) follows(actor, target freshet.ID) (told []store.Mirror) {
	s.Helper()
	s.at[1].follow(actor, target)
	for _, m := range s.parts.pending(1) {
		if m.Actor == actor && m.Target == target {
			told = append(told, m)
		}
	}
	return told
}

// besides are writes of the source that change what goes although they are of something else; the last two undo the first two.
func (s *scene) besides() []write {
	ctx, w := s.ctx, store.Write{}
	return []write{
		{"unfollowed", func(p store.Part) error { return third(p.Unfollow(ctx, s.s, s.a, w)) }},
		{"blocked", func(p store.Part) error { return third(p.Block(ctx, s.u, s.a, w)) }},
		{"settle", func(p store.Part) error {
			return second(p.Settle(ctx, []store.Settled{{ID: s.pending.ID, Refused: true}}))
		}},
		{"followed", func(p store.Part) error { return third(p.Follow(ctx, s.s, s.a, w)) }},
		{"unblocked", func(p store.Part) error { return third(p.Unblock(ctx, s.u, s.a, w)) }},
	}
}

// purges are writes of all that is old.
func (s *scene) purges() []write {
	return []write{
		{"purge sessions", func(p store.Part) error { return second(p.PurgeSessions(s.ctx, instant.Add(24*time.Hour))) }},
		{"purge hours", func(p store.Part) error { return second(p.PurgeViewHours(s.ctx, hour+1)) }},
		{"purge claims", func(p store.Part) error { return second(p.PurgeClaims(s.ctx, time.Now().Add(time.Hour))) }},
	}
}

func second[A any](_ A, err error) error                 { return err }
func fourth[A, B, C any](_ A, _ B, _ C, err error) error { return err }

func testWritesNoted(x *moves) {
	s := x.scene()
	x.copy()
	step := func(what string, err error) {
		x.Helper()
		if err != nil {
			x.Fatalf("%s: %v", what, err)
		}
		if x.notes(0) == 0 {
			x.Errorf("%s is not noted", what)
		}
		x.drain()
		x.alike()
	}
	all := s.writes()
	last := len(all) - 1
	for _, w := range slices.Concat(all[:last], s.besides(), s.purges()) {
		step(w.name, w.op(x.p[0]))
	}
	if i, ok := x.p[0].(store.Importer); ok {
		_, err := i.ImportPosts(x.ctx, s.imported(2))
		step("import", err)
	}
	_, _, err := x.p[0].EraseUser(x.ctx, s.u, store.Write{})
	step("erase another", err)
	_, _, err = x.p[1].EraseUser(x.ctx, s.v, store.Write{})
	x.ok(err)
	_, _, err = x.p[0].Apply(x.ctx, x.parts.pending(1))
	step("an erasure elsewhere", err)
	step(all[last].name, all[last].op(x.p[0]))
	x.flip()
}

func testNothingNoted(x *moves) {
	s := x.scene()
	x.copy()
	p, w := x.p[0], store.Write{}
	for what, err := range map[string]error{
		"follow":  third(p.Follow(x.ctx, s.a, s.b, w)),
		"like":    fourth(p.Like(x.ctx, s.s, s.post, w)),
		"update":  third(p.UpdateUser(x.ctx, s.a, freshet.UserPatch{Bio: ptr("a's")}, w)),
		"unmute":  third(p.Unmute(x.ctx, s.a, s.b, w)),
		"other":   third(p.CreatePost(x.ctx, freshet.NewPost{Author: s.s, Text: "of s"}, w)),
		"unblock": third(p.Unblock(x.ctx, s.b, s.a, w)),
	} {
		if err != nil {
			x.Fatalf("%s: %v", what, err)
		}
	}
	_, _, err := p.CreatePost(x.ctx, freshet.NewPost{Author: s.a, Text: "x", Ref: "r"}, w)
	x.code(err, freshet.CodeConflict)
	_, _, err = p.CreatePost(x.ctx, freshet.NewPost{Author: s.a, Text: "x"}, store.Write{Idempotency: &s.claim})
	x.same("claimed", errors.Is(err, store.ErrClaimed), true)
	_, _, err = p.Follow(x.ctx, s.u, s.b, w)
	x.code(err, freshet.CodeNotFound)
	x.same("notes", x.notes(0), 0)
	x.alike()
}

func testForgetNotes(x *moves) {
	s := x.scene()
	x.copy()
	x.ok(third(x.p[0].Mute(x.ctx, s.a, s.b, store.Write{})))
	x.ok(third(x.p[0].Mute(x.ctx, s.b, s.s, store.Write{})))
	all, err := x.mover(0).Noted(x.ctx, 0, 100)
	x.ok(err)
	x.same("notes", len(all.Notes), 2)
	first, err := x.mover(0).Noted(x.ctx, 0, 1)
	x.ok(err)
	x.same("the first", first.Notes, all.Notes[:1])
	rest, err := x.mover(0).Noted(x.ctx, all.Notes[0], 100)
	x.ok(err)
	x.same("after the first", rest.Notes, all.Notes[1:])
	x.same("its row", words(store.MutesTable, rest.Changes[0].Rows[0][:2]), fmt.Sprintf("mutes %d %d", s.b, s.s))
	x.ok(x.mover(0).ForgetNotes(x.ctx, x.st.term, first.Notes))
	x.ok(third(x.p[0].Unmute(x.ctx, s.b, s.s, store.Write{})))
	left, err := x.mover(0).Noted(x.ctx, 0, 100)
	x.ok(err)
	x.same("notes", []any{len(left.Notes), left.Notes[0]}, []any{2, all.Notes[1]})
	x.same("changes", []int{len(left.Changes), len(left.Changes[0].Gone), len(left.Changes[0].Rows)}, []int{1, 1, 0})
	x.beginAgain()
	x.same("notes behind a new mover", x.notes(0), 2)
	x.ok(x.mover(1).PutRows(x.ctx, x.st.term, first.Changes))
	x.drain()
	x.alike()
}

func testRowInPlace(x *moves) {
	s := x.scene()
	x.copy()
	for range 2 {
		_, _, err := x.p[0].EndSession(x.ctx, s.a, s.session.ID, store.Write{})
		x.ok(err)
		s.session, _, err = x.p[0].CreateSession(x.ctx, s.session, store.Write{})
		x.ok(err)
		x.ok(third(x.p[0].Unfollow(x.ctx, s.a, s.b, store.Write{})))
		x.at[0].follow(s.a, s.b)
		x.ok(fourth(x.p[0].Unlike(x.ctx, s.s, s.post, store.Write{})))
		x.ok(fourth(x.p[0].Like(x.ctx, s.s, s.post, store.Write{})))
	}
	for x.drainSome(1) > 0 {
	}
	x.alike()
	x.same("session", got(x.p[1].SessionByHash(x.ctx, s.session.Hash))(x.env).ID, s.session.ID)
}
