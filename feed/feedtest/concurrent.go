package feedtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/freshet/freshet"
)

// RunConcurrent lets every user write and read at once, in each system by
// itself, and then judges each page that was read: it must hold what was
// acknowledged before it was asked for, and nothing that was not begun before
// it came. It takes Options.Ops operations in all; only Restart is left out.
func RunConcurrent(t *testing.T, open Open, o Options) {
	t.Helper()
	o = o.withDefaults()
	for name, s := range open(t, o.Users) {
		t.Run(name, func(t *testing.T) {
			posts, pages, err := playConcurrently(s, o)
			if err != nil {
				t.Fatalf("seed %d: %v", o.Seed, err)
			}
			t.Logf("%d operations on each of 1 systems: %d posts, %d pages", o.Ops, posts, pages)
		})
	}
}

// playConcurrently lets the users loose on a system, reads all feeds once they
// rest, and judges.
func playConcurrently(s System, o Options) (posts, pages int, err error) {
	h := newHistory(o.Users)
	actors := make([]*actor, o.Users)
	var users sync.WaitGroup
	for i := range actors {
		actors[i] = &actor{
			user: i + 1, users: o.Users, system: s, history: h,
			random: rand.New(rand.NewPCG(o.Seed, uint64(i))),
		}
		users.Go(func() { actors[i].act(o.Ops / o.Users) })
	}
	users.Wait()
	var reads []*reading
	for _, a := range actors {
		a.walk(a.user, math.MaxInt)
		if a.err != nil {
			return 0, 0, fmt.Errorf("user %d: %w", a.user, a.err)
		}
		reads = append(reads, a.reads...)
	}
	return len(h.posts), len(reads), h.judge(reads)
}

// reading is one page that was read.
type reading struct {
	span
	reader int
	before freshet.ID
	limit  int
	page   Page
}

// actor is a user who does random things until one of them fails.
type actor struct {
	user, users int
	system      System
	history     *history
	random      *rand.Rand
	own         []*record // posts that still stand
	reads       []*reading
	err         error
}

func (a *actor) act(ops int) {
	for i := 0; i < ops && a.err == nil; i++ {
		other := 1 + a.random.IntN(a.users)
		switch kind := mix[a.random.IntN(len(mix))]; {
		case kind == opPost:
			a.post(i)
		case kind == opEdit || kind == opDelete:
			a.change(kind, i)
		case kind == opRead:
			a.walk(other, 1+a.random.IntN(2))
		case kind == opWalk || kind == opRestart:
			a.walk(a.user, 100)
		case other != a.user:
			a.relate(kind, other)
		}
	}
}

// timed runs an operation and gives when it ran.
func (a *actor) timed(do func() error) (s span) {
	s.begin = a.history.tick()
	a.err = do()
	s.end = a.history.tick()
	return s
}

func (a *actor) post(i int) {
	r := &record{PageItem: PageItem{Author: a.user, Text: fmt.Sprintf("post %d of user %d", i, a.user)}}
	s := a.timed(func() (err error) { r.ID, err = a.system.Post(a.user, r.Text); return err })
	if a.err != nil {
		return
	}
	r.there.wrote(s, true)
	r.text.wrote(s, r.Text)
	a.own = append(a.own, r)
	a.history.mu.Lock()
	defer a.history.mu.Unlock()
	a.history.posts = append(a.history.posts, r)
}

func (a *actor) change(k kind, i int) {
	if len(a.own) == 0 {
		return
	}
	at := max(0, len(a.own)-1-a.random.IntN(10))
	r := a.own[at]
	if k == opDelete {
		r.there.wrote(a.timed(func() error { return a.system.Delete(a.user, r.ID) }), false)
		a.own = slices.Delete(a.own, at, at+1)
		return
	}
	text := fmt.Sprintf("%s, edit %d", r.Text, i)
	r.text.wrote(a.timed(func() error { return a.system.Edit(a.user, r.ID, text) }), text)
}

func (a *actor) relate(k kind, other int) {
	write := map[kind]func(actor, target int) error{
		opFollow: a.system.Follow, opUnfollow: a.system.Unfollow, opBlock: a.system.Block,
		opUnblock: a.system.Unblock, opMute: a.system.Mute, opUnmute: a.system.Unmute,
	}[k]
	s := a.timed(func() error { return write(a.user, other) })
	if k == opFollow && freshet.CodeOf(a.err) == freshet.CodeNotFound {
		a.err = nil // blocked
		return
	}
	switch k {
	case opFollow, opUnfollow:
		a.history.edge(follows, a.user, other).wrote(s, k == opFollow)
	case opMute, opUnmute:
		a.history.edge(mutes, a.user, other).wrote(s, k == opMute)
	case opBlock:
		a.history.edge(follows, a.user, other).wrote(s, false)
		a.history.edge(follows, other, a.user).wrote(s, false)
		fallthrough
	case opUnblock:
		a.history.edge(blocks, a.user, other).wrote(s, k == opBlock)
	}
}

// walk reads a feed from the top, for so many pages or to its end.
func (a *actor) walk(reader, pages int) {
	r := &reading{reader: reader}
	for i := 0; i < pages && a.err == nil && (i == 0 || r.page.Next != 0); i++ {
		r = &reading{reader: reader, before: r.page.Next, limit: 1 + a.random.IntN(20)}
		r.span = a.timed(func() (err error) { r.page, err = a.system.Page(reader, r.before, r.limit); return err })
		a.reads = append(a.reads, r)
	}
}
