package sqlite

import (
	"fmt"
	"strings"

	"github.com/freshet/freshet/store"
)

// The guard of a move is a trigger for each kind of change on each table: it
// refuses the change while the buckets are elsewhere or fenced, and else notes its
// key. SQLite checks a trigger within the statement, so a change and its note are
// one, and a statement that is refused has changed nothing.

// guardName is the trigger of a table for INSERT, UPDATE or DELETE.
func guardName(t store.Table, event string) string {
	return "guard_" + t.String() + "_" + strings.ToLower(event)
}

// guard makes the triggers of a move.
func (t *tx) guard() error {
	for _, m := range movables {
		for _, event := range []string{"INSERT", "UPDATE", "DELETE"} {
			if err := t.exec(m.trigger(event)); err != nil {
				return fmt.Errorf("guard %s: %w", m.table, err)
			}
		}
	}
	return nil
}

// unguard drops them.
func (t *tx) unguard() error {
	for _, m := range movables {
		for _, event := range []string{"INSERT", "UPDATE", "DELETE"} {
			if err := t.exec("DROP TRIGGER IF EXISTS " + guardName(m.table, event)); err != nil {
				return fmt.Errorf("unguard %s: %w", m.table, err)
			}
		}
	}
	return nil
}

// trigger is the statement that makes a trigger. No statement of this package
// changes a key.
func (m *movable) trigger(event string) string {
	row := "NEW."
	when := m.guarded("NEW.")
	switch event {
	case "UPDATE":
		when += " OR " + m.guarded("OLD.")
	case "DELETE":
		row, when = "OLD.", m.guarded("OLD.")
	}
	refused, noted := "away OR fenced", "NOT quiet"
	switch m.table {
	case store.EndedTable:
		// The end of any user is of interest, because rows on the way may name that
		// user, and where the buckets are not it is to be heard of too.
		when, refused = "1", "fenced"
	case store.JournalsTable:
		// Each part knows which views it has counted itself. What home knows is added.
		refused, noted = "fenced", "NOT quiet AND NOT away"
	}
	keys := make([]string, 3)
	for i := range keys {
		if keys[i] = "NULL"; i < m.table.KeyLen() {
			keys[i] = row + m.columns[i].name
		}
	}
	return fmt.Sprintf(`CREATE TRIGGER %s AFTER %s ON %s WHEN %s BEGIN
		SELECT RAISE(ABORT, 'the bucket is elsewhere') FROM move WHERE NOT quiet AND (%s);
		INSERT INTO notes (tab, k1, k2, k3) SELECT %d, %s FROM move WHERE %s;
	END`, guardName(m.table, event), event, m.table, when, refused, m.table, strings.Join(keys, ", "), noted)
}

// quietly runs what the mover itself writes: it is neither refused nor noted. The
// writer is one, and where op fails the mark is undone with all the rest.
func (t *tx) quietly(op func() error) error {
	if err := t.exec("UPDATE move SET quiet = 1"); err != nil {
		return err
	}
	if err := op(); err != nil {
		return err
	}
	return t.exec("UPDATE move SET quiet = 0")
}
