package cache

import (
	"context"
	"testing"
	"time"
)

// TestOneInEightIsSeenAtAnyDepth has reads come from all depths of the stack: which of them the engine sees must not depend on
// where the frames of a call lie. An entry laid into the place of another tells who has answered.
func TestOneInEightIsSeenAtAnyDepth(t *testing.T) {
	stack, err := NewStack(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	c := Define(stack, Space[int64, string]{
		Name: "depth", Policy: Policy{TTL: time.Hour},
		LoadMany: func(context.Context, []int64) (map[int64]string, error) { return map[int64]string{1: "engine"}, nil },
	})
	if _, err := c.Get(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	e, _ := c.memory.peek(key{n: 1})
	near := c.newEntry(1, "near", true, origin{ticket: e.ticket, asOf: c.clock.NowNano()})
	const reads = 400
	deep(0, func(depth int) {
		seen := 0
		for range reads {
			c.near.at(c.mixWord(1)).Store(near)
			v, err := c.Get(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if v == "engine" {
				seen++
			}
		}
		if seen < reads/16 || seen > reads/4 {
			t.Errorf("at depth %d the engine sees %d of %d reads", depth, seen, reads)
		}
	})
}

// deep calls do on some 16 KiB of stack, at steps of less than the 2 KiB that cells are told apart by.
//
//go:noinline
func deep(depth int, do func(depth int)) byte {
	var frame [200]byte
	frame[depth%len(frame)] = 1
	do(depth)
	if depth < 60 {
		frame[0] = deep(depth+1, do)
	}
	return frame[len(frame)-1]
}
