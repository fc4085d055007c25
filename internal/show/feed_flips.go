package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
	"github.com/freshet/freshet/store/sqlite"
)

const (
	flipsAim = "every feed equal in push, pull, hybrid at 20 and 10,000, and adaptive; at hybrid-20 and adaptive at least 10 % of entries from each path, and 1,000 flips on the way"

	flipStages   = 8 // parts of the walk, between which edges flip
	leastFlips   = 1_000
	leastShare   = 0.10
	smallHybrid  = 20
	largeHybrid  = 10_000
	groupsOfRate = 3
)

// groupReads is how many pages readers of each group read, in an hour of the log and then in a day.
var groupReads = [groupsOfRate]int{0, 2, 30}

// flipMode is one column of point 2.
type flipMode struct {
	name      string
	mode      feed.Mode
	threshold int
	mixed     bool // both paths must have their share
}

var flipModes = []flipMode{
	{"push", feed.Push, largeHybrid, false},
	{"pull", feed.Pull, largeHybrid, false},
	{"hybrid 20", feed.Hybrid, smallHybrid, true},
	{"hybrid 10,000", feed.Hybrid, largeHybrid, false},
	{"adaptive", feed.Adaptive, largeHybrid, true},
}

// measureFlips is point 2.
func measureFlips(ctx context.Context, l *lab) (outcome, error) {
	d, err := l.realData()
	if err != nil {
		return outcome{}, err
	}
	data, _, err := l.firstImport(ctx, d)
	if err != nil {
		return outcome{}, err
	}
	w, err := openImported(ctx, filepath.Join(data, "freshet.db"))
	if err != nil {
		return outcome{}, err
	}
	defer w.db.Close()
	l.detail("%d users, %d follows of whom %d write, %d posts in the store", len(w.users), w.follows, len(w.edges), len(w.posts))
	equal, ok := 0, true
	var figures []string
	for _, m := range flipModes {
		l.say("walking every feed, %s", m.name)
		f, err := w.walkMode(ctx, m)
		if err != nil {
			return outcome{}, fmt.Errorf("%s: %w", m.name, err)
		}
		entries := float64(max(1, f.pushed+f.merged))
		share := float64(f.pushed) / entries
		edges := float64(max(1, f.edgesPushed+f.edgesMerged))
		l.detail("%-13s %d feeds equal, %d entries on %d pages: %.1f %% came by push, %.1f %% by merge; of the edges %.1f %% pushed, %.1f %% merged; %d flips; pages from memory %d, reads of the store %d",
			m.name, f.feeds, f.entries, f.pages, 100*share, 100*(1-share), 100*float64(f.edgesPushed)/edges, 100*float64(f.edgesMerged)/edges, f.flips, f.fromMemory, f.pulled)
		if f.feeds == len(w.users) {
			equal++
		}
		if m.mixed {
			figures = append(figures, fmt.Sprintf("%s %.0f/%.0f %%, %d flips", m.name, 100*share, 100*(1-share), f.flips))
			ok = ok && min(share, 1-share) >= leastShare && f.flips >= leastFlips
		}
	}
	return outcome{
		fmt.Sprintf("%d feeds equal in %d of %d modes; pushed/merged: %s, %s", len(w.users), equal, len(flipModes), figures[0], figures[1]),
		ok && equal == len(flipModes),
	}, nil
}

// imported is the store of an import as what an engine reads.
type imported struct {
	*sqlite.DB
	db      *sqlite.DB
	users   []freshet.ID
	group   map[freshet.ID]int // of rates
	known   map[freshet.ID]freshet.Relations
	counts  map[freshet.ID]int64
	moved   bool // counts near the small threshold are told as beyond it
	posts   []freshet.PostRef
	newest  map[freshet.ID]freshet.PostRef // by author
	edges   [][2]freshet.ID                // reader and followed author who writes
	follows int
	now     time.Time
}

