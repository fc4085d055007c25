package storetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"pgregory.net/rapid"
)

var modelCases = []testCase{{"ItBehavesLikeAFewMaps", testModel}}

// testModel runs random writes against the store and against a model that a
// reader can check by eye, and wants every answer to be equal. A failure
// shrinks to the shortest story. All runs share one store: each has users of its
// own.
func testModel(e *env) {
	rapid.Check(e.T, func(t *rapid.T) {
		m := &model{e: e, t: t, ctx: e.Context(), posts: map[freshet.ID]*modelPost{}, comments: map[freshet.ID]freshet.Comment{}}
		m.private, m.accepted = map[freshet.ID]bool{}, map[[2]freshet.ID]bool{}
		m.let, m.thanked = map[[2]freshet.ID]bool{}, map[[2]freshet.ID]bool{}
		for k := range m.edges {
			m.edges[k] = map[[2]freshet.ID]int{}
		}
		for range 3 {
			m.signUp(t)
		}
		t.Repeat(map[string]func(*rapid.T){
			"":          m.check,
			"sign up":   m.signUp,
			"erase":     m.erase,
			"follow":    m.follow,
			"follow ":   m.follow, // twice as often as others
			"unfollow":  m.off(follow, e.Unfollow),
			"block":     m.block,
			"unblock":   m.off(block, e.Unblock),
			"mute":      m.mute,
			"unmute":    m.off(mute, e.Unmute),
			"privacy":   m.privacy,
			"request":   m.request,
			"withdraw":  m.off(request, e.WithdrawRequest),
			"accept":    m.accept,
			"refuse":    m.refuse,
			"complete":  m.complete,
			"post":      m.post,
			"post ":     m.post,
			"edit":      m.edit,
			"delete":    m.delete,
			"like":      m.like,
			"unlike":    m.unlike,
			"comment":   m.comment,
			"uncomment": m.uncomment,
		})
		for range m.users {
			m.check(t)
		}
	})
}

const (
	follow = iota
	block
	mute
	request
)

type modelPost struct {
	author freshet.ID
	text   string
	likes  map[freshet.ID]bool
}

type model struct {
	e        *env
	t        *rapid.T
	ctx      context.Context
	users    []freshet.ID
	edges    [4]map[[2]freshet.ID]int // (actor, target) → order of making
	private  map[freshet.ID]bool
	accepted map[[2]freshet.ID]bool // requests
	let      map[[2]freshet.ID]bool // follows that were accepted: nobody else is told of them
	thanked  map[[2]freshet.ID]bool // follows whose actor was told that they were accepted
	posts    map[freshet.ID]*modelPost
	comments map[freshet.ID]freshet.Comment
	steps    int
}

