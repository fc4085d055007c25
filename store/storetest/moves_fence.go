package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var fenceCases = []moveCase{
	{name: "WritesAreRefusedWhereTheBucketsAreNot", test: testWritesRefused},
	{name: "AFenceEndsByItself", test: testFenceEnds, short: true},
	{name: "AFenceIsLifted", test: testFenceLifted},
	{name: "ErasuresWaitForAFence", test: testFencedErasures},
	{name: "AnOldMoverIsRefused", test: testTerms},
	{name: "OtherBucketsAreAConflict", test: testOtherBuckets},
}

// refused wants writes to be refused by a part, with nothing made.
func (s *scene) refused(part int, when string, list []write) {
	s.Helper()
	rows, notes := s.everything(part), s.notes(part)
	for _, w := range list {
		if err := w.op(s.p[part]); !errors.Is(err, store.ErrMoved) {
			s.Errorf("%s %s: got %v, want ErrMoved", w.name, when, err)
		}
	}
	s.same("rows "+when, s.everything(part), rows)
	s.same("notes "+when, s.notes(part), notes)
}

func testWritesRefused(x *moves) {
	s := x.scene()
	list := s.writes()
	x.copy()
	s.refused(1, "before the target has joined", list)
	_, err := x.mover(0).Fence(x.ctx, x.st.term, lease)
	x.ok(err)
	s.refused(0, "while the source is fenced", slices.Concat(list, s.besides()[:3]))
	x.at[0].post(s.s, "of s, who stays")
	x.flip()
	s.refused(0, "after the source has left", list)
	rows := x.everything(0)
	for _, w := range s.purges() {
		x.ok(w.op(x.p[0]))
	}
	x.same("rows after a purge", x.everything(0), rows)
	for _, w := range list {
		if w.name == "mirror" {
			continue // its actor is of the same part now
		}
		if err := w.op(x.p[1]); err != nil {
			x.Fatalf("%s after the target has joined: %v", w.name, err)
		}
	}
}

// until tries a write until it is not refused any more.
func (x *moves) until(w func() error) {
	x.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		err := w()
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrMoved) || time.Now().After(deadline) {
			x.Fatal(err)
		}
	}
}

func testFenceEnds(x *moves) {
	s := x.people()
	x.begin(0, 1, s.buckets...)
	x.copy()
	_, err := x.mover(0).Leave(x.ctx, x.st.term)
	x.same("left without a fence", errors.Is(err, store.ErrFenceOver), true)
	for _, first := range []time.Duration{0, lease} { // the second takes the place of a longer one
		if first > 0 {
			_, err := x.mover(0).Fence(x.ctx, x.st.term, first)
			x.ok(err)
		}
		_, err = x.mover(0).Fence(x.ctx, x.st.term, 20*time.Millisecond)
		x.ok(err)
		x.until(func() error {
			return third(x.p[0].CreatePost(x.ctx, freshet.NewPost{Author: s.a, Text: "x"}, store.Write{}))
		})
		_, err = x.mover(0).Leave(x.ctx, x.st.term)
		x.same("left behind the fence", errors.Is(err, store.ErrFenceOver), true)
		x.same("buckets elsewhere", got(x.p[0].Elsewhere(x.ctx))(x.env), x.has[0].Complement())
	}
	x.at[0].post(s.a, "still here")
	x.flip()
	x.same("posts", x.at[1].profile(s.a).PostsCount, 3)
}

func testFenceLifted(x *moves) {
	s := x.people()
	x.begin(0, 1, s.buckets...)
	_, err := x.mover(0).Fence(x.ctx, x.st.term, lease)
	x.ok(err)
	_, _, err = x.p[0].Follow(x.ctx, s.a, s.b, store.Write{})
	x.same("refused", errors.Is(err, store.ErrMoved), true)
	_, err = x.mover(0).Fence(x.ctx, x.st.term, 0)
	x.ok(err)
	x.at[0].follow(s.a, s.b)
	_, err = x.mover(0).Fence(x.ctx, x.st.term, lease)
	x.ok(err)
	x.end()
	x.at[0].follow(s.b, s.a)
	x.at[0].follow(s.s, s.a)
	x.beginAgain()
	x.same("notes", x.notes(0), 0)
	x.at[0].post(s.a, "a move begins without a fence")
	x.copy()
	x.flip()
}

