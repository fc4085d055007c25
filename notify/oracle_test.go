package notify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// The oracle: users write, delete, follow, unfollow, block, mute and are erased; nodes hear of it shard by shard, late and in
// batches, and are started anew; clients connect to any node, read some of what there is, and come back to another. At the end
// each client must have had all that the model says it had to be told.

const (
	people    = 6
	lagMost   = 4 // changes of a shard that a node has not heard of yet
	stepClock = time.Second
)

type fact struct {
	change store.Change
	index  int // in the order of commits over all shards
}

type world struct {
	t      *testing.T
	rng    *rand.Rand
	keep   int
	shards int
	nodes  []*node
	people []*client

	mu      sync.Mutex
	now     time.Time
	follows map[[2]freshet.ID]int // since which commit
	blocks  map[[2]freshet.ID]bool
	mutes   map[[2]freshet.ID]bool
	gone    map[freshet.ID]bool
	posts   []post
	logs    [][]fact
	commits int
	ids     int
}

type post struct {
	id, author freshet.ID
	index      int
	deleted    int   // by which commit; 0: not
	audience   []int // of people, at its deletion by an erasure
}

type node struct {
	hub    *Hub
	cancel context.CancelFunc
	ended  chan struct{}
	heard  []int // of each log
}

type client struct {
	user    freshet.ID
	stream  *Stream
	node    *node
	last    string
	begun   bool
	since   []int // of each log: what comes after it must be told
	hadPost map[freshet.ID]int
	hadGone map[freshet.ID]int
}

func userID(i int) freshet.ID { return freshet.ID(1000 + i) }

func (w *world) shardOf(u freshet.ID) int { return int(u) % w.shards }

func (w *world) at(shard, i int) position.Position {
	return position.Position{System: uint64(shard + 1), Timeline: 1, Offset: uint64(i + 1)}
}

// commit notes changes at one position of one shard.
func (w *world) commit(shard int, changes ...store.Change) int {
	w.commits++
	n := 0
	if log := w.logs[shard]; len(log) > 0 {
		n = int(log[len(log)-1].change.At.Offset)
	}
	for _, c := range changes {
		c.At = w.at(shard, n)
		w.logs[shard] = append(w.logs[shard], fact{c, w.commits})
	}
	return w.commits
}

func (w *world) related(u freshet.ID) *freshet.Relations {
	r := &freshet.Relations{}
	for i := range people {
		v := userID(i)
		if _, follows := w.follows[[2]freshet.ID{u, v}]; follows {
			r.Following = append(r.Following, v)
		}
		blocked := w.blocks[[2]freshet.ID{u, v}] || w.blocks[[2]freshet.ID{v, u}]
		if blocked {
			r.Blocked = append(r.Blocked, v)
		}
		if blocked || w.mutes[[2]freshet.ID{u, v}] {
			r.Hidden = append(r.Hidden, v)
		}
	}
	return r
}

// sees reports since which commit a user has been one whom an author's events concern; 0: not.
func (w *world) sees(u, author freshet.ID) int {
	r := w.related(u)
	if r.Hides(author) || w.gone[u] || w.gone[author] {
		return 0
	}
	if u == author {
		return 1
	}
	return w.follows[[2]freshet.ID{u, author}]
}

