package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var notificationCases = []testCase{
	{"EachFactIsToldOnce", testNotified},
	{"WhatIsUndoneTakesItsNotificationAlong", testDenoted},
	{"RequestsAreToldAndAnswered", testRequestsTold},
	{"WhatWasSeenIsNotCounted", testUnseen},
	{"ATextIsToldOnceByItsName", testInbound},
	{"NotificationsAreListedFromTheNewest", testNotificationList},
	{"OldNotificationsArePurged", testPurgeNotifications},
	{"ImportsTellNobody", testImportsTellNobody},
	{"NotificationsAreInTheChangeFeed", testNotificationChanges},
}

// told says what a user was told, the newest first: kind and actor, by the names given.
func (e *env) told(user freshet.ID, names map[freshet.ID]string) string {
	e.Helper()
	var all []string
	for _, n := range got(e.Notifications(e.Context(), user, 0, 99))(e) {
		if n.User != user {
			e.Fatalf("%+v of another user", n)
		}
		all = append(all, n.Kind.String()+" "+names[n.Actor])
	}
	return strings.Join(all, ", ")
}

func (e *env) unseen(user freshet.ID, want int) {
	e.Helper()
	e.same("unseen", got(e.Unseen(e.Context(), user, 1000))(e), want)
}

func (e *env) like(actor, post freshet.ID) {
	e.Helper()
	_, _, _, err := e.Like(e.Context(), actor, post, store.Write{})
	e.ok(err)
}

func testNotified(e *env) {
	u := e.users(3)
	me, a, b := u[0], u[1], u[2]
	names := map[freshet.ID]string{a: "a", b: "b"}
	post := e.post(me, "x")
	for range 2 {
		e.like(a, post)
	}
	comment := e.comment(post, b, "well")
	e.follow(a, me)
	_, _, err := e.Follow(e.Context(), a, me, store.Write{})
	e.ok(err)
	e.same("told", e.told(me, names), "follow a, comment b, like a")
	all := got(e.Notifications(e.Context(), me, 0, 9))(e)
	e.same("what it is about", []freshet.ID{all[0].Post, all[0].Comment, all[1].Post, all[1].Comment, all[2].Post, all[2].Comment},
		[]freshet.ID{0, 0, post, comment, post, 0})
	e.unseen(me, 3)

	e.like(me, post) // one's own
	e.comment(post, me, "thanks")
	e.same("told", e.told(me, names), "follow a, comment b, like a")
	e.same("who did it is told", e.told(a, names)+e.told(b, names), "")
}

func testDenoted(e *env) {
	ctx := e.Context()
	u := e.users(4)
	me, a, b, gone := u[0], u[1], u[2], u[3]
	names := map[freshet.ID]string{a: "a", b: "b", gone: "gone"}
	post, other := e.post(me, "x"), e.post(me, "y")
	for _, p := range []freshet.ID{post, other} {
		for _, x := range []freshet.ID{a, gone} {
			e.like(x, p)
			e.comment(p, x, "well")
		}
	}
	said := e.comment(post, b, "well")
	for _, x := range []freshet.ID{a, b, gone} {
		e.follow(x, me)
	}
	e.unseen(me, 12)
	_, _, err := e.EraseUser(ctx, gone, store.Write{})
	e.ok(err)
	_, err = e.DeletePost(ctx, me, other, store.Write{})
	e.ok(err)
	e.same("told", e.told(me, names), "follow b, follow a, comment b, comment a, like a")
	_, _, _, err = e.Unlike(ctx, a, post, store.Write{})
	e.ok(err)
	_, _, err = e.DeleteComment(ctx, me, said, store.Write{})
	e.ok(err)
	_, _, err = e.Unfollow(ctx, a, me, store.Write{})
	e.ok(err)
	e.same("told", e.told(me, names), "follow b, comment a")
	_, _, err = e.Block(ctx, me, b, store.Write{})
	e.ok(err)
	e.same("told", e.told(me, names), "comment a")
	_, _, err = e.EraseUser(ctx, me, store.Write{})
	e.ok(err)
	e.same("told who was erased", e.told(me, names), "")
	e.unseen(me, 0)
}