func openImported(ctx context.Context, file string) (*imported, error) {
	db, err := sqlite.Open(ctx, file, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	w := &imported{DB: db, db: db, group: map[freshet.ID]int{}, counts: map[freshet.ID]int64{}, newest: map[freshet.ID]freshet.PostRef{}}
	for after := freshet.ID(0); ; {
		users, err := db.ListUsers(ctx, after, 1_000)
		if err != nil {
			return nil, err
		}
		if len(users) == 0 {
			break
		}
		for _, u := range users {
			w.group[u.ID] = len(w.users) % groupsOfRate
			w.users, w.counts[u.ID], after = append(w.users, u.ID), u.FollowersCount, u.ID
			refs, err := db.ByAuthor(ctx, u.ID, 0, 1_000_000)
			if err != nil {
				return nil, err
			}
			if len(refs) > 0 {
				w.posts, w.newest[u.ID] = append(w.posts, refs...), refs[0]
			}
		}
	}
	slices.SortFunc(w.posts, func(a, b freshet.PostRef) int { return int(min(max(a.ID-b.ID, -1), 1)) })
	if w.known, err = db.Relations(ctx, w.users); err != nil {
		return nil, err
	}
	for _, reader := range w.users {
		for _, author := range w.known[reader].Following {
			w.follows++
			if _, writes := w.newest[author]; writes {
				w.edges = append(w.edges, [2]freshet.ID{reader, author})
			}
		}
	}
	return w, nil
}

func (w *imported) Relations(_ context.Context, reader freshet.ID) (*freshet.Relations, error) {
	r := w.known[reader]
	return &r, nil
}

// Audience is how many follow whom; after a flip those near the small threshold have crossed it.
// Refs is asked by no engine that keeps its timelines in memory.
func (w *imported) Refs(context.Context, []freshet.ID) ([]freshet.PostRef, error) { return nil, nil }

func (w *imported) Audience(_ context.Context, users []freshet.ID) ([]int64, error) {
	sizes := make([]int64, len(users))
	for i, u := range users {
		if sizes[i] = w.counts[u]; w.moved && sizes[i] >= smallHybrid/2 && sizes[i] < 2*smallHybrid {
			sizes[i] = 3*smallHybrid/2 - sizes[i] // what was above lies below and the other way round
			if sizes[i] < smallHybrid/4 {
				sizes[i] = 1
			}
			sizes[i] += smallHybrid / 4
		}
	}
	return sizes, nil
}

// walkedMode is what a walk of all feeds in one mode has seen.
type walkedMode struct {
	feeds, entries, pages    int
	pushed, merged           int // entries, by where they were found
	edgesPushed, edgesMerged int
	flips                    int
	fromMemory, pulled       int64
}

// walkMode has an engine live through the log of posts and reads, then walks every feed in parts, between which edges
// flip, and holds each to the posts of the followed and the reader's own.
func (w *imported) walkMode(ctx context.Context, m flipMode) (f walkedMode, err error) {
	w.now, w.moved = w.posts[0].ID.Time(), false
	e := memory.New(memory.Options{
		Mode: m.mode, Threshold: m.threshold, Source: w, Graph: w, Now: func() time.Time { return w.now },
	})
	if err := w.replay(ctx, e); err != nil {
		return f, err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	order := rng.Perm(len(w.users))
	var edges []bool
	for stage := range flipStages {
		if edges, err = w.flip(ctx, e, m, stage, edges, &f); err != nil {
			return f, err
		}
		from, to := stage*len(order)/flipStages, (stage+1)*len(order)/flipStages
		for _, i := range order[from:to] {
			if err := w.walkFeed(ctx, e, w.users[i], &f); err != nil {
				return f, err
			}
		}
	}
	for _, pushed := range edges {
		if pushed {
			f.edgesPushed++
		} else {
			f.edgesMerged++
		}
	}
	s := e.Stats()
	f.fromMemory, f.pulled = s.FromMemory, s.Pulled
	return f, nil
}

// replay has all posts come again, as they came, and the groups read in between: an hour of the log at a time.
func (w *imported) replay(ctx context.Context, e *memory.Engine) error {
	hour := w.now
	for _, post := range w.posts {
		for w.now = post.ID.Time(); w.now.Sub(hour) >= time.Hour; hour = hour.Add(time.Hour) {
			if w.now.Sub(hour) > 24*time.Hour { // nothing happened for long
				hour = w.now.Add(-time.Hour)
			}
			if err := w.read(ctx, e, 0); err != nil {
				return err
			}
		}
		if err := deliver(ctx, e, post); err != nil {
			return err
		}
	}
	return nil
}

// busyDay has everybody post again what they have posted, every hour of a day. For the feeds that is without effect; for
// the rates it is what the log alone has too little of, a post a head.
func (w *imported) busyDay(ctx context.Context, e *memory.Engine) error {
	for range 24 {
		w.now = w.now.Add(time.Hour)
		for _, post := range w.posts {
			if err := deliver(ctx, e, post); err != nil {
				return err
			}
		}
	}
	return nil
}

// read has each reader read as often as the group does in an hour; shift moves the groups on.
func (w *imported) read(ctx context.Context, e *memory.Engine, shift int) error {
	var p pageOf
	for i, reader := range w.users {
		for range groupReads[(i+shift)%groupsOfRate] {
			if _, err := p.first(ctx, e, reader); err != nil {
				return err
			}
		}
	}
	return nil
}

// flip lets a day pass after which the groups read at each other's rates, and the counts of followers cross the threshold.
// It gives by which way each edge comes now, and counts those that changed.
func (w *imported) flip(ctx context.Context, e *memory.Engine, m flipMode, stage int, before []bool, f *walkedMode) ([]bool, error) {
	if stage > 0 && m.mixed {
		w.moved = !w.moved
		if err := w.busyDay(ctx, e); err != nil {
			return nil, err
		}
		if m.mode == feed.Hybrid {
			e.Void(w.users...) // as the follows would that move the counts
		}
		if err := w.read(ctx, e, stage); err != nil {
			return nil, err
		}
		w.now = w.now.Add(time.Hour) // a day has passed since the last flip: plans are of age
	}
	var p pageOf
	for _, reader := range w.users { // by which the plan is made, where there is one
		if _, err := p.first(ctx, e, reader); err != nil {
			return nil, err
		}
	}
	edges := make([]bool, len(w.edges))
	for i, edge := range w.edges {
		x, err := e.Explain(ctx, edge[0], w.newest[edge[1]])
		if err != nil {
			return nil, err
		}
		edges[i] = x.Edge == feed.Pushed
		if before != nil && edges[i] != before[i] {
			f.flips++
		}
	}
	return edges, nil
}

// walkFeed walks a feed from page to page.
func (w *imported) walkFeed(ctx context.Context, e *memory.Engine, reader freshet.ID, f *walkedMode) error {
	want := w.feed(reader)
	q := feed.Query{Reader: reader, Limit: pageSize, Into: make([]freshet.PostRef, 0, pageSize)}
	for {
		page, err := e.Page(ctx, q)
		if err != nil {
			return err
		}
		if len(page.Refs) > len(want) || !slices.Equal(page.Refs, want[:len(page.Refs)]) {
			return fmt.Errorf("the feed of %s differs below %s", reader, q.Before)
		}
		want = want[len(page.Refs):]
		f.pages++
		for _, post := range page.Refs {
			x, err := e.Explain(ctx, reader, post)
			if err != nil {
				return err
			}
			if f.entries++; x.Edge == feed.Pushed {
				f.pushed++
			} else {
				f.merged++
			}
		}
		if q.Before = page.Scanned; q.Before == 0 {
			break
		}
	}
	if len(want) > 0 {
		return fmt.Errorf("the feed of %s ends %d posts early", reader, len(want))
	}
	f.feeds++
	return nil
}

// feed is what a home feed is: the posts of the followed and the reader's own, newest first.
func (w *imported) feed(reader freshet.ID) (refs []freshet.PostRef) {
	r := w.known[reader]
	for i := len(w.posts) - 1; i >= 0; i-- {
		if p := w.posts[i]; p.Author == reader || r.Follows(p.Author) {
			refs = append(refs, p)
		}
	}
	return refs
}
