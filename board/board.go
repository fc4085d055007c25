// Package board ranks posts and authors by what has happened to them lately.
//
//	b := memory.New(memory.Options{})
//	err := b.Observe(ctx, now, []board.Seen{{List: board.Posts, ID: post, Author: author, Value: board.PostValue(counts), Touched: board.LikeWeight}})
//	top, err := b.Top(ctx, board.Posts, board.Day, board.Rank{}, 50)
//	points := board.Day.Points(top[0].Score, now)
//
// # What is counted
//
// A like is worth 1, a comment 2; both count for the post and for its author. A new follower is worth 2 to the author. Views are
// worth nothing: they cost nothing to make. Each is worth half as much after a window's half-life, a quarter of the window, so what is as
// old as the window still has a sixteenth of its worth.
//
// # From counts, not from events
//
// The change feed says which post was touched, not whether a like came or went, and says it at least once. So a board is told
// what the count of a touched post is now, and takes the difference to what it was told before, at the time when it is told:
//
//	told        12      13      13      11
//	counts             +1       0      -2
//
// Telling it twice changes nothing, whatever was missed is made good when the post is touched next, and several nodes may tell one
// board the same. What is taken back counts in full, however old it is: so a score may fall by more than the like was still
// worth, but nobody can raise one by liking and unliking. It does not fall below nothing. Of what a board does not know, because it
// is new or was let go, it can't know the difference: it takes what the changes that were heard can have added, at most, each liker and comment counted once.
//
// # Scores that need no rewriting
//
// With forward decay (Cormode, Shkapenyuk, Srivastava, Xu: Forward Decay, ICDE 2009) an event adds 2^((t-epoch)/half-life), and
// time changes no score and no order. The sums would overflow within days, so a [Rank] bears the logarithm; for 2069 that is still
// exact to nine digits. So a cursor, a score and an id, stays where it is while others decay.
//
// # What is let go
//
// A board keeps so many of each list and window (10,000 by default), those with the highest scores. What is dropped had a lower
// score than all that stayed; if it comes back it begins with what happens then, so the score of what is shown lacks at most what
// the last of a full board had when it was dropped.
//
// It does not know who may see what: what is deleted, blocked or private is left out by whoever reads.
package board

import (
	"context"
	"math"
	"time"

	"github.com/freshet/freshet"
)

// List is what is ranked.
type List string

// The lists.
const (
	Posts   List = "posts"
	Authors List = "authors"
)

// Lists are all of them.
var Lists = [...]List{Posts, Authors}

// What things are worth.
const (
	LikeWeight    = 1
	CommentWeight = 2
	FollowWeight  = 2
)

// PostValue is what a post's counts are worth together.
func PostValue(c freshet.Counts) int64 { return LikeWeight*c.Likes + CommentWeight*c.Comments }

// Seen is what was seen of a post or an author.
type Seen struct {
	List    List
	ID      freshet.ID
	Author  freshet.ID // of a post, who gets the same
	Value   int64      // what all that happened to it and stands is worth, without decay
	Touched int64      // what the changes that were heard can have added to it since it was seen last
}

// Rank is a place in a list.
type Rank struct {
	ID    freshet.ID
	Score float64 // see [Window.Points]
}

// Before orders ranks: the highest score first, and of equal ones the highest id.
func (r Rank) Before(o Rank) bool { return r.Score > o.Score || r.Score == o.Score && r.ID > o.ID }

// Board ranks. Methods are safe for concurrent use; their errors are those of its backend.
type Board interface {
	// Observe tells what is seen at a time.
	Observe(ctx context.Context, at time.Time, seen []Seen) error
	// Remove forgets posts or authors that are no more.
	Remove(ctx context.Context, list List, ids ...freshet.ID) error
	// Top gives the first n ranks after one; the zero Rank is the start. What was observed shows within a second.
	Top(ctx context.Context, list List, w Window, after Rank, n int) ([]Rank, error)
}

// Window says how far back a list looks.
type Window string

// The windows.
const (
	Hour Window = "1h"
	Day  Window = "24h"
	Week Window = "7d"
)

// Windows are all of them, the shortest first.
var Windows = [...]Window{Hour, Day, Week}

// Span is how long a window is; 0: there is no such window.
func (w Window) Span() time.Duration {
	switch w {
	case Hour:
		return time.Hour
	case Day:
		return 24 * time.Hour
	case Week:
		return 7 * 24 * time.Hour
	}
	return 0
}

// HalfLife is after how long an event is worth half.
func (w Window) HalfLife() time.Duration { return w.Span() / 4 }

// age is a time in half-lives since the epoch of ids.
func (w Window) age(t time.Time) float64 {
	return float64(t.Sub(freshet.Epoch)) / float64(w.HalfLife())
}

// Points are what a score is worth at a time, in fresh likes.
func (w Window) Points(score float64, now time.Time) float64 { return math.Exp2(score - w.age(now)) }

// Least is the score of what is worth so little that it need not be kept: a hundredth of a like.
func (w Window) Least(now time.Time) float64 { return w.age(now) + math.Log2(0.01) }

// None is the score of nothing.
var None = math.Inf(-1)

// Add gives a score after something worth so many fresh likes happened at a time, or was taken back.
func (w Window) Add(score float64, worth int64, at time.Time) float64 {
	if worth == 0 {
		return score
	}
	e := math.Log2(math.Abs(float64(worth))) + w.age(at)
	if worth < 0 {
		if score <= e {
			return None
		}
		return score + math.Log2(1-math.Exp2(e-score))
	}
	high, low := max(score, e), min(score, e)
	return high + math.Log2(1+math.Exp2(low-high))
}

// Gain is what a value seen now adds to one that was told before, or, where none was, what the changes heard can have added.
func Gain(s Seen, before int64, known bool) int64 {
	if known {
		return s.Value - before
	}
	return max(0, min(s.Touched, s.Value))
}
