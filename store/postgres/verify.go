package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
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
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, d.db.Pool(), snapshot, func(tx pgx.Tx) error {
		checked, found = 0, nil
		users, err := sampleUsers(ctx, tx, sample)
		if err != nil {
			return err
		}
		for i := range invariants {
			inv := &invariants[i]
			query, args := inv.query, []any(nil)
			if sample > 0 {
				if inv.of == "" {
					continue
				}
				query, args = query+" AND "+inv.of+" = ANY ($1::bigint[])", []any{users}
			}
			rows, err := tx.Query(ctx, query, args...)
			if err != nil {
				return fmt.Errorf("%s: %w", inv.name, err)
			}
			b := broken{invariant: inv}
			if _, err := pgx.ForEachRow(rows, []any{(*int64)(&b.subject), (*int64)(&b.object), &b.have, &b.want, &b.text}, func() error {
				if checked++; b.have != b.want {
					found = append(found, b)
				}
				return nil
			}); err != nil {
				return fmt.Errorf("%s: %w", inv.name, err)
			}
		}
		return nil
	})
	return checked, found, err
}

// sampleUsers draws the users whose data is checked.
func sampleUsers(ctx context.Context, tx pgx.Tx, sample int) ([]int64, error) {
	var lowest, highest int64
	if err := tx.QueryRow(ctx, "SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM users").Scan(&lowest, &highest); err != nil {
		return nil, err
	}
	at := make([]int64, sample)
	for i := range at {
		at[i] = lowest + rand.Int64N(highest-lowest+1)
	}
	rows, err := tx.Query(ctx, `SELECT u.id FROM unnest($1::bigint[]) AS at
		CROSS JOIN LATERAL (SELECT id FROM users WHERE id >= at ORDER BY id LIMIT 1) u`, at)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
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
		if _, err := d.db.Do(ctx, func(tx pgx.Tx) error {
			for _, b := range part {
				if err := mendOne(ctx, tx, b); err != nil {
					return fmt.Errorf("mend %q of %s: %w", b.name, b.subject, err)
				}
			}
			return nil
		}); err != nil {
			return portError(err)
		}
	}
	return nil
}

func mendOne(ctx context.Context, tx pgx.Tx, b broken) error {
	args := pgx.NamedArgs{"subject": int64(b.subject), "object": int64(b.object), "text": b.text}
	if b.lock != "" {
		if _, err := tx.Exec(ctx, b.lock, args); err != nil {
			return err
		}
	}
	done, err := tx.Exec(ctx, b.mend, args)
	if err != nil || done.RowsAffected() == 0 || b.kind == 0 {
		return err
	}
	_, err = tx.Exec(ctx, "SELECT emit_change($1, $2, $3)", int(b.kind), int64(b.subject), int64(b.object))
	return err
}