func (m *model) ok(err error) {
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) same(what string, got, want any) {
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		m.t.Fatalf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// expect checks whether a write was refused as the model says.
func (m *model) expect(err error, refused freshet.Code) bool {
	if code := freshet.CodeOf(err); code != refused || (err != nil && code == "") {
		m.t.Fatalf("got %v, want the code %q", err, refused)
	}
	return err == nil
}

func (m *model) user(t *rapid.T) freshet.ID {
	return m.users[rapid.IntRange(0, len(m.users)-1).Draw(t, "user")]
}

// somePost draws a post that is there, or one that is not.
func (m *model) somePost(t *rapid.T) (freshet.ID, *modelPost) {
	ids := append(keys(m.posts), 42)
	id := rapid.SampledFrom(ids).Draw(t, "post")
	return id, m.posts[id]
}

func (m *model) blocked(a, b freshet.ID) bool {
	return m.edges[block][[2]freshet.ID{a, b}] > 0 || m.edges[block][[2]freshet.ID{b, a}] > 0
}

func (m *model) add(kind int, a, b freshet.ID) (changed bool) {
	if m.edges[kind][[2]freshet.ID{a, b}] > 0 {
		return false
	}
	m.steps++
	m.edges[kind][[2]freshet.ID{a, b}] = m.steps
	return true
}

func (m *model) remove(kind int, a, b freshet.ID) (changed bool) {
	changed = m.edges[kind][[2]freshet.ID{a, b}] > 0
	delete(m.edges[kind], [2]freshet.ID{a, b})
	switch kind {
	case request:
		delete(m.accepted, [2]freshet.ID{a, b})
	case follow:
		delete(m.let, [2]freshet.ID{a, b})
		delete(m.thanked, [2]freshet.ID{a, b})
	}
	return changed
}

func (m *model) signUp(t *rapid.T) {
	if len(m.users) == 4 {
		t.Skip("enough users")
	}
	u, _, err := m.e.CreateUser(m.ctx, freshet.NewUser{Handle: m.e.handle("m")}, store.Write{})
	m.ok(err)
	m.users = append(m.users, u.ID)
}

func (m *model) erase(t *rapid.T) {
	if len(m.users) < 3 {
		t.Skip("few users")
	}
	u := m.user(t)
	_, _, err := m.e.EraseUser(m.ctx, u, store.Write{})
	m.ok(err)
	m.users = slices.DeleteFunc(m.users, func(x freshet.ID) bool { return x == u })
	for kind := range m.edges {
		for pair := range m.edges[kind] {
			if pair[0] == u || pair[1] == u {
				m.remove(kind, pair[0], pair[1])
			}
		}
	}
	for id, p := range m.posts {
		delete(p.likes, u)
		if p.author == u {
			m.forget(id)
		}
	}
	for id, c := range m.comments {
		if c.Author == u {
			delete(m.comments, id)
		}
	}
}

func (m *model) forget(post freshet.ID) {
	delete(m.posts, post)
	for id, c := range m.comments {
		if c.Post == post {
			delete(m.comments, id)
		}
	}
}

func (m *model) follow(t *rapid.T) {
	a, b := m.user(t), m.user(t)
	changed, _, err := m.e.Follow(m.ctx, a, b, store.Write{})
	switch {
	case a == b:
		m.expect(err, freshet.CodeInvalid)
	case m.blocked(a, b):
		m.expect(err, freshet.CodeNotFound)
	case m.closed(a, b) && m.edges[follow][[2]freshet.ID{a, b}] == 0:
		m.same("refused", err, store.ErrPrivate)
	case m.expect(err, ""):
		added := m.add(follow, a, b)
		if m.same("changed", changed, added); added {
			m.let[[2]freshet.ID{a, b}] = m.accepted[[2]freshet.ID{a, b}]
			m.remove(request, a, b)
		}
	}
}

// closed reports whether b is private and has not accepted a.
func (m *model) closed(a, b freshet.ID) bool {
	return m.private[b] && !m.accepted[[2]freshet.ID{a, b}]
}

func (m *model) privacy(t *rapid.T) {
	u, on := m.user(t), rapid.Bool().Draw(t, "private")
	got, _, err := m.e.UpdateUser(m.ctx, u, freshet.UserPatch{Private: &on}, store.Write{})
	m.ok(err)
	m.private[u] = on
	m.same("private", got.Private, on)
}

func (m *model) request(t *rapid.T) {
	a, b := m.user(t), m.user(t)
	needed, changed, _, err := m.e.RequestFollow(m.ctx, a, b, store.Write{})
	switch {
	case a == b:
		m.expect(err, freshet.CodeInvalid)
	case m.blocked(a, b):
		m.expect(err, freshet.CodeNotFound)
	case m.expect(err, ""):
		if m.same("needed", needed, m.closed(a, b)); needed {
			m.same("changed", changed, m.add(request, a, b))
		}
	}
}

// someRequest draws two users, more often such as have one asked the other.
func (m *model) someRequest(t *rapid.T) (asks, asked freshet.ID, there bool) {
	var pairs [][2]freshet.ID
	for _, a := range m.users {
		for _, b := range m.users {
			if pair := [2]freshet.ID{a, b}; m.edges[request][pair] > 0 {
				pairs = append(pairs, pair)
			}
		}
	}
	pair := [2]freshet.ID{m.user(t), m.user(t)}
	if len(pairs) > 0 && rapid.IntRange(0, 3).Draw(t, "there") > 0 {
		pair = rapid.SampledFrom(pairs).Draw(t, "request")
	}
	if pair[0] == pair[1] {
		t.Skip("oneself")
	}
	return pair[0], pair[1], m.edges[request][pair] > 0
}

func (m *model) accept(t *rapid.T) {
	a, b, there := m.someRequest(t)
	changed, _, err := m.e.AcceptRequest(m.ctx, b, a, store.Write{})
	if !there {
		m.expect(err, freshet.CodeNotFound)
	} else if m.expect(err, "") {
		m.same("changed", changed, !m.accepted[[2]freshet.ID{a, b}])
		m.accepted[[2]freshet.ID{a, b}] = true
	}
}

func (m *model) refuse(t *rapid.T) {
	a, b, there := m.someRequest(t)
	_, err := m.e.RefuseRequest(m.ctx, b, a, store.Write{})
	if !there || m.accepted[[2]freshet.ID{a, b}] {
		m.expect(err, freshet.CodeNotFound)
	} else if m.expect(err, "") {
		m.remove(request, a, b)
	}
}

func (m *model) complete(t *rapid.T) {
	a, b, _ := m.someRequest(t)
	changed, _, err := m.e.CompleteFollow(m.ctx, a, b, store.Write{})
	m.ok(err)
	if m.edges[request][[2]freshet.ID{a, b}] == 0 || m.closed(a, b) {
		m.same("changed", changed, false)
		return
	}
	added := m.add(follow, a, b)
	if m.same("changed", changed, added); added {
		m.let[[2]freshet.ID{a, b}], m.thanked[[2]freshet.ID{a, b}] = m.accepted[[2]freshet.ID{a, b}], true
	}
	m.remove(request, a, b)
}

func (m *model) block(t *rapid.T) {
	a, b := m.user(t), m.user(t)
	if a == b {
		t.Skip("oneself")
	}
	changed, _, err := m.e.Block(m.ctx, a, b, store.Write{})
	m.ok(err)
	m.same("changed", changed, m.add(block, a, b))
	for _, kind := range []int{follow, request} {
		m.remove(kind, a, b)
		m.remove(kind, b, a)
	}
}

func (m *model) mute(t *rapid.T) {
	a, b := m.user(t), m.user(t)
	if a == b {
		t.Skip("oneself")
	}
	changed, _, err := m.e.Mute(m.ctx, a, b, store.Write{})
	m.ok(err)
	m.same("changed", changed, m.add(mute, a, b))
}

func (m *model) off(kind int, write func(context.Context, freshet.ID, freshet.ID, store.Write) (bool, position.Token, error)) func(*rapid.T) {
	return func(t *rapid.T) {
		a, b := m.user(t), m.user(t)
		if a == b {
			t.Skip("oneself")
		}
		changed, _, err := write(m.ctx, a, b, store.Write{})
		m.ok(err)
		m.same("changed", changed, m.remove(kind, a, b))
	}
}

func (m *model) post(t *rapid.T) {
	author := m.user(t)
	text := rapid.StringN(0, 20, -1).Filter(func(s string) bool { return !slices.Contains([]byte(s), 0) }).Draw(t, "text")
	p, _, err := m.e.CreatePost(m.ctx, freshet.NewPost{Author: author, Text: text}, store.Write{})
	m.ok(err)
	m.posts[p.ID] = &modelPost{author, text, map[freshet.ID]bool{}}
}

func (m *model) edit(t *rapid.T) {
	id, p := m.somePost(t)
	author := m.user(t)
	_, _, err := m.e.EditPost(m.ctx, author, id, freshet.PostPatch{Text: ptr("edited")}, store.Write{})
	if p == nil || p.author != author {
		m.expect(err, freshet.CodeNotFound)
	} else if m.expect(err, "") {
		p.text = "edited"
	}
}

func (m *model) delete(t *rapid.T) {
	id, p := m.somePost(t)
	author := m.user(t)
	if p != nil && rapid.Bool().Draw(t, "by its author") {
		author = p.author
	}
	_, err := m.e.DeletePost(m.ctx, author, id, store.Write{})
	if p == nil || p.author != author {
		m.expect(err, freshet.CodeNotFound)
	} else if m.expect(err, "") {
		m.forget(id)
	}
}

func (m *model) like(t *rapid.T) {
	id, p := m.somePost(t)
	actor := m.user(t)
	n, changed, _, err := m.e.Like(m.ctx, actor, id, store.Write{})
	if p == nil || m.blocked(actor, p.author) {
		m.expect(err, freshet.CodeNotFound)
	} else if m.expect(err, "") {
		m.same("changed", changed, !p.likes[actor])
		p.likes[actor] = true
		m.same("count", n, len(p.likes))
	}
}

func (m *model) unlike(t *rapid.T) {
	id, p := m.somePost(t)
	actor := m.user(t)
	n, changed, _, err := m.e.Unlike(m.ctx, actor, id, store.Write{})
	if p == nil {
		m.expect(err, freshet.CodeNotFound)
	} else if m.expect(err, "") {
		m.same("changed", changed, p.likes[actor])
		delete(p.likes, actor)
		m.same("count", n, len(p.likes))
	}
}

func (m *model) comment(t *rapid.T) {
	id, p := m.somePost(t)
	actor := m.user(t)
	c, _, err := m.e.CreateComment(m.ctx, freshet.NewComment{Post: id, Author: actor, Text: "well"}, store.Write{})
	if p == nil || m.blocked(actor, p.author) {
		m.expect(err, freshet.CodeNotFound)
	} else if m.expect(err, "") {
		m.comments[c.ID] = c
	}
}

func (m *model) uncomment(t *rapid.T) {
	id := rapid.SampledFrom(append(keys(m.comments), 42)).Draw(t, "comment")
	actor := m.user(t)
	_, _, err := m.e.DeleteComment(m.ctx, actor, id, store.Write{})
	c, there := m.comments[id]
	if !there || actor != c.Author && actor != m.posts[c.Post].author {
		m.expect(err, freshet.CodeNotFound)
	} else if m.expect(err, "") {
		delete(m.comments, id)
	}
}

func keys[V any](m map[freshet.ID]V) []freshet.ID {
	ids := make([]freshet.ID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
