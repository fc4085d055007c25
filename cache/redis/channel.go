package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/freshet/freshet/cache"
)

// ErrClosed is what Listen returns when the remote layer was closed under it.
var ErrClosed = errors.New("redis: closed")

// Listen tells l what happens. It connects, listens until something breaks, says Lost, and connects again.
func (r *Remote) Listen(ctx context.Context, l cache.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-r.closing:
			cancel(ErrClosed)
		case <-ctx.Done():
		}
	}()

	node := newHistory()
	defer r.leave(node)
	known := uint64(0) // the highest epoch that this node was told
	for attempt := 0; ; attempt++ {
		s := &session{r: r, l: l, asked: asked{node: node, epoch: known}, in: newInbox(), rounds: make(chan round, 1), reads: make(chan tagRead, 1), unread: map[string]uint64{}}
		alive, err := s.run(ctx)
		if alive {
			attempt = 0
		}
		known = s.asked.epoch
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if r.o.Broken != nil {
			r.o.Broken(err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(backoff(attempt)):
		}
	}
}

// backoff grows from 5 ms to a second, half of it by chance, so that the nodes of a fleet do not come back together.
func backoff(attempt int) time.Duration {
	d := min(5*time.Millisecond<<min(attempt, 10), time.Second)
	return d/2 + rand.N(d/2)
}

// leave takes the node off those that Confirm waits for.
func (r *Remote) leave(node string) {
	ctx, cancel := context.WithTimeout(context.Background(), r.o.Trust)
	defer cancel()
	_ = r.client.Do(ctx, r.client.B().Hdel().Key(r.keys.nodes()).Field(node).Build()).Error() // else it is forgotten with time
}

// advancePace is the shortest time between probes for the sake of Advance. A read that needs what was advanced waits for 5 ms
// before it goes to the source; a busy shard advances with each of its commits.
const advancePace = 2 * time.Millisecond

// session is one unbroken connection to all masters. All of it but the goroutines that wait for replies runs in Listen's:
//
//	rueidis' readers ──▶ inbox ─┐
//	goroutine of a probe ──▶ rounds ──▶ Listen ──▶ listener
//	goroutine of a read  ──▶ reads ─┘
type session struct {
	r     *Remote
	l     cache.Listener
	asked asked
	links []*link
	in    *inbox

	rounds  chan round
	reads   chan tagRead
	waits   sync.WaitGroup // for both kinds of goroutine
	probing bool
	probed  time.Time        // when the last probe began
	again   bool             // a probe is to follow at once
	soon    <-chan time.Time // a probe is to begin then
	reading bool
	pushes  uint64            // numbers pushes of tags
	unread  map[string]uint64 // tags whose epoch is to be read, by the number of their last push
	history string
}

// run listens until something breaks; it tells whether there was an Alive.
func (s *session) run(ctx context.Context) (alive bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer s.waits.Wait()
	defer cancel()
	err = s.join(ctx)
	defer func() { closeAll(s.links) }()
	if err != nil {
		return false, err
	}
	defer s.l.Lost()

	beat := time.NewTicker(s.r.o.Heartbeat)
	defer beat.Stop()
	s.startProbe(ctx)
	for err == nil {
		select {
		case <-ctx.Done():
			return alive, ctx.Err()
		case <-s.in.wake:
			err = s.deliver(ctx)
		case <-beat.C:
			s.startProbe(ctx)
		case <-s.soon:
			s.soon, s.again = nil, true
			s.startProbe(ctx)
		case p := <-s.rounds:
			s.probing = false
			if err = s.tell(ctx, p); err == nil {
				alive = true
			}
		case read := <-s.reads:
			err = s.tellTags(ctx, read)
		}
	}
	if errors.Is(err, errFlushed) {
		s.anew(ctx)
	}
	return alive, err
}

// join connects, and tells the whole log of tags. What is fenced from then on is pushed.
func (s *session) join(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*s.r.o.Trust)
	defer cancel()
	if s.links, err = s.r.links(ctx, s.in); err != nil {
		return err
	}
	c := s.links[0].conn
	log, err := c.Do(ctx, c.B().Zrange().Key(s.r.keys.log()).Min("0").Max("-1").Withscores().Build()).AsZScores()
	if err != nil {
		return err
	}
	for _, entry := range log {
		s.l.TagFenced(entry.Member, uint64(entry.Score))
	}
	return nil
}

