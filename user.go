package freshet

import (
	"slices"
	"time"
)

// User is one person or account. Counters are denormalised: they change in the
// transaction of the fact that they count.
type User struct {
	ID             ID
	Ref            string // the host product's own name for the user; unique; may be empty
	Handle         string // unique without regard to case
	Name           string
	Bio            string
	AvatarURL      string
	Private        bool // only who follows sees what the user writes, and who wants to asks first
	FollowersCount int64
	FollowingCount int64
	PostsCount     int64
	CreatedAt      time.Time
}

// NewUser is what signing up asks for. Email and PasswordHash stay out of
// [User], because only the account's owner and the sign-in need them.
type NewUser struct {
	Ref          string
	Handle       string
	Name         string
	AvatarURL    string
	Email        string
	PasswordHash string // empty: the user can't sign in with a password
	Admin        bool
}

// UserPatch changes the fields that are not nil.
type UserPatch struct {
	Handle    *string
	Name      *string
	Bio       *string
	AvatarURL *string
	Email     *string
	Private   *bool
}

// Credentials is what a sign-in is checked against.
type Credentials struct {
	User         ID
	PasswordHash string
	Admin        bool
}

// Edge is one follow, block or mute as seen from a list: the other user and
// the id under which the edge stands in the order of the list.
type Edge struct {
	ID   ID // drawn when the edge was made; lists run from the newest
	User ID
}

// Relations is what decides whose posts a reader sees. Both lists are sorted
// in ascending order and immutable.
type Relations struct {
	Following []ID
	Hidden    []ID // blocked by the reader, blocking the reader, or muted
	Blocked   []ID // blocked in either direction; a subset of Hidden
}

// Follows reports whether the reader follows a user.
func (r *Relations) Follows(user ID) bool { return contains(r.Following, user) }

// Hides reports whether nothing of a user may show in the reader's feed.
func (r *Relations) Hides(user ID) bool { return contains(r.Hidden, user) }

// Blocks reports whether the reader and a user do not exist for each other.
func (r *Relations) Blocks(user ID) bool { return contains(r.Blocked, user) }

func contains(sorted []ID, id ID) bool {
	_, found := slices.BinarySearch(sorted, id)
	return found
}
