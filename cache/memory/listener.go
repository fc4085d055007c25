package memory

import (
	"time"

	"github.com/freshet/freshet/cache"
)

// maxQueue is how many events wait for a listener before they are dropped and it is told Lost.
const maxQueue = 1 << 16

// event is what a listener is to be told: of a fenced key, or of a tag's epoch.
type event struct {
	key   string
	tag   string
	epoch uint64 // zero: of a key
}

// listener is a node that is told. What happens goes through its queue:
//
//	Fence, FenceTags ──▶ queue ──▶ Listen ──▶ cache.Listener
//	                                  │
//	            Confirm ◀── progress ─┘
//
// Its fields are under the layer's mu, but for wake.
type listener struct {
	wake chan struct{} // holds one: there is something to tell

	queue    []event
	queued   uint64        // how many events were ever put in
	told     uint64        // how many of them it has been told, or told Lost instead
	lost     bool          // events were dropped, or it has just come
	hasten   bool          // it is to be told Alive at once
	trusted  time.Time     // sent of its last Alive; zero after Lost
	progress chan struct{} // closed, and replaced, when told rises or the listener leaves
	left     bool
}

// batch is what a listener is told at once, in this order: Lost, the events, Alive.
type batch struct {
	lost   bool
	events []event
	upTo   uint64
}

func (l *Layer) join() *listener {
	n := &listener{wake: make(chan struct{}, 1), lost: true, progress: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.listeners[n] = struct{}{}
	return n
}

func (l *Layer) leave(n *listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.listeners, n)
	n.left = true
	close(n.progress)
}

// enqueue adds an event to every queue; mu is held.
func (l *Layer) enqueue(e event) {
	for n := range l.listeners {
		n.queued++
		if len(n.queue) == maxQueue {
			n.queue, n.lost = nil, true
		}
		if !n.lost { // otherwise Lost will tell of it
			n.queue = append(n.queue, e)
		}
		n.rouse()
	}
}

func (n *listener) rouse() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// hastened reports whether the next beat is due before its time.
func (l *Layer) hastened(n *listener) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return n.hasten
}

// take empties a listener's queue. Where events are missing the tags that are known take their place: memory is void
// after Lost, while the epochs of tags are not to be guessed.
func (l *Layer) take(n *listener) batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken(n)
}

func (l *Layer) taken(n *listener) batch {
	b := batch{lost: n.lost, events: n.queue, upTo: n.queued}
	n.queue = nil
	if n.lost {
		n.lost, n.trusted = false, time.Time{}
		for tag, epoch := range l.tags.epochs {
			b.events = append(b.events, event{tag: tag, epoch: epoch})
		}
	}
	return b
}

// probe is take with the beat that follows. What is written before sent is in the batch.
func (l *Layer) probe(n *listener) (b batch, sent time.Time, beat cache.Beat) {
	sent = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, beat = l.taken(n), l.beat()
	n.hasten = false
	n.trusted = sent // from here on, since nobody knows when the listener looks at its clock
	return b, sent, beat
}

// tell hands a batch to a listener.
func (l *Layer) tell(to cache.Listener, n *listener, b batch) {
	if b.lost {
		to.Lost()
	}
	for _, e := range b.events {
		if e.epoch != 0 {
			to.TagFenced(e.tag, e.epoch)
			continue
		}
		to.Forget(e.key)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n.told = b.upTo
	close(n.progress)
	n.progress = make(chan struct{})
}

// waits tells for how long Confirm may have to wait for a listener to be told of target, and what to wait for.
func (l *Layer) waits(n *listener, target uint64) (time.Duration, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.left || n.told >= target {
		return 0, nil
	}
	return l.options.Trust - time.Since(n.trusted), n.progress
}
