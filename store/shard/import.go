package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// importers is how many users or follows between parts are made at once.
const importers = 32

var _ store.Importer = (*Store)(nil)

// ImportFollows loads one chunk of follows: those between users of one part in one transaction there, and those between two parts
// like any others, and then carried. A chunk that fails midway is loaded again, to the same end.
func (s *Store) ImportFollows(ctx context.Context, rows []store.ImportedFollow) (count store.ImportCount, err error) {
	users := s.newImport(ctx)
	for i, r := range rows {
		if nameKey(r.Follower) == nameKey(r.Followee) {
			return count, fmt.Errorf("import follow %d: %w", i, freshet.Invalid("followee", "is the follower"))
		}
		if err := errors.Join(users.want(r.Follower), users.want(r.Followee)); err != nil {
			return count, fmt.Errorf("import follow %d: %w", i, err)
		}
	}
	if err := users.find(); err != nil {
		return count, err
	}
	local := make(map[int][]store.ImportedFollow)
	var between []store.ImportedFollow
	dir := s.dir.Load()
	for _, r := range rows {
		r.FollowerID, r.FolloweeID = users.ids[nameKey(r.Follower)], users.ids[nameKey(r.Followee)]
		if at := dir.owner(r.FollowerID); at == dir.owner(r.FolloweeID) {
			local[at] = append(local[at], r)
		} else {
			between = append(between, r)
		}
	}
	if err := chunks(users, local, func(i store.Importer, rows []store.ImportedFollow) (store.ImportCount, error) {
		return i.ImportFollows(ctx, rows)
	}); err != nil {
		return users.count, err
	}
	err = users.each(len(between), func(i int) error {
		r := between[i]
		var changed bool
		err := s.on(ctx, r.FollowerID, func(p store.Part) (err error) {
			changed, _, err = p.Follow(ctx, r.FollowerID, r.FolloweeID, store.Write{})
			return err
		})
		if errors.Is(err, freshet.ErrNotFound) { // a block forbids it
			return nil
		}
		if err == nil && changed {
			users.add(store.ImportCount{Follows: 1, Touched: []freshet.ID{r.FollowerID, r.FolloweeID}})
		}
		return err
	})
	if err == nil {
		err = s.deliver(ctx)
	}
	return users.sum(), err
}

// ImportPosts loads one chunk of posts, those of each part in one transaction there.
func (s *Store) ImportPosts(ctx context.Context, rows []store.ImportedPost) (count store.ImportCount, err error) {
	users := s.newImport(ctx)
	for i := range rows {
		// The parts' clocks have a say too; this is so that nobody is signed up for a chunk that is refused.
		if err := errors.Join(rows[i].Check(time.Now()), users.want(rows[i].Author)); err != nil {
			return count, fmt.Errorf("import post %d: %w", i, err)
		}
	}
	if err := users.find(); err != nil {
		return count, err
	}
	local, dir := make(map[int][]store.ImportedPost), s.dir.Load()
	for _, r := range rows {
		r.AuthorID = users.ids[nameKey(r.Author)]
		at := dir.owner(r.AuthorID)
		local[at] = append(local[at], r)
	}
	err = chunks(users, local, func(i store.Importer, rows []store.ImportedPost) (store.ImportCount, error) {
		return i.ImportPosts(ctx, rows)
	})
	return users.sum(), err
}

// imported are the users of a chunk, and what it has added.
type imported struct {
	ctx   context.Context // of the one chunk that it lives in
	s     *Store
	names []string              // as they were met first
	ids   map[string]freshet.ID // by nameKey; 0: to be found

	mu    sync.Mutex
	count store.ImportCount
}

func (s *Store) newImport(ctx context.Context) *imported {
	return &imported{ctx: ctx, s: s, ids: make(map[string]freshet.ID)}
}

func (u *imported) want(handle string) error {
	if _, met := u.ids[nameKey(handle)]; met {
		return nil
	}
	u.ids[nameKey(handle)] = 0
	u.names = append(u.names, handle)
	return freshet.CheckHandle("handle", handle)
}

func (u *imported) add(n store.ImportCount) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count.Users, u.count.Follows, u.count.Posts = u.count.Users+n.Users, u.count.Follows+n.Follows, u.count.Posts+n.Posts
	u.count.Touched = append(u.count.Touched, n.Touched...)
}

func (u *imported) sum() store.ImportCount {
	u.count.Touched = sorted(u.count.Touched)
	return u.count
}

// each does n things, some at a time, and gives the first error.
func (u *imported) each(n int, do func(i int) error) error {
	errs := make([]error, n)
	var running sync.WaitGroup
	free := make(chan struct{}, importers)
	for i := range n {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			if errs[i] = u.ctx.Err(); errs[i] == nil {
				errs[i] = do(i)
			}
		})
	}
	running.Wait()
	return first(errs)
}

// find finds the users of the handles, or signs them up.
func (u *imported) find() error {
	found := make([]freshet.ID, len(u.names))
	err := u.each(len(u.names), func(i int) (err error) {
		handle := u.names[i]
		for range drawnHandles {
			if found[i], err = u.s.UserByHandle(u.ctx, handle); !errors.Is(err, freshet.ErrNotFound) {
				return err
			}
			var made freshet.User
			made, _, err = u.s.CreateUser(u.ctx, freshet.NewUser{Handle: handle, Name: handle}, store.Write{})
			if err == nil {
				found[i] = made.ID
				u.add(store.ImportCount{Users: 1, Touched: []freshet.ID{made.ID}})
			}
			if freshet.CodeOf(err) != freshet.CodeConflict { // else somebody signs up at this moment
				return err
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("import users: %w", err)
	}
	for i, handle := range u.names {
		u.ids[nameKey(handle)] = found[i]
	}
	return nil
}

// chunks loads the rows of each part there. Where a bucket has moved since, the caller loads the chunk again.
func chunks[T any](u *imported, local map[int][]T, load func(i store.Importer, rows []T) (store.ImportCount, error)) error {
	parts := make([]int, 0, len(local))
	for at := range local {
		parts = append(parts, at)
	}
	slices.Sort(parts)
	return u.each(len(parts), func(i int) error {
		at := parts[i]
		importer, ok := u.s.parts[at].(store.Importer)
		if !ok {
			return fmt.Errorf("part %d can't import", at)
		}
		n, err := load(importer, local[at])
		if errors.Is(err, store.ErrMoved) {
			err = &freshet.Error{Code: freshet.CodeUnavailable, Message: "a part of the data is being moved: import again", Err: err}
		}
		u.add(n)
		return err
	})
}
