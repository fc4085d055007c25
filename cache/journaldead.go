package cache

import (
	"fmt"
)

// Dead is a dead letter: a batch that was given up. It stays in the journal, and takes its room there, until it is replayed or
// discarded.
type Dead[K comparable, V any] struct {
	ID BatchID
	// Entries are those that no later value of their key has overtaken.
	Entries []BatchEntry[K, V]
	// Cause is the text of the sink's last error.
	Cause string
	// Refused says that the sink has refused the batch (ErrRefused), so that it is not applied. Otherwise an attempt may have
	// been applied whose answer was lost, and only the sink can tell.
	Refused bool
}

// deadLetter is what is told of a batch that has just been buried.
func (l *ledger[K, V]) deadLetter(b *cutBatch[K, V], outcome control) Dead[K, V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := Dead[K, V]{ID: BatchID{l.journal.id, b.seq}, Cause: outcome.cause, Refused: outcome.refused}
	if buried, ok := l.state.dead[b.seq]; ok {
		d.Entries = append(d.Entries, l.state.remaining(buried)...)
	}
	return d
}

// deadLetters lists the dead letters, the oldest first.
func (l *ledger[K, V]) deadLetters() []Dead[K, V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Dead[K, V]
	for _, d := range l.state.deadLetters() {
		all = append(all, Dead[K, V]{
			ID:      BatchID{l.journal.id, d.seq},
			Entries: append([]BatchEntry[K, V](nil), l.state.remaining(d)...),
			Cause:   d.cause, Refused: d.refused,
		})
	}
	return all
}

// settleDead revives or discards a dead letter. It returns when that is durable.
func (l *ledger[K, V]) settleDead(kind byte, seq uint64) error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return ErrClosed
	}
	if _, ok := l.state.dead[seq]; !ok {
		l.mu.Unlock()
		return fmt.Errorf("batch %d: %w", seq, ErrNoDeadLetter)
	}
	g := l.enter(control{kind: kind, n: seq})
	l.mu.Unlock()
	<-g.done
	return g.err
}
