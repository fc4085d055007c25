// Package cachetest is the conformance suite of the cache's remote layers: every sentence of [cache.Remote] and
// [cache.Channel] as a test.
//
//	func TestRemote(t *testing.T) {
//		server := testenv.StartRedis(t)
//		cachetest.Remote(t, func(t *testing.T) cache.Remote {
//			r, err := redis.Open(t.Context(), redis.Options{URL: "redis://" + server.Addr})
//			…
//			return r
//		}, cachetest.Options{})
//	}
//
// Invariants: the layer need not be empty, since every test draws keys of its own; each call of an opener is one more node
// on the same layer; what must happen is waited for, and a delay is asserted by its lower bound alone, so that a slow
// machine fails nothing. With -short it does less of the same.
//
// It is not a test of crashes and servers: what a restart does is each implementation's own.
package cachetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"testing"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// Options are what implementations differ in.
type Options struct {
	// Tick is how coarse TTLs are; default 10 ms (memcached counts in seconds).
	Tick time.Duration
	// MaxValue is the longest value; default 1 MB less 1 KiB of envelope.
	MaxValue int
}

func (o Options) withDefaults() Options {
	if o.Tick == 0 {
		o.Tick = 10 * time.Millisecond
	}
	if o.MaxValue == 0 {
		o.MaxValue = 1<<20 - 1<<10
	}
	return o
}

// Remote checks every promise of [cache.Remote]. Each call of open returns another node on one layer; open has it closed
// when t ends.
func Remote(t *testing.T, open func(t *testing.T) cache.Remote, o Options) {
	o = o.withDefaults()
	for _, c := range []struct {
		name string
		test func(*bench)
	}{
		{"AbsentLeasedFilled", absentLeasedFilled},
		{"LeaseIsHeldByOne", leaseIsHeldByOne},
		{"RenewByStamp", renewByStamp},
		{"RenewIsHeldByOne", renewIsHeldByOne},
		{"FillNeedsTheLease", fillNeedsTheLease},
		{"ReleaseMakesAbsent", releaseMakesAbsent},
		{"ReleaseKeepsTheOldValue", releaseKeepsTheOldValue},
		{"ReleaseOfAnotherIsPassedOver", releaseOfAnother},
		{"TakeoverByTheLeaseHeld", takeover},
		{"TakeoverOfARenewal", takeoverOfARenewal},
		{"FenceFromEveryState", fenceFromEveryState},
		{"FenceVoidsLeases", fenceVoidsLeases},
		{"FenceTellsItsPosition", fenceTellsItsPosition},
		{"LaterPositionStays", laterPositionStays},
		{"PositionsCompareAsNumbers", positionsCompareAsNumbers},
		{"FenceGrantsALease", fenceGrantsALease},
		{"FenceGrantsNoLeaseToTheEarlier", fenceGrantsNoLeaseToTheEarlier},
		{"TakeoverKeepsThePosition", takeoverKeepsThePosition},
		{"FenceTwiceIsHarmless", fenceTwice},
		{"ValuesEnd", valuesEnd},
		{"LeasesEnd", leasesEnd},
		{"TombstonesEnd", tombstonesEnd},
		{"RenewalKeepsTheValuesTTL", renewalKeepsTTL},
		{"BatchWithMixedOutcomes", batchMixed},
		{"BatchOfMany", batchOfMany},
		{"EmptyBatch", emptyBatch},
		{"KeysOfAnyBytes", keysOfAnyBytes},
		{"LongKeys", longKeys},
		{"ValuesOfAnyBytes", valuesOfAnyBytes},
		{"LargeValues", largeValues},
		{"NothingIsKept", nothingIsKept},
		{"ContextEnded", contextEnded},
		{"Beats", beats},
		{"NowIsSharedByNodes", nowIsShared},
		{"NodesShareRecords", nodesShare},
		{"OneOfManyIsGranted", oneOfMany},
		{"OneOfManyTakesOver", oneTakesOver},
		{"NoFillAfterAFence", noFillAfterAFence},
		{"StreamOfOperations", streamOfOperations},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(&bench{T: t, Options: o, open: open, r: open(t), prefix: newID().text() + "/"})
		})
	}
}

// bench is where one test works: a node, and keys that no other test has.
type bench struct {
	*testing.T
	Options
	open   func(t *testing.T) cache.Remote
	r      cache.Remote
	prefix string
}

