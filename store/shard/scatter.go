package shard

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// view is the directory for a read: not older than what its reader has seen, who has seen it from now on.
func (s *Store) view(ctx context.Context) (*directory, error) {
	dir, r := s.dir.Load(), position.ReadingOf(ctx)
	for tries := 0; r.NeedAt(dir.at.System).Offset > dir.Epoch; dir = s.dir.Load() {
		if tries++; tries > 2 {
			return nil, unavailable("where the data is now", fmt.Errorf("the directory is at epoch %d, its reader has seen %d", dir.Epoch, r.NeedAt(dir.at.System).Offset))
		}
		if err := s.refresh(ctx, dir); err != nil {
			return nil, err
		}
	}
	r.Report(nil, dir.seen)
	r.Floor(dir.seen) // which this store has itself: no part is asked for it
	return dir, nil
}

// ask is the part for a read by a directory. It is read where all that came to it has come. A directory that could not be looked at
// for long may be wrong, so the part itself is asked what it holds.
func (s *Store) ask(ctx context.Context, dir *directory, i int) (store.Part, error) {
	if since := dir.since(i); len(since) > 0 {
		position.ReadingOf(ctx).Floor(since)
	}
	if !s.doubts() {
		return s.parts[i], nil
	}
	elsewhere, err := s.parts[i].Elsewhere(ctx)
	if err != nil {
		return nil, err
	}
	for _, bucket := range dir.buckets[i].List() {
		if elsewhere.Has(bucket) && !dir.missing.Has(bucket) {
			return nil, unavailable("where the data is now", fmt.Errorf("bucket %d has left part %d, and the directory can't be read", bucket, i))
		}
	}
	return s.parts[i], nil
}

// readOn reads from the part that has the bucket of an id.
func readOn[T any](ctx context.Context, s *Store, id freshet.ID, read func(p store.Part) (T, error)) (v T, err error) {
	dir, err := s.view(ctx)
	if err != nil {
		return v, err
	}
	p, err := s.ask(ctx, dir, dir.owner(id))
	if err != nil {
		return v, err
	}
	return read(p)
}

// only is the one part that is asked, if it is one.
func only(groups [][]freshet.ID) (at int, one bool) {
	at = -1
	for i, ids := range groups {
		if len(ids) > 0 {
			if at >= 0 {
				return 0, false
			}
			at = i
		}
	}
	return max(at, 0), true
}

// gather reads things by id, each from the part that has it: at once, and without a goroutine where one part has all.
func gather[T any](ctx context.Context, s *Store, ids []freshet.ID, read func(p store.Part, ctx context.Context, ids []freshet.ID) ([]T, error)) (all []T, err error) {
	err = s.split(ctx, ids, func(p store.Part, ids []freshet.ID, join func(func())) error {
		list, err := read(p, ctx, ids)
		join(func() { all = append(all, list...) })
		return err
	})
	return all, err
}

// gatherMap is gather for what comes by id.
func gatherMap[T any](ctx context.Context, s *Store, ids []freshet.ID, read func(p store.Part, ctx context.Context, ids []freshet.ID) (map[freshet.ID]T, error)) (all map[freshet.ID]T, err error) {
	err = s.split(ctx, ids, func(p store.Part, ids []freshet.ID, join func(func())) error {
		some, err := read(p, ctx, ids)
		join(func() {
			if all == nil {
				all = some
				return
			}
			maps.Copy(all, some)
		})
		return err
	})
	return all, err
}

// split reads ids from the parts that have them; what join is given runs alone.
func (s *Store) split(ctx context.Context, ids []freshet.ID, read func(p store.Part, ids []freshet.ID, join func(func())) error) error {
	dir, err := s.view(ctx)
	if err != nil {
		return err
	}
	groups := dir.split(ids)
	if at, one := only(groups); one {
		p, err := s.ask(ctx, dir, at)
		if err != nil {
			return err
		}
		return read(p, ids, func(add func()) { add() })
	}
	var mu sync.Mutex
	return s.each(func(i int, _ store.Part) error {
		if len(groups[i]) == 0 {
			return nil
		}
		p, err := s.ask(ctx, dir, i)
		if err != nil {
			return err
		}
		return read(p, groups[i], func(add func()) {
			mu.Lock()
			defer mu.Unlock()
			add()
		})
	})
}