func testFencedErasures(x *moves) {
	s := x.scene()
	x.copy()
	for part, user := range []freshet.ID{s.u, s.v} {
		erase := write{"erase", func(p store.Part) error { return third(p.EraseUser(x.ctx, user, store.Write{})) }}
		end := write{"end claim", func(p store.Part) error {
			id, err := p.DrawUserID(x.ctx, user.Bucket())
			x.ok(err)
			return third(p.EndClaim(x.ctx, id, id))
		}}
		_, err := x.mover(part).Fence(x.ctx, x.st.term, lease)
		x.ok(err)
		s.refused(part, "while fenced", []write{erase, end})
		x.at[part].post(user, "not erased")
		_, err = x.mover(part).Fence(x.ctx, x.st.term, 0)
		x.ok(err)
		x.drain()
		noted := x.notes(part)
		x.ok(erase.op(x.p[part]))
		x.same("more notes of an erasure", x.notes(part) > noted, true)
		list, err := x.mover(part).Noted(x.ctx, 0, 1000)
		x.ok(err)
		var ended []string
		for _, change := range list.Changes {
			for _, row := range change.Rows {
				if change.Table == store.EndedTable {
					ended = append(ended, words(change.Table, row))
				}
			}
		}
		x.same("ended", ended, []string{words(store.EndedTable, store.Row{int64(user)})})
	}
	_, _, err := x.p[0].Apply(x.ctx, x.parts.pending(1))
	x.ok(err)
	x.flip()
}

func testTerms(x *moves) {
	s := x.scene()
	x.copy()
	x.ok(third(x.p[0].Mute(x.ctx, s.a, s.b, store.Write{})))
	noted, err := x.mover(0).Noted(x.ctx, 0, 10)
	x.ok(err)
	x.beginAgain()
	old := x.st.term - 1
	before := []any{x.everything(0), x.everything(1), x.notes(0)}
	for part := range x.p {
		p := x.mover(part)
		for what, err := range map[string]error{
			"begin":  second(p.BeginMove(x.ctx, old, x.b)),
			"forget": p.ForgetNotes(x.ctx, old, noted.Notes),
			"put":    p.PutRows(x.ctx, old, []store.TableRows{{Table: store.UsersTable, Gone: []store.Row{{int64(s.a)}}}}),
			"fence":  second(p.Fence(x.ctx, old, lease)),
			"leave":  second(p.Leave(x.ctx, old)),
			"join":   second(p.Join(x.ctx, old)),
			"drop":   second(p.DropRows(x.ctx, old, 10)),
			"end":    p.EndMove(x.ctx, old),
		} {
			if !errors.Is(err, store.ErrTerm) {
				x.Errorf("%s by an old mover on part %d: %v, want ErrTerm", what, part, err)
			}
		}
	}
	x.same("rows and notes", []any{x.everything(0), x.everything(1), x.notes(0)}, before)
	x.ok(third(x.p[0].Mute(x.ctx, s.b, s.s, store.Write{})))
	x.flip()
	x.end()
	_, err = x.mover(0).BeginMove(x.ctx, old, x.b)
	x.same("an old mover begins again", errors.Is(err, store.ErrTerm), true)
}

func testOtherBuckets(x *moves) {
	s := x.people()
	x.begin(0, 1, s.buckets[0])
	var other, mixed store.Buckets
	other.Add(s.buckets[1])
	mixed.Add(s.buckets[1])
	mixed.Add(x.fresh(1))
	for part := range x.p {
		_, err := x.mover(part).BeginMove(x.ctx, x.st.term, other)
		x.code(err, freshet.CodeConflict)
	}
	err := x.mover(0).PutRows(x.ctx, x.st.term, []store.TableRows{{Table: store.UsersTable, Gone: []store.Row{{int64(s.a)}}}})
	x.same("put where the buckets are in use", err != nil && !errors.Is(err, store.ErrMoved), true)
	x.at[0].profile(s.a)
	x.end()
	for part := range x.p {
		_, err := x.mover(part).BeginMove(x.ctx, x.st.term, mixed)
		x.code(err, freshet.CodeConflict)
		x.ok(x.mover(part).EndMove(x.ctx, x.st.term)) // without a move it does nothing
	}
}
