package redis

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// proof keeps a node from reading what a failover has lost. Redis replicates after it has answered, so a replica that takes the
// master's place, or a server that loads its last snapshot, may lack a post that was acknowledged, and says nothing about it. But
// nobody speaks with another process over a connection that was made before. So connections are counted: what was read is
// trusted if no connection was made since it was proven, at each stripe, that the server's process is the one that its marker
// names; and where it is another, the stripe begins anew. A client of a cluster has connections to replicas, too, which take a
// master's place with them; so it is proven again after proofFor at the latest, in all modes.
//
// Where clients stay with a master that the others have replaced (a partition, no min-replicas-to-write), nothing here ends that.
type proof struct {
	dials  atomic.Int64 // connections made, or being made
	proven atomic.Int64 // of them, when all stripes were looked at last
	at     atomic.Int64 // and when that was, Unix nanoseconds
	mu     sync.Mutex   // of who looks
}

// watch has every connection that the client makes counted, before anything can be sent by it.
func (p *proof) watch(o *rueidis.ClientOption) {
	given, old := o.DialCtxFn, o.DialFn
	o.DialFn = nil
	o.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, c *tls.Config) (net.Conn, error) {
		p.dials.Add(1)
		switch {
		case given != nil:
			return given(ctx, addr, d, c)
		case old != nil:
			return old(addr, d, c)
		case c != nil:
			return (&tls.Dialer{NetDialer: d, Config: c}).DialContext(ctx, "tcp", addr)
		}
		return d.DialContext(ctx, "tcp", addr)
	}
}

// proofFor is how long a proof holds while no connection is made.
const proofFor = time.Second

func (p *proof) holds(dials int64) bool {
	return dials == p.proven.Load() && time.Since(time.Unix(0, p.at.Load())) < proofFor
}

// trusted gives the number of connections for which everything is proven, having proven it if it was not.
func (e *Engine) trusted(ctx context.Context) (dials int64, err error) {
	p := &e.proof
	if dials = p.dials.Load(); p.holds(dials) {
		return dials, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if dials = p.dials.Load(); p.holds(dials) {
			return dials, nil
		}
		asked := time.Now()
		for stripe := range stripes {
			if _, err := e.done(ctx, proveScript, []string{e.keys.log(stripe)}); err != nil {
				return 0, err
			}
		}
		p.proven.Store(dials)
		p.at.Store(asked.UnixNano())
	}
}
