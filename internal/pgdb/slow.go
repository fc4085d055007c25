package pgdb

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// slowLog counts statements that took long, by their text: freshet's statements bear parameters, never values, so the text
// is the fingerprint.
type slowLog struct {
	from time.Duration
	log  *slog.Logger

	mu  sync.Mutex
	all map[string]*SlowQuery
}

// SlowQuery is one statement that was slow.
type SlowQuery struct {
	SQL   string
	Count int64
	Total time.Duration
	Max   time.Duration
	Last  time.Time
}

// slowKept bounds how many statements are told apart.
const slowKept = 256

func newSlowLog(o Options) *slowLog {
	l := &slowLog{from: o.Slow, log: o.Log, all: make(map[string]*SlowQuery)}
	if l.from == 0 {
		l.from = 200 * time.Millisecond
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	return l
}

type tracedKey struct{}

type traced struct {
	sql   string
	began time.Time
}

// TraceQueryStart implements pgx.QueryTracer.
func (l *slowLog) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, tracedKey{}, traced{q.SQL, time.Now()})
}

// TraceQueryEnd implements pgx.QueryTracer.
func (l *slowLog) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryEndData) {
	if t, ok := ctx.Value(tracedKey{}).(traced); ok {
		l.observe(ctx, t.sql, time.Since(t.began), q.Err)
	}
}

func (l *slowLog) observe(ctx context.Context, query string, took time.Duration, err error) {
	if took < l.from {
		return
	}
	text := strings.Join(strings.Fields(query), " ")
	l.log.WarnContext(ctx, "slow statement", "sql", text, "took", took, "error", err)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.all[text]
	if s == nil {
		if len(l.all) >= slowKept {
			return
		}
		s = &SlowQuery{SQL: text}
		l.all[text] = s
	}
	s.Count++
	s.Total += took
	s.Max = max(s.Max, took)
	s.Last = time.Now()
}

// Slow counts the slow statements, and adds up how long they took.
func (d *DB) Slow() (n int64, took time.Duration) {
	for _, s := range d.SlowQueries() {
		n, took = n+s.Count, took+s.Total
	}
	return n, took
}

// SlowQueries lists the slow statements, those that took most in total first.
func (d *DB) SlowQueries() []SlowQuery {
	l := d.slow
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]SlowQuery, 0, len(l.all))
	for _, s := range l.all {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b SlowQuery) int { return cmp.Compare(b.Total, a.Total) })
	return out
}
