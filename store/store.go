// Package store is the system of record: the ports that the rest of freshet
// writes to and reads from, and the contract that every engine keeps. Package
// storetest checks it on each of them.
//
//	post, at, err := db.CreatePost(ctx, freshet.NewPost{Author: me, Text: "hello"},
//		store.Write{Effects: []freshet.Effect{{Kind: "fanout"}}})
//	refs, err := db.Home(ctx, me, 0, 50)
//
// # The contract
//
// Ports are shaped by use cases and take data, never transactions or closures.
// A write is one transaction: the fact, the counters that count it, its
// [Write.Effects], its idempotency claim and its rows in the change feed commit
// together or not at all, and a write that returned without error survives
// kill -9. Every write returns the token of the positions at which it stands.
// A write that finds nothing to change succeeds, reports that, and makes no
// effects.
//
// Reads of several ids return what exists, in no particular order; a missing id
// is no error. Lists run by keyset: they take the id after which to go on (0:
// the start) and the most rows wanted. Methods are safe for concurrent use,
// block until done or until ctx ends, and return [freshet.Error] for whatever
// a caller may be told. After ctx ended the outcome of a write is unknown.
//
// It is not a query language: what has no port can't be asked.
package store

import (
	"context"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
)

// Write is what commits together with a fact.
type Write struct {
	Effects     []freshet.Effect
	Idempotency *freshet.Idempotency // nil: none
}

// ErrClaimed is returned by a write whose idempotency claim exists already and
// made something: read it with [Idempotency.Claim].
var ErrClaimed error = &freshet.Error{Code: freshet.CodeInProgress, Message: "this idempotency key was used already"}

// Users keeps accounts.
type Users interface {
	// CreateUser signs a user up. A taken handle or ref is a conflict on that field.
	CreateUser(ctx context.Context, u freshet.NewUser, w Write) (freshet.User, position.Token, error)
	// UpsertUser makes or changes the user of a ref. An empty handle of a new user
	// becomes one drawn from its id. Empty fields leave an existing user as it is;
	// what it signs in with changes by SetPassword alone.
	UpsertUser(ctx context.Context, u freshet.NewUser, w Write) (user freshet.User, created bool, at position.Token, err error)
	UpdateUser(ctx context.Context, id freshet.ID, p freshet.UserPatch, w Write) (freshet.User, position.Token, error)
	// EraseUser removes a user and all that the user wrote: posts with their likes
	// and comments, the user's own likes and comments, edges, sessions. Counters of
	// others follow. It reports whom it touched.
	EraseUser(ctx context.Context, id freshet.ID, w Write) (Erased, position.Token, error)

	Users(ctx context.Context, ids []freshet.ID) ([]freshet.User, error)
	// UserByHandle and UserByRef give an id, or freshet.ErrNotFound.
	UserByHandle(ctx context.Context, handle string) (freshet.ID, error)
	UserByRef(ctx context.Context, ref string) (freshet.ID, error)
	// ListUsers lists all users by id, ascending.
	ListUsers(ctx context.Context, after freshet.ID, limit int) ([]freshet.User, error)

	Credentials(ctx context.Context, handle string) (freshet.Credentials, error)
	// SetPassword replaces the hash (and makes the user an administrator if admin
	// is true) and ends the user's sessions.
	SetPassword(ctx context.Context, id freshet.ID, hash string, admin bool) (ended []freshet.Session, err error)
	// Email is the address of a user, "" if there is none.
	Email(ctx context.Context, id freshet.ID) (string, error)
}

// Erased names what an erasure touched, for caches and timelines.
type Erased struct {
	Posts     []freshet.ID // the user's posts, now gone
	Neighbors []freshet.ID // users who had an edge to or from the user
	Parents   []freshet.ID // others' posts that lost a like or a comment
	Sessions  []freshet.Session
}

// Graph keeps who follows, blocks and mutes whom. Changed is false where the
// edge was (or was not) there already.
type Graph interface {
	// Follow uses up the actor's request, if there is one. Whom a private target has not accepted, and who does not follow it
	// already, is refused with ErrPrivate.
	Follow(ctx context.Context, actor, target freshet.ID, w Write) (changed bool, at position.Token, err error)
	Unfollow(ctx context.Context, actor, target freshet.ID, w Write) (changed bool, at position.Token, err error)
	// Block also ends both follows.
	Block(ctx context.Context, actor, target freshet.ID, w Write) (changed bool, at position.Token, err error)
	Unblock(ctx context.Context, actor, target freshet.ID, w Write) (changed bool, at position.Token, err error)
	Mute(ctx context.Context, actor, target freshet.ID, w Write) (changed bool, at position.Token, err error)
	Unmute(ctx context.Context, actor, target freshet.ID, w Write) (changed bool, at position.Token, err error)

	// Lists run from the newest edge; before is an Edge.ID, 0 for the start.
	Followers(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error)
	Following(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error)
	Blocks(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error)
	Mutes(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Edge, error)

	// Relations gives the relations of each reader asked for; a reader without
	// any has an entry with empty lists.
	Relations(ctx context.Context, readers []freshet.ID) (map[freshet.ID]freshet.Relations, error)
}

