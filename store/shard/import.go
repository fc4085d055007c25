package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var _ store.Importer = (*Store)(nil)

// ImportFollows loads one chunk of follows in one transaction on the part of each follower, and has them carried to those of who is
// followed. A chunk that fails midway is loaded again, to the same end.
func (s *Store) ImportFollows(ctx context.Context, rows []store.ImportedFollow) (store.ImportCount, error) {
	users := s.newImport(ctx)
	for i, r := range rows {
		if nameKey(r.Follower) == nameKey(r.Followee) {
			return store.ImportCount{}, fmt.Errorf("import follow %d: %w", i, freshet.Invalid("followee", "is the follower"))
		}
		if err := errors.Join(users.want(r.Follower), users.want(r.Followee)); err != nil {
			return store.ImportCount{}, fmt.Errorf("import follow %d: %w", i, err)
		}
	}
	err := load(users, rows, func(r *store.ImportedFollow) freshet.ID {
		r.FollowerID, r.FolloweeID = users.ids[nameKey(r.Follower)], users.ids[nameKey(r.Followee)]
		return r.FollowerID
	}, store.PartImporter.ImportFollows)
	if err == nil {
		err = s.deliver(ctx)
	}
	return users.sum(), err
}

// ImportPosts loads one chunk of posts, those of each part in one transaction there.
func (s *Store) ImportPosts(ctx context.Context, rows []store.ImportedPost) (store.ImportCount, error) {
	users := s.newImport(ctx)
	for i := range rows {
		// The parts' clocks have a say too; this is so that nobody is signed up for a chunk that is refused.
		if err := errors.Join(rows[i].Check(time.Now()), users.want(rows[i].Author)); err != nil {
			return store.ImportCount{}, fmt.Errorf("import post %d: %w", i, err)
		}
	}
	err := load(users, rows, func(r *store.ImportedPost) freshet.ID {
		r.AuthorID = users.ids[nameKey(r.Author)]
		return r.AuthorID
	}, store.PartImporter.ImportPosts)
	return users.sum(), err
}

// load finds the users of a chunk and loads the rows of each part there. of tells whose a row is. Where a bucket is on its way the
// chunk waits and is loaded again.
func load[T any](u *imported, rows []T, of func(*T) freshet.ID, on func(store.PartImporter, context.Context, []T) (store.ImportCount, error)) error {
	return u.s.moving(u.ctx, func(dir *directory) error {
		if err := u.find(dir); err != nil {
			return fmt.Errorf("import users: %w", err)
		}
		local := make([][]T, len(u.s.parts))
		for _, r := range rows {
			at := dir.owner(of(&r))
			local[at] = append(local[at], r)
		}
		return u.s.each(func(i int, p store.Part) error {
			if len(local[i]) == 0 {
				return nil
			}
			importer, err := importerOf(p)
			if err != nil {
				return err
			}
			n, err := on(importer, u.ctx, local[i])
			u.add(n)
			return err
		})
	})
}

func importerOf(p store.Part) (store.PartImporter, error) {
	i, ok := p.(store.PartImporter)
	if !ok {
		return nil, errors.New("the part can't import")
	}
	return i, nil
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
