package app

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/social"
	"github.com/freshet/freshet/store"
)

// TestPrivateAccountsEqualTheOracle makes random changes of who is private, who asks, who follows and who blocks, and wants after each
// that what every viewer is told of every user and post is what a few maps say: through the caches, in each mode of the feed.
func TestPrivateAccountsEqualTheOracle(t *testing.T) {
	modes := []feed.Mode{feed.Push, feed.Pull, feed.Hybrid, feed.Adaptive}
	turn := 0
	rapid.Check(t, func(t *rapid.T) {
		turn++
		const users = 4
		m := &privacy{T: t, oracle: openOracle(t, modes[turn%len(modes)], users)}
		for range rapid.IntRange(10, testenv.Size(40, 80, 300)).Draw(t, "steps") {
			m.step()
			m.compare(rapid.IntRange(-1, users-1).Draw(t, "viewer"))
		}
	})
}

type pair [2]int // who follows, asks or blocks whom, by index

type privacy struct {
	*rapid.T
	*oracle
	private                 [4]bool
	follows, asked, blocked map[pair]bool
	posts                   []freshet.ID
	authors                 []int
}

func (m *privacy) step() {
	if m.follows == nil {
		m.follows, m.asked, m.blocked = map[pair]bool{}, map[pair]bool{}, map[pair]bool{}
	}
	ctx, s, none := context.Background(), m.node.social, store.Write{}
	user := rapid.IntRange(0, len(m.users)-1)
	a, b := user.Draw(m.T, "a"), user.Draw(m.T, "b")
	x, y, ab := m.users[a], m.users[b], pair{a, b}
	op := rapid.IntRange(0, 15).Draw(m.T, "op")
	if a == b && op > 5 {
		return
	}
	switch op {
	case 0, 1, 2:
		id, err := m.oracle.Post(a+1, "text")
		m.told(err, "")
		m.posts, m.authors = append(m.posts, id), append(m.authors, a)
	case 3, 4, 5:
		m.private[a] = op < 5
		_, _, err := s.UpdateUser(ctx, x, freshet.UserPatch{Private: &m.private[a]}, none)
		m.told(err, "")
		if !m.private[a] {
			m.opened(a)
		}
	case 6, 7, 8, 9:
		requested, _, err := s.Follow(ctx, x, y, none)
		switch {
		case m.apart(a, b):
			m.told(err, freshet.CodeNotFound)
		case m.told(err, "") && requested != (m.private[b] && !m.follows[ab]):
			m.Fatalf("%d follows %d: requested %v", a, b, requested)
		case requested:
			m.asked[ab] = true
		default:
			m.follows[ab] = true
		}
	case 10, 11, 12:
		_, err := s.AcceptRequest(ctx, x, y, none)
		if ba := (pair{b, a}); m.asked[ba] || m.follows[ba] {
			m.told(err, "")
			m.follows[ba] = true
			delete(m.asked, ba)
		} else {
			m.told(err, freshet.CodeNotFound)
		}
	case 13:
		_, err := s.RefuseRequest(ctx, x, y, none)
		if ba := (pair{b, a}); m.asked[ba] {
			m.told(err, "")
			delete(m.asked, ba)
		} else {
			m.told(err, freshet.CodeNotFound)
		}
	case 14:
		_, err := s.Unfollow(ctx, x, y, none)
		m.told(err, "")
		delete(m.asked, ab)
		delete(m.follows, ab)
	case 15:
		write := s.Block
		if m.blocked[ab] {
			write = s.Unblock
		}
		_, err := write(ctx, x, y, none)
		m.told(err, "")
		if m.blocked[ab] = !m.blocked[ab]; m.blocked[ab] {
			for _, edges := range []map[pair]bool{m.follows, m.asked} {
				delete(edges, ab)
				delete(edges, pair{b, a})
			}
		}
	}
}

// opened waits until a job has made follows of all that was asked of a user.
func (m *privacy) opened(user int) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	m.told(m.node.jobs.Idle(ctx), "")
	for a := range m.users {
		if ab := (pair{a, user}); m.asked[ab] {
			m.follows[ab] = true
			delete(m.asked, ab)
		}
	}
}

func (m *privacy) apart(a, b int) bool { return m.blocked[pair{a, b}] || m.blocked[pair{b, a}] }

// told wants an error of a code, or none.
func (m *privacy) told(err error, want freshet.Code) bool {
	if got := freshet.CodeOf(err); got != want || err != nil && got == "" {
		m.Fatalf("got %v, want the code %q", err, want)
	}
	return err == nil
}

// compare asks for everything as a viewer; -1: nobody signed in.
func (m *privacy) compare(viewer int) {
	ctx, s, who := context.Background(), m.node.social, freshet.ID(0)
	if viewer >= 0 {
		who = m.users[viewer]
	}
	var page social.Page
	for user, id := range m.users {
		profile, things, post := m.codes(viewer, user)
		_, err := s.User(ctx, who, id)
		m.told(err, profile)
		if m.told(s.ByAuthor(ctx, who, id, 0, 10, &page), things) && len(page.Posts) == 0 && slices.Contains(m.authors, user) {
			m.Fatalf("%d sees no posts of %d", viewer, user)
		}
		_, err = s.Followers(ctx, who, id, 0, 10)
		m.told(err, things)
		_, err = s.Following(ctx, who, id, 0, 10)
		m.told(err, things)
		for i, author := range m.authors {
			if author != user {
				continue
			}
			_, err := s.PostByID(ctx, who, m.posts[i])
			m.told(err, post)
			_, err = s.Comments(ctx, who, m.posts[i], 0, 10)
			m.told(err, post)
			_, err = s.Stats(ctx, who, m.posts[i], 1)
			m.told(err, post)
		}
	}
	if viewer < 0 {
		return
	}
	m.asking(viewer)
	m.told(s.Home(ctx, who, 0, 100, &page), "")
	var got, want []freshet.ID
	for _, p := range page.Posts {
		got = append(got, p.ID)
	}
	for i, author := range slices.Backward(m.authors) {
		if author == viewer || m.follows[pair{viewer, author}] {
			want = append(want, m.posts[i])
		}
	}
	if !slices.Equal(got, want[:min(100, len(want))]) {
		m.Fatalf("home of %d: %v, want %v", viewer, got, want)
	}
}

// codes are what a viewer is told of a user, of its lists, and of its posts.
func (m *privacy) codes(viewer, user int) (profile, things, post freshet.Code) {
	switch {
	case viewer >= 0 && m.apart(viewer, user):
		return freshet.CodeNotFound, freshet.CodeNotFound, freshet.CodeNotFound
	case viewer == user || !m.private[user] || m.follows[pair{viewer, user}]:
		return "", "", ""
	case viewer < 0:
		return freshet.CodeUnauthenticated, freshet.CodeUnauthenticated, freshet.CodeUnauthenticated
	}
	return "", freshet.CodeForbidden, freshet.CodeNotFound
}

func (m *privacy) asking(user int) {
	list, err := m.node.social.FollowRequests(context.Background(), m.users[user], 0, 10)
	m.told(err, "")
	got, want := map[freshet.ID]bool{}, map[freshet.ID]bool{}
	for _, u := range list.Users {
		got[u.ID] = true
	}
	for ab := range m.asked {
		if ab[1] == user {
			want[m.users[ab[0]]] = true
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		m.Fatalf("who asks %d: %v, want %v", user, got, want)
	}
}
