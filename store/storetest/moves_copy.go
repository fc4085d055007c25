package storetest

import (
	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var copyCases = []moveCase{
	{name: "RowsComeOverAsTheyAre", test: testRowsComeOver, short: true},
	{name: "WhatIsDroppedIsAllOfThatAndNothingElse", test: testDropRows},
	{name: "TheChangeFeedHearsOfTheBucketsAlone", test: testMoveFeed, short: true},
	{name: "AMoveGoesThereAndBack", test: testThereAndBackAgain},
	{name: "AMoverThatTakesOverBeginsAnew", test: testMoverAgain},
	{name: "AMoveThatIsGivenUpLeavesNothing", test: testMoveGivenUp},
	{name: "ThePlanIsKeptByItsVersion", test: testMovePlan},
}

func testRowsComeOver(x *moves) {
	s := x.scene()
	x.copy()
	x.alike()
	for _, t := range store.Tables() {
		_, imports := x.p[0].(store.Importer)
		if t.OfHome() || t == store.ImportedTable && !imports {
			continue
		}
		rows := x.table(0, t, 2)
		if len(rows) == 0 {
			x.Errorf("nothing of %s is moved", t)
		}
		for i, row := range rows {
			if again := x.table(0, t, 1000)[i]; words(t, row) != words(t, again) {
				x.Errorf("in pages of two: %s, else %s", words(t, row), words(t, again))
			}
		}
	}
	before := s.says(0)
	x.flip()
	for i, line := range s.says(1) {
		// What Join has applied is tested elsewhere: here only names of the target's own can differ, and none do.
		x.same("what the target says", line, before[i])
	}
}

func testDropRows(x *moves) {
	s := x.scene()
	x.copy()
	if _, err := x.mover(0).DropRows(x.ctx, x.st.term, 5); err == nil {
		x.Fatal("rows were dropped that are in use")
	}
	x.flip()
	all := len(x.everything(0))
	notes := x.notes(0)
	x.same("dropped", x.drop(5), all)
	x.same("left", x.everything(0), []string(nil))
	x.same("notes", x.notes(0), notes)
	for _, id := range []freshet.ID{s.s, s.u} {
		if users := got(x.p[0].Users(x.ctx, []freshet.ID{id}))(x.env); len(users) != 1 {
			x.Fatal("who stays has gone")
		}
	}
	x.same("whom s follows", others(got(x.p[0].Following(x.ctx, s.s, 0, 9))(x.env)), []freshet.ID{s.a})
	x.same("whom u mutes", others(got(x.p[0].Mutes(x.ctx, s.u, 0, 9))(x.env)), []freshet.ID{s.a})
	x.end()
}

// notes counts a part's notes.
func (x *moves) notes(part int) int {
	x.Helper()
	noted, err := x.mover(part).Noted(x.ctx, 0, 10_000)
	x.ok(err)
	return len(noted.Notes)
}

func testMoveFeed(x *moves) {
	s := x.people()
	s.wrote(x.p[0])
	s.met(x.p[0])
	target, source := x.at[1].subscribeBy("target", s.t), x.at[0].subscribeBy("source", s.s)
	if target == nil || source == nil {
		return
	}
	x.begin(0, 1, s.buckets...)
	x.copy()
	x.same("heard of rows that were put", changeKinds(x.at[1].mark(target, s.t)), []store.ChangeKind{store.PostCreated})
	x.flip()
	for range 2 { // again it does nothing
		_, err := x.mover(1).Join(x.ctx, x.st.term)
		x.ok(err)
		_, err = x.mover(0).Leave(x.ctx, x.st.term)
		x.ok(err)
	}
	heard := x.at[1].mark(target, s.t)
	x.same("heard of the join", changeKinds(heard), []store.ChangeKind{store.BucketsMoved, store.PostCreated})
	x.same("what moved", []freshet.ID{heard[0].Subject, heard[0].Object}, []freshet.ID{0, 0})
	x.at[0].mark(source, s.s)
	x.drop(1000)
	x.same("heard of rows that were dropped", changeKinds(x.at[0].mark(source, s.s)), []store.ChangeKind{store.PostCreated})
}

func changeKinds(list []store.Change) (kinds []store.ChangeKind) {
	for _, c := range list {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

func testThereAndBackAgain(x *moves) {
	s := x.scene()
	x.copy()
	x.flip()
	x.turn()
	x.carry()
	for _, w := range s.writes() {
		if err := w.op(x.p[1]); err != nil {
			x.Fatalf("%s where the buckets are now: %v", w.name, err)
		}
	}
	x.drain()
	x.alike()
	x.flip()
	x.drop(100) // of the first target now
	x.end()
	x.carry()

	x.begin(0, 1, s.buckets...)
	x.same("notes of the last move", x.notes(0)+x.notes(1), 0)
	x.copy()
	x.flip()
	x.drop(1000)
}

// testMoverAgain: a mover that knows nothing of what the one before did puts the same rows once more.
func testMoverAgain(x *moves) {
	s := x.scene()
	x.copy()
	x.ok(second(x.p[0].DeletePost(x.ctx, s.a, s.third, store.Write{}))) // noted, and not brought over
	x.beginAgain()
	x.copy()
	x.alike()
	x.flip()
	x.beginAgain()
	for range 2 {
		_, err := x.mover(0).Leave(x.ctx, x.st.term)
		x.ok(err)
		_, err = x.mover(1).Join(x.ctx, x.st.term)
		x.ok(err)
	}
	x.same("whose bucket it is", []bool{x.has[0].Has(s.buckets[0]), x.has[1].Has(s.buckets[0])}, []bool{false, true})
	x.at[1].post(s.a, "x")
}

func testMoveGivenUp(x *moves) {
	s := x.scene()
	x.copy()
	x.at[0].post(s.a, "noted")
	x.same("something is noted and copied", []bool{x.notes(0) > 0, len(x.everything(1)) > 0}, []bool{true, true})
	x.turn() // what the target has is dropped
	x.same("dropped", x.drop(7) > 0, true)
	x.end()
	x.at[0].post(s.b, "noted nowhere")
	x.begin(0, 1, s.buckets...)
	x.same("notes, and rows on the target", []int{x.notes(0), len(x.everything(1))}, []int{0, 0})
	x.copy()
	x.flip()
}

func testMovePlan(x *moves) {
	p := x.mover(0)
	plan, version, err := p.MovePlan(x.ctx)
	x.ok(err)
	x.same("plan", []any{plan, version}, []any{[]byte(nil), 0})
	x.code(p.SetMovePlan(x.ctx, []byte("x"), 2), freshet.CodeConflict)
	for n, text := range []string{"one", "\xff two"} {
		x.ok(p.SetMovePlan(x.ctx, []byte(text), uint64(n+1)))
		x.code(p.SetMovePlan(x.ctx, []byte("x"), uint64(n+1)), freshet.CodeConflict)
		plan, version, err = p.MovePlan(x.ctx)
		x.ok(err)
		x.same("plan", []any{string(plan), version}, []any{text, n + 1})
	}
}
