package memcached_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/memcached"
	"github.com/freshet/freshet/internal/testenv"
)

// BenchmarkGet reads values of 200 bytes, one key a call, and then does the same as clients without pipelining do: a
// connection that waits for its answer, of which each caller has one. It prints how many times as fast it was in this run.
func BenchmarkGet(b *testing.B) {
	for _, callers := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			server := testenv.StartMemcached(b)
			c := open(b, memcached.Options{Servers: []string{server.Addr}})
			keys := make([]string, 1024)
			value := append(aValue[:len(aValue):len(aValue)], make([]byte, 200-len(aValue))...)
			for i := range keys {
				keys[i] = fmt.Sprintf("user:%d", i)
				c.lease(keys[i], 1)
				c.fill(keys[i], 1, value)
			}
			naive := perSecond(callers, 20_000, func() func(i int) error { return dialNaive(b, server.Addr, keys) })
			b.ReportAllocs()
			b.ResetTimer()
			ours := perSecond(callers, b.N, func() func(i int) error {
				key, out := make([]string, 1), make([]cache.Record, 1)
				return func(i int) error {
					key[0] = keys[i%len(keys)]
					if err := c.Get(b.Context(), key, out); err != nil || out[0].State != cache.Filled {
						return fmt.Errorf("%v, %v", out[0].State, err)
					}
					return nil
				}
			})
			b.StopTimer()
			b.ReportMetric(ours/naive, "x-naive")
			b.ReportMetric(ours, "keys/s")
		})
	}
}

// perSecond has callers do n things, and returns how many they did in a second.
func perSecond(callers, n int, caller func() func(i int) error) float64 {
	var (
		all  sync.WaitGroup
		next atomic.Int64
	)
	does := make([]func(int) error, callers)
	for i := range does {
		does[i] = caller()
	}
	began := time.Now()
	for _, do := range does {
		all.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := do(i); err != nil {
					panic(err)
				}
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(began).Seconds()
}

func dialNaive(b *testing.B, addr string, keys []string) func(i int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	r, buf := bufio.NewReader(conn), make([]byte, 0, 512)
	return func(i int) error {
		buf = append(append(append(buf[:0], "mg "...), keys[i%len(keys)]...), " v\r\n"...)
		if _, err := conn.Write(buf); err != nil {
			return err
		}
		var size int
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if _, err := fmt.Sscanf(string(line), "VA %d", &size); err != nil {
			return err
		}
		_, err = io.CopyN(io.Discard, r, int64(size+2))
		return err
	}
}

// TestGetAllocates is a count: the value is all that a hit allocates.
func TestGetAllocates(t *testing.T) {
	server := testenv.StartMemcached(t)
	c := open(t, memcached.Options{Servers: []string{server.Addr}})
	c.lease("k", 1)
	c.fill("k", 1, aValue)
	keys, out, ctx := []string{"k"}, make([]cache.Record, 1), t.Context()
	n := testing.AllocsPerRun(testenv.Size(200, 2_000, 20_000), func() {
		if err := c.Get(ctx, keys, out); err != nil || out[0].State != cache.Filled {
			t.Fatal(err)
		}
	})
	if n >= 2 { // the average: a pool that was emptied by the collector allocates again
		t.Errorf("a hit makes %v allocations, want 1", n)
	}
}
