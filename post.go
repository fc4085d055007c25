package freshet

import "time"

// Post is what an author wrote. Its counts live apart (see [Counts]), so that a
// like does not evict the text from a cache.
type Post struct {
	ID        ID
	Ref       string // the host product's own name; unique per author; may be empty
	Author    ID
	Text      string
	Data      []byte // any JSON, compact, or nil
	CreatedAt time.Time
	EditedAt  time.Time // zero: never edited
}

// NewPost is what writing a post asks for.
type NewPost struct {
	Author ID
	Ref    string
	Text   string
	Data   []byte
}

// PostPatch changes the fields that are not nil. An empty Data removes it.
type PostPatch struct {
	Text *string
	Data *[]byte
}

// PostRef is all that a decision on visibility needs of a post.
type PostRef struct {
	ID     ID
	Author ID
}

// Counts are a post's denormalised counters.
type Counts struct {
	Likes    int64
	Comments int64
}

// Comment is an answer below a post. Its id bears the bucket of the post's author.
type Comment struct {
	ID        ID
	Post      ID
	Author    ID
	Text      string
	CreatedAt time.Time
}

// NewComment is what commenting asks for.
type NewComment struct {
	Post   ID
	Author ID
	Text   string
}
