package storetest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// RunMoves checks that an engine gives buckets to another one, or takes them, while it is in use. open gives two empty parts,
// which it closes at the end of the test that they were opened for; both are also a [store.BucketMover], and need not be of the
// same engine. What package shard does with them, this suite does by hand. After each test no mirror is left, the halves agree,
// and a part that can verify itself must find nothing. The next test goes on with the same parts, other buckets and users of its
// own, unless it wants the parts empty. Under -short it looks at what is concurrent, and little else.
func RunMoves(t *testing.T, open func(t *testing.T) (from, to store.Part)) {
	runMoves(t, open, slices.DeleteFunc(slices.Clone(moveCases), func(c moveCase) bool { return testing.Short() && !c.short }))
}

// RunMovesBetween is RunMoves for two engines that have passed it each: what is left is that they have one form of rows.
func RunMovesBetween(t *testing.T, open func(t *testing.T) (from, to store.Part)) {
	cases := slices.Concat(copyCases, homeMoveCases)
	if testing.Short() {
		cases = copyCases[:1]
	}
	runMoves(t, open, cases)
}

func runMoves(t *testing.T, open func(t *testing.T) (from, to store.Part), cases []moveCase) {
	var shared *stage
	var absent []string
	for _, c := range cases {
		if shared == nil && !c.empty {
			shared = newStage(t, open, store.Buckets{})
		}
		sound := t.Run(c.name, func(t *testing.T) {
			s := shared
			if c.empty {
				s = newStage(t, open, store.AllBuckets())
			}
			x := s.enter(t)
			c.test(x)
			x.leaveStage()
			for _, e := range x.at {
				absent = append(absent, e.absent...)
			}
		})
		if !sound {
			shared = nil
		}
	}
	if len(absent) > 0 {
		slices.Sort(absent)
		t.Logf("NOT CHECKED on these parts: %s", strings.Join(slices.Compact(absent), "; "))
	}
}

type moveCase struct {
	name  string
	test  func(*moves)
	empty bool // wants new parts, of which the first one has all buckets
	short bool // is for the race pass too; the others do one thing after the other
}

var moveCases = slices.Concat(copyCases, noteCases, fenceCases, joinCases, randomMoveCases, homeMoveCases)

// stage is what tests share: two parts, the first of which is home.
type stage struct {
	p    []store.Part
	has  []store.Buckets
	used store.Buckets
	term uint64
	seq  uint64 // of batches of views, and of hashes
}

func newStage(t *testing.T, open func(t *testing.T) (from, to store.Part), all store.Buckets) *stage {
	from, to := open(t)
	s := &stage{p: []store.Part{from, to}, has: []store.Buckets{all, {}}}
	if all == (store.Buckets{}) {
		for n := range freshet.Buckets {
			s.has[n*2/freshet.Buckets].Add(n)
		}
	}
	for i, p := range s.p {
		if err := p.SetElsewhere(t.Context(), s.has[i].Complement()); err != nil {
			t.Fatal(err)
		}
	}
	s.used.Add(0) // moves last, in a test of its own
	return s
}

// moves is one test. It is a mover too.
type moves struct {
	*parts
	st       *stage
	b        store.Buckets // on the move
	src, dst int
}

// mover is a part as a mover sees it.
func (x *moves) mover(part int) store.BucketMover { return x.p[part].(store.BucketMover) }

func (s *stage) enter(t *testing.T) *moves {
	x := &moves{parts: &parts{p: s.p, has: s.has}, st: s}
	for i := range s.p {
		x.at = append(x.at, &env{T: t, Store: s.p[i], ctx: t.Context()})
	}
	x.env = x.at[0]
	return x
}

// leaveStage wants sound parts, and ends the move.
func (x *moves) leaveStage() {
	x.Helper()
	if x.Failed() {
		return
	}
	x.agree()
	x.end()
}

// fresh gives a bucket of a part that no test has used.
func (x *moves) fresh(part int) int {
	x.Helper()
	for _, n := range x.has[part].List() {
		if !x.st.used.Has(n) {
			x.st.used.Add(n)
			return n
		}
	}
	x.Fatal("all buckets are used")
	return 0
}

// in makes a user in a bucket.
func (x *moves) in(part, bucket int, u freshet.NewUser) freshet.ID {
	x.Helper()
	if u.Handle == "" {
		u.Handle = x.handle("M")
	}
	id, err := x.p[part].DrawUserID(x.ctx, bucket)
	x.ok(err)
	home := 0
	if x.has[1].Has(0) {
		home = 1
	}
	c := store.NameClaim{ID: id, User: id, Handle: u.Handle, Ref: u.Ref}
	taken, err := x.p[home].ClaimNames(x.ctx, c)
	x.ok(err)
	x.same("taken", len(taken), 0)
	_, _, err = x.p[part].CreateNamed(x.ctx, id, u, store.Write{})
	x.ok(err)
	_, err = x.p[home].SettleNames(x.ctx, c, true)
	x.ok(err)
	return id
}

// begin begins a move, and copy goes up to the pause in which nobody can write.
func (x *moves) begin(src, dst int, buckets ...int) {
	x.Helper()
	x.b, x.src, x.dst = store.Buckets{}, src, dst
	for _, n := range buckets {
		x.b.Add(n)
	}
	x.beginAgain()
}

// beginAgain is what a mover does that takes over.
func (x *moves) beginAgain() {
	x.Helper()
	x.st.term++
	for _, part := range []int{x.dst, x.src} {
		now, err := x.mover(part).BeginMove(x.ctx, x.st.term, x.b)
		x.ok(err)
		if d := time.Since(now); d < -time.Hour || d > time.Hour {
			x.Fatalf("the part's clock says %s", now)
		}
	}
}

