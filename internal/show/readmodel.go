package main

import (
	"fmt"
	"sync"

	"github.com/freshet/freshet/internal/show/naive"
)

// feedModel is the oracle of a run in which posts are written while pages are
// read. A page must show what was acknowledged before it was asked for, and may
// show what was begun before it was answered.
type feedModel struct {
	net     *readNetwork
	history [][]*naive.Post // by reader, newest first

	mu     sync.Mutex
	byText map[string]*livePost
	acked  []*livePost // in the order of their acknowledgement
}

// livePost is a post of this run. Its text is like no other's.
type livePost struct {
	text   string
	author int    // place in net.users
	id     string // "" until it is acknowledged
}

func newFeedModel(net *readNetwork) *feedModel {
	m := &feedModel{net: net, byText: map[string]*livePost{}, history: make([][]*naive.Post, len(net.readers))}
	for i, r := range net.readers {
		m.history[i] = net.network.Home(r.handle)
	}
	return m
}

// begin is called before a post is sent.
func (m *feedModel) begin(text string, author int) *livePost {
	p := &livePost{text: text, author: author}
	m.mu.Lock()
	m.byText[text] = p
	m.mu.Unlock()
	return p
}

// ack is called when it was answered.
func (m *feedModel) ack(p *livePost, id string) {
	m.mu.Lock()
	p.id = id
	m.acked = append(m.acked, p)
	m.mu.Unlock()
}

// before tells how many posts a page that is asked for now must show.
func (m *feedModel) before() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.acked)
}

// onTop checks that a post stands in a page below later ones alone.
func (m *feedModel) onTop(items []postJSON, p *livePost) error {
	for i := range items {
		if items[i].ID == p.id {
			return nil
		}
		if laterID(items[i].ID, p.id) < 0 {
			break
		}
	}
	return fmt.Errorf("post %s was acknowledged, and is not on top of the next page", p.id)
}

// check holds the first page of a reader against the model; must is what before
// gave when it was asked for.
func (m *feedModel) check(reader, must int, items []postJSON) error {
	if len(items) != pageSize {
		return fmt.Errorf("the page has %d posts", len(items))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	shows, seen, live := m.net.byReader[reader], map[string]bool{}, 0
	for i := range items {
		if i > 0 && laterID(items[i].ID, items[i-1].ID) >= 0 {
			return fmt.Errorf("id %s follows %s", items[i].ID, items[i-1].ID)
		}
		p, ok := m.byText[items[i].Text]
		if !ok {
			break // history begins
		}
		if !shows[p.author] || items[i].Author.Handle != m.net.users[p.author] || p.id != "" && p.id != items[i].ID {
			return fmt.Errorf("post %s by %s should not be there, or not so", items[i].ID, items[i].Author.Handle)
		}
		seen[p.text] = true
		live++
	}
	for _, p := range m.acked[:must] {
		due := live < len(items) || laterID(p.id, items[live-1].ID) > 0
		if due && shows[p.author] && !seen[p.text] {
			return fmt.Errorf("post %s by %s is missing", p.id, m.net.users[p.author])
		}
	}
	for i := live; i < len(items); i++ {
		want := m.history[reader][i-live]
		if items[i].Text != want.Text || items[i].Author.Handle != want.Author || !items[i].CreatedAt.Equal(want.At) {
			return fmt.Errorf("place %d shows %q by %s, should be %q by %s", i+1, items[i].Text, items[i].Author.Handle, want.Text, want.Author)
		}
	}
	return nil
}
