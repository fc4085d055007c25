package httpchannel

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

const (
	boardKey = "!httpchannel:board" // keys of cache begin with a generation and never with an exclamation mark
	boardTTL = 24 * time.Hour
	// touchAfter is how long nobody has changed the board when somebody writes it anew, so that it does not end.
	touchAfter = time.Hour

	leaseTTL = 5 * time.Second
	// stealAfter is how long a change of the board may take until another takes its place; nothing depends on it but speed.
	stealAfter = 100 * time.Millisecond
)

// register keeps the board in the remote layer. A change is a compare-and-swap, made of what every layer can do: the right to
// renew a value goes by its stamp, and is void when somebody else takes it.
//
//	Get ── the board, stamp s ──▶ Lease (renew s) ── granted ──▶ Fill ── filled ──▶ done
//	 ▲                               └── another is at it ──┐     └── another took over ──┐
//	 └──────────────────────────────────────────────────────┴─────────────────────────────┘
//
// A lease is also a compare-and-swap where there is nothing yet: of those who begin a board one does.
type register struct {
	remote cache.Remote
	mac    []byte
	holder cache.ID
}

// look is the board at one moment.
type look struct {
	*board     // nil: there is none
	stamp      cache.Stamp
	sent, recv time.Time      // the moment is between them
	applied    position.Token // up to where changes were known to be fenced by recv
}

// read looks at the board.
func (r *register) read(ctx context.Context) (look, error) {
	_, l, err := r.get(ctx)
	return l, err
}

func (r *register) get(ctx context.Context) (cache.Record, look, error) {
	l := look{sent: time.Now()}
	out := make([]cache.Record, 1)
	if err := r.remote.Get(ctx, []string{boardKey}, out); err != nil {
		return out[0], l, fmt.Errorf("read board: %w", err)
	}
	l.recv = time.Now()
	err := r.open(out[0], &l)
	return out[0], l, err
}

func (r *register) open(rec cache.Record, l *look) (err error) {
	if rec.State != cache.Filled && rec.State != cache.Renewing {
		return nil
	}
	if l.board, err = openBoard(r.mac, rec.Value); err != nil {
		return fmt.Errorf("read board: %w", err)
	}
	l.stamp = cache.Stamp(rec.Value)
	return nil
}

// errNoChange is what a change returns where the board is to stay.
var errNoChange = errors.New("the board stays")

// update changes the board and returns what it is then. change may be called several times and gets nil where there is no
// board; after an error nothing is known of whether it was changed, unless the error is change's own.
func (r *register) update(ctx context.Context, change func(*board) (*board, error)) (look, error) {
	var other cache.ID // whose lease is in the way
	var since time.Time
	for {
		rec, l, err := r.get(ctx)
		if err != nil {
			return l, err
		}
		b, err := change(l.board)
		if errors.Is(err, errNoChange) {
			return l, nil
		} else if err != nil {
			return l, err
		}
		ask := cache.LeaseAsk{Key: boardKey, Holder: r.holder, TTL: leaseTTL}
		rand.Read(ask.Lease[:])
		switch rec.State {
		case cache.Filled:
			ask.Renew = l.stamp
		case cache.Leased, cache.Renewing:
			if rec.Lease != other {
				other, since = rec.Lease, time.Now()
			}
			if time.Since(since) < stealAfter {
				if err := pause(ctx, time.Millisecond); err != nil {
					return l, err
				}
				continue
			}
			ask.Over = rec.Lease
		}
		done, err := r.swap(ctx, ask, &l, b)
		if err != nil || done {
			return l, err
		}
	}
}

// swap writes b if the board is still as l tells.
func (r *register) swap(ctx context.Context, ask cache.LeaseAsk, l *look, b *board) (done bool, err error) {
	answers := make([]cache.LeaseAnswer, 1)
	if err := r.remote.Lease(ctx, []cache.LeaseAsk{ask}, answers); err != nil {
		return false, fmt.Errorf("change board: %w", err)
	}
	var now look
	if err := r.open(answers[0].Record, &now); err != nil {
		return false, err
	}
	held := []cache.Held{{Key: boardKey, Lease: ask.Lease}}
	switch {
	case !answers[0].Granted:
		return false, nil
	case now.stamp != l.stamp: // a lease was taken over, or granted on what has gone meanwhile
		return false, r.remote.Release(ctx, held)
	}
	l.sent = time.Now()
	value, filled := b.seal(r.mac), make([]bool, 1)
	err = r.remote.Fill(ctx, []cache.Fill{{Key: boardKey, Lease: ask.Lease, Value: value, TTL: boardTTL}}, filled)
	if err != nil {
		return false, fmt.Errorf("change board: %w", err)
	}
	l.recv, l.board, l.stamp = time.Now(), b, cache.Stamp(value)
	return filled[0], nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
