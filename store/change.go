package store

import (
	"context"
	"errors"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
)

// ChangeKind says what a [Change] did.
type ChangeKind uint8

// The kinds of change. Subject and Object are named behind each.
const (
	UserChanged    ChangeKind = iota + 1 // the user
	UserErased                           // the user
	FollowChanged                        // the follower, the followed
	BlockChanged                         // who blocks, the blocked
	MuteChanged                          // who mutes, the muted
	PostCreated                          // the post, its author
	PostEdited                           // the post, its author
	PostDeleted                          // the post, its author
	LikeChanged                          // the post, who likes
	CommentChanged                       // the post, the comment
	SessionEnded                         // the session, its user
	KeyRevoked                           // the key
	Imported                             // a chunk of an import; Also lists the users in it
	BucketsMoved                         // nothing: the directory says which buckets this part has now
	RequestChanged                       // who is asked for a follow, who asks; not where the follow or a block tells it
	Notified                             // a notification, its user; no notification: what the user has seen
)

// Change is one row of the change feed: which fact a committed write touched.
// It names things and bears no values, so that whoever hears of it reads the
// store and can't be handed something old.
type Change struct {
	At      position.Position
	Kind    ChangeKind
	Subject freshet.ID
	Object  freshet.ID
	Also    []freshet.ID // further things, where one write touches many
}

// ErrFeedLost says that changes after a position can't be told any more.
var ErrFeedLost = errors.New("store: changes are gone that the consumer has not read")

// ChangeFeed is the capability to hear of every committed change, in the order
// of commits, at least once, also of writes by other programs that use the
// engine's own means.
type ChangeFeed interface {
	// Changes waits until at least one change after what the named consumer has
	// confirmed and after the position given is there, and returns up to limit of
	// them. A zero position starts at what the consumer confirmed last; a new
	// consumer starts at the present. Changes of one position are never split,
	// so there may be more than limit.
	//
	// Fewer than limit are all that had committed when it was called, and perhaps
	// some that did so since. Where ctx's deadline ends the wait it returns none
	// and no error: then there was nothing. A deadline that passes before that is
	// known, and the end of ctx by other means, is an error.
	//
	// ErrFeedLost: not all after the position given is there any more, because
	// somebody has removed the consumer, for instance. Begin anew with a zero one.
	// An engine that knows of a consumer although it can't tell what came after
	// what that confirmed last says so to a zero position too, once.
	Changes(ctx context.Context, consumer string, after position.Position, limit int) ([]Change, error)
	// Confirm says that a consumer needs nothing up to a position any more. Rows
	// that every consumer has confirmed are removed.
	Confirm(ctx context.Context, consumer string, upTo position.Position) error
	// FeedHead is a position at which everything stands that has committed: no token of an earlier write is above it. Where
	// Changes, called after it, returns fewer than limit, the consumer has been told all up to it, although the changes
	// may end before: not everything that an engine writes is a change. That is how a token is reached when nothing changes.
	FeedHead(ctx context.Context) (position.Position, error)
}
