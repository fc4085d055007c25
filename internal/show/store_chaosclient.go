package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// chaosBoard is what all clients know of deletions, and who reads without a token.
type chaosBoard struct {
	mu      sync.Mutex
	deleted map[string]time.Time // by post; zero: asked for and not acknowledged
	recent  []string             // acknowledged lately
}

// asked notes that a post may be gone from now on.
func (b *chaosBoard) asked(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deleted[id] = time.Time{}
}

func (b *chaosBoard) acknowledged(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deleted[id] = time.Now()
	b.recent = append(b.recent, id)
	b.recent = b.recent[max(0, len(b.recent)-8):]
}

// goneBefore reports whether a deletion was acknowledged before a time; maybe whether one was asked for.
func (b *chaosBoard) goneBefore(id string, when time.Time) (gone, maybe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, maybe := b.deleted[id]
	return maybe && !at.IsZero() && at.Before(when), maybe
}

func (b *chaosBoard) pick(rng *rand.Rand) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.recent) == 0 {
		return ""
	}
	return b.recent[rng.IntN(len(b.recent))]
}

// chaosPost is an own post, as its author must see it.
type chaosPost struct {
	acked, tried int  // versions of its text
	liked        bool // by the author
	unsure       bool // whether it is
	doomed       bool // a deletion was asked for
	deleted      bool // and acknowledged
}

// chaosClient is a user with one session who does one thing after the other, each by some node.
type chaosClient struct {
	world *chaosWorld
	id    string
	to    [3]*client
	rng   *rand.Rand
	posts map[string]*chaosPost
	live  []string       // ids of own posts that nobody asked to delete, rising
	seen  map[string]int // the highest version that was seen of others' posts
}

const (
	chaosPage = 20
	chaosLive = 12 // own posts beyond which one is deleted before the next
)

func (c *chaosClient) run(ctx context.Context, seed uint64) {
	c.rng = rand.New(rand.NewPCG(seed, 1))
	for ctx.Err() == nil {
		var err error
		began := time.Now()
		switch n := c.rng.IntN(100); {
		case n < 10:
			err = c.write(ctx)
		case n < 70:
			err = c.page(ctx, "/v1/feed")
		case n < 85:
			err = c.page(ctx, "/v1/users/"+c.id+"/posts")
		default:
			err = c.one(ctx)
		}
		if err != nil && ctx.Err() == nil {
			c.world.failed.Add(1)
			nap(ctx, 5*time.Millisecond)
		} else if err == nil {
			c.world.took(time.Since(began))
		}
	}
}

func (w *chaosWorld) took(d time.Duration) {
	for old := w.slowest.Load(); int64(d) > old && !w.slowest.CompareAndSwap(old, int64(d)); old = w.slowest.Load() {
	}
}

func (c *chaosClient) node() *client { return c.to[c.rng.IntN(len(c.to))] }

func (c *chaosClient) write(ctx context.Context) error {
	n := c.rng.IntN(10)
	if len(c.live) == 0 || n < 3 && len(c.live) < chaosLive {
		return c.create(ctx)
	}
	id := c.live[c.rng.IntN(len(c.live))]
	p, path := c.posts[id], "/v1/posts/"+id
	switch {
	case n < 5:
		i := slices.Index(c.live, id)
		c.live = slices.Delete(c.live, i, i+1)
		p.doomed = true
		c.world.board.asked(id)
		if err := c.node().do(ctx, request{method: http.MethodDelete, path: path}, nil); err != nil {
			return err
		}
		p.deleted = true
		c.world.board.acknowledged(id)
	case n < 8:
		p.tried++
		if err := c.node().do(ctx, request{method: http.MethodPatch, path: path, body: map[string]string{"text": textOf(p.tried)}}, nil); err != nil {
			return err
		}
		p.acked = p.tried
	default:
		method := http.MethodPut
		if p.liked {
			method = http.MethodDelete
		}
		p.unsure = true
		if err := c.node().do(ctx, request{method: method, path: path + "/like"}, nil); err != nil {
			return err
		}
		p.liked, p.unsure = method == http.MethodPut, false
	}
	c.world.writes.Add(1)
	return nil
}

func (c *chaosClient) create(ctx context.Context) error {
	var made postJSON
	if err := c.node().do(ctx, request{method: http.MethodPost, path: "/v1/posts", body: map[string]string{"text": textOf(1)}}, &made); err != nil {
		return err
	}
	c.posts[made.ID] = &chaosPost{acked: 1, tried: 1}
	at, _ := slices.BinarySearchFunc(c.live, made.ID, laterID)
	c.live = slices.Insert(c.live, at, made.ID)
	c.world.writes.Add(1)
	return nil
}

func textOf(version int) string { return fmt.Sprintf("version %d", version) }

func versionOf(text string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(text, "version "))
	return n
}

