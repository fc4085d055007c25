package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"github.com/freshet/freshet"
)

// ImportedFollow is one row of imported follows. Users are named by their handles; the ids of those that are known stand beside them,
// and then the handles are not looked up.
type ImportedFollow struct {
	Follower, Followee     string
	FollowerID, FolloweeID freshet.ID `json:",omitzero"`
}

// ImportedPost is one row of imported posts. Its identity is (Author,
// CreatedAt, Text, Occurrence): importing it twice changes nothing, also after
// the post was deleted.
type ImportedPost struct {
	Author     string
	AuthorID   freshet.ID `json:",omitzero"` // where it is known: then the handle is not looked up
	CreatedAt  time.Time
	Text       string
	Occurrence int   // how many equal rows stand before it in the file
	Millis     int64 // for its id, see [freshet.NewID]; taken sequences are passed over
}

// Check fails where a row's id would be before the first that there can be, or take the clock of ids along: rows of one time rise by a
// millisecond each, so an id may run ahead of the clock, but not for a day.
func (p *ImportedPost) Check(now time.Time) error {
	if p.Millis < 0 || p.Millis > freshet.Millis(now.Add(24*time.Hour)) {
		return freshet.Invalid("created_at", "is before 2000 or later than now")
	}
	return nil
}

// Hash is a row's identity as engines keep it, also where its bucket has come from another engine: the author's handle counts without
// regard to case, as it is looked up.
func (p *ImportedPost) Hash() []byte {
	b := make([]byte, 0, 64+len(p.Text))
	b = append(b, strings.ToLower(p.Author)...)
	b = append(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(p.CreatedAt.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(p.CreatedAt.Nanosecond()))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Occurrence))
	b = append(b, p.Text...)
	sum := sha256.Sum256(b)
	return sum[:16]
}

// ImportCount counts what a chunk added and whom it touched.
type ImportCount struct {
	Users, Follows, Posts int
	Touched               []freshet.ID
}

// Importer is the capability to load existing data. A chunk is one
// transaction, on each part that has users of it; handles are created as met. Imports make no effects.
type Importer interface {
	ImportFollows(ctx context.Context, rows []ImportedFollow) (ImportCount, error)
	ImportPosts(ctx context.Context, rows []ImportedPost) (ImportCount, error)
}

// ImportedUser is a new user of an import, called by a handle that nobody has.
type ImportedUser struct {
	ID     freshet.ID
	Handle string
}

// PartImporter is the capability of a [Part] to take its share of a chunk, whose rows bear the ids of users. ImportFollows makes the
// follows of users here: of users elsewhere with mirrors, as Follow does, but for those who were erased, which it passes over. The other methods are
// those of [Names] for all new users of a chunk, each in one transaction. A user's claim is its own id. Names that they don't get, and
// claims that were ended, hold up no others.
type PartImporter interface {
	Importer
	// NamesOf is NameOf for many handles, by the handle in lower case. Those that nobody has are left out.
	NamesOf(ctx context.Context, handles []string) (map[string]Name, error)
	// DrawUserIDs is DrawUserID for each of some buckets, in their order.
	DrawUserIDs(ctx context.Context, buckets []int) ([]freshet.ID, error)
	// ClaimUsers claims the users' handles, and tells whose it has got.
	ClaimUsers(ctx context.Context, users []ImportedUser) (claimed []freshet.ID, err error)
	// CreateUsers signs up users of this part, named as they are called, and tells which it has made.
	CreateUsers(ctx context.Context, users []ImportedUser) (made []freshet.ID, err error)
	// SettleUsers ends the claims on the users' handles.
	SettleUsers(ctx context.Context, users []ImportedUser, kept bool) error
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
