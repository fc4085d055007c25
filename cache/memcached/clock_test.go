package memcached_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache/memcached"
)

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c memcached.Clock
		ask := func(second float64) float64 {
			before := time.Now()
			time.Sleep(200 * time.Millisecond)
			c.Observe(uint64(second), before, time.Now())
			return c.Seconds()
		}
		for _, step := range []struct{ told, want float64 }{
			{1000, 1000.6}, // in the middle of the second, 100 ms ago
			{1000, 1000.8}, // within the second: as it was
			{1000, 1001.0},
			{1000, 1001.2}, // the second may have ended just after it was told
			{1000, 1001.2}, // when it was asked that second had not ended: it is late
			{1003, 1003.0}, // that second has begun
			{1003, 1003.2},
		} {
			if got := ask(step.told); got < step.want-0.001 || got > step.want+0.001 {
				t.Errorf("told %v the clock is at %.3f, want %.3f", step.told, got, step.want)
			}
		}
		time.Sleep(time.Hour)
		if got := c.Seconds(); got < 4603.1 || got > 4603.3 {
			t.Errorf("an hour later it is at %.3f", got)
		}
	})
}
