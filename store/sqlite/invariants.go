package sqlite

import "github.com/freshet/freshet/store"

// invariant is one thing that holds at every commit. Its query gives a row for
// each thing checked: subject, object, what is there, what should be, and a text
// where the thing is a name. The statement that mends takes subject, object and
// text as ?1, ?2 and ?3.
type invariant struct {
	name   string
	query  string
	own    string // the id in whose bucket a row lies: rows of buckets elsewhere, on their way, are passed over
	of     string // the user whom a row belongs to, for a sample; "": checked in full only
	group  string
	mend   string
	kind   store.ChangeKind // of the change that a mending is; 0: none
	counts bool
}

// invariants come in the order of mending: what has no owner goes first, then
// mirrors follow their originals, then counters are counted.
var invariants = []invariant{
	orphan("a post has its author", "posts", "author", "id", "users", "", store.PostDeleted,
		"DELETE FROM posts WHERE id = ?1"),
	orphan("a comment has its post", "comments", "post", "id", "posts", "author", 0,
		"DELETE FROM comments WHERE id = ?1"),
	orphan("a comment has its author", "comments", "author", "id", "users", "", 0,
		"DELETE FROM comments WHERE id = ?1"),
	orphan("a like has its post", "likes", "post", "user", "posts", "user", 0,
		"DELETE FROM likes WHERE user = ?1 AND post = ?2"),
	orphan("views have their post", "post_views", "post", "post", "posts", "", 0,
		"DELETE FROM post_views WHERE post = ?1"),
	orphan("viewed hours have their post", "post_view_hours", "post", "hour", "posts", "", 0,
		"DELETE FROM post_view_hours WHERE hour = ?1 AND post = ?2"),
	orphan("readers have their post", "post_readers", "post", "post", "posts", "", 0,
		"DELETE FROM post_readers WHERE post = ?1"),
	orphan("a like has its user", "likes", "user", "post", "users", "", store.LikeChanged,
		"DELETE FROM likes WHERE post = ?1 AND user = ?2"),
	orphan("a follow has its follower", "follows", "follower", "followee", "users", "", 0,
		"DELETE FROM follows WHERE followee = ?1 AND follower = ?2"),
	orphan("a follow has its followee", "follows", "followee", "follower", "users", "follower", store.FollowChanged,
		"DELETE FROM follows WHERE follower = ?1 AND followee = ?2"),
	orphan("a block has who blocks", "blocks", "blocker", "blocked", "users", "", 0,
		"DELETE FROM blocks WHERE blocked = ?1 AND blocker = ?2"),
	orphan("a block has the blocked", "blocks", "blocked", "blocker", "users", "blocker", store.BlockChanged,
		"DELETE FROM blocks WHERE blocker = ?1 AND blocked = ?2"),
	orphan("a mute has who mutes", "mutes", "muter", "muted", "users", "", 0,
		"DELETE FROM mutes WHERE muted = ?1 AND muter = ?2"),
	orphan("a mute has the muted", "mutes", "muted", "muter", "users", "muter", store.MuteChanged,
		"DELETE FROM mutes WHERE muter = ?1 AND muted = ?2"),
	orphan("a follow request has who is asked", "follow_requests", "target", "requester", "users", "", 0,
		"DELETE FROM follow_requests WHERE requester = ?1 AND target = ?2"),
	orphan("a follow request has who asks", "follow_requests", "requester", "target", "users", "target", store.RequestChanged,
		"DELETE FROM follow_requests WHERE target = ?1 AND requester = ?2"),
	orphan("a notification has its user", "notifications", "user", "id", "users", "", 0,
		"DELETE FROM notifications WHERE id = ?1"),
	{
		name: "a notification has its fact",
		own:  "n.id",
		query: `SELECT n.id, n.actor, CASE n.kind
				WHEN 1 THEN EXISTS (SELECT 1 FROM likes WHERE post = n.object AND user = n.actor)
				WHEN 2 THEN EXISTS (SELECT 1 FROM comments WHERE id = n.object AND author = n.actor)
				WHEN 3 THEN ` + isAway("n.actor") + ` OR EXISTS (SELECT 1 FROM follows WHERE follower = n.actor AND followee = n.object)
				WHEN 4 THEN EXISTS (SELECT 1 FROM follow_requests WHERE target = n.object AND requester = n.actor AND NOT accepted)
				WHEN 5 THEN EXISTS (SELECT 1 FROM follows WHERE follower = n.object AND followee = n.actor)
				ELSE 1 END, 1, '' FROM notifications n`,
		of:   "n.user",
		mend: "DELETE FROM notifications WHERE id = ?1",
	},
	orphan("a session has its user", "sessions", "user", "id", "users", "", store.SessionEnded,
		"DELETE FROM sessions WHERE id = ?1"),
	{
		name: "followers mirror follows",
		own:  "f.follower",
		query: `SELECT f.follower, f.followee, EXISTS (SELECT 1 FROM followers m
			WHERE m.followee = f.followee AND m.id = f.id AND m.follower = f.follower) OR ` + isAway("f.followee") + `, 1, '' FROM follows f`,
		of:   "f.follower",
		mend: "INSERT INTO followers (followee, id, follower) SELECT followee, id, follower FROM follows WHERE follower = ?1 AND followee = ?2 ON CONFLICT DO NOTHING",
		kind: store.FollowChanged,
	},
	{
		name: "each of followers is a follow",
		own:  "m.followee",
		query: `SELECT m.follower, m.followee, EXISTS (SELECT 1 FROM follows f
			WHERE f.follower = m.follower AND f.followee = m.followee AND f.id = m.id) OR ` + isAway("m.follower") + `, 1, '' FROM followers m`,
		of: "m.followee",
		mend: `DELETE FROM followers WHERE followee = ?2 AND follower = ?1
			AND id NOT IN (SELECT id FROM follows WHERE follower = ?1 AND followee = ?2)`,
		kind: store.FollowChanged,
	},
	{
		name: "blocked_by mirrors blocks",
		own:  "b.blocker",
		query: `SELECT b.blocker, b.blocked, EXISTS (SELECT 1 FROM blocked_by m
			WHERE m.blocked = b.blocked AND m.blocker = b.blocker AND m.id = b.id) OR ` + isAway("b.blocked") + `, 1, '' FROM blocks b`,
		of: "b.blocker",
		mend: `INSERT INTO blocked_by (blocked, blocker, id) SELECT blocked, blocker, id FROM blocks WHERE blocker = ?1 AND blocked = ?2
			ON CONFLICT DO UPDATE SET id = excluded.id`,
		kind: store.BlockChanged,
	},
	{
		name: "each of blocked_by is a block",
		own:  "m.blocked",
		query: `SELECT m.blocker, m.blocked, EXISTS (SELECT 1 FROM blocks b
			WHERE b.blocker = m.blocker AND b.blocked = m.blocked) OR ` + isAway("m.blocker") + `, 1, '' FROM blocked_by m`,
		of: "m.blocked",
		mend: `DELETE FROM blocked_by WHERE blocked = ?2 AND blocker = ?1
			AND NOT EXISTS (SELECT 1 FROM blocks WHERE blocker = ?1 AND blocked = ?2)`,
		kind: store.BlockChanged,
	},
	{
		name: "blocked users don't follow each other",
		own:  "b.blocker",
		query: `SELECT b.blocker, b.blocked, (SELECT count(*) FROM follows f
			WHERE (f.follower, f.followee) IN (VALUES (b.blocker, b.blocked), (b.blocked, b.blocker)) AND NOT ` + isAway("f.follower") + `), 0, '' FROM blocks b`,
		of: "b.blocker",
		mend: "DELETE FROM follows WHERE (follower, followee) IN (VALUES (?1, ?2), (?2, ?1)) AND NOT " + isAway("follower") + `
			AND EXISTS (SELECT 1 FROM blocks WHERE blocker = ?1 AND blocked = ?2)`,
		kind: store.BlockChanged,
	},
	{
		name: "handles lead to users",
		own:  "0",
		query: "SELECT h.user, 0, h.user, CASE WHEN " + unsettled("handles") + `
			OR EXISTS (SELECT 1 FROM users u WHERE u.id = h.user AND lower(u.handle) = h.handle) THEN h.user ELSE 0 END, h.handle FROM handles h`,
		mend: "DELETE FROM handles WHERE handle = ?3 AND user = ?1 AND NOT pending",
	},
	{
		name:  "each user has the handle",
		own:   "u.id",
		query: "SELECT u.id, 0, " + nameless("(SELECT user FROM handles h WHERE h.handle = lower(u.handle))") + ", u.id, u.handle FROM users u",
		of:    "u.id",
		mend:  "INSERT INTO handles (handle, user) SELECT lower(handle), id FROM users WHERE id = ?1 ON CONFLICT DO NOTHING",
	},
	{
		name: "refs lead to users",
		own:  "0",
		query: "SELECT h.user, 0, h.user, CASE WHEN " + unsettled("user_refs") + `
			OR EXISTS (SELECT 1 FROM users u WHERE u.id = h.user AND u.ref = h.ref) THEN h.user ELSE 0 END, h.ref FROM user_refs h`,
		mend: "DELETE FROM user_refs WHERE ref = ?3 AND user = ?1 AND NOT pending",
	},
	{
		name:  "each user has the ref",
		own:   "u.id",
		query: "SELECT u.id, 0, CASE u.ref WHEN '' THEN u.id ELSE " + nameless("(SELECT user FROM user_refs h WHERE h.ref = u.ref)") + " END, u.id, u.ref FROM users u",
		of:    "u.id",
		mend:  "INSERT INTO user_refs (ref, user) SELECT ref, id FROM users WHERE id = ?1 AND ref <> '' ON CONFLICT DO NOTHING",
	},
	{
		name:  "post refs lead to posts",
		own:   "h.author",
		query: "SELECT h.post, h.author, h.post, coalesce((SELECT id FROM posts p WHERE p.id = h.post AND p.author = h.author AND p.ref = h.ref), 0), h.ref FROM post_refs h",
		of:    "h.author",
		mend:  "DELETE FROM post_refs WHERE author = ?2 AND ref = ?3 AND post = ?1",
	},
	{
		name:  "each post has the ref",
		own:   "p.id",
		query: "SELECT p.id, p.author, CASE p.ref WHEN '' THEN p.id ELSE coalesce((SELECT post FROM post_refs h WHERE h.author = p.author AND h.ref = p.ref), 0) END, p.id, p.ref FROM posts p",
		of:    "p.author",
		mend:  "INSERT INTO post_refs (author, ref, post) SELECT author, ref, id FROM posts WHERE id = ?1 AND ref <> '' ON CONFLICT DO NOTHING",
	},
	{
		// Hours are purged and the total is not, so it may be more.
		name: "views are no fewer than those of hours",
		own:  "h.post",
		query: `SELECT h.post, 0, coalesce((SELECT views FROM post_views v WHERE v.post = h.post), 0) >= sum(h.views), 1, ''
			FROM post_view_hours h`,
		group: " GROUP BY h.post",
		mend: `INSERT INTO post_views (post, views) SELECT post, sum(views) FROM post_view_hours WHERE post = ?1 GROUP BY post
			ON CONFLICT (post) DO UPDATE SET views = max(views, excluded.views)`,
	},
	counter("followers_count", "users", "id", "(SELECT count(*) FROM followers WHERE followee = t.id)", store.UserChanged),
	counter("following_count", "users", "id", "(SELECT count(*) FROM follows WHERE follower = t.id)", store.UserChanged),
	counter("posts_count", "users", "id", "(SELECT count(*) FROM posts WHERE author = t.id)", store.UserChanged),
	counter("likes", "posts", "author", "(SELECT count(*) FROM likes WHERE post = t.id)", store.LikeChanged),
	counter("comments", "posts", "author", "(SELECT count(*) FROM comments WHERE post = t.id)", store.CommentChanged),
}

