package redis

import (
	"context"
	"sync"

	"github.com/freshet/freshet"
)

// unsaid is what this node could not tell the others, because it did not reach Redis. Until it is said, this node's reads ask the
// store; Run says it.
type unsaid struct {
	mu    sync.Mutex
	posts []freshet.PostRef
	void  []freshet.ID
	all   int // how often more than is remembered, or everything: every timeline is to be dropped

	recent recent // posts that were said
}

// unsaidMost bounds what is remembered one by one.
const unsaidMost = 1000

func (u *unsaid) post(p freshet.PostRef) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.posts = append(u.posts, p); len(u.posts) > unsaidMost {
		u.posts, u.all = nil, u.all+1
	}
}

func (u *unsaid) readers(ids []freshet.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.void = append(u.void, ids...); len(u.void) > unsaidMost {
		u.void, u.all = nil, u.all+1
	}
}

func (u *unsaid) everything() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all++
}

// some reports whether anything is left to say.
func (u *unsaid) some() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.all > 0 || len(u.posts)+len(u.void) > 0
}

// said notes that a post is in the logs, and sent tells so.
func (u *unsaid) said(id freshet.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.recent.add(id)
}

func (u *unsaid) sent(id freshet.ID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.recent.has(id)
}

// say tells what was not told. What fails stays unsaid.
func (e *Engine) say(ctx context.Context) error {
	u := &e.unsaid
	u.mu.Lock()
	posts, void, all := u.posts, u.void, u.all
	u.mu.Unlock()
	if all > 0 {
		if err := e.voidAll(ctx); err != nil {
			return err
		}
	}
	for _, p := range posts {
		if err := e.append(ctx, p); err != nil {
			return err
		}
	}
	if len(void) > 0 {
		if err := e.void(ctx, void); err != nil {
			return err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all -= all // what was too much meanwhile counts yet, and stands for all that was listed then
	u.posts, u.void = u.posts[min(len(posts), len(u.posts)):], u.void[min(len(void), len(u.void)):]
	return nil
}

// recent remembers ids, the last recentMost to twice as many.
type recent struct{ young, old map[freshet.ID]struct{} }

const recentMost = 1 << 15

func (r *recent) add(id freshet.ID) {
	if r.young == nil || len(r.young) >= recentMost {
		r.young, r.old = make(map[freshet.ID]struct{}), r.young
	}
	r.young[id] = struct{}{}
}

func (r *recent) has(id freshet.ID) bool {
	_, young := r.young[id]
	_, old := r.old[id]
	return young || old
}
