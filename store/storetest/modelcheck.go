package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/freshet/freshet"
	"pgregory.net/rapid"
)

// check compares what the store says of one user, in turn, and of every post.
func (m *model) check(t *rapid.T) {
	m.t = t
	m.steps++
	u := m.users[m.steps%len(m.users)]
	const limit = 3
	home := m.walk(func(at freshet.ID) ([]freshet.ID, error) {
		refs, err := m.e.Home(m.ctx, u, at, limit)
		return postIDs(refs), err
	}, limit)
	m.same("home", home, m.wantPosts(func(p *modelPost) bool { return p.author == u || m.edges[follow][[2]freshet.ID{u, p.author}] > 0 }))
	by := m.walk(func(at freshet.ID) ([]freshet.ID, error) {
		refs, err := m.e.ByAuthor(m.ctx, u, at, limit)
		return postIDs(refs), err
	}, limit)
	mine := m.wantPosts(func(p *modelPost) bool { return p.author == u })
	m.same("posts by a user", by, mine)
	liked := m.walk(func(at freshet.ID) ([]freshet.ID, error) { return m.e.LikedBy(m.ctx, u, at, limit) }, limit)
	m.same("liked by a user", liked, m.wantPosts(func(p *modelPost) bool { return p.likes[u] }))

	following, followers := m.wantEdges(follow, u, 0), m.wantEdges(follow, u, 1)
	m.sameEdges("following", m.e.Following, u, following)
	m.sameEdges("followers", m.e.Followers, u, followers)
	m.sameEdges("blocks", m.e.Blocks, u, m.wantEdges(block, u, 0))
	m.sameEdges("mutes", m.e.Mutes, u, m.wantEdges(mute, u, 0))
	asking := slices.DeleteFunc(m.wantEdges(request, u, 1), func(a freshet.ID) bool { return m.accepted[[2]freshet.ID{a, u}] })
	m.sameEdges("requests", m.e.FollowRequests, u, asking)
	users, err := m.e.Users(m.ctx, []freshet.ID{u})
	m.ok(err)
	m.same("a user's counters", []int64{users[0].FollowersCount, users[0].FollowingCount, users[0].PostsCount},
		[]int{len(followers), len(following), len(mine)})

	m.same("private", users[0].Private, m.private[u])
	all, err := m.e.Relations(m.ctx, []freshet.ID{u})
	m.ok(err)
	blocked := ascending(slices.Concat(m.wantEdges(block, u, 0), m.wantEdges(block, u, 1))...)
	blocked = slices.Compact(blocked)
	hidden := slices.Compact(ascending(slices.Concat(blocked, m.wantEdges(mute, u, 0))...))
	m.same("relations", all[u], freshet.Relations{Following: ascending(following...), Hidden: hidden, Blocked: blocked})
	m.checkPosts()
	m.checkTold(u)
}

// checkTold compares what a user was told with the facts.
func (m *model) checkTold(u freshet.ID) {
	want, list := []string{}, []string{}
	say := func(to *[]string, kind freshet.NotificationKind, actor, post, comment freshet.ID) {
		*to = append(*to, fmt.Sprint(kind, " ", actor, " ", post, " ", comment))
	}
	for id, p := range m.posts {
		for actor := range p.likes {
			if p.author == u && actor != u {
				say(&want, freshet.NotifyLike, actor, id, 0)
			}
		}
	}
	for id, c := range m.comments {
		if m.posts[c.Post].author == u && c.Author != u {
			say(&want, freshet.NotifyComment, c.Author, c.Post, id)
		}
	}
	for pair := range m.edges[follow] {
		if pair[1] == u && !m.let[pair] {
			say(&want, freshet.NotifyFollow, pair[0], 0, 0)
		}
		if pair[0] == u && m.thanked[pair] {
			say(&want, freshet.NotifyAccepted, pair[1], 0, 0)
		}
	}
	for pair := range m.edges[request] {
		if pair[1] == u && !m.accepted[pair] {
			say(&want, freshet.NotifyRequest, pair[0], 0, 0)
		}
	}
	all, err := m.e.Notifications(m.ctx, u, 0, 1000)
	m.ok(err)
	for _, n := range all {
		say(&list, n.Kind, n.Actor, n.Post, n.Comment)
	}
	slices.Sort(want)
	slices.Sort(list)
	m.same("told", list, want)
}

func (m *model) checkPosts() {
	ids := keys(m.posts)
	posts, err := m.e.Posts(m.ctx, append(ids, 42))
	m.ok(err)
	m.same("posts that are there", len(posts), len(ids))
	counts, err := m.e.Counts(m.ctx, append(ids, 42))
	m.ok(err)
	m.same("counts that are there", len(counts), len(ids))
	comments := map[freshet.ID]int64{}
	for _, c := range m.comments {
		comments[c.Post]++
	}
	for _, p := range posts {
		want := m.posts[p.ID]
		m.same("a post", []any{p.Author, p.Text}, []any{want.author, want.text})
		m.same("counts of a post", counts[p.ID], freshet.Counts{Likes: int64(len(want.likes)), Comments: comments[p.ID]})
	}
}

func (m *model) wantPosts(of func(*modelPost) bool) []freshet.ID {
	ids := []freshet.ID{}
	for id, p := range m.posts {
		if of(p) {
			ids = append(ids, id)
		}
	}
	return reversed(ascending(ids...))
}

// wantEdges lists the other ends of a user's edges; the user is at the end given.
func (m *model) wantEdges(kind int, u freshet.ID, end int) []freshet.ID {
	ids := []freshet.ID{}
	for pair := range m.edges[kind] {
		if pair[end] == u {
			ids = append(ids, pair[1-end])
		}
	}
	return ids
}

func (m *model) sameEdges(what string, list func(context.Context, freshet.ID, freshet.ID, int) ([]freshet.Edge, error), u freshet.ID, want []freshet.ID) {
	var users []freshet.ID
	m.walk(func(at freshet.ID) (ids []freshet.ID, err error) {
		edges, err := list(m.ctx, u, at, 2)
		for _, x := range edges {
			ids = append(ids, x.ID)
			users = append(users, x.User)
		}
		return ids, err
	}, 2)
	m.same(what, ascending(users...), ascending(want...))
}

// walk collects a list and wants its ids to fall.
func (m *model) walk(page func(at freshet.ID) ([]freshet.ID, error), limit int) []freshet.ID {
	all := []freshet.ID{}
	for at := freshet.ID(0); ; {
		ids, err := page(at)
		m.ok(err)
		all = append(all, ids...)
		if !slices.IsSortedFunc(all, func(a, b freshet.ID) int { return cmp.Compare(b, a) }) {
			m.t.Fatalf("ids don't fall: %v", all)
		}
		if len(ids) < limit {
			return all
		}
		at = ids[limit-1]
	}
}
