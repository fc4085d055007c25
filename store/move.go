package store

import (
	"context"
	"errors"
	"time"

	"github.com/freshet/freshet/position"
)

// BucketMover is the capability of a part to give buckets to another part, or to take them, while they are in use. Package shard
// drives it:
//
//	source: BeginMove  Rows, Noted…         Fence  Noted  Leave                          DropRows  EndMove
//	target: BeginMove  PutRows, PutRows…    Fence  PutRows       Join  (Noted: the way back)       EndMove
//	                   ── in use on the source ─────────┤ pause ├──── in use on the target ────
//
// A part takes part in one move at a time. From BeginMove to EndMove it guards the rows of the move's buckets: each change of
// one is noted in its transaction, and a change is refused with [ErrMoved] while the buckets are elsewhere (they have not
// arrived, or have left) or fenced. PutRows and DropRows alone are exempt, are not noted, and are no changes to the feed.
// Outside of a move nothing of this costs anything.
//
// Every call bears the term of who makes it: a part refuses, with [ErrTerm], one below the highest that it has heard in
// BeginMove. So whoever goes on after a mover that seems dead begins with a higher one, and what the dead one may still do is
// done to nothing.
type BucketMover interface {
	// BeginMove guards buckets, which are all here or all elsewhere. When it returns, every change that commits later is noted
	// and every earlier one can be read. With the buckets of the move that is on it raises the term alone, and the notes stay.
	// It tells the part's clock. Other buckets than those of a move that is on are a conflict.
	BeginMove(ctx context.Context, term uint64, b Buckets) (now time.Time, err error)
	// EndMove forgets the move, its guards and notes; without a move it does nothing.
	EndMove(ctx context.Context, term uint64) error

	// Rows lists rows of the guarded buckets that a table has here, in the order of their keys, after a key (nil: from the start).
	Rows(ctx context.Context, t Table, after Row, limit int) ([]Row, error)
	// Noted lists what has changed, in the order of the notes, after one; each key's row is read after its note.
	Noted(ctx context.Context, after int64, limit int) (Noted, error)
	// ForgetNotes removes notes.
	ForgetNotes(ctx context.Context, term uint64, notes []int64) error

	// PutRows makes a part whose guarded buckets are elsewhere have these rows as they are given, and not have those that are
	// gone, in one transaction.
	PutRows(ctx context.Context, term uint64, changes []TableRows) error

	// Fence refuses writes on the guarded buckets, and erasures, until the lease is over or EndMove; a new one takes the place
	// of the last, and one of zero lifts it. When it returns, nothing that it refuses is under way. It tells the part's clock.
	Fence(ctx context.Context, term uint64, lease time.Duration) (now time.Time, err error)
	// Leave gives the guarded buckets away, for good; where the fence is over it fails with [ErrFenceOver]. Again it does nothing.
	Leave(ctx context.Context, term uint64) (position.Token, error)
	// Join takes the guarded buckets, ends the fence, and makes what mirrors tell that lie here between two users of this part, or
	// of an erasure of one who came, and for the rows that came all erasures that passed over them while they were elsewhere: the
	// other part may have given them away before it heard of one. The change feed hears of it: [BucketsMoved]. Again it does nothing.
	Join(ctx context.Context, term uint64) (position.Token, error)

	// DropRows removes up to limit rows of the guarded buckets, which are elsewhere, and tells how many it found.
	DropRows(ctx context.Context, term uint64, limit int) (dropped int, err error)

	// MovePlan gives what SetMovePlan kept last, with its version; version zero: nothing was kept.
	MovePlan(ctx context.Context) (plan []byte, version uint64, err error)
	// SetMovePlan keeps, on the part that is home, what a mover must know to go on. Where version is not one above that of the
	// last it is a conflict.
	SetMovePlan(ctx context.Context, plan []byte, version uint64) error
}

var (
	// ErrTerm is a call of a mover in whose place another has come.
	ErrTerm = errors.New("store: another mover has taken over")
	// ErrFenceOver says that writes may have been made since the fence.
	ErrFenceOver = errors.New("store: the fence is over")
)

// Table is a kind of rows that buckets consist of, in a form that every engine reads and writes.
type Table uint8

