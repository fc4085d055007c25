package memcached

import (
	"bufio"
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/cache/internal/record"
)

// call is a run of commands that go over one connection together, and then their answers. Its owner is who made it until
// it is sent, and again from when wait has returned nil; in between it is the connection's. A caller whose context ends
// leaves it to the connection for good, since the answers will come nonetheless.
type call struct {
	out     []byte  // the commands
	first   uint64  // opaque of the first; the others count on
	replies []reply // as many as commands
	stats   *stats  // instead of meta commands: the answers to stats and stats settings
	err     error   // of the connection

	done    chan struct{} // holds one
	claimed atomic.Bool   // by who comes first: the caller who gives up, or the connection that has the answer
	sent    uint32        // tick of the link
	scratch []byte
}

var calls = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}

// newCall returns a call of at most n meta commands.
func (l *link) newCall(n int) *call {
	c := calls.Get().(*call)
	c.first = l.opaque.Add(uint64(n)) - uint64(n)
	return c
}

// newStats returns a call that asks a server what it is.
func (l *link) newStats() *call {
	c := l.newCall(0)
	c.stats = new(stats)
	c.out = append(c.out, "stats\r\nstats settings\r\n"...)
	return c
}

// free gives back a call that is its caller's.
func (c *call) free() {
	const keep = 64 << 10 // what a call of usual size takes; more is left to the garbage collector
	clear(c.replies)
	c.replies, c.out, c.scratch = c.replies[:0], c.out[:0], c.scratch[:0]
	if cap(c.out) > keep || cap(c.scratch) > keep {
		c.out, c.scratch = nil, nil
	}
	c.stats, c.err = nil, nil
	c.claimed.Store(false)
	calls.Put(c)
}

// get asks for an item with its CAS.
func (c *call) get(key wireKey) {
	c.out = append(append(c.out, "mg "...), key.text...)
	c.out = append(c.out, " v c"...)
	c.end(key)
}

// put stores a record: where cas is zero only if there is nothing, else only in place of the item that bears cas.
func (c *call) put(key wireKey, r record.Record, cas uint64, now time.Time) {
	c.set(key, r, now)
	if cas == 0 {
		c.out = append(c.out, " ME"...)
	} else {
		c.out = strconv.AppendUint(append(c.out, " C"...), cas, 10)
	}
	c.end(key)
	c.data()
}

// overwrite stores a record whatever there is.
func (c *call) overwrite(key wireKey, r record.Record, now time.Time) {
	c.set(key, r, now)
	c.end(key)
	c.data()
}

func (c *call) set(key wireKey, r record.Record, now time.Time) {
	c.scratch = record.Append(c.scratch[:0], r, key.bears)
	c.out = append(append(c.out, "ms "...), key.text...)
	c.out = strconv.AppendInt(append(c.out, ' '), int64(len(c.scratch)), 10)
	c.out = strconv.AppendInt(append(c.out, " T"...), expiry(r, now), 10)
}

func (c *call) data() { c.out = append(append(c.out, c.scratch...), "\r\n"...) }

// end is the end of each command's line. The opaque comes back with the answer: one that is another's is never taken.
func (c *call) end(key wireKey) {
	if key.base64 {
		c.out = append(c.out, " b"...)
	}
	c.out = strconv.AppendUint(append(c.out, " O"...), c.first+uint64(len(c.replies)), 10)
	c.out = append(c.out, "\r\n"...)
	c.replies = append(c.replies, reply{})
}

// Times as memcached takes them: up to 30 days from now in seconds, beyond that as seconds since 1970, in 32 bits.
const (
	longestRelative = 30 * 24 * 60 * 60
	latestAbsolute  = 1<<31 - 1
)

// expiry is when the server may drop a record: no sooner than its last part ends. One second is rounded up, and one more is
// for the server's clock, which ticks once a second: an item of one second may otherwise end at once.
func expiry(r record.Record, now time.Time) int64 {
	left := time.Duration(max(0, r.End()-now.UnixNano()))
	seconds := int64((left+time.Second-1)/time.Second) + 1
	if seconds > longestRelative {
		return min(now.Unix()+seconds, latestAbsolute)
	}
	return seconds
}

// read reads the answers.
func (c *call) read(r *bufio.Reader, maxValue int) (err error) {
	if c.stats != nil {
		if err := readStats(r, c.stats); err != nil {
			return err
		}
		return readStats(r, c.stats)
	}
	for i := range c.replies {
		if c.replies[i], err = readReply(r, maxValue); err != nil {
			return err
		}
		if rep := &c.replies[i]; rep.code != serverError && rep.opaque != c.first+uint64(i) {
			return doubt("the answer to %d where that to %d is due", rep.opaque, c.first+uint64(i))
		}
	}
	return nil
}

// finish hands a call back to its caller, if he still waits.
func (c *call) finish(err error) {
	c.err = err
	if !c.claimed.CompareAndSwap(false, true) {
		c.free()
		return
	}
	c.done <- struct{}{}
}

// wait returns nil when the answers are there.
func (c *call) wait(ctx context.Context) error {
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.claimed.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-c.done
	}
	if err := c.err; err != nil {
		c.free()
		return err
	}
	return nil
}
