package storetest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// scene is a small network across both parts: a and b are in the two buckets that go, s and u stay on the source, t and v are
// on the target.
type scene struct {
	*moves
	a, b, s, u, t, v freshet.ID
	shy              freshet.ID // who is private, beside b
	buckets          []int
	handle, ref      string // of a

	post, second, third freshet.ID // of a, of b, and a's own that is there to be deleted
	said                freshet.ID // the comment of s below post
	elsewhere           freshet.ID // a post of t
	session, other      freshet.Session
	claim               freshet.Idempotency // of post
	pending             store.Mirror        // of a to v
	drawn, ended        freshet.ID          // in the bucket of a: for a user, and for nobody
}

var hour = freshet.HourOf(instant)

// unique gives bytes that no test has used on these parts.
func (x *moves) unique() (h [32]byte) {
	x.st.seq++
	binary.BigEndian.PutUint64(h[:], x.st.seq)
	return h
}

func (x *moves) key() *freshet.Idempotency {
	return &freshet.Idempotency{Key: x.unique(), Hash: x.unique()}
}

// people makes the users alone.
func (x *moves) people() *scene {
	x.Helper()
	s := &scene{moves: x, buckets: []int{x.fresh(0), x.fresh(0)}, handle: x.handle("Ann"), ref: x.handle("ref")}
	s.a = x.in(0, s.buckets[0], freshet.NewUser{
		Handle: s.handle, Ref: s.ref, Name: "Änn\n", AvatarURL: "https://a/b.png", Email: "ann@example.org", PasswordHash: "$argon2id$x", Admin: true,
	})
	s.b = x.in(0, s.buckets[1], freshet.NewUser{})
	stays := x.fresh(0)
	s.s, s.u = x.in(0, stays, freshet.NewUser{}), x.in(0, stays, freshet.NewUser{})
	if there := x.has[1]; there.Len() > 0 {
		bucket := x.fresh(1)
		s.t, s.v = x.in(1, bucket, freshet.NewUser{}), x.in(1, bucket, freshet.NewUser{})
		s.elsewhere = x.at[1].post(s.t, "of t")
	}
	return s
}

// scene makes the network, with something in every table, and begins to move it.
func (x *moves) scene() *scene {
	x.Helper()
	s := x.people()
	s.wrote(s.p[0])
	s.met(s.p[0])
	s.across()
	x.begin(0, 1, s.buckets...)
	return s
}

// wrote fills what belongs to posts and users.
func (s *scene) wrote(p store.Part) {
	s.Helper()
	home := s.at[0]
	post, _, err := p.CreatePost(s.ctx, freshet.NewPost{Author: s.a, Text: "of a", Ref: "r", Data: []byte(`{"x":1}`)}, store.Write{Idempotency: s.key()})
	s.ok(err)
	s.post = post.ID
	_, _, err = p.EditPost(s.ctx, s.a, s.post, freshet.PostPatch{Text: ptr("of a, 'edited' ☃")}, store.Write{})
	s.ok(err)
	s.claim = *s.key()
	_, _, err = p.CreateComment(s.ctx, freshet.NewComment{Post: s.post, Author: s.b, Text: "claimed"}, store.Write{Idempotency: &s.claim})
	s.ok(err)
	s.ok(p.SaveAnswer(s.ctx, s.claim, 201, []byte("the answer")))
	s.second, s.third = home.post(s.b, "of b"), home.post(s.a, "to be deleted")
	for _, user := range []freshet.ID{s.s, s.b} {
		_, _, _, err = p.Like(s.ctx, user, s.post, store.Write{})
		s.ok(err)
	}
	s.said = home.comment(s.post, s.s, "well")
	home.comment(s.post, s.u, "well, well")
	s.ok(p.CountViews(s.ctx, s.seen(s.post)))
	s.session, s.other = s.signIn(p), s.signIn(p)
	_, err = p.SetPassword(s.ctx, s.b, "$argon2id$y", false)
	s.ok(err)
	_, _, err = p.UpdateUser(s.ctx, s.a, freshet.UserPatch{Bio: ptr("a's")}, store.Write{})
	s.ok(err)
	if i, ok := p.(store.Importer); ok {
		_, err = i.ImportPosts(s.ctx, s.imported(1))
		s.ok(err)
	} else {
		s.lacks("imported rows (no store.Importer)")
	}
}

