package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// startFollowers serves one store by nodes that have no layer between them: each
// hears of the others by the store's change feed alone. stop ends the consumer of
// a node.
func startFollowers(t *testing.T, n int) (nodes []*apiNode, stop []func()) {
	t.Helper()
	nodes = startFleet(t, cache.Options{Feed: true}, make([]string, n)...)
	for i, n := range nodes {
		stop = append(stop, n.follows(t, fmt.Sprintf("node %d", i)))
	}
	for _, n := range nodes {
		n.awaitsTrust(t, true)
	}
	return nodes, stop
}

// follows has a node consume the change feed until stop, or the end of the test.
func (n *apiNode) follows(t *testing.T, name string) (stop func()) {
	n.feeds[0].consumer = name
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.followChanges(ctx, 0, newHeard(1))
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return stop
}

func (n *apiNode) awaitsTrust(t *testing.T, want bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); n.stack.Health().Trusted != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("trust in memory is still %t", !want)
		}
	}
}

// named reads a user's name.
func (n *apiNode) named(t *testing.T, id freshet.ID, at position.Token) string {
	t.Helper()
	u, err := n.social.User(cache.At(t.Context(), at), id, id)
	if err != nil {
		t.Fatal(err)
	}
	return u.Name
}

// loads is how often a node has asked the store for users.
func (n *apiNode) loads() uint64 {
	for _, s := range n.stack.Stats() {
		if s.Name == "user" {
			return s.Loads
		}
	}
	return 0
}

func TestNodesThatFollowTheFeed(t *testing.T) {
	nodes, stop := startFollowers(t, 3)
	ctx, ada := t.Context(), nodes[0].person(t, "ada").id
	rename := func(i int, name string) position.Token {
		t.Helper()
		_, at, err := nodes[i%3].social.UpdateUser(ctx, ada, freshet.UserPatch{Name: &name}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for i := range 60 {
		want := strings.Repeat("x", i+1)
		at := rename(i, want)
		for j, n := range nodes {
			if got := n.named(t, ada, at); got != want {
				t.Fatalf("node %d, with the token of node %d's write: %q, want %q", j, i%3, got, want)
			}
		}
	}

	at := rename(0, "Ada")
	for _, n := range nodes { // until all have fenced it: then memory answers, also after MaxStale
		for before := n.loads(); ; before = n.loads() {
			if n.named(t, ada, at); n.loads() == before {
				break
			}
		}
	}
	before := nodes[1].loads()
	for until := time.Now().Add(fleetStale + fleetStale/2); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		nodes[1].named(t, ada, at)
	}
	if made := nodes[1].loads() - before; made > 2 { // a machine that stalls may cost one
		t.Errorf("%d loads of what did not change", made)
	}

	// Another program writes past the nodes, and one of them has stopped to hear.
	stop[2]()
	behind := "Ada King"
	if _, _, err := nodes[0].store.UpdateUser(ctx, ada, freshet.UserPatch{Name: &behind}, store.Write{}); err != nil {
		t.Fatal(err)
	}
	wrote := time.Now()
	for j, n := range nodes {
		for {
			asked := time.Now()
			if n.named(t, ada, nil) == behind {
				break
			}
			if asked.Sub(wrote) > fleetStale+100*time.Millisecond {
				t.Fatalf("node %d serves what changed %v ago", j, asked.Sub(wrote))
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	nodes[2].awaitsTrust(t, false)
	rename(1, "Lady Lovelace")
	if got := nodes[2].named(t, ada, nil); got != "Lady Lovelace" {
		t.Errorf("a node that has not heard for long serves %q", got)
	}
	nodes[2].follows(t, "node 2")
	nodes[2].awaitsTrust(t, true)
	if got := nodes[2].named(t, ada, nil); got != "Lady Lovelace" {
		t.Errorf("once it hears again it serves %q", got)
	}
}

// A chunk that is full may not be all there is: memory is trusted when the feed
// was asked for more and had nothing to tell for as long as the node waits.
func TestAFullChunkIsNotTheHead(t *testing.T) {
	n := startFleet(t, cache.Options{Feed: true}, "")[0]
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := n.feeds[0].Changes(ctx, "node", position.Position{}, 1); err != nil { // from now on
		t.Fatal(err)
	}
	if _, err := n.file.Write(t.Context(), func(tx *litedb.Tx) error {
		for i := range feedChunk {
			if err := tx.Change(uint8(store.UserChanged), freshet.ID(i+1), 0, nil); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	held := &heldFeed{ChangeFeed: n.feeds[0].ChangeFeed, next: make(chan struct{})}
	n.feeds[0].ChangeFeed = held
	n.follows(t, "node")
	for held.calls.Load() < 2 { // the first has told a full chunk
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	if n.stack.Health().Trusted {
		t.Error("memory is trusted before it is known that there is no more")
	}
	close(held.next)
	n.awaitsTrust(t, true)
}

// heldFeed has its second call wait.
type heldFeed struct {
	store.ChangeFeed
	calls atomic.Int64
	next  chan struct{}
}

func (f *heldFeed) Changes(ctx context.Context, consumer string, after position.Position, limit int) ([]store.Change, error) {
	if f.calls.Add(1) == 2 {
		<-f.next
	}
	return f.ChangeFeed.Changes(ctx, consumer, after, limit)
}

// What was taken away is served by no node once that is acknowledged, also not by
// one whose consumer has stopped.
func TestWhatIsTakenAwayIsGoneWhereTheFeedIsFollowed(t *testing.T) {
	for _, hears := range []bool{true, false} {
		t.Run(fmt.Sprintf("hears=%t", hears), func(t *testing.T) {
			nodes, stop := startFollowers(t, 2)
			nodes[0].takesAwayFrom(t, nodes[1], func() {
				if !hears {
					stop[1]()
				}
			})
		})
	}
}

// Memory is as fresh as the shard whose feed was asked longest ago, and not before each was heard.
func TestHeardOfAllShards(t *testing.T) {
	h, began := newHeard(2), time.Now()
	one, two := position.Position{System: 1, Offset: 5}, position.Position{System: 2, Offset: 7}
	first, second := position.Position{System: 9, Offset: 1}, position.Position{System: 9, Offset: 2}
	if _, _, _, whole := h.from(0, began, one, first); whole {
		t.Error("one shard of two was heard, and that is all")
	}
	for _, asked := range []time.Time{began.Add(time.Second), began.Add(2 * time.Second)} {
		since, all, dir, whole := h.from(1, asked, two, second)
		if !whole || !since.Equal(began) || !slices.Equal(all, position.Token{one, two}) || dir != first {
			t.Errorf("since %v, up to %v, by %v, %v", since.Sub(began), all, dir, whole)
		}
	}
	if _, _, dir, _ := h.from(0, began.Add(3*time.Second), one, second); dir != second {
		t.Errorf("all were asked under %v, and %v is covered", second, dir)
	}
}