// unsettled is the condition that a name's user decides elsewhere, or at the
// moment, whether it is the user's.
func unsettled(table string) string {
	return "EXISTS (SELECT 1 FROM " + table + " p WHERE p.user = h.user AND p.pending) OR " + isAway("h.user")
}

// nameless is the owner of a user's name, or the user where names may be elsewhere.
func nameless(owner string) string {
	return "CASE WHEN " + isAway("0") + " THEN u.id ELSE coalesce(" + owner + ", CASE WHEN EXISTS (SELECT 1 FROM elsewhere) THEN u.id ELSE 0 END) END"
}

// rowOf names the id in whose bucket the rows of a table lie.
var rowOf = map[string]string{
	"users": "id", "posts": "id", "comments": "id", "likes": "post", "post_views": "post", "post_view_hours": "post",
	"post_readers": "post", "follows": "follower", "blocks": "blocker", "mutes": "muter", "sessions": "id",
	"follow_requests": "target", "notifications": "id",
}

// orphan wants a row of table owners for the owner that each row names, unless
// it is elsewhere and not known to be erased. Its subject is the row's other
// name, its object the owner.
func orphan(name, table, owner, subject, owners, of string, kind store.ChangeKind, mend string) invariant {
	inv := invariant{
		name: name,
		query: "SELECT t." + subject + ", t." + owner + ", EXISTS (SELECT 1 FROM " + owners + " o WHERE o.id = t." + owner + ") OR " +
			isAway("t."+owner) + " AND NOT EXISTS (SELECT 1 FROM ended WHERE id = t." + owner + "), 1, '' FROM " + table + " t",
		own:  "t." + rowOf[table],
		mend: mend,
		kind: kind,
	}
	if of != "" {
		inv.of = "t." + of
	}
	return inv
}

func counter(column, table, of, count string, kind store.ChangeKind) invariant {
	return invariant{
		name:   column + " equals facts",
		query:  "SELECT t.id, 0, t." + column + ", " + count + ", '' FROM " + table + " t",
		own:    "t." + rowOf[table],
		of:     "t." + of,
		mend:   "UPDATE " + table + " AS t SET " + column + " = " + count + " WHERE id = ?1",
		kind:   kind,
		counts: true,
	}
}
