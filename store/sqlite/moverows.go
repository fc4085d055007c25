package sqlite

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
)

// Rows lists rows of the guarded buckets.
func (d *DB) Rows(ctx context.Context, table store.Table, after store.Row, limit int) (rows []store.Row, err error) {
	m := movableOf(table)
	return d.page(ctx, m, m.first, m.after, len(m.columns), after, limit)
}

// page runs one of two queries, as there is a key to go on from or not.
func (d *DB) page(ctx context.Context, m *movable, first, next string, columns int, after store.Row, limit int) ([]store.Row, error) {
	query, args := first, []any{limit}
	if after != nil {
		after = after[:min(m.table.KeyLen(), len(after))]
		if err := m.check(after, m.table.KeyLen()); err != nil {
			return nil, fmt.Errorf("list rows: %w", err)
		}
		query, args = next, append(slices.Clone([]any(after)), limit)
	}
	return list(ctx, d, query, args, func(r *litedb.Rows) store.Row { return m.scan(r, 0, columns) })
}

// Noted lists what has changed. Notes and rows are of one snapshot.
func (d *DB) Noted(ctx context.Context, after int64, limit int) (out store.Noted, err error) {
	err = d.file.Snapshot(ctx, func(c *litedb.Conn) error {
		out = store.Noted{}
		keys := make(map[store.Table][]store.Row)
		seen := make(map[string]bool)
		if err := c.Each("SELECT n, tab, k1, k2, k3 FROM notes WHERE n > ? ORDER BY n LIMIT ?", []any{after, limit}, func(r *litedb.Rows) {
			out.Notes = append(out.Notes, r.Int(0))
			table := store.Table(r.Int(1))
			key := movableOf(table).scan(r, 2, table.KeyLen())
			if name := fmt.Sprint(table, key); !seen[name] {
				seen[name] = true
				keys[table] = append(keys[table], key)
			}
		}); err != nil {
			return err
		}
		for _, table := range store.Tables() {
			if len(keys[table]) == 0 {
				continue
			}
			change, err := read(c, movableOf(table), keys[table])
			if err != nil {
				return err
			}
			out.Changes = append(out.Changes, change)
		}
		return nil
	})
	if err != nil {
		return store.Noted{}, fmt.Errorf("list notes: %w", err)
	}
	return out, nil
}

// read gives the rows of keys as they are now.
func read(c *litedb.Conn, m *movable, keys []store.Row) (store.TableRows, error) {
	change := store.TableRows{Table: m.table}
	for _, key := range keys {
		found, err := c.One(m.one, key, func(r *litedb.Rows) { change.Rows = append(change.Rows, m.scan(r, 0, len(m.columns))) })
		if err != nil {
			return change, err
		}
		if !found {
			change.Gone = append(change.Gone, key)
		}
	}
	return change, nil
}

// ForgetNotes removes notes.
func (d *DB) ForgetNotes(ctx context.Context, term uint64, notes []int64) error {
	ids := make([]freshet.ID, len(notes)) // numbers, as json_each reads them
	for i, n := range notes {
		ids[i] = freshet.ID(n)
	}
	_, err := d.moved(ctx, "forget notes", term, func(t *tx, _ move) error {
		return t.exec("DELETE FROM notes WHERE n IN (SELECT value FROM json_each(?))", jsonIDs(ids))
	})
	return err
}

// PutRows makes the file have rows as they are given: some 10 µs each, during
// which other writes wait.
func (d *DB) PutRows(ctx context.Context, term uint64, changes []store.TableRows) error {
	_, err := d.moved(ctx, "put rows", term, func(t *tx, m move) error {
		if !m.away {
			return errNoMove
		}
		return t.quietly(func() error {
			for _, change := range changes {
				if err := t.put(m.buckets, change); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return err
}

func (t *tx) put(buckets store.Buckets, change store.TableRows) error {
	m := movableOf(change.Table)
	for _, key := range change.Gone {
		if err := m.check(key, m.table.KeyLen()); err != nil {
			return err
		}
		if err := t.exec(m.drop, key...); err != nil {
			return err
		}
	}
	for _, row := range change.Rows {
		if err := m.check(row, len(m.columns)); err != nil {
			return err
		}
		if bucket := m.bucket(row); m.table != store.EndedTable && (bucket < 0 || !buckets.Has(bucket)) {
			return fmt.Errorf("a row of %s is of bucket %d, which is not being moved", m.table, bucket)
		}
		if err := t.putRow(m, row); err != nil {
			return err
		}
	}
	return nil
}

// dropping is where DropRows goes on, so that it does not begin each time with all
// that stays. It is kept in memory alone: from the start it finds the same.
type dropping struct {
	sync.Mutex
	table store.Table
	after store.Row
}

// DropRows removes rows of buckets that are elsewhere. What it looks for is read
// beside the writer, which removes by key.
func (d *DB) DropRows(ctx context.Context, term uint64, limit int) (dropped int, err error) {
	d.drops.Lock()
	defer d.drops.Unlock()
	at := &d.drops
	start := at.table == 0
	for {
		if at.table == 0 {
			at.table = store.UsersTable
		}
		m := movableOf(at.table)
		keys, err := d.page(ctx, m, m.keys, m.keysAfter, m.table.KeyLen(), at.after, limit-dropped)
		if err != nil {
			return dropped, fmt.Errorf("drop rows: %w", err)
		}
		if err := d.dropKeys(ctx, term, m, keys); err != nil {
			return dropped, err
		}
		if dropped += len(keys); dropped >= limit {
			at.after = keys[len(keys)-1]
			return dropped, nil
		}
		at.after = nil
		if at.table++; at.table == store.JournalsTable { // which stays: it says what this part has counted of other buckets too
			at.table++
		}
		if at.table <= lastMovable {
			continue
		}
		at.table = 0
		if dropped > 0 || start { // a whole round has found nothing, or there is more to come
			return dropped, nil
		}
		start = true
	}
}

func (d *DB) dropKeys(ctx context.Context, term uint64, m *movable, keys []store.Row) error {
	_, err := d.moved(ctx, "drop rows", term, func(t *tx, now move) error {
		if !now.away {
			return errNoMove
		}
		if len(keys) == 0 {
			return nil
		}
		return t.quietly(func() error {
			for _, key := range keys {
				if err := t.exec(m.drop, key...); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return err
}
