package storetest

import (
	"errors"
	"strings"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var homeMoveCases = []moveCase{
	{name: "HomeMovesWithAllItsNames", test: testHomeMoves, empty: true},
	{name: "AClaimOnNamesEndsOnTheOtherSide", test: testClaimMoves, empty: true},
}

// all begins a move of all buckets.
func (x *moves) all() {
	x.Helper()
	every := store.AllBuckets()
	x.begin(0, 1, every.List()...)
}

func testHomeMoves(x *moves) {
	s := x.people()
	s.wrote(x.p[0])
	s.met(x.p[0])
	key, err := x.p[0].CreateKey(x.ctx, freshet.APIKey{Name: "ci", Hash: hash(7), Admin: true, CreatedAt: instant})
	x.ok(err)
	_, err = x.p[0].CreateKey(x.ctx, freshet.APIKey{Name: "old", Hash: hash(8), CreatedAt: instant})
	x.ok(err)
	secret, err := x.p[0].Secret(x.ctx, "cookies")
	x.ok(err)
	free, err := x.p[0].DrawUserID(x.ctx, s.s.Bucket())
	x.ok(err)
	x.all()
	x.copy()
	// While it is on, names, keys and secrets are written too.
	claim := store.NameClaim{ID: free, User: free, Handle: x.handle("pending"), Ref: x.handle("pending")}
	x.claims(claim)
	_, err = x.p[0].RevokeKey(x.ctx, "old", instant)
	x.ok(err)
	_, err = x.p[0].CreateKey(x.ctx, freshet.APIKey{Name: "old", Hash: hash(9), CreatedAt: instant})
	x.ok(err)
	later, err := x.p[0].Secret(x.ctx, "later")
	x.ok(err)
	renamed := x.handle("Renamed")
	_, _, err = x.p[0].UpdateUser(x.ctx, s.a, freshet.UserPatch{Handle: &renamed}, store.Write{})
	x.ok(err)
	batch := s.seen(s.post)
	x.ok(x.p[0].CountViews(x.ctx, batch))
	x.notHome(s, 1)
	x.flip()
	for _, t := range store.Tables() {
		if t.OfHome() && len(x.table(1, t, 2)) == 0 {
			x.Errorf("nothing of %s has moved", t)
		}
	}
	x.notHome(s, 0)

	p := x.p[1]
	x.same("sign-in", got(p.Credentials(x.ctx, renamed))(x.env).User, s.a)
	_, err = p.UserByHandle(x.ctx, s.handle)
	x.code(err, freshet.CodeNotFound)
	x.same("ref", got(p.UserByRef(x.ctx, s.ref))(x.env), s.a)
	x.same("pending", got(p.NameOf(x.ctx, claim.Handle))(x.env), store.Name{User: free, Claim: free, Pending: true})
	x.same("key", got(p.KeyByHash(x.ctx, hash(7)))(x.env), key)
	x.same("keys", len(got(p.Keys(x.ctx))(x.env)), 3)
	x.same("secrets", [][]byte{got(p.Secret(x.ctx, "cookies"))(x.env), got(p.Secret(x.ctx, "later"))(x.env)}, [][]byte{secret, later})
	x.same("counted", got(p.CountedViews(x.ctx, batch.Journal))(x.env), batch.Seq)
	x.ok(p.CountViews(x.ctx, batch)) // was counted before
	x.same("views", x.at[1].stats(s.post, hour, 1).Views, 8)

	_, _, err = p.CreateNamed(x.ctx, free, freshet.NewUser{Handle: claim.Handle, Ref: claim.Ref}, store.Write{})
	x.ok(err)
	_, err = p.SettleNames(x.ctx, claim, true)
	x.ok(err)
	_, _, err = p.UpdateUser(x.ctx, s.b, freshet.UserPatch{Handle: ptr(x.handle("b"))}, store.Write{})
	x.ok(err)
	_, _, err = p.CreateUser(x.ctx, freshet.NewUser{Handle: renamed}, store.Write{})
	x.code(err, freshet.CodeConflict)
	_, err = p.CreateKey(x.ctx, freshet.APIKey{Name: "ci", Hash: hash(10)})
	x.code(err, freshet.CodeConflict)
	x.drop(1000)
	for _, row := range x.everything(0) {
		// The batches of views may stay: a part that keeps other buckets needs those that it has added itself.
		if !strings.HasPrefix(row, store.JournalsTable.String()) {
			x.Errorf("%s is left", row)
		}
	}
}

// notHome wants a part to refuse what belongs to home.
func (x *moves) notHome(s *scene, part int) {
	x.Helper()
	p := x.p[part]
	_, claimed := p.ClaimNames(x.ctx, store.NameClaim{ID: s.a + 1, User: s.a + 1, Handle: "nobody"})
	_, taken := p.ClaimNames(x.ctx, store.NameClaim{ID: s.a + 1, User: s.a + 1, Handle: x.at[part].profile(s.s).Handle})
	_, settled := p.SettleNames(x.ctx, store.NameClaim{ID: s.a, User: s.a, Handle: s.handle}, true)
	for what, err := range map[string]error{
		"claim": claimed, "claim of what was taken": taken, "settle": settled,
		"rename": third(p.UpdateUser(x.ctx, s.a, freshet.UserPatch{Handle: ptr("other")}, store.Write{})),
		"key":    second(p.CreateKey(x.ctx, freshet.APIKey{Name: "new", Hash: hash(99)})),
		"revoke": second(p.RevokeKey(x.ctx, "ci", instant)),
		"secret": second(p.Secret(x.ctx, "new")),
	} {
		if !errors.Is(err, store.ErrMoved) {
			x.Errorf("%s on part %d, which is not home: %v, want ErrMoved", what, part, err)
		}
	}
}

// testClaimMoves: what was used or ended of claims is known on the other side.
func testClaimMoves(x *moves) {
	s := x.people()
	var ids []freshet.ID
	for range 4 {
		id, err := x.p[0].DrawUserID(x.ctx, s.buckets[0])
		x.ok(err)
		ids = append(ids, id)
	}
	x.ok(third(x.p[0].EndClaim(x.ctx, ids[0], ids[0]))) // a sign-up
	x.ok(third(x.p[0].EndClaim(x.ctx, ids[2], s.a)))    // a rename
	x.all()
	x.copy()
	x.flip()
	_, _, err := x.p[1].CreateNamed(x.ctx, ids[0], freshet.NewUser{Handle: x.handle("h")}, store.Write{})
	x.code(err, freshet.CodeConflict)
	for i, want := range []freshet.Code{1: freshet.CodeConflict, 2: freshet.CodeConflict, 3: ""} {
		if i > 0 {
			_, _, err = x.p[1].UpdateNamed(x.ctx, s.a, freshet.UserPatch{Handle: &s.handle}, ids[i], store.Write{})
			x.code(err, want)
		}
	}
}