// pageSize makes tests turn pages.
const pageSize = 3

func (x *moves) copy() {
	x.Helper()
	for _, t := range store.Tables() {
		var after store.Row
		for {
			page, err := x.mover(x.src).Rows(x.ctx, t, after, pageSize)
			x.ok(err)
			if len(page) > 0 {
				x.ok(x.mover(x.dst).PutRows(x.ctx, x.st.term, []store.TableRows{{Table: t, Rows: page}}))
				after = page[len(page)-1][:t.KeyLen()]
			}
			if len(page) < pageSize {
				break
			}
			x.drain()
		}
	}
	x.drain()
}

// drain brings over what has changed until nothing is left.
func (x *moves) drain() {
	x.Helper()
	for x.drainSome(7) == 7 {
	}
}

func (x *moves) drainSome(limit int) int {
	x.Helper()
	noted, err := x.mover(x.src).Noted(x.ctx, 0, limit)
	x.ok(err)
	if len(noted.Notes) > 0 {
		x.ok(x.mover(x.dst).PutRows(x.ctx, x.st.term, noted.Changes))
		x.ok(x.mover(x.src).ForgetNotes(x.ctx, x.st.term, noted.Notes))
	}
	return len(noted.Notes)
}

// lease is longer than any test.
const lease = time.Hour

// arrived notes that the buckets are on the other part.
func (x *moves) arrived() {
	x.Helper()
	for _, n := range x.b.List() {
		x.has[x.src].Remove(n)
		x.has[x.dst].Add(n)
	}
	for part, p := range x.p {
		b, err := p.Elsewhere(x.ctx)
		x.ok(err)
		x.same("buckets elsewhere", b, x.has[part].Complement())
	}
}

// flip hands the buckets over.
func (x *moves) flip() {
	x.Helper()
	_, err := x.mover(x.dst).Fence(x.ctx, x.st.term, lease)
	x.ok(err)
	_, err = x.mover(x.src).Fence(x.ctx, x.st.term, lease)
	x.ok(err)
	x.drain()
	x.alike()
	at, err := x.mover(x.src).Leave(x.ctx, x.st.term)
	x.ok(err)
	x.same("tokens", len(at) > 0, true)
	at, err = x.mover(x.dst).Join(x.ctx, x.st.term)
	x.ok(err)
	x.same("tokens", len(at) > 0, true)
	x.arrived()
}

// turn makes the source the target: the way back.
func (x *moves) turn() { x.src, x.dst = x.dst, x.src }

// drop empties the source, some rows at a time.
func (x *moves) drop(limit int) (all int) {
	x.Helper()
	for {
		n, err := x.mover(x.src).DropRows(x.ctx, x.st.term, limit)
		x.ok(err)
		if all += n; n == 0 {
			return all
		}
		if n > limit {
			x.Fatalf("%d rows were dropped, the limit is %d", n, limit)
		}
	}
}

func (x *moves) end() {
	x.Helper()
	for part := range x.p {
		x.ok(x.mover(part).EndMove(x.ctx, x.st.term))
	}
}

// table lists a table's guarded rows in pages, which must be in order.
func (x *moves) table(part int, t store.Table, limit int) (rows []store.Row) {
	x.Helper()
	var after store.Row
	for {
		page, err := x.mover(part).Rows(x.ctx, t, after, limit)
		x.ok(err)
		if len(page) > limit {
			x.Fatalf("a page of %d rows of %s, the limit is %d", len(page), t, limit)
		}
		for _, row := range page {
			if len(row) != len(t.Types()) {
				x.Fatalf("a row of %s is %v", t, row)
			}
			key := row[:t.KeyLen()]
			if after != nil && compareKeys(after, key) >= 0 {
				x.Fatalf("%s: %v comes after %v", t, key, after)
			}
			after = key
		}
		if rows = append(rows, page...); len(page) < limit {
			return rows
		}
	}
}

// compareKeys is the order of rows.
func compareKeys(a, b store.Row) int {
	for i := range a {
		var order int
		switch v := a[i].(type) {
		case int64:
			order = cmp.Compare(v, b[i].(int64))
		case string:
			order = strings.Compare(v, b[i].(string))
		case []byte:
			order = bytes.Compare(v, b[i].([]byte))
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

// words is a row to be compared and read.
func words(t store.Table, row store.Row) string {
	w := []string{t.String()}
	for _, v := range row {
		switch v := v.(type) {
		case int64:
			w = append(w, fmt.Sprint(v))
		case string:
			w = append(w, fmt.Sprintf("%q", v))
		case []byte:
			w = append(w, fmt.Sprintf("x%x", v))
		default:
			w = append(w, fmt.Sprintf("%T!", v))
		}
	}
	return strings.Join(w, " ")
}

// everything lists all guarded rows of a part.
func (x *moves) everything(part int) (list []string) {
	x.Helper()
	for _, t := range store.Tables() {
		for _, row := range x.table(part, t, 1000) {
			list = append(list, words(t, row))
		}
	}
	return list
}

// alike wants the guarded rows of both parts to be equal, column by column.
func (x *moves) alike() {
	x.Helper()
	src, dst := x.everything(x.src), x.everything(x.dst)
	for i := range max(len(src), len(dst)) {
		s, d := "nothing more", "nothing more"
		if i < len(src) {
			s = src[i]
		}
		if i < len(dst) {
			d = dst[i]
		}
		if s != d {
			x.Fatalf("the rows differ:\nsource %s\ntarget %s", s, d)
		}
	}
}