// The tables. Columns are in the order of a [Row]; those of the key come first, and stand before the bar.
//
//	UsersTable      id | created_at, admin, handle, ref, name, bio, avatar_url, email, password_hash, followers, following, posts, head, claim, private, notified
//	PostsTable      id | author, created_at, edited_at, ref, text, data, likes, comments
//	PostRefsTable   author, ref | post
//	FollowsTable    follower, followee | id
//	FollowersTable  followee, id, follower |
//	BlocksTable     blocker, blocked | id
//	BlockedByTable  blocked, blocker | id
//	MutesTable      muter, muted | id
//	LikesTable      post, user | id
//	CommentsTable   id | post, author, created_at, text
//	SessionsTable   id | user, hash, admin, agent, created_at, used_at, expires_at
//	ViewsTable      post | views
//	ViewHoursTable  post, hour | views
//	ReadersTable    post | readers
//	ImportedTable   hash | post
//	ClaimsTable     key | hash, subject, created_at, status, answer       those with a subject
//	MirrorsTable    id | order, kind, actor, target, edge, also           order: in which they were written
//	MirroredTable   id | bucket, refused, at                              not those of erasures
//	EndedTable      id |                                                  also ids that were drawn and never will be a user
//	HandlesTable    handle (in lower case) | user, claim, pending, held   held: -1 for none
//	UserRefsTable   ref | user, claim, pending, held
//	KeysTable       id | name, hash, admin, created_at, revoked_at
//	SecretsTable    name | value
//	JournalsTable   journal | seq, part                                   the last batch of views of each; the higher one stays, and is not dropped
//	RequestsTable   target, requester | id, accepted
//	NotificationsTable id | user, kind, actor, object, post, name, text
//
// notified is the highest notification that the user has seen, object is what a notification's fact is about: the post of a like, the
// comment, or who is followed, asked or accepted. head is the newest post's id (0: none), claim the highest of store.Names that was used or ended (0: the sign-up's). A row lies
// in the bucket of the first of its ids, of ImportedTable in its post's, of ClaimsTable in its subject's, of MirrorsTable in its
// actor's, and MirroredTable names it. Those from HandlesTable to JournalsTable are home's, and lie in bucket 0: who has that is
// home.
const (
	UsersTable Table = iota + 1
	PostsTable
	PostRefsTable
	FollowsTable
	FollowersTable
	BlocksTable
	BlockedByTable
	MutesTable
	LikesTable
	CommentsTable
	SessionsTable
	ViewsTable
	ViewHoursTable
	ReadersTable
	ImportedTable
	ClaimsTable
	MirrorsTable
	MirroredTable
	EndedTable
	HandlesTable
	UserRefsTable
	KeysTable
	SecretsTable
	JournalsTable
	RequestsTable
	NotificationsTable

	lastTable = NotificationsTable
)

// tables are what the engines' own must agree with: the columns of the key and all columns, each by its type. i: int64 (ids,
// numbers, 0 or 1, times in microseconds since 1970 with 0 for none); s: string; b: []byte, nil where there is none.
var tables = [...]struct{ name, key, rest string }{
	UsersTable:     {"users", "i", "iisssssssiiiiiii"},
	PostsTable:     {"posts", "i", "iiissbii"},
	PostRefsTable:  {"post_refs", "is", "i"},
	FollowsTable:   {"follows", "ii", "i"},
	FollowersTable: {"followers", "iii", ""},
	BlocksTable:    {"blocks", "ii", "i"},
	BlockedByTable: {"blocked_by", "ii", "i"},
	MutesTable:     {"mutes", "ii", "i"},
	LikesTable:     {"likes", "ii", "i"},
	CommentsTable:  {"comments", "i", "iiis"},
	SessionsTable:  {"sessions", "i", "ibisiii"},
	ViewsTable:     {"post_views", "i", "i"},
	ViewHoursTable: {"post_view_hours", "ii", "i"},
	ReadersTable:   {"post_readers", "i", "b"},
	ImportedTable:  {"imported", "b", "i"},
	ClaimsTable:    {"claims", "b", "biiib"},
	MirrorsTable:   {"mirrors", "i", "iiiiib"}, // also: 8 bytes for each user, the higher first
	MirroredTable:  {"mirrored", "i", "iii"},
	EndedTable:     {"ended", "i", ""},
	HandlesTable:   {"handles", "s", "iiii"},
	UserRefsTable:  {"user_refs", "s", "iiii"},
	KeysTable:      {"api_keys", "i", "sbiii"},
	SecretsTable:   {"secrets", "s", "b"},
	JournalsTable:  {"view_batches", "b", "ii"},
	RequestsTable:  {"follow_requests", "ii", "ii"},

	NotificationsTable: {"notifications", "i", "iiiiiss"},
}

// Tables lists all tables.
func Tables() (list []Table) {
	for t := UsersTable; t <= lastTable; t++ {
		list = append(list, t)
	}
	return list
}

// OfHome reports whether a table is home's.
func (t Table) OfHome() bool { return t >= HandlesTable && t <= JournalsTable }

// String is the table's name.
func (t Table) String() string { return tables[t].name }

// Types are those of a row's columns, one letter each: i int64, s string, b []byte.
func (t Table) Types() string { return tables[t].key + tables[t].rest }

// KeyLen is how many of a row's columns are its key.
func (t Table) KeyLen() int { return len(tables[t].key) }

// Row is a row of a [Table], or, cut to the key's columns, its key: int64, string and []byte. Strings and bytes are ordered by
// their bytes.
type Row []any

// TableRows are changes of a table.
type TableRows struct {
	Table Table
	Gone  []Row // keys
	Rows  []Row
}

// Noted is what a part's notes say.
type Noted struct {
	Notes   []int64 // in order; fewer than the limit: those are all
	Changes []TableRows
}