// page reads the newest posts of a list in which all own ones are.
func (c *chaosClient) page(ctx context.Context, path string) error {
	began := time.Now()
	var page pageJSON[postJSON]
	if err := c.node().get(ctx, fmt.Sprintf("%s?limit=%d", path, chaosPage), "", &page); err != nil {
		return err
	}
	c.world.reads.Add(1)
	there, lowest := make(map[string]bool, len(page.Items)), ""
	for i := range page.Items {
		there[page.Items[i].ID] = true
		lowest = page.Items[i].ID
		c.check(&page.Items[i], began, path)
	}
	if page.Next == "" {
		lowest = "" // the whole list
	}
	for _, id := range c.live {
		if laterID(id, lowest) >= 0 && !there[id] {
			c.violation(&c.world.unseen, "%s lacks own post %s", path, id)
			return nil
		}
	}
	if path != "/v1/feed" {
		return nil
	}
	for id := range c.seen { // what was there is there, unless somebody deleted it
		if laterID(id, lowest) >= 0 && !there[id] {
			if _, maybe := c.world.board.goneBefore(id, began); !maybe {
				c.violation(&c.world.back, "%s lacks post %s, which was seen", path, id)
				return nil
			}
			delete(c.seen, id)
		}
	}
	return nil
}

// check compares a post with what this client must see.
func (c *chaosClient) check(p *postJSON, began time.Time, path string) {
	version := versionOf(p.Text)
	if gone, _ := c.world.board.goneBefore(p.ID, began); gone {
		c.violation(&c.world.resurrected, "%s has post %s, whose deletion was acknowledged", path, p.ID)
	}
	own := c.posts[p.ID]
	switch {
	case own == nil && p.Author.ID == c.id: // its creation was not answered
	case own != nil && version < own.acked:
		c.violation(&c.world.unseen, "%s has own post %s in version %d, not %d", path, p.ID, version, own.acked)
	case own != nil && !own.unsure && p.Liked != own.liked:
		c.violation(&c.world.unseen, "%s has own post %s with liked %t", path, p.ID, p.Liked)
	case own == nil && version < c.seen[p.ID]:
		c.violation(&c.world.back, "%s has post %s in version %d after %d", path, p.ID, version, c.seen[p.ID])
	}
	if own == nil && p.Author.ID != c.id {
		c.seen[p.ID] = max(c.seen[p.ID], version)
	} else if own != nil && version > own.acked { // an edit that was not answered was made
		own.acked = version
	}
}

// violation counts one, and tells the first few.
func (c *chaosClient) violation(of interface{ Add(int64) int64 }, format string, args ...any) {
	if of.Add(1) <= 5 {
		c.world.tell(format, args...)
	}
}

// one reads an own post, or one that was just deleted by whomever. Now and then a replica is asked that a router would have taken
// who knows nothing.
func (c *chaosClient) one(ctx context.Context) error {
	if len(c.live) == 0 {
		return nil
	}
	id := c.live[c.rng.IntN(len(c.live))]
	began := time.Now()
	var p postJSON
	err := c.node().get(ctx, "/v1/posts/"+id, "", &p)
	if s, ok := asStatus(err); ok && s.status == http.StatusNotFound {
		c.world.reads.Add(1)
		c.violation(&c.world.unseen, "own post %s is not found", id)
		return nil
	}
	if err != nil {
		return err
	}
	c.world.reads.Add(1)
	c.check(&p, began, "/v1/posts/"+id)
	c.asRandom(ctx, id)
	return nil
}

func (c *chaosClient) asRandom(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	n, _ := strconv.ParseInt(id, 10, 64)
	var texts []string
	err := c.world.replicas[c.rng.IntN(len(c.world.replicas))].QueryRow(ctx, "SELECT array_agg(text) FROM freshet.posts WHERE id = $1", n).Scan(&texts)
	if err != nil {
		return
	}
	c.world.random.Add(1)
	if len(texts) == 0 || versionOf(texts[0]) < c.posts[id].acked {
		c.world.randomStale.Add(1)
	}
}

// stranger reads what everybody may, without a token and without a session, above all what was deleted.
type stranger struct {
	world *chaosWorld
	to    [3]*client
}

func (s *stranger) run(ctx context.Context, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for ctx.Err() == nil {
		path := "/v1/users/" + s.world.clients[rng.IntN(len(s.world.clients))].id + "/posts"
		if id := s.world.board.pick(rng); id != "" && rng.IntN(3) > 0 {
			path = "/v1/posts/" + id
		}
		began := time.Now()
		a, err := s.to[rng.IntN(len(s.to))].send(ctx, request{method: http.MethodGet, path: path})
		if err != nil || a.status >= 500 {
			if ctx.Err() == nil {
				s.world.failed.Add(1)
			}
			continue
		}
		s.world.strange.Add(1)
		s.world.took(time.Since(began))
		var page pageJSON[postJSON]
		if a.status == http.StatusOK && strings.HasPrefix(path, "/v1/posts/") {
			page.Items = make([]postJSON, 1)
			err = json.Unmarshal(a.body, &page.Items[0])
		} else if a.status == http.StatusOK {
			err = json.Unmarshal(a.body, &page)
		}
		for _, p := range page.Items {
			if gone, _ := s.world.board.goneBefore(p.ID, began); gone || err != nil {
				s.world.resurrected.Add(1)
				s.world.tell("%s shows a stranger post %s, whose deletion was acknowledged", path, p.ID)
			}
		}
		nap(ctx, 2*time.Millisecond)
	}
}
