package cachetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/freshet/freshet/cache"
)

func batchMixed(b *bench) {
	absent, leased, filled, renewing := b.key("absent"), b.key("leased"), b.key("filled"), b.key("renewing")
	held, holder := b.lease(leased)
	value, old := b.filled(filled, "value"), b.filled(renewing, "old")
	renewal, by := b.renewing(renewing, old)

	keys := []string{filled, absent, renewing, leased, filled}
	out := make([]cache.Record, len(keys))
	for i := range out {
		out[i] = cache.Record{State: cache.Filled, Value: []byte("of the last call"), Lease: newLease(), Holder: newLease()}
	}
	if err := b.r.Get(b.ctx(), keys, out); err != nil {
		b.Fatal(err)
	}
	for i, want := range []cache.Record{
		{State: cache.Filled, Value: value},
		{State: cache.Absent},
		{State: cache.Renewing, Value: old, Lease: renewal, Holder: by},
		{State: cache.Leased, Lease: held, Holder: holder},
		{State: cache.Filled, Value: value},
	} {
		same(b.T, out[i], want)
	}

	asks := make([]cache.LeaseAsk, len(keys))
	for i, k := range keys {
		asks[i] = cache.LeaseAsk{Key: k, Lease: newLease(), Holder: newLease(), TTL: long}
	}
	asks[4].Renew = stampOf(value)
	answers := make([]cache.LeaseAnswer, len(asks))
	answers[0].Granted = true
	if err := b.r.Lease(b.ctx(), asks, answers); err != nil {
		b.Fatal(err)
	}
	for i, want := range []bool{false, true, false, false, true} {
		if answers[i].Granted != want {
			b.Errorf("ask %d was answered with %v, want %v", i, answers[i].Granted, want)
		}
	}
	same(b.T, answers[2].Record, cache.Record{State: cache.Renewing, Value: old, Lease: renewal, Holder: by})

	fills := []cache.Fill{
		{Key: leased, Lease: newLease(), Value: newValue("no"), TTL: long},
		{Key: absent, Lease: asks[1].Lease, Value: newValue("yes"), TTL: long},
		{Key: renewing, Lease: renewal, Value: newValue("yes"), TTL: long},
		{Key: filled, Lease: held, Value: newValue("no"), TTL: long},
	}
	done := []bool{true, false, false, true}
	if err := b.r.Fill(b.ctx(), fills, done); err != nil {
		b.Fatal(err)
	}
	if want := []bool{false, true, true, false}; fmt.Sprint(done) != fmt.Sprint(want) {
		b.Errorf("fills were answered with %v, want %v", done, want)
	}
	if err := b.r.Release(b.ctx(), []cache.Held{{Key: leased, Lease: held}, {Key: filled, Lease: held}, {Key: filled, Lease: asks[4].Lease}}); err != nil {
		b.Fatal(err)
	}
	b.want(leased, cache.Record{State: cache.Absent})
	b.want(filled, cache.Record{State: cache.Filled, Value: value})
	b.want(absent, cache.Record{State: cache.Filled, Value: fills[1].Value})
	b.want(renewing, cache.Record{State: cache.Filled, Value: fills[2].Value})
}

func batchOfMany(b *bench) {
	const n = 500
	keys, asks, fills := make([]string, n), make([]cache.LeaseAsk, n), make([]cache.Fill, n)
	for i := range n {
		keys[i] = b.key(fmt.Sprint(i))
		asks[i] = cache.LeaseAsk{Key: keys[i], Lease: newLease(), Holder: newLease(), TTL: long}
		fills[i] = cache.Fill{Key: keys[i], Lease: asks[i].Lease, Value: newValue(keys[i]), TTL: long}
	}
	answers, done, out := make([]cache.LeaseAnswer, n), make([]bool, n), make([]cache.Record, n)
	if err := b.r.Lease(b.ctx(), asks, answers); err != nil {
		b.Fatal(err)
	}
	if err := b.r.Fill(b.ctx(), fills, done); err != nil {
		b.Fatal(err)
	}
	if err := b.r.Get(b.ctx(), keys, out); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		if !answers[i].Granted || !done[i] || out[i].State != cache.Filled || !bytes.Equal(out[i].Value, fills[i].Value) {
			b.Fatalf("key %d: granted %v, filled %v, holds %s", i, answers[i].Granted, done[i], show(out[i]))
		}
	}
	fences := make([]cache.Fence, n)
	for i := range n {
		fences[i] = cache.Fence{Key: keys[i], At: at(1, 1, uint64(i)), TTL: long}
	}
	if err := b.r.Fence(b.ctx(), fences); err != nil {
		b.Fatal(err)
	}
	if err := b.r.Lease(b.ctx(), asks, answers); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		if !answers[i].Granted || answers[i].Fence.Offset != uint64(i) {
			b.Fatalf("after its fence key %d was leased with %+v", i, answers[i])
		}
	}
}

func emptyBatch(b *bench) {
	ctx := b.ctx()
	for name, err := range map[string]error{
		"get":     b.r.Get(ctx, nil, nil),
		"lease":   b.r.Lease(ctx, nil, nil),
		"fill":    b.r.Fill(ctx, nil, nil),
		"release": b.r.Release(ctx, nil),
		"fence":   b.r.Fence(ctx, nil),
	} {
		if err != nil {
			b.Errorf("%s of nothing: %v", name, err)
		}
	}
}

