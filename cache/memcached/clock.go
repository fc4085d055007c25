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

// observe takes a second that the server told between two instants here: at the first its clock did not show a later one
// yet, and at the last no earlier one any more. What is known already is changed no further than that takes, so the clock
// does not jump with each connection.
func (c *clock) observe(second uint64, before, after time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begins := time.Unix(int64(second), 0)
	ends := begins.Add(time.Second)
	if c.told.IsZero() {
		c.told, c.here = begins.Add(time.Second/2), before.Add(after.Sub(before)/2)
		return
	}
	if first := c.told.Add(before.Sub(c.here)); first.After(ends) {
		c.told = c.told.Add(ends.Sub(first))
	} else if last := c.told.Add(after.Sub(c.here)); last.Before(begins) {
		c.told = c.told.Add(begins.Sub(last))
	}
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

// resample is how often a server is asked for its time: two clocks of quartz part by about 30 ms in that time, at most.
const resample = 5 * time.Minute

// asker asks a server for its time over a link, now and then. It is its link's writer's.
type asker struct {
	link  *link
	asked time.Time
	call  *call // that waits for its answer, or nil
}

// tick asks if it is time, or takes the answer if it has come.
func (a *asker) tick() {
	if a.call != nil {
		a.take()
		return
	}
	if time.Since(a.asked) < resample {
		return
	}
	a.asked = time.Now()
	if c := a.link.newStats(); a.link.send(c) == nil {
		a.call = c
	}
}

func (a *asker) take() {
	select {
	case <-a.call.done:
		if a.call.err == nil {
			a.link.server.clock.observe(a.call.stats.time, a.asked, time.Now())
		}
		a.call.free()
		a.call = nil
	default:
	}
}
