package pgdb

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet/position"
)

// A commit that waits for a synchronous standby is flushed, and a replica may show it, before the primary does:
//
//	primary   ── flush 42 ── waits for a standby ── is woken ── shows 42
//	replica        └ replays 42, shows it ──▶ who has read it has the token 42
//
// Who has seen it there must not be told by the primary that it is not. So before the primary is read at a position, no commit up
// to there may be under way any more. One question proves it for all positions up to which the primary had flushed by then.

// settleWithin bounds the wait: where no standby answers, what waits is not acknowledged, and readers are not held up for longer.
const settleWithin = 500 * time.Millisecond

// settleQuery is whereQuery with the transactions that may be committing, as they are after it. Only a part of the way between
// flushing and showing is spent waiting for a standby, and on a busy machine the rest takes milliseconds: so every writer counts
// that is not waiting for a lock or its client. One whose statement has taken longer than writes do (an import, a migration) counts
// from when it waits for a standby, or every reader would wait for its end.
const settleQuery = `SELECT at.*, ARRAY(SELECT pid || ' ' || backend_xid FROM pg_stat_activity
		WHERE datname = current_database() AND backend_xid IS NOT NULL AND (wait_event = 'SyncRep' OR state = 'active'
			AND coalesce(wait_event_type, '') NOT IN ('Lock', 'Client') AND query_start > clock_timestamp() - interval '100 ms'))
	FROM (` + whereQuery + `) AS at`

// settle returns when a primary shows all that it has flushed up to need, or can't tell. A replica shows what it has replayed.
func (d *DB) settle(ctx context.Context, need position.Position) {
	if need.IsZero() || !d.writable.Load() {
		return
	}
	var at position.Position // where it was when those began to be watched that wait
	var waiting []string
	for end := time.Now().Add(settleWithin); time.Now().Before(end); {
		if settled := d.settled.Load(); settled != nil && settled.Reached(need) {
			return
		}
		var w Where
		var now []string
		err := d.read(ctx, settleQuery, nil, func(r pgx.Rows) error { return d.scanWhere(r, &w, &now) })
		if err != nil || !w.Writable || !w.At.Reached(need) {
			return
		}
		if at.IsZero() {
			at, waiting = w.At, now
		} else { // whoever came later stands above
			waiting = slices.DeleteFunc(waiting, func(one string) bool { return !slices.Contains(now, one) })
		}
		if len(waiting) == 0 {
			d.settled.Store(&at)
			return
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}
