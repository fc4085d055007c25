package replica

import (
	"context"
	"time"

	"github.com/freshet/freshet/position"
)

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
	ctx, cancel := context.WithTimeout(ctx, s.opts.ProbeTimeout)
	defer cancel()
	asked := time.Now()
	at, writable, err := n.Where(ctx)
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
	n.reach(at)
	if n.writable.Swap(writable) != writable || writable {
		s.elect()
	}
	if p := s.primary.Load(); p == nil || p == n || !p.writable.Load() || at.Reached(*p.at.Load()) {
		n.level.Store(asked.UnixNano())
	}
	if n.ejected.Load() {
		n.live()
		n.ejected.Store(false)
		s.opts.Log.Info("a database node answers again", "node", n.number, "at", at.Offset)
	}
	return nil
}

// reach notes how far a node is. It goes back only where a replica was made anew, from an older copy.
func (n *node) reach(at position.Position) { n.at.Store(&at) }

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
		if best == nil || n != best && (!best.writable.Load() || n.at.Load().Timeline > best.at.Load().Timeline) {
			// One that takes writes on a lower timeline than the last primary's was replaced, and does not know it yet.
			if old == nil || old.at.Load() == nil || n.at.Load().Timeline >= old.at.Load().Timeline {
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
		s.opts.Log.Warn("another node is the primary", "node", best.number, "timeline", best.at.Load().Timeline)
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