// order is by what a list is sorted: an id of each item, which bears its bucket.
type order[T any] struct {
	id     func(T) freshet.ID
	before func(a, b freshet.ID) bool
}

func rising[T any](id func(T) freshet.ID) order[T] {
	return order[T]{id, func(a, b freshet.ID) bool { return a < b }}
}

func falling[T any](id func(T) freshet.ID) order[T] {
	return order[T]{id, func(a, b freshet.ID) bool { return a > b }}
}

// pageOf asks a part for a page from a key on.
type pageOf[T any] func(ctx context.Context, i int, p store.Part, from freshet.ID) ([]T, error)

// scatter asks all parts for a page each, and merges them to one. Deep pages cost what the first one does, because each part begins
// at the key where the page before has ended.
func scatter[T any](ctx context.Context, s *Store, from freshet.ID, limit int, by order[T], page pageOf[T]) ([]T, error) {
	dir, err := s.view(ctx)
	if err != nil {
		return nil, err
	}
	return scatterBy(ctx, s, dir, from, limit, by, page)
}

// scatterBy is scatter by a directory.
func scatterBy[T any](ctx context.Context, s *Store, dir *directory, from freshet.ID, limit int, by order[T], page pageOf[T]) ([]T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lists := make([][]T, len(s.parts))
	var once sync.Once
	var cause error
	_ = s.each(func(i int, _ store.Part) error {
		p, err := s.ask(ctx, dir, i)
		if err == nil {
			lists[i], err = own(ctx, dir, i, p, from, limit, by, page)
		}
		if err != nil {
			once.Do(func() { cause = err })
			cancel() // half a page is none: the others need not go on
		}
		return nil
	})
	if cause != nil {
		return nil, cause
	}
	if len(lists) == 1 {
		return lists[0], nil
	}
	return merge(lists, limit, func(a, b T) bool { return by.before(by.id(a), by.id(b)) }), nil
}

// own is a page of what lies on a part by the directory: what is on its way to it, or was left behind, counts elsewhere.
func own[T any](ctx context.Context, dir *directory, i int, p store.Part, from freshet.ID, limit int, by order[T], page pageOf[T]) (list []T, err error) {
	for {
		some, err := page(ctx, i, p, from)
		if err != nil {
			return nil, err
		}
		whole := len(some) < limit
		if len(some) > 0 {
			from = by.id(some[len(some)-1])
		}
		kept := slices.DeleteFunc(some, func(v T) bool { return dir.owner(by.id(v)) != i })
		if list == nil {
			list = kept
		} else {
			list = append(list, kept...)
		}
		if whole || len(list) >= limit {
			return list[:min(len(list), limit)], nil
		}
	}
}

// merge takes the first of several lists again and again. There are few lists: it looks at all.
func merge[T any](lists [][]T, limit int, before func(a, b T) bool) []T {
	n := 0
	for _, list := range lists {
		n += len(list)
	}
	out := make([]T, 0, min(n, limit))
	for len(out) < limit {
		best := -1
		for i, list := range lists {
			if len(list) > 0 && (best < 0 || before(list[0], lists[best][0])) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		out, lists[best] = append(out, lists[best][0]), lists[best][1:]
	}
	return out
}

// anyOf asks all parts for what one of them has: the first that has it wins, and an error counts only where none has.
func anyOf[T any](ctx context.Context, s *Store, ask func(ctx context.Context, i int, p store.Part) (T, error), absent func(error) bool) (found T, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var has bool
	var none error
	err = s.each(func(i int, p store.Part) error {
		v, err := ask(ctx, i, p)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			if !has {
				found, has = v, true
				cancel()
			}
		case absent(err):
			none = err
			return nil
		}
		return err
	})
	switch {
	case has:
		return found, nil
	case err != nil:
		return found, err
	}
	return found, none
}
