package access

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// ended are tombstones of sessions by id. The change feed names ids, and the
// cache knows sessions by the hash of their token: so a session that the feed
// reports stays cached and is refused by its id. When there are many tombstones
// the cache is emptied once, and they are not needed any more. The zero ended is
// empty.
type ended struct {
	mu  sync.RWMutex
	ids map[freshet.ID]struct{}
}

const maxEnded = 4096 // 64 KiB, and at most one emptied cache for as many sessions

func (e *ended) has(id freshet.ID) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	_, found := e.ids[id]
	return found
}

// add buries id. If there are too many it empties the cache, and then removes
// those that were there before: what the cache loads from then on knows of them.
func (e *ended) add(id freshet.ID, empty func() error) error {
	buried := e.bury(id)
	if len(buried) == 0 {
		return nil
	}
	if err := empty(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range buried {
		delete(e.ids, id)
	}
	return nil
}

// bury adds id and gives all ids if they are too many.
func (e *ended) bury(id freshet.ID) []freshet.ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ids == nil {
		e.ids = make(map[freshet.ID]struct{})
	}
	e.ids[id] = struct{}{}
	if len(e.ids) < maxEnded {
		return nil
	}
	return slices.Collect(maps.Keys(e.ids))
}

// Fence makes sure that no request which begins after it returned is served by a
// session or an API key that the changes ended. The change feed repeats here what
// was fenced by the write already, and brings what other processes did; twice is
// harmless. Changes of other kinds are passed over.
func (a *Authenticator) Fence(ctx context.Context, changes ...store.Change) error {
	for _, c := range changes {
		var err error
		switch c.Kind {
		case store.SessionEnded:
			err = a.ended.add(c.Subject, func() error { return a.sessions.InvalidateAll(ctx) })
		case store.UserErased: // whose sessions it does not name
			err = a.sessions.InvalidateAll(ctx)
		case store.KeyRevoked: // keys are few
			err = a.keys.InvalidateAll(ctx)
		}
		if err != nil {
			return fmt.Errorf("fence change %v: %w", c.At, err)
		}
	}
	return nil
}
