package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// following is a node's way along the change feed of one shard.
type following struct {
	node  *Node
	feed  follow
	shard int
	heard *heard

	at, told   position.Position
	moved      bool              // buckets may have come to this shard, or did
	arrival    position.Position // where that stands; zero: not heard of
	subscribed bool              // the feed knows this consumer
	begun      bool              // the hub of live events knows from where on it hears
	fenced     position.Position // up to where fences have returned
	tried      position.Position // up to where they had when that was looked at
	when       time.Time         // and when that was
	kept       progress          // fenced: up to where they are in the layer for good
	noted      progress          // what of it is in its file
	backlog    backlog
	last       time.Time // that it was noted
}

// followChanges repeats the fence of every change from the feed of one shard: of
// writes by other programs, and of those whose process died between commit and
// fence. Then the hub of live events is told. The caches hear how far it has come.
// Nodes that share a store follow it by names of their own. It returns when ctx ends.
func (n *Node) followChanges(ctx context.Context, shard int, heard *heard) {
	f := &following{
		node: n, feed: n.feeds[shard], shard: shard, heard: heard, moved: true,
		backlog: backlog{keep: liveFor, span: n.databases[shard].backlogSpan()}, last: time.Now(),
	}
	defer f.note() //nolint:errcheck // what is not noted is fenced again
	// Waiting ends in time to ask again before memory is not trusted any more.
	calm := min(calmMost, n.cfg.Cache.MaxStale/4)
	for patience := calm; ctx.Err() == nil; {
		changed, err := f.round(ctx, patience)
		if patience = calm; changed || f.subscribed && !f.begun {
			patience = settleWithin
		}
		if err != nil && !errors.Is(err, errNotInTime) {
			f.failed(ctx, err)
		}
	}
}

// errNotInTime says that it was not known in time whether there was anything.
var errNotInTime = errors.New("the feed did not answer in time")

// round asks once for what has changed, and does what follows.
func (f *following) round(ctx context.Context, patience time.Duration) (changed bool, err error) {
	n := f.node
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	asked, dir := time.Now(), n.directory()
	head, err := f.feed.FeedHead(wait)
	if err != nil {
		return false, inTime(err)
	}
	f.begin(head)
	if f.begun && f.at.Reached(head) {
		n.live.Publish(f.shard, nil, head, false)
	}
	changes, err := f.feed.Changes(wait, f.feed.consumer, f.at, feedChunk)
	if err != nil {
		return false, inTime(err)
	}
	f.subscribed = true
	all := len(changes) < feedChunk // that there is
	if err := f.fence(ctx, changes); err != nil {
		return false, err
	}
	if len(changes) > 0 {
		f.at = changes[len(changes)-1].At
		f.fenced = f.at
	}
	if all {
		if !head.Reached(f.at) {
			head = f.at
		}
		if f.begun {
			n.live.Publish(f.shard, nil, head, false)
		}
		since, all, dir, whole := f.heard.from(f.shard, asked, head, dir)
		if whole {
			n.stack.Followed(since, all.Raise(dir))
		}
		if head != f.told && whole && n.stack.Advance(ctx, all) == nil {
			f.told = head
		}
	}
	f.confirm(ctx)
	return len(changes) > 0, nil
}

func inTime(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errNotInTime
	}
	return err
}

// begin says to the hub from where on the shard is heard: from where this node had confirmed when it ran last, else from now on.
func (f *following) begin(head position.Position) {
	if f.begun {
		return
	}
	switch kept := f.node.readProgress(f.shard); {
	case f.at.IsZero() && !f.subscribed && kept.confirmed.Timeline == head.Timeline && kept.confirmed.System == head.System:
		f.kept, f.noted, f.fenced = kept, kept, kept.fenced
		f.at = kept.confirmed
	case !f.subscribed: // what commits before the feed knows us is not told
		return
	case f.at.IsZero():
		f.kept.confirmed = head
	default:
		f.kept.confirmed = f.at
	}
	f.begun = true
	f.node.live.Begin(f.shard, f.kept.confirmed)
}

// fence does what changes require: first the caches, then the hub and the leaderboards. What was fenced by an earlier run of this node
// is for these alone.
func (f *following) fence(ctx context.Context, changes []store.Change) error {
	n := f.node
	first := slices.IndexFunc(changes, func(c store.Change) bool {
		order, same := c.At.Compare(f.fenced)
		return !same || order > 0
	})
	if first < 0 {
		first = len(changes)
	}
	old, fresh := changes[:first], changes[first:]
	if f.begun {
		n.live.Publish(f.shard, old, position.Position{}, true)
	}
	for _, c := range fresh {
		if c.Kind == store.BucketsMoved {
			f.moved, f.arrival = true, c.At
		}
	}
	if f.moved && n.split != nil {
		if err := n.split.Arrived(ctx, f.shard, f.arrival); err != nil { // what is loaded behind the fences is to be read where it is now
			return err
		}
	}
	f.moved = false
	if err := n.fence(ctx, fresh); err != nil {
		return err
	}
	n.leaders.hear(changes)
	if f.begun {
		n.live.Publish(f.shard, fresh, position.Position{}, false)
	}
	return nil
}

func (n *Node) fence(ctx context.Context, changes []store.Change) error {
	if len(changes) == 0 {
		return nil
	}
	// What is cached behind these fences must have been read where the last of the changes is, or later, by whichever node.
	ctx = cache.At(ctx, position.Token{changes[len(changes)-1].At}.Raise(n.directory()))
	if err := n.social.Fence(ctx, changes...); err != nil {
		return err
	}
	return n.auth.Fence(ctx, changes...)
}

// confirm lets go of what is not to be kept any more, now and then.
func (f *following) confirm(ctx context.Context) {
	if !f.begun || f.at.IsZero() {
		return
	}
	done := f.backlog.heard(f.at, time.Now())
	if order, _ := done.Compare(f.kept.confirmed); !done.IsZero() && order > 0 {
		f.kept.confirmed = done
	}
	f.prove()
	if time.Since(f.last) < noteEvery || f.kept == f.noted {
		return
	}
	f.last = time.Now()
	before := f.noted.confirmed
	err := f.note()
	if err == nil && f.kept.confirmed != before {
		err = f.feed.Confirm(ctx, f.feed.consumer, f.kept.confirmed)
	}
	if err != nil && ctx.Err() == nil {
		f.node.log.Error("confirm the change feed", "error", err)
	}
}

// prove notes up to where fences are in the remote layer for good. One that is owed, or that a generation has lost, is made anew by
// this process alone: a later one must fence again.
func (f *following) prove() {
	if f.tried != (position.Position{}) && f.node.stack.Proven(f.when) {
		f.kept.fenced, f.tried = f.tried, position.Position{}
	}
	if f.tried == (position.Position{}) && f.fenced != f.kept.fenced {
		f.tried, f.when = f.fenced, time.Now()
	}
}

// note writes down how far this node is.
func (f *following) note() error {
	if !f.begun || f.kept == f.noted {
		return nil
	}
	err := f.node.writeProgress(f.shard, f.kept)
	if err == nil {
		f.noted = f.kept
	}
	return err
}

func (f *following) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, store.ErrFeedLost) {
		f.node.stack.FeedLost()
		f.node.live.Lost(f.shard)
		f.at, f.moved, f.arrival = position.Position{}, true, position.Position{}
		f.subscribed, f.begun, f.kept, f.backlog.marks = false, false, progress{}, nil
		f.fenced, f.tried = position.Position{}, position.Position{}
	}
	f.node.log.Error("the change feed failed; trying again", "error", err)
	pause(ctx, retryFeed)
}
