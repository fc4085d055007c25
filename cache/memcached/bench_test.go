package memcached_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
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
			before := cpu()
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
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(ours/naive, "x-naive")
			b.ReportMetric(ours, "keys/s")
		})
	}
}

// BenchmarkGetMany reads 100 keys a call, 8 callers at a time.
func BenchmarkGetMany(b *testing.B) {
	server := testenv.StartMemcached(b)
	c := open(b, memcached.Options{Servers: []string{server.Addr}})
	keys := make([]string, 100)
	value := append(aValue[:len(aValue):len(aValue)], make([]byte, 200-len(aValue))...)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%d", i)
		c.lease(keys[i], 1)
		c.fill(keys[i], 1, value)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	batches := perSecond(8, b.N, func() func(int) error {
		out := make([]cache.Record, len(keys))
		return func(int) error { return c.Get(b.Context(), keys, out) }
	})
	b.ReportMetric(float64(cpu()-before)/float64(b.N*len(keys)), "cpu-ns/key")
	b.ReportMetric(batches*float64(len(keys)), "keys/s")
}

// cpu is the time that this process has computed: what other programs on the machine do does not show in it.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
