package postgres_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
)

// pair is two parts with half the buckets each; the first is home.
type pair struct {
	db   [2]*postgres.DB
	file [2]*pgdb.DB
	has  [2]store.Buckets
}

func openPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{}
	for n := range freshet.Buckets {
		p.has[n*2/freshet.Buckets].Add(n)
	}
	for i := range p.db {
		p.db[i], p.file[i] = open(t)
		if err := p.db[i].SetElsewhere(t.Context(), p.has[1-i]); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// user signs somebody up on a part.
func (p *pair) user(t *testing.T, part int, handle string) freshet.ID {
	t.Helper()
	id, err := p.db[part].DrawUserID(t.Context(), part*freshet.Buckets/2+7)
	if err != nil {
		t.Fatal(err)
	}
	c := store.NameClaim{ID: id, User: id, Handle: handle}
	taken, err1 := p.db[0].ClaimNames(t.Context(), c)
	_, _, err2 := p.db[part].CreateNamed(t.Context(), id, freshet.NewUser{Handle: handle}, store.Write{})
	_, err3 := p.db[0].SettleNames(t.Context(), c, true)
	if err := errors.Join(err1, err2, err3); err != nil || len(taken) > 0 {
		t.Fatal(err, taken)
	}
	return id
}

// carry tells the other part what a part has to tell, up to limit mirrors, and reports how many there were.
func (p *pair) carry(t *testing.T, from, limit int) (int, error) {
	list, err := p.db[from].Pending(t.Context(), p.has[1-from], limit)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	applied, _, err := p.db[1-from].Apply(t.Context(), list)
	if err != nil {
		return 0, fmt.Errorf("apply: %w", err)
	}
	done := make([]store.Settled, len(list))
	for i, m := range list {
		done[i] = store.Settled{ID: m.ID, Refused: applied[i].Refused}
	}
	_, err = p.db[from].Settle(t.Context(), done)
	return len(list), err
}

// agree wants equal halves and sound parts.
func (p *pair) agree(t *testing.T) {
	t.Helper()
	for _, blocks := range []bool{false, true} {
		for i := range p.db {
			mine, err1 := p.db[i].Halves(t.Context(), store.HalfQuery{Blocks: blocks, Limit: 1000})
			theirs, err2 := p.db[1-i].Halves(t.Context(), store.HalfQuery{Blocks: blocks, Mirror: true, Limit: 1000})
			for k, h := range theirs {
				theirs[k].Here, theirs[k].There = h.There, h.Here
			}
			slices.SortFunc(theirs, func(a, b store.Half) int { return int(a.Edge - b.Edge) })
			slices.SortFunc(mine, func(a, b store.Half) int { return int(a.Edge - b.Edge) })
			if err := errors.Join(err1, err2); err != nil || !slices.Equal(mine, theirs) {
				t.Errorf("blocks %t, of part %d: %v\n%v\n%v", blocks, i, err, mine, theirs)
			}
		}
	}
	for i := range p.db {
		sound(t, p.db[i])
	}
}

// Writers on both parts, and two at a time who carry the same mirrors: nothing is made twice, and nothing is left out.
func TestHalvesAgreeWhoeverCarriesThem(t *testing.T) {
	const writes = 120
	p := openPair(t)
	var users []freshet.ID
	var posts [2]freshet.ID
	for i := range 6 {
		users = append(users, p.user(t, i%2, fmt.Sprint("u", i)))
	}
	for i := range posts {
		post, _, err := p.db[i].CreatePost(t.Context(), freshet.NewPost{Author: users[i], Text: "x"}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		posts[i] = post.ID
	}
	var writers, carriers sync.WaitGroup
	written := make(chan struct{})
	for n := range 4 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			for range writes {
				i := rng.IntN(len(users))
				k := (i + 1 + rng.IntN(len(users)-1)) % len(users)
				db, a, b, w := p.db[i%2], users[i], users[k], store.Write{}
				var err error
				switch op := rng.IntN(100); {
				case op < 50:
					_, _, err = db.Follow(t.Context(), a, b, w)
				case op < 70:
					_, _, err = db.Unfollow(t.Context(), a, b, w)
				case op < 78:
					_, _, err = db.Block(t.Context(), a, b, w)
				case op < 90:
					_, _, err = db.Unblock(t.Context(), a, b, w)
				case op < 99:
					_, _, _, err = p.db[k%2].Like(t.Context(), a, posts[k%2], w)
				default:
					_, _, err = db.EraseUser(t.Context(), users[2+i%2], w) // once each; their own parts
				}
				if err != nil && freshet.CodeOf(err) != freshet.CodeNotFound {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range 4 {
		carriers.Go(func() {
			for ended := false; ; {
				told, err := p.carry(t, n%2, 3+n)
				if err != nil {
					t.Error(err)
					return
				}
				if told > 0 {
					continue
				}
				if ended {
					return
				}
				select {
				case <-written:
					ended = true
				default:
				}
			}
		})
	}
	writers.Wait()
	close(written)
	carriers.Wait()
	for left := 1; left > 0; { // what the last of them had to tell in return
		left = 0
		for i := range p.db {
			n, err := p.carry(t, i, 100)
			if err != nil {
				t.Fatal(err)
			}
			left += n
		}
	}
	p.agree(t)
}

// What a user does here at the moment when its erasure elsewhere is heard of goes with the rest.
func TestNothingOutlivesAnErasureElsewhere(t *testing.T) {
	p := openPair(t)
	ada := p.user(t, 0, "ada")
	post, _, err := p.db[0].CreatePost(t.Context(), freshet.NewPost{Author: ada, Text: "x"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	for what, held := range map[string]string{
		"like":    "SELECT like_post($1, $2, NULL) FROM (VALUES ($3::bigint)) AS ada",
		"likes":   "SELECT like_many(true, ARRAY[$1::bigint], ARRAY[$2::bigint], NULL) FROM (VALUES ($3::bigint)) AS ada",
		"comment": "SELECT create_comment($1, $2, 'x', NULL) FROM (VALUES ($3::bigint)) AS ada",
		"mute":    "SELECT mute($3, $1, NULL) FROM (VALUES ($2::bigint)) AS post",
	} {
		t.Run(what, func(t *testing.T) {
			gone := p.user(t, 1, "gone"+what)
			if _, _, err := p.db[1].EraseUser(t.Context(), gone, store.Write{}); err != nil {
				t.Fatal(err)
			}
			during(t, p.file[0], func() error {
				_, err := p.carry(t, 1, 10)
				return err
			}, held, int64(gone), int64(post.ID), int64(ada))
			mutes, err1 := p.db[0].Mutes(t.Context(), ada, 0, 9)
			liked, err2 := p.db[0].LikedBy(t.Context(), gone, 0, 9)
			comments, err3 := p.db[0].CommentsBy(t.Context(), gone, 0, 9)
			if err := errors.Join(err1, err2, err3); err != nil || len(mutes)+len(liked)+len(comments) > 0 {
				t.Fatal(err, mutes, liked, comments)
			}
			p.agree(t)
		})
	}
}

// Who applies what is just being applied waits for it, and is told the same.
func TestTheSameMirrorTogether(t *testing.T) {
	p := openPair(t)
	ada, bob := p.user(t, 0, "ada"), p.user(t, 1, "bob")
	if _, _, err := p.db[1].Block(t.Context(), bob, ada, store.Write{}); err != nil {
		t.Fatal(err)
	}
	made, _, err := p.db[0].Follow(t.Context(), ada, bob, store.Write{})
	if err != nil || !made {
		t.Fatal(made, err)
	}
	list, err := p.db[0].Pending(t.Context(), p.has[1], 10)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	var out []store.Applied
	m := list[0]
	during(t, p.file[1], func() (err error) {
		out, _, err = p.db[1].Apply(t.Context(), list)
		return err
	}, "SELECT apply_mirrors(ARRAY[$1::bigint], ARRAY[1], ARRAY[$2::bigint], ARRAY[$3::bigint], ARRAY[$4::bigint], '{}', '{0}', NULL)",
		int64(m.ID), int64(m.Actor), int64(m.Target), int64(m.Edge))
	if len(out) != 1 || !out[0].Refused {
		t.Errorf("applied %+v, want refused", out)
	}
}

// Who ends a claim waits for who uses it, and so is told how the user is called from then on.
func TestAClaimIsEndedBehindItsUse(t *testing.T) {
	p := openPair(t)
	bob, err := p.db[1].DrawUserID(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ claim, want, held string }{
		{"the first", "bob", "SELECT create_named($1::bigint, 'bob', '', '', '', '', '', false, NULL)"},
		{"a later one", "rob", "SELECT update_named($1::bigint, $1::bigint + 1, 'rob', NULL, NULL, NULL, NULL)"},
	} {
		claim := bob
		if step.want == "rob" {
			claim++
		}
		var handle string
		during(t, p.file[1], func() (err error) {
			handle, _, err = p.db[1].EndClaim(t.Context(), claim, bob)
			return err
		}, step.held, int64(bob))
		if handle != step.want {
			t.Errorf("%s claim: called %q, want %q", step.claim, handle, step.want)
		}
	}
}

// Views of posts that are elsewhere are not passed over as those of posts that are gone.
func TestViewsElsewhereHaveMoved(t *testing.T) {
	p := openPair(t)
	batch := store.ViewBatch{Journal: [16]byte{1}, Seq: 1, Posts: []store.ViewedPost{{Post: freshet.NewID(1, 1000, 1)}}}
	if err := p.db[0].CountViews(t.Context(), batch); !errors.Is(err, store.ErrMoved) {
		t.Errorf("got %v, want ErrMoved", err)
	}
	if err := p.db[1].CountViews(t.Context(), batch); err != nil {
		t.Error(err)
	}
	if seq, err := p.db[0].CountedViews(t.Context(), batch.Journal); err != nil || seq != 0 {
		t.Errorf("the batch counts as added: %d, %v", seq, err)
	}
}

// What was applied is known for a day, and no longer than is needed.
func TestAppliedMirrorsAreForgottenAfterADay(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	db, file := openAt(t, server.CreateDatabase(t), pgdb.Options{Now: func() time.Time { return now }})
	ended := store.Mirror{Kind: store.BlockEnded, Actor: freshet.NewID(1, 1000, 1), Target: freshet.NewID(1, 1, 1), Edge: 1}
	for _, step := range []struct {
		later time.Duration
		known int
	}{{0, 1}, {24 * time.Hour, 2}, {2 * time.Hour, 2}, {24 * time.Hour, 2}} {
		now = now.Add(step.later)
		ended.ID++
		if _, _, err := db.Apply(t.Context(), []store.Mirror{ended}); err != nil {
			t.Fatal(err)
		}
		var known int
		if err := file.Pool().QueryRow(t.Context(), "SELECT count(*) FROM mirrored").Scan(&known); err != nil || known != step.known {
			t.Errorf("after %v more: %d are known, %v, want %d", step.later, known, err, step.known)
		}
	}
}
