package feedtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet"
)

// op is one operation of a stream. It names posts by how many are newer and
// means something after any other, so that every part of a stream is a stream.
type op struct {
	kind  kind
	user  int
	other int
	post  int // 0: the newest, or in a read the top of the feed
	limit int
}

type kind uint8

const (
	opPost kind = iota
	opRead
	opFollow
	opUnfollow
	opDelete
	opEdit
	opMute
	opUnmute
	opBlock
	opUnblock
	opWalk
	opRestart
)

// mix has an entry for each part of a stream, so that a kind's entries are its share.
var mix = []kind{
	opPost, opPost, opPost, opPost, opPost, opPost, opPost, opPost,
	opRead, opRead, opRead, opRead, opRead, opRead,
	opFollow, opFollow, opFollow, opFollow, opUnfollow, opUnfollow,
	opDelete, opDelete, opEdit, opMute, opUnmute, opBlock, opUnblock, opWalk, opRestart,
}

// stream is a sequence of operations, printed one a line.
type stream []op

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// newStream draws n operations.
func newStream(random *rand.Rand, users, n int) stream {
	s := make(stream, n)
	for i := range s {
		s[i] = op{
			kind:  mix[random.IntN(len(mix))],
			user:  1 + random.IntN(users),
			other: 1 + random.IntN(users),
			post:  random.IntN(1 + random.IntN(40)), // mostly near the top
			limit: 1 + random.IntN(8),
		}
	}
	return s
}

// shrink leaves out of a failing stream what it fails without: halves, quarters
// and so on down to single operations, again and again as long as that helps and
// time allows (Zeller's delta debugging, without its last refinement). fails
// tells how many operations of a stream it took to fail, if it did.
func shrink(s stream, until time.Time, fails func(stream) (int, bool)) stream {
	for before := len(s) + 1; len(s) < before; {
		before = len(s)
		for size := max(1, len(s)/2); size > 0; size /= 2 {
			for at := 0; at+size <= len(s) && time.Now().Before(until); {
				without := slices.Concat(s[:at], s[at+size:])
				if n, failed := fails(without); failed {
					s = without[:n]
				} else {
					at += size
				}
			}
		}
	}
	return s
}

func (s stream) String() string {
	var b strings.Builder
	for i, o := range s {
		fmt.Fprintf(&b, "\n\t%3d: %s", i, o)
	}
	return b.String()
}

func (o op) String() string {
	verbs := map[kind]string{
		opFollow: "follows", opUnfollow: "unfollows", opBlock: "blocks", opUnblock: "unblocks",
		opMute: "mutes", opUnmute: "unmutes",
	}
	from := "the top"
	if o.post > 0 {
		from = fmt.Sprintf("below post %d from the newest", o.post-1)
	}
	switch o.kind {
	case opPost:
		return fmt.Sprintf("user %d posts", o.user)
	case opEdit:
		return fmt.Sprintf("post %d from the newest is edited", o.post)
	case opDelete:
		return fmt.Sprintf("post %d from the newest is deleted", o.post)
	case opRead:
		return fmt.Sprintf("user %d reads %d from %s", o.user, o.limit, from)
	case opWalk:
		return fmt.Sprintf("user %d reads all by %d", o.user, o.limit)
	case opRestart:
		return "the system restarts"
	}
	return fmt.Sprintf("user %d %s user %d", o.user, verbs[o.kind], o.other)
}

// newest gives the id that post names among n, 0 if there is none.
func (o op) newest(n, but int) freshet.ID {
	if n == 0 || but < 0 {
		return 0
	}
	return freshet.ID(n - but%n)
}
