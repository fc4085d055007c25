package postgres

import "github.com/freshet/freshet/store"

// invariant is one thing that holds at every commit. Its query gives a row for
// each thing checked: subject, object, what is there, what should be, and a text
// where the thing is a name. The statement that mends takes @subject, @object and @text.
type invariant struct {
	name   string
	query  string
	of     string // the user whom a row belongs to, for a sample; "": checked in full only
	lock   string // what to lock before the facts are read again, in a statement of its own: its snapshot is from before the wait
	mend   string
	kind   store.ChangeKind // of the change that a mending is; 0: none
	counts bool
}

// invariants come in the order of mending: what has no owner goes first, then
// mirrors follow their originals, then counters are counted. On a part what is
// elsewhere is taken to be as it should, and rows of buckets that are elsewhere
// are nobody's: a move brings them, or has left them behind.
var invariants = []invariant{
	orphan("counters have their user", "user_counts", "id", "id", "users", "", 0, "DELETE FROM user_counts WHERE id = @subject"),
	orphan("a user has counters", "users", "id", "id", "user_counts", "id", store.UserChanged,
		"INSERT INTO user_counts (id) VALUES (@subject) ON CONFLICT DO NOTHING"),
	orphan("counters have their post", "post_counts", "id", "id", "posts", "author", 0, "DELETE FROM post_counts WHERE id = @subject"),
	orphan("a post has counters", "posts", "id", "id", "post_counts", "author", store.LikeChanged,
		"INSERT INTO post_counts (id, author) SELECT id, author FROM posts WHERE id = @subject ON CONFLICT DO NOTHING"),
	orphan("a post has its author", "posts", "author", "id", "users", "", store.PostDeleted,
		"DELETE FROM posts WHERE id = @subject"),
	orphan("a comment has its post", "comments", "post", "id", "posts", "author", 0,
		"DELETE FROM comments WHERE id = @subject"),
	orphan("a comment has its author", "comments", "author", "id", "users", "", 0,
		"DELETE FROM comments WHERE id = @subject"),
	orphan("a like has its post", "likes", "post", "user_id", "post_counts", "user_id", 0,
		"DELETE FROM likes WHERE user_id = @subject AND post = @object"),
	orphan("views have their post", "post_views", "post", "post", "posts", "", 0,
		"DELETE FROM post_views WHERE post = @subject"),
	orphan("viewed hours have their post", "post_view_hours", "post", "hour", "posts", "", 0,
		"DELETE FROM post_view_hours WHERE hour = @subject AND post = @object"),
	orphan("readers have their post", "post_readers", "post", "post", "posts", "", 0,
		"DELETE FROM post_readers WHERE post = @subject"),
	orphan("a like has its user", "likes", "user_id", "post", "users", "", store.LikeChanged,
		"DELETE FROM likes WHERE post = @subject AND user_id = @object"),
	orphan("a follow has its follower", "follows", "follower", "followee", "users", "", 0,
		"DELETE FROM follows WHERE followee = @subject AND follower = @object"),
	orphan("a follow has its followee", "follows", "followee", "follower", "users", "follower", store.FollowChanged,
		"DELETE FROM follows WHERE follower = @subject AND followee = @object"),
	orphan("a block has who blocks", "blocks", "blocker", "blocked", "users", "", 0,
		"DELETE FROM blocks WHERE blocked = @subject AND blocker = @object"),
	orphan("a block has the blocked", "blocks", "blocked", "blocker", "users", "blocker", store.BlockChanged,
		"DELETE FROM blocks WHERE blocker = @subject AND blocked = @object"),
	orphan("a mute has who mutes", "mutes", "muter", "muted", "users", "", 0,
		"DELETE FROM mutes WHERE muted = @subject AND muter = @object"),
	orphan("a mute has the muted", "mutes", "muted", "muter", "users", "muter", store.MuteChanged,
		"DELETE FROM mutes WHERE muter = @subject AND muted = @object"),
	orphan("a follow request has who is asked", "follow_requests", "target", "requester", "users", "", 0,
		"DELETE FROM follow_requests WHERE requester = @subject AND target = @object"),
	orphan("a follow request has who asks", "follow_requests", "requester", "target", "users", "target", store.RequestChanged,
		"DELETE FROM follow_requests WHERE target = @subject AND requester = @object"),
	orphan("a notification has its user", "notifications", "user_id", "id", "users", "", 0,
		"DELETE FROM notifications WHERE id = @subject"),
	{
		name: "a notification has its fact",
		query: `SELECT n.id, n.actor, (CASE n.kind
				WHEN 1 THEN EXISTS (SELECT 1 FROM likes WHERE post = n.object AND user_id = n.actor)
				WHEN 2 THEN EXISTS (SELECT 1 FROM comments WHERE id = n.object AND author = n.actor)
				WHEN 3 THEN NOT (` + isHere("n.actor") + `) OR EXISTS (SELECT 1 FROM follows WHERE follower = n.actor AND followee = n.object)
				WHEN 4 THEN EXISTS (SELECT 1 FROM follow_requests WHERE target = n.object AND requester = n.actor AND NOT accepted)
				WHEN 5 THEN EXISTS (SELECT 1 FROM follows WHERE follower = n.object AND followee = n.actor)
				ELSE true END)::int, 1, '' FROM notifications n WHERE ` + isHere("n.id"),
		of:   "n.user_id",
		mend: "DELETE FROM notifications WHERE id = @subject",
	},
	orphan("a session has its user", "sessions", "user_id", "id", "users", "", store.SessionEnded,
		"DELETE FROM sessions WHERE id = @subject"),
	{
		name: "followers mirror follows",
		query: "SELECT f.follower, f.followee, " + orElsewhere(`SELECT count(*) FROM followers m
			WHERE m.followee = f.followee AND m.id = f.id AND m.follower = f.follower`, "f.followee") + ", 1, '' FROM follows f WHERE " + isHere("f.follower"),
		of: "f.follower",
		mend: `INSERT INTO followers (followee, id, follower) SELECT followee, id, follower FROM follows
			WHERE follower = @subject AND followee = @object AND NOT is_elsewhere(followee) ON CONFLICT DO NOTHING`,
		kind: store.FollowChanged,
	},
	{
		name: "each of followers is a follow",
		query: "SELECT m.follower, m.followee, " + orElsewhere(`SELECT count(*) FROM follows f
			WHERE f.follower = m.follower AND f.followee = m.followee AND f.id = m.id`, "m.follower") + ", 1, '' FROM followers m WHERE " + isHere("m.followee"),
		of: "m.followee",
		mend: `DELETE FROM followers WHERE followee = @object AND follower = @subject
			AND id NOT IN (SELECT id FROM follows WHERE follower = @subject AND followee = @object)`,
		kind: store.FollowChanged,
	},
	{
		name: "blocked_by mirrors blocks",
		query: "SELECT b.blocker, b.blocked, " + orElsewhere(`SELECT count(*) FROM blocked_by m
			WHERE m.blocked = b.blocked AND m.blocker = b.blocker AND m.id = b.id`, "b.blocked") + ", 1, '' FROM blocks b WHERE " + isHere("b.blocker"),
		of: "b.blocker",
		mend: `INSERT INTO blocked_by (blocked, blocker, id) SELECT blocked, blocker, id FROM blocks
			WHERE blocker = @subject AND blocked = @object AND NOT is_elsewhere(blocked) ON CONFLICT (blocked, blocker) DO UPDATE SET id = excluded.id`,
		kind: store.BlockChanged,
	},
	{
		name: "each of blocked_by is a block",
		query: "SELECT m.blocker, m.blocked, " + orElsewhere(`SELECT count(*) FROM blocks b
			WHERE b.blocker = m.blocker AND b.blocked = m.blocked`, "m.blocker") + ", 1, '' FROM blocked_by m WHERE " + isHere("m.blocked"),
		of: "m.blocked",
		mend: `DELETE FROM blocked_by WHERE blocked = @object AND blocker = @subject
			AND NOT EXISTS (SELECT 1 FROM blocks WHERE blocker = @subject AND blocked = @object)`,
		kind: store.BlockChanged,
	},
	{
		name: "blocked users don't follow each other",
		query: `SELECT b.blocker, b.blocked, (SELECT count(*) FROM follows f
			WHERE (f.follower, f.followee) IN (VALUES (b.blocker, b.blocked), (b.blocked, b.blocker)) AND ` + isHere("f.follower") + `), 0, ''
			FROM blocks b WHERE ` + isHere("b.blocker"),
		of:   "b.blocker",
		mend: "DELETE FROM follows WHERE (follower, followee) IN (VALUES (@subject, @object), (@object, @subject)) AND EXISTS (SELECT 1 FROM blocks WHERE blocker = @subject AND blocked = @object)",
		kind: store.BlockChanged,
	},
	{
		name: "handles lead to users",
		query: "SELECT h.user_id, 0, h.user_id, (h.pending OR " +
			orElsewhere("SELECT count(*) FROM users u WHERE u.id = h.user_id AND lower(u.handle) = h.handle", "h.user_id") + " > 0)::int * h.user_id, h.handle FROM handles h WHERE " + isHere("0"),
		mend: "DELETE FROM handles WHERE handle = @text AND user_id = @subject AND NOT pending",
	},
	{
		name:  "each user has the handle",
		query: "SELECT u.id, 0, coalesce(" + ifNoHome + ", (SELECT user_id FROM handles h WHERE h.handle = lower(u.handle)), 0), u.id, u.handle FROM users u WHERE " + isHere("u.id"),
		of:    "u.id",
		mend:  "INSERT INTO handles (handle, user_id) SELECT lower(handle), id FROM users WHERE id = @subject AND NOT is_elsewhere(0) ON CONFLICT DO NOTHING",
	},
	{
		name: "refs lead to users",
		query: "SELECT h.user_id, 0, h.user_id, (h.pending OR " +
			orElsewhere("SELECT count(*) FROM users u WHERE u.id = h.user_id AND u.ref = h.ref", "h.user_id") + " > 0)::int * h.user_id, h.ref FROM user_refs h WHERE " + isHere("0"),
		mend: "DELETE FROM user_refs WHERE ref = @text AND user_id = @subject AND NOT pending",
	},
	{
		name:  "each user has the ref",
		query: "SELECT u.id, 0, CASE u.ref WHEN '' THEN u.id ELSE coalesce(" + ifNoHome + ", (SELECT user_id FROM user_refs h WHERE h.ref = u.ref), 0) END, u.id, u.ref FROM users u WHERE " + isHere("u.id"),
		of:    "u.id",
		mend:  "INSERT INTO user_refs (ref, user_id) SELECT ref, id FROM users WHERE id = @subject AND ref <> '' AND NOT is_elsewhere(0) ON CONFLICT DO NOTHING",
	},
	{
		name:  "post refs lead to posts",
		query: "SELECT h.post, h.author, h.post, coalesce((SELECT id FROM posts p WHERE p.id = h.post AND p.author = h.author AND p.ref = h.ref), 0), h.ref FROM post_refs h WHERE " + isHere("h.author"),
		of:    "h.author",
		mend:  "DELETE FROM post_refs WHERE author = @object AND ref = @text AND post = @subject",
	},
	{
		name:  "each post has the ref",
		query: "SELECT p.id, p.author, CASE p.ref WHEN '' THEN p.id ELSE coalesce((SELECT post FROM post_refs h WHERE h.author = p.author AND h.ref = p.ref), 0) END, p.id, p.ref FROM posts p WHERE " + isHere("p.id"),
		of:    "p.author",
		mend:  "INSERT INTO post_refs (author, ref, post) SELECT author, ref, id FROM posts WHERE id = @subject AND ref <> '' ON CONFLICT DO NOTHING",
	},
	{
		// Hours are purged and the total is not, so it may be more.
		name: "views are no fewer than those of hours",
		query: `SELECT h.post, 0, (coalesce((SELECT views FROM post_views v WHERE v.post = h.post), 0) >= sum(h.views))::int, 1, ''
			FROM post_view_hours h WHERE ` + isHere("h.post") + ` GROUP BY h.post`,
		mend: `INSERT INTO post_views AS v (post, views) SELECT post, sum(views) FROM post_view_hours WHERE post = @subject GROUP BY post
			ON CONFLICT (post) DO UPDATE SET views = greatest(v.views, excluded.views)`,
	},
	counter("followers", "user_counts", "id", "(SELECT count(*) FROM followers WHERE followee = t.id)", store.UserChanged),
	counter("following", "user_counts", "id", "(SELECT count(*) FROM follows WHERE follower = t.id)", store.UserChanged),
	counter("posts", "user_counts", "id", "(SELECT count(*) FROM posts WHERE author = t.id)", store.UserChanged),
	counter("head", "user_counts", "id", "(SELECT coalesce(max(id), 0) FROM posts WHERE author = t.id)", store.UserChanged),
	counter("likes", "post_counts", "author", "(SELECT count(*) FROM likes WHERE post = t.id)", store.LikeChanged),
	counter("comments", "post_counts", "author", "(SELECT count(*) FROM comments WHERE post = t.id)", store.CommentChanged),
}

