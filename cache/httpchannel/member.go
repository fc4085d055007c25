package httpchannel

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// peer is another node that may write fences, or may have written some that this node has not been told.
type peer struct {
	id   cache.ID
	url  string
	met  time.Time // when it was seen first, or came again
	term uint32    // see member
	// gone is when the board was first read without it, or with it condemned: when Trust has passed since, it has read the
	// board itself, or its right to write fences has lapsed. Zero: it is active.
	gone  time.Time
	heard time.Time // when it answered last
	left  bool      // it has said that it will write nothing any more
}

// membership is what a node knows of the board. It writes fences while it holds a permit, which is a lease of Trust on having
// read the board and found itself there.
type membership struct {
	self  cache.ID
	trust time.Duration

	mu      sync.Mutex
	last    look
	applied position.Token // up to where anybody told that changes are fenced
	peers   map[cache.ID]peer
	changed chan struct{} // closed, and replaced, when any of this changes

	until      time.Time // of the permit
	term       uint32    // how often this node has come on the board
	presented  uint32    // the term in which it began to be introduced
	introduced bool      // every other node knows this one since, or can't trust its memory
	generation cache.ID  // of the fences that may be written: the listener goes by it
	listening  bool
	closed     bool
	youngSince time.Time // when the board was first seen young
	sameSince  time.Time // when it was first seen as it is
	highest    uint64    // epoch that is known here
}

func newMembership(self cache.ID, trust time.Duration) *membership {
	return &membership{self: self, trust: trust, peers: make(map[cache.ID]peer), changed: make(chan struct{})}
}

// wake tells who waits that something has changed. The caller holds mu.
func (m *membership) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// saw takes what was read of the board, which may be older than what is known.
func (m *membership) saw(l look) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.board == nil || l.sent.Before(m.last.sent) {
		return
	}
	l.recv, l.applied = time.Now(), m.applied
	if m.last.board == nil || l.generation != m.last.generation {
		m.youngSince = l.recv
	}
	if l.stamp != m.last.stamp {
		m.sameSince = l.recv
	}
	m.last = l
	m.highest = max(m.highest, l.epoch)
	for _, on := range l.members {
		if on.id != m.self {
			m.peers[on.id] = m.peers[on.id].as(on, l)
		}
	}
	for id, p := range m.peers {
		if l.find(id) != nil {
			continue
		}
		if p.gone.IsZero() && l.sent.After(p.met) {
			p.gone = l.recv
			m.peers[id] = p
		}
		if !m.listening && !p.gone.IsZero() && l.recv.Sub(p.gone) > m.trust {
			delete(m.peers, id) // nobody is here who would have to be told what it wrote
		}
	}
	if !m.listening {
		m.generation = l.generation
	}
	m.renew()
	m.wake()
}

// as is p after a look at the board with it on.
func (p peer) as(on member, l look) peer {
	if p.id != on.id || p.term != on.term {
		p = peer{id: on.id, url: on.url, term: on.term, met: l.recv, heard: p.heard, left: p.left}
	}
	if on.condemned && p.gone.IsZero() {
		p.gone = l.recv
	}
	return p
}

// renew extends the permit if the last look gives it. The caller holds mu.
func (m *membership) renew() {
	switch {
	case m.last.board == nil:
	case !m.mine(m.last.board):
		m.introduced, m.until = false, time.Time{}
	case m.closed, m.last.young, !m.introduced, m.generation != m.last.generation:
		m.until = time.Time{}
	default:
		m.until = m.last.sent.Add(m.trust)
	}
}

// mine reports whether this node is on a board, as it has entered it last. The caller holds mu.
func (m *membership) mine(b *board) bool {
	on := b.find(m.self)
	return on != nil && !on.condemned && on.term == m.term
}

// newcomer reports, once for each time it has come on the board, that this node is to be introduced.
func (m *membership) newcomer() (l look, term uint32, is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last.board == nil || !m.mine(m.last.board) || m.presented == m.term {
		return l, 0, false
	}
	m.presented = m.term
	return m.last, m.term, true
}

