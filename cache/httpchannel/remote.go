package httpchannel

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// Remote is a layer with a channel, and the http.Handler that other nodes ask. It is safe for concurrent use.
type Remote struct {
	cache.Remote // the layer below
	o            Options
	id           cache.ID
	bearer       string // what a request has to bear
	register     *register
	out          *outbox
	members      *membership
	busy         chan struct{} // holds one for each request that is being answered

	closing  chan struct{} // closed by Close
	once     sync.Once
	cancel   context.CancelFunc
	running  sync.WaitGroup // what runs until Close, but for Listen
	mu       sync.Mutex
	listens  bool
	listened chan struct{} // closed when Listen has ended
}

var (
	_ cache.Remote  = (*Remote)(nil)
	_ cache.Channel = (*Remote)(nil)
)

// New gives a layer a channel. It returns at once and joins the board in the background: the handler has to be served at
// Options.URL by then, and fences wait until the others know this node. The layer below is to have no channel of its own, and
// is the caller's to close, after the Remote.
func New(layer cache.Remote, options Options) (*Remote, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("make HTTP channel: %w", err)
	}
	if _, has := layer.(cache.Channel); has {
		return nil, errors.New("make HTTP channel: the layer has a channel of its own")
	}
	key := hmac.New(sha256.New, options.Secret)
	key.Write([]byte("freshet httpchannel board"))
	var id cache.ID
	rand.Read(id[:])
	r := &Remote{
		Remote: layer, o: options, id: id, bearer: bearerOf(options.Secret),
		out: newOutbox(options.Trust), members: newMembership(id, options.Trust),
		busy: make(chan struct{}, maxFollowers), closing: make(chan struct{}),
	}
	r.register = &register{remote: layer, mac: key.Sum(nil), holder: r.id}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.running.Go(func() { r.run(ctx) })
	return r, nil
}

// Fence writes tombstones and tells the other nodes of them. Until every other node knows this one, and where the board is
// out of reach for Options.Trust, it waits for as long as ctx lasts, and then is ErrLapsed.
func (r *Remote) Fence(ctx context.Context, fences []cache.Fence) error {
	held, err := r.members.permitted(ctx)
	if err != nil {
		return fmt.Errorf("fence: %w", err)
	}
	err = r.Remote.Fence(ctx, fences)
	events := make([]event, len(fences))
	for i, f := range fences {
		events[i] = event{key: f.Key}
	}
	r.out.add(events) // also after an error: it may have been written
	if err != nil {
		return err
	}
	if err := r.members.still(ctx, held); err != nil {
		return fmt.Errorf("fence: %w", err) // somebody may have ceased to ask this node while it was written
	}
	return nil
}

// FenceTags draws the next epoch on the board and tells the other nodes.
func (r *Remote) FenceTags(ctx context.Context, tags []string) (epoch uint64, err error) {
	held, err := r.members.permitted(ctx)
	if err != nil {
		return 0, fmt.Errorf("fence tags: %w", err)
	}
	_, err = r.register.update(ctx, func(b *board) (*board, error) {
		if b == nil || b.young || !b.active(r.id) {
			return nil, ErrLapsed
		}
		epoch = b.draw(tags)
		return b, nil
	})
	if err != nil {
		return 0, fmt.Errorf("fence tags: %w", err)
	}
	r.members.knows(epoch)
	events := make([]event, len(tags))
	for i, tag := range tags {
		events[i] = event{tag: tag, epoch: epoch}
	}
	r.out.add(events)
	if err := r.members.still(ctx, held); err != nil {
		return 0, fmt.Errorf("fence tags: %w", err)
	}
	return epoch, nil
}

// Advance publishes how far the source's changes have been fenced: the others learn it with the next answers of this node.
func (r *Remote) Advance(ctx context.Context, applied position.Token) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !r.members.advance(applied) {
		return fmt.Errorf("advance: more than %d systems", position.MaxSystems)
	}
	return nil
}

// Confirm asks every node whether its followers have been told what it has written. A follower that has not asked for Trust
// can't trust its memory; whatever is not answered, nobody can who was not told, when Trust has passed from now on: every
// Alive by then needs an answer from everybody that was composed after Confirm began.
func (r *Remote) Confirm(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, r.o.Trust)
	defer cancel()
	before, _ := r.members.permit()
	peers := r.members.others()
	errs := make([]error, len(peers)+1)
	var all sync.WaitGroup
	for i, p := range peers {
		all.Go(func() { _, errs[i] = r.ask(within, p, ask{kind: askConfirm}) })
	}
	all.Go(func() { errs[len(peers)] = r.out.confirm(within) })
	all.Wait()
	unknown := slices.ContainsFunc(errs, func(err error) bool { return err != nil })
	if now, held := r.members.permit(); unknown || !held || now != before { // without a permit there may be nodes that are not known here
		<-within.Done()
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("confirm fences: %w", err)
	}
	return nil
}

// Close ends Listen and what runs, and refuses fences from then on. It takes this node off the board and returns when its
// followers have been told all it wrote, or after Options.Trust. The handler is to be served until then: a node that goes
// without a word costs every other its memory.
func (r *Remote) Close() error {
	r.once.Do(r.close)
	return nil
}

func (r *Remote) close() {
	close(r.closing)
	r.cancel()
	r.mu.Lock()
	listened := r.listened
	r.mu.Unlock()
	if listened != nil {
		<-listened
	}
	r.running.Wait()
	r.members.leave()
	r.out.leave()
	ctx, cancel := context.WithTimeout(context.Background(), r.o.Trust)
	defer cancel()
	_, _ = r.register.update(ctx, func(b *board) (*board, error) { // else the others find out
		if b == nil || b.find(r.id) == nil {
			return nil, errNoChange
		}
		b.remove(r.id)
		return b, nil
	})
	_ = r.out.emptied(ctx)
	r.o.Client.CloseIdleConnections()
}
