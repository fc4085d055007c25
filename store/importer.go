package store

import (
	"context"
	"time"

	"github.com/freshet/freshet"
)

// ImportedFollow is one row of imported follows.
type ImportedFollow struct{ Follower, Followee string }

// ImportedPost is one row of imported posts. Its identity is (Author,
// CreatedAt, Text, Occurrence): importing it twice changes nothing, also after
// the post was deleted.
type ImportedPost struct {
	Author     string
	CreatedAt  time.Time
	Text       string
	Occurrence int   // how many equal rows stand before it in the file
	Millis     int64 // for its id, see [freshet.NewID]; taken sequences are passed over
}

// ImportCount counts what a chunk added and whom it touched.
type ImportCount struct {
	Users, Follows, Posts int
	Touched               []freshet.ID
}

// Importer is the capability to load existing data. A chunk is one
// transaction; handles are created as met. Imports make no effects.
type Importer interface {
	ImportFollows(ctx context.Context, rows []ImportedFollow) (ImportCount, error)
	ImportPosts(ctx context.Context, rows []ImportedPost) (ImportCount, error)
}

// Violation is one broken invariant that a check found.
type Violation struct {
	Invariant string // "followers_count equals facts"
	Subject   freshet.ID
	Detail    string // what is there and what should be
}

// Verifier is the capability to check the invariants of the data at one
// snapshot: counters against facts, mirrors against originals.
type Verifier interface {
	// Verify checks all of the data, or what belongs to about sample users where
	// sample is above zero. With fix it mends what it finds. It tells how many
	// things it checked.
	Verify(ctx context.Context, sample int, fix bool) (checked int, found []Violation, err error)
}

// Backupper is the capability to copy the data into one file while it is in use.
type Backupper interface {
	Backup(ctx context.Context, file string) error
}