func (s *scene) imported(n int) []store.ImportedPost {
	return []store.ImportedPost{{Author: s.handle, CreatedAt: instant, Text: "imported", Occurrence: n, Millis: freshet.Millis(instant)}}
}

// seen is a new batch of views of a post.
func (s *scene) seen(post freshet.ID) store.ViewBatch {
	key := s.unique()
	return store.ViewBatch{Journal: [16]byte(key[:16]), Seq: 1, Posts: []store.ViewedPost{{
		Post: post, Hours: []store.ViewedHour{{Hour: hour, Views: 3}, {Hour: hour + 1, Views: 1}}, Readers: []uint64{s.st.seq << 40, 7 << 50},
	}}}
}

func (s *scene) signIn(p store.Part) freshet.Session {
	s.Helper()
	made, _, err := p.CreateSession(s.ctx, freshet.Session{
		User: s.a, Hash: s.unique(), Admin: true, Agent: "curl", CreatedAt: instant, UsedAt: instant, ExpiresAt: instant.Add(time.Hour),
	}, store.Write{})
	s.ok(err)
	return made
}

// met fills what is between two users of the source.
func (s *scene) met(p store.Part) {
	s.Helper()
	for _, edge := range [][2]freshet.ID{{s.a, s.s}, {s.s, s.a}, {s.a, s.b}, {s.u, s.a}, {s.u, s.b}} {
		s.at[0].follow(edge[0], edge[1])
	}
	s.ok(third(p.Block(s.ctx, s.b, s.u, store.Write{})))
	s.ok(third(p.Block(s.ctx, s.s, s.b, store.Write{})))
	s.ok(third(p.Mute(s.ctx, s.a, s.s, store.Write{})))
	s.ok(third(p.Mute(s.ctx, s.u, s.a, store.Write{})))
	s.shy = s.in(0, s.buckets[1], freshet.NewUser{})
	s.closed(p, s.shy)
	for _, user := range []freshet.ID{s.a, s.u} {
		s.ask(p, user, s.shy)
	}
	s.ok(third(p.AcceptRequest(s.ctx, s.shy, s.a, store.Write{})))
	all := got(p.Notifications(s.ctx, s.a, 0, 99))(s.env)
	s.ok(third(p.SeeNotifications(s.ctx, s.a, all[len(all)/2].ID, store.Write{})))
	s.ok(third(p.AddNotification(s.ctx, s.a, "order", "a text ☃", store.Write{})))
}

// closed makes a user private.
func (e *env) closed(p store.Store, user freshet.ID) {
	e.Helper()
	_, _, err := p.UpdateUser(e.ctx, user, freshet.UserPatch{Private: ptr(true)}, store.Write{})
	e.ok(err)
}

// ask makes a request for a follow.
func (e *env) ask(p store.Store, actor, target freshet.ID) {
	e.Helper()
	needed, changed, _, err := p.RequestFollow(e.ctx, actor, target, store.Write{})
	e.ok(err)
	e.same("needed, changed", []bool{needed, changed}, []bool{true, true})
}