// meet takes a node for a peer before the board was read with it, if there is room for one. It tells whether this node listens.
func (m *membership) meet(id cache.ID, term uint32, url string) (listening, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, known := m.peers[id]
	if !known && len(m.peers) >= maxFollowers {
		return false, false
	}
	if !known || p.term < term {
		m.peers[id] = peer{id: id, url: url, term: term, met: time.Now()}
		m.wake()
	}
	return m.listening, true
}

// permit is the right to write fences of a generation. Two that are equal are one: there was no time between them in which
// this node was off the board.
type permit struct {
	generation cache.ID
	term       uint32
}

// permit returns the permit that is held now, if one is.
func (m *membership) permit() (p permit, held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return permit{m.generation, m.term}, time.Now().Before(m.until)
}

// permitted waits for a permit.
func (m *membership) permitted(ctx context.Context) (permit, error) {
	for {
		m.mu.Lock()
		closed, changed := m.closed, m.changed
		m.mu.Unlock()
		p, held := m.permit()
		switch {
		case closed:
			return p, ErrClosed
		case held:
			return p, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return p, ErrLapsed
		}
	}
}

// still returns nil when a permit holds after what has been written: whoever trusts his memory asks for it. Where the permit is
// over, a look at the board that finds this node there as before makes up for it.
func (m *membership) still(ctx context.Context, before permit) error {
	now, err := m.permitted(ctx)
	if err == nil && now != before {
		return ErrLapsed
	}
	return err
}

// others returns the peers that may have written something.
func (m *membership) others() (peers []peer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.peers {
		if !p.left {
			peers = append(peers, p)
		}
	}
	return peers
}

// view is what a listener goes by: the last look, the peers, and what to wait for until they change.
func (m *membership) view() (l look, peers map[cache.ID]peer, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last, maps.Clone(m.peers), m.changed
}

// hasLeft notes that a peer will write nothing any more.
func (m *membership) hasLeft(id cache.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p, known := m.peers[id]; known {
		p.left = true
		m.peers[id] = p
		m.wake()
	}
}

// buried forgets a peer that is not on the board any more.
func (m *membership) buried(id cache.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last.board == nil || m.last.find(id) == nil {
		delete(m.peers, id)
	}
}

// goesBy notes that the listener has been told that what it knew of other generations is lost.
func (m *membership) goesBy(generation cache.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.generation = generation
	m.renew()
	m.wake()
}

// known notes that every other node knows this one since a term began, unless it has had to join anew since.
func (m *membership) known(term uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.term == term {
		m.introduced = true
		m.renew()
		m.wake()
	}
}

// knows raises what this node knows of epochs.
func (m *membership) knows(epoch uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.highest = max(m.highest, epoch)
}

// heard notes when a peer has answered this node's listener.
func (m *membership) heard(id cache.ID, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p, known := m.peers[id]; known {
		p.heard = at
		m.peers[id] = p
	}
}

// silent returns the peers on the board that have not answered this node's listener for Trust.
func (m *membership) silent() (ids []cache.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, p := range m.peers {
		if m.listening && p.gone.IsZero() && time.Since(p.heard) > m.trust && time.Since(p.met) > m.trust {
			ids = append(ids, id)
		}
	}
	return ids
}

// listen notes that this node listens, or does not any more.
func (m *membership) listen(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listening = on
	m.wake()
}

// leave ends the permit for good.
func (m *membership) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.until = true, time.Time{}
	m.wake()
}

// advance takes a token, unless it would be too long.
func (m *membership) advance(token position.Token) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	merged := m.applied.Merge(token)
	if len(merged) > position.MaxSystems {
		return false
	}
	if !slices.Equal(merged, m.applied) {
		m.applied = merged
		m.wake()
	}
	return true
}

func (m *membership) token() position.Token {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.applied
}
