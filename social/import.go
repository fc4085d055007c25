package social

import (
	"context"
	"errors"

	"github.com/freshet/freshet/store"
)

// ErrNoImport says that the store in use can't import.
var ErrNoImport = errors.New("a store of several shards has no import: import into one shard before the others are added")

// ImportFollows loads a chunk of follows into a running node; what caches and
// timelines knew of the users in it is fenced before it returns.
func (s *Service) ImportFollows(ctx context.Context, rows []store.ImportedFollow) (store.ImportCount, error) {
	i, ok := s.store.(store.Importer)
	if !ok {
		return store.ImportCount{}, ErrNoImport
	}
	n, err := i.ImportFollows(ctx, rows)
	return s.imported(ctx, n, err)
}

// ImportPosts loads a chunk of posts likewise.
func (s *Service) ImportPosts(ctx context.Context, rows []store.ImportedPost) (store.ImportCount, error) {
	i, ok := s.store.(store.Importer)
	if !ok {
		return store.ImportCount{}, ErrNoImport
	}
	n, err := i.ImportPosts(ctx, rows)
	return s.imported(ctx, n, err)
}

func (s *Service) imported(ctx context.Context, n store.ImportCount, err error) (store.ImportCount, error) {
	if err != nil || len(n.Touched) == 0 {
		return n, err
	}
	return n, s.committed(ctx, nil, store.Change{Kind: store.Imported, Also: n.Touched})
}
