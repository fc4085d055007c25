package feedtest

import (
	"context"
	"time"

	"github.com/freshet/freshet"
)

// System is what is held to the model. Users are numbers from 1, all there
// from the start; posts bear the ids that the system draws, which must rise.
// An operation returns when the system would acknowledge it.
type System interface {
	Post(author int, text string) (freshet.ID, error)
	Edit(author int, post freshet.ID, text string) error
	Delete(author int, post freshet.ID) error

	// Follow between users one of whom blocks the other gives freshet.ErrNotFound.
	// Doing what is done already succeeds, here and below.
	Follow(actor, target int) error
	Unfollow(actor, target int) error
	Block(actor, target int) error
	Unblock(actor, target int) error
	Mute(actor, target int) error
	Unmute(actor, target int) error

	// Page gives a page of reader's home feed below an id: 0, the Next of an
	// earlier page, or the id of any post there ever was.
	Page(reader int, before freshet.ID, limit int) (Page, error)
	// Restart ends the system as kill -9 would and opens it again. It is not
	// called while anything else is.
	Restart() error
}

// Page is a page as a reader sees it.
type Page struct {
	Posts []PageItem
	Next  freshet.ID // go on before this id; 0: the feed ends
}

// PageItem is a post on a [Page].
type PageItem struct {
	ID     freshet.ID
	Author int
	Text   string
	Edited bool
}

// T is what a system may ask of the test that opens it. What is given to
// Cleanup runs when the system has done its work, which is long before the end
// of the test; that is where a system closes itself.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

// Open opens fresh systems with users 1 to users, each under a name.
type Open func(t T, users int) map[string]System

// Options sizes a run. The zero value of a field takes its default.
type Options struct {
	Users  int           // default 6
	Ops    int           // operations of a stream, and of a concurrent run in all; default 200
	Checks int           // streams; default 100
	Seed   uint64        // of the first stream; the others follow. 0 is a seed like any other
	Shrink time.Duration // spent on making a failing stream short; default 30 s
}

func (o Options) withDefaults() Options {
	def := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	def(&o.Users, 6)
	def(&o.Ops, 200)
	def(&o.Checks, 100)
	if o.Shrink <= 0 {
		o.Shrink = 30 * time.Second
	}
	return o
}
