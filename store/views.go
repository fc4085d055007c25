package store

import (
	"context"

	"github.com/freshet/freshet"
)

// Views keeps how often posts were seen and by how many readers. What is
// counted comes in batches from a journal (see package cache), because it
// happens more often than facts can be written.
type Views interface {
	// CountViews adds a batch, once: its journal's earlier batches came before it,
	// what was added of it before is passed over, and the same batch has the same
	// posts each time. It may take several transactions, one after the other; a
	// post's numbers are in one. Posts that do not exist, or not any more, are
	// passed over.
	CountViews(ctx context.Context, b ViewBatch) error
	// CountedViews is the Seq of the last batch of which something was added from a
	// journal; 0: none was.
	CountedViews(ctx context.Context, journal [16]byte) (seq uint64, err error)
	// PostStats gives a post's numbers at one snapshot, with hours hours from one
	// on, or freshet.ErrNotFound.
	PostStats(ctx context.Context, post freshet.ID, from freshet.Hour, hours int) (freshet.PostStats, error)
	// PurgeViewHours removes the hours before one from what was seen when, and
	// tells how many; totals stay.
	PurgeViewHours(ctx context.Context, before freshet.Hour) (int, error)
}

// ViewBatch is what comes together, and is added once by (Journal, Seq).
type ViewBatch struct {
	Journal [16]byte
	Seq     uint64
	Posts   []ViewedPost // each once
}

// ViewedPost is what was seen of a post.
type ViewedPost struct {
	Post    freshet.ID
	Hours   []ViewedHour
	Readers []uint64 // hashes of who saw it, evenly spread; those who were counted before may be among them
}

// ViewedHour is how often a post was seen in an hour.
type ViewedHour struct {
	Hour  freshet.Hour
	Views int64
}