// across fills what is between the parts. What can be told has been, but for a follow of a, and the erasure of one who was in
// a's bucket.
func (s *scene) across() {
	s.Helper()
	for _, user := range []freshet.ID{s.t, s.v} {
		s.at[1].follow(user, s.a)
	}
	s.ok(third(s.p[0].Block(s.ctx, s.b, s.v, store.Write{})))
	s.at[1].follow(s.v, s.b) // is refused, because nobody has told yet
	s.ask(s.p[0], s.t, s.shy)
	for _, reaction := range []freshet.ID{s.t, s.v} {
		_, _, _, err := s.p[0].Like(s.ctx, reaction, s.post, store.Write{})
		s.ok(err)
		s.at[0].comment(s.post, reaction, "from elsewhere")
	}
	s.ok(third(s.p[0].Mute(s.ctx, s.a, s.v, store.Write{})))
	gone := s.in(0, s.buckets[0], freshet.NewUser{})
	s.at[0].follow(gone, s.t)
	_, _, _, err := s.p[1].Like(s.ctx, gone, s.elsewhere, store.Write{})
	s.ok(err)
	s.carry()
	_, _, err = s.p[0].EraseUser(s.ctx, gone, store.Write{})
	s.ok(err)
	s.at[0].follow(s.a, s.v)
	list := s.parts.pending(0)
	s.same("pending", kinds(list), []string{"unfollow", "erasure", "follow"})
	s.pending = list[2]

	for _, id := range []*freshet.ID{&s.drawn, &s.ended} {
		*id, err = s.p[0].DrawUserID(s.ctx, s.buckets[0])
		s.ok(err)
	}
	never, err := s.p[0].DrawUserID(s.ctx, s.buckets[1])
	s.ok(err)
	_, _, err = s.p[0].EndClaim(s.ctx, never, never)
	s.ok(err)
}

// says is what the read ports of a part tell of a and b, and of what they wrote.
func (s *scene) says(part int) (all []string) {
	s.Helper()
	e, p := s.at[part], s.p[part]
	say := func(what string, v any) { all = append(all, fmt.Sprintf("%s: %+v", what, v)) }
	users := []freshet.ID{s.a, s.b, s.shy}
	read := got(p.Users(s.ctx, users))(e)
	slices.SortFunc(read, func(x, y freshet.User) int { return int(x.ID - y.ID) })
	say("users", read)
	relations := got(p.Relations(s.ctx, users))(e)
	for _, id := range users {
		say("credentials", got(p.CredentialsOf(s.ctx, id))(e))
		say("email", got(p.Email(s.ctx, id))(e))
		say("relations", relations[id])
		say("followers", got(p.Followers(s.ctx, id, 0, 99))(e))
		say("following", got(p.Following(s.ctx, id, 0, 99))(e))
		say("blocks", got(p.Blocks(s.ctx, id, 0, 99))(e))
		say("mutes", got(p.Mutes(s.ctx, id, 0, 99))(e))
		say("notifications", got(p.Notifications(s.ctx, id, 0, 99))(e))
		say("unseen", got(p.Unseen(s.ctx, id, 99))(e))
		say("requests", got(p.FollowRequests(s.ctx, id, 0, 99))(e))
		say("between", got(p.Between(s.ctx, id, s.a))(e))
		say("posts", got(p.ByAuthor(s.ctx, id, 0, 99))(e))
		say("sessions", got(p.Sessions(s.ctx, id))(e))
	}
	say("home", got(p.PostsOf(s.ctx, users, 0, 99))(e))
	posts := []freshet.ID{s.post, s.second}
	written := got(p.Posts(s.ctx, posts))(e)
	slices.SortFunc(written, func(x, y freshet.Post) int { return int(x.ID - y.ID) })
	say("posts", written)
	say("counts", got(p.Counts(s.ctx, posts))(e))
	for _, user := range []freshet.ID{s.a, s.b, s.s, s.t} {
		say("liked", ascending(got(p.Liked(s.ctx, user, posts))(e)...))
	}
	say("comments", got(p.CommentsOn(s.ctx, s.post, 0, 99))(e))
	say("stats", got(p.PostStats(s.ctx, s.post, hour-1, 4))(e))
	say("session", got(p.SessionByHash(s.ctx, s.session.Hash))(e))
	say("claim", got(p.Claim(s.ctx, s.claim.Key))(e))
	return all
}
