package social

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/store"
)

// ViewsOptions says where views are counted. All but Lost are needed.
type ViewsOptions struct {
	Store store.Views
	Dir   string // of the journal; it belongs to these Views alone
	Now   func() time.Time
	// Lost hears of views that could not be counted: there was no room for them,
	// or the journal could not be written. It is called by one goroutine, at most
	// ten times a second, and must not block. Default: nobody hears.
	Lost func(views int, err error)
}

const (
	viewTick    = 100 * time.Millisecond // for which views wait for company
	viewFsync   = 5 * time.Millisecond   // for the last view of a tick to join the others in the journal
	viewFlush   = 10 * time.Second       // for which what is journaled waits for company: many views of a post are one row
	viewBatch   = 1 << 16                // sums and readers that the store is given at once
	viewPending = 1 << 18                // of them that the journal may hold: some 60 MiB at worst
	viewFew     = 1 << 12                // of them that are written at once for a reader of statistics
	viewQueue   = 1 << 18                // posts shown that may wait to be counted: 2 MiB
	viewSeen    = 1 << 20                // pairs of post and reader that are known to be counted: 8 MiB
	viewClose   = 10 * time.Second       // for what is journaled to reach the store at the end
	viewSettle  = time.Second            // for which a reader of statistics waits
	viewRetries = math.MaxInt32          // the store is tried until it takes a batch: no dead letters
)

// Views counts which posts were shown to whom, behind the back of those who
// read:
//
//	reads             counter                       flusher (package cache)
//	  │ Saw             │                             │
//	  ├──▶ queue ───────┤ 0.1 s; sums, new readers    │
//	  │                 ├──▶ journal: one fsync ─────▶├──▶ store, each batch once
//
// A read pays for putting the ids into memory and waits for nothing. A view is
// counted when it is in the journal, within 0.1 s and an fsync of its answer;
// from then on no crash loses it or counts it twice. What a process that is
// killed takes along are views of its last tenth of a second.
//
// Where views come faster than they can be counted they are lost when the queue
// is full, and told to ViewsOptions.Lost.
//
// It is safe for concurrent use.
type Views struct {
	counter *cache.Counter[viewKey]
	now     func() time.Time
	lost    func(int, error)

	mu      sync.Mutex
	queue   shown // what waits to be counted
	refused int   // views that found no room since ViewsOptions.Lost was last told

	lostEver atomic.Uint64

	wake   chan struct{}      // something waits
	full   chan struct{}      // and half of the room is taken
	settle chan chan struct{} // count at once, and close it
	stop   chan struct{}
	ended  chan struct{}
	give   context.CancelFunc // ends waiting for room in the journal
	close  func() error

	// The counter's own.
	spare shown
	sums  map[freshet.ID]int64
	seen  []uint64 // by hash: the pair of post and reader that was counted last
}

// shown are pages in the order of their answers.
type shown struct {
	pages []shownPage
	posts []freshet.ID // of all pages
}

type shownPage struct {
	reader freshet.ID // 0: nobody signed in
	hour   freshet.Hour
	posts  int
}

// OpenViews opens the journal and begins to count. It fails as
// [cache.DefineCounter] does, and with [cache.ErrSourceBehind] or
// [cache.ErrJournalBehind] where journal and store are not of one past: one of
// them was put back from a backup. Close it after use.
func OpenViews(ctx context.Context, o ViewsOptions) (*Views, error) {
	v := &Views{
		now: o.Now, lost: o.Lost,
		wake: make(chan struct{}, 1), full: make(chan struct{}, 1), settle: make(chan chan struct{}),
		stop: make(chan struct{}), ended: make(chan struct{}),
		sums: make(map[freshet.ID]int64), seen: make([]uint64, viewSeen),
	}
	if v.lost == nil {
		v.lost = func(int, error) {}
	}
	counter, err := cache.DefineCounter(cache.CounterOptions[viewKey]{
		Name: "views", Dir: o.Dir, Key: viewKeys{},
		Write: func(ctx context.Context, b cache.Batch[viewKey, int64]) error {
			return o.Store.CountViews(ctx, viewBatchOf(b))
		},
		// The store's totals are read by PostStats; what Get is asked here is whether the store has the journal's batches.
		Load: func(ctx context.Context, journal [16]byte, _ []viewKey) (map[viewKey]int64, uint64, error) {
			seq, err := o.Store.CountedViews(ctx, journal)
			return nil, seq, err
		},
		BatchMax: viewBatch, PendingMax: viewPending, FlushEvery: viewFlush, FsyncEvery: viewFsync, KnownMax: 1,
		Retry: cache.Retry{Attempts: viewRetries, Most: 5 * time.Second},
	})
	if err != nil {
		return nil, err
	}
	if _, err := counter.Get(ctx); err != nil {
		closing, cancel := context.WithCancel(context.Background())
		cancel()
		return nil, errors.Join(err, counter.Close(closing))
	}
	working, give := context.WithCancel(context.Background())
	v.counter, v.give = counter, give
	v.close = sync.OnceValue(v.end)
	go v.run(working)
	return v, nil
}

