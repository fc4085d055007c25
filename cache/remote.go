package cache

import (
	"context"
	"time"

	"github.com/freshet/freshet/position"
)

// Remote is a layer that the processes of a deployment share: Redis, memcached, or the memory of this process. Package
// cachetest holds the suite that every implementation passes.
//
// It keeps a record under each key, which is in one of these states and goes from one to another atomically:
//
//	         Lease             Fill (lease)
//	Absent ────────▶ Leased ───────────────▶ Filled ──┐ Lease (Renew = its stamp)
//	  ▲  ▲             │ Release               ▲      ▼
//	  │  └─────────────┘                       └── Renewing: the value may still be read
//	  └───────── Fence, from every state ─────────────┘      (Fill, or Release: the old value stays)
//
// A fence also leaves a tombstone: it voids the lease that was held, bears the position of the change, which the next
// lease is told, and is what the [Channel] carries to other nodes. Records end by their TTL; one that ends, or is evicted,
// is Absent, so a lease may vanish at any time, and what it was for is then refused.
//
// Methods take whole batches and make one round trip for one (on a cluster one per server, at the same time; memcached, which
// has no scripts, makes two for a change). They are safe for concurrent use, keep neither the slices nor the bytes that they
// are given, and return within ctx. An error means that nothing is known of any key of the batch: each may have been done or
// not. A TTL that is not positive is taken for the shortest.
//
// A layer without a [Channel] tells nobody of an evicted tombstone: what is filled there must have been read from the primary.
type Remote interface {
	// Get reads records into out, which is as long as keys, by the server's plain reading command.
	Get(ctx context.Context, keys []string, out []Record) error
	// Lease asks for the right to fill keys.
	Lease(ctx context.Context, asks []LeaseAsk, out []LeaseAnswer) error
	// Fill stores values under leases that are still held; out[i] tells whether fills[i] was.
	Fill(ctx context.Context, fills []Fill, out []bool) error
	// Release gives back leases that nothing was filled under. One that is not held any more is passed over.
	Release(ctx context.Context, held []Held) error
	// Fence ends what is stored under keys and voids their leases. After it has returned no read of the remote layer
	// finds what was there, and nothing can be filled that was leased before.
	Fence(ctx context.Context, fences []Fence) error

	// Beat says that a holder lives, for as long as ttl.
	Beat(ctx context.Context, holder ID, ttl time.Duration) error
	// Beating tells whether a holder's last Beat is in force.
	Beating(ctx context.Context, holder ID) (bool, error)
	// Now is the clock of the remote layer, as well as it is known here; nodes whose own clocks differ stamp values by it.
	Now() time.Time

	// Close ends what the layer runs, and the client if it made it.
	Close() error
}

// ID names a lease or a holder: 128 random bits, compared for equality alone. The zero ID names none.
type ID [16]byte

// State is what a record is.
type State uint8

const (
	Absent   State = iota // nothing, or a tombstone
	Leased                // somebody loads the value
	Filled                // a value
	Renewing              // a value, and somebody loads a newer one
)

// Record is what a key holds.
type Record struct {
	State  State
	Value  []byte // Filled, Renewing; belongs to the reader
	Lease  ID     // Leased, Renewing
	Holder ID     // who holds the lease
}

// StampSize is the length of a value's stamp: its first bytes, by which one value is told from another. No value is shorter.
const StampSize = 16

// Stamp names a value.
type Stamp [StampSize]byte

// LeaseAsk asks for a lease. It is granted where the key is Absent, where Renew is the stamp of the value it holds and nobody
// renews that, and where Over is the lease it bears (whose holder is dead). A renewal ends with the value's TTL if not before.
type LeaseAsk struct {
	Key    string
	Lease  ID // the new one
	Holder ID
	Renew  Stamp // zero: no value is to be renewed
	Over   ID    // zero: no lease is to be taken over
	TTL    time.Duration
}

// LeaseAnswer is what became of an ask.
type LeaseAnswer struct {
	Granted bool
	Record  Record            // what the key holds now
	Fence   position.Position // of the newest tombstone: what is loaded must have been read there or later
}

// Fill stores a value.
type Fill struct {
	Key   string
	Lease ID
	Value []byte
	TTL   time.Duration
}

// Held is a lease that somebody holds.
type Held struct {
	Key   string
	Lease ID
}

// Fence ends what a key holds.
type Fence struct {
	Key string
	// At is where the source changed; zero where that is not known, which leaves the position that is. Of two fences of
	// one system the later position stays, whatever the order in which they come; the earlier still ends what is there.
	At position.Position
	// Lease, if not zero, is granted in the same step to whoever writes the new value through the cache, unless the
	// key bears a tombstone of a later position: then a later writer is about to fill.
	Lease  ID
	Holder ID
	// TTL is how long the tombstone, and the lease, are kept.
	TTL time.Duration
}

// Channel is what a remote layer may be able to do besides: tell every node of each fence. Safe for concurrent use.
type Channel interface {
	// Listen tells l what happens until ctx ends, over lost connections too, and then returns its error. It is called
	// once per node and calls l from one goroutine at a time.
	Listen(ctx context.Context, l Listener) error
	// Confirm returns nil when each node that listens has been told of all fences and tag epochs that were written
	// before, or cannot trust its memory any more (see Listener.Alive).
	Confirm(ctx context.Context) error
	// Advance publishes how far the source's changes have been fenced: all nodes learn it with their next Alive, which the
	// channel hastens so that who waits for it hears within a few milliseconds.
	Advance(ctx context.Context, applied position.Token) error
	// FenceTags gives tags a new epoch, higher than all that a listening node was ever told, and tells every node.
	FenceTags(ctx context.Context, tags []string) (epoch uint64, err error)
}

// Marks is what a remote layer may be able to do besides: keep how far somebody has seen, as a token that only rises. Safe for
// concurrent use. A mark that ends by its TTL, is evicted or lost with its server is the empty token.
type Marks interface {
	// Mark merges a token into the mark of key, and has it kept for ttl from now. It is one round trip.
	Mark(ctx context.Context, key string, t position.Token, ttl time.Duration) error
	// Marked gives the mark of key. It is one round trip.
	Marked(ctx context.Context, key string) (position.Token, error)
}

// Listener is a node that is told what happens in the remote layer. Its methods return at once.
type Listener interface {
	// Forget is told of tombstones. It may be told more often than there were fences, when a tombstone ends for
	// instance, and of keys it never held.
	Forget(keys ...string)
	// TagFenced is told of a tag's new epoch; Unknown means that there is one, which will follow.
	TagFenced(tag string, epoch uint64)
	// Alive says that the channel has delivered everything that was written before sent, on this node's monotonic
	// clock, when the probe that has now come back was sent.
	Alive(sent time.Time, beat Beat)
	// Lost says that fences may have been missed: nothing in memory may be trusted that was there before, and nothing
	// at all until the next Alive. It is called when Listen begins, whenever continuity ends, and before an Alive of
	// another generation. Between it and the next Alive the node is told the epochs of all tags above the horizon again.
	Lost()
}

// Unknown is an epoch higher than every other.
const Unknown = 1<<64 - 1

// Beat is what a probe of the channel brings back.
type Beat struct {
	Applied    position.Token // the source's changes up to here have been fenced and told
	Epoch      uint64         // the highest tag epoch that was drawn, in this generation or before: each up to it has been told …
	Horizon    uint64         // … but for those up to here, which are no longer known by tag
	Generation string         // names the history of the remote layer: another one means that fences may be missing in it
}
