package sqlite

import (
	"context"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// EraseUser removes a user and all that the user wrote, in one transaction:
// some 10 µs for each post, like, comment and edge, during which other writes
// wait. Ten thousand of them are 0.1 s; a user with a million is for a job that
// erases in steps, which this is not.
func (d *DB) EraseUser(ctx context.Context, id freshet.ID, w store.Write) (gone store.Erased, at position.Token, err error) {
	at, err = d.write(ctx, w, func(t *tx) error {
		if err := t.needUsers(id); err != nil {
			return err
		}
		gone = store.Erased{}
		edges, err := t.edgesAway(id)
		if err != nil {
			return err
		}
		for _, step := range []func(freshet.ID, *store.Erased) error{
			t.eraseEdges, t.erasePosts, t.eraseLikes, t.eraseComments, t.eraseAccount,
		} {
			if err := step(id, &gone); err != nil {
				return err
			}
		}
		if err := t.end(id); err != nil {
			return err
		}
		if err := t.mirrorErasure(id, edges, gone.Neighbors); err != nil {
			return err
		}
		return t.change(store.UserErased, id, 0, gone.Neighbors...)
	})
	return gone, at, err
}

// all runs statements that know one user as ?1.
func (t *tx) all(id freshet.ID, queries ...string) error {
	for _, query := range queries {
		if err := t.exec(query, id); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) eraseEdges(id freshet.ID, gone *store.Erased) (err error) {
	if gone.Neighbors, err = t.ids(`SELECT followee FROM follows WHERE follower = ?1
		UNION SELECT follower FROM followers WHERE followee = ?1
		UNION SELECT blocked FROM blocks WHERE blocker = ?1
		UNION SELECT blocker FROM blocked_by WHERE blocked = ?1
		UNION SELECT muted FROM mutes WHERE muter = ?1
		UNION SELECT muter FROM mutes WHERE muted = ?1 AND NOT `+isAway("muter")+` ORDER BY 1`, id); err != nil {
		return err
	}
	return t.all(id,
		"UPDATE users SET followers_count = followers_count - 1 WHERE id IN (SELECT followee FROM follows WHERE follower = ?) AND NOT "+isAway("id"),
		"UPDATE users SET following_count = following_count - 1 WHERE id IN (SELECT follower FROM followers WHERE followee = ?) AND NOT "+isAway("id"),
		"DELETE FROM followers WHERE (followee, id, follower) IN (SELECT followee, id, follower FROM follows WHERE follower = ? AND NOT "+isAway("followee")+")",
		"DELETE FROM follows WHERE (follower, followee) IN (SELECT follower, followee FROM followers WHERE followee = ? AND NOT "+isAway("follower")+")",
		"DELETE FROM follows WHERE follower = ?",
		"DELETE FROM followers WHERE followee = ?",
		"DELETE FROM blocked_by WHERE (blocked, blocker) IN (SELECT blocked, blocker FROM blocks WHERE blocker = ? AND NOT "+isAway("blocked")+")",
		"DELETE FROM blocks WHERE (blocker, blocked) IN (SELECT blocker, blocked FROM blocked_by WHERE blocked = ? AND NOT "+isAway("blocker")+")",
		"DELETE FROM blocks WHERE blocker = ?",
		"DELETE FROM blocked_by WHERE blocked = ?",
		"DELETE FROM mutes WHERE muter = ?",
		"DELETE FROM mutes WHERE (muter, muted) IN (SELECT muter, muted FROM mutes WHERE muted = ? AND NOT "+isAway("muter")+")",
		"DELETE FROM follow_requests WHERE target = ?",
		eraseRequests,
	)
}

// eraseRequests ends the requests that a user has made.
var eraseRequests = "DELETE FROM follow_requests WHERE (target, requester) IN (SELECT target, requester FROM follow_requests WHERE requester = ? AND NOT " + isAway("target") + ")"

func (t *tx) erasePosts(id freshet.ID, gone *store.Erased) (err error) {
	if gone.Posts, err = t.ids("SELECT id FROM posts WHERE author = ? ORDER BY id", id); err != nil {
		return err
	}
	for _, post := range gone.Posts {
		if err := t.change(store.PostDeleted, post, id); err != nil {
			return err
		}
	}
	return t.all(id,
		"DELETE FROM likes WHERE post IN (SELECT id FROM posts WHERE author = ?)",
		"DELETE FROM comments WHERE post IN (SELECT id FROM posts WHERE author = ?)",
		"DELETE FROM post_views WHERE post IN (SELECT id FROM posts WHERE author = ?)",
		"DELETE FROM post_view_hours WHERE post IN (SELECT id FROM posts WHERE author = ?)",
		"DELETE FROM post_readers WHERE post IN (SELECT id FROM posts WHERE author = ?)",
		"DELETE FROM post_refs WHERE author = ?",
		"DELETE FROM posts WHERE author = ?",
	)
}

func (t *tx) eraseLikes(id freshet.ID, gone *store.Erased) error {
	liked, err := t.ids("SELECT post FROM likes WHERE user = ? AND NOT "+isAway("post")+" ORDER BY post", id)
	if err != nil {
		return err
	}
	for _, post := range liked {
		if err := t.change(store.LikeChanged, post, id); err != nil {
			return err
		}
	}
	gone.Parents = liked
	return t.all(id,
		"UPDATE posts SET likes = likes - 1 WHERE id IN (SELECT post FROM likes WHERE user = ? AND NOT "+isAway("post")+")",
		"DELETE FROM likes WHERE (post, user) IN (SELECT post, user FROM likes WHERE user = ? AND NOT "+isAway("post")+")",
	)
}

func (t *tx) eraseComments(id freshet.ID, gone *store.Erased) error {
	commented, err := t.ids("SELECT DISTINCT post FROM comments WHERE author = ? AND NOT "+isAway("post")+" ORDER BY post", id)
	if err != nil {
		return err
	}
	for _, post := range commented {
		if err := t.change(store.CommentChanged, post, 0); err != nil {
			return err
		}
	}
	gone.Parents = sorted(append(gone.Parents, commented...))
	return t.all(id,
		`UPDATE posts SET comments = comments - mine.n
			FROM (SELECT post, count(*) AS n FROM comments WHERE author = ? AND NOT `+isAway("post")+` GROUP BY post) AS mine WHERE id = mine.post`,
		"DELETE FROM comments WHERE author = ? AND NOT "+isAway("post"),
		"DELETE FROM notifications WHERE id IN (SELECT id FROM notifications WHERE actor = ? AND NOT "+isAway("user")+")",
	)
}

func (t *tx) eraseAccount(id freshet.ID, gone *store.Erased) (err error) {
	if gone.Sessions, err = t.endSessions(id); err != nil {
		return err
	}
	if err := t.eraseNames(id); err != nil {
		return err
	}
	return t.all(id, "DELETE FROM notifications WHERE user = ?", "DELETE FROM users WHERE id = ?")
}

// eraseNames frees the names of a user, where names are.
func (t *tx) eraseNames(id freshet.ID) error {
	if away, err := t.away(0); err != nil || away {
		return err
	}
	return t.all(id, "DELETE FROM handles WHERE user = ?", "DELETE FROM user_refs WHERE user = ?")
}

// edgesAway lists the user's own follows of users elsewhere, from the oldest.
func (t *tx) edgesAway(id freshet.ID) (edges []freshet.Edge, err error) {
	err = t.Each("SELECT id, followee FROM follows WHERE follower = ? AND "+isAway("followee")+" ORDER BY id", []any{id},
		func(r *litedb.Rows) { edges = append(edges, freshet.Edge{ID: r.ID(0), User: r.ID(1)}) })
	return edges, err
}

// mirrorErasure tells other parts, if there are any. What ends a follow is told
// by its edge, under which the other part finds it among many.
func (t *tx) mirrorErasure(id freshet.ID, follows []freshet.Edge, neighbors []freshet.ID) error {
	if _, parts, err := t.number("SELECT 1 FROM elsewhere LIMIT 1"); err != nil || !parts {
		return err
	}
	for _, edge := range follows {
		if err := t.mirror(store.FollowEnded, id, edge.User, edge.ID); err != nil {
			return err
		}
	}
	away, err := t.ids("SELECT value FROM json_each(?) WHERE "+isAway("value"), jsonIDs(neighbors))
	if err != nil {
		return err
	}
	if err := t.passOver(id, away); err != nil {
		return err
	}
	return t.mirror(store.Erasure, id, 0, 0, away...)
}

// passOver notes an erasure that passes over the rows of a move's buckets, which
// are elsewhere: when they come the source may have given them away before it heard
// of the erasure. A move that is on has them all here or all elsewhere.
func (t *tx) passOver(user freshet.ID, also []freshet.ID) error {
	return t.exec(`INSERT INTO passed (user, also) SELECT ?, ? FROM move WHERE away
		ON CONFLICT (user) DO UPDATE SET also = CAST(also || excluded.also AS BLOB)`, user, append([]byte{}, packIDs(also)...))
}

// meetErasures makes for rows that came what has passed over them. Where the source
// made it too nothing is left to be done, which is the rule and takes some 0.1 ms
// for each erasure since the rows left their part or began to come here.
func (t *tx) meetErasures() error {
	var passed []store.Mirror
	if err := t.Each("SELECT user, also FROM passed ORDER BY user", nil, func(r *litedb.Rows) {
		passed = append(passed, store.Mirror{Kind: store.Erasure, Actor: r.ID(0), Also: unpackIDs(r.Blob(1))})
	}); err != nil {
		return err
	}
	for _, m := range passed {
		if _, err := t.applyErasure(m); err != nil {
			return fmt.Errorf("apply the erasure of %s: %w", m.Actor, err)
		}
	}
	return t.exec("DELETE FROM passed")
}

// nearby gives those of the users whose buckets are here.
func (t *tx) nearby(users []freshet.ID) (near []freshet.ID, err error) {
	for _, id := range users {
		away, err := t.away(id.Bucket())
		if err != nil {
			return nil, err
		}
		if !away {
			near = append(near, id)
		}
	}
	return near, nil
}

// applyErasure ends what is here of a user who was erased elsewhere, and tells
// whom that touched. The user's own follows were ended before, each by its edge.
func (t *tx) applyErasure(m store.Mirror) (out store.Applied, err error) {
	if err := t.end(m.Actor); err != nil {
		return out, err
	}
	if err := t.passOver(m.Actor, m.Also); err != nil {
		return out, err
	}
	near, err := t.nearby(m.Also)
	if err != nil {
		return out, err
	}
	known := jsonIDs(near)
	out.Neighbors, err = t.ids(`SELECT id FROM users WHERE id IN (SELECT value FROM json_each(?2))
		UNION SELECT muter FROM mutes WHERE muted = ?1 AND NOT `+isAway("muter")+` ORDER BY 1`, m.Actor, known)
	if err != nil {
		return out, err
	}
	for _, query := range []string{
		`UPDATE users SET following_count = following_count - 1
			WHERE id IN (SELECT follower FROM follows WHERE (follower, followee) IN (SELECT value, ?1 FROM json_each(?2)))`,
		"DELETE FROM follows WHERE (follower, followee) IN (SELECT value, ?1 FROM json_each(?2))",
		"DELETE FROM blocks WHERE (blocker, blocked) IN (SELECT value, ?1 FROM json_each(?2))",
		"DELETE FROM blocked_by WHERE (blocked, blocker) IN (SELECT value, ?1 FROM json_each(?2))",
	} {
		if err := t.exec(query, m.Actor, known); err != nil {
			return out, err
		}
	}
	if err := t.all(m.Actor,
		"DELETE FROM mutes WHERE (muter, muted) IN (SELECT muter, muted FROM mutes WHERE muted = ? AND NOT "+isAway("muter")+")",
		eraseRequests,
	); err != nil {
		return out, err
	}
	if err := t.eraseNames(m.Actor); err != nil {
		return out, err
	}
	var gone store.Erased
	if err := t.eraseLikes(m.Actor, &gone); err != nil {
		return out, err
	}
	if err := t.eraseComments(m.Actor, &gone); err != nil {
		return out, err
	}
	out.Parents = gone.Parents
	return out, t.change(store.UserErased, m.Actor, 0, out.Neighbors...)
}