// Saw notes that posts were shown to a reader (0: nobody signed in). An author
// who sees a post of their own is no viewer of it.
func (v *Views) Saw(reader freshet.ID, posts ...PostView) {
	hour := freshet.HourOf(v.now())
	v.mu.Lock()
	q := &v.queue
	before := len(q.posts)
	if before+len(posts) > viewQueue {
		v.refused += len(posts)
		v.mu.Unlock()
		v.lostEver.Add(uint64(len(posts)))
		return
	}
	for i := range posts {
		if posts[i].Post.Author != reader {
			q.posts = append(q.posts, posts[i].ID)
		}
	}
	n := len(q.posts)
	if n > before {
		q.pages = append(q.pages, shownPage{reader, hour, n - before})
	}
	v.mu.Unlock()
	if before == 0 && n > 0 {
		wake(v.wake)
	}
	if before < viewQueue/2 && n >= viewQueue/2 {
		wake(v.full)
	}
}

// Settle returns when every view of an answer that was sent before is in the
// store.
func (v *Views) Settle(ctx context.Context) error {
	if err := v.counted(ctx); err != nil {
		return err
	}
	return v.counter.Flush(ctx)
}

// settleFew is Settle where little is owed. On a node that is busy with reads it
// leaves the journal alone, which gains by waiting.
func (v *Views) settleFew(ctx context.Context) error {
	if err := v.counted(ctx); err != nil || v.counter.Stats().Pending > viewFew {
		return err
	}
	return v.counter.Flush(ctx)
}

// counted has what waits counted.
func (v *Views) counted(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case v.settle <- done:
	case <-v.ended:
		return cache.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stats says what the journal has done and owes, and how many views were lost
// since the start.
func (v *Views) Stats() (journal cache.JournalStats, lost uint64) {
	return v.counter.Stats(), v.lostEver.Load()
}

// Close counts what waits, writes it to the store for at most ten seconds, and
// leaves the rest in the journal. What is shown afterwards is not counted. It
// may be called more than once.
func (v *Views) Close() error { return v.close() }

func (v *Views) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), viewClose)
	defer cancel()
	close(v.stop)
	select {
	case <-v.ended:
	case <-ctx.Done():
		v.give()
		<-v.ended
	}
	v.give()
	return v.counter.Close(ctx)
}

// run is the counter. ctx ends when it is to give up waiting for room.
func (v *Views) run(ctx context.Context) {
	defer close(v.ended)
	for {
		var settled chan struct{}
		select {
		case <-v.stop:
			v.count(ctx)
			return
		case settled = <-v.settle:
		case <-v.wake:
			tick := time.NewTimer(viewTick)
			select {
			case <-tick.C:
			case <-v.full:
			case <-v.stop:
			case settled = <-v.settle:
			}
			tick.Stop()
		}
		v.count(ctx)
		if settled != nil {
			close(settled)
		}
	}
}

// count puts what waits into the journal.
func (v *Views) count(ctx context.Context) {
	v.mu.Lock()
	q := v.queue
	v.queue = shown{v.spare.pages[:0], v.spare.posts[:0]}
	lost := v.refused
	v.refused = 0
	v.mu.Unlock()

	var err error
	if lost > 0 {
		err = errQueueFull
	}
	add := func(key viewKey, n int64) bool {
		_, failed := v.counter.Add(ctx, key, n)
		if failed != nil {
			err = failed
		}
		return failed == nil
	}
	sum := func(hour freshet.Hour) {
		for post, n := range v.sums {
			if !add(viewKey{post: post, hour: hour}, n) {
				lost += int(n)
				v.lostEver.Add(uint64(n))
			}
		}
		clear(v.sums)
	}
	posts, hour := q.posts, freshet.Hour(0)
	for _, page := range q.pages {
		if page.hour != hour {
			sum(hour)
			hour = page.hour
		}
		for _, post := range posts[:page.posts] {
			v.sums[post]++
			if page.reader == 0 {
				continue
			}
			pair := mix(uint64(page.reader) ^ mix(uint64(post)))
			if known := &v.seen[pair%viewSeen]; *known != pair && add(viewKey{post: post, reader: readerHash(post, page.reader)}, 1) {
				*known = pair
			}
		}
		posts = posts[page.posts:]
	}
	sum(hour)
	v.spare = q
	if lost > 0 || err != nil {
		v.lost(lost, err)
	}
}

var errQueueFull = errors.New("the queue of views is full")

// wake is a signal to one who need not be told twice.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
