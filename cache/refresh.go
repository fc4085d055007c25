package cache

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// planRefresh draws when e is to be loaded again ahead of its end, by what a load costs (XFetch: Vattani, Chierichetti,
// Lowenstein, "Optimal probabilistic cache stampede prevention", 2015). The paper draws at each read; drawn once for each
// entry a hit compares two numbers, and it is still spread over the nodes.
func (c *Cache[K, V]) planRefresh(e *entry, cost time.Duration) {
	beta := c.policy.RefreshAhead
	if beta == 0 || !e.found {
		return
	}
	early := float64(max(cost, clockResolution)) * beta * -math.Log(1-rand.Float64())
	e.refreshAt = max(1, e.freshUntil-int64(min(early, float64(century))))
}

// refreshAhead begins the load of an entry whose time for that has come. Nobody waits for it, and its failure is told to the
// observer alone: the next read of an entry that has ended tries again.
func (c *Cache[K, V]) refreshAhead(ctx context.Context, key K, e *entry) {
	if c.clock.NowNano() < e.refreshAt || !e.refreshing.CompareAndSwap(false, true) {
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
	own.ahead, own.keys = e, []K{key}
	c.flights.byKey[key] = flight[K, V]{own, 0}
	c.flights.running++
	c.stack.loads.Go(func() { c.run(ctx, own) })
}
