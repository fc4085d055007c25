package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Changes waits for what committed after a position.
func (d *DB) Changes(ctx context.Context, consumer string, after position.Position, limit int) ([]store.Change, error) {
	rows, err := d.file.Changes(ctx, consumer, after, limit)
	if errors.Is(err, litedb.ErrFeedLost) {
		return nil, fmt.Errorf("%w: %w", store.ErrFeedLost, err)
	}
	if err != nil {
		return nil, err
	}
	at := d.file.Position()
	changes := make([]store.Change, len(rows))
	for i, r := range rows {
		at.Offset = uint64(r.Offset)
		changes[i] = store.Change{At: at, Kind: store.ChangeKind(r.Kind), Subject: r.Subject, Object: r.Object, Also: r.Also}
	}
	return changes, nil
}

// Confirm says that a consumer needs nothing up to a position any more.
func (d *DB) Confirm(ctx context.Context, consumer string, upTo position.Position) error {
	return d.file.Confirm(ctx, consumer, upTo)
}

// FeedHead is the position of the last commit.
func (d *DB) FeedHead(context.Context) (position.Position, error) { return d.file.Position(), nil }
