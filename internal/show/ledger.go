package main

import (
	"maps"
	"slices"
	"sync"
)

// ledger is what the clients of point 5 know: what was acknowledged, and what
// they were told nothing about, which may have happened or not. Users are named
// by their place. Methods may be called by several goroutines; a fact is changed
// by one of them alone, so that its requests never overlap.
type ledger struct {
	mu    sync.Mutex
	posts map[string]*ledgerPost // by text, each of which is unlike every other
	acked []*ledgerPost
	edges map[edge]fact // who follows whom
	likes map[like]fact
}

// ledgerPost is a post that was sent.
type ledgerPost struct {
	author int
	text   string
	key    string // its Idempotency-Key
	id     string // "" as long as nobody knows whether it is there
}

type (
	edge struct{ from, to int }
	like struct {
		user int
		post string // id
	}
)

// fact is something that is or is not.
type fact uint8

const (
	isNot fact = iota
	is
	maybe // a request that would change it was not answered
)

func factOf(b bool) fact {
	if b {
		return is
	}
	return isNot
}

// holds reports whether what is found agrees with what is known.
func (f fact) holds(found bool) bool { return f == maybe || f == factOf(found) }

func newLedger() *ledger {
	return &ledger{posts: map[string]*ledgerPost{}, edges: map[edge]fact{}, likes: map[like]fact{}}
}

// sent notes a post before its request.
func (l *ledger) sent(p *ledgerPost) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posts[p.text] = p
}

// ack notes that a post is there.
func (l *ledger) ack(p *ledgerPost, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.id = id
	l.acked = append(l.acked, p)
}

// drop forgets a post that was found not to be there.
func (l *ledger) drop(p *ledgerPost) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.posts, p.text)
}

// some gives an acknowledged post, if there is one.
func (l *ledger) some(draw func(n int) int) *ledgerPost {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.acked) == 0 {
		return nil
	}
	return l.acked[draw(len(l.acked))]
}

func (l *ledger) edge(e edge) fact {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.edges[e]
}

func (l *ledger) setEdge(e edge, f fact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.edges[e] = f
}

func (l *ledger) setLike(k like, f fact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.likes[k] = f
}

// unknown are the posts whose requests were not answered.
func (l *ledger) unknown() (posts []*ledgerPost) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range slices.Sorted(maps.Keys(l.posts)) {
		if p := l.posts[text]; p.id == "" {
			posts = append(posts, p)
		}
	}
	return posts
}

// The following are for when nothing is unknown and nobody writes.

// home is what the feed of a user shows, newest first.
func (l *ledger) home(user int) (posts []*ledgerPost) {
	for _, p := range l.acked {
		if p.author == user || l.edges[edge{user, p.author}] == is {
			posts = append(posts, p)
		}
	}
	slices.SortFunc(posts, func(a, b *ledgerPost) int { return laterID(b.id, a.id) })
	return posts
}

// counts gives a user's followers, followed and posts.
func (l *ledger) counts(user int) (followers, following, posts int) {
	for e, f := range l.edges {
		if f == is && e.to == user {
			followers++
		}
		if f == is && e.from == user {
			following++
		}
	}
	for _, p := range l.acked {
		if p.author == user {
			posts++
		}
	}
	return followers, following, posts
}

// likeCounts gives how many like each post.
func (l *ledger) likeCounts() map[string]int {
	counts := map[string]int{}
	for k, f := range l.likes {
		if f == is {
			counts[k.post]++
		}
	}
	return counts
}
