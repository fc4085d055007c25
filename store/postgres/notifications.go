package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// Notifications lists what a user was told, newest first.
func (d *DB) Notifications(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Notification, error) {
	return list(ctx, d, func(r pgx.Rows) (n freshet.Notification, err error) {
		var object freshet.ID
		err = r.Scan((*int64)(&n.ID), (*int64)(&n.User), &n.Kind, (*int64)(&n.Actor), (*int64)(&object), (*int64)(&n.Post), &n.Text, &n.Seen)
		if n.Kind == freshet.NotifyComment {
			n.Comment = object
		}
		return n, err
	}, `SELECT n.id, n.user_id, n.kind, n.actor, n.object, n.post, n.text, n.id <= c.notified
		FROM notifications n JOIN user_counts c ON c.id = n.user_id WHERE n.user_id = $1 AND n.id < $2 ORDER BY n.id DESC LIMIT $3`,
		int64(user), from(before), limit)
}

// unseen looks at the newest rows alone, whatever is hidden of them.
const unseen = `SELECT count(*) FROM (SELECT n.actor FROM notifications n
		WHERE n.user_id = $1 AND n.id > (SELECT notified FROM user_counts WHERE id = $1) ORDER BY n.id DESC LIMIT $2) t
	WHERE NOT EXISTS (SELECT FROM blocks WHERE blocker = $1 AND blocked = t.actor)
	AND NOT EXISTS (SELECT FROM blocked_by WHERE blocked = $1 AND blocker = t.actor)
	AND NOT EXISTS (SELECT FROM mutes WHERE muter = $1 AND muted = t.actor)`

// Unseen counts what a user has not seen.
func (d *DB) Unseen(ctx context.Context, user freshet.ID, most int) (n int, err error) {
	err = d.db.Read(ctx, unseen, []any{int64(user), most}, func(r pgx.Rows) error { return r.Scan(&n) })
	return n, err
}

// SeeNotifications has a user have seen all up to an id.
func (d *DB) SeeNotifications(ctx context.Context, user, upTo freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	at, err = d.write(ctx, w, pgdb.Call{
		SQL: "SELECT see_notifications($1, $2)", Args: []any{int64(user), int64(upTo)},
		Scan: func(r pgx.Rows) error { return r.Scan(&changed) },
	})
	return changed && err == nil, at, err
}

// AddNotification tells a user a text, once by its name.
func (d *DB) AddNotification(ctx context.Context, user freshet.ID, name, text string, w store.Write) (changed bool, at position.Token, err error) {
	at, err = d.write(ctx, w, pgdb.Call{
		SQL: "SELECT add_notification($1, $2, $3)", Args: []any{int64(user), name, text},
		Scan: func(r pgx.Rows) error { return r.Scan(&changed) },
	})
	return changed && err == nil, at, err
}

// PurgeNotifications removes what is older than a time.
func (d *DB) PurgeNotifications(ctx context.Context, before time.Time) (int, error) {
	return d.purge(ctx, `DELETE FROM notifications WHERE id IN
		(SELECT id FROM notifications WHERE id < $1 AND NOT is_held(bucket_of(id)) ORDER BY id LIMIT $2)`,
		int64(freshet.NewID(freshet.Millis(before), 0, 0)))
}
