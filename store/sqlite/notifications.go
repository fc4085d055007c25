package sqlite

import (
	"context"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// notify tells a user, who is here, what another one did to it, in the transaction
// of that.
func (t *tx) notify(user freshet.ID, kind freshet.NotificationKind, actor, object, post freshet.ID) error {
	if user == actor {
		return nil
	}
	return t.tell(user, kind, actor, object, post, "", "")
}

func (t *tx) tell(user freshet.ID, kind freshet.NotificationKind, actor, object, post freshet.ID, name, text string) error {
	id := t.NextID(user.Bucket())
	n, err := t.Exec(`INSERT INTO notifications (id, user, kind, actor, object, post, name, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		id, user, int(kind), actor, object, post, name, text)
	if err != nil || n == 0 {
		return err
	}
	return t.change(store.Notified, id, user)
}

// denote takes the notification of a fact back.
func (t *tx) denote(kind freshet.NotificationKind, actor, object freshet.ID) error {
	return t.exec("DELETE FROM notifications WHERE actor = ? AND kind = ? AND object = ?", actor, int(kind), object)
}

// Notifications lists what a user was told, newest first.
func (d *DB) Notifications(ctx context.Context, user, before freshet.ID, limit int) ([]freshet.Notification, error) {
	return list(ctx, d, `SELECT n.id, n.user, n.kind, n.actor, n.object, n.post, n.text, n.id <= u.notified
		FROM users u CROSS JOIN notifications n ON n.user = u.id WHERE u.id = ? AND n.id < ? ORDER BY n.id DESC LIMIT ?`,
		[]any{user, from(before), limit}, func(r *litedb.Rows) freshet.Notification {
			n := freshet.Notification{
				ID: r.ID(0), User: r.ID(1), Kind: freshet.NotificationKind(r.Int(2)), Actor: r.ID(3), Post: r.ID(5), Text: r.Text(6), Seen: r.Int(7) != 0,
			}
			if n.Kind == freshet.NotifyComment {
				n.Comment = r.ID(4)
			}
			return n
		})
}

// unseen looks at the newest rows alone, whatever is hidden of them.
const unseen = `SELECT count(*) FROM (SELECT n.actor FROM users u CROSS JOIN notifications n ON n.user = u.id
		WHERE u.id = ?1 AND n.id > u.notified ORDER BY n.id DESC LIMIT ?2) t
	WHERE NOT EXISTS (SELECT 1 FROM blocks WHERE blocker = ?1 AND blocked = t.actor)
	AND NOT EXISTS (SELECT 1 FROM blocked_by WHERE blocked = ?1 AND blocker = t.actor)
	AND NOT EXISTS (SELECT 1 FROM mutes WHERE muter = ?1 AND muted = t.actor)`

// Unseen counts what a user has not seen.
func (d *DB) Unseen(ctx context.Context, user freshet.ID, most int) (n int, err error) {
	err = d.file.View(ctx, func(c *litedb.Conn) error {
		_, err := c.One(unseen, []any{user, most}, func(r *litedb.Rows) { n = int(r.Int(0)) })
		return err
	})
	return n, err
}

// SeeNotifications has a user have seen all up to an id.
func (d *DB) SeeNotifications(ctx context.Context, user, upTo freshet.ID, w store.Write) (changed bool, at position.Token, err error) {
	at, err = d.write(ctx, w, func(t *tx) error {
		changed = false
		if err := t.needUsers(user); err != nil {
			return err
		}
		last, _, err := t.number("SELECT coalesce(max(id), 0) FROM notifications WHERE user = ?", user)
		if err != nil {
			return err
		}
		if upTo != 0 {
			last = min(last, int64(upTo))
		}
		n, err := t.Exec("UPDATE users SET notified = ?2 WHERE id = ?1 AND notified < ?2", user, last)
		if changed = n > 0; err != nil || !changed {
			return err
		}
		return t.change(store.Notified, 0, user)
	})
	return changed && err == nil, at, err
}

// AddNotification tells a user a text, once by its name.
func (d *DB) AddNotification(ctx context.Context, user freshet.ID, name, text string, w store.Write) (changed bool, at position.Token, err error) {
	at, err = d.write(ctx, w, func(t *tx) error {
		if err := t.needUsers(user); err != nil {
			return err
		}
		err := t.tell(user, freshet.NotifyInbound, 0, user, 0, name, text)
		changed = t.changed
		return err
	})
	return changed && err == nil, at, err
}

// PurgeNotifications removes what is older than a time.
func (d *DB) PurgeNotifications(ctx context.Context, before time.Time) (int, error) {
	return d.purge(ctx, "DELETE FROM notifications WHERE id IN (SELECT id FROM notifications WHERE id < ? AND NOT "+isAway("id")+" LIMIT ?)",
		freshet.NewID(freshet.Millis(before), 0, 0))
}