// ErrPrivate is a follow of a private user by somebody whom that has not accepted: ask with [Requests.RequestFollow].
var ErrPrivate error = &freshet.Error{Code: freshet.CodeForbidden, Message: "this account is private"}

// Requests keeps who asks a private user for a follow. A request lies with the user who is asked; it is there until it is
// withdrawn, refused, or turned into the follow, and ends with a block of either and with the erasure of either. Going private or
// public leaves follows and requests as they are.
//
//	Graph.Follow ─▶ ErrPrivate   RequestFollow   AcceptRequest   CompleteFollow
//	                             waits, listed ─▶ accepted ────▶ follows; no request
type Requests interface {
	// RequestFollow asks target. It is not needed, and nothing is made, where target is not private or has accepted the actor:
	// then Graph.Follow does.
	RequestFollow(ctx context.Context, actor, target freshet.ID, w Write) (needed, changed bool, at position.Token, err error)
	// WithdrawRequest takes a request back, also one that was accepted and is no follow yet.
	WithdrawRequest(ctx context.Context, actor, target freshet.ID, w Write) (changed bool, at position.Token, err error)
	// AcceptRequest lets requester follow from now on, which CompleteFollow does: whoever accepts gives the effect that sees to
	// it. Where there is no request it is freshet.ErrNotFound.
	AcceptRequest(ctx context.Context, target, requester freshet.ID, w Write) (changed bool, at position.Token, err error)
	// RefuseRequest removes a request that waits. Where there is none it is freshet.ErrNotFound.
	RefuseRequest(ctx context.Context, target, requester freshet.ID, w Write) (position.Token, error)
	// CompleteFollow turns a request that was accepted, or that needs nobody's leave any more because the target is not private,
	// into the follow; without one it changes nothing.
	CompleteFollow(ctx context.Context, requester, target freshet.ID, w Write) (changed bool, at position.Token, err error)
	// FollowRequests lists the requests that wait, from the newest; before is an Edge.ID, 0 for the start.
	FollowRequests(ctx context.Context, target, before freshet.ID, limit int) ([]freshet.Edge, error)
}

// Posts keeps what authors write.
type Posts interface {
	// CreatePost draws the id inside the write: ids of one author rise in the order
	// of commit, and so does the millisecond in the ids of one shard. A ref that the
	// author used before is a conflict.
	CreatePost(ctx context.Context, p freshet.NewPost, w Write) (freshet.Post, position.Token, error)
	// EditPost and DeletePost want the author; another's post is ErrNotFound.
	EditPost(ctx context.Context, author, post freshet.ID, p freshet.PostPatch, w Write) (freshet.Post, position.Token, error)
	DeletePost(ctx context.Context, author, post freshet.ID, w Write) (position.Token, error)

	Posts(ctx context.Context, ids []freshet.ID) ([]freshet.Post, error)
	Counts(ctx context.Context, ids []freshet.ID) (map[freshet.ID]freshet.Counts, error)
	// ByAuthor lists an author's posts from the newest; before is a post's id.
	ByAuthor(ctx context.Context, author, before freshet.ID, limit int) ([]freshet.PostRef, error)
	// Home is the pull query: posts of the authors whom reader follows and of the
	// reader, newest id first, below before. It looks at follows alone; what is
	// hidden is the feed's decision.
	Home(ctx context.Context, reader, before freshet.ID, limit int) ([]freshet.PostRef, error)
}

// Likes keeps who likes what. The count is the post's after the write.
type Likes interface {
	Like(ctx context.Context, actor, post freshet.ID, w Write) (count int64, changed bool, at position.Token, err error)
	Unlike(ctx context.Context, actor, post freshet.ID, w Write) (count int64, changed bool, at position.Token, err error)
	// LikedBy lists the posts that a user likes by post id, from the highest, below before.
	LikedBy(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.ID, error)
	// Liked gives those of the posts that a user likes, in no particular order.
	Liked(ctx context.Context, user freshet.ID, posts []freshet.ID) ([]freshet.ID, error)
}

