package cache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// Retry says how often a batch is offered to a sink that fails, and how long to wait in between. The zero Retry is a good one.
type Retry struct {
	// Attempts is how often a batch is offered before it becomes a dead letter; at once if the error wraps ErrRefused.
	// Attempts are counted anew after a restart. Default 30, which with the other defaults is about eight minutes.
	Attempts int
	// First is the wait after the first failure; it doubles up to Most. Each wait is drawn from the upper half, so that nodes
	// do not come back together. Defaults 100 ms and 30 s.
	First, Most time.Duration
}

// wait is how long to wait after so many failures.
func (r Retry) wait(failures int) time.Duration {
	wait := r.Most
	if shift := failures - 1; shift < 62 && r.First <= r.Most>>shift {
		wait = r.First << shift
	}
	return wait/2 + rand.N(wait/2+1)
}

// flushLoop is the flusher: it cuts batches when they are due and has each written before the next is cut, so that the values of
// a key reach the sink in their order.
func (l *ledger[K, V]) flushLoop(ctx context.Context) {
	for {
		b := l.inFlight()
		if b == nil {
			if !l.awaitDue(ctx) || !l.settle(ctx) {
				return
			}
			continue
		}
		outcome, ok := l.offer(ctx, b)
		if !ok || !l.settle(ctx, outcome) {
			return
		}
		if outcome.kind == recordBury && l.buried != nil {
			l.buried(l.deadLetter(b, outcome))
		}
	}
}

func (l *ledger[K, V]) inFlight() *cutBatch[K, V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.batch
}

// awaitDue waits until a batch should be cut; false if ctx ended before.
func (l *ledger[K, V]) awaitDue(ctx context.Context) bool {
	for {
		l.mu.Lock()
		due, in := l.due()
		l.mu.Unlock()
		if due {
			return true
		}
		timer := time.NewTimer(in)
		select {
		case <-ctx.Done():
		case <-l.stir:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return false
		}
	}
}

// due tells whether a batch should be cut, else in what time: when one is full, when the oldest entry has waited for flushEvery,
// when somebody waits for it to be applied. mu is held.
func (l *ledger[K, V]) due() (due bool, in time.Duration) {
	s := l.state
	if len(s.queue) == 0 {
		return false, math.MaxInt64
	}
	cut := s.pushed - uint64(len(s.queue))
	if len(s.queue) >= l.batchMax || cut < l.flushTo {
		return true, 0
	}
	in = l.flushEvery - time.Since(s.queue[0].since)
	return in <= 0, in
}

// settle journals what became of the batch in flight, and the boundary of the next one if it is due, until the journal takes
// them; false if ctx ended before.
func (l *ledger[K, V]) settle(ctx context.Context, outcome ...control) bool {
	for failures := 1; ; failures++ {
		l.mu.Lock()
		controls := outcome
		if due, _ := l.due(); due {
			n := uint64(min(l.batchMax, len(l.state.queue)))
			controls = append(controls[:len(controls):len(controls)], control{kind: recordCut, n: n})
		}
		l.mu.Unlock()
		if len(controls) == 0 || l.control(controls...) == nil {
			return true
		}
		if !pause(ctx, l.retry.wait(failures)) {
			return false
		}
	}
}

// offer has the batch written; !ok if ctx ended before it was known what became of it. Whatever that was, the batch is in the
// journal and will be offered again first.
func (l *ledger[K, V]) offer(ctx context.Context, b *cutBatch[K, V]) (outcome control, ok bool) {
	for failures := 1; ; failures++ {
		err := l.attempt(ctx, b)
		switch {
		case err == nil:
			return control{kind: recordDone}, true
		case ctx.Err() != nil:
			return control{}, false
		case errors.Is(err, ErrRefused):
			return control{kind: recordBury, cause: err.Error(), refused: true}, true
		case failures >= l.retry.Attempts:
			return control{kind: recordBury, cause: err.Error()}, true
		}
		l.mu.Lock()
		l.stats.retries++
		l.mu.Unlock()
		if !pause(ctx, l.retry.wait(failures)) {
			return control{}, false
		}
	}
}

// attempt offers the batch once. The sink gets entries of its own: what it does to them does not change what is offered again.
func (l *ledger[K, V]) attempt(ctx context.Context, b *cutBatch[K, V]) (err error) {
	ctx, cancel := context.WithTimeout(ctx, l.writeTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("write batch: %w", &PanicError{Value: p, Stack: debug.Stack()})
		}
	}()
	return l.write(ctx, Batch[K, V]{
		ID:      BatchID{Journal: l.journal.id, Seq: b.seq},
		Entries: append([]BatchEntry[K, V](nil), b.entries...),
	})
}

// flush has all cut that was acknowledged before, and waits until it is applied or dead.
func (l *ledger[K, V]) flush(ctx context.Context) error {
	if err := l.settled(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	target := l.state.pushed
	l.flushTo = max(l.flushTo, target)
	wake(l.stir)
	for l.state.ended < target {
		if l.closing {
			return ErrClosed
		}
		if err := l.awaitTurn(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settled waits for what is in a group: it is in the state afterwards.
func (l *ledger[K, V]) settled(ctx context.Context) error {
	l.mu.Lock()
	g := l.open
	if g.empty() {
		g = l.committing
	}
	l.mu.Unlock()
	if g == nil {
		return nil
	}
	wake(l.urgent)
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close refuses further changes, drains until ctx ends, and ends all that runs.
func (l *ledger[K, V]) close(ctx context.Context) error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		<-l.closed
		return nil
	}
	l.closing = true
	l.flushTo = math.MaxUint64
	l.takeTurns()
	wake(l.urgent)
	wake(l.stir)
	var late error
	for late == nil && (!l.open.empty() || l.committing != nil || len(l.state.queue) > 0 || l.state.batch != nil) {
		late = l.awaitTurn(ctx)
	}
	l.mu.Unlock()
	l.closeIt()
	l.ended.Wait()
	err := l.journal.close()
	close(l.closed)
	if n := l.state.entries() - l.state.nDead; n > 0 {
		err = errors.Join(fmt.Errorf("%d entries wait in the journal: %w", n, late), err)
	}
	return errors.Join(l.failing, err)
}

// pause waits; false if ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
