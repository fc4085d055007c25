package memcached

import (
	"sync"
	"time"
)

// clock is a server's clock as well as it is known here: a time that it told, and how long ago that was on our monotonic
// clock. It told whole seconds, so what we know is off by up to half of one. The zero clock is not set.
type clock struct {
	mu   sync.Mutex
	told time.Time // the server's
	here time.Time // when that was, with our monotonic reading
}

// observe takes a second that the server told between two instants here. What is known already is changed no further than
// it takes to be within that second: so the clock doesn't jump with each connection.
func (c *clock) observe(second uint64, before, after time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	middle := before.Add(after.Sub(before) / 2)
	earliest := time.Unix(int64(second), 0)
	latest := earliest.Add(time.Second)
	now := earliest.Add(time.Second / 2)
	if !c.told.IsZero() {
		now = c.told.Add(middle.Sub(c.here))
	}
	switch {
	case now.Before(earliest):
		now = earliest
	case now.After(latest):
		now = latest
	}
	c.told, c.here = now, middle
}

// now is the server's time, or false where it was never told.
func (c *clock) now() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told.IsZero() {
		return time.Time{}, false
	}
	return c.told.Add(time.Since(c.here)), true
}