func testRequestsTold(e *env) {
	ctx := e.Context()
	u := e.users(5)
	shy, a, b, c, d := u[0], u[1], u[2], u[3], u[4]
	names := map[freshet.ID]string{shy: "shy", a: "a", b: "b", c: "c", d: "d"}
	e.closed(e, shy)
	for _, x := range []freshet.ID{a, b, c, d} {
		e.ask(e, x, shy)
	}
	e.same("told", e.told(shy, names), "request d, request c, request b, request a")
	_, _, err := e.AcceptRequest(ctx, shy, a, store.Write{})
	e.ok(err)
	_, _, err = e.CompleteFollow(ctx, a, shy, store.Write{})
	e.ok(err)
	_, err = e.RefuseRequest(ctx, shy, b, store.Write{})
	e.ok(err)
	_, _, err = e.WithdrawRequest(ctx, c, shy, store.Write{})
	e.ok(err)
	e.same("told", e.told(shy, names), "request d")
	e.same("told who was accepted", e.told(a, names), "accepted shy")
	e.open(shy)
	_, _, err = e.CompleteFollow(ctx, d, shy, store.Write{})
	e.ok(err)
	e.same("told", e.told(shy, names), "follow d")
	e.same("told who was accepted", e.told(d, names), "accepted shy")
	_, _, err = e.Unfollow(ctx, a, shy, store.Write{})
	e.ok(err)
	e.same("told who has left", e.told(a, names), "")
	_, _, err = e.EraseUser(ctx, shy, store.Write{})
	e.ok(err)
	e.same("told of who was erased", e.told(d, names), "")
}

func testUnseen(e *env) {
	ctx := e.Context()
	u := e.users(6)
	me := u[0]
	post := e.post(me, "x")
	for _, x := range u[1:] {
		e.like(x, post)
	}
	e.unseen(me, 5)
	e.same("of the newest", got(e.Unseen(ctx, me, 3))(e), 3)
	all := got(e.Notifications(ctx, me, 0, 9))(e)
	for _, want := range []bool{true, false} {
		changed, at, err := e.SeeNotifications(ctx, me, all[3].ID, store.Write{})
		e.ok(err)
		e.same("changed", changed, want)
		if len(at) == 0 {
			e.Fatal("no token")
		}
	}
	changed, _, err := e.SeeNotifications(ctx, me, all[4].ID, store.Write{})
	e.ok(err)
	e.same("what was seen is not seen any more", changed, false)
	e.unseen(me, 3)
	for i, n := range got(e.Notifications(ctx, me, 0, 9))(e) {
		e.same("seen", n.Seen, i >= 3)
	}
	_, _, err = e.Mute(ctx, me, all[0].Actor, store.Write{})
	e.ok(err)
	_, _, err = e.Block(ctx, me, all[1].Actor, store.Write{})
	e.ok(err)
	_, _, err = e.Block(ctx, all[2].Actor, me, store.Write{})
	e.ok(err)
	e.unseen(me, 0)
	_, _, err = e.Unmute(ctx, me, all[0].Actor, store.Write{})
	e.ok(err)
	e.unseen(me, 1)
	changed, _, err = e.SeeNotifications(ctx, me, all[0].ID+1<<40, store.Write{}) // which does not see what comes later
	e.ok(err)
	e.same("changed", changed, true)
	e.unseen(me, 0)
	_, _, err = e.Unblock(ctx, me, all[1].Actor, store.Write{})
	e.ok(err)
	e.comment(post, all[0].Actor, "new")
	e.unseen(me, 1)
	_, _, err = e.SeeNotifications(ctx, 42, 0, store.Write{})
	e.code(err, freshet.CodeNotFound)
}

