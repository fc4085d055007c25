package redis_test

import (
	"testing"
	"time"

	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
)

// A mark only rises, of each system by itself, and ends by its TTL.
func TestAMarkOnlyRises(t *testing.T) {
	r := open(t, redis.Options{URL: "redis://" + testenv.StartRedis(t).Addr})
	at := func(system uint64, timeline uint32, offset uint64) position.Position {
		return position.Position{System: system, Timeline: timeline, Offset: offset}
	}
	mark := func(ttl time.Duration, p ...position.Position) {
		t.Helper()
		if err := r.Mark(t.Context(), "k", p, ttl); err != nil {
			t.Fatal(err)
		}
	}
	marked := func() position.Token {
		t.Helper()
		m, err := r.Marked(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := marked(); len(m) != 0 {
		t.Fatalf("at first it is %v", m)
	}
	mark(time.Minute, at(1, 1, 300), at(1<<63, 2, 5))
	mark(time.Minute, at(1, 1, 299))
	mark(time.Minute, at(1<<63, 1, 900), at(7, 1, 1))
	if m := marked(); len(m) != 3 || m.At(1) != at(1, 1, 300) || m.At(1<<63) != at(1<<63, 2, 5) || m.At(7) != at(7, 1, 1) {
		t.Errorf("it is %v", m)
	}
	mark(time.Millisecond)
	for deadline := time.Now().Add(10 * time.Second); len(marked()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not end")
		}
	}
}
