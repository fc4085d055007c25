package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// The aims of point 2.
const (
	emptyStart, emptyMemory = 200 * time.Millisecond, 60_000_000
	dataStart, dataMemory   = time.Second, 200_000_000

	startAim = "empty: 200 ms, 60 MB; with the data: 1 s, 200 MB"

	starts    = 5
	idleAfter = 2 * time.Second
)

// measureStart is point 2: from the fork of the process to the first 200 of
// /livez, and the resident memory two seconds later.
func measureStart(ctx context.Context, l *lab) (outcome, error) {
	empty, err := l.starts(ctx, "empty", func() (string, error) { return l.folder("empty"), nil })
	if err != nil {
		return outcome{}, err
	}
	full, err := l.realFolder(ctx)
	if err != nil {
		return outcome{}, err
	}
	data, err := l.starts(ctx, "with the data", func() (string, error) { return full, nil })
	if err != nil {
		return outcome{}, err
	}
	l.machine()
	return outcome{
		fmt.Sprintf("empty: %s, %s; with the data: %s, %s", ms(empty.time()), mb(empty.memory()), ms(data.time()), mb(data.memory())),
		empty.time() <= emptyStart && empty.memory() <= emptyMemory && data.time() <= dataStart && data.memory() <= dataMemory,
	}, nil
}

// started is what several starts took. The median is what is judged.
type started struct {
	times []time.Duration
	rss   []int64
}

func (s started) time() time.Duration { return middle(s.times) }
func (s started) memory() int64       { return middle(s.rss) }

// starts measures several starts, each on the folder that folder gives.
func (l *lab) starts(ctx context.Context, what string, folder func() (string, error)) (s started, err error) {
	for range starts {
		data, err := folder()
		if err != nil {
			return s, err
		}
		took, rss, err := l.oneStart(ctx, data)
		if err != nil {
			return s, err
		}
		s.times, s.rss = append(s.times, took), append(s.rss, rss)
	}
	l.detail("%s: %d starts, median %s, slowest %s; memory: median %s, most %s", what, starts,
		ms(s.time()), ms(slices.Max(s.times)), mb(s.memory()), mb(slices.Max(s.rss)))
	return s, nil
}

func (l *lab) oneStart(ctx context.Context, data string) (took time.Duration, rss int64, err error) {
	addr, err := freeAddr()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	n, err := l.launch(data, addr)
	if err != nil {
		return 0, 0, err
	}
	defer n.kill()
	for !alive(addr) {
		if n.ended() || time.Since(began) > readyWithin {
			return 0, 0, fmt.Errorf("no answer from /livez after %s\n%s", time.Since(began), n.said())
		}
		time.Sleep(time.Millisecond)
	}
	took = time.Since(began)
	select {
	case <-time.After(idleAfter):
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	if rss, err = rssOf(n.pid()); err != nil {
		return 0, 0, err
	}
	return took, rss, n.stop()
}

// alive asks /livez once, with as little of our own in it as can be.
func alive(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return false
	}
	if _, err := fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", addr); err != nil {
		return false
	}
	head := make([]byte, 12)
	n, err := conn.Read(head)
	return err == nil && strings.HasPrefix(string(head[:n]), "HTTP/1.1 200")
}

// realFolder gives a folder that the real data was imported into, by point 1 or
// now.
func (l *lab) realFolder(ctx context.Context) (string, error) {
	if l.imported != "" {
		return l.imported, nil
	}
	d, err := l.realData()
	if err != nil {
		return "", err
	}
	data := l.folder("real")
	_, err = l.imports(ctx, data, d.follows, d.posts)
	l.imported = data
	return data, err
}