// long is a TTL that does not end within a test.
const long = time.Minute

// within bounds every call, so that a broken layer fails and does not hang.
const within = 20 * time.Second

type id cache.ID

func newID() (i id) {
	rand.Read(i[:]) // never fails (crypto/rand)
	return i
}

func (i id) text() string { return hex.EncodeToString(i[:]) }

// newLease is 128 random bits.
func newLease() cache.ID { return cache.ID(newID()) }

// newValue is a value with a stamp of its own.
func newValue(text string) []byte { return append(stampBytes(), text...) }

func stampBytes() []byte { i := newID(); return i[:] }

// stampOf is what a value is renewed by.
func stampOf(value []byte) cache.Stamp { return cache.Stamp(value[:cache.StampSize]) }

func at(system uint64, timeline uint32, offset uint64) position.Position {
	return position.Position{System: system, Timeline: timeline, Offset: offset}
}

func (b *bench) key(name string) string { return b.prefix + name }

func (b *bench) ctx() context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), within)
	b.Cleanup(cancel)
	return ctx
}

func (b *bench) get(key string) cache.Record {
	b.Helper()
	out := make([]cache.Record, 1)
	if err := b.r.Get(b.ctx(), []string{key}, out); err != nil {
		b.Fatalf("get: %v", err)
	}
	return out[0]
}

func (b *bench) ask(ask cache.LeaseAsk) cache.LeaseAnswer {
	b.Helper()
	if ask.TTL == 0 {
		ask.TTL = long
	}
	out := make([]cache.LeaseAnswer, 1)
	if err := b.r.Lease(b.ctx(), []cache.LeaseAsk{ask}, out); err != nil {
		b.Fatalf("lease: %v", err)
	}
	return out[0]
}

// lease asks for key, and fails the test unless it is granted.
func (b *bench) lease(key string) (lease, holder cache.ID) {
	b.Helper()
	lease, holder = newLease(), newLease()
	if a := b.ask(cache.LeaseAsk{Key: key, Lease: lease, Holder: holder}); !a.Granted {
		b.Fatalf("lease of an absent key was refused: %+v", a)
	}
	return lease, holder
}

func (b *bench) fill(key string, lease cache.ID, value []byte) bool {
	b.Helper()
	return b.fillFor(key, lease, value, long)
}

func (b *bench) fillFor(key string, lease cache.ID, value []byte, ttl time.Duration) bool {
	b.Helper()
	out := make([]bool, 1)
	if err := b.r.Fill(b.ctx(), []cache.Fill{{Key: key, Lease: lease, Value: value, TTL: ttl}}, out); err != nil {
		b.Fatalf("fill: %v", err)
	}
	return out[0]
}

// filled leases and fills key.
func (b *bench) filled(key, text string) []byte {
	b.Helper()
	lease, _ := b.lease(key)
	value := newValue(text)
	if !b.fill(key, lease, value) {
		b.Fatal("fill under the lease held was refused")
	}
	return value
}

// renewing leases what key is filled with.
func (b *bench) renewing(key string, value []byte) (lease, holder cache.ID) {
	b.Helper()
	lease, holder = newLease(), newLease()
	if a := b.ask(cache.LeaseAsk{Key: key, Lease: lease, Holder: holder, Renew: stampOf(value)}); !a.Granted {
		b.Fatalf("renewal by the stamp held was refused: %+v", a)
	}
	return lease, holder
}

func (b *bench) release(key string, lease cache.ID) {
	b.Helper()
	if err := b.r.Release(b.ctx(), []cache.Held{{Key: key, Lease: lease}}); err != nil {
		b.Fatalf("release: %v", err)
	}
}

func (b *bench) fence(f cache.Fence) {
	b.Helper()
	if f.TTL == 0 {
		f.TTL = long
	}
	if err := b.r.Fence(b.ctx(), []cache.Fence{f}); err != nil {
		b.Fatalf("fence: %v", err)
	}
}

// want compares what a key holds.
func (b *bench) want(key string, want cache.Record) {
	b.Helper()
	same(b.T, b.get(key), want)
}

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

func same(t failer, got, want cache.Record) {
	t.Helper()
	if got.State != want.State || string(got.Value) != string(want.Value) || got.Lease != want.Lease || got.Holder != want.Holder {
		t.Errorf("record is %s, want %s", show(got), show(want))
	}
}
