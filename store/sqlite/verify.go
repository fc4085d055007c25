package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
)

// verifyRounds bounds how often mending looks again: taking away an orphan can
// leave a counter to be mended.
const verifyRounds = 4

// Verify checks every invariant at one snapshot. Mending
// follows in small transactions, which read the facts again, so that other writes
// go on; what is reported is what was found first.
func (d *DB) Verify(ctx context.Context, sample int, fix bool) (checked int, found []store.Violation, err error) {
	for round := 0; ; round++ {
		n, faults, err := d.check(ctx, sample)
		if err != nil {
			return checked, found, fmt.Errorf("verify: %w", err)
		}
		if round == 0 {
			checked, found = n, violations(faults)
		}
		if !fix || len(faults) == 0 {
			return checked, found, nil
		}
		if round == verifyRounds {
			return checked, found, fmt.Errorf("verify: %d violations remain after mending", len(faults))
		}
		if err := d.mend(ctx, faults); err != nil {
			return checked, found, err
		}
	}
}

// broken is a row that breaks an invariant.
type broken struct {
	*invariant
	subject, object freshet.ID
	text            string
	have, want      int64
}

func (d *DB) check(ctx context.Context, sample int) (checked int, found []broken, err error) {
	err = d.file.Snapshot(ctx, func(c *litedb.Conn) error {
		users, err := sampleUsers(c, sample)
		if err != nil {
			return err
		}
		for i := range invariants {
			inv := &invariants[i]
			query, args := inv.query+" WHERE NOT "+isAway(inv.own), []any(nil)
			if sample > 0 {
				if inv.of == "" {
					continue
				}
				query, args = query+" AND "+inv.of+" IN (SELECT value FROM json_each(?))", []any{users}
			}
			if err := c.Each(query+inv.group, args, func(r *litedb.Rows) {
				checked++
				if have, want := r.Int(2), r.Int(3); have != want {
					found = append(found, broken{inv, r.ID(0), r.ID(1), r.Text(4), have, want})
				}
			}); err != nil {
				return fmt.Errorf("%s: %w", inv.name, err)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		return nil
	})
	return checked, found, err
}

// sampleUsers draws the users whose data is checked, as a JSON list.
func sampleUsers(c *litedb.Conn, sample int) (string, error) {
	var lowest, highest int64
	if _, err := c.One("SELECT min(id), max(id) FROM users", nil, func(r *litedb.Rows) {
		lowest, highest = r.Int(0), r.Int(1)
	}); err != nil {
		return "", err
	}
	drawn := []freshet.ID{0} // nobody
	for range sample {
		at := lowest + rand.Int64N(highest-lowest+1)
		if _, err := c.One("SELECT id FROM users WHERE id >= ? ORDER BY id LIMIT 1", []any{at}, func(r *litedb.Rows) {
			drawn = append(drawn, r.ID(0))
		}); err != nil {
			return "", err
		}
	}
	return jsonIDs(drawn), nil
}

func violations(found []broken) []store.Violation {
	out := make([]store.Violation, len(found))
	for i, b := range found {
		out[i] = store.Violation{Invariant: b.name, Subject: b.subject}
		switch {
		case b.counts:
			out[i].Detail = fmt.Sprintf("is %d, should be %d", b.have, b.want)
		case b.text != "":
			out[i].Detail = fmt.Sprintf("%q belongs to %d, should to %d", b.text, b.have, b.want)
		default:
			out[i].Detail = fmt.Sprintf("%s with %s: is %d, should be %d", b.subject, b.object, b.have, b.want)
		}
	}
	return out
}

// mendChunk bounds how much one transaction mends.
const mendChunk = 200

// mend sets right what violations name, as the facts are now, and tells the
// change feed what to read again.
func (d *DB) mend(ctx context.Context, all []broken) error {
	for part := range slices.Chunk(all, mendChunk) {
		if _, err := d.write(ctx, store.Write{}, func(t *tx) error {
			for _, b := range part {
				n, err := t.Exec(b.mend, b.subject, b.object, b.text)
				if err == nil && n > 0 && b.kind != 0 {
					err = t.change(b.kind, b.subject, b.object)
				}
				if err != nil {
					return fmt.Errorf("mend %q of %s: %w", b.name, b.subject, err)
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
