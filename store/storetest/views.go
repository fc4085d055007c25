package storetest

import (
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var viewCases = []testCase{
	{"ViewsAreAddedOnceByTheirBatch", testViewBatches},
	{"ViewsOfNoPostArePassedOver", testViewsOfNothing},
	{"ViewsGoWithTheirPost", testViewsGo},
	{"StatsAreCutIntoHours", testStatsHours},
	{"LikesAndCommentsOfAnHourAreThoseThatStand", testReactionHours},
	{"OldHoursArePurged", testPurgeViewHours},
}

// viewed is a batch about one post.
func viewed(journal byte, seq uint64, p store.ViewedPost) store.ViewBatch {
	return store.ViewBatch{Journal: [16]byte{journal}, Seq: seq, Posts: []store.ViewedPost{p}}
}

// stats reads a post's numbers in some hours from one on.
func (e *env) stats(post freshet.ID, from freshet.Hour, hours int) freshet.PostStats {
	e.Helper()
	s, err := e.PostStats(e.Context(), post, from, hours)
	e.ok(err)
	return s
}

func testViewBatches(e *env) {
	ctx := e.Context()
	post, hour := e.post(e.user("a"), "x"), freshet.HourOf(time.Now())
	step := func(what string, b store.ViewBatch, views, reach int64) {
		e.Helper()
		e.ok(e.CountViews(ctx, b))
		s := e.stats(post, hour-1, 2)
		e.same(what, []int64{s.Views, s.Reach}, []int64{views, reach})
		seq, err := e.CountedViews(ctx, b.Journal)
		e.ok(err)
		if seq < b.Seq {
			e.Fatalf("%s: the last batch is %d, want %d at least", what, seq, b.Seq)
		}
	}
	seq, err := e.CountedViews(ctx, [16]byte{1})
	e.ok(err)
	e.same("the last batch of a new journal", seq, 0)
	one := viewed(1, 1, store.ViewedPost{Post: post, Hours: []store.ViewedHour{{Hour: hour, Views: 3}}, Readers: []uint64{1 << 40, 2 << 50}})
	step("a batch", one, 3, 2)
	step("the same again", one, 3, 2)
	step("the next", viewed(1, 2, store.ViewedPost{Post: post, Hours: []store.ViewedHour{{Hour: hour - 1, Views: 2}, {Hour: hour, Views: 1}}, Readers: []uint64{2 << 50}}), 6, 2)
	step("an earlier one again", one, 6, 2)
	step("one of another journal", viewed(2, 1, store.ViewedPost{Post: post, Hours: []store.ViewedHour{{Hour: hour, Views: 1}}}), 7, 2)
	step("readers alone", viewed(2, 2, store.ViewedPost{Post: post, Readers: []uint64{3 << 60}}), 7, 3)
	s := e.stats(post, hour-1, 2)
	e.same("by hour", []int64{s.Hours[0].Views, s.Hours[1].Views}, []int64{2, 5})
}

func testViewsOfNothing(e *env) {
	ctx := e.Context()
	post, hour := e.post(e.user("a"), "x"), freshet.HourOf(time.Now())
	seen := []store.ViewedHour{{Hour: hour, Views: 1}}
	e.ok(e.CountViews(ctx, store.ViewBatch{Journal: [16]byte{1}, Seq: 1, Posts: []store.ViewedPost{
		{Post: 42, Hours: seen, Readers: []uint64{7}}, {Post: post, Hours: seen},
	}}))
	e.same("views of the other", e.stats(post, hour, 1).Views, 1)
	_, err := e.PostStats(ctx, 42, hour, 1)
	e.code(err, freshet.CodeNotFound)
}

func testViewsGo(e *env) {
	ctx := e.Context()
	a, hour := e.user("a"), freshet.HourOf(time.Now())
	deleted, erased := e.post(a, "x"), e.post(a, "y")
	b := store.ViewBatch{Journal: [16]byte{1}, Seq: 1}
	for _, p := range []freshet.ID{deleted, erased} {
		b.Posts = append(b.Posts, store.ViewedPost{Post: p, Hours: []store.ViewedHour{{Hour: hour, Views: 2}}, Readers: []uint64{7}})
	}
	e.ok(e.CountViews(ctx, b))
	_, err := e.DeletePost(ctx, a, deleted, store.Write{})
	e.ok(err)
	e.verify() // finds what has no post
	_, _, err = e.EraseUser(ctx, a, store.Write{})
	e.ok(err)
	e.verify()
	b.Seq = 2 // what was seen before and comes in later
	e.ok(e.CountViews(ctx, b))
	for _, p := range []freshet.ID{deleted, erased} {
		_, err := e.PostStats(ctx, p, hour, 1)
		e.code(err, freshet.CodeNotFound)
	}
}

func testStatsHours(e *env) {
	ctx := e.Context()
	post, hour := e.post(e.user("a"), "x"), freshet.HourOf(time.Now())
	var hours []store.ViewedHour
	for ago := range freshet.Hour(5) {
		hours = append(hours, store.ViewedHour{Hour: hour - ago, Views: int64(1 + ago)})
	}
	e.ok(e.CountViews(ctx, viewed(1, 1, store.ViewedPost{Post: post, Hours: hours})))
	e.same("three hours of five", e.stats(post, hour-3, 3), freshet.PostStats{Post: post, Views: 15, Hours: []freshet.HourStats{
		{Hour: hour - 3, Views: 4}, {Hour: hour - 2, Views: 3}, {Hour: hour - 1, Views: 2},
	}})
}

func testReactionHours(e *env) {
	ctx := e.Context()
	hour := freshet.HourOf(time.Now())
	u := e.users(3)
	post, other := e.post(u[0], "x"), e.post(u[0], "y")
	for _, actor := range u {
		for _, p := range []freshet.ID{post, other} {
			_, _, _, err := e.Like(ctx, actor, p, store.Write{})
			e.ok(err)
		}
	}
	c := e.comment(post, u[1], "x")
	e.comment(post, u[2], "y")
	e.comment(other, u[2], "z")
	_, _, _, err := e.Unlike(ctx, u[1], post, store.Write{})
	e.ok(err)
	_, _, err = e.DeleteComment(ctx, u[1], c, store.Write{})
	e.ok(err)
	_, _, err = e.EraseUser(ctx, u[2], store.Write{})
	e.ok(err)
	s := e.stats(post, hour, 3)
	e.same("totals", []int64{s.Likes, s.Comments}, []int64{1, 0})
	var likes, comments int64
	for _, h := range s.Hours { // an hour may have ended meanwhile
		likes, comments = likes+h.Likes, comments+h.Comments
	}
	e.same("by hour", []int64{likes, comments}, []int64{1, 0})
}

func testPurgeViewHours(e *env) {
	ctx := e.Context()
	post, hour := e.post(e.user("a"), "x"), freshet.HourOf(time.Now())
	var hours []store.ViewedHour
	for ago := range freshet.Hour(size(1500, 20)) {
		hours = append(hours, store.ViewedHour{Hour: hour - ago, Views: 1})
	}
	e.ok(e.CountViews(ctx, viewed(1, 1, store.ViewedPost{Post: post, Hours: hours})))
	n, err := e.PurgeViewHours(ctx, hour-1)
	e.ok(err)
	e.same("removed", n, len(hours)-2)
	s := e.stats(post, hour-3, 4)
	e.same("left", []int64{s.Views, s.Hours[1].Views, s.Hours[2].Views}, []int64{int64(len(hours)), 0, 1})
}
