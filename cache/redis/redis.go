package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet/cache"
)

// Remote is a Redis as a remote layer and a channel. Its methods are safe for concurrent use.
type Remote struct {
	o       Options
	keys    keyspace
	client  rueidis.Client
	own     *rueidis.ClientOption // of client; nil where it is the caller's
	cluster bool

	offset  atomic.Int64 // what to add to the local clock, in nanoseconds
	closing chan struct{}
	closed  sync.Once
}

var (
	_ cache.Remote  = (*Remote)(nil)
	_ cache.Channel = (*Remote)(nil)
	_ cache.Marks   = (*Remote)(nil)
)

// Get reads records with MGET where all keys are on one server, else with pipelined GETs.
func (r *Remote) Get(ctx context.Context, keys []string, out []cache.Record) error {
	switch {
	case len(keys) == 0:
		return nil
	case len(keys) > 1 && !r.cluster:
		return failed("get", r.mget(ctx, keys, out))
	case len(keys) == 1:
		return failed("get", readRecord(r.client.Do(ctx, r.client.B().Get().Key(r.keys.record(keys[0])).Build()), &out[0]))
	}
	commands := make(rueidis.Commands, len(keys))
	for i, k := range keys {
		commands[i] = r.client.B().Get().Key(r.keys.record(k)).Build()
	}
	for i, result := range r.client.DoMulti(ctx, commands...) {
		if err := readRecord(result, &out[i]); err != nil {
			return failed("get", err)
		}
	}
	return nil
}

func (r *Remote) mget(ctx context.Context, keys []string, out []cache.Record) error {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = r.keys.record(k)
	}
	answers, err := r.client.Do(ctx, r.client.B().Mget().Key(names...).Build()).ToArray()
	if err != nil {
		return err
	}
	if len(answers) != len(keys) {
		return errAnswer
	}
	for i := range answers {
		if err := takeRecord(&answers[i], &out[i]); err != nil {
			return err
		}
	}
	return nil
}

func readRecord(result rueidis.RedisResult, out *cache.Record) error {
	m, err := result.ToMessage()
	if err != nil && !rueidis.IsRedisNil(err) {
		return err
	}
	return takeRecord(&m, out)
}

func takeRecord(m *rueidis.RedisMessage, out *cache.Record) error {
	if m.IsNil() {
		*out = cache.Record{}
		return nil
	}
	raw, err := m.AsBytes()
	if err != nil {
		return err
	}
	parseRecord(raw, out)
	return nil
}

// Lease asks for the right to fill keys.
func (r *Remote) Lease(ctx context.Context, asks []cache.LeaseAsk, out []cache.LeaseAnswer) error {
	if len(asks) == 0 {
		return nil
	}
	calls := make([]call, len(asks))
	for i, a := range asks {
		renew, over := "", ""
		if a.Renew != (cache.Stamp{}) {
			renew = string(a.Renew[:])
		}
		if a.Over != (cache.ID{}) {
			over = string(a.Over[:])
		}
		calls[i] = call{
			keys: []string{r.keys.record(a.Key), r.keys.tombstone(a.Key)},
			args: []string{string(a.Lease[:]), string(a.Holder[:]), renew, over, millis(a.TTL)},
		}
	}
	return failed("lease", r.run(ctx, leaseScript, calls, func(i int, m rueidis.RedisMessage) error {
		f, err := fields(m, 3)
		if err != nil {
			return err
		}
		granted, err := f[0].AsInt64()
		if err != nil {
			return err
		}
		at, err := f[2].ToString()
		if err != nil {
			return err
		}
		out[i].Granted, out[i].Fence = granted == 1, parsePosition(at)
		return takeRecord(&f[1], &out[i].Record)
	}))
}

// Fill stores values under leases that are still held. The bytes are copied: a call that gives up leaves its command in
// the pipeline, which may be written later.
func (r *Remote) Fill(ctx context.Context, fills []cache.Fill, out []bool) error {
	if len(fills) == 0 {
		return nil
	}
	calls := make([]call, len(fills))
	for i, f := range fills {
		calls[i] = call{
			keys: []string{r.keys.record(f.Key)},
			args: []string{string(f.Lease[:]), string(f.Value), millis(f.TTL)},
		}
	}
	return failed("fill", r.run(ctx, fillScript, calls, func(i int, m rueidis.RedisMessage) error {
		held, err := m.AsInt64()
		out[i] = held == 1
		return err
	}))
}

// Release gives back leases that nothing was filled under.
func (r *Remote) Release(ctx context.Context, held []cache.Held) error {
	if len(held) == 0 {
		return nil
	}
	calls := make([]call, len(held))
	for i, h := range held {
		calls[i] = call{keys: []string{r.keys.record(h.Key)}, args: []string{string(h.Lease[:])}}
	}
	return failed("release", r.run(ctx, releaseScript, calls, nothing))
}

// Fence ends what is stored under keys, and leaves tombstones.
func (r *Remote) Fence(ctx context.Context, fences []cache.Fence) error {
	if len(fences) == 0 {
		return nil
	}
	calls := make([]call, len(fences))
	for i, f := range fences {
		lease := ""
		if f.Lease != (cache.ID{}) {
			lease = string(f.Lease[:])
		}
		id := newID()
		calls[i] = call{
			keys: []string{r.keys.record(f.Key), r.keys.tombstone(f.Key)},
			args: []string{string(id[:]), formatPosition(f.At), lease, string(f.Holder[:]), millis(f.TTL)},
		}
	}
	return failed("fence", r.run(ctx, fenceScript, calls, nothing))
}

// Beat says that a holder lives.
func (r *Remote) Beat(ctx context.Context, holder cache.ID, ttl time.Duration) error {
	return failed("beat", r.client.Do(ctx, r.client.B().Set().Key(r.keys.holder(holder)).Value("1").PxMilliseconds(wholeMillis(ttl)).Build()).Error())
}

// Beating tells whether a holder's last beat is in force.
func (r *Remote) Beating(ctx context.Context, holder cache.ID) (bool, error) {
	n, err := r.client.Do(ctx, r.client.B().Exists().Key(r.keys.holder(holder)).Build()).AsInt64()
	return n == 1, failed("beating", err)
}

// Client is the client of this layer, for what else is kept on the same servers. It is the layer's to close.
func (r *Remote) Client() rueidis.Client { return r.client }

// Close ends Listen and the client, unless that is the caller's.
func (r *Remote) Close() error {
	r.closed.Do(func() {
		close(r.closing)
		if r.own != nil {
			r.client.Close()
		}
	})
	return nil
}

// wholeMillis is ttl as Redis counts it: one that is over at once does not exist there.
func wholeMillis(ttl time.Duration) int64 { return max(ttl.Milliseconds(), 1) }

func millis(ttl time.Duration) string { return strconv.FormatInt(wholeMillis(ttl), 10) }

func newID() (id [idLen]byte) {
	rand.Read(id[:]) // never fails (crypto/rand)
	return id
}

// newHistory is an id without spaces.
func newHistory() string {
	id := newID()
	return hex.EncodeToString(id[:])
}
