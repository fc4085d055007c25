package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// PartOptions lets [RunParts] do what no port offers. The zero value works.
type PartOptions struct {
	// Reopen ends a part and opens what it left.
	Reopen func(t *testing.T, p store.Part) store.Part
}

// RunParts checks that engines can share one store's buckets. open gives n empty
// parts, which it closes at the end of the test that they were opened for; each
// gets a share of the buckets, and the first one is home. What package shard does
// with parts, this suite does by hand. After each test every mirror is carried,
// the halves agree, and a part that can verify itself must find nothing. Then the
// next test goes on with the same parts and users of its own, unless it wants
// them empty.
func RunParts(t *testing.T, open func(t *testing.T, n int) []store.Part, o PartOptions) {
	var absent []string
	used := make(map[int][]store.Part)
	for _, c := range partCases {
		if used[c.parts] == nil && !c.empty {
			used[c.parts] = open(t, c.parts)
		}
		sound := t.Run(c.name, func(t *testing.T) {
			p := used[c.parts]
			if c.empty {
				p = open(t, c.parts)
			}
			x := newParts(t, p, o)
			c.test(x)
			x.agree()
			for _, e := range x.at {
				absent = append(absent, e.absent...)
			}
		})
		if !sound {
			delete(used, c.parts)
		}
	}
	if len(absent) > 0 {
		slices.Sort(absent)
		t.Logf("NOT CHECKED on these parts: %s", strings.Join(slices.Compact(absent), "; "))
	}
}

type partCase struct {
	name  string
	parts int
	test  func(*parts)
	empty bool // wants new parts
}

var partCases = slices.Concat(halfCases, requestPartCases, erasureCases, sharedCases, nameCases, importPartCases, randomPartCases)

// parts is one test: several parts of one store.
type parts struct {
	*env    // of the first part, which is home
	p       []store.Part
	at      []*env // of each part
	has     []store.Buckets
	buckets int // drawn
	options PartOptions
}

func newParts(t *testing.T, p []store.Part, o PartOptions) *parts {
	x := &parts{p: p, has: make([]store.Buckets, len(p)), options: o}
	for n := range freshet.Buckets {
		x.has[n*len(p)/freshet.Buckets].Add(n)
	}
	for i := range p {
		x.at = append(x.at, &env{T: t, Store: p[i], ctx: t.Context()})
		x.at[i].ok(p[i].SetElsewhere(t.Context(), x.has[i].Complement()))
	}
	x.env = x.at[0]
	return x
}

// bucket gives a bucket of a part, another one each time.
func (x *parts) bucket(part int) int {
	list := x.has[part].List()
	x.buckets++
	return list[x.buckets*37%len(list)]
}

// draw draws an id on a part.
func (x *parts) draw(part int) freshet.ID {
	x.Helper()
	id, err := x.p[part].DrawUserID(x.ctx, x.bucket(part))
	x.ok(err)
	return id
}

// claims takes names that must be free, at home.
func (x *parts) claims(c store.NameClaim) store.NameClaim {
	x.Helper()
	taken, err := x.p[0].ClaimNames(x.ctx, c)
	x.ok(err)
	x.same("taken names", taken, []store.Name(nil))
	return c
}

// settles ends a claim at home.
func (x *parts) settles(c store.NameClaim, kept bool) {
	x.Helper()
	at, err := x.p[0].SettleNames(x.ctx, c, kept)
	x.ok(err)
	if len(at) == 0 {
		x.Fatal("no token")
	}
}

// signUp makes a user on a part, names first.
func (x *parts) signUp(part int, u freshet.NewUser) freshet.ID {
	x.Helper()
	id := x.draw(part)
	c := x.claims(store.NameClaim{ID: id, User: id, Handle: u.Handle, Ref: u.Ref})
	user, at, err := x.p[part].CreateNamed(x.ctx, id, u, store.Write{})
	x.ok(err)
	x.same("the user", []any{user.ID, user.Handle, user.Ref, len(at) > 0}, []any{id, u.Handle, u.Ref, true})
	x.settles(c, true)
	return id
}

