package storetest

import (
	"errors"
	"slices"
	"strings"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// In these tests home is part 0 and the users are on part 1.
var nameCases = []partCase{
	{name: "NamesAreTakenAllOrNone", parts: 2, test: testNamesTaken},
	{name: "APendingNameLeadsNowhere", parts: 2, test: testNamePending},
	{name: "ASignUpThatStopsMidwayCanBeEnded", parts: 2, test: testSignUpEnded},
	{name: "ASignUpThatWentThroughIsKept", parts: 2, test: testSignUpKept},
	{name: "ARenameFreesTheNameBefore", parts: 2, test: testRename},
	{name: "ARenameThatStopsMidwayCanBeEnded", parts: 2, test: testRenameEnded},
	{name: "ARenameThereAndBackKeepsTheName", parts: 2, test: testThereAndBack},
	{name: "ARenameBackThatStopsMidwayKeepsNothing", parts: 2, test: testBackEnded},
	{name: "TwoRenamesAtATimeLeaveOneName", parts: 2, test: testTwoRenames},
	{name: "ALateSettlementTakesNothingFromOthers", parts: 2, test: testLateSettlement},
	{name: "ALateSettlementTakesNothingFromALaterClaim", parts: 2, test: testLateOwnSettlement},
	{name: "ASignUpComesBeforeEachRename", parts: 2, test: testLaggingClock},
	{name: "ASettlementBehindTheRenameKeepsTheRef", parts: 2, test: testSignUpSettledLate},
	{name: "AHandleCanChangeItsCase", parts: 2, test: testNameCase},
	{name: "AnUpdateWithoutAHandleNeedsNoClaim", parts: 2, test: testUpdateNamed},
	{name: "AClaimOnAUserElsewhereIsAskedThere", parts: 2, test: testNamesMoved},
}

// claim draws a claim and takes a handle for a user.
func (x *parts) claim(user freshet.ID, handle string) store.NameClaim {
	x.Helper()
	return x.claims(store.NameClaim{ID: x.drawLike(user), User: user, Handle: handle})
}

// drawLike draws an id of a user's bucket.
func (x *parts) drawLike(user freshet.ID) freshet.ID {
	x.Helper()
	id, err := x.p[1].DrawUserID(x.ctx, user.Bucket())
	x.ok(err)
	return id
}

// rename gives a user the handle of a claim and wants the one before.
func (x *parts) rename(c store.NameClaim, before string) {
	x.Helper()
	was, err := x.p[1].Users(x.ctx, []freshet.ID{c.User})
	x.ok(err)
	u, at, err := x.p[1].UpdateNamed(x.ctx, c.User, freshet.UserPatch{Handle: &c.Handle}, c.ID, store.Write{})
	x.ok(err)
	x.same("the handle, and the one before", []any{u.Handle, was[0].Handle, len(at) > 0}, []any{c.Handle, before, true})
}

// refused wants a claim to be of no use to UpdateNamed.
func (x *parts) refused(c store.NameClaim) {
	x.Helper()
	_, _, err := x.p[1].UpdateNamed(x.ctx, c.User, freshet.UserPatch{Handle: &c.Handle}, c.ID, store.Write{})
	x.code(err, freshet.CodeConflict)
}

// called wants a handle, in any case, to be the user's.
func (x *parts) called(user freshet.ID, handle string) {
	x.Helper()
	for _, h := range []string{handle, strings.ToUpper(handle)} {
		id, err := x.p[0].UserByHandle(x.ctx, h)
		x.ok(err)
		x.same("user of "+h, id, user)
	}
	name, err := x.p[0].NameOf(x.ctx, handle)
	x.ok(err)
	x.same("name", []any{name.User, name.Pending}, []any{user, false})
}

// free wants handles to be nobody's.
func (x *parts) free(handles ...string) {
	x.Helper()
	for _, h := range handles {
		if name, err := x.p[0].NameOf(x.ctx, h); !errors.Is(err, freshet.ErrNotFound) {
			x.Fatalf("%s: got %+v, %v, want nobody", h, name, err)
		}
	}
}

// signUps makes a user on part 1 who is called h.
func (x *parts) signUps(h string) freshet.ID {
	x.Helper()
	return x.signUp(1, freshet.NewUser{Handle: h})
}

// endsAs ends a claim as whoever wants its name would.
func (x *parts) endsAs(c store.NameClaim, handle, ref string) {
	x.Helper()
	h, r, err := x.p[1].EndClaim(x.ctx, c.ID, c.User)
	x.ok(err)
	x.same("called", []string{h, r}, []string{handle, ref})
}

func testNamesTaken(x *parts) {
	h, ref, other := x.handle("h"), x.handle("ref"), x.handle("other")
	a := x.signUp(1, freshet.NewUser{Handle: h, Ref: ref})
	x.called(a, h)
	id, err := x.p[0].UserByRef(x.ctx, ref)
	x.ok(err)
	x.same("user of the ref", id, a)
	has := store.Name{User: a, Claim: a}
	b := x.draw(1)
	for _, c := range []struct {
		store.NameClaim
		taken []store.Name
	}{
		{store.NameClaim{ID: b, User: b, Handle: strings.ToUpper(h), Ref: other}, []store.Name{has}},
		{store.NameClaim{ID: b, User: b, Handle: other, Ref: ref}, []store.Name{has}},
		{store.NameClaim{ID: b, User: b, Handle: h, Ref: ref}, []store.Name{has, has}},
	} {
		taken, err := x.p[0].ClaimNames(x.ctx, c.NameClaim)
		x.ok(err)
		x.same("taken", taken, c.taken)
	}
	x.free(other)
	_, err = x.p[0].RefOf(x.ctx, other)
	x.code(err, freshet.CodeNotFound)
	name, err := x.p[0].RefOf(x.ctx, ref)
	x.ok(err)
	x.same("the ref", name, has)
}

func testNamePending(x *parts) {
	a, b := x.draw(1), x.draw(1)
	c := store.NameClaim{ID: a, User: a, Handle: x.handle("h"), Ref: x.handle("ref")}
	x.claims(c)
	x.claims(c) // again: the answer was lost
	_, err := x.p[0].UserByHandle(x.ctx, c.Handle)
	x.code(err, freshet.CodeNotFound)
	_, err = x.p[0].UserByRef(x.ctx, c.Ref)
	x.code(err, freshet.CodeNotFound)
	_, err = x.p[0].Credentials(x.ctx, c.Handle)
	x.code(err, freshet.CodeNotFound)
	taken, err := x.p[0].ClaimNames(x.ctx, store.NameClaim{ID: b, User: b, Handle: c.Handle, Ref: c.Ref})
	x.ok(err)
	has := store.Name{User: a, Claim: a, Pending: true}
	x.same("taken", taken, []store.Name{has, has})
	x.settles(c, false)
	x.free(c.Handle)
	_, err = x.p[0].RefOf(x.ctx, c.Ref)
	x.code(err, freshet.CodeNotFound)
}

func testSignUpEnded(x *parts) {
	a, h := x.draw(1), x.handle("h")
	c := x.claims(store.NameClaim{ID: a, User: a, Handle: h})
	for range 2 {
		x.endsAs(c, "", "")
	}
	_, _, err := x.p[1].CreateNamed(x.ctx, a, freshet.NewUser{Handle: h}, store.Write{})
	x.code(err, freshet.CodeConflict)
	x.settles(c, false)
	b := x.signUps(h)
	x.settles(c, true) // whoever was late does not know better
	x.called(b, h)
}

func testSignUpKept(x *parts) {
	a := x.draw(1)
	u := freshet.NewUser{Handle: x.handle("h"), Ref: x.handle("ref"), PasswordHash: "hash"}
	c := x.claims(store.NameClaim{ID: a, User: a, Handle: u.Handle, Ref: u.Ref})
	_, _, err := x.p[1].CreateNamed(x.ctx, a, u, store.Write{})
	x.ok(err)
	_, _, err = x.p[1].CreateNamed(x.ctx, a, u, store.Write{})
	x.code(err, freshet.CodeConflict)
	x.endsAs(c, u.Handle, u.Ref)
	x.settles(c, true)
	x.settles(c, true)
	x.settles(c, false)
	x.called(a, u.Handle)
	id, err := x.p[0].UserByRef(x.ctx, u.Ref)
	x.ok(err)
	x.same("user of the ref", id, a)
	credentials, err := x.p[1].CredentialsOf(x.ctx, a)
	x.ok(err)
	x.same("credentials", credentials, freshet.Credentials{User: a, PasswordHash: "hash"})
	_, err = x.p[0].CredentialsOf(x.ctx, a)
	x.code(err, freshet.CodeNotFound)
	b := x.user(1) // users elsewhere follow nobody who was only asked for
	x.at[1].follow(b, a)
	other := x.user(0)
	x.at[0].follow(other, a)
}

func testRename(x *parts) {
	h0, h1, h2 := x.handle("h"), x.handle("h"), x.handle("h")
	a := x.signUps(h0)
	c1 := x.claim(a, h1)
	x.called(a, h0)
	x.rename(c1, h0)
	x.settles(c1, true)
	x.called(a, h1)
	x.free(h0)
	b := x.signUps(h0)
	x.settles(c1, true)
	x.called(b, h0)

	c2 := x.claim(a, h2)
	x.settles(c2, false)
	x.free(h2)
	x.called(a, h1)
}

func testRenameEnded(x *parts) {
	for _, written := range []bool{false, true} {
		h0, h1, h2 := x.handle("h"), x.handle("h"), x.handle("h")
		a := x.signUps(h0)
		c := x.claim(a, h1)
		if written {
			x.rename(c, h0)
			x.endsAs(c, h1, "")
			x.settles(c, true)
			x.called(a, h1)
			x.free(h0)
			h0, h1 = h1, h0
		} else {
			x.endsAs(c, h0, "")
			x.refused(c)
			x.settles(c, false)
			x.called(a, h0)
			x.free(h1)
		}
		again := x.claim(a, h2)
		x.rename(again, h0)
		x.settles(again, true)
		x.called(a, h2)
		x.free(h0, h1)
	}
}

func testThereAndBack(x *parts) {
	for _, backFirst := range []bool{false, true} {
		a, b := x.handle("a"), x.handle("b")
		u := x.signUps(a)
		there := x.claim(u, b)
		x.rename(there, a)
		back := x.claim(u, a)
		x.rename(back, b)
		settle := []func(){func() { x.settles(there, true) }, func() { x.settles(back, true) }}
		if backFirst {
			slices.Reverse(settle)
		}
		settle[0]()
		if name, err := x.p[0].NameOf(x.ctx, a); err != nil || name.User != u {
			x.Fatalf("the name in between: %+v, %v", name, err)
		}
		settle[1]()
		x.called(u, a)
		x.free(b)
	}
}

// testBackEnded: the way back was claimed and never gone.
func testBackEnded(x *parts) {
	for _, backFirst := range []bool{false, true} {
		a, b := x.handle("a"), x.handle("b")
		u := x.signUps(a)
		there := x.claim(u, b)
		x.rename(there, a)
		back := x.claim(u, a)
		x.endsAs(back, b, "")
		settle := []func(){func() { x.settles(there, true) }, func() { x.settles(back, false) }}
		if backFirst {
			slices.Reverse(settle)
		}
		settle[0]()
		settle[1]()
		x.called(u, b)
		x.free(a)
	}
}

func testTwoRenames(x *parts) {
	for _, lastFirst := range []bool{false, true} {
		h0, h1, h2 := x.handle("h"), x.handle("h"), x.handle("h")
		u := x.signUps(h0)
		one, two := x.claim(u, h1), x.claim(u, h2)
		x.rename(one, h0)
		x.rename(two, h1)
		settle := []func(){func() { x.settles(one, true) }, func() { x.settles(two, true) }}
		if lastFirst {
			slices.Reverse(settle)
		}
		settle[0]()
		settle[1]()
		x.called(u, h2)
		x.free(h0, h1)
	}
	h0, h1, h2 := x.handle("h"), x.handle("h"), x.handle("h")
	u := x.signUps(h0)
	one, two := x.claim(u, h1), x.claim(u, h2)
	x.rename(two, h0)
	x.refused(one) // it would end behind what came after it
	x.settles(one, false)
	x.settles(two, true)
	x.called(u, h2)
	x.free(h0, h1)

	// One name under two claims: the second one hears of the first.
	one = x.claim(u, h1)
	taken, err := x.p[0].ClaimNames(x.ctx, store.NameClaim{ID: x.drawLike(u), User: u, Handle: h1})
	x.ok(err)
	x.same("taken", taken, []store.Name{{User: u, Claim: one.ID, Pending: true}})
	x.settles(one, false)
}

func testLateSettlement(x *parts) {
	h0, h1 := x.handle("h"), x.handle("h")
	u := x.signUps(h0)
	c := x.claim(u, h1)
	x.endsAs(c, h0, "")
	x.settles(c, false)
	v := x.draw(1)
	theirs := x.claims(store.NameClaim{ID: v, User: v, Handle: h1})
	for _, kept := range []bool{false, true} {
		x.settles(c, kept)
		name, err := x.p[0].NameOf(x.ctx, h1)
		x.ok(err)
		x.same("name", name, store.Name{User: v, Claim: v, Pending: true})
	}
	_, _, err := x.p[1].CreateNamed(x.ctx, v, freshet.NewUser{Handle: h1}, store.Write{})
	x.ok(err)
	x.settles(theirs, true)
	x.settles(c, false)
	x.called(v, h1)
}

func testLateOwnSettlement(x *parts) {
	h0, h1 := x.handle("h"), x.handle("h")
	u := x.signUps(h0)
	late := x.claim(u, h1)
	x.endsAs(late, h0, "")
	x.settles(late, false)
	c := x.claim(u, h1)
	for _, kept := range []bool{false, true} {
		x.settles(late, kept)
		name, err := x.p[0].NameOf(x.ctx, h1)
		x.ok(err)
		x.same("name", name, store.Name{User: u, Claim: c.ID, Pending: true})
	}
	x.rename(c, h0)
	x.settles(c, true)
	x.called(u, h1)
	x.free(h0)
}

// testLaggingClock: whoever draws the claim of a rename has a clock behind that
// of the user's part.
func testLaggingClock(x *parts) {
	h0, h1 := x.handle("h"), x.handle("h")
	u := x.signUps(h0)
	c := x.claims(store.NameClaim{ID: freshet.NewID(u.Millis()-1000, x.bucket(0), 1), User: u, Handle: h1})
	x.rename(c, h0)
	x.settles(c, true)
	x.called(u, h1)
	x.free(h0)
}

func testSignUpSettledLate(x *parts) {
	u := x.draw(1)
	n := freshet.NewUser{Handle: x.handle("h"), Ref: x.handle("ref")}
	first := x.claims(store.NameClaim{ID: u, User: u, Handle: n.Handle, Ref: n.Ref})
	_, _, err := x.p[1].CreateNamed(x.ctx, u, n, store.Write{})
	x.ok(err)
	c := x.claim(u, x.handle("h"))
	x.rename(c, n.Handle)
	x.settles(c, true)
	x.settles(first, true)
	x.called(u, c.Handle)
	x.free(n.Handle)
	id, err := x.p[0].UserByRef(x.ctx, n.Ref)
	x.ok(err)
	x.same("user of the ref", id, u)
}

func testNameCase(x *parts) {
	lower := x.handle("h")
	upper := strings.ToUpper(lower)
	u := x.signUps(lower)
	c := x.claim(u, upper)
	x.settles(c, false)
	x.called(u, lower)
	c = x.claim(u, upper)
	x.rename(c, lower)
	x.settles(c, true)
	x.called(u, lower)
	x.same("handle", x.at[1].profile(u).Handle, upper)
}

func testUpdateNamed(x *parts) {
	h := x.handle("h")
	u := x.signUps(h)
	got, _, err := x.p[1].UpdateNamed(x.ctx, u, freshet.UserPatch{Name: ptr("new")}, 0, store.Write{})
	x.ok(err)
	x.same("update", []string{got.Name, got.Handle}, []string{"new", h})
	_, _, err = x.p[1].UpdateNamed(x.ctx, 42, freshet.UserPatch{Name: ptr("new")}, 0, store.Write{})
	if !errors.Is(err, store.ErrMoved) {
		x.Fatalf("got %v for a user elsewhere", err)
	}
	c := x.claim(u, "not a handle")
	_, _, err = x.p[1].UpdateNamed(x.ctx, u, freshet.UserPatch{Handle: &c.Handle}, c.ID, store.Write{})
	x.code(err, freshet.CodeInvalid)
	x.settles(c, false)
	_, _, err = x.p[1].CreateNamed(x.ctx, x.draw(1), freshet.NewUser{Ref: "r"}, store.Write{})
	x.code(err, freshet.CodeInvalid)
}

func testNamesMoved(x *parts) {
	u := x.draw(1)
	_, err := x.p[0].DrawUserID(x.ctx, u.Bucket())
	_, _, err2 := x.p[0].CreateNamed(x.ctx, u, freshet.NewUser{Handle: x.handle("h")}, store.Write{})
	_, _, err3 := x.p[0].EndClaim(x.ctx, u, u)
	for _, err := range []error{err, err2, err3} {
		if !errors.Is(err, store.ErrMoved) {
			x.Fatalf("got %v, want ErrMoved", err)
		}
	}
}
