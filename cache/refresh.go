package cache

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// refreshWindow is how many times beta × the cost of its load before the end of an entry reads begin to draw: earlier than
// that one in 10^8 would renew it.
const refreshWindow = 18

// planRefresh notes from when on a read of e may renew it, by what its load cost.
func (c *Cache[K, V]) planRefresh(e *entry, cost time.Duration) {
	beta := c.policy.RefreshAhead
	if beta == 0 || !e.found {
		return
	}
	early := refreshWindow * beta * float64(max(cost, clockResolution))
	e.refreshAt = max(1, e.freshUntil-int64(min(early, float64(century))))
}

// refreshAhead begins the load of an entry if the read draws so: the nearer the end, the more likely (XFetch: Vattani,
// Chierichetti, Lowenstein, "Optimal probabilistic cache stampede prevention", 2015), so that of many readers on many nodes
// few do, and early enough. Nobody waits for the load, and its failure is told to the observer alone: the next read of an
// entry that has ended tries again.
func (c *Cache[K, V]) refreshAhead(ctx context.Context, key K, e *entry) {
	now := c.clock.NowNano()
	if now < e.refreshAt {
		return
	}
	scale := float64(e.freshUntil-e.refreshAt) / refreshWindow // beta × cost
	if float64(e.freshUntil-now) > scale*-math.Log(1-rand.Float64()) || !e.refreshing.CompareAndSwap(false, true) {
		return
	}
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	if _, ok := c.flights.byKey[key]; ok {
		return
	}
	own := c.newLoad(ctx, false)
	if own.err != nil {
		return
	}
	own.after, own.keys = e.freshUntil+int64(clockResolution), append(own.keys, key)
	c.flights.byKey[key] = flight[K, V]{load: own}
	c.start(own)
}
