package memcached

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// link is one connection to a server.
//
//	callers ──send──▶ out ──▶ flush (serve) ──▶ server ──▶ read ──finish──▶ callers
//	             └──▶ waiting, in the same order ────────────┘
//
// What callers send while a write is under way is written with the next. A caller who is alone writes himself: the socket's
// buffer is empty then, so it does not block, and nobody has to wake. A link fails once and for all, and everything that
// waits with it.
type link struct {
	server  *server
	conn    net.Conn
	epoch   uint64 // the server's life
	itemMax int
	opaque  atomic.Uint64
	wake    chan struct{} // holds one: there is something to write
	dead    chan struct{} // closed when the link has failed

	mu      sync.Mutex
	out     []byte
	spare   []byte  // of the last write, to be used again
	writing bool    // somebody writes
	waiting []*call // for their answers, in order; from head on
	head    int
	current *call // whose answers are being read
	tick    uint32
	err     error
}

const (
	maxWaiting   = 1 << 14 // calls that wait with one link
	keepOut      = 1 << 20 // of a write buffer
	readBuffer   = 64 << 10
	mostInline   = 16 << 10 // what a caller writes himself
	ticksTimeout = 4        // how many ticks of the link a timeout has
)

var (
	errTimeout = errors.New("no answer in time")
	errBusy    = errors.New("too many commands wait for an answer")
)

func newLink(s *server, conn net.Conn) *link {
	return &link{server: s, conn: conn, itemMax: 1 << 20, wake: make(chan struct{}, 1), dead: make(chan struct{})}
}

// send has a call written.
func (l *link) send(c *call) error {
	l.mu.Lock()
	if err := l.sendable(); err != nil {
		l.mu.Unlock()
		c.free()
		return err
	}
	l.out = append(l.out, c.out...)
	l.waiting = append(l.waiting, c)
	c.sent = l.tick
	alone := !l.writing && len(l.waiting)-l.head == 1 && len(l.out) <= mostInline
	l.mu.Unlock()
	if alone {
		l.flush()
	} else {
		l.rouse()
	}
	return nil
}

func (l *link) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) sendable() error {
	if l.err != nil {
		return l.err
	}
	if len(l.waiting)-l.head >= maxWaiting {
		return l.fault(errBusy)
	}
	return nil
}

// do sends a call and waits for its answers; after an error the call is no longer the caller's.
func (l *link) do(ctx context.Context, c *call) error {
	if err := ctx.Err(); err != nil {
		c.free()
		return err
	}
	if err := l.send(c); err != nil {
		return err
	}
	return c.wait(ctx)
}

// serve writes until the link fails or ctx ends.
func (l *link) serve(ctx context.Context, timeout time.Duration) {
	ticker := time.NewTicker(max(timeout/ticksTimeout, time.Millisecond))
	defer ticker.Stop()
	asks := asker{link: l, asked: time.Now()}
	for {
		select {
		case <-l.wake:
			l.gather()
			l.flush()
		case <-ticker.C:
			if l.stalled() {
				l.fail(errTimeout)
				return
			}
			asks.tick()
		case <-l.dead:
			return
		case <-ctx.Done():
			l.fail(ErrClosed)
			return
		}
	}
}

// gather lets others run for as long as they send more: what is written together costs one system call here, and one or two
// at the server.
func (l *link) gather() {
	const most = 8 // turns
	before := -1
	for range most {
		l.mu.Lock()
		n := len(l.out)
		l.mu.Unlock()
		if n == before {
			return
		}
		before = n
		runtime.Gosched()
	}
}

// flush writes what there is to write. While somebody else does, he is to do it.
func (l *link) flush() {
	l.mu.Lock()
	if l.writing || len(l.out) == 0 {
		l.mu.Unlock()
		return
	}
	buf := l.out
	l.out, l.spare, l.writing = l.spare, nil, true
	l.mu.Unlock()

	err := l.conn.SetWriteDeadline(time.Now().Add(l.server.options.Timeout))
	if err == nil {
		_, err = l.conn.Write(buf)
	}

	l.mu.Lock()
	l.writing = false
	if cap(buf) <= keepOut {
		l.spare = buf[:0]
	}
	more := len(l.out) > 0
	l.mu.Unlock()
	if err != nil {
		l.fail(err)
	} else if more {
		l.rouse()
	}
}

// stalled tells whether the answer that is due has not come for a timeout.
func (l *link) stalled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tick++
	due := l.current
	if due == nil && l.head < len(l.waiting) {
		due = l.waiting[l.head]
	}
	return due != nil && l.tick-due.sent > ticksTimeout
}

// read reads answers until the link fails.
func (l *link) read() {
	r := bufio.NewReaderSize(l.conn, readBuffer)
	for {
		if _, err := r.Peek(1); err != nil {
			l.fail(err)
			return
		}
		c := l.next()
		if c == nil {
			l.fail(doubt("something that nobody has asked for"))
			return
		}
		err := c.read(r, l.itemMax)
		l.release()
		if err != nil {
			l.fail(err)
			c.finish(l.fault(err))
			return
		}
		c.finish(nil)
	}
}

// next takes the call whose answers come now.
func (l *link) next() *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.head == len(l.waiting) {
		return nil
	}
	c := l.waiting[l.head]
	l.waiting[l.head] = nil
	if l.head++; l.head == len(l.waiting) {
		l.waiting, l.head = l.waiting[:0], 0
	} else if l.head >= 1024 && l.head*2 > len(l.waiting) {
		n := copy(l.waiting, l.waiting[l.head:])
		clear(l.waiting[n:])
		l.waiting, l.head = l.waiting[:n], 0
	}
	l.current = c
	return c
}

func (l *link) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = nil
}

// fail closes the link and ends all that waits, but for what is being read: its reader does that.
func (l *link) fail(err error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = l.fault(err)
	waiting := l.waiting[l.head:]
	l.waiting, l.head, l.out = nil, 0, nil
	close(l.dead)
	l.mu.Unlock()
	l.conn.Close()
	for _, c := range waiting {
		c.finish(l.err)
	}
}

func (l *link) fault(err error) error {
	if errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("memcached %s: %w", l.server.addr, err)
}
