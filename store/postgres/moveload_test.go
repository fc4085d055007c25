package postgres_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
)

// writers write without a pause, each about a user and a post of its own, and remember what was acknowledged.
type writers struct {
	m        *moving
	users    []freshet.ID // who move
	post     freshet.ID   // of one who stays on the first part
	mu       sync.Mutex
	posts    map[freshet.ID][]freshet.ID
	follows  map[[2]freshet.ID]bool
	likes    map[[2]freshet.ID]bool // by post and user
	refused  int
	failures []error
}

// write makes one write on whichever part takes it: the directory is what says ErrMoved.
func (w *writers) write(op func(db *postgres.DB) error) bool {
	for try := range 1000 {
		err := op(w.m.db[try%2])
		if err == nil {
			return true
		}
		w.mu.Lock()
		if w.refused++; !errors.Is(err, store.ErrMoved) {
			w.failures = append(w.failures, err)
		}
		stop := len(w.failures) > 0
		w.mu.Unlock()
		if stop {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

func (w *writers) one(t *testing.T, r *rand.Rand, me freshet.ID) {
	other := w.users[r.IntN(len(w.users))]
	on := r.IntN(3) > 0
	switch kind := r.IntN(5); {
	case kind == 0:
		var p freshet.Post
		if w.write(func(db *postgres.DB) (err error) {
			p, _, err = db.CreatePost(t.Context(), freshet.NewPost{Author: me, Text: "text"}, store.Write{})
			return err
		}) {
			w.mu.Lock()
			w.posts[me] = append(w.posts[me], p.ID)
			w.mu.Unlock()
		}
	case kind < 3 && other != me:
		if w.write(func(db *postgres.DB) (err error) {
			if on {
				_, _, err = db.Follow(t.Context(), me, other, store.Write{})
			} else {
				_, _, err = db.Unfollow(t.Context(), me, other, store.Write{})
			}
			return err
		}) {
			w.mu.Lock()
			w.follows[[2]freshet.ID{me, other}] = on
			w.mu.Unlock()
		}
	default:
		w.mu.Lock()
		post := w.post
		if all := w.posts[other]; len(all) > 0 && kind == 4 {
			post = all[r.IntN(len(all))]
		}
		w.mu.Unlock()
		if w.write(func(db *postgres.DB) (err error) {
			if post == w.post && db != w.m.db[0] {
				return store.ErrMoved // of its author
			}
			if on {
				_, _, _, err = db.Like(t.Context(), me, post, store.Write{})
			} else {
				_, _, _, err = db.Unlike(t.Context(), me, post, store.Write{})
			}
			return err
		}) {
			w.mu.Lock()
			w.likes[[2]freshet.ID{post, me}] = on
			w.mu.Unlock()
		}
	}
}

// compare wants all that was acknowledged, and nothing else, on the part that has the users.
func (w *writers) compare(t *testing.T, part int) {
	t.Helper()
	db := w.m.db[part]
	for _, id := range w.users {
		var have []freshet.ID
		refs, err := db.ByAuthor(t.Context(), id, 0, 10_000)
		w.m.ok(err)
		for _, ref := range refs {
			have = append(have, ref.ID)
		}
		slices.Reverse(have)
		if !slices.Equal(have, w.posts[id]) {
			t.Errorf("%s has %d posts, acknowledged were %d", id, len(have), len(w.posts[id]))
		}
	}
	relations, err := db.Relations(t.Context(), w.users)
	w.m.ok(err)
	for pair, on := range w.follows {
		if slices.Contains(relations[pair[0]].Following, pair[1]) != on {
			t.Errorf("%s follows %s: %t was acknowledged", pair[0], pair[1], on)
		}
	}
	for pair, on := range w.likes {
		at := db
		if pair[0] == w.post {
			at = w.m.db[0]
		}
		liked, err := at.Liked(t.Context(), pair[1], []freshet.ID{pair[0]})
		w.m.ok(err)
		if (len(liked) == 1) != on {
			t.Errorf("%s likes %s: %t was acknowledged", pair[1], pair[0], on)
		}
	}
	for _, db := range w.m.db {
		sound(t, db)
	}
}

// However many write while buckets go there and back, what was acknowledged has moved.
func TestWhatWasAcknowledgedHasMoved(t *testing.T) {
	m := startMoving(t)
	w := &writers{m: m, posts: make(map[freshet.ID][]freshet.ID), follows: make(map[[2]freshet.ID]bool), likes: make(map[[2]freshet.ID]bool)}
	for range 12 {
		w.users = append(w.users, m.live(0))
	}
	w.post = m.post(0, m.live(0))
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i, me := range w.users {
		all.Go(func() {
			for r := rand.New(rand.NewPCG(1, uint64(i))); ; {
				select {
				case <-stop:
					return
				default:
					w.one(t, r, me)
				}
			}
		})
	}
	halt := sync.OnceFunc(func() {
		close(stop)
		all.Wait()
	})
	defer halt()
	m.begin(w.users...)
	for round := range 3 {
		if round > 0 { // the way back: all that the other part still has is put right by the notes alone
			m.src, m.dst = m.dst, m.src
		} else {
			m.copy()
		}
		m.drain()
		m.leave()
		m.join()
	}
	halt()
	if len(w.failures) > 0 {
		t.Fatal(w.failures)
	}
	if w.refused == 0 {
		t.Error("nothing was refused: no write has met the fence")
	}
	w.compare(t, m.dst)
}