func (w *world) Relations(_ context.Context, u freshet.ID, _ position.Token) (*freshet.Relations, error) {
	if w.slow() {
		time.Sleep(time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.related(u), nil
}

func (w *world) slow() bool { return time.Now().UnixNano()&7 == 0 }

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// newNode is one that has heard and confirmed so much.
func (w *world) newNode(heard, confirmed []int) *node {
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{
		hub:    New(Options{Shards: w.shards, Relations: w.Relations, Keep: w.keep, KeepFor: time.Hour, Now: w.clock}),
		cancel: cancel, ended: make(chan struct{}), heard: slices.Clone(heard),
	}
	go func() {
		defer close(n.ended)
		n.hub.Run(ctx)
	}()
	for shard := range w.shards {
		from := position.Position{System: uint64(shard + 1), Timeline: 1}
		if confirmed[shard] > 0 {
			from = w.logs[shard][confirmed[shard]-1].change.At
		}
		n.hub.Begin(shard, from)
		head := position.Position{System: uint64(shard + 1), Timeline: 1, Offset: from.Offset}
		if heard[shard] > 0 {
			head = w.logs[shard][heard[shard]-1].change.At
		}
		n.hub.Publish(shard, w.changes(shard, confirmed[shard], heard[shard]), head, true)
	}
	return n
}

func (w *world) changes(shard, from, to int) (out []store.Change) {
	for _, f := range w.logs[shard][from:to] {
		out = append(out, f.change)
	}
	return out
}

// whole moves an end of a batch to the end of its position.
func (w *world) whole(shard, to int) int {
	log := w.logs[shard]
	for to > 0 && to < len(log) && log[to].change.At == log[to-1].change.At {
		to++
	}
	return to
}

func (n *node) hear(w *world, shard, most int) {
	to := w.whole(shard, min(len(w.logs[shard]), n.heard[shard]+most))
	if to > n.heard[shard] {
		n.hub.Publish(shard, w.changes(shard, n.heard[shard], to), position.Position{}, false)
		n.heard[shard] = to
	}
}

// act does one thing that changes the world.
func (w *world) act() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(stepClock)
	a, b := userID(w.rng.IntN(people)), userID(w.rng.IntN(people))
	if w.gone[a] || w.gone[b] {
		return
	}
	edge, shard := [2]freshet.ID{a, b}, w.shardOf(a)
	switch k := w.rng.IntN(100); {
	case k < 45:
		w.post(a)
		if w.rng.IntN(3) == 0 { // two in one commit
			log := w.logs[shard]
			w.post(a)
			w.logs[shard][len(log)].change.At = log[len(log)-1].change.At
		}
	case k < 55 && len(w.posts) > 0:
		p := &w.posts[w.rng.IntN(len(w.posts))]
		if p.deleted == 0 && !w.gone[p.author] {
			p.deleted = w.commit(w.shardOf(p.author), store.Change{Kind: store.PostDeleted, Subject: p.id, Object: p.author})
		}
	case a == b:
	case k < 75:
		if _, had := w.follows[edge]; !had && !w.related(a).Blocks(b) {
			w.follows[edge] = w.commit(shard, store.Change{Kind: store.FollowChanged, Subject: a, Object: b})
		}
	case k < 85:
		if _, had := w.follows[edge]; had {
			delete(w.follows, edge)
			w.commit(shard, store.Change{Kind: store.FollowChanged, Subject: a, Object: b})
		}
	case k < 90:
		w.mutes[edge] = !w.mutes[edge]
		w.reset(a, b)
		w.commit(shard, store.Change{Kind: store.MuteChanged, Subject: a, Object: b})
	case k < 97:
		w.blocks[edge] = !w.blocks[edge]
		delete(w.follows, edge)
		delete(w.follows, [2]freshet.ID{b, a})
		change := store.Change{Kind: store.BlockChanged, Subject: a, Object: b}
		w.commit(shard, change)
		if other := w.shardOf(b); other != shard {
			w.commit(other, change)
		}
	case k < 98 && len(w.gone) < 2:
		w.erase(a)
	}
}

// reset has a follow count from now on: it did not show before.
func (w *world) reset(a, b freshet.ID) {
	if _, had := w.follows[[2]freshet.ID{a, b}]; had {
		w.follows[[2]freshet.ID{a, b}] = w.commits + 1
	}
}

func (w *world) post(a freshet.ID) {
	w.ids++
	id := freshet.NewID(freshet.Millis(w.now), int(a)%freshet.Buckets, w.ids)
	w.posts = append(w.posts, post{id: id, author: a, index: w.commit(w.shardOf(a), store.Change{Kind: store.PostCreated, Subject: id, Object: a})})
}

func (w *world) erase(a freshet.ID) {
	var changes []store.Change
	var sees []int
	for i := range people {
		// Of several shards, a node may hear of a follow after the erasure that ended it.
		if u := userID(i); u != a && w.sees(u, a) > 0 && (w.shards == 1 || w.commits-w.sees(u, a) > 20) {
			sees = append(sees, i)
		}
	}
	for i := range w.posts {
		if p := &w.posts[i]; p.author == a && p.deleted == 0 {
			p.deleted, p.audience = w.commits+1, sees
			changes = append(changes, store.Change{Kind: store.PostDeleted, Subject: p.id, Object: a})
		}
	}
	gone := store.Change{Kind: store.UserErased, Subject: a}
	for i := range people {
		u := userID(i)
		for _, edge := range [][2]freshet.ID{{a, u}, {u, a}} {
			if _, had := w.follows[edge]; had {
				delete(w.follows, edge)
				gone.Also = append(gone.Also, u)
			}
		}
	}
	w.gone[a] = true
	w.commit(w.shardOf(a), append(changes, gone)...)
}

func (c *client) connect(w *world) {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	s, err := n.hub.Subscribe(context.Background(), Watcher{User: c.user}, c.last)
	if err != nil {
		w.t.Fatal(err)
	}
	if c.stream, c.node = s, n; !s.Start().Resumed {
		c.last, c.since, c.begun = s.Start().ID, slices.Clone(n.heard), true
	}
}

// read takes what there is, and perhaps loses the end of it with the connection.
func (c *client) read(w *world, wait time.Duration, lossy bool) (some bool) {
	events, err := c.stream.Next(context.Background(), wait, nil)
	if lossy {
		events = events[:w.rng.IntN(len(events)+1)]
	}
	for _, e := range events {
		c.last = e.ID
		if e.Kind == Posted {
			c.hadPost[e.Post]++
		} else {
			c.hadGone[e.Post]++
		}
	}
	if at := c.stream.Position(); !lossy && at != "" {
		c.last = at
	}
	if lossy || err != nil {
		c.leave()
	}
	return len(events) > 0
}

func (c *client) leave() {
	if c.stream != nil {
		c.stream.Close()
	}
	c.stream = nil
}

// settle has all nodes hear all and all clients read all.
func (w *world) settle() {
	for _, n := range w.nodes {
		for shard := range w.shards {
			n.hear(w, shard, len(w.logs[shard]))
		}
	}
	for _, c := range w.people {
		for deadline := time.Now().Add(10 * time.Second); !w.gone[c.user]; {
			if c.stream == nil {
				c.connect(w)
			}
			if some := c.read(w, time.Millisecond, false); !some && c.stream != nil && c.stream.Position() != "" {
				break
			}
			if time.Now().After(deadline) {
				w.t.Fatal("a client is never done")
			}
		}
	}
}

// owed are the events that each client must have had.
func (w *world) check() {
	for i, c := range w.people {
		if w.gone[c.user] || !c.begun {
			continue
		}
		for _, p := range w.posts {
			shard := w.shardOf(p.author)
			behind := c.since[shard] == 0 || w.logs[shard][c.since[shard]-1].index < p.index
			since := w.sees(c.user, p.author)
			if behind && since > 0 && since < p.index && c.hadPost[p.id] == 0 {
				w.t.Fatalf("user %d was not told post %d of %d", c.user, p.id, p.author)
			}
			told := since > 0 && since < p.deleted || slices.Contains(p.audience, i)
			after := c.since[shard] == 0 || w.logs[shard][c.since[shard]-1].index < p.deleted
			if p.deleted > 0 && after && told && c.hadGone[p.id] == 0 {
				w.t.Fatalf("user %d was not told that post %d of %d is gone", c.user, p.id, p.author)
			}
		}
	}
}

// exact checks that from here on nobody is told more than concerns them.
func (w *world) exact() {
	had := make([]map[freshet.ID]int, people)
	for i, c := range w.people {
		had[i], c.hadPost = c.hadPost, make(map[freshet.ID]int)
	}
	from := len(w.posts)
	for i := range people {
		if !w.gone[userID(i)] {
			w.post(userID(i))
		}
	}
	w.settle()
	for i, c := range w.people {
		for _, p := range w.posts[from:] {
			if want, got := w.sees(c.user, p.author) > 0, c.hadPost[p.id] > 0; want != got {
				w.t.Fatalf("user %d is told a post of %d: %t, want %t", c.user, p.author, got, want)
			}
		}
		if w.shards == 1 && w.keep > 1000 {
			for id, n := range c.hadPost {
				if n > 1 {
					w.t.Fatalf("user %d was told post %d %d times", c.user, id, n)
				}
			}
		}
		for id, n := range had[i] {
			c.hadPost[id] += n
		}
	}
}

func (w *world) step() {
	w.act()
	for _, n := range w.nodes {
		for shard := range w.shards {
			if lag := len(w.logs[shard]) - n.heard[shard]; lag > lagMost || w.rng.IntN(5) > 0 {
				n.hear(w, shard, 1+w.rng.IntN(lag+1))
			}
		}
	}
	c := w.people[w.rng.IntN(people)]
	switch k := w.rng.IntN(10); {
	case w.gone[c.user]:
		c.leave()
	case c.stream == nil:
		c.connect(w)
	case k < 6:
		c.read(w, 100*time.Microsecond, false)
	case k < 8:
		c.read(w, 100*time.Microsecond, true)
	}
	if w.rng.IntN(40) == 0 {
		w.restart()
	}
}

// restart has a node begin anew, from where it had confirmed.
func (w *world) restart() {
	i := w.rng.IntN(len(w.nodes))
	n := w.nodes[i]
	confirmed := make([]int, w.shards)
	for shard := range confirmed {
		confirmed[shard] = min(n.heard[shard], w.whole(shard, w.rng.IntN(n.heard[shard]+1)))
	}
	for _, c := range w.people {
		if c.node == n {
			c.leave()
		}
	}
	n.stop()
	w.nodes[i] = w.newNode(n.heard, confirmed)
}

func (n *node) stop() {
	n.hub.Drain()
	n.cancel()
	<-n.ended
}

func TestEachClientIsToldWhatTheModelSays(t *testing.T) {
	for seed := range testenv.Size(20, 20, 5000) {
		for _, scene := range []struct{ shards, nodes, keep int }{{1, 1, 5000}, {1, 2, 12}, {2, 2, 5000}, {3, 2, 40}} {
			name := fmt.Sprintf("%d/%d shards %d nodes ring %d", seed, scene.shards, scene.nodes, scene.keep)
			runWorld(t, name, uint64(seed), scene.shards, scene.nodes, scene.keep)
		}
	}
}

func runWorld(t *testing.T, name string, seed uint64, shards, nodes, keep int) {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 7)), keep: keep, shards: shards, now: freshet.Epoch.Add(time.Hour),
		follows: make(map[[2]freshet.ID]int), blocks: make(map[[2]freshet.ID]bool), mutes: make(map[[2]freshet.ID]bool),
		gone: make(map[freshet.ID]bool), logs: make([][]fact, shards),
	}
	defer func() {
		if t.Failed() {
			t.Log("in", name)
		}
		for _, n := range w.nodes {
			n.stop()
		}
	}()
	for range nodes {
		w.nodes = append(w.nodes, w.newNode(make([]int, shards), make([]int, shards)))
	}
	for i := range people {
		w.people = append(w.people, &client{user: userID(i), hadPost: make(map[freshet.ID]int), hadGone: make(map[freshet.ID]int)})
	}
	for range 120 {
		w.step()
	}
	w.settle()
	w.check()
	w.exact()
	w.check()
}
