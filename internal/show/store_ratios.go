package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

const (
	ratiosAim = "router at least 0.85 of raw pgx and 1.5 of PgBouncer; joined 2.5; hot counter 15; home feed 50; page 1,000 of a scatter at most 1.5 of page 1"

	rawConns     = 16 // of a pool, as the store's own has
	pointClients = 8
	manyClients  = 64
)

// ratio is one comparison of point 5.
type ratio struct {
	what  string
	value float64
	least float64 // 0: there is no aim
	said  string  // the figures behind it
}

// measureRatios is point 5.
func measureRatios(ctx context.Context, l *lab) (outcome, error) {
	var servers testenv.Scope
	defer servers.Close()
	w, err := l.openStoreWorld(ctx, &servers)
	if err != nil {
		return outcome{}, err
	}
	defer w.close()
	var all []ratio
	var missing []string
	for _, part := range []func(context.Context, *lab) ([]ratio, error){w.pointReads, w.joinedReads, w.hotCounter, w.homeFeed, scatter} {
		found, err := part(ctx, l)
		if err != nil {
			return outcome{}, err
		}
		all = append(all, found...)
	}
	if testenv.FindPgBouncer() == "" {
		missing = append(missing, "PgBouncer: not installed (sh internal/testenv/install.sh)")
	}
	var figures []string
	reached, aims := 0, len(missing)
	for _, r := range all {
		if r.least == 0 {
			l.detail("%s: %.2f (no aim); %s", r.what, r.value, r.said)
			continue
		}
		verdict := "short"
		if aims++; r.value >= r.least {
			verdict, reached = "ok", reached+1
		}
		figures = append(figures, fmt.Sprintf("%s %.2f", r.what, r.value))
		l.detail("%s: %.2f (at least %g) %s; %s", r.what, r.value, r.least, verdict, r.said)
	}
	for _, m := range missing {
		l.detail("not measured: %s", m)
	}
	text := fmt.Sprintf("%d of %d: %s", reached, aims, strings.Join(figures, ", "))
	if len(missing) > 0 {
		text += "; not measured: " + strings.Join(missing, "; ")
	}
	return outcome{text, reached == aims}, nil
}

// against is the ratio of two contenders that took turns.
func against(what string, least float64, a, b *contender) ratio {
	return ratio{what, times(a, b), least, fmt.Sprintf("%s %.0f/s, %s %.0f/s", a.name, a.rate(), b.name, b.rate())}
}

// onePost is the store's own query for posts; the schema is named, since a pooler's connections have no search path.
const onePost = "SELECT id, ref, author, text, data, created_at, edited_at FROM freshet.posts WHERE id = ANY ($1::bigint[])"

// readRaw reads a post as a program without freshet would.
func readRaw(ctx context.Context, pool *pgxpool.Pool, id freshet.ID) error {
	rows, err := pool.Query(ctx, onePost, []int64{int64(id)})
	if err != nil {
		return err
	}
	posts, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p rawPost, err error) {
		err = r.Scan(&p.ID, &p.Ref, &p.Author, &p.Text, &p.Data, &p.CreatedAt, &p.EditedAt)
		return p, err
	})
	if err == nil && len(posts) != 1 {
		err = fmt.Errorf("%d posts of the id %d", len(posts), id)
	}
	return err
}

// readStore reads a post through the store.
func readStore(ctx context.Context, s store.Posts, id freshet.ID) error {
	posts, err := s.Posts(ctx, []freshet.ID{id})
	if err == nil && len(posts) != 1 {
		err = fmt.Errorf("%d posts of the id %d", len(posts), id)
	}
	return err
}

// pointReads compares reads of one post through the router with those of a bare pool, and of one behind PgBouncer.
func (w *storeWorld) pointReads(ctx context.Context, l *lab) ([]ratio, error) {
	l.say("point reads")
	n := size(4_000, 20_000)
	router := &contender{name: "router", clients: pointClients, n: n, worth: 1, do: func(ctx context.Context, i int) error {
		return readStore(ctx, w.router, w.id(i))
	}}
	at, _, err := w.router.Where(ctx)
	if err != nil {
		return nil, err
	}
	session := &contender{name: "router, with a token", clients: pointClients, n: n, worth: 1, do: func(ctx context.Context, i int) error {
		ctx, _ = position.WithReading(ctx, position.Token{at})
		return readStore(ctx, w.router, w.id(i))
	}}
	raw := &contender{name: "raw pgx", clients: pointClients, n: n, worth: 1, do: func(ctx context.Context, i int) error {
		return readRaw(ctx, w.raw, w.id(i))
	}}
	contenders := []*contender{router, session, raw}
	for _, b := range w.bouncers {
		contenders = append(contenders, &contender{name: "PgBouncer, " + b.mode + " pooling", clients: pointClients, n: n, worth: 1, do: func(ctx context.Context, i int) error {
			return readRaw(ctx, b.pool, w.id(i))
		}})
	}
	if err := takeTurns(ctx, size(9, 31), contenders...); err != nil {
		return nil, err
	}
	found := []ratio{
		against("router / pgx", 0.85, router, raw),
		against("router with tokens / pgx", 0.85, session, raw),
	}
	for i, b := range w.bouncers {
		least := 1.5
		if b.mode == "session" { // one connection of the server's for each client's: nothing is pooled
			least = 0
		}
		found = append(found, against("router / PgBouncer, "+b.mode+" pooling", least, router, contenders[3+i]))
	}
	return found, nil
}

// joinedReads compares 64 callers of one post each through the store, which joins them, with a query for each.
func (w *storeWorld) joinedReads(ctx context.Context, l *lab) ([]ratio, error) {
	l.say("joined reads")
	n := size(8_000, 50_000)
	joined := &contender{name: "joined", clients: manyClients, n: n, worth: 1, do: func(ctx context.Context, i int) error {
		return readStore(ctx, w.db, w.id(i))
	}}
	single := &contender{name: "one by one", clients: manyClients, n: n, worth: 1, do: func(ctx context.Context, i int) error {
		return readRaw(ctx, w.raw, w.id(i))
	}}
	if err := takeTurns(ctx, size(9, 31), joined, single); err != nil {
		return nil, err
	}
	return []ratio{against("64 gets joined / one by one", 2.5, joined, single)}, nil
}
