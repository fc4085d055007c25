package shard

import (
	"context"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// erasuresCarried waits until the erasures that are on their way have reached all parts: rows are copied as the source has them, so
// none of them may be known to the target alone. Those that come later are noted.
func (d *driver) erasuresCarried(ctx context.Context) error {
	s := d.s
	open, err := s.openErasures(ctx)
	for pause := keepPause; err == nil && len(open) > 0; {
		if err := d.alive(ctx); err != nil || d.m.Abort {
			return err
		}
		if err := s.deliver(ctx); err != nil {
			return err
		}
		var still map[freshet.ID]freshet.ID
		if still, err = s.openErasures(ctx); err != nil {
			return err
		}
		for id := range open {
			if _, ok := still[id]; !ok {
				delete(open, id)
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// openErasures are the erasures that not all parts have: by mirror, who was erased.
func (s *Store) openErasures(ctx context.Context) (map[freshet.ID]freshet.ID, error) {
	open := make(map[freshet.ID]freshet.ID)
	for _, p := range s.parts {
		pending, err := p.Pending(ctx, store.Buckets{}, openErasuresMost)
		if err != nil {
			return nil, err
		}
		for _, m := range pending {
			open[m.ID] = m.Actor
		}
	}
	return open, nil
}

// openErasuresMost bounds how many erasures of one part are looked at; while there are more none of the later ones is seen.
const openErasuresMost = 100_000
