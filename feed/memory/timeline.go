package memory

import (
	"cmp"
	"slices"

	"github.com/freshet/freshet"
)

// timeline is the newest part of a reader's feed: every post of the followed
// and the reader from completeFrom on, hidden or not. Its shard's lock guards it.
type timeline struct {
	reader       freshet.ID
	generation   uint64
	open         bool       // being built: collects deliveries, can't be read
	completeFrom freshet.ID // 0: holds the whole feed
	unread       int        // deliveries since it was read last
	plan

	posts        []freshet.PostRef // ids rise
	older, newer *timeline         // by when they were read
}

func byID(a, b freshet.PostRef) int { return cmp.Compare(a.ID, b.ID) }

// insert enters a post where its id belongs and reports whether it was new
// there. A timeline of more than length posts loses its lowest.
func (t *timeline) insert(post freshet.PostRef, length int) bool {
	if post.ID < t.completeFrom {
		return false // pulls find it
	}
	at := len(t.posts)
	if at > 0 && t.posts[at-1].ID >= post.ID {
		var found bool
		if at, found = slices.BinarySearchFunc(t.posts, post, byID); found {
			return false
		}
	}
	if len(t.posts) < length {
		t.posts = slices.Insert(t.posts, at, post)
		return true
	}
	if at == 0 {
		t.completeFrom = t.posts[0].ID
		return false
	}
	t.shift(at, post)
	t.completeFrom = t.posts[0].ID
	return true
}

// shift drops the lowest post and enters another before index at. It moves a
// window over memory a quarter larger than itself: most posts are the newest,
// and then nothing else moves.
func (t *timeline) shift(at int, post freshet.PostRef) {
	n := len(t.posts)
	if cap(t.posts) == n {
		t.posts = append(make([]freshet.PostRef, 0, n+n/4+1), t.posts...)
	}
	t.posts = slices.Insert(t.posts, at, post)[1:]
}

// fill makes an open timeline of what a pull gave (ids fall) and what was
// collected meanwhile.
func (t *timeline) fill(pulled []freshet.PostRef, ended bool, length int) {
	collected := *t
	t.open = false
	t.completeFrom = 0
	t.posts = slices.Clone(pulled)
	slices.Reverse(t.posts)
	if !ended {
		t.completeFrom = t.posts[0].ID
	}
	for _, post := range collected.posts {
		t.insert(post, length)
	}
	// Where deliveries alone were too many, nothing below them is left here.
	t.completeFrom = max(t.completeFrom, collected.completeFrom)
}

// below copies posts with ids below an id, newest first.
func (t *timeline) below(before freshet.ID, into []freshet.PostRef) int {
	at := len(t.posts)
	if at > 0 && t.posts[at-1].ID >= before {
		at, _ = slices.BinarySearchFunc(t.posts, freshet.PostRef{ID: before}, byID)
	}
	n := min(at, len(into))
	for i := range n {
		into[i] = t.posts[at-1-i]
	}
	return n
}
