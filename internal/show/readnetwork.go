package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"
)

// The generated network of point 3: readers who follow much, authors who write.
const (
	readers      = 200
	authors      = 2_800
	followsLeast = 500
	followsMost  = 1_000
	authorFollow = 20
	history      = 30_000 // posts from before
	historySpan  = 30 * 24 * time.Hour
)

// readNetwork is the network on a node: every reader has a session.
type readNetwork struct {
	*dataset
	ids      []string       // by place in users
	place    map[string]int // of a user by handle
	readers  []reader
	byReader [][]bool // whom a reader's page shows, by place: the followed and the reader
}

// reader is one who is signed in.
type reader struct {
	handle  string
	session string   // its Authorization
	follows []string // handles
}

// buildNetwork signs the readers up and in, and imports the rest beside them.
func (l *lab) buildNetwork(ctx context.Context, n *node, key string) (*readNetwork, error) {
	rng := l.newRand()
	net := &readNetwork{place: map[string]int{}, readers: make([]reader, readers)}
	var err error
	if net.dataset, err = l.writeNetwork(rng); err != nil {
		return nil, err
	}
	l.say("signing %d readers up and in", readers)
	c := newClient(n.url, "", 4)
	defer c.close()
	if err := each(ctx, 2, readers, func(ctx context.Context, i int) error {
		r := &net.readers[i]
		r.handle, r.follows = readerName(i), net.network.Followed(readerName(i))
		r.session, err = signUp(ctx, c, r.handle)
		return err
	}); err != nil {
		return nil, err
	}
	l.say("importing the network")
	if _, err := l.imports(ctx, n.data, net.follows, net.posts); err != nil {
		return nil, err
	}
	return net, net.find(ctx, c.as("Bearer "+key))
}

// signUp makes a user and begins a session; it gives the session's Authorization.
func signUp(ctx context.Context, c *client, handle string) (string, error) {
	const password = "correct horse battery"
	var signedIn struct {
		Token string `json:"token"`
	}
	err := c.do(ctx, request{method: "POST", path: "/v1/users", body: map[string]string{"handle": handle, "name": handle, "password": password}}, nil)
	if err == nil {
		err = c.do(ctx, request{method: "POST", path: "/v1/sessions", body: map[string]string{"handle": handle, "password": password}}, &signedIn)
	}
	return "Bearer " + signedIn.Token, err
}

// find learns the ids and whom each reader's page shows.
func (net *readNetwork) find(ctx context.Context, c *client) error {
	net.ids = make([]string, len(net.users))
	for i, handle := range net.users {
		net.place[handle] = i
	}
	if err := each(ctx, 4, len(net.users), func(ctx context.Context, i int) (err error) {
		net.ids[i], err = checkUser(ctx, c, net.network, net.users[i])
		return err
	}); err != nil {
		return err
	}
	net.byReader = make([][]bool, len(net.readers))
	for i, r := range net.readers {
		shows := make([]bool, len(net.users))
		for _, handle := range append([]string{r.handle}, r.follows...) {
			shows[net.place[handle]] = true
		}
		net.byReader[i] = shows
	}
	return nil
}

func readerName(i int) string { return fmt.Sprintf("reader%d", i) }

func authorName(i int) string { return fmt.Sprintf("author%d", i) }

// writeNetwork draws the network and writes its files.
func (l *lab) writeNetwork(rng *rand.Rand) (*dataset, error) {
	name := func(i int) string {
		if i < readers {
			return readerName(i)
		}
		return authorName(i - readers)
	}
	fame := rand.NewZipf(rng, 1.2, 400, readers+authors-1)
	var follows [][]string
	for i := range readers + authors {
		n := authorFollow
		if i < readers {
			n = followsLeast + rng.IntN(followsMost-followsLeast+1)
		}
		for done := map[int]bool{i: true}; len(done) <= n; {
			if to := int(fame.Uint64()); !done[to] {
				done[to] = true
				follows = append(follows, []string{name(i), name(to)})
			}
		}
	}
	posts := make([][]string, history)
	begin := time.Now().Add(-historySpan - time.Hour).Truncate(time.Second)
	for i := range posts {
		at := begin.Add(time.Duration(i) * (historySpan / history)).Truncate(time.Second)
		posts[i] = []string{name(rng.IntN(readers + authors)), at.UTC().Format(time.RFC3339), postText(rng, fmt.Sprint("history ", i))}
	}
	dir := l.dir
	f, p := filepath.Join(dir, "generated-follows.csv"), filepath.Join(dir, "generated-posts.csv")
	if err := errors.Join(writeCSV(f, "follower,followee", follows), writeCSV(p, "author,created_at,text", posts)); err != nil {
		return nil, err
	}
	return readDataset(f, p)
}

// postText draws a text of 60 to 200 characters that begins with what makes it
// unlike every other.
func postText(rng *rand.Rand, unique string) string {
	var b strings.Builder
	b.WriteString(unique)
	for want := 60 + rng.IntN(140); b.Len() < want; {
		b.WriteByte(' ')
		b.WriteString(words[rng.IntN(len(words))])
	}
	return b.String()
}

var words = strings.Fields(`the feed is a list of what others wrote and reading it is what most people do most of the
	time so it has to be quick right and complete naïve café “quoted” 🥊 ñandú été`)