// startProbe starts a round, unless one is under way.
func (s *session) startProbe(ctx context.Context) {
	if s.probing {
		return
	}
	s.probing, s.probed, s.again = true, time.Now(), false
	ask := s.asked
	s.waits.Go(func() {
		// A reply that is late is no harm, since nothing was lost with it; one that does not come is a dead connection.
		ctx, cancel := context.WithTimeout(ctx, 5*s.r.o.Trust)
		defer cancel()
		s.rounds <- s.r.probe(ctx, s.links, ask)
	})
}

// deliver tells what was pushed.
func (s *session) deliver(ctx context.Context) error {
	raw, broken := s.in.take()
	keys := make([]string, 0, len(raw))
	for _, k := range raw {
		switch p := s.r.keys.parse(k); {
		case !p.valid:
		case p.kind == ofKey:
			keys = append(keys, p.key)
		case p.kind == ofConfirm:
			s.again = true
		case p.kind == ofAdvance && s.soon == nil:
			s.soon = time.After(time.Until(s.probed.Add(advancePace)))
		case p.kind == ofTag:
			s.pushes++
			s.unread[p.tag] = s.pushes
			s.l.TagFenced(p.tag, cache.Unknown)
		}
	}
	if len(keys) > 0 {
		s.l.Forget(keys...)
	}
	if broken != nil {
		return broken
	}
	if s.again {
		s.startProbe(ctx)
	}
	s.startRead(ctx)
	return nil
}

// tell tells of a round, after what was pushed before its replies.
func (s *session) tell(ctx context.Context, p round) error {
	if err := s.deliver(ctx); err != nil {
		return err
	}
	if p.err != nil {
		return p.err
	}
	s.history = p.seq.history
	s.asked.epoch = max(s.asked.epoch, p.beat.Epoch)
	s.l.Alive(p.sent, p.beat)
	if p.seq != s.asked.told {
		s.asked.told, s.again = p.seq, true // somebody waits for us to say so
	}
	if s.again {
		s.startProbe(ctx)
	}
	return nil
}

// anew begins a new history where one master's keys are gone, tombstones among them. rueidis tells of a flush as of the end
// of a connection, but the latter closes done before.
func (s *session) anew(ctx context.Context) {
	for _, l := range s.links {
		select {
		case <-l.done:
			return // nothing is lost but what was pushed meanwhile
		default:
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.r.o.Trust)
	defer cancel()
	_, _ = s.r.once(ctx, anewScript, call{keys: []string{s.r.keys.meta()}, args: []string{s.history, newHistory()}}) // else the master restarts, or another node does it
}

// tagRead is what epochs were read, and as of which push of each tag.
type tagRead struct {
	tags   []string
	pushes []uint64
	epochs []uint64
	err    error
}

// startRead reads the epochs of tags that were pushed, unless a read is under way.
func (s *session) startRead(ctx context.Context) {
	if s.reading || len(s.unread) == 0 {
		return
	}
	const most = 1_000
	var read tagRead
	for tag, push := range s.unread {
		if read.tags, read.pushes = append(read.tags, tag), append(read.pushes, push); len(read.tags) == most {
			break
		}
	}
	s.reading = true
	s.waits.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, 5*s.r.o.Trust)
		defer cancel()
		read.epochs, read.err = s.r.readEpochs(ctx, s.links[0], read.tags)
		s.reads <- read
	})
}

// readEpochs reads what the log says of tags; of one that has dropped out, the horizon.
func (r *Remote) readEpochs(ctx context.Context, control *link, tags []string) ([]uint64, error) {
	b := control.conn.B()
	answers := control.conn.DoMulti(ctx,
		b.Zmscore().Key(r.keys.log()).Member(tags...).Build(),
		b.Hget().Key(r.keys.meta()).Field("horizon").Build())
	scores, err := answers[0].ToArray()
	if err != nil {
		return nil, err
	}
	if len(scores) != len(tags) {
		return nil, errAnswer
	}
	epochs := make([]uint64, len(tags))
	for i := range scores {
		if scores[i].IsNil() {
			if epochs[i], err = answers[1].AsUint64(); err != nil {
				return nil, err
			}
			continue
		}
		score, err := scores[i].AsFloat64()
		if err != nil {
			return nil, err
		}
		epochs[i] = uint64(score)
	}
	return epochs, nil
}

// tellTags tells the epochs that were read, of tags that were not pushed again since: those are read again.
func (s *session) tellTags(ctx context.Context, read tagRead) error {
	s.reading = false
	if err := s.deliver(ctx); err != nil {
		return err
	}
	if read.err != nil {
		return read.err
	}
	for i, tag := range read.tags {
		if s.unread[tag] == read.pushes[i] {
			delete(s.unread, tag)
			s.l.TagFenced(tag, read.epochs[i])
		}
	}
	s.startRead(ctx)
	return nil
}
