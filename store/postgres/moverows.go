package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store"
)

// Rows lists rows of the guarded buckets.
func (d *DB) Rows(ctx context.Context, table store.Table, after store.Row, limit int) ([]store.Row, error) {
	m := movableOf(table)
	return d.page(ctx, m.first, m.after, table.Types(), table, after, limit)
}

// page runs one of two queries, as there is a key to go on from or not.
func (d *DB) page(ctx context.Context, first, next, types string, table store.Table, after store.Row, limit int) ([]store.Row, error) {
	query, args := first, []any{limit}
	if after != nil {
		if len(after) < table.KeyLen() {
			return nil, fmt.Errorf("list rows of %s: a key of %d columns", table, len(after))
		}
		query, args = next, append(append([]any(nil), after[:table.KeyLen()]...), limit)
	}
	rows, err := list(ctx, d, scanRow(types), query, args...)
	if err != nil {
		return nil, fmt.Errorf("list rows of %s: %w", table, err)
	}
	return rows, nil
}

// scanRow reads columns. No bytes are nil.
func scanRow(types string) func(pgx.Rows) (store.Row, error) {
	return func(r pgx.Rows) (store.Row, error) {
		into, row := make([]any, len(types)), make(store.Row, len(types))
		for i := range len(types) {
			switch types[i] {
			case 's':
				into[i] = new(string)
			case 'b':
				into[i] = new([]byte)
			default:
				into[i] = new(int64)
			}
		}
		err := r.Scan(into...)
		for i, v := range into {
			switch v := v.(type) {
			case *string:
				row[i] = *v
			case *[]byte:
				if row[i] = *v; len(*v) == 0 {
					row[i] = []byte(nil)
				}
			case *int64:
				row[i] = *v
			}
		}
		return row, err
	}
}

// arrays are rows as a statement takes them.
func arrays(table store.Table, types string, rows []store.Row) ([]any, error) {
	args := make([]any, len(types))
	for i := range len(types) {
		var ok bool
		switch types[i] {
		case 's':
			args[i], ok = arrayOf[string](rows, i, len(types))
		case 'b':
			args[i], ok = arrayOf[[]byte](rows, i, len(types))
		default:
			args[i], ok = arrayOf[int64](rows, i, len(types))
		}
		if !ok {
			return nil, fmt.Errorf("rows of %s: column %d is not what it should be", table, i+1)
		}
	}
	return args, nil
}

func arrayOf[T any](rows []store.Row, column, columns int) (array []T, ok bool) {
	array = make([]T, len(rows))
	for i, row := range rows {
		if len(row) != columns {
			return nil, false
		}
		if array[i], ok = row[column].(T); !ok {
			return nil, false
		}
	}
	return array, true
}

// Noted lists what has changed: the notes, and then their rows, each in one flight.
func (d *DB) Noted(ctx context.Context, after int64, limit int) (out store.Noted, err error) {
	keys := make(map[store.Table][]store.Row)
	seen := make(map[string]bool)
	err = d.db.Read(ctx, "SELECT seq, tab, a, b, c, s, k FROM move_notes WHERE seq > $1 AND (tab = 19 OR bucket IN "+movingBuckets+") ORDER BY seq LIMIT $2",
		[]any{after, limit}, func(r pgx.Rows) error {
			var seq, a, b, c int64
			var table store.Table
			var s string
			var k []byte
			if err := r.Scan(&seq, &table, &a, &b, &c, &s, &k); err != nil {
				return err
			}
			out.Notes = append(out.Notes, seq)
			key := noteKey(table.Types()[:table.KeyLen()], []int64{a, b, c}, s, k)
			if name := fmt.Sprint(table, key); !seen[name] {
				seen[name] = true
				keys[table] = append(keys[table], key)
			}
			return nil
		})
	if err == nil && len(out.Notes) > 0 {
		out.Changes, err = d.rowsOf(ctx, keys)
	}
	if err != nil {
		return store.Noted{}, fmt.Errorf("list notes: %w", err)
	}
	return out, nil
}

// noteKey is the key that the columns of a note are.
func noteKey(types string, numbers []int64, text string, bytes []byte) store.Row {
	key := make(store.Row, len(types))
	for i := range len(types) {
		switch types[i] {
		case 's':
			key[i] = text
		case 'b':
			key[i] = bytes
		default:
			key[i], numbers = numbers[0], numbers[1:]
		}
	}
	return key
}

