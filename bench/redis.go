package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// startRedis starts a server that keeps nothing on disk. It ends with stop, and with this program however that ends: a shell
// waits for the end of its input, which the system closes, and then kills the server.
func startRedis(ctx context.Context) (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	cmd := exec.CommandContext(ctx, "sh", "-c", `"$@" >/dev/null & cat >/dev/null; kill $!`, "sh",
		"redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start redis-server: %w", err)
	}
	stop = func() {
		stdin.Close()
		_ = cmd.Wait()
	}
	addr = l.Addr().String()
	for range 100 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr, stop, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	return "", nil, fmt.Errorf("redis-server does not answer at %s: is it installed?", addr)
}

// redisBenchmark returns the GETs a second that redis-benchmark reaches with 16 in a pipeline, on a value of size bytes
// (without one it would read what does not exist).
func redisBenchmark(ctx context.Context, addr string, requests int) (float64, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, "redis-benchmark", "-h", host, "-p", port, "-P", "16", "-t", "get", "-n", strconv.Itoa(requests), "--csv").Output()
	if err != nil {
		return 0, fmt.Errorf("redis-benchmark: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	cells := strings.Split(lines[len(lines)-1], ",")
	if len(cells) < 2 {
		return 0, fmt.Errorf("redis-benchmark said %q", out)
	}
	return strconv.ParseFloat(strings.Trim(cells[1], `"`), 64)
}

// benchmarkKey is what `redis-benchmark -t get` reads.
const benchmarkKey = "key:__rand_int__"
