// Package feedtest is the oracle of home feeds: a model that says what a page
// must hold, and streams of random operations that hold a system to it.
//
//	feedtest.Run(t, func(t feedtest.T, users int) map[string]feedtest.System {
//		return map[string]feedtest.System{"push": open(t, users, feed.Push), "pull": open(t, users, feed.Pull)}
//	}, feedtest.Options{})
//	feedtest.RunConcurrent(t, open, feedtest.Options{})
//
// # Invariants
//
// The [Model] is the definition, evaluated as naively as it reads; it knows no
// timelines and no fan-out. [Run] applies one stream to the model and to every
// system, never waits for anything, and compares page by page. A stream that
// fails is shrunk and printed. [RunConcurrent] lets users write and read at
// once; there a page is right if it holds all that was acknowledged before it
// was asked for, and nothing that was not begun before it came.
//
// It is not a test of the graph or of the store: what a system refuses, and
// what it counts, is theirs.
package feedtest

import (
	"context"
	"slices"
	"sync"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// Model is a social network without any cleverness: who follows, blocks and
// mutes whom, and what was posted. Users are whatever ids are named; posts are
// numbered from 1. It is a [feed.Source] and a [feed.Graph], so that an engine
// can stand on it. Methods are safe for concurrent use; the zero Model is empty.
type Model struct {
	mu    sync.Mutex
	posts []Post
	edges map[edge]freshet.ID // by when they were made
	made  freshet.ID
}

// Post is one post of a [Model].
type Post struct {
	ID      freshet.ID
	Author  freshet.ID
	Text    string
	Edited  bool
	Deleted bool
}

type relation uint8

const (
	follows relation = iota
	blocks
	mutes
)

type edge struct {
	relation
	from, to freshet.ID
}

var (
	_ feed.Source = (*Model)(nil)
	_ feed.Graph  = (*Model)(nil)
)

// Post writes a post.
func (m *Model) Post(author freshet.ID, text string) freshet.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := freshet.ID(len(m.posts) + 1)
	m.posts = append(m.posts, Post{ID: id, Author: author, Text: text})
	return id
}

// Edit changes a post's text.
func (m *Model) Edit(post freshet.ID, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.posts[post-1].Text, m.posts[post-1].Edited = text, true
}

// Delete removes a post.
func (m *Model) Delete(post freshet.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.posts[post-1].Deleted = true
}

// Get gives a post, deleted or not.
func (m *Model) Get(post freshet.ID) Post {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.posts[post-1]
}

// Len is how many posts were ever written.
func (m *Model) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.posts)
}

// Follow makes actor follow target, and reports false where one blocks the other.
func (m *Model) Follow(actor, target freshet.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.has(blocks, actor, target) || m.has(blocks, target, actor) {
		return false
	}
	m.set(follows, actor, target)
	return true
}

// Unfollow ends a follow.
func (m *Model) Unfollow(actor, target freshet.ID) { m.unset(follows, actor, target) }

// Block hides two users from each other and ends both follows.
func (m *Model) Block(actor, target freshet.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(blocks, actor, target)
	delete(m.edges, edge{follows, actor, target})
	delete(m.edges, edge{follows, target, actor})
}

// Unblock lifts a block.
func (m *Model) Unblock(actor, target freshet.ID) { m.unset(blocks, actor, target) }

// Mute hides target's posts from actor.
func (m *Model) Mute(actor, target freshet.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(mutes, actor, target)
}

// Unmute lifts a mute.
func (m *Model) Unmute(actor, target freshet.ID) { m.unset(mutes, actor, target) }

func (m *Model) has(r relation, from, to freshet.ID) bool {
	_, ok := m.edges[edge{r, from, to}]
	return ok
}

func (m *Model) set(r relation, from, to freshet.ID) {
	if m.edges == nil {
		m.edges = make(map[edge]freshet.ID)
	}
	if !m.has(r, from, to) {
		m.made++
		m.edges[edge{r, from, to}] = m.made
	}
}

func (m *Model) unset(r relation, from, to freshet.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.edges, edge{r, from, to})
}

// concerns: the reader's own posts and those of the followed, where not deleted.
func (m *Model) concerns(reader freshet.ID, p Post) bool {
	return !p.Deleted && (p.Author == reader || m.has(follows, reader, p.Author))
}

// shows: what concerns the reader, and is not hidden.
func (m *Model) shows(reader freshet.ID, p Post) bool {
	hidden := p.Author != reader && (m.has(mutes, reader, p.Author) ||
		m.has(blocks, reader, p.Author) || m.has(blocks, p.Author, reader))
	return m.concerns(reader, p) && !hidden
}

// Page gives a page of a home feed.
func (m *Model) Page(_ context.Context, q feed.Query) (feed.Page, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page feed.Page
	scanned := 0
	for _, p := range m.below(q.Before) {
		if m.shows(q.Reader, p) {
			if len(page.Refs) == q.Limit {
				page.Scanned = page.Refs[q.Limit-1].ID
				break
			}
			page.Refs = append(page.Refs, freshet.PostRef{ID: p.ID, Author: p.Author})
		}
		if m.concerns(q.Reader, p) {
			if scanned++; scanned == feed.ScanLimit*q.Limit {
				page.Scanned = p.ID
				if len(page.Refs) == q.Limit {
					page.Scanned = page.Refs[q.Limit-1].ID
				}
				break
			}
		}
	}
	return page, nil
}

// below gives the posts with ids below an id, newest first; 0: all.
func (m *Model) below(before freshet.ID) []Post {
	n := freshet.ID(len(m.posts))
	if before > 0 {
		n = min(n, before-1)
	}
	posts := slices.Clone(m.posts[:n])
	slices.Reverse(posts)
	return posts
}
