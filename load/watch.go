package load

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/freshet/freshet"
)

// Freshness is how soon followers read posts that were acknowledged.
type Freshness struct {
	// Watched is how many posts were looked for, Missed how many of them the first
	// read that began after the acknowledgement did not show. Lost of these did not
	// show within ten seconds.
	Watched, Missed, Lost int64
	// Visible is the time from a post's acknowledgement to the end of the first read
	// that showed it.
	Visible Durations
}

// watch samples posts; mu guards seen.
type watch struct {
	mu    sync.Mutex
	posts int
	seen  Freshness
}

const (
	watchEvery  = 10 // posts, of which one is looked for
	watchFor    = 10 * time.Second
	watchPeriod = 5 * time.Millisecond
)

func (w *watch) chosen() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posts++
	return w.posts%watchEvery == 0
}

// Freshness is what was seen since the last call.
func (t *Target) Freshness() Freshness {
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	seen := t.watch.seen
	t.watch.seen = Freshness{}
	return seen
}

// follow has a follower who reads look for a post until it shows.
func (t *Target) follow(ctx context.Context, author uint32, post string, acknowledged time.Time) {
	reader, ok := t.someReader(author)
	if !ok {
		return
	}
	missed := false
	for {
		shown, known := t.shows(ctx, reader, post)
		if !known {
			return
		}
		now := time.Since(acknowledged)
		if shown || now > watchFor {
			t.watch.add(now, shown, missed || !shown)
			return
		}
		missed = true
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchPeriod):
		}
	}
}

func (w *watch) add(took time.Duration, shown, missed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Watched++
	if missed {
		w.seen.Missed++
	}
	if !shown {
		w.seen.Lost++
		return
	}
	w.seen.Visible.Add(took)
}

// someReader is a follower of an author who is not dormant.
func (t *Target) someReader(author uint32) (uint32, bool) {
	followers := t.net.Followers(int(author))
	for range 8 {
		if len(followers) == 0 {
			break
		}
		reader := followers[rand.IntN(len(followers))]
		if _, reads := t.net.Rates(int(reader)); reads > 0 {
			return reader, true
		}
	}
	return 0, false
}

// shows reads a first page and tells whether a post is on it. It is not known
// where the read failed, or where so many came after the post that it stands on
// a later page.
func (t *Target) shows(ctx context.Context, reader uint32, post string) (shown, known bool) {
	var page struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	if err := t.ask(ctx, "GET", "/v1/feed?limit="+strconv.Itoa(pageLimit), t.ids[reader], nil, &page); err != nil {
		return false, false
	}
	for _, item := range page.Items {
		if item.ID == post {
			return true, true
		}
	}
	if len(page.Items) < pageLimit {
		return false, true
	}
	id, err := freshet.ParseID(post)
	oldest, err2 := freshet.ParseID(page.Items[len(page.Items)-1].ID)
	return false, err == nil && err2 == nil && id > oldest
}