// ifNoHome stands for who has a user's name, where names are elsewhere.
const ifNoHome = "(SELECT u.id FROM elsewhere WHERE bucket = 0)"

// isHere is whether the bucket of an id is here.
func isHere(id string) string {
	return "NOT EXISTS (SELECT FROM elsewhere e WHERE e.bucket = bucket_of(" + id + "))"
}

// orElsewhere is what a query counts, or 1 where that is none and an id is elsewhere.
func orElsewhere(count, id string) string {
	return "coalesce(nullif((" + count + "), 0), (SELECT count(*) FROM elsewhere e WHERE e.bucket = bucket_of(" + id + ")))"
}

// placeOf is the column whose bucket a row lies in.
func placeOf(table string) string {
	switch table {
	case "likes", "post_views", "post_view_hours", "post_readers":
		return "post"
	case "follows":
		return "follower"
	case "blocks":
		return "blocker"
	case "mutes":
		return "muter"
	case "follow_requests":
		return "target"
	}
	return "id"
}

// orphan wants a row of table owners for the owner that each row names. Its
// subject is the row's other name, its object the owner.
func orphan(name, table, owner, subject, owners, of string, kind store.ChangeKind, mend string) invariant {
	inv := invariant{
		name: name,
		query: "SELECT t." + subject + ", t." + owner + ", (EXISTS (SELECT 1 FROM " + owners + " o WHERE o.id = t." + owner + ")" +
			" OR EXISTS (SELECT FROM elsewhere e WHERE e.bucket = bucket_of(t." + owner + ")))::int, 1, '' FROM " + table + " t WHERE " + isHere("t."+placeOf(table)),
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
		query:  "SELECT t.id, 0, t." + column + ", " + count + ", '' FROM " + table + " t WHERE " + isHere("t.id"),
		of:     "t." + of,
		lock:   "SELECT FROM " + table + " WHERE id = @subject FOR NO KEY UPDATE",
		mend:   "UPDATE " + table + " AS t SET " + column + " = " + count + " WHERE id = @subject",
		kind:   kind,
		counts: true,
	}
}
