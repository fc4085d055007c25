package storetest

import (
	"math/rand/v2"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var randomPartCases = []partCase{{name: "HalvesAgreeWhateverTheWay", parts: 2, test: testRandomParts}}

// testRandomParts writes at random on both parts, while mirrors are read,
// applied and settled at random: late, in small batches, some of them twice. All
// stories share the parts; each has users of its own.
func testRandomParts(x *parts) {
	for seed := range uint64(size(16, 3)) {
		x.Logf("the story of seed %d", seed)
		r := &randomParts{parts: x, rng: rand.New(rand.NewPCG(seed, 1)), gone: make(map[freshet.ID]bool)}
		for i := range 4 {
			r.users = append(r.users, x.user(i%2))
		}
		for i := range r.posts {
			r.posts[i] = x.at[i].post(r.users[i], "x")
		}
		for range 60 {
			switch op := r.pick(46); {
			case op < 24:
				r.write(op / 2)
			case op < 30:
				r.read()
			case op < 36:
				r.apply()
			case op < 39:
				r.settleSome()
			case op < 45:
				r.ask(op)
			case len(r.gone) == 0:
				r.erase()
			}
		}
		for len(r.batches) > 0 {
			r.apply()
		}
		for len(r.done) > 0 {
			r.settleSome()
		}
		x.agree()
		r.check()
	}
}

type randomParts struct {
	*parts
	rng     *rand.Rand
	users   []freshet.ID // one part's and the other's in turn
	posts   [2]freshet.ID
	gone    map[freshet.ID]bool
	batches [][]store.Mirror // read and not applied, each of one part
	from    []int
	done    [][]store.Settled // applied and not settled
	writer  []int
}

func (r *randomParts) pick(n int) int { return r.rng.IntN(n) }

func (r *randomParts) write(op int) {
	i, k := r.pick(4), r.pick(3)
	if k >= i {
		k++
	}
	a, b, p := r.users[i], r.users[k], r.p[i%2]
	var err error
	switch {
	case op < 5:
		_, _, err = p.Follow(r.ctx, a, b, store.Write{})
	case op < 7:
		_, _, err = p.Unfollow(r.ctx, a, b, store.Write{})
	case op == 7:
		_, _, err = p.Block(r.ctx, a, b, store.Write{})
	case op < 10:
		_, _, err = p.Unblock(r.ctx, a, b, store.Write{})
	case op == 10:
		_, _, err = p.Mute(r.ctx, a, b, store.Write{})
	default:
		part := r.pick(2)
		_, _, _, err = r.p[part].Like(r.ctx, a, r.posts[part], store.Write{})
	}
	if err != nil && freshet.CodeOf(err) != freshet.CodeNotFound && err != store.ErrPrivate {
		r.Fatal(err)
	}
}

// ask does what private users have: each write where its target is.
func (r *randomParts) ask(op int) {
	i, k := r.pick(4), r.pick(3)
	if k >= i {
		k++
	}
	a, b, p := r.users[i], r.users[k], r.p[k%2]
	var err error
	switch op {
	case 39, 40:
		private := op == 39
		_, _, err = p.UpdateUser(r.ctx, b, freshet.UserPatch{Private: &private}, store.Write{})
	case 41, 42:
		_, _, _, err = p.RequestFollow(r.ctx, a, b, store.Write{})
	case 43:
		_, _, err = p.AcceptRequest(r.ctx, b, a, store.Write{})
	default:
		_, _, err = p.WithdrawRequest(r.ctx, a, b, store.Write{})
	}
	if err != nil && freshet.CodeOf(err) != freshet.CodeNotFound {
		r.Fatal(err)
	}
}

func (r *randomParts) erase() {
	i := r.pick(4)
	if _, _, err := r.p[i%2].EraseUser(r.ctx, r.users[i], store.Write{}); err != nil && freshet.CodeOf(err) != freshet.CodeNotFound {
		r.Fatal(err)
	}
	r.gone[r.users[i]] = true
}

func (r *randomParts) read() {
	from := r.pick(2)
	list, err := r.p[from].Pending(r.ctx, r.has[1-from], 1+r.pick(4))
	if err != nil {
		r.Fatal(err)
	}
	if len(list) > 0 {
		r.batches, r.from = append(r.batches, list), append(r.from, from)
	}
}

func (r *randomParts) apply() {
	if len(r.batches) == 0 {
		return
	}
	n := r.pick(len(r.batches))
	done := r.tellAll(r.from[n], r.batches[n])
	r.done, r.writer = append(r.done, done), append(r.writer, r.from[n])
	r.batches, r.from = slices.Delete(r.batches, n, n+1), slices.Delete(r.from, n, n+1)
}

func (r *randomParts) settleSome() {
	if len(r.done) == 0 {
		return
	}
	n := r.pick(len(r.done))
	if _, err := r.p[r.writer[n]].Settle(r.ctx, r.done[n]); err != nil {
		r.Fatal(err)
	}
	r.done, r.writer = slices.Delete(r.done, n, n+1), slices.Delete(r.writer, n, n+1)
}

// check looks for what halves that agree can still have wrong.
func (r *randomParts) check() {
	for i := range r.p {
		relations, err := r.p[i].Relations(r.ctx, r.users)
		if err != nil {
			r.Fatal(err)
		}
		for id, rel := range relations {
			for _, other := range r.users {
				if rel.Follows(other) && rel.Blocks(other) {
					r.Fatalf("%s follows %s across a block", id, other)
				}
				if (r.gone[id] || r.gone[other]) && (rel.Follows(other) || rel.Hides(other)) {
					r.Fatalf("%s and %s: one was erased and still %+v", id, other, rel)
				}
			}
		}
		for _, id := range r.users {
			asking, err := r.p[i].FollowRequests(r.ctx, id, 0, 9)
			if err != nil {
				r.Fatal(err)
			}
			for _, x := range asking {
				if rel := relations[id]; rel.Blocks(x.User) || r.gone[id] || r.gone[x.User] {
					r.Fatalf("%s asks %s, across a block or an erasure", x.User, id)
				}
			}
		}
		for id := range r.gone {
			if liked, err := r.p[i].LikedBy(r.ctx, id, 0, 9); err != nil || len(liked) > 0 {
				r.Fatalf("%s was erased and likes %v, %v", id, liked, err)
			}
		}
	}
}