// Comments keeps the answers below posts.
type Comments interface {
	CreateComment(ctx context.Context, c freshet.NewComment, w Write) (freshet.Comment, position.Token, error)
	// DeleteComment lets the comment's author or the post's author remove it, and
	// gives what it removed.
	DeleteComment(ctx context.Context, actor, comment freshet.ID, w Write) (freshet.Comment, position.Token, error)
	Comments(ctx context.Context, ids []freshet.ID) ([]freshet.Comment, error)
	// CommentsOn lists the comments of a post, oldest first, after an id.
	CommentsOn(ctx context.Context, post, after freshet.ID, limit int) ([]freshet.Comment, error)
	// CommentsBy lists the comments that a user wrote, oldest first, after an id.
	CommentsBy(ctx context.Context, user, after freshet.ID, limit int) ([]freshet.Comment, error)
}

// Notifications keeps what users are told: one row for each like or comment by another user on a post of theirs, each follow, each
// request that waits and each follow that was accepted. Such a row is made and removed in the transaction of its fact, on whose second
// half's bucket it lies, so there is exactly one as long as there is the fact; imports make none. All that is removed besides is what
// PurgeNotifications does and the erasure of either user. What the user's relations hide is shown by no caller.
type Notifications interface {
	// Notifications lists what a user was told, from the newest; before is a notification's id, 0 for the start.
	Notifications(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Notification, error)
	// Unseen counts, among the newest most that the user has not seen, those whose actors the user neither blocks, is blocked by nor mutes.
	Unseen(ctx context.Context, user freshet.ID, most int) (int, error)
	// SeeNotifications has the user have seen all up to an id, or all that are there (0, or one above them). One that commits later below it counts as
	// seen; it is listed all the same.
	SeeNotifications(ctx context.Context, user, upTo freshet.ID, w Write) (changed bool, at position.Token, err error)
	// AddNotification tells a user a text, once by its name.
	AddNotification(ctx context.Context, user freshet.ID, name, text string, w Write) (changed bool, at position.Token, err error)
	// PurgeNotifications removes what is older than a time and tells how many.
	PurgeNotifications(ctx context.Context, before time.Time) (int, error)
}

// Sessions keeps sign-ins.
type Sessions interface {
	// CreateSession draws the id; CreatedAt and UsedAt, where zero, become now.
	CreateSession(ctx context.Context, s freshet.Session, w Write) (freshet.Session, position.Token, error)
	// SessionByHash gives a session whether or not it has expired.
	SessionByHash(ctx context.Context, hash [32]byte) (freshet.Session, error)
	TouchSession(ctx context.Context, id freshet.ID, used, expires time.Time) error
	Sessions(ctx context.Context, user freshet.ID) ([]freshet.Session, error)
	// EndSession removes a session of the user and gives what it removed.
	EndSession(ctx context.Context, user, id freshet.ID, w Write) (freshet.Session, position.Token, error)
	// PurgeSessions removes what expired before a time and tells how many.
	PurgeSessions(ctx context.Context, before time.Time) (int, error)
}

// Keys keeps API keys.
type Keys interface {
	// CreateKey stores a key; a name that is in force already is a conflict. A zero
	// CreatedAt becomes now.
	CreateKey(ctx context.Context, k freshet.APIKey) (freshet.APIKey, error)
	// KeyByHash gives a key whether or not it was revoked.
	KeyByHash(ctx context.Context, hash [32]byte) (freshet.APIKey, error)
	Keys(ctx context.Context) ([]freshet.APIKey, error)
	// RevokeKey ends a key by its name and gives it.
	RevokeKey(ctx context.Context, name string, at time.Time) (freshet.APIKey, error)
}

// Idempotency keeps the answers of requests that bore a key.
type Idempotency interface {
	// Claim gives what is known of a key, or freshet.ErrNotFound.
	Claim(ctx context.Context, key [32]byte) (freshet.Claim, error)
	// SaveAnswer keeps the answer of a request, whether or not its write made a claim.
	SaveAnswer(ctx context.Context, id freshet.Idempotency, status int, answer []byte) error
	// PurgeClaims removes what is older than a time and tells how many.
	PurgeClaims(ctx context.Context, before time.Time) (int, error)
}

// Secrets keeps the keys that nobody configured: made once, at first use.
type Secrets interface {
	// Secret gives 32 random bytes that stay the same for a name.
	Secret(ctx context.Context, name string) ([]byte, error)
}

// Store is the whole system of record.
type Store interface {
	Users
	Graph
	Requests
	Posts
	Likes
	Comments
	Views
	Notifications
	Sessions
	Keys
	Idempotency
	Secrets
	// Ready reports whether the store can be read and written.
	Ready(ctx context.Context) error
}
