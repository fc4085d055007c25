package memcached

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// server is one memcached and the connections to it.
type server struct {
	addr    string
	hash    uint64
	options Options
	links   []atomic.Pointer[link] // nil: there is none just now
	turn    atomic.Uint32
	clock   clock

	mu   sync.Mutex
	last error // why the latest connection failed
}

// Waits between attempts to connect: doubled each time, of which a random part between half and all is waited.
const (
	firstBackoff = 20 * time.Millisecond
	mostBackoff  = 2 * time.Second
)

func newServer(addr string, options Options) *server {
	return &server{addr: addr, hash: hashOf(addr), options: options, links: make([]atomic.Pointer[link], options.Conns)}
}

// link returns a connection: each in turn, so that they share the load.
func (s *server) link() (*link, error) {
	turn := s.turn.Add(1)
	for i := range s.links {
		if l := s.links[(int(turn)+i)%len(s.links)].Load(); l != nil {
			return l, nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return nil, fmt.Errorf("memcached %s: not connected: %w", s.addr, s.last)
}

// run keeps one connection until ctx ends. first is told how the first attempt went.
func (s *server) run(ctx context.Context, slot int, first chan<- error) {
	backoff := firstBackoff
	for ctx.Err() == nil {
		l, read, err := s.connect(ctx)
		if err == nil {
			backoff = firstBackoff
			s.links[slot].Store(l)
			report(&first, nil)
			l.serve(ctx, s.options.Timeout)
			s.links[slot].Store(nil)
			read.Wait()
			err = l.err
		}
		s.note(err)
		report(&first, err)
		select {
		case <-ctx.Done():
		case <-time.After(backoff/2 + rand.N(backoff/2)):
		}
		backoff = min(2*backoff, mostBackoff)
	}
}

// report sends to *first once.
func report(first *chan<- error, err error) {
	if *first != nil {
		*first <- err
		*first = nil
	}
}

func (s *server) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = err
}

// connect makes a connection that has told who it leads to. read is done when the goroutine that reads has ended.
func (s *server) connect(ctx context.Context) (l *link, read *sync.WaitGroup, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	conn, err := s.options.Dial(ctx, s.addr)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to memcached %s: %w\nhint: is it running, and is the address right?", s.addr, err)
	}
	l, read = newLink(s, conn), new(sync.WaitGroup)
	read.Go(l.read)
	if err := s.greet(ctx, l); err != nil {
		l.fail(err)
		read.Wait()
		return nil, nil, fmt.Errorf("connect to memcached %s: %w", s.addr, err)
	}
	return l, read, nil
}

// greet asks a server what it is.
func (s *server) greet(ctx context.Context, l *link) error {
	c := l.newStats()
	before := time.Now()
	if err := l.do(ctx, c); err != nil { // alone on its link, it is written though nobody serves yet
		return err
	}
	st := *c.stats
	c.free()
	if st.pid == 0 || st.time == 0 || st.itemMax == 0 {
		return errors.New("it tells neither its start nor its limits\nhint: a proxy is not supported; memcached 1.6 is")
	}
	if !st.cas {
		return errors.New("its compare-and-swap is off\nhint: start memcached without -C")
	}
	l.epoch, l.itemMax = (st.time-st.uptime)<<32|st.pid&(1<<32-1), st.itemMax
	s.clock.observe(st.time, before, time.Now())
	return nil
}

// pick is the server of a key: the one with the highest weight (rendezvous hashing; Thaler and Ravishankar, 1998). When a
// server is added, only what it gets moves.
func pick(servers []*server, key string) *server {
	if len(servers) == 1 {
		return servers[0]
	}
	h := hashOf(key)
	best, most := servers[0], uint64(0)
	for _, s := range servers {
		if weight := mix(h ^ s.hash); weight >= most {
			best, most = s, weight
		}
	}
	return best
}

func hashOf(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return mix(h.Sum64())
}

// mix is the finalizer of splitmix64: FNV alone has its last bytes in the low bits only.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
