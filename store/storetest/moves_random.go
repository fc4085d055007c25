package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var randomMoveCases = []moveCase{{name: "NothingIsLostWhateverIsWritten", test: testRandomMove, short: true}}

// testRandomMove writes at random on the source while rows are copied and notes brought over.
func testRandomMove(x *moves) {
	for seed := range uint64(size(2, 1)) {
		x.Logf("the story of seed %d", seed)
		r := &randomMove{moves: x, rng: rand.New(rand.NewPCG(seed, 2))}
		buckets := []int{x.fresh(0), x.fresh(0), x.fresh(0)}
		for i := range 9 {
			r.users = append(r.users, x.in(0, buckets[i%3], freshet.NewUser{}))
		}
		r.users = append(r.users, x.in(1, x.fresh(1), freshet.NewUser{}))
		for range 60 {
			r.write()
		}
		x.begin(0, 1, buckets[:2]...)
		r.whileCopying(size(250, 80))
		x.flip()
		x.agree()
		x.drop(1000)
		x.end()
	}
}

type randomMove struct {
	*moves
	rng      *rand.Rand
	users    []freshet.ID // six go, three stay, one is elsewhere
	posts    []freshet.ID
	comments []freshet.ID
}

// whileCopying writes beside a mover that copies and then brings over what changes.
func (r *randomMove) whileCopying(writes int) {
	r.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	var err error
	wg.Go(func() {
		err = r.mirror(done)
	})
	for range writes {
		r.write()
	}
	close(done)
	wg.Wait()
	r.ok(err)
}

// mirror is copy and drain for another goroutine than the test's.
func (r *randomMove) mirror(done chan struct{}) error {
	src, dst := r.mover(r.src), r.mover(r.dst)
	drain := func() error {
		noted, err := src.Noted(r.ctx, 0, 20)
		if err != nil || len(noted.Notes) == 0 {
			return err
		}
		if err := dst.PutRows(r.ctx, r.st.term, noted.Changes); err != nil {
			return fmt.Errorf("put what was noted: %w", err)
		}
		return src.ForgetNotes(r.ctx, r.st.term, noted.Notes)
	}
	for _, t := range store.Tables() {
		for after := store.Row(nil); ; {
			page, err := src.Rows(r.ctx, t, after, 10)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			if err := dst.PutRows(r.ctx, r.st.term, []store.TableRows{{Table: t, Rows: page}}); err != nil {
				return fmt.Errorf("put rows of %s: %w", t, err)
			}
			if err := drain(); err != nil {
				return err
			}
			after = page[len(page)-1][:t.KeyLen()]
		}
	}
	for {
		select {
		case <-done:
			return nil
		default:
			if err := drain(); err != nil {
				return err
			}
		}
	}
}

func one[T any](r *rand.Rand, list []T) (v T) {
	if len(list) > 0 {
		v = list[r.IntN(len(list))]
	}
	return v
}

// write writes something on the source by, or to, users of whom some go, some stay and one is elsewhere.
func (r *randomMove) write() {
	r.Helper()
	p, w := r.p[0], store.Write{}
	here := r.users[:len(r.users)-1]
	a, b, post := one(r.rng, here), one(r.rng, r.users), one(r.rng, r.posts)
	var err error
	switch op := r.rng.IntN(23); op {
	case 0, 1, 2:
		err = third(p.Follow(r.ctx, a, b, w))
	case 3:
		err = third(p.Unfollow(r.ctx, a, b, w))
	case 4:
		err = third(p.Block(r.ctx, a, b, w))
	case 5:
		err = third(p.Unblock(r.ctx, a, b, w))
	case 6:
		err = third(p.Mute(r.ctx, a, b, w))
	case 7:
		err = third(p.Unmute(r.ctx, a, b, w))
	case 8, 9, 10:
		var made freshet.Post
		made, _, err = p.CreatePost(r.ctx, freshet.NewPost{Author: a, Text: "x", Ref: fmt.Sprint(r.rng.IntN(20))}, store.Write{Idempotency: r.key()})
		r.posts = append(r.posts, made.ID)
	case 11:
		err = third(p.EditPost(r.ctx, a, post, freshet.PostPatch{Text: ptr(fmt.Sprint(r.rng.Int()))}, w))
	case 12:
		err = second(p.DeletePost(r.ctx, a, post, w))
	case 13, 14:
		err = fourth(p.Like(r.ctx, b, post, w))
	case 15:
		err = fourth(p.Unlike(r.ctx, b, post, w))
	case 16, 17:
		var made freshet.Comment
		made, _, err = p.CreateComment(r.ctx, freshet.NewComment{Post: post, Author: b, Text: "x"}, w)
		r.comments = append(r.comments, made.ID)
	case 18:
		err = third(p.DeleteComment(r.ctx, b, one(r.rng, r.comments), w))
	case 19:
		err = third(p.CreateSession(r.ctx, freshet.Session{User: a, Hash: r.unique(), ExpiresAt: instant}, w))
	case 20:
		err = p.CountViews(r.ctx, (&scene{moves: r.moves}).seen(post))
	case 21:
		err = third(p.UpdateUser(r.ctx, a, freshet.UserPatch{Bio: ptr(fmt.Sprint(r.rng.Int()))}, w))
	default:
		if r.rng.IntN(20) == 0 {
			err = third(p.EraseUser(r.ctx, a, w))
		}
	}
	if code := freshet.CodeOf(err); err != nil && code != freshet.CodeNotFound && code != freshet.CodeConflict && code != freshet.CodeInvalid ||
		errors.Is(err, store.ErrMoved) {
		r.Fatal(err)
	}
}
