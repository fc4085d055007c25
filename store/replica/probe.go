package replica

import (
	"context"
	"errors"
	"time"
)

// kickPause is the least time between two probes of a node, whoever asks for them.
const kickPause = time.Millisecond

var errStranger = errors.New("it holds another database, not a replica of this one: check store.shards")

// watch probes a node until ctx ends.
func (s *Store) watch(ctx context.Context, n *node) {
	tick := time.NewTicker(s.opts.Probe)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-n.kick:
		case <-ctx.Done():
			return
		}
		_ = s.probe(ctx, n) // what follows from an error has been done
		select {
		case <-time.After(kickPause):
		case <-ctx.Done():
			return
		}
	}
}

// probeNow asks a node soon.
func (n *node) probeNow() {
	select {
	case n.kick <- struct{}{}:
	default: // it will be
	}
}

// probe asks a node where it is, and ejects it or takes it back.
func (s *Store) probe(ctx context.Context, n *node) error {
	asking, cancel := context.WithTimeout(ctx, s.opts.ProbeTimeout)
	defer cancel()
	asked := time.Now()
	at, writable, err := n.Where(asking)
	if ctx.Err() != nil {
		return ctx.Err() // that says nothing about the node
	}
	if err == nil && s.system != 0 && at.System != s.system {
		err = errStranger
	}
	if err != nil {
		if !n.ejected.Swap(true) {
			n.life.Load().end()
			s.opts.Log.Warn("a database node does not answer", "node", n.number, "error", err)
		}
		if n.writable.Swap(false) {
			s.elect()
		}
		return err
	}
	n.answered.Store(true)
	if n.writable.Swap(writable) != writable || writable {
		s.elect()
	}
	if p := s.primary.Load(); p == nil || p == n || !p.writable.Load() || at.Reached(p.Known()) {
		n.level.Store(asked.UnixNano())
	}
	if n.ejected.Load() {
		n.live()
		n.ejected.Store(false)
		s.opts.Log.Info("a database node answers again", "node", n.number, "at", at.Offset)
	}
	return nil
}

// elect makes that node the primary which takes writes, on the highest timeline. Where none does, the last stays.
func (s *Store) elect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.primary.Load()
	best := old
	for _, n := range s.nodes {
		if !n.writable.Load() {
			continue
		}
		if best == nil || n != best && (!best.writable.Load() || n.Known().Timeline > best.Known().Timeline) {
			// One that takes writes on a lower timeline than the last primary's was replaced, and does not know it yet.
			if old == nil || n.Known().Timeline >= old.Known().Timeline {
				best = n
			}
		}
	}
	if best == old {
		return
	}
	s.primary.Store(best)
	if old != nil {
		s.failovers.Add(1)
		s.opts.Log.Warn("another node is the primary", "node", best.number, "timeline", best.Known().Timeline)
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// election gives the primary, and what is closed when another is.
func (s *Store) election() (changed <-chan struct{}, primary *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed, s.primary.Load()
}
