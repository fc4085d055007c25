package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/internal/scan"
)

// Options configures an [Engine]. Client, Source and Graph are needed; the zero value of every other field takes its default.
type Options struct {
	Client rueidis.ClientOption // of a server, a Sentinel or a cluster; the engine connects by itself
	Prefix string               // of all keys; no braces; default "f:"

	Mode   feed.Mode   // default Push
	Source feed.Source // where posts come from
	Graph  feed.Graph  // whom a reader follows and hides

	Length    int // posts that a timeline holds, 8 bytes each; default 800
	Readers   int // timelines and rings at most, over all nodes; the one that was built first goes first; default 1,000,000
	InFlight  int // entries that wait in a stripe's log; beyond it the stripe's timelines are dropped; default 10,000
	Ring      int // posts of an author that are kept for those who merge the author; default 64
	Threshold int // followers from which mode Hybrid does not push; default 10,000

	Costs feed.Costs       // by which mode Adaptive decides; default feed.RedisCosts()
	Now   func() time.Time // default time.Now
	Lost  func(error)      // hears why Redis was not used; default: nobody

	// Lease is how long the stripes of a node that has died stay without an owner; default 3 s.
	Lease time.Duration
	// Idle is how long a timeline is kept that nobody reads; default 24 h.
	Idle time.Duration
	// Disorder is how much lower than a post that came before it the id of a live one may be. Default 10 s in ids.
	Disorder freshet.ID
}

func (o Options) withDefaults() Options {
	def := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	def(&o.Length, 800)
	def(&o.Readers, 1_000_000)
	def(&o.InFlight, 10_000)
	def(&o.Ring, 64)
	def(&o.Threshold, 10_000)
	if o.Prefix == "" {
		o.Prefix = "f:"
	}
	if o.Mode == "" {
		o.Mode = feed.Push
	}
	if o.Costs == (feed.Costs{}) {
		o.Costs = feed.RedisCosts()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Lost == nil {
		o.Lost = func(error) {}
	}
	if o.Lease <= 0 {
		o.Lease = 3 * time.Second
	}
	if o.Idle <= 0 {
		o.Idle = 24 * time.Hour
	}
	if o.Disorder <= 0 {
		o.Disorder = freshet.NewID(10_000, 0, 0)
	}
	return o
}

const (
	// patience bounds what a page waits for Redis, and insistence what the acknowledgement of a post waits.
	patience   = 250 * time.Millisecond
	insistence = time.Second
	// restFor is how long Redis is not asked after it did not answer.
	restFor = time.Second
)

// Engine is a [feed.Engine] whose timelines live in Redis. [Engine.Run] is needed on at least one node.
type Engine struct {
	o      Options
	keys   keyspace
	client rueidis.Client
	node   string
	proof  proof
	epochs [stripes]atomic.Uint64 // by which a stripe was read last here

	reads *feed.Rates // by reader, of this node; in mode Adaptive

	reading, telling breaker
	kick             chan struct{}

	unsaid unsaid

	delivered, fromRedis, pulled, voided atomic.Int64
	timelines, rings, entries, waiting   atomic.Int64 // of the stripes that this node owns
}

var _ feed.Engine = (*Engine)(nil)

// Open connects to Redis.
func Open(o Options) (*Engine, error) {
	o = o.withDefaults()
	if !slices.Contains([]feed.Mode{feed.Push, feed.Pull, feed.Hybrid, feed.Adaptive}, o.Mode) {
		return nil, fmt.Errorf("feed/redis: no mode %q", o.Mode)
	}
	if err := o.Costs.Check(); err != nil {
		return nil, fmt.Errorf("feed/redis: %w", err)
	}
	id := make([]byte, 12)
	rand.Read(id) // never fails (crypto/rand)
	e := &Engine{o: o, keys: keyspace(o.Prefix), node: hex.EncodeToString(id), kick: make(chan struct{}, 1)}
	if o.Mode == feed.Adaptive {
		e.reads = feed.NewRates(o.Now(), feed.RatesOptions{})
	}
	e.proof.watch(&o.Client)
	var err error
	if e.client, err = rueidis.NewClient(o.Client); err != nil {
		return nil, fmt.Errorf("feed/redis: connect: %w", err)
	}
	return e, nil
}

// Close ends the connections.
func (e *Engine) Close() error {
	e.client.Close()
	return nil
}

// Page gives a page of a reader's home feed.
func (e *Engine) Page(ctx context.Context, q feed.Query) (feed.Page, error) {
	relations, err := e.o.Graph.Relations(ctx, q.Reader)
	if err != nil {
		return feed.Page{}, fmt.Errorf("read relations of %s: %w", q.Reader, err)
	}
	s := scan.New(q, relations)
	if e.reads != nil && s.FromTop {
		e.reads.Add(q.Reader, 1, e.o.Now())
	}
	if e.o.Mode == feed.Pull {
		err = e.pull(ctx, &s)
	} else {
		err = e.read(ctx, &s)
	}
	if err != nil {
		return feed.Page{}, fmt.Errorf("read feed of %s: %w", q.Reader, err)
	}
	return s.Page(), nil
}

// Publish puts a post where every read on every node looks. Where this node can't reach Redis its own reads ask the store, and
// those of other nodes see the post when the fan-out, or this node, gets through.
func (e *Engine) Publish(post freshet.PostRef) {
	if e.o.Mode == feed.Pull {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), insistence)
	defer cancel()
	if err := e.append(ctx, post); err != nil {
		e.unsaid.post(post)
		return
	}
	e.unsaid.said(post.ID)
}

