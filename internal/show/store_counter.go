package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/store"
)

// hotCounter compares two counters of one post with the update that a counter would be without them: views, which are added durably
// to a journal and merged before they are written, as the store counts them, and likes, which are facts and share transactions.
func (w *storeWorld) hotCounter(ctx context.Context, l *lab) ([]ratio, error) {
	l.say("hot counter")
	post, err := w.hotPost(ctx)
	if err != nil {
		return nil, err
	}
	turns := size(20, 100) // of each user in a round; even, so that each round ends as it began
	like := &contender{name: "likes", clients: manyClients, n: manyClients, worth: turns, do: func(ctx context.Context, i int) error {
		for turn := range turns {
			do := w.db.Like
			if turn%2 == 1 {
				do = w.db.Unlike
			}
			switch _, changed, _, err := do(ctx, w.actors[i], post, store.Write{}); {
			case err != nil:
				return err
			case !changed:
				return fmt.Errorf("turn %d of a user changed nothing", turn)
			}
		}
		return nil
	}}
	var updated, viewed atomic.Int64
	plain := &contender{name: "UPDATE … + 1", clients: manyClients, n: manyClients, worth: turns, do: func(ctx context.Context, _ int) error {
		for range turns {
			if _, err := w.wide.Exec(ctx, "UPDATE freshet.post_counts SET comments = comments + 1 WHERE id = $1", int64(post)); err != nil {
				return err
			}
			updated.Add(1)
		}
		return nil
	}}
	views, err := w.openViews(ctx, l)
	if err != nil {
		return nil, err
	}
	more := turns * 25 // so that a round is not over at once
	view := &contender{name: "views", clients: manyClients, n: manyClients, worth: more, do: func(ctx context.Context, _ int) error {
		for range more {
			if _, err := views.Add(ctx, int64(post), 1); err != nil {
				return err
			}
			viewed.Add(1)
		}
		return nil
	}}
	err = takeTurns(ctx, size(3, 9), like, plain, view)
	if err = errors.Join(err, views.Close(ctx)); err != nil {
		return nil, err
	}
	for _, actor := range w.actors { // so that there is something to count
		if _, _, _, err := w.db.Like(ctx, actor, post, store.Write{}); err != nil {
			return nil, err
		}
	}
	counts, err := w.db.Counts(ctx, []freshet.ID{post})
	if err != nil {
		return nil, err
	}
	var seen int64
	if err := w.raw.QueryRow(ctx, "SELECT views FROM show_views WHERE post = $1", int64(post)).Scan(&seen); err != nil {
		return nil, err
	}
	said := fmt.Sprintf("%d of %d views, %d of %d updates, %d of %d likes counted", seen, viewed.Load(), counts[post].Comments, updated.Load(), counts[post].Likes, len(w.actors))
	if counts[post].Likes != int64(len(w.actors)) || counts[post].Comments != updated.Load() || seen != viewed.Load() {
		return nil, fmt.Errorf("a counter is wrong: %s", said)
	}
	killed, err := l.goTests(ctx, "^TestCounterKill$", "./cache")
	if err != nil {
		return nil, err
	}
	passed, cases := killed.print(l)
	lost := "nothing lost after kill -9 (TestCounterKill)"
	if passed != cases || cases == 0 {
		return nil, errors.New("TestCounterKill fails: something is lost after kill -9")
	}
	durable := against("hot counter, durably coalesced / UPDATE", 15, view, plain)
	durable.said += "; each Add returns after its fsync; " + said + "; " + lost
	facts := against("likes of one post / UPDATE", 0, like, plain)
	facts.said += "; likes are facts with their changes and share transactions"
	return []ratio{durable, facts}, nil
}

// openViews opens a counter whose sink is the store's server, as a program has it that counts in its own tables.
func (w *storeWorld) openViews(ctx context.Context, l *lab) (*cache.Counter[int64], error) {
	for _, sql := range []string{
		"CREATE TABLE show_views (post bigint PRIMARY KEY, views bigint NOT NULL)",
		"CREATE TABLE show_batches (journal bytea PRIMARY KEY, seq bigint NOT NULL)",
	} {
		if _, err := w.raw.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	return cache.DefineCounter(cache.CounterOptions[int64]{
		Name: "views", Dir: l.folder("views"),
		Write: func(ctx context.Context, b cache.Batch[int64, int64]) error {
			return pgx.BeginFunc(ctx, w.raw, func(tx pgx.Tx) error {
				tag, err := tx.Exec(ctx, `INSERT INTO show_batches AS k VALUES ($1, $2)
					ON CONFLICT (journal) DO UPDATE SET seq = excluded.seq WHERE k.seq < excluded.seq`, b.ID.Journal[:], int64(b.ID.Seq))
				if err != nil || tag.RowsAffected() == 0 { // it was written before
					return err
				}
				for _, e := range b.Entries {
					if _, err := tx.Exec(ctx, `INSERT INTO show_views AS v VALUES ($1, $2)
						ON CONFLICT (post) DO UPDATE SET views = v.views + excluded.views`, e.Key, e.Value); err != nil {
						return err
					}
				}
				return nil
			})
		},
		Load: func(ctx context.Context, journal [16]byte, keys []int64) (map[int64]int64, uint64, error) {
			totals, seq := make(map[int64]int64), int64(0)
			err := pgx.BeginTxFunc(ctx, w.raw, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
				err := tx.QueryRow(ctx, "SELECT coalesce(max(seq), 0) FROM show_batches WHERE journal = $1", journal[:]).Scan(&seq)
				if err != nil {
					return err
				}
				rows, err := tx.Query(ctx, "SELECT post, views FROM show_views WHERE post = ANY ($1)", keys)
				if err != nil {
					return err
				}
				var post, views int64
				_, err = pgx.ForEachRow(rows, []any{&post, &views}, func() error {
					totals[post] = views
					return nil
				})
				return err
			})
			return totals, uint64(seq), err
		},
	})
}
