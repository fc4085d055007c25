package app

import (
	"log/slog"
	"time"

	"github.com/freshet/freshet/cache"
)

// cacheLog logs what a cache must not do. The rest is counted; see writeMetrics.
type cacheLog struct{ log *slog.Logger }

var _ cache.StaleObserver = cacheLog{}

func (cacheLog) Loaded(int, time.Duration, error) {}
func (cacheLog) ServedStale(time.Duration)        {}

// FoundStale logs a read that should have seen a change.
func (l cacheLog) FoundStale(s cache.StaleRead) {
	l.log.Error("stale read", "space", s.Space, "key", s.Key, "age", s.Age.Round(time.Millisecond), "stale_for", s.For.Round(time.Millisecond))
}
