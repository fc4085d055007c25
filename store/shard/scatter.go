package shard

import (
	"context"
	"sync"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// byPart splits ids by the part that has them.
func (s *Store) byPart(ids []freshet.ID) [][]freshet.ID {
	groups, dir := make([][]freshet.ID, len(s.parts)), s.dir.Load()
	for _, id := range ids {
		i := dir.Owners[id.Bucket()]
		groups[i] = append(groups[i], id)
	}
	return groups
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
func gather[T any](ctx context.Context, s *Store, ids []freshet.ID, read func(p store.Part, ctx context.Context, ids []freshet.ID) ([]T, error)) ([]T, error) {
	groups := s.byPart(ids)
	if at, one := only(groups); one {
		return read(s.parts[at], ctx, ids)
	}
	lists, err := s.lists(groups, func(i int, p store.Part) (any, error) { return read(p, ctx, groups[i]) })
	var all []T
	for _, list := range lists {
		if list != nil {
			all = append(all, list.([]T)...)
		}
	}
	return all, err
}

// gatherMap is gather for what comes by id.
func gatherMap[T any](ctx context.Context, s *Store, ids []freshet.ID, read func(p store.Part, ctx context.Context, ids []freshet.ID) (map[freshet.ID]T, error)) (map[freshet.ID]T, error) {
	groups := s.byPart(ids)
	if at, one := only(groups); one {
		return read(s.parts[at], ctx, ids)
	}
	lists, err := s.lists(groups, func(i int, p store.Part) (any, error) { return read(p, ctx, groups[i]) })
	all := make(map[freshet.ID]T, len(ids))
	for _, list := range lists {
		if list != nil {
			for id, v := range list.(map[freshet.ID]T) {
				all[id] = v
			}
		}
	}
	return all, err
}

// lists asks the parts that have anything of what is asked.
func (s *Store) lists(groups [][]freshet.ID, read func(i int, p store.Part) (any, error)) ([]any, error) {
	out := make([]any, len(s.parts))
	err := s.each(func(i int, p store.Part) (err error) {
		if len(groups[i]) > 0 {
			out[i], err = read(i, p)
		}
		return err
	})
	return out, err
}

// scatter asks parts for a page each, and merges them to one: what every part gives is in the order that before tells. Deep
// pages cost what the first one does, because each part begins at the key where the page before has ended.
func scatter[T any](ctx context.Context, s *Store, limit int, before func(a, b T) bool, page func(ctx context.Context, i int, p store.Part) ([]T, error)) ([]T, error) {
	if len(s.parts) == 1 {
		return page(ctx, 0, s.parts[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lists := make([][]T, len(s.parts))
	var once sync.Once
	var cause error
	_ = s.each(func(i int, p store.Part) (err error) {
		if lists[i], err = page(ctx, i, p); err != nil {
			once.Do(func() { cause = err })
			cancel() // half a page is none: the others need not go on
		}
		return nil
	})
	if cause != nil {
		return nil, cause
	}
	return merge(lists, limit, before), nil
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
func anyOf[T any](ctx context.Context, s *Store, ask func(ctx context.Context, p store.Part) (T, error), absent func(error) bool) (found T, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var has bool
	var none error
	err = s.each(func(_ int, p store.Part) error {
		v, err := ask(ctx, p)
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