// FanOut makes sure that a post is in the logs of all stripes, whose owners enter it into timelines.
func (e *Engine) FanOut(ctx context.Context, post freshet.PostRef, _ feed.Progress) error {
	if e.o.Mode == feed.Pull || e.unsaid.sent(post.ID) {
		return nil
	}
	ctx, cancel := within(ctx, insistence)
	defer cancel()
	if err := e.append(ctx, post); err != nil {
		return fmt.Errorf("fan out %s: %w", post.ID, err)
	}
	return nil
}

// append puts a post at the end of every stripe's log. A stripe without a log has no timelines that could lack it.
func (e *Engine) append(ctx context.Context, post freshet.PostRef) error {
	element := entry{published, uint64(post.ID), uint64(post.Author)}.String()
	commands := make(rueidis.Commands, stripes)
	for i := range commands {
		commands[i] = e.client.B().Rpushx().Key(e.keys.log(i)).Element(element).Build()
	}
	err := e.tells(ctx, func() error {
		for i, r := range e.client.DoMulti(ctx, commands...) {
			n, err := r.AsInt64()
			if err != nil {
				return err
			}
			if n > int64(e.o.InFlight) { // nobody has owned it for long
				if err := e.end(ctx, i); err != nil {
					return err
				}
			}
		}
		return nil
	})
	e.wake()
	return err
}

// end drops all timelines of a stripe: without a marker nothing of it is read, and its owner begins anew.
func (e *Engine) end(ctx context.Context, stripe int) error {
	e.voided.Add(1)
	return e.client.Do(ctx, e.client.B().Del().Key(e.keys.log(stripe)).Build()).Error()
}

// Remove does nothing here: what is shown is first asked for at the source (feed.Source.Refs).
func (e *Engine) Remove(...freshet.ID) {}

// Void drops readers' timelines, also those that are being built.
func (e *Engine) Void(readers ...freshet.ID) {
	if e.o.Mode == feed.Pull || len(readers) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), insistence)
	defer cancel()
	if err := e.void(ctx, readers); err != nil {
		e.unsaid.readers(readers)
	}
}

func (e *Engine) void(ctx context.Context, readers []freshet.ID) error {
	var commands rueidis.Commands
	for _, r := range readers {
		h := reader(r)
		commands = append(commands,
			e.client.B().Rpushx().Key(e.keys.log(stripeOf(h))).Element(entry{kind: dropped, a: uint64(h)}.String()).Build(),
			e.client.B().Del().Key(e.keys.build(h)).Build())
	}
	defer e.wake()
	return e.tells(ctx, func() error { return e.all(ctx, commands) })
}

// VoidAll drops every timeline.
func (e *Engine) VoidAll() {
	if e.o.Mode == feed.Pull {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), insistence)
	defer cancel()
	if err := e.voidAll(ctx); err != nil {
		e.unsaid.everything()
	}
}

func (e *Engine) voidAll(ctx context.Context) error {
	defer e.wake()
	return e.tells(ctx, func() error {
		for i := range stripes {
			if err := e.end(ctx, i); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *Engine) all(ctx context.Context, commands rueidis.Commands) error {
	for _, r := range e.client.DoMulti(ctx, commands...) {
		if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
	}
	return nil
}

// Stats tells what the engine holds: timelines, rings, entries and posts in flight are those of the stripes that this node owns.
func (e *Engine) Stats() feed.Stats {
	return feed.Stats{
		Timelines: int(e.timelines.Load()), Rings: int(e.rings.Load()), Entries: int(e.entries.Load()), InFlight: int(e.waiting.Load()),
		Delivered: e.delivered.Load(), FromMemory: e.fromRedis.Load(), Pulled: e.pulled.Load(), Voided: e.voided.Load(),
	}
}

func (e *Engine) wake() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// ErrResting is why Redis was not asked: it did not answer a moment ago.
var ErrResting = errors.New("redis did not answer a moment ago")

// breaker keeps a node from waiting again and again for a Redis that does not answer.
type breaker struct{ until atomic.Int64 } // Unix nanoseconds

// run runs what asks Redis, unless that did not answer lately.
func (b *breaker) run(ctx context.Context, lost func(error), do func() error) error {
	if time.Now().UnixNano() < b.until.Load() {
		return ErrResting
	}
	err := do()
	if err != nil && !rueidis.IsRedisNil(err) && !errors.Is(err, errSlow) && !errors.Is(err, errChanged) && !gaveUp(ctx) {
		b.until.Store(time.Now().Add(restFor).UnixNano())
		lost(err)
	}
	return err
}

// gaveUp reports whether whoever asks has ended it sooner than this package would: that says nothing of Redis.
func gaveUp(ctx context.Context) bool {
	given, _ := ctx.Value(givenKey{}).(context.Context)
	return given != nil && given.Err() != nil
}

type givenKey struct{}

// within bounds ctx, and remembers it.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(ctx, givenKey{}, ctx), d)
}

// asks runs what reads, and tells what others must hear of. A read that failed is pulled; who must be told is tried all the same.
func (e *Engine) asks(ctx context.Context, do func() error) error {
	return e.reading.run(ctx, e.o.Lost, do)
}

func (e *Engine) tells(ctx context.Context, do func() error) error {
	return e.telling.run(ctx, e.o.Lost, do)
}