func (x *parts) user(part int) freshet.ID {
	x.Helper()
	return x.signUp(part, freshet.NewUser{Handle: x.handle("U"), Ref: x.handle("ref")})
}

// pending lists what a part has to tell.
func (x *parts) pending(part int) []store.Mirror {
	x.Helper()
	list, err := x.p[part].Pending(x.ctx, x.has[part].Complement(), 10_000)
	x.ok(err)
	return list
}

// tell applies mirrors to a part.
func (x *parts) tell(part int, list ...store.Mirror) []store.Applied {
	x.Helper()
	out, at, err := x.p[part].Apply(x.ctx, list)
	x.ok(err)
	if len(out) != len(list) || len(at) == 0 {
		x.Fatalf("%d answers to %d mirrors, token %v", len(out), len(list), at)
	}
	return out
}

// tellAll applies mirrors of one part to each part that they concern, and tells
// what to settle.
func (x *parts) tellAll(from int, list []store.Mirror) (done []store.Settled) {
	x.Helper()
	refused := make(map[freshet.ID]bool)
	for to := range x.p {
		var theirs []store.Mirror
		for _, m := range list {
			if to != from && (m.Kind == store.Erasure || x.has[to].Has(m.Target.Bucket())) {
				theirs = append(theirs, m)
			}
		}
		for i, out := range x.tell(to, theirs...) {
			refused[theirs[i].ID] = out.Refused
		}
	}
	for _, m := range list {
		done = append(done, store.Settled{ID: m.ID, Refused: refused[m.ID]})
	}
	return done
}

func (x *parts) settle(part int, done ...store.Settled) {
	x.Helper()
	at, err := x.p[part].Settle(x.ctx, done)
	x.ok(err)
	if len(at) == 0 {
		x.Fatal("no token")
	}
}

// carry carries all mirrors until none is left.
func (x *parts) carry() {
	x.Helper()
	for again := true; again; {
		again = false
		for from := range x.p {
			if list := x.pending(from); len(list) > 0 {
				x.settle(from, x.tellAll(from, list)...)
				again = true
			}
		}
	}
}

// halves lists all halves of a kind, each as the actor's part would.
func (x *parts) halves(blocks, mirror bool) (all []string) {
	x.Helper()
	for i, p := range x.p {
		q := store.HalfQuery{Blocks: blocks, Mirror: mirror, Limit: 2}
		for {
			page, err := p.Halves(x.ctx, q)
			x.ok(err)
			for _, h := range page {
				if !x.has[i].Has(h.Here.Bucket()) || x.has[i].Has(h.There.Bucket()) ||
					q.After.Here > h.Here || q.After.Here == h.Here && q.After.There >= h.There {
					x.Fatalf("part %d gave %+v after %+v", i, h, q.After)
				}
				q.After = h
				if mirror {
					h.Here, h.There = h.There, h.Here
				}
				all = append(all, fmt.Sprintf("%s to %s by %s", h.Here, h.There, h.Edge))
			}
			if len(page) < q.Limit {
				break
			}
		}
	}
	slices.Sort(all)
	return all
}

// agree carries what is under way and wants sound parts, whose halves are equal.
func (x *parts) agree() {
	x.Helper()
	if x.Failed() {
		return
	}
	x.carry()
	x.same("mirrored follows", x.halves(false, true), x.halves(false, false))
	x.same("mirrored blocks", x.halves(true, true), x.halves(true, false))
	for _, e := range x.at {
		e.verify()
	}
}

// kinds is what mirrors tell, in words.
func kinds(list []store.Mirror) (out []string) {
	words := map[store.MirrorKind]string{
		store.FollowMade: "follow", store.FollowEnded: "unfollow",
		store.BlockMade: "block", store.BlockEnded: "unblock", store.Erasure: "erasure",
	}
	for _, m := range list {
		out = append(out, words[m.Kind])
	}
	return out
}
