package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/redis"
)

// cacheWorker is the helper process of point 2: a stack of its own on a Redis. It
// does what it reads from its standard input, a stampedeOrder a line, and prints a
// stampedeEvent for each call of its loader and each order that it has done.
const cacheWorker = "cache-worker"

// stampedeOrder has callers ask for a key together.
type stampedeOrder struct {
	Key     string
	Callers int
	Load    time.Duration // a call of the loader takes that long
	Value   int           // what it brings
	Stale   bool          // in the space whose values may be stale
}

// stampedeEvent is a call of the loader that begins, or an order that is done.
type stampedeEvent struct {
	Worker int `json:"-"` // set by who reads it
	Ready  bool
	Load   string
	Done   string
	Values map[int]int     // how many callers got which
	Errors map[string]int  //
	Took   []time.Duration // by caller
}

const (
	stampedeTTL   = 3 * killedLoad // of values that may be stale: it counts from where their load begins
	stampedeStale = time.Minute
)

// stampedeWorker is the process.
type stampedeWorker struct {
	mu           sync.Mutex
	out          *json.Encoder
	order        sync.Map // by key
	fresh, stale *cache.Cache[string, int]
}

// serveCacheWorker takes the address of a Redis.
func serveCacheWorker(ctx context.Context, args []string, in io.Reader, out, log io.Writer) int {
	w := &stampedeWorker{out: json.NewEncoder(out)}
	n, err := newCacheNode(ctx, onRedis(redis.Options{URL: "redis://" + args[0]}), cache.Options{}, func(s *cache.Stack) {
		w.fresh = cache.Func(s, "fresh", cache.Policy{}, w.load)
		w.stale = cache.Func(s, "stale", cache.Policy{TTL: stampedeTTL, Jitter: -1, StaleFor: stampedeStale}, w.load)
	})
	if err != nil {
		fmt.Fprintln(log, err)
		return exitShort
	}
	defer n.close()
	w.tell(stampedeEvent{Ready: true})
	orders := json.NewDecoder(bufio.NewReader(in))
	for {
		var o stampedeOrder
		if err := orders.Decode(&o); err != nil {
			return exitDone // told all
		}
		w.order.Store(o.Key, o)
		go w.tell(w.stampede(ctx, o))
	}
}

func (w *stampedeWorker) tell(e stampedeEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.out.Encode(e) // who does not hear it waits in vain, and says so
}

func (w *stampedeWorker) load(_ context.Context, key string) (int, error) {
	w.tell(stampedeEvent{Load: key})
	found, _ := w.order.Load(key)
	o, _ := found.(stampedeOrder)
	time.Sleep(o.Load)
	return o.Value, nil
}

func (w *stampedeWorker) stampede(ctx context.Context, o stampedeOrder) stampedeEvent {
	var (
		callers sync.WaitGroup
		mu      sync.Mutex
		done    = stampedeEvent{Done: o.Key, Values: map[int]int{}, Errors: map[string]int{}, Took: make([]time.Duration, o.Callers)}
		start   = make(chan struct{})
		space   = w.fresh
	)
	if o.Stale {
		space = w.stale
	}
	for i := range o.Callers {
		callers.Go(func() {
			<-start
			began := time.Now()
			v, err := space.Get(ctx, o.Key)
			done.Took[i] = time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				done.Errors[err.Error()]++
			} else {
				done.Values[v]++
			}
		})
	}
	close(start)
	callers.Wait()
	return done
}

// stampedeProcess is a worker as its parent has it.
type stampedeProcess struct {
	*process
	in *json.Encoder
}

// startStampede starts worker i, whose events go to events.
func (l *lab) startStampede(i int, addr string, events chan<- stampedeEvent) (*stampedeProcess, error) {
	cmd := exec.Command(l.self, cacheWorker, addr)
	cmd.Stderr = l.progress
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	read, write := io.Pipe()
	cmd.Stdout = write
	p, err := startProcess(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cacheWorker, err)
	}
	go func() {
		<-p.done
		write.Close()
	}()
	go func() {
		for said := json.NewDecoder(read); ; {
			e := stampedeEvent{Worker: i}
			if said.Decode(&e) != nil {
				return // it has ended
			}
			events <- e
		}
	}()
	l.Cleanup(p.kill)
	return &stampedeProcess{p, json.NewEncoder(in)}, nil
}