func testInbound(e *env) {
	ctx := e.Context()
	u := e.users(2)
	for i, add := range []struct {
		user freshet.ID
		name string
		want bool
	}{{u[0], "order 1", true}, {u[0], "order 1", false}, {u[1], "order 1", true}, {u[0], "order 2", true}} {
		changed, _, err := e.AddNotification(ctx, add.user, add.name, fmt.Sprint("text ", i), store.Write{})
		e.ok(err)
		e.same("added", changed, add.want)
	}
	var texts []string
	for _, n := range got(e.Notifications(ctx, u[0], 0, 9))(e) {
		texts = append(texts, n.Kind.String()+" "+n.Text)
	}
	e.same("told", texts, []string{"inbound text 3", "inbound text 0"})
	e.unseen(u[0], 2)
	_, _, err := e.AddNotification(ctx, 42, "x", "x", store.Write{})
	e.code(err, freshet.CodeNotFound)
}

func testNotificationList(e *env) {
	ctx := e.Context()
	me, fans := e.user("me"), e.users(size(23, 12))
	for _, f := range fans {
		e.follow(f, me)
	}
	for _, limit := range []int{1, 4, len(fans), 100} {
		all := walk(e, limit, func(n freshet.Notification) freshet.ID { return n.ID },
			func(at freshet.ID) ([]freshet.Notification, error) { return e.Notifications(ctx, me, at, limit) })
		var actors []freshet.ID
		for i, n := range all {
			if actors = append(actors, n.Actor); i > 0 && n.ID >= all[i-1].ID {
				e.Fatal("ids don't fall")
			}
		}
		e.same("everybody once", ascending(actors...), ascending(fans...))
	}
}

func testPurgeNotifications(e *env) {
	ctx := e.Context()
	u := e.users(3)
	for _, x := range u[1:] {
		e.follow(x, u[0])
	}
	all := got(e.Notifications(ctx, u[0], 0, 9))(e)
	_, err := e.PurgeNotifications(ctx, all[1].ID.Time().Add(-time.Hour))
	e.ok(err)
	e.unseen(u[0], 2)
	_, err = e.PurgeNotifications(ctx, all[0].ID.Time().Add(time.Hour))
	e.ok(err)
	e.unseen(u[0], 0)
	e.counted(u[0], 2, 0, 0)
}

func testImportsTellNobody(e *env) {
	i, ok := e.Store.(store.Importer)
	if !ok {
		e.lacks("imports (no store.Importer)")
		return
	}
	a, b := e.handle("a"), e.handle("b")
	_, err := i.ImportFollows(e.Context(), []store.ImportedFollow{{Follower: a, Followee: b}})
	e.ok(err)
	id, err := e.UserByHandle(e.Context(), b)
	e.ok(err)
	e.counted(id, 1, 0, 0)
	e.unseen(id, 0)
}

func testNotificationChanges(e *env) {
	ctx := e.Context()
	c := e.subscribe("notifications")
	if c == nil {
		return
	}
	marker, me, a := e.user("marker"), e.user("me"), e.user("a")
	post := e.post(me, "x")
	e.mark(c, marker)
	e.like(a, post)
	e.like(me, post)
	e.follow(a, me)
	all := got(e.Notifications(ctx, me, 0, 9))(e)
	_, _, err := e.SeeNotifications(ctx, me, 0, store.Write{})
	e.ok(err)
	_, _, err = e.AddNotification(ctx, me, "x", "x", store.Write{})
	e.ok(err)
	inbound := got(e.Notifications(ctx, me, 0, 1))(e)[0]
	var heard []store.Change
	facts := 0
	for _, ch := range e.mark(c, marker) {
		switch ch.Kind {
		case store.Notified:
			heard = append(heard, store.Change{Kind: ch.Kind, Subject: ch.Subject, Object: ch.Object})
		case store.LikeChanged, store.FollowChanged:
			facts++
		}
	}
	want := []store.Change{}
	for _, id := range []freshet.ID{all[1].ID, all[0].ID, 0, inbound.ID} {
		want = append(want, store.Change{Kind: store.Notified, Subject: id, Object: me})
	}
	e.same("changes", heard, want)
	e.same("facts", facts, 3)
}