// rowsOf reads rows by their keys, in one flight.
func (d *DB) rowsOf(ctx context.Context, keys map[store.Table][]store.Row) (changes []store.TableRows, err error) {
	var calls []pgdb.Call
	found := make(map[store.Table]*[]store.Row)
	for _, table := range store.Tables() {
		if len(keys[table]) == 0 {
			continue
		}
		args, err := arrays(table, table.Types()[:table.KeyLen()], keys[table])
		if err != nil {
			return nil, err
		}
		found[table] = new([]store.Row)
		calls = append(calls, gather(found[table], scanRow(table.Types()), pgdb.Call{SQL: movableOf(table).byKey, Args: args}))
	}
	if _, err := d.db.Write(ctx, calls...); err != nil { // that only reads
		return nil, err
	}
	for _, table := range store.Tables() {
		if found[table] == nil {
			continue
		}
		change := store.TableRows{Table: table, Rows: *found[table]}
		there := make(map[string]bool)
		for _, row := range change.Rows {
			there[fmt.Sprint(row[:table.KeyLen()])] = true
		}
		for _, key := range keys[table] {
			if !there[fmt.Sprint(key)] {
				change.Gone = append(change.Gone, key)
			}
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// ForgetNotes removes notes.
func (d *DB) ForgetNotes(ctx context.Context, term uint64, notes []int64) error {
	_, err := d.step(ctx, "forget notes", pgdb.Call{SQL: "SELECT forget_notes($1, $2)", Args: []any{int64(term), notes}})
	return err
}

// PutRows makes the database have rows as they are given, in one flight.
func (d *DB) PutRows(ctx context.Context, term uint64, changes []store.TableRows) error {
	calls := []pgdb.Call{{SQL: "SELECT begin_silent($1)", Args: []any{int64(term)}}}
	for _, change := range changes {
		m := movableOf(change.Table)
		for _, part := range []struct {
			rows       []store.Row
			types      string
			statements [][]string
		}{
			{change.Gone, m.table.Types()[:m.table.KeyLen()], [][]string{m.drop}},
			{change.Rows, m.table.Types(), [][]string{m.clash, m.put}},
		} {
			if len(part.rows) == 0 {
				continue
			}
			args, err := arrays(m.table, part.types, part.rows)
			if err != nil {
				return fmt.Errorf("put rows: %w", err)
			}
			for _, statements := range part.statements {
				for _, query := range statements {
					calls = append(calls, pgdb.Call{SQL: query, Args: args})
				}
			}
		}
	}
	_, err := d.step(ctx, "put rows", calls...)
	return err
}

// dropping is where DropRows goes on, so that it does not begin each time with all that stays. It is kept in memory alone: from the
// start it finds the same.
type dropping struct {
	sync.Mutex
	at    int // in movables
	after store.Row
}

// DropRows removes rows of buckets that are elsewhere. That it found none it says after a whole round over all tables.
func (d *DB) DropRows(ctx context.Context, term uint64, limit int) (dropped int, err error) {
	d.drops.Lock()
	defer d.drops.Unlock()
	calls := []pgdb.Call{{SQL: "SELECT begin_silent($1)", Args: []any{int64(term)}}}
	at, after := d.drops.at, d.drops.after
	for whole := at == 0 && after == nil; dropped < limit; {
		if at == len(movables) {
			if at, after = 0, nil; dropped > 0 || whole {
				break
			}
			whole = true
		}
		m := &movables[at]
		if m.stays {
			at++
			continue
		}
		types := m.table.Types()[:m.table.KeyLen()]
		keys, err := d.page(ctx, m.keys, m.keysAfter, types, m.table, after, limit-dropped)
		if err != nil {
			return 0, err
		}
		if len(keys) > 0 {
			args, err := arrays(m.table, types, keys)
			if err != nil {
				return 0, err
			}
			for _, query := range m.drop {
				calls = append(calls, pgdb.Call{SQL: query, Args: args})
			}
			after = keys[len(keys)-1]
		}
		if dropped += len(keys); dropped < limit {
			at, after = at+1, nil
		}
	}
	if _, err := d.step(ctx, "drop rows", calls...); err != nil {
		return 0, err
	}
	d.drops.at, d.drops.after = at, after
	return dropped, nil
}