// roundTrip goes through all states with a key, next to one that differs from it in its last byte.
func (b *bench) roundTrip(key string) {
	b.Helper()
	beside := key + "x"
	value, other := b.filled(key, "value"), b.filled(beside, "other")
	lease, holder := b.renewing(key, value)
	b.want(key, cache.Record{State: cache.Renewing, Value: value, Lease: lease, Holder: holder})
	b.fence(cache.Fence{Key: key, At: at(1, 1, 1)})
	b.want(key, cache.Record{State: cache.Absent})
	b.want(beside, cache.Record{State: cache.Filled, Value: other})
	if got := b.fenceAt(key); got != at(1, 1, 1) {
		b.Errorf("key %q: its fence is at %v", key, got)
	}
}

func keysOfAnyBytes(b *bench) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, k := range []string{
		"", " ", "a b", "\r\n", "\x00", "\xff\xfe", "{", "}", "{}", "{a}", "}{", "a{b}c{d}", "{{}}", "é", "*", "?[a]", ":", "::", string(every),
	} {
		b.roundTrip(b.prefix + k)
		b.roundTrip(k + b.prefix + "after")
	}
}

func longKeys(b *bench) {
	for _, n := range []int{200, 250, 251, 1024} {
		b.roundTrip(b.prefix + strings.Repeat("k", n-len(b.prefix)))
		b.roundTrip(strings.Repeat("\x00", n-len(b.prefix)) + b.prefix)
	}
}

func valuesOfAnyBytes(b *bench) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for i, text := range []string{"", "\r\n", "\x00", "v", "l", "s", string(every)} {
		for j, stamp := range [][]byte{stampBytes(), bytes.Repeat([]byte{0xff}, 16), []byte("END\r\nVALUE x 0 1")} {
			k := b.key(fmt.Sprint(i, j))
			lease, _ := b.lease(k)
			value := append(bytes.Clone(stamp), text...)
			if !b.fill(k, lease, value) {
				b.Fatal("fill was refused")
			}
			b.want(k, cache.Record{State: cache.Filled, Value: value})
			renewal, holder := b.renewing(k, value)
			b.want(k, cache.Record{State: cache.Renewing, Value: value, Lease: renewal, Holder: holder})
			b.release(k, renewal)
			b.want(k, cache.Record{State: cache.Filled, Value: value})
		}
	}
}

func largeValues(b *bench) {
	for _, n := range []int{1 << 10, 64 << 10, b.MaxValue} {
		k := b.key(fmt.Sprint(n))
		value := make([]byte, n)
		rand.Read(value)
		lease, _ := b.lease(k)
		if !b.fill(k, lease, value) {
			b.Fatalf("a value of %d bytes was refused", n)
		}
		b.want(k, cache.Record{State: cache.Filled, Value: value})
		renewal, holder := b.renewing(k, value)
		b.want(k, cache.Record{State: cache.Renewing, Value: value, Lease: renewal, Holder: holder})
		b.fence(cache.Fence{Key: k})
		b.want(k, cache.Record{State: cache.Absent})
	}
}

// nothingIsKept: slices and bytes are the caller's again when a call has returned, and a record is the reader's alone.
func nothingIsKept(b *bench) {
	k := b.key("k")
	lease, _ := b.lease(k)
	value := newValue("value")
	kept := bytes.Clone(value)
	b.fill(k, lease, value)
	clear(value)
	first := b.get(k)
	same(b.T, first, cache.Record{State: cache.Filled, Value: kept})
	clear(first.Value)
	_ = append(first.Value[:0], "scribble"...)
	b.want(k, cache.Record{State: cache.Filled, Value: kept})
}

func contextEnded(b *bench) {
	k := b.key("k")
	cancelled, cancel := context.WithCancel(b.Context())
	cancel()
	late, cancel := context.WithDeadline(b.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for name, ctx := range map[string]context.Context{"cancelled": cancelled, "late": late} {
		began := time.Now()
		_, beating := b.r.Beating(ctx, newLease())
		for call, err := range map[string]error{
			"get":     b.r.Get(ctx, []string{k}, make([]cache.Record, 1)),
			"lease":   b.r.Lease(ctx, []cache.LeaseAsk{{Key: k, Lease: newLease(), TTL: long}}, make([]cache.LeaseAnswer, 1)),
			"fill":    b.r.Fill(ctx, []cache.Fill{{Key: k, Lease: newLease(), Value: newValue("x"), TTL: long}}, make([]bool, 1)),
			"release": b.r.Release(ctx, []cache.Held{{Key: k, Lease: newLease()}}),
			"fence":   b.r.Fence(ctx, []cache.Fence{{Key: k, TTL: long}}),
			"beat":    b.r.Beat(ctx, newLease(), long),
			"beating": beating,
		} {
			if err == nil {
				b.Errorf("%s under a %s context returned no error", call, name)
			}
		}
		if took := time.Since(began); took > within {
			b.Errorf("calls under a %s context took %v", name, took)
		}
	}
	b.filled(b.key("after"), "value") // and the node goes on
}
